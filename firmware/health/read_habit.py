"""A site's habit: reads an hour by hour of the week, and whether the present is too quiet. Pure but load
and save.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

from storage import files
from storage.errors import LedgerError
from storage.times import HOUR_US, MINUTE_US

HOURS = 168
WEIGHT = 0.25  # of the newest week
IMPROBABLE = 0.001  # a quieter stretch than this by chance, once in a thousand, is an alarm
FEWER_SHARE = 0.5  # traffic varies by more than chance: a holiday, rain. Above this share it is not an alarm
JUDGED_US = 900_000_000  # a gate or a red light may keep a road empty for a while
PAUSE_US = 120_000_000  # between two ticks: after more the clock was set, or the unit slept


def hour_of_week(us: int) -> int:
    """0 to 167 for a time in us UTC; 0 is Thursday 00:00 UTC, since 1970 began on one."""
    return (us // HOUR_US) % HOURS


class ReadHabit:
    """Counts reads by the hour. An hour teaches only if the unit ran, and could see, through all of it."""

    def __init__(self, usual: list[float | None] | None = None) -> None:
        self._usual: list[float | None] = usual if usual is not None else [None] * HOURS
        self._hour: int | None = None
        self._from_us = self._ticked_us = 0
        self._count = 0
        self._blind = False  # in this hour, for a time
        self._was_few = False  # in the hour before
        self._taught: tuple[int, float | None] = (
            -1,
            None,
        )  # the newest hour that taught, and its habit before
        self._empty_us, self._missed = 0, 0.0  # time since the last read, and the reads usual in it

    def tick(self, now_us: int) -> None:
        """Time continues; closes the hour that is over. Call it every minute or oftener."""
        hour, gone_us = now_us // HOUR_US, now_us - self._ticked_us
        self._ticked_us = now_us
        if self._hour is None or not 0 <= gone_us <= PAUSE_US:
            self._hour, self._from_us, self._count = hour, now_us, 0
            self._blind = self._was_few = False
            return
        self._empty_us += gone_us
        self._missed += (self._due(now_us) or 0.0) * gone_us / HOUR_US
        if hour != self._hour:
            whole = self._from_us - self._hour * HOUR_US < MINUTE_US
            self._was_few = self._few(hour * HOUR_US - 1)
            if whole and not self._blind:
                self._teach(self._hour % HOURS, self._count)
            self._hour, self._from_us, self._count, self._blind = hour, hour * HOUR_US, 0, False

    def read(self, now_us: int) -> None:
        """A read was stored."""
        self.tick(now_us)
        self._count += 1
        self._empty_us, self._missed = 0, 0.0

    def blind(self) -> None:
        """The camera sees nothing, or the hour is unknown: these counts do not train the habit."""
        self._blind = True

    @property
    def this_hour(self) -> int:
        """Reads since the hour, or the unit, began."""
        return self._count

    def usual(self, now_us: int) -> float | None:
        """The habit for this hour of the week; None if it is not known yet."""
        return self._usual[hour_of_week(now_us)]

    def too_quiet(self, now_us: int) -> bool:
        """Whether the reads, in this hour or since the last one, are less than half of the usual, and so few
        that chance makes them less than once in a thousand (Poisson).
        """
        if self._empty_us >= JUDGED_US and math.exp(-self._missed * FEWER_SHARE) < IMPROBABLE:
            return True
        young = now_us - self._from_us < JUDGED_US
        return self._was_few if young else self._few(now_us)

    def _few(self, now_us: int) -> bool:
        due, ran_us = self._due(now_us), now_us - self._from_us
        if due is None or ran_us < JUDGED_US:
            return False
        expected = due * min(1.0, ran_us / HOUR_US)
        term = total = math.exp(-min(expected, 700.0))
        for count in range(1, self._count + 1):
            term *= expected / count
            total += term
        return self._count < expected * FEWER_SHARE and total < IMPROBABLE

    def _due(self, now_us: int) -> float | None:
        """The reads that are due in this hour: the least that is usual in it and in its neighbors, since
        traffic keeps local time, which daylight saving moves by an hour.
        """
        if self.usual(now_us) is None:
            return None
        hour = hour_of_week(now_us)
        taught, was = self._taught
        before = was if taught == (hour - 1) % HOURS else self._usual[hour - 1]
        around = (before, self._usual[hour], self._usual[(hour + 1) % HOURS])
        return min(usual for usual in around if usual is not None)

    def _teach(self, slot: int, count: int) -> None:
        before = self._usual[slot]
        self._taught = (slot, before)
        self._usual[slot] = float(count) if before is None else before + (count - before) * WEIGHT

    @classmethod
    def load(cls, path: Path) -> ReadHabit:
        """The habit of a file; an unreadable or foreign one is a fresh start, since it can be learned
        again.
        """
        try:
            held = json.loads(files.read_bounded(path, 65_536))
            usual = [None if value is None else float(value) for value in held["reads_an_hour"]]
        except (OSError, LedgerError, ValueError, KeyError, TypeError, RecursionError):
            return cls()
        sound = len(usual) == HOURS and all(value is None or 0 <= value < 1e6 for value in usual)
        return cls(usual) if sound else cls()

    def save(self, path: Path) -> None:
        """Write the habit beside the old one, then replace it."""
        text = json.dumps({"reads_an_hour": [None if v is None else round(v, 2) for v in self._usual]})
        files.replace(path, text.encode(), lasts=False)
