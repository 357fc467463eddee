"""Counts the elements of each day of receipt by name, and those that were given up. No content."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import select

from storage.times import DAY_US
from sync.department.store.tables import bad_records, elements

READ = "text"
"""The element that each read has once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedDay:
    """`day`: days since 1970-01-01; `elements`: (name, how many), by name; `given_up`: elements that never
    arrived intact, by the day on which the department stopped requesting them."""

    day: int
    elements: tuple[tuple[str, int], ...]
    given_up: int

    @property
    def reads(self) -> int:
        """How many reads arrived."""
        return dict(self.elements).get(READ, 0)


def received_days(connection: sa.Connection) -> list[ReceivedDay]:
    """Every day that has content or on which content was given up, oldest first."""
    e, b = elements.c, bad_records.c
    found: dict[int, dict[str, int]] = {}
    for day, name, many in connection.execute(select(e.day, e.name, sa.func.count()).group_by(e.day, e.name)):
        found.setdefault(int(day), {})[name] = int(many)
    given_up: dict[int, int] = {}
    for (at_us,) in connection.execute(select(b.given_up_us).where(b.given_up_us.is_not(None))):
        given_up[at_us // DAY_US] = given_up.get(at_us // DAY_US, 0) + 1
    return [
        ReceivedDay(
            day=day, elements=tuple(sorted(found.get(day, {}).items())), given_up=given_up.get(day, 0)
        )
        for day in sorted(found.keys() | given_up.keys())
    ]
