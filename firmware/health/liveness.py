"""Whether a run deserves its heartbeat: frames come and are read. No I/O."""

from __future__ import annotations

import time
from collections.abc import Callable

BLIND_BEFORE_RESTART_S = 60.0  # if reopening does not help for this long, the supervisor restarts the process
NEVER_SEEN_BEFORE_RESTART_S = 1800.0  # if a restart did not help either; purge and sync continue
STUCK_BEFORE_RESTART_S = 300.0  # a purge or a slow card may delay a stage for this long


class Liveness:
    """Checked regularly during a run. reading: False if no frame can be read at all.

    quiet_s: how long a source may be without frames; a drop folder may be empty on a quiet night.
    """

    def __init__(
        self, *, reading: bool, quiet_s: float = 0.0, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._reading, self._quiet_s, self._monotonic = reading, quiet_s, monotonic
        self._read = -1
        self._read_s = monotonic()

    def alive(self, *, frame_age_s: float, read: int, seen: bool) -> bool:
        """Whether the run is alive. read: frames read so far, since a camera continues beside a hung stage.

        seen: whether any frame has come since the start.
        """
        now_s = self._monotonic()
        if read != self._read:
            self._read, self._read_s = read, now_s
        if not seen:
            return frame_age_s < max(NEVER_SEEN_BEFORE_RESTART_S, self._quiet_s)
        stuck = self._reading and now_s - self._read_s >= max(STUCK_BEFORE_RESTART_S, self._quiet_s)
        return frame_age_s < max(BLIND_BEFORE_RESTART_S, self._quiet_s) and not stuck
