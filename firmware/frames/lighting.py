"""Sets filter and strobe by the camera's own frames."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import numpy as np
import structlog
from numpy.typing import NDArray

from hw.camera import Frame
from hw.daylight import Daylight, DaylightPolicy, Light, needed_share
from hw.errors import HardwareError
from hw.lamps import Lamp, Lamps

LOOK_EVERY_S = 0.5


class Lighting:
    """Give it every frame; it measures twice a second. longest_us, gain_max: the camera's limits.

    on_switch: called when day turns to night or back.
    """

    def __init__(
        self,
        lamps: Lamps,
        *,
        longest_us: int,
        gain_max: float,
        log: structlog.typing.FilteringBoundLogger,
        policy: DaylightPolicy | None = None,
        on_switch: Callable[[], None] = lambda: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lamps, self._log, self._monotonic = lamps, log, monotonic
        self._longest_us, self._gain_max = longest_us, gain_max
        self._daylight = Daylight(policy)
        self._on_switch = on_switch
        self._set: Light | None = None
        self._reported: Light | None = None
        self._failed: frozenset[Lamp] = frozenset()
        self._looked_s = -LOOK_EVERY_S

    def limits(self, *, longest_us: int, gain_max: float) -> None:
        """Set the camera's limits."""
        self._longest_us, self._gain_max = longest_us, gain_max

    def frame_seen(self, frame: Frame, small: NDArray[np.uint8]) -> None:
        """Measure a frame; small: its low-resolution luma. Nothing of it is kept."""
        now_s = self._monotonic()
        if now_s - self._looked_s < LOOK_EVERY_S:
            return
        self._looked_s = now_s
        share = needed_share(
            float(small.mean()),
            exposure_us=frame.exposure_us,
            gain=frame.gain,
            longest_us=self._longest_us,
            gain_max=self._gain_max,
        )
        light = self._daylight.step(share, now_s)
        if light is self._set and not self._failed:
            return
        # outputs that did not switch are retried at every look; the reader continues
        self._failed = self._switch(light)
        self._set = light
        if light not in {Light.LOOKING, self._reported}:
            self._reported = light
            self._log.info("light", setting=light.value)
            self._on_switch()

    def put_out(self) -> None:
        """Turn the strobe off when reading has ended: it would drain the capacitor."""
        with contextlib.suppress(HardwareError):
            self._lamps.switch(Lamp.STROBE, on=False)

    def _switch(self, light: Light) -> frozenset[Lamp]:
        """Set both independently; returns those that failed."""
        failed = set()
        for lamp, at in ((Lamp.STROBE, Light.NIGHT), (Lamp.FILTER, Light.DAY)):
            try:
                self._lamps.switch(lamp, on=light is at)
            except HardwareError as error:
                failed.add(lamp)
                if lamp not in self._failed:
                    self._log.error("lamps_failed", reason=str(error))
        return frozenset(failed)
