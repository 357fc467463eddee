"""Strobe, IR-cut filter, case lamp, buzzer and alert lamp: gpiozero pins, and a twin that only remembers."""

from __future__ import annotations

import contextlib
from enum import StrEnum
from typing import Any, Protocol

from hw.errors import MissingDriverError, PartFailedError
from hw.gpio import open_pin, pin_errors


class Lamp(StrEnum):
    """The outputs that a unit may have."""

    STROBE = "strobe"
    """The infrared strobe may fire with the exposure."""
    FILTER = "filter"
    """The infrared cut filter is in (day) or out (night)."""
    STATUS = "status"
    """The lamp at the case that the installer sees."""
    BUZZER = "buzzer"
    """The buzzer that an officer hears; active, so that a level is a tone."""
    ALERT = "alert"
    """The lamp that an officer sees while an alert waits."""


class Lamps(Protocol):
    """The outputs of a unit."""

    def switch(self, lamp: Lamp, *, on: bool) -> None:
        """Switch one on or off; does nothing if the unit has no such lamp. Raises PartFailedError."""

    @property
    def lit(self) -> frozenset[Lamp]:
        """The outputs that are on."""

    def close(self) -> None:
        """Turn everything off and release the pins."""


class GpioLamps:
    """Outputs through gpiozero. Pins are BCM numbers; None if the unit has no such lamp."""

    def __init__(
        self,
        *,
        strobe_pin: int | None = None,
        filter_pin: int | None = None,
        status_pin: int | None = None,
        buzzer_pin: int | None = None,
        alert_pin: int | None = None,
        pin_factory: object = None,
    ) -> None:
        self._pins: dict[Lamp, Any] = {}
        for name, pin in (
            (Lamp.STROBE, strobe_pin),
            (Lamp.FILTER, filter_pin),
            (Lamp.STATUS, status_pin),
            (Lamp.BUZZER, buzzer_pin),
            (Lamp.ALERT, alert_pin),
        ):
            if pin is None:
                continue
            try:
                self._pins[name] = open_pin("DigitalOutputDevice", pin, name, pin_factory=pin_factory)
            except MissingDriverError:
                self.close()
                raise

    def switch(self, lamp: Lamp, *, on: bool) -> None:
        """See Lamps.switch."""
        pin = self._pins.get(lamp)
        if pin is None:
            return
        with pin_errors(lamp):
            pin.on() if on else pin.off()

    @property
    def lit(self) -> frozenset[Lamp]:
        """See Lamps.lit."""
        with pin_errors("lamps"):
            return frozenset(name for name, pin in self._pins.items() if pin.value)

    def close(self) -> None:
        """See Lamps.close."""
        while self._pins:
            name, pin = self._pins.popitem()
            with contextlib.suppress(PartFailedError), pin_errors(name):
                pin.off()
            with contextlib.suppress(PartFailedError), pin_errors(name):
                pin.close()


class BorrowedLamps:
    """Another owner's lamps: `close` restores the earlier state of the buzzer and the alert lamp."""

    def __init__(self, lamps: Lamps) -> None:
        self._lamps, self._before = lamps, lamps.lit

    def switch(self, lamp: Lamp, *, on: bool) -> None:
        """See Lamps.switch."""
        self._lamps.switch(lamp, on=on)

    @property
    def lit(self) -> frozenset[Lamp]:
        """See Lamps.lit."""
        return self._lamps.lit

    def close(self) -> None:
        """Give them back."""
        for lamp in (Lamp.BUZZER, Lamp.ALERT):
            with contextlib.suppress(PartFailedError):
                self._lamps.switch(lamp, on=lamp in self._before)


class RememberedLamps:
    """The twin: knows what is on."""

    def __init__(self) -> None:
        self._lit: set[Lamp] = set()

    def switch(self, lamp: Lamp, *, on: bool) -> None:
        """See Lamps.switch."""
        (self._lit.add if on else self._lit.discard)(lamp)

    @property
    def lit(self) -> frozenset[Lamp]:
        """See Lamps.lit."""
        return frozenset(self._lit)

    def close(self) -> None:
        """See Lamps.close."""
        self._lit.clear()
