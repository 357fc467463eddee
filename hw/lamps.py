"""Infra-red strobe, IR-cut filter and the lamp at the case: gpiozero pins, and lamps that only remember
as twin.
"""

from __future__ import annotations

from typing import Any, Protocol

from hw.errors import MissingDriverError, PartFailedError


class Lamps(Protocol):
    """What the unit lights and moves."""

    def strobe(self, *, on: bool) -> None:
        """Let the infra-red strobe fire with the exposure, or not."""

    def day_filter(self, *, closed: bool) -> None:
        """Swing the infra-red cut filter in (day) or out (night)."""

    def status(self, *, on: bool) -> None:
        """The lamp at the case that the installer sees."""

    @property
    def lit(self) -> frozenset[str]:
        """Which of "strobe", "filter" and "status" are on."""

    def close(self) -> None:
        """Everything off; the pins go back."""


class GpioLamps:
    """Three outputs by gpiozero. Pins are BCM numbers; None where the unit has no such lamp."""

    def __init__(
        self,
        *,
        strobe_pin: int | None = None,
        filter_pin: int | None = None,
        status_pin: int | None = None,
        pin_factory: object = None,
    ) -> None:
        try:
            from gpiozero import DigitalOutputDevice  # noqa: PLC0415 - a driver imports late
            from gpiozero.exc import GPIOZeroError  # noqa: PLC0415
        except ImportError as error:
            raise MissingDriverError(
                "gpiozero not found: install the 'pi' extra, or set lamps.driver to none"
            ) from error
        self._pins: dict[str, Any] = {}
        for name, pin in (("strobe", strobe_pin), ("filter", filter_pin), ("status", status_pin)):
            if pin is None:
                continue
            try:
                self._pins[name] = DigitalOutputDevice(pin, pin_factory=pin_factory)
            except GPIOZeroError as error:
                self.close()
                raise MissingDriverError(
                    f"GPIO {pin} ({name}) cannot be used ({type(error).__name__}): is lgpio installed?"
                ) from error

    def strobe(self, *, on: bool) -> None:
        """See Lamps.strobe."""
        self._set("strobe", on)

    def day_filter(self, *, closed: bool) -> None:
        """See Lamps.day_filter."""
        self._set("filter", closed)

    def status(self, *, on: bool) -> None:
        """See Lamps.status."""
        self._set("status", on)

    @property
    def lit(self) -> frozenset[str]:
        """See Lamps.lit."""
        return frozenset(name for name, pin in self._pins.items() if pin.value)

    def close(self) -> None:
        """See Lamps.close."""
        while self._pins:
            _, pin = self._pins.popitem()
            pin.off()
            pin.close()

    def _set(self, name: str, on: bool) -> None:
        pin = self._pins.get(name)
        if pin is None:
            return
        try:
            pin.on() if on else pin.off()
        except OSError as error:
            raise PartFailedError(f"GPIO of the {name} did not switch ({type(error).__name__})") from error


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

    @property
    def lit(self) -> frozenset[str]:
        """See Lamps.lit."""
        return frozenset(self._lit)

    def close(self) -> None:
        """See Lamps.close."""
        self._lit.clear()

    def _set(self, name: str, on: bool) -> None:
        (self._lit.add if on else self._lit.discard)(name)
