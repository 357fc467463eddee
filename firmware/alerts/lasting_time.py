"""The time by which lists expire and steps are dated: it never runs back while the unit runs.

A clock that was set back lets no list match again that had expired, and makes no alert's next step older than
its last one. A clock that knows no time is followed, but what it said is not kept.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from storage.clock_trust import Moment
from storage.record_base import ClockState


class LastingTime:
    """A call gives UTC in microseconds. Thread-safe."""

    def __init__(self, now: Callable[[], Moment]) -> None:
        """now: the ledger's time."""
        self._now = now
        self._guard = threading.Lock()
        self._newest_us = 0

    def __call__(self) -> int:
        moment = self._now()
        with self._guard:
            if moment.state is not ClockState.UNKNOWN:
                self._newest_us = max(self._newest_us, moment.us)
            return max(self._newest_us, moment.us)
