"""What a console may ask of its unit. Nothing here returns a read, a plate or a picture."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from firmware.console.aim import AimView
from firmware.health.report import HealthReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Which unit this is. unit: what grants name; name: what people call it, as the prompt shows it.

    empty: no read was ever stored, or all of it was purged.
    """

    unit: str
    name: str
    software: str
    enrolled: bool
    empty: bool

    @property
    def shown(self) -> str:
        """Name and id, once if they are the same."""
        return self.name if self.name == self.unit else f"{self.name} ({self.unit})"


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTestLine:
    """One line of a self-test. good None: could not be tested here, and why.

    detail: the unit's own words and measured numbers, which no plate can be in. said: what a library, a
    driver or a path says, which the console screens; "2961 MB" may be a plate there.
    """

    name: str
    good: bool | None
    detail: str = ""
    said: str = ""

    def text(self, screen: Callable[[str], str] = str) -> str:
        """Both in one line; `screen` is applied to what is not the unit's own."""
        return ", ".join(part for part in (screen(self.said), self.detail) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetObstacles:
    """What exists only here and a factory reset would destroy. log_size: records up to now. opened_us: when
    this log was opened, UTC; by the unit's clock, or the department's time where that is known to differ.
    log: its id, hexadecimal."""

    unacknowledged: int
    log_size: int
    holds: tuple[int, ...]
    opened_us: int = 0
    log: str = ""


def one_word(name: str) -> str:
    """A name as a prompt, a grant and a confirmation can have it: Car 12 becomes Car-12."""
    return re.sub(r"[^A-Za-z0-9._@-]", "-", name)[:64] or "unit"


class MaintainedUnit(Protocol):
    """The unit behind the console. Every call may raise UnitRefusedError, whose text is shown."""

    def identity(self) -> Identity:
        """Which unit, and in what state."""

    def time_us(self) -> tuple[int, int]:
        """(UTC us, error bound us); never below the newest signed time in the log."""

    def log_ahead_us(self) -> int:
        """How far the newest signed time in the log is ahead of the clock; 0 where it is not."""

    def revoked(self) -> frozenset[str]:
        """Grant ids, key fingerprints and persons that the department revoked."""

    def health(self) -> HealthReport:
        """The report."""

    def aim(self) -> AimView:
        """Look at the newest frame."""

    def camera(self) -> Mapping[str, str]:
        """Camera settings by name."""

    def set_camera(self, name: str, value: str) -> str:
        """Change one setting, within the signed policy; returns a line that says when it takes effect."""

    def network(self) -> Sequence[str]:
        """Interfaces and whether the department can be reached, a line each."""

    def join_wifi(self, name: str, passphrase: str) -> str:
        """Join a network; one line of result."""

    def set_by_hand_us(self) -> int:
        """How far the clock was set ahead by hand since this process began."""

    def set_time(self, us: int) -> None:
        """Set the clock by hand: at best holdover, never below the newest signed time."""

    def storage(self) -> Mapping[str, str]:
        """Custody and card, as facts by name."""

    def sync(self) -> Iterator[str]:
        """Sync now; lines of progress."""

    def selftest(self) -> Iterator[SelfTestLine]:
        """Test every part without a plate."""

    def log_lines(self, count: int) -> Sequence[str]:
        """The newest lines of the system log."""

    def update_state(self) -> Sequence[str]:
        """Software and model versions, and what is ready to be installed."""

    def update(self, source: str) -> Iterator[str]:
        """Install a signed bundle from a plugged-in medium; lines of progress."""

    def reboot(self) -> None:
        """Restart the machine once the console is closed."""

    def reset_obstacles(self) -> ResetObstacles:
        """What blocks a factory reset."""

    def factory_reset(self, agreed: ResetObstacles, *, grant_id: str = "") -> Iterator[str]:
        """Destroy the keys first, then everything else; lines of progress. Refused where more than `agreed`
        would be lost. A signed receipt that names the grant lists for the department what it never had.
        """

    def enroll(self, code: str) -> Iterator[str]:
        """Join a department; lines of progress."""
