"""The battery clock: the kernel's `/sys/class/rtc`, and a scripted twin."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from hw.errors import MissingDriverError, PartFailedError


class BatteryClock(Protocol):
    """A clock that runs while the unit is off."""

    def seconds(self) -> int:
        """Its reading, seconds since 1970 UTC. Raises PartFailedError."""


class KernelRtc:
    """The real-time clocks that the kernel knows (the Pi 5's own, DS3231, PCF8523).

    Of several, the latest reading counts: a Pi 5 without a battery starts from 1970.
    """

    def __init__(self, root: Path = Path("/sys/class/rtc")) -> None:
        self._readings = sorted(root.glob("rtc*/since_epoch"))
        if not self._readings:
            raise MissingDriverError(
                f"no clock in {root}: add `dtoverlay=i2c-rtc,ds3231` to config.txt, or leave it so"
            )

    def seconds(self) -> int:
        """See BatteryClock.seconds."""
        found: list[int] = []
        failure: Exception | None = None
        for reading in self._readings:
            try:
                found.append(int(reading.read_text(encoding="ascii")[:24]))
            except (OSError, ValueError) as error:
                failure = error
        if not found:
            where = ", ".join(str(reading) for reading in self._readings)
            raise PartFailedError(f"{where}: cannot be read ({type(failure).__name__})") from failure
        return max(found)


class ScriptedRtc:
    """The twin: shows what it was set to, or fails like one whose battery is empty."""

    def __init__(self, reading: int | None) -> None:
        self.reading = reading

    def seconds(self) -> int:
        """See BatteryClock.seconds."""
        if self.reading is None:
            raise PartFailedError("battery clock: cannot be read")
        return self.reading
