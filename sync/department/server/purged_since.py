"""Which days of receipt were purged while `verify` runs beside a server.

A check of a year's reads can take hours, and the purge of a day then takes its key, rows and pictures away in
the middle of it. That is no fault, so what is missing of such a day is not checked instead of wrong.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import select

from sync.department.policy.system_terms import purge_due_us
from sync.department.store.database import Store
from sync.department.store.tables import days


class PurgedSince:
    """Asks the store again about a day of receipt of which something is gone."""

    def __init__(self, store: Store, keep_days: int, now_us: Callable[[], int]) -> None:
        """Begin a check. `keep_days`: of the policy; a row may be forged, and excuses no younger day."""
        self._store, self._keep_days, self._now_us = store, keep_days, now_us
        self._before, self._since = self._begun(), set[int]()

    def has(self, day: int) -> bool:
        """Whether the purge of a day began since this check did."""
        if day in self._before or purge_due_us(day, self._keep_days) > self._now_us():
            return False
        if day not in self._since:
            self._since = self._begun() - self._before
        return day in self._since

    def _begun(self) -> set[int]:
        with self._store.read() as connection:
            return set(connection.scalars(select(days.c.day).where(days.c.purge_started_us.is_not(None))))
