"""The time by which lists expire and steps are dated: it never runs back while the unit runs.

A clock that was set back lets no list match again that had expired, and makes no alert's next step older than
its last one. A clock that knows no time, or is further ahead than custody follows, dates steps, but what it
said is not kept, and it ends nothing: else no wanted vehicle would sound under a spoofed receiver.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from storage.clock_trust import Moment
from storage.record_base import ClockState


class LastingTime:
    """A call gives UTC in microseconds. Thread-safe."""

    def __init__(self, now: Callable[[], Moment], sure_us: Callable[[], int]) -> None:
        """now, sure_us: the ledger's time, and what of it has surely passed."""
        self._now, self._sure_us = now, sure_us
        self._guard = threading.Lock()
        self._newest_us = 0

    def __call__(self) -> int:
        """As the clock says it."""
        return max(*self._times())

    def sure(self) -> int:
        """What has surely passed: by this a list or an entry ends."""
        return self._times()[1]

    def _times(self) -> tuple[int, int]:
        moment, sure_us = self._now(), self._sure_us()
        with self._guard:
            kept = sure_us if moment.state is ClockState.UNKNOWN else max(moment.us, sure_us)
            self._newest_us = max(self._newest_us, kept)
            return moment.us, self._newest_us
