"""Small real inputs for tests of cameras: pictures, a video, a source that fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hw.camera import Camera, Frame
from hw.camera_watch import WatchedCamera
from hw.clock import Clock, SetClock
from hw.errors import CameraStalledError

START_US = 1_800_000_000_000_000


def scene(size: tuple[int, int], shift: int = 0) -> NDArray[np.uint8]:
    """Black on the left, white on the right, RGB (H, W, 3)."""
    width, height = size
    picture = np.zeros((height, width, 3), dtype=np.uint8)
    picture[:, width // 2 + shift :] = 255
    return picture


def write_pictures(folder: Path, count: int, size: tuple[int, int]) -> Path:
    """Write frame_1.png to frame_N.png into a new folder."""
    pictures = folder / "pictures"
    pictures.mkdir()
    for number in range(1, count + 1):
        Image.fromarray(scene(size)).save(pictures / f"frame_{number}.png")
    return pictures


def write_video(path: Path, count: int, size: tuple[int, int]) -> Path:
    """Write a short MPEG-4 video at 10 frames a second."""
    import av

    with av.open(str(path), mode="w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = 4_000_000
        for _ in range(count):
            for packet in stream.encode(av.VideoFrame.from_ndarray(scene(size), format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


class ScriptedSource:
    """A live source that gives frames until a test makes it stall, hang or fail; reopening it cures it."""

    live = True

    def __init__(self, clock: Clock, *, fps: float = 50.0) -> None:
        self.clock = clock
        self.period_s = self.interval_s = 1.0 / fps
        self.opened = 0
        self.sequence = 0
        self.stalled = threading.Event()
        self.hanging = threading.Event()  # the driver is in a call that does not return
        self.raising: Exception | None = None
        self.refuse_open = 0

    def open(self) -> Camera:
        if self.refuse_open:
            self.refuse_open -= 1
            raise CameraStalledError("still busy")
        self.opened += 1
        self.stalled = threading.Event()
        self.hanging.clear()
        self.raising = None
        return ScriptedCamera(self)


class ScriptedCamera:
    """The camera of a ScriptedSource; it hangs as libcamera does, until the test closes it."""

    def __init__(self, source: ScriptedSource) -> None:
        self.source = source
        self.stalled = source.stalled
        self.closing = threading.Event()

    @contextmanager
    def borrow(self) -> Iterator[Frame]:
        time.sleep(self.source.period_s)
        if self.source.raising is not None:
            raise self.source.raising
        if self.stalled.is_set():
            self.source.hanging.set()
            self.closing.wait(20)
            raise CameraStalledError("gone")
        self.source.sequence += 1
        yield Frame(
            luma=np.zeros((4, 6), dtype=np.uint8),
            chroma=None,
            lores=None,
            sequence=self.source.sequence,
            captured=self.source.clock.now(),
            exposure_us=None,
            gain=None,
            source="scripted",
        )

    def close(self) -> None:
        self.closing.set()


class WatchdogTime(SetClock):
    """The watchdog's clock: each reading advances it a millisecond, or half a stall while the driver hangs.

    So a busy machine never looks like a stalled camera, and a hang is noticed at the third reading.
    """

    def __init__(self, source: ScriptedSource, stall_s: float) -> None:
        super().__init__(START_US)
        self._source, self._stall_s = source, stall_s
        self.camera: WatchedCamera | None = None  # the one it times; no jumps once it is blind

    def monotonic(self) -> float:
        """Seconds, for the watchdog."""
        blind = self.camera is not None and self.camera.blind_now
        hangs = self._source.hanging.is_set() and not blind
        self.step(round(self._stall_s * 500_000) if hangs else 1000)
        return self.now().us / 1e6
