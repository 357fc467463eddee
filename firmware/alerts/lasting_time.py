"""The time that dates steps and ends lists: it never goes back while the unit runs.

What the department dated ends by the time that the department states, once such a statement has come since
the machine started; the unit's own clock can neither end nor revive it. Until then, setting the clock back
does not revive an expired list. A clock without a known time, or further ahead than custody follows, dates
steps, but its time is not kept and ends nothing: otherwise a spoofed receiver could silence every hot list.
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
    """One moment for lists. likely_us: the most likely time; entries begin and lists become stale by it.
    sure_us: the time that has certainly passed; lists and entries end by it.

    vague: the department's statement is from an earlier start and the clock has no known time. How long the
    unit was without power is then unknown, and so is the age of a list.
    """

    likely_us: int
    sure_us: int
    vague: bool = False


class LastingTime:
    """Calling it gives UTC in microseconds. Thread-safe."""

    def __init__(
        self,
        now: Callable[[], Moment],
        sure_us: Callable[[], int],
        word: Callable[[], StatedTime | None] = lambda: None,
    ) -> None:
        """now, sure_us, word: the ledger's time, the time certainly passed, the department's statement."""
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
