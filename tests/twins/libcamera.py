"""libcamera's Python binding without a camera, so that picamera2's own classes run on any machine.

Only what is below picamera2 is replaced. Calls in a wrong state are refused as libcamera refuses them
(camera.h, "Camera Operation": available, acquired, configured, running), so a driver that forgets a step
fails here too. A test controls the hardware through `sensor`.
"""

from __future__ import annotations

import collections
import contextlib
import enum
import mmap
import os
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

_libcamera = sys.modules[__name__]  # picamera2 asks for libcamera._libcamera.ColorSpace
BUSY = "Device or resource busy"


class StreamRole(enum.Enum):
    StillCapture, Raw, VideoRecording, Viewfinder = range(4)


class ControlType(enum.Enum):
    Null, Bool, Integer32, Integer64, Float, Rectangle, Size = range(7)


class Orientation(enum.Enum):
    (
        Rotate0,
        Rotate0Mirror,
        Rotate180,
        Rotate180Mirror,
        Rotate90Mirror,
        Rotate270,
        Rotate270Mirror,
        Rotate90,
    ) = range(8)


class Transform:
    """A plain value; picamera2 adds its comparison."""

    def __init__(
        self, other: Transform | None = None, *, hflip: int = 0, vflip: int = 0, transpose: int = 0
    ) -> None:
        self.hflip, self.vflip, self.transpose = bool(hflip), bool(vflip), bool(transpose)
        if other is not None:
            self.hflip, self.vflip, self.transpose = other.hflip, other.vflip, other.transpose

    def __str__(self) -> str:
        return "identity" if not (self.hflip or self.vflip or self.transpose) else "turned"

    __hash__ = object.__hash__


class ColorSpace:
    """A plain value; `full`: whether luma ranges from 0 to 255."""

    class YcbcrEncoding(enum.Enum):
        Null, Rec601, Rec709 = range(3)

    class Range(enum.Enum):
        Full, Limited = range(2)

    primaries: str
    transferFunction: str  # noqa: N815
    ycbcrEncoding: YcbcrEncoding  # noqa: N815
    range: Range

    def __init__(self, other: ColorSpace) -> None:
        self.primaries, self.transferFunction = other.primaries, other.transferFunction
        self.ycbcrEncoding, self.range = other.ycbcrEncoding, other.range

    @classmethod
    def _made(cls, primaries: str, transfer: str, encoding: YcbcrEncoding, reach: Range) -> ColorSpace:
        made = cls.__new__(cls)
        made.primaries, made.transferFunction = primaries, transfer
        made.ycbcrEncoding, made.range = encoding, reach
        return made

    @classmethod
    def Sycc(cls) -> ColorSpace:  # noqa: N802
        return cls._made("Rec709", "Srgb", cls.YcbcrEncoding.Rec601, cls.Range.Full)

    @classmethod
    def Rec709(cls) -> ColorSpace:  # noqa: N802
        return cls._made("Rec709", "Rec709", cls.YcbcrEncoding.Rec709, cls.Range.Limited)

    @classmethod
    def Smpte170m(cls) -> ColorSpace:  # noqa: N802
        return cls._made("Smpte170m", "Rec709", cls.YcbcrEncoding.Rec601, cls.Range.Limited)

    @classmethod
    def Raw(cls) -> ColorSpace:  # noqa: N802
        return cls._made("Raw", "Linear", cls.YcbcrEncoding.Null, cls.Range.Full)

    def __str__(self) -> str:
        return f"{self.primaries}/{self.transferFunction}"

    __hash__ = object.__hash__


class Size:
    def __init__(self, width: int = 0, height: int = 0) -> None:
        self.width, self.height = width, height


class Rectangle:
    def __init__(self, x: int = 0, y: int = 0, width: int = 0, height: int = 0) -> None:
        self.x, self.y, self.width, self.height = x, y, width, height


class PixelFormat:
    def __init__(self, name: str) -> None:
        self._name = name

    def __str__(self) -> str:
        return self._name


class SensorConfiguration:
    bit_depth = 0
    output_size = Size()


