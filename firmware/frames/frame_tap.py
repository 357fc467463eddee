"""The newest frame, for anyone who aims: one reference in memory, never kept longer than the next frame."""

from __future__ import annotations

import threading

from hw.camera import Frame


class FrameTap:
    """Offered every frame by the pipeline; gives the newest to the console."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest: Frame | None = None

    def offer(self, frame: Frame) -> None:
        """A frame that owns its memory came."""
        with self._lock:
            self._newest = frame

    def newest(self) -> Frame | None:
        """The newest frame, None before the first."""
        with self._lock:
            return self._newest
