"""Pulse per second: the kernel's time stamps of a GPS receiver's pulse, and a scripted twin."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hw.errors import MissingDriverError, PartFailedError

_ASSERT = re.compile(r"(\d{1,12})\.(\d{9})#(\d{1,10})\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """The system clock's reading at the last pulse, which marks a full second of UTC."""

    system_ns: int
    sequence: int

    @property
    def offset_ns(self) -> int:
        """System clock minus UTC, as far as a pulse can show: from -0.5 s to 0.5 s."""
        fraction = self.system_ns % 1_000_000_000
        return fraction if fraction < 500_000_000 else fraction - 1_000_000_000


class PulseSource(Protocol):
    """Gives the newest pulse."""

    def latest(self) -> Pulse | None:
        """The newest pulse, or None before the first."""


class KernelPulses:
    """`/sys/class/pps/pps0/assert` (Linux: Documentation/driver-api/pps.rst)."""

    def __init__(self, device: Path = Path("/sys/class/pps/pps0")) -> None:
        self._assert = device / "assert"
        if not self._assert.exists():
            raise MissingDriverError(f"{self._assert} not found: add `dtoverlay=pps-gpio` to config.txt")

    def latest(self) -> Pulse | None:
        """See PulseSource.latest. Raises PartFailedError for a line that is not the kernel's format."""
        try:
            text = self._assert.read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise PartFailedError(f"{self._assert}: cannot be read ({type(error).__name__})") from error
        match = _ASSERT.fullmatch(text)
        if match is None:
            raise PartFailedError(f"{self._assert}: not a time stamp")
        seconds, nanoseconds, sequence = (int(part) for part in match.groups())
        if sequence == 0:
            return None
        return Pulse(system_ns=seconds * 1_000_000_000 + nanoseconds, sequence=sequence)


class ScriptedPulses:
    """The twin: gives the pulses of a test."""

    def __init__(self) -> None:
        self._latest: Pulse | None = None

    def pulse(self, system_ns: int) -> None:
        """Add a pulse at which the system clock showed system_ns."""
        sequence = 1 if self._latest is None else self._latest.sequence + 1
        self._latest = Pulse(system_ns=system_ns, sequence=sequence)

    def latest(self) -> Pulse | None:
        """See PulseSource.latest."""
        return self._latest