class ControlId:
    """A control or property; picamera2 uses it as a key."""

    def __init__(self, name: str, kind: ControlType) -> None:
        self.name, self.type = name, kind


class ControlInfo:
    def __init__(self, low: Any, high: Any, default: Any) -> None:
        self.min, self.max, self.default = low, high, default


class controls:  # noqa: N801 - the binding's own name
    AeEnable = ControlId("AeEnable", ControlType.Bool)
    ExposureTime = ControlId("ExposureTime", ControlType.Integer32)
    ExposureTimeMode = ControlId("ExposureTimeMode", ControlType.Integer32)
    AnalogueGain = ControlId("AnalogueGain", ControlType.Float)
    AnalogueGainMode = ControlId("AnalogueGainMode", ControlType.Integer32)
    FrameDurationLimits = ControlId("FrameDurationLimits", ControlType.Integer64)
    AfMode = ControlId("AfMode", ControlType.Integer32)
    LensPosition = ControlId("LensPosition", ControlType.Float)
    draft = types.SimpleNamespace(
        NoiseReductionModeEnum=enum.Enum("NoiseReductionModeEnum", "Minimal Fast HighQuality")
    )


class properties:  # noqa: N801 - the binding's own name
    Model = ControlId("Model", ControlType.Null)
    ColorFilterArrangement = ControlId("ColorFilterArrangement", ControlType.Integer32)
    draft = types.SimpleNamespace(
        ColorFilterArrangementEnum=types.SimpleNamespace(MONO=5),
    )


class FrameMetadata:
    class Status(enum.Enum):
        Success, Error, Cancelled, Startup = range(4)

    def __init__(self, status: Status) -> None:
        self.status = status


class FrameBuffer:
    class Plane:
        fd, offset, length = -1, 0, 0

    def __init__(self, planes: Sequence[Plane]) -> None:
        self.planes = list(planes)
        self.metadata = FrameMetadata(FrameMetadata.Status.Success)
        self._kept = os.dup(planes[0].fd)  # libcamera keeps its own descriptors
        self._memory = mmap.mmap(self._kept, planes[0].length)

    def write(self, pixels: NDArray[np.uint8]) -> None:
        """Write to the buffer as the sensor's DMA does."""
        self._memory[: pixels.size] = pixels.tobytes()

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError):
            self._memory.close()
            os.close(self._kept)


class Stream:
    def __init__(self, configuration: StreamConfiguration) -> None:
        self.configuration = configuration


class StreamConfiguration:
    def __init__(self, role: StreamRole) -> None:
        self.role = role
        self.size, self.pixel_format = (
            Size(640, 480),
            PixelFormat("SRGGB10_CSI2P" if role is StreamRole.Raw else "YUV420"),
        )
        self.buffer_count, self.stride, self.frame_size = 4, 0, 0
        self.color_space: ColorSpace | None = None
        self.stream = Stream(self)

    @property
    def formats(self) -> Any:
        return types.SimpleNamespace(
            pixel_formats=[PixelFormat("SRGGB10_CSI2P")], sizes=lambda _: [Size(2304, 1296), Size(4608, 2592)]
        )


class CameraConfiguration:
    class Status(enum.Enum):
        Valid, Adjusted, Invalid = range(3)

    def __init__(self, roles: Sequence[StreamRole]) -> None:
        self._streams = [StreamConfiguration(role) for role in roles]
        self.orientation = Orientation.Rotate0
        self.sensor_config: SensorConfiguration | None = None

    def at(self, index: int) -> StreamConfiguration:
        return self._streams[index]

    def __iter__(self) -> Iterator[StreamConfiguration]:
        return iter(self._streams)

    def validate(self) -> Status:
        """Pad rows to 64 bytes, as the Pi's ISP requires."""
        for stream in self._streams:
            if sensor.adjusts_to and stream.role is not StreamRole.Raw:
                stream.pixel_format = PixelFormat(sensor.adjusts_to)
            stream.stride = (stream.size.width + 63) // 64 * 64
            rows = stream.size.height + (stream.size.height + 1) // 2  # the two chroma planes share a row
            stream.frame_size = max(4096, stream.stride * rows)
        return CameraConfiguration.Status.Adjusted


