"""Lamps and a power supply that may appear after the reader has started; requests are kept until then.

Promise: opening is retried every few seconds, never within a call that switches a lamp, and a failure is
reported.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from hw.errors import HardwareError, PartFailedError
from hw.lamps import Lamp, Lamps
from hw.power import PowerSource, Supply

AGAIN_S = 5.0


class Closable(Protocol):
    """A part that can be released."""

    def close(self) -> None:
        """Release it."""


Part = TypeVar("Part", bound=Closable)


class LatePart(Generic[Part]):
    """A part that is opened once it answers. `trouble`: why it does not yet."""

    def __init__(
        self, opening: Callable[[], Part], *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._opening, self._monotonic = opening, monotonic
        self._part: Part | None = None
        self._tried_s: float | None = None
        self._closed = False
        self._lock = threading.Lock()
        self.trouble: str | None = None

    def tend(self) -> None:
        """Try to open it if the time has come."""
        with self._lock:
            now_s = self._monotonic()
            due = self._tried_s is None or now_s - self._tried_s >= AGAIN_S
            if self._part is not None or self._closed or not due:
                return
            self._tried_s = now_s
            try:
                self._part, self.trouble = self._opening(), None
                self._opened(self._part)
            except HardwareError as error:
                self.trouble = str(error)

    def close(self) -> None:
        """Release it for good."""
        with self._lock:
            self._closed = True
            part, self._part = self._part, None
        if part is not None:
            part.close()

    def _opened(self, part: Part) -> None:
        """Apply what was requested before it was there. Raises HardwareError."""


class LateLamps(LatePart[Lamps]):
    """Lamps that are opened once they answer; see hw.lamps.Lamps. `tend` opens them."""

    def __init__(
        self, opening: Callable[[], Lamps], *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(opening, monotonic=monotonic)
        self._wanted: dict[Lamp, bool] = {}
        self.tend()

    def switch(self, lamp: Lamp, *, on: bool) -> None:
        """See Lamps.switch."""
        with self._lock:
            self._wanted[lamp] = on
            lamps = self._part
        if lamps is not None:
            lamps.switch(lamp, on=on)

    @property
    def lit(self) -> frozenset[Lamp]:
        """See Lamps.lit; nothing is lit before they are there."""
        return frozenset() if self._part is None else self._part.lit

    def _opened(self, part: Lamps) -> None:
        for lamp, on in self._wanted.items():
            part.switch(lamp, on=on)


class LatePower(LatePart[PowerSource]):
    """A supply that is opened once it answers; see hw.power.PowerSource."""

    def look(self) -> Supply:
        """See PowerSource.look. Raises PartFailedError until it is there."""
        self.tend()
        power = self._part
        if power is None:
            raise PartFailedError(self.trouble or "supply: closed")
        return power.look()
