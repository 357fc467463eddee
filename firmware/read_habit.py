"""A site's habit: reads an hour by hour of the week, and whether the present is too quiet. Pure but load
and save.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

HOURS = 168
WEIGHT = 0.25  # of the newest week
IMPROBABLE = 0.001  # a quieter stretch than this by chance, once in a thousand, is an alarm
HOUR_US = 3_600_000_000


def hour_of_week(us: int) -> int:
    """0 to 167 for a time in us UTC; 0 is Thursday 00:00 UTC, since 1970 began on one."""
    return (us // HOUR_US) % HOURS


class ReadHabit:
    """Counts reads by the hour. An hour teaches only if the unit ran through all of it."""

    def __init__(self, usual: list[float | None] | None = None) -> None:
        self._usual: list[float | None] = usual if usual is not None else [None] * HOURS
        self._hour: int | None = None
        self._from_us = 0
        self._count = 0

    def tick(self, now_us: int) -> None:
        """Time goes on; closes the hour that is over. Call it every minute or oftener."""
        hour = now_us // HOUR_US
        if self._hour is None:
            self._hour, self._from_us, self._count = hour, now_us, 0
        elif hour != self._hour:
            whole = self._from_us - self._hour * HOUR_US < 60_000_000
            if whole and hour == self._hour + 1:
                self._teach(self._hour % HOURS, self._count)
            self._hour, self._from_us, self._count = hour, max(now_us, hour * HOUR_US), 0
            if now_us - hour * HOUR_US < 60_000_000:
                self._from_us = hour * HOUR_US

    def read(self, now_us: int) -> None:
        """A read was stored."""
        self.tick(now_us)
        self._count += 1

    @property
    def this_hour(self) -> int:
        """Reads since the hour, or the unit, began."""
        return self._count

    def usual(self, now_us: int) -> float | None:
        """The habit for this hour of the week; None where it is not known yet."""
        return self._usual[hour_of_week(now_us)]

    def too_quiet(self, now_us: int) -> bool:
        """Whether so few reads this hour would be chance less than once in a thousand (Poisson)."""
        usual = self.usual(now_us)
        if usual is None:
            return False
        expected = usual * min(1.0, max(0.0, (now_us - self._from_us) / HOUR_US))
        term = total = math.exp(-min(expected, 700.0))
        for count in range(1, self._count + 1):
            term *= expected / count
            total += term
        return total < IMPROBABLE

    def _teach(self, slot: int, count: int) -> None:
        before = self._usual[slot]
        self._usual[slot] = float(count) if before is None else before + (count - before) * WEIGHT

    @classmethod
    def load(cls, path: Path) -> ReadHabit:
        """The habit of a file; an unreadable or foreign one is a fresh start, since it can be learned
        again.
        """
        try:
            held = json.loads(path.read_text(encoding="ascii")[:65_536])
            usual = [None if value is None else float(value) for value in held["reads_an_hour"]]
        except (OSError, ValueError, KeyError, TypeError):
            return cls()
        sound = len(usual) == HOURS and all(value is None or 0 <= value < 1e6 for value in usual)
        return cls(usual) if sound else cls()

    def save(self, path: Path) -> None:
        """Write the habit beside the old one, then replace it."""
        fresh = path.with_suffix(".new")
        text = json.dumps({"reads_an_hour": [None if v is None else round(v, 2) for v in self._usual]})
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)
        fresh.replace(path)