class Request:
    class Status(enum.Enum):
        Pending, Complete, Cancelled = range(3)

    def __init__(self, cookie: int) -> None:
        self.cookie = cookie
        self.status = Request.Status.Pending
        self.buffers: dict[Stream, FrameBuffer] = {}
        self.metadata: dict[ControlId, Any] = {}
        self.set: dict[ControlId, Any] = {}

    def add_buffer(self, stream: Stream, buffer: FrameBuffer) -> None:
        self.buffers[stream] = buffer

    def set_control(self, control: ControlId, value: Any) -> None:
        self.set[control] = value

    def reuse(self) -> None:
        self.status = Request.Status.Pending
        self.metadata = {}
        self.set = {}


class Sensor:
    """The test's control of the hardware: whether it is there, delivers or hangs, and its timestamps."""

    def __init__(self) -> None:
        self.present = True
        self.held_elsewhere = False  # another program has acquired it
        self.silent = False  # queued requests stay where they are
        self.hangs_in: frozenset[str] = frozenset()  # calls of Camera that never return
        self.hangs_s = 60.0  # so that a failing test still ends
        self.released = threading.Event()  # set at the end of a test: releases hanging calls
        self.ns_per_tick = 1
        self.stamps_as: Callable[[int], int] = lambda ns: ns
        self.adjusts_to = ""  # the pixel format that replaces any other
        self.frame_us = 5_000
        self.tells_duration = True
        self.torn = 0  # how many of the next frames have an incomplete second stream
        self.missed = 0  # how many frames are dropped before the next delivery
        self.state: list[str] = []  # the calls, in order
        self.applied: dict[str, Any] = {}  # controls in force
        self.unadvertised: frozenset[str] = frozenset()
        self.stamped_ns = 0

    def calls(self, name: str) -> None:
        """Record a call of the binding; hang if the test wants it to."""
        self.state.append(name)
        if name in self.hangs_in:
            self.released.wait(self.hangs_s)


sensor = Sensor()


