"""Whether a run is worth its heartbeat: frames come, and are read. No I/O."""

from __future__ import annotations

import time
from collections.abc import Callable

BLIND_BEFORE_RESTART_S = 60.0  # reopening did not help for so long: let the supervisor restart the process
NEVER_SEEN_BEFORE_RESTART_S = 1800.0  # a restart did not help either; purge and sync continue
STUCK_BEFORE_RESTART_S = 300.0  # so long a stage may be held up, by a purge or a slow card


class Liveness:
    """Asked again and again while the run lasts. reading: False where no frame can be read at all.

    quiet_s: for so long a source may have no frame; a drop folder of a quiet night is not dead.
    """

    def __init__(
        self, *, reading: bool, quiet_s: float = 0.0, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._reading, self._quiet_s, self._monotonic = reading, quiet_s, monotonic
        self._read = -1
        self._read_s = monotonic()

    def alive(self, *, frame_age_s: float, read: int, seen: bool) -> bool:
        """read: how many frames were read so far; a camera alone continues beside a stage that hangs.

        seen: whether any frame came since the start.
        """
        now_s = self._monotonic()
        if read != self._read:
            self._read, self._read_s = read, now_s
        if not seen:
            return frame_age_s < max(NEVER_SEEN_BEFORE_RESTART_S, self._quiet_s)
        stuck = self._reading and now_s - self._read_s >= max(STUCK_BEFORE_RESTART_S, self._quiet_s)
        return frame_age_s < max(BLIND_BEFORE_RESTART_S, self._quiet_s) and not stuck
