"""Infra-red strobe, IR-cut filter, the lamp at the case, buzzer and lamp of alerts: gpiozero pins, and as
twin lamps that only remember.
"""

from __future__ import annotations

import contextlib
from typing import Any, Protocol

from hw.errors import MissingDriverError, PartFailedError
from hw.gpio import open_pin, pin_errors


class Lamps(Protocol):
    """What the unit lights and moves."""

    def strobe(self, *, on: bool) -> None:
        """Let the infra-red strobe fire with the exposure, or not."""

    def day_filter(self, *, closed: bool) -> None:
        """Swing the infra-red cut filter in (day) or out (night)."""

    def status(self, *, on: bool) -> None:
        """The lamp at the case that the installer sees."""

    def buzzer(self, *, on: bool) -> None:
        """The buzzer that an officer hears; active, so that a level is a tone."""

    def alert(self, *, on: bool) -> None:
        """The lamp that an officer sees while an alert waits."""

    @property
    def lit(self) -> frozenset[str]:
        """Which of "strobe", "filter", "status", "buzzer" and "alert" are on."""

    def close(self) -> None:
        """Everything off; the pins go back."""


class GpioLamps:
    """Outputs by gpiozero. Pins are BCM numbers; None if the unit has no such lamp."""

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
        self._pins: dict[str, Any] = {}
        for name, pin in (
            ("strobe", strobe_pin),
            ("filter", filter_pin),
            ("status", status_pin),
            ("buzzer", buzzer_pin),
            ("alert", alert_pin),
        ):
            if pin is None:
                continue
            try:
                self._pins[name] = open_pin("DigitalOutputDevice", pin, name, pin_factory=pin_factory)
            except MissingDriverError:
                self.close()
                raise

    def strobe(self, *, on: bool) -> None:
        """See Lamps.strobe."""
        self._set("strobe", on)

    def day_filter(self, *, closed: bool) -> None:
        """See Lamps.day_filter."""
        self._set("filter", closed)

    def status(self, *, on: bool) -> None:
        """See Lamps.status."""
        self._set("status", on)

    def buzzer(self, *, on: bool) -> None:
        """See Lamps.buzzer."""
        self._set("buzzer", on)

    def alert(self, *, on: bool) -> None:
        """See Lamps.alert."""
        self._set("alert", on)

    @property
    def lit(self) -> frozenset[str]:
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

    def _set(self, name: str, on: bool) -> None:
        pin = self._pins.get(name)
        if pin is None:
            return
        with pin_errors(name):
            pin.on() if on else pin.off()


class BorrowedLamps:
    """Lamps of another owner: `close` restores buzzer and alert lamp to their earlier state."""

    def __init__(self, lamps: Lamps) -> None:
        self._lamps, self._before = lamps, lamps.lit

    def strobe(self, *, on: bool) -> None:
        """See Lamps.strobe."""
        self._lamps.strobe(on=on)

    def day_filter(self, *, closed: bool) -> None:
        """See Lamps.day_filter."""
        self._lamps.day_filter(closed=closed)

    def status(self, *, on: bool) -> None:
        """See Lamps.status."""
        self._lamps.status(on=on)

    def buzzer(self, *, on: bool) -> None:
        """See Lamps.buzzer."""
        self._lamps.buzzer(on=on)

    def alert(self, *, on: bool) -> None:
        """See Lamps.alert."""
        self._lamps.alert(on=on)

    @property
    def lit(self) -> frozenset[str]:
        """See Lamps.lit."""
        return self._lamps.lit

    def close(self) -> None:
        """Give them back."""
        with contextlib.suppress(PartFailedError):
            self._lamps.buzzer(on="buzzer" in self._before)
        with contextlib.suppress(PartFailedError):
            self._lamps.alert(on="alert" in self._before)


class RememberedLamps:
    """The twin: knows what is on."""

    def __init__(self) -> None:
        self._lit: set[str] = set()

    def strobe(self, *, on: bool) -> None:
        """See Lamps.strobe."""
        self._set("strobe", on)

    def day_filter(self, *, closed: bool) -> None:
        """See Lamps.day_filter."""
        self._set("filter", closed)

    def status(self, *, on: bool) -> None:
        """See Lamps.status."""
        self._set("status", on)

    def buzzer(self, *, on: bool) -> None:
        """See Lamps.buzzer."""
        self._set("buzzer", on)

    def alert(self, *, on: bool) -> None:
        """See Lamps.alert."""
        self._set("alert", on)

    @property
    def lit(self) -> frozenset[str]:
        """See Lamps.lit."""
        return frozenset(self._lit)

    def close(self) -> None:
        """See Lamps.close."""
        self._lit.clear()

    def _set(self, name: str, on: bool) -> None:
        (self._lit.add if on else self._lit.discard)(name)
