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
    """Which unit this is. unit: the id that grants name; name: what people call it, as in the prompt.

    empty: no read was ever stored, or all were purged.
    """

    unit: str
    name: str
    software: str
    enrolled: bool
    empty: bool

    @property
    def shown(self) -> str:
        """Name and id, or just one of them if they are the same."""
        return self.name if self.name == self.unit else f"{self.name} ({self.unit})"


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTestLine:
    """One line of a self-test. good None: could not be tested here; detail says why.

    detail: the unit's own words and measurements, which cannot contain a plate. said: text of a library, a
    driver or a path, which the console screens, since "2961 MB" in it may be a plate.
    """

    name: str
    good: bool | None
    detail: str = ""
    said: str = ""

    def text(self, screen: Callable[[str], str] = str) -> str:
        """Detail and said in one line; `screen` is applied to said."""
        return ", ".join(part for part in (screen(self.said), self.detail) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetObstacles:
    """What exists only here and would be lost in a factory reset.

    log_size: records so far. opened_us: when this log was opened (UTC us), by the unit's clock, or by the
    department's time if that is known to differ. log: its id, hexadecimal.
    """

    unacknowledged: int
    log_size: int
    holds: tuple[int, ...]
    opened_us: int = 0
    log: str = ""


def one_word(name: str) -> str:
    """A name in the form for prompts, grants and confirmations: Car 12 becomes Car-12."""
    return re.sub(r"[^A-Za-z0-9._@-]", "-", name)[:64] or "unit"


class MaintainedUnit(Protocol):
    """The unit behind the console. Every call may raise UnitRefusedError, whose text is shown."""

    def identity(self) -> Identity:
        """Which unit this is, and its state."""

    def time_us(self) -> tuple[int, int]:
        """(UTC us, error bound us); never before the newest signed time in the log."""

    def log_ahead_us(self) -> int:
        """How far the newest signed time in the log is ahead of the clock; 0 if it is not ahead."""

    def revoked(self) -> frozenset[str]:
        """The grant ids, key fingerprints and persons that the department has revoked."""

    def health(self) -> HealthReport:
        """The health report."""

    def aim(self) -> AimView:
        """Look at the newest frame."""

    def camera(self) -> Mapping[str, str]:
        """Camera settings by name."""

    def set_camera(self, name: str, value: str) -> str:
        """Change one setting, within the signed policy; returns a line that says when it takes effect."""

    def network(self) -> Sequence[str]:
        """A line for each interface, and whether the department can be reached."""

    def join_wifi(self, name: str, passphrase: str) -> str:
        """Join a network; returns a line with the result."""

    def set_by_hand_us(self) -> int:
        """How far the clock was set ahead by hand since this process started."""

    def set_time(self, us: int) -> None:
        """Set the clock by hand: at best holdover, never before the newest signed time."""

    def storage(self) -> Mapping[str, str]:
        """Facts about custody and card, by name."""

    def sync(self) -> Iterator[str]:
        """Sync now; yields lines of progress."""

    def selftest(self) -> Iterator[SelfTestLine]:
        """Test every part without a plate."""

    def log_lines(self, count: int) -> Sequence[str]:
        """The newest lines of the system log."""

    def update_state(self) -> Sequence[str]:
        """Software and model versions, and what is ready to install."""

    def update(self, source: str) -> Iterator[str]:
        """Install a signed bundle from a sync or a plugged-in medium; yields lines of progress."""

    def may_write_update(self) -> bool:
        """Whether an update may be being written, so that a restart would cut it off."""

    def reboot(self) -> None:
        """Restart the machine once the console is closed."""

    def reset_obstacles(self) -> ResetObstacles:
        """What blocks a factory reset."""

    def factory_reset(self, agreed: ResetObstacles, *, grant_id: str = "") -> Iterator[str]:
        """Destroy the keys first, then everything else; yields lines of progress.

        Refused if more than `agreed` would be lost. A signed receipt, which names the grant, lists for the
        department what it never received.
        """

    def enroll(self, code: str) -> Iterator[str]:
        """Join a department; yields lines of progress."""
