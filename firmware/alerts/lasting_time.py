"""The time by which lists end and grow stale, and by which steps are dated: it never runs back while the unit
runs.

What the department dated ends by the department's word, once it came since the machine started: no
clock here, wherever it was set, ends or revives it. Until then a clock that was set back lets no list match
again that had expired. A clock that knows no time, or is further ahead than custody follows, dates steps, but
what it said is not kept, and it ends nothing: else no wanted vehicle would sound under a spoofed receiver.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from storage.clock_trust import Moment, TrustedTime
from storage.department_word import StatedTime
from storage.record_base import ClockState


@dataclass(frozen=True, slots=True, kw_only=True)
class ListTime:
    """One moment for lists. likely_us: what it most likely is; by it entries begin, and what is old is stale.
    sure_us: what has surely passed; by it lists and entries end.

    vague: the department's word is of an earlier start and the clock knows no time, so how long the unit was
    without power is not known, nor how old a list is.
    """

    likely_us: int
    sure_us: int
    vague: bool = False


class LastingTime:
    """A call gives UTC in microseconds. Thread-safe."""

    def __init__(
        self,
        now: Callable[[], Moment],
        sure_us: Callable[[], int],
        word: Callable[[], StatedTime | None] = lambda: None,
    ) -> None:
        """now, sure_us, word: the ledger's time, what of it has surely passed, and the department's word."""
        self._now, self._sure_us, self._word = now, sure_us, word
        self._guard = threading.Lock()
        self._newest_us = 0

    @classmethod
    def of(cls, time: TrustedTime) -> LastingTime:
        """From a ledger's clock."""
        return cls(time.now, lambda: time.sure_us, lambda: time.department_time)

    def __call__(self) -> int:
        """The clock's time, which dates steps."""
        moment, newest_us = self._times()
        return max(moment.us, newest_us)

    def of_lists(self) -> ListTime:
        """The time by which lists and entries end, and extracts age."""
        moment, newest_us = self._times()
        stated = self._word()
        if stated is not None and stated.exact:
            return ListTime(likely_us=stated.us, sure_us=stated.us)
        vague = stated is not None and moment.state is ClockState.UNKNOWN
        return ListTime(likely_us=max(moment.us, newest_us), sure_us=newest_us, vague=vague)

    def _times(self) -> tuple[Moment, int]:
        moment, sure_us = self._now(), self._sure_us()
        with self._guard:
            kept = sure_us if moment.state is ClockState.UNKNOWN else max(moment.us, sure_us)
            self._newest_us = max(self._newest_us, kept)
            return moment, self._newest_us
