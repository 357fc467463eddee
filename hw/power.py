"""The unit's power supply: ignition, undervoltage, throttling, and when to shut down; a scripted twin.

Promise: with the ignition off, the unit has shut down before the supercapacitor is empty.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

from hw.errors import MissingDriverError, PartFailedError
from hw.gpio import open_pin, pin_errors
from hw.throttling import ThrottlingWord

# Bits of `vcgencmd get_throttled`.
_UNDERVOLTAGE, _CAPPED, _THROTTLED, _SOFT_LIMIT = 1 << 0, 1 << 1, 1 << 2, 1 << 3
FEED_HOLDS_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Supply:
    """One look at the supply. None: the unit has no such sensor, or it did not answer (see `silent`)."""

    ignition: bool | None
    undervoltage: bool | None
    throttled: bool | None
    silent: tuple[str, ...] = ()  # sensors that are fitted but did not answer


class PowerSource(Protocol):
    """Gives the state of the power supply."""

    def look(self) -> Supply:
        """The supply now. Raises PartFailedError if the ignition is unknown."""

    def close(self) -> None:
        """Give the pins back."""


class PiPower:
    """A Raspberry Pi: throttling word and voltage alarm of its firmware, ignition on a GPIO pin.

    ignition_pin: BCM number, high while the ignition is on; None on a roadside unit.
    """

    def __init__(
        self,
        *,
        ignition_pin: int | None = None,
        sysfs: Path = Path("/sys"),
        search_path: str | None = None,
        pin_factory: object = None,
    ) -> None:
        self._word = ThrottlingWord(sysfs, search_path)
        self._alarms = [
            name.parent / "in0_lcrit_alarm"
            for name in sorted((sysfs / "class/hwmon").glob("hwmon*/name"))
            if _text(name) == "rpi_volt"
        ]
        if not self._word.there and not self._alarms:
            raise MissingDriverError(
                "neither a throttling word nor an rpi_volt sensor found: not a Raspberry Pi; "
                "leave parts.ignition_pin out of the configuration"
            )
        self._ignition: Any = None
        if ignition_pin is not None:
            self._ignition = open_pin(
                "DigitalInputDevice", ignition_pin, "ignition", pull_up=False, pin_factory=pin_factory
            )

    def look(self) -> Supply:
        """See PowerSource.look. Reports the ignition even if the firmware does not answer."""
        ignition = self._ignition_on()
        word: int | None = None
        silent: list[str] = []
        try:
            word = self._word.read()
        except PartFailedError:
            silent.append("throttling word")
        alarms = [_text(path) for path in self._alarms]
        if None in alarms:
            silent.append("voltage alarm")
        known = word is not None or any(alarm is not None for alarm in alarms)
        return Supply(
            ignition=ignition,
            undervoltage="1" in alarms or bool((word or 0) & _UNDERVOLTAGE) if known else None,
            throttled=_is_throttled(word),
            silent=tuple(silent),
        )

    def _ignition_on(self) -> bool | None:
        if self._ignition is None:
            return None
        with pin_errors("ignition"):
            return bool(self._ignition.value)

    def close(self) -> None:
        """See PowerSource.close."""
        if self._ignition is not None:
            with contextlib.suppress(PartFailedError), pin_errors("ignition"):
                self._ignition.close()
            self._ignition = None


class ScriptedPower:
    """The twin: a supply that a test turns on and off."""

    def __init__(self, *, ignition: bool | None = True) -> None:
        self.ignition = ignition
        self.throttle_word = 0
        self.silent: tuple[str, ...] = ()

    def look(self) -> Supply:
        """See PowerSource.look."""
        word = self.throttle_word
        return Supply(
            ignition=self.ignition,
            undervoltage=bool(word & _UNDERVOLTAGE),
            throttled=_is_throttled(word),
            silent=self.silent,
        )

    def close(self) -> None:
        """See PowerSource.close."""


class PowerOrder(Enum):
    """What the unit has to do about its supply."""

    RUN = "run"
    STOP_READING = "stop reading"  # finish the current pass, anchor the log, then ask again
    POWER_OFF = "power off"


@dataclass(frozen=True, slots=True, kw_only=True)
class IgnitionPolicy:
    """When the unit stops after the ignition is turned off.

    linger_s: how long to keep reading on the vehicle's battery. reserve_s: how long the supercapacitor lasts
    once the vehicle cuts the feed. shutdown_s: how long a shutdown takes.
    """

    linger_s: float = 60.0
    reserve_s: float = 30.0
    shutdown_s: float = 12.0

    def __post_init__(self) -> None:
        if self.shutdown_s >= self.reserve_s or min(self.linger_s, self.shutdown_s) < 0:
            raise ValueError("power: shutdown_s must be shorter than reserve_s, and neither time negative")


class IgnitionWatch:
    """Turns looks at the supply into orders. No I/O; POWER_OFF is final: the feed may be gone by then."""

    def __init__(self, policy: IgnitionPolicy) -> None:
        self._policy = policy
        self._off_since: float | None = None
        self._failing_since: float | None = None
        self._failed_s = 0.0  # when the voltage was last low
        self._order = PowerOrder.RUN

    def step(self, supply: Supply, now_s: float) -> PowerOrder:
        """The order at now_s (monotonic), after this look."""
        if self._order is PowerOrder.POWER_OFF:
            return self._order
        off = supply.ignition is False
        self._off_since = (now_s if self._off_since is None else self._off_since) if off else None
        # Undervoltage with the ignition off means that the capacitor feeds us: its time starts here. The
        # firmware's alarm flickers under a constant supply, so only a feed that lasts ends it.
        if off and supply.undervoltage:
            self._failing_since = now_s if self._failing_since is None else self._failing_since
            self._failed_s = now_s
        elif not off or now_s - self._failed_s >= FEED_HOLDS_S:
            self._failing_since = None
        policy = self._policy
        spare_s = policy.reserve_s - policy.shutdown_s
        if self._off_since is None:
            self._order = PowerOrder.RUN
        elif self._failing_since is not None:
            due = now_s - self._failing_since >= spare_s / 2
            self._order = PowerOrder.POWER_OFF if due else PowerOrder.STOP_READING
        elif now_s - self._off_since >= policy.linger_s + spare_s / 2:
            self._order = PowerOrder.POWER_OFF
        elif now_s - self._off_since >= policy.linger_s:
            self._order = PowerOrder.STOP_READING
        else:
            self._order = PowerOrder.RUN
        return self._order


def _is_throttled(word: int | None) -> bool | None:
    return None if word is None else bool(word & (_THROTTLED | _CAPPED | _SOFT_LIMIT))


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii", errors="replace")[:64].strip()
    except OSError:
        return None
