"""The battery clock: what `/sys/class/rtc/rtc0` says, and a scripted one as twin."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from hw.errors import MissingDriverError, PartFailedError


class BatteryClock(Protocol):
    """A clock that runs while the unit is off."""

    def seconds(self) -> int:
        """Its reading, seconds since 1970 UTC. Raises PartFailedError."""


class KernelRtc:
    """A real-time clock that the kernel knows (the Pi 5's own, DS3231, PCF8523)."""

    def __init__(self, device: Path = Path("/sys/class/rtc/rtc0")) -> None:
        self._reading = device / "since_epoch"
        if not self._reading.exists():
            raise MissingDriverError(
                f"{self._reading} not found: add `dtoverlay=i2c-rtc,ds3231` to config.txt"
            )

    def seconds(self) -> int:
        """See BatteryClock.seconds."""
        try:
            return int(self._reading.read_text(encoding="ascii")[:24])
        except (OSError, ValueError) as error:
            raise PartFailedError(f"{self._reading}: cannot be read ({type(error).__name__})") from error


class ScriptedRtc:
    """The twin: shows what it was set to, or fails like one whose battery is empty."""

    def __init__(self, reading: int | None) -> None:
        self.reading = reading

    def seconds(self) -> int:
        """See BatteryClock.seconds."""
        if self.reading is None:
            raise PartFailedError("battery clock: cannot be read")
        return self.reading
