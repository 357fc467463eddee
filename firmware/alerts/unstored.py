"""Hits that the store did not take: the people in the car are warned once a visit, without a record.

Promise: a count and an age by running time, no plate, no place, no list. An alert exists only with its
record, and there is none here: so nothing can be opened, answered or confirmed. The record of the gap
counts these hits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from firmware.alerts.episodes import Episodes, Wish
from firmware.alerts.matching import ListMatch


def wish_of(one: ListMatch) -> Wish:
    """Which entry wants the vehicle of a match."""
    return Wish(one.head.list_id, one.entry.subject, one.entry_digest)


@dataclass(frozen=True, slots=True)
class Unstored:
    """How many hits of this run were warned of without a record; `age_s`: seconds since the last one."""

    count: int
    age_s: int


class UnstoredHits:
    """Thread-safe. `warn` is called once for each vehicle and visit, outside the lock.

    known: whether the people know of a match by its alert, or a person settled it; running_us: running time.
    """

    def __init__(
        self,
        *,
        known: Callable[[ListMatch, int], bool],
        running_us: Callable[[], int],
        warn: Callable[[], None],
    ) -> None:
        self._known, self._running_us, self._warn = known, running_us, warn
        self._lock = threading.Lock()
        self._episodes = Episodes()
        self._count, self._last_us = 0, 0

    def miss(self, matches: Sequence[ListMatch], at_us: int) -> bool:
        """The store did not take a read of these matches, of this time; whether people were warned.

        A match that sounds not is not heard here either, and one of a covert entry is for its people alone.
        """
        heard = [one for one in matches if one.sounds and not one.entry.covert]
        heard = [one for one in heard if not self._known(one, at_us)]
        with self._lock:
            fresh = [one for one in heard if self._episodes.ongoing(wish_of(one), at_us, sounds=True) is None]
            for one in fresh:
                self._episodes.begin(wish_of(one), 0, at_us, sounds=True)
            if fresh:
                self._count, self._last_us = self._count + 1, self._running_us()
        if fresh:
            self._warn()
        return bool(fresh)

    def so_far(self) -> Unstored | None:
        """Of this run; None if there was none."""
        with self._lock:
            if not self._count:
                return None
            return Unstored(self._count, max(0, (self._running_us() - self._last_us) // 1_000_000))
