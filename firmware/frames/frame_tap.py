"""The newest frame, for aiming: one reference in memory, kept only until the next frame."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from hw.camera import Frame
from hw.errors import CameraStalledError, HardwareError

FIRST_FRAME_S = 10.0  # a camera that has just been opened may take this long


class FrameWithheldError(HardwareError):
    """By the department's policy, the reader takes no pictures here."""


class FrameTap:
    """Takes every frame from the pipeline, and gives the newest one to the console.

    A frame is not too old just because a slow reader has not asked for the next one: only the camera knows
    whether it was asked and does not deliver (`follow`).
    """

    def __init__(self, *, first_frame_s: float = FIRST_FRAME_S) -> None:
        self._changed = threading.Condition()
        self._first_frame_s = first_frame_s
        self._newest: Frame | None = None
        self._withheld = False
        self._silent_s: Callable[[], float | None] = lambda: None

    def follow(self, silent_s: Callable[[], float | None]) -> None:
        """From now on, call this for how long the camera has been silent (s); None if it is not."""
        self._silent_s = silent_s

    def offer(self, frame: Frame) -> None:
        """Take a frame, which must own its memory."""
        with self._changed:
            self._newest, self._withheld = frame, False
            self._changed.notify_all()

    def withhold(self) -> None:
        """Note a frame that may not be read: neither it nor an older one is shown."""
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
