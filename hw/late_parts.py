"""Lamps and supply that may come after us: what is wanted of them is kept until they are there.

Promise: opening is retried every few seconds, never in the call that asks for light; a failure is reported.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from hw.errors import HardwareError, PartFailedError
from hw.lamps import Lamps
from hw.power import PowerSource, Supply

AGAIN_S = 5.0


class LateLamps:
    """Lamps that are opened once they answer; see hw.lamps.Lamps. `tend` opens them."""

    def __init__(
        self, opening: Callable[[], Lamps], *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._opening, self._monotonic = opening, monotonic
        self._lamps: Lamps | None = None
        self._wanted: dict[str, bool] = {}
        self._tried_s: float | None = None
        self._closed = False
        self._lock = threading.Lock()
        self.trouble: str | None = None
        self.tend()

    def tend(self) -> None:
        """Try again if it is time; then apply what was requested in the meantime."""
        with self._lock:
            now_s = self._monotonic()
            if self._lamps is not None or self._closed:
                return
            if self._tried_s is not None and now_s - self._tried_s < AGAIN_S:
                return
            self._tried_s = now_s
            try:
                self._lamps = self._opening()
                self.trouble = None
                for name, on in self._wanted.items():
                    _set(self._lamps, name, on=on)
            except HardwareError as error:
                self.trouble = str(error)

    def strobe(self, *, on: bool) -> None:
        """See Lamps.strobe."""
        self._want("strobe", on)

    def day_filter(self, *, closed: bool) -> None:
        """See Lamps.day_filter."""
        self._want("filter", closed)

    def status(self, *, on: bool) -> None:
        """See Lamps.status."""
        self._want("status", on)

    def buzzer(self, *, on: bool) -> None:
        """See Lamps.buzzer."""
        self._want("buzzer", on)

    def alert(self, *, on: bool) -> None:
        """See Lamps.alert."""
        self._want("alert", on)

    @property
    def lit(self) -> frozenset[str]:
        """See Lamps.lit; nothing is lit before they are there."""
        return frozenset() if self._lamps is None else self._lamps.lit

    def close(self) -> None:
        """See Lamps.close."""
        with self._lock:
            self._closed = True
            lamps, self._lamps = self._lamps, None
        if lamps is not None:
            lamps.close()

    def _want(self, name: str, on: bool) -> None:
        with self._lock:
            self._wanted[name] = on
            lamps = self._lamps
        if lamps is not None:
            _set(lamps, name, on=on)


def _set(lamps: Lamps, name: str, *, on: bool) -> None:
    if name == "filter":
        lamps.day_filter(closed=on)
        return
    switches = {
        "strobe": lamps.strobe,
        "status": lamps.status,
        "buzzer": lamps.buzzer,
        "alert": lamps.alert,
    }
    switches[name](on=on)


class LatePower:
    """A supply that is looked at once it answers; see hw.power.PowerSource."""

    def __init__(
        self, opening: Callable[[], PowerSource], *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._opening, self._monotonic = opening, monotonic
        self._power: PowerSource | None = None
        self._tried_s: float | None = None
        self._closed = False
        self._lock = threading.Lock()
        self.trouble: str | None = None

    def look(self) -> Supply:
        """See PowerSource.look. Raises PartFailedError until it is there."""
        with self._lock:
            now_s = self._monotonic()
            due = self._tried_s is None or now_s - self._tried_s >= AGAIN_S
            if self._power is None and due and not self._closed:
                self._tried_s = now_s
                try:
                    self._power, self.trouble = self._opening(), None
                except HardwareError as error:
                    self.trouble = str(error)
            power = self._power
        if power is None:
            raise PartFailedError(self.trouble or "supply: closed")
        return power.look()

    def close(self) -> None:
        """See PowerSource.close."""
        with self._lock:
            self._closed = True
            power, self._power = self._power, None
        if power is not None:
            power.close()
