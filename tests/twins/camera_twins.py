"""Small real things for camera tests: pictures, a video, picamera2 without a camera, a source that fails."""

from __future__ import annotations

import threading
import time
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hw.camera import Camera, Frame
from hw.clock import Clock, ClockState, UtcTime
from hw.errors import CameraStalledError

START_US = 1_800_000_000_000_000


def scene(size: tuple[int, int], shift: int = 0) -> NDArray[np.uint8]:
    """Black on the left, white on the right, RGB (H, W, 3)."""
    width, height = size
    picture = np.zeros((height, width, 3), dtype=np.uint8)
    picture[:, width // 2 + shift :] = 255
    return picture


def write_pictures(folder: Path, count: int, size: tuple[int, int]) -> Path:
    """frame_1.png ... frame_N.png in a folder of their own."""
    pictures = folder / "pictures"
    pictures.mkdir()
    for number in range(1, count + 1):
        Image.fromarray(scene(size)).save(pictures / f"frame_{number}.png")
    return pictures


def write_video(path: Path, count: int, size: tuple[int, int]) -> Path:
    """A short MPEG-4 video at 10 frames a second."""
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


class FakeRequest:
    """A completed request: YUV420 buffers with padded rows."""

    def __init__(self, camera: FakeCamera, number: int) -> None:
        self.buffers = {name: yuv420(stream) for name, stream in camera.streams.items()}
        self.metadata = camera.metadata(number)
        self.released = False
        self._camera = camera
        camera.out += 1

    def get_metadata(self) -> dict[str, Any]:
        return self.metadata

    def release(self) -> None:
        assert not self.released, "a request was given back twice"
        self.released = True
        self._camera.out -= 1


class FakeMappedArray:
    """picamera2.MappedArray with reshape=False; the memory is gone after the `with`."""

    def __init__(self, request: FakeRequest, stream: str, reshape: bool = True) -> None:
        assert not reshape
        self._buffer = request.buffers[stream]

    def __enter__(self) -> FakeMappedArray:
        self.array = self._buffer.view()
        return self

    def __exit__(self, *trouble: object) -> None:
        self._buffer[:] = 77


class FakeCamera:
    """picamera2.Picamera2 as far as the driver uses it."""

    def __init__(self, library: FakePicamera2) -> None:
        self.library = library
        self.streams: dict[str, dict[str, Any]] = {}
        self.controls: dict[str, Any] = {}
        self.number = 0
        self.out = 0
        self.started = self.closed = False

    def create_video_configuration(
        self, *, main: Any, lores: Any, controls: Any, buffer_count: int, colour_space: str = "Rec709"
    ) -> Any:
        assert buffer_count >= 4
        return {"main": main, "lores": lores, "controls": controls, "colour_space": colour_space}

    def configure(self, configuration: Any) -> None:
        self.controls = dict(configuration["controls"])
        for name in ("main", "lores"):
            stream = dict(configuration[name])
            stream["stride"] = (stream["size"][0] + 63) // 64 * 64
            stream["luma"] = (0, 255) if configuration["colour_space"] == "sYCC" else (16, 235)
            self.streams[name] = stream

    def camera_configuration(self) -> dict[str, Any]:
        return self.streams

    def start(self) -> None:
        self.started = True

    def stop(self) -> None:
        self.started = False

    def close(self) -> None:
        assert not self.started
        self.closed = True

    def set_controls(self, controls: dict[str, Any]) -> None:
        self.controls |= controls

    def capture_request(self, wait: float) -> FakeRequest:
        assert self.started
        assert wait > 0
        if self.library.silent:
            raise TimeoutError("timed out")
        self.number += 1
        return FakeRequest(self, self.number)

    def metadata(self, number: int) -> dict[str, Any]:
        self.library.now_ns += 50_000_000
        stamp_ns = self.library.now_ns - 30_000_000
        return {
            "SensorTimestamp": stamp_ns // self.library.ns_per_tick,
            "ExposureTime": self.controls["ExposureTime"],
            "AnalogueGain": self.controls["AnalogueGain"],
        }


class FakePicamera2:
    """The module: cameras that work, stamp in the unit that is asked for, or go silent."""

    MappedArray = FakeMappedArray
    libcamera = types.SimpleNamespace(ColorSpace=types.SimpleNamespace(Sycc=lambda: "sYCC"))

    def __init__(self, *, ns_per_tick: int = 1, present: bool = True) -> None:
        self.ns_per_tick = ns_per_tick
        self.present = present
        self.silent = False
        self.now_ns = self.start_ns = time.monotonic_ns()
        self.cameras: list[FakeCamera] = []

    def monotonic_ns(self) -> int:
        return self.now_ns

    def now(self) -> UtcTime:
        """The clock of the same world, so that UTC moves with the camera."""
        return UtcTime(
            us=START_US + (self.now_ns - self.start_ns) // 1000, error_us=1000, state=ClockState.DISCIPLINED
        )

    def Picamera2(self, number: int) -> FakeCamera:  # noqa: N802 - the library's own name
        if not self.present:
            raise IndexError("list index out of range")
        self.cameras.append(FakeCamera(self))
        return self.cameras[-1]


def yuv420(stream: dict[str, Any]) -> NDArray[np.uint8]:
    """A flat buffer with the scene in it; the padding holds noise that nobody may read."""
    width, height = stream["size"]
    stride = stream["stride"]
    rows = (height + 1) // 2
    luma = np.full((height, stride), 200, dtype=np.uint8)
    black, white = stream["luma"]
    luma[:, :width] = black
    luma[:, width // 2 : width] = white
    chroma = np.full((2, rows, stride // 2), 128, dtype=np.uint8)
    return np.concatenate([luma.reshape(-1), chroma.reshape(-1)])


class ScriptedSource:
    """A live source: gives frames until it is told to stall, hang or break; opening it again cures it."""

    live = True

    def __init__(self, clock: Clock, *, fps: float = 50.0) -> None:
        self.clock = clock
        self.period_s = self.interval_s = 1.0 / fps
        self.opened = 0
        self.sequence = 0
        self.stalled = threading.Event()
        self.raising: Exception | None = None
        self.refuse_open = 0
        self.hang_in_close = False

    def open(self) -> Camera:
        if self.refuse_open:
            self.refuse_open -= 1
            raise CameraStalledError("still busy")
        self.opened += 1
        self.stalled = threading.Event()
        self.raising = None
        return ScriptedCamera(self)


class ScriptedCamera:
    """The camera of a ScriptedSource; hangs as libcamera does, until the test is over."""

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
