"""The newest frame, for anyone who aims: one reference in memory, never kept longer than the next frame."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from hw.camera import Frame
from hw.errors import CameraStalledError, HardwareError

FIRST_FRAME_S = 10.0  # a camera that was just opened may take this long


class FrameWithheldError(HardwareError):
    """The reader takes no picture here, by the department's policy."""


class FrameTap:
    """Offered every frame by the pipeline; gives the newest to the console.

    A frame is not too old because a slow reader has not asked for the next one: only the camera knows
    that it was asked and does not deliver (`follow`).
    """

    def __init__(self, *, first_frame_s: float = FIRST_FRAME_S) -> None:
        self._changed = threading.Condition()
        self._first_frame_s = first_frame_s
        self._newest: Frame | None = None
        self._withheld = False
        self._silent_s: Callable[[], float | None] = lambda: None

    def follow(self, silent_s: Callable[[], float | None]) -> None:
        """Ask this whether the camera is silent: for how many seconds, None if it is not."""
        self._silent_s = silent_s

    def offer(self, frame: Frame) -> None:
        """A frame that owns its memory came."""
        with self._changed:
            self._newest, self._withheld = frame, False
            self._changed.notify_all()

    def withhold(self) -> None:
        """A frame came that may not be read: neither it nor an older one is shown."""
        with self._changed:
            self._newest, self._withheld = None, True
            self._changed.notify_all()

    def newest(self) -> Frame:
        """The newest frame; waits for the first one. Raises CameraStalledError, FrameWithheldError."""
        until_s = time.monotonic() + self._first_frame_s
        with self._changed:
            while True:
                silent_s = self._silent_s()
                if silent_s is not None:
                    raise CameraStalledError(f"no frame for {silent_s:.0f} s: is the camera connected?")
                if self._withheld:
                    raise FrameWithheldError("no picture is taken here: a no-read zone, or no position")
                if self._newest is not None:
                    return self._newest
                left_s = until_s - time.monotonic()
                if left_s <= 0:
                    raise CameraStalledError("no frame yet: is the camera connected?")
                self._changed.wait(min(left_s, 0.2))
