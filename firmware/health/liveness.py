"""Whether a run is worth its heartbeat: frames come, and are read. No I/O."""

from __future__ import annotations

import time
from collections.abc import Callable

BLIND_BEFORE_RESTART_S = 60.0  # reopening did not help for so long: let the supervisor restart the process
STUCK_BEFORE_RESTART_S = 300.0  # so long a stage may be held up, by a purge or a slow card


class Liveness:
    """Asked again and again while the run lasts."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._read = -1
        self._read_s = monotonic()

    def alive(self, *, frame_age_s: float, read: int) -> bool:
        """read: how many frames were read so far; a camera alone continues beside a stage that hangs."""
        now_s = self._monotonic()
        if read != self._read:
            self._read, self._read_s = read, now_s
        return frame_age_s < BLIND_BEFORE_RESTART_S and now_s - self._read_s < STUCK_BEFORE_RESTART_S
