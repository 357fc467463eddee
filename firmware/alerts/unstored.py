"""Hits that could not be stored: the people in the car are warned once per visit, without a record.

Promise: only a count and an age by running time; no plate, no place, no list. There is no alert without a
record, so nothing can be opened, answered or confirmed. The record of the gap counts these hits. A hit that a
later try stores has its alert, and no longer counts.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from firmware.alerts.episodes import MOST, Episodes, Wish
from firmware.alerts.matching import ListMatch


def wish_of(one: ListMatch) -> Wish:
    """The entry that wants the vehicle of a match."""
    return Wish(one.head.list_id, one.entry.subject, one.entry_digest)


@dataclass(frozen=True, slots=True)
class Unstored:
    """How many hits of this run caused a warning and have no record; `age_s`: seconds since the last one."""

    count: int
    age_s: int


class UnstoredHits:
    """Warns of hits that could not be stored. Thread-safe.

    `warn` is called once per vehicle and visit, outside the lock. known: whether a match already has an
    audible alert or a person settled it. running_us: the running time.
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
        self._number = 0
        self._missed: OrderedDict[int, tuple[list[Wish], int]] = OrderedDict()  # with the running time
        self._older, self._older_us = 0, 0  # of those no longer kept: the count and the last one's time

    def miss(self, matches: Sequence[ListMatch], at_us: int) -> bool:
        """Note that a read with these matches could not be stored; returns whether people were warned.

        A match that does not sound gives no warning, nor does one of a covert entry, which is only for its
        recipients.
        """
        heard = [one for one in matches if one.sounds and not one.entry.covert]
        heard = [one for one in heard if not self._known(one, at_us)]
        with self._lock:
            fresh = [one for one in heard if self._episodes.ongoing(wish_of(one), at_us, sounds=True) is None]
            if fresh:
                self._number += 1
                wishes = [wish_of(one) for one in fresh]
                self._missed[self._number] = (wishes, self._running_us())
                for wish in wishes:
                    self._episodes.begin(wish, self._number, at_us, sounds=True)
                while len(self._missed) > MOST:
                    _, (_, self._older_us) = self._missed.popitem(last=False)
                    self._older += 1
        if fresh:
            self._warn()
        return bool(fresh)

    def stored(self, wish: Wish, at_us: int) -> None:
        """Note that a read was stored with its alert: an earlier miss of the same visit no longer counts."""
        with self._lock:
            number = self._episodes.ongoing(wish, at_us, sounds=True)
            for missed in self._missed.pop(number or 0, ([], 0))[0]:
                self._episodes.end(missed)

    def so_far(self) -> Unstored | None:
        """The unstored hits of this run; None if there are none."""
        with self._lock:
            count = self._older + len(self._missed)
            if not count:
                return None
            last_us = next(reversed(self._missed.values()))[1] if self._missed else self._older_us
            return Unstored(count, max(0, (self._running_us() - last_us) // 1_000_000))