class Camera:
    """One camera, in one of libcamera's states."""

    id = "/base/soc/i2c0mux/i2c@1/imx708@1a"

    def __init__(self) -> None:
        self._state = "available"
        self._queued: collections.deque[Request] = collections.deque()
        self._guard = threading.Condition()
        self._thread: threading.Thread | None = None

    @property
    def controls(self) -> dict[ControlId, ControlInfo]:
        every = [value for value in vars(controls).values() if isinstance(value, ControlId)]
        return {one: ControlInfo(0, 1_000_000, 0) for one in every if one.name not in sensor.unadvertised}

    @property
    def properties(self) -> dict[ControlId, Any]:
        return {properties.Model: "imx708", properties.ColorFilterArrangement: 0}

    def generate_configuration(self, roles: Sequence[StreamRole]) -> CameraConfiguration:
        return CameraConfiguration(roles)

    def acquire(self) -> None:
        sensor.calls("acquire")
        if self._state != "available" or sensor.held_elsewhere:
            raise RuntimeError(f"Failed to acquire camera: {BUSY}")
        self._state = "acquired"

    def release(self) -> None:
        sensor.calls("release")
        if self._state == "running":
            raise RuntimeError(f"Failed to release camera: {BUSY}")
        self._state = "available"

    def configure(self, _configuration: CameraConfiguration) -> int:
        self._need("acquired", "configured")
        self._state = "configured"
        return 0

    def create_request(self, cookie: int) -> Request:
        self._need("configured", "running")
        return Request(cookie)

    def start(self, given: dict[ControlId, Any]) -> None:
        sensor.calls("start")
        self._need("configured")
        self._state = "running"
        sensor.applied |= {control.name: value for control, value in given.items()}
        self._thread = threading.Thread(target=self._deliver, name="sensor", daemon=True)
        self._thread.start()

    def queue_request(self, request: Request) -> None:
        self._need("running")
        with self._guard:
            self._queued.append(request)
            self._guard.notify_all()

    def stop(self) -> None:
        sensor.calls("stop")
        self._need("running")
        with self._guard:
            self._state = "configured"
            self._guard.notify_all()
        if self._thread is not None:
            self._thread.join()
        for request in self._queued:
            request.status = Request.Status.Cancelled
        CameraManager.singleton().completed(list(self._queued))
        self._queued.clear()

    def _need(self, *states: str) -> None:
        if self._state not in states:
            raise RuntimeError(f"camera in {self._state} state, not {' or '.join(states)}")

    def _deliver(self) -> None:
        while True:
            with self._guard:
                self._guard.wait_for(lambda: self._state != "running" or bool(self._queued), timeout=0.05)
                if self._state != "running":
                    return
                request = None if sensor.silent or not self._queued else self._queued.popleft()
            time.sleep(sensor.frame_us / 1e6)
            if request is not None:
                self._expose(request)
                CameraManager.singleton().completed([request])

    @staticmethod
    def _expose(request: Request) -> None:
        sensor.applied |= {control.name: value for control, value in request.set.items()}
        frame_ns = 1000 * sensor.frame_us
        missed, sensor.missed = sensor.missed, 0
        now_ns = time.monotonic_ns()
        last_ns = sensor.stamped_ns or now_ns - 2 * frame_ns
        # exactly one frame apart, but never later than the clock
        sensor.stamped_ns = (
            min(last_ns + (1 + missed) * frame_ns, now_ns) if now_ns - last_ns < 1e9 else now_ns
        )
        request.metadata = {
            ControlId("SensorTimestamp", ControlType.Integer64): sensor.stamps_as(sensor.stamped_ns)
            // sensor.ns_per_tick,
            controls.ExposureTime: sensor.applied.get("ExposureTime"),
            controls.AnalogueGain: sensor.applied.get("AnalogueGain"),
        }
        if sensor.tells_duration:
            request.metadata[ControlId("FrameDuration", ControlType.Integer64)] = sensor.frame_us
        torn, sensor.torn = sensor.torn > 0, max(0, sensor.torn - 1)
        for number, (stream, buffer) in enumerate(request.buffers.items()):
            whole = not (torn and number)
            buffer.metadata = FrameMetadata(
                FrameMetadata.Status.Success if whole else FrameMetadata.Status.Error
            )
            if stream.configuration.role is not StreamRole.Raw:
                buffer.write(pixels(stream.configuration))
        request.status = Request.Status.Complete


def pixels(stream: StreamConfiguration) -> NDArray[np.uint8]:
    """YUV420 with black on the left and white on the right; the padding contains noise."""
    full = stream.color_space is not None and stream.color_space.range is ColorSpace.Range.Full
    black, white = (0, 255) if full else (16, 235)
    width, height, rows = stream.size.width, stream.size.height, (stream.size.height + 1) // 2
    luma = np.full((height, stream.stride), 200, dtype=np.uint8)
    luma[:, :width] = black
    luma[:, width // 2 : width] = white
    chroma = np.full((2, rows, stream.stride // 2), 128, dtype=np.uint8)
    return np.concatenate([luma.reshape(-1), chroma.reshape(-1)])


class CameraManager:
    """The only manager of a process, with the eventfd that picamera2 polls."""

    _one: ClassVar[CameraManager | None] = None

    def __init__(self) -> None:
        self.event_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._camera = Camera()
        self._ready: list[Request] = []
        self._guard = threading.Lock()

    @classmethod
    def singleton(cls) -> CameraManager:
        if cls._one is None:
            cls._one = cls()
        return cls._one

    @property
    def cameras(self) -> list[Camera]:
        return [self._camera] if sensor.present else []

    def completed(self, requests: list[Request]) -> None:
        with self._guard:
            self._ready += requests
        os.eventfd_write(self.event_fd, 1)

    def get_ready_requests(self) -> list[Request]:
        with self._guard:
            ready, self._ready = self._ready, []
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self.event_fd)
        return ready


def fresh_sensor() -> Sensor:
    """Prepare for another test: a camera that works and is not in use."""
    global sensor  # noqa: PLW0603 - libcamera has one manager a process, and so has its stand-in
    sensor.released.set()
    sensor = Sensor()
    CameraManager.singleton()._camera = Camera()
    return sensor
