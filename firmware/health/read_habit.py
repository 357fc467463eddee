"""A site's habit: reads per hour, by hour of the week, and whether it is too quiet now. Only load and save do
I/O.
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
IMPROBABLE = 0.001  # a stretch so quiet that its probability is less than this is an alarm
FEWER_SHARE = 0.5  # no alarm above this share: traffic varies by more than chance (holidays, rain)
JUDGED_US = 900_000_000  # a gate or a red light may leave a road empty for a while
PAUSE_US = 120_000_000  # between two ticks: after a longer pause the clock was set, or the unit slept


def hour_of_week(us: int) -> int:
    """0 to 167 for a time in us UTC; 0 is Thursday 00:00 UTC, since 1970 began on a Thursday."""
    return (us // HOUR_US) % HOURS


class ReadHabit:
    """Counts reads by hour. An hour trains the habit only if the unit ran and could see during all of it."""

    def __init__(self, usual: list[float | None] | None = None) -> None:
        self._usual: list[float | None] = usual if usual is not None else [None] * HOURS
        self._hour: int | None = None
        self._from_us = self._ticked_us = 0
        self._count = 0
        self._blind = False  # for a time in this hour
        self._was_few = False  # in the previous hour
        self._taught: tuple[int, float | None] = (
            -1,
            None,
        )  # the newest hour that trained it, and the habit before
        self._empty_us, self._missed = 0, 0.0  # time since the last read, and the usual reads in it

    def tick(self, now_us: int) -> None:
        """Advance the time, and close an hour that is over. Call it at least every minute."""
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
        """Count a stored read."""
        self.tick(now_us)
        self._count += 1
        self._empty_us, self._missed = 0, 0.0

    def blind(self) -> None:
        """Exclude this hour from training: the camera sees nothing, or the time is unknown."""
        self._blind = True

    @property
    def this_hour(self) -> int:
        """Reads since the hour began, or since the unit started."""
        return self._count

    def usual(self, now_us: int) -> float | None:
        """The habit for this hour of the week; None if not yet known."""
        return self._usual[hour_of_week(now_us)]

    def too_quiet(self, now_us: int) -> bool:
        """Whether the reads in this hour, or since the last read, are less than half of the usual, and so few
        that the probability is below 0.001 (Poisson).
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
        """The reads expected in this hour: the smallest habit of it and its neighbors, since traffic follows
        local time, which daylight saving moves by an hour.
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
        """The habit in a file; a new one if the file is unreadable, since a habit can be learned again."""
        try:
            held = json.loads(files.read_bounded(path, 65_536))
            usual = [None if value is None else float(value) for value in held["reads_an_hour"]]
        except (OSError, LedgerError, ValueError, KeyError, TypeError, RecursionError):
            return cls()
        sound = len(usual) == HOURS and all(value is None or 0 <= value < 1e6 for value in usual)
        return cls(usual) if sound else cls()

    def save(self, path: Path) -> None:
        """Write the habit to a draft, then replace the file with it."""
        text = json.dumps({"reads_an_hour": [None if v is None else round(v, 2) for v in self._usual]})
        files.replace(path, text.encode(), lasts=False)
