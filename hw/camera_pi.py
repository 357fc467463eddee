"""The Raspberry Pi camera through picamera2: main and low-resolution YUV420 of the same exposure.

Promises: the shutter and gain never exceed what is set; a time stamp in the wrong unit is found at start and
mended or refused, never believed; a request that does not come raises CameraStalledError.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw.camera import Frame
from hw.clock import Clock, UtcTime
from hw.errors import CameraStalledError, MissingDriverError, PartFailedError
from hw.exposure import Exposure, next_exposure

FRESH_NS = 2_000_000_000  # a frame's stamp lies at most this far behind the clock when it arrives
EXPOSURE_EVERY = 5  # frames between two changes: a change takes about 3 frames to show


@dataclass(frozen=True, slots=True, kw_only=True)
class PiCameraSettings:
    """What the driver asks the camera for; the reasons stand with the configuration."""

    number: int = 0
    width: int = 1920
    height: int = 1080
    lores_width: int = 640
    lores_height: int = 360
    fps: float = 20.0
    exposure_us: int = 800
    gain_max: float = 8.0
    focus_dioptres: float | None = None
    stall_s: float = 4.0


def load_picamera2() -> Any:
    """picamera2. Raises MissingDriverError naming the cure."""
    try:
        return import_module("picamera2")
    except ImportError as error:
        raise MissingDriverError(
            "picamera2 not found: install it (sudo apt install python3-picamera2, or the 'pi' extra), "
            "or set camera.source to a folder of pictures"
        ) from error


class Picamera2Source:
    """Opens the Pi camera, as often as needed. `picamera2` is the library's module."""

    live = True

    def __init__(
        self,
        settings: PiCameraSettings,
        *,
        clock: Clock,
        picamera2: Any = None,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._library = load_picamera2() if picamera2 is None else picamera2
        self._monotonic_ns = monotonic_ns
        self.interval_s = 1.0 / settings.fps

    def open(self) -> Picamera2Camera:
        """See CameraSource.open."""
        return Picamera2Camera(
            self._settings, clock=self._clock, picamera2=self._library, monotonic_ns=self._monotonic_ns
        )


class Picamera2Camera:
    """One started camera; see hw.camera.Camera."""

    def __init__(
        self,
        settings: PiCameraSettings,
        *,
        clock: Clock,
        picamera2: Any,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._library = picamera2
        self._monotonic_ns = monotonic_ns
        self._taken = self._sequence = 0
        self._stamp_ns: int | None = None  # of the last frame
        self._ns_per_tick: int | None = None
        self._exposure = Exposure(exposure_us=settings.exposure_us, gain=min(2.0, settings.gain_max))
        try:
            self._camera = picamera2.Picamera2(settings.number)
        except (RuntimeError, IndexError, OSError) as error:
            raise MissingDriverError(
                f"camera {settings.number} not found ({error}): check the ribbon cable and `rpicam-hello "
                "--list-cameras`, or set camera.source to a folder of pictures"
            ) from error
        try:
            self._camera.configure(self._configuration())
            self._camera.start()
        except (RuntimeError, ValueError, OSError) as error:
            self._camera.close()
            raise PartFailedError(f"camera {settings.number}: refused its configuration ({error})") from error

    def _configuration(self) -> Any:
        wanted = self._settings
        frame_us = round(1e6 / wanted.fps)
        controls: dict[str, Any] = {
            "AeEnable": False,
            "ExposureTime": self._exposure.exposure_us,
            "AnalogueGain": self._exposure.gain,
            "FrameDurationLimits": (frame_us, frame_us),
        }
        if wanted.focus_dioptres is not None:
            controls |= {"AfMode": 0, "LensPosition": wanted.focus_dioptres}  # 0 is manual
        return self._camera.create_video_configuration(
            main={"size": (wanted.width, wanted.height), "format": "YUV420"},
            lores={"size": (wanted.lores_width, wanted.lores_height), "format": "YUV420"},
            controls=controls,
            buffer_count=6,
            # picamera2 takes a limited range for video (luma 16 to 235), in which black is never dark
            colour_space=self._library.libcamera.ColorSpace.Sycc(),
        )

    @contextmanager
    def borrow(self) -> Iterator[Frame]:
        """See Camera.borrow. The request goes back to the camera at the end of the `with`."""
        settings = self._settings
        try:
            request = self._camera.capture_request(wait=settings.stall_s)
        except TimeoutError as error:
            raise CameraStalledError(
                f"camera {settings.number}: no frame for {settings.stall_s:g} s"
            ) from error
        except RuntimeError as error:
            raise PartFailedError(f"camera {settings.number}: {error}") from error
        try:
            metadata = request.get_metadata()
            with (
                self._library.MappedArray(request, "main", reshape=False) as main,
                self._library.MappedArray(request, "lores", reshape=False) as lores,
            ):
                configuration = self._camera.camera_configuration()
                luma, chroma = yuv420_planes(main.array, configuration["main"])
                small, _ = yuv420_planes(lores.array, configuration["lores"])
                captured = self._captured(metadata)
                self._count(metadata)
                frame = Frame(
                    luma=luma,
                    chroma=chroma,
                    lores=small,
                    sequence=self._sequence,
                    captured=captured,
                    exposure_us=metadata.get("ExposureTime"),
                    gain=metadata.get("AnalogueGain"),
                    source=f"camera {settings.number}",
                )
                self._expose(small)
                yield frame
        finally:
            request.release()

    def close(self) -> None:
        """See Camera.close."""
        camera, self._camera = self._camera, None
        if camera is not None:
            try:
                camera.stop()
            finally:
                camera.close()

    def _captured(self, metadata: dict[str, Any]) -> UtcTime:
        """SensorTimestamp (begin of the first row, CLOCK_MONOTONIC as V4L2 stamps it) as UTC."""
        stamp = metadata.get("SensorTimestamp")
        if not isinstance(stamp, int):
            raise PartFailedError(
                f"camera {self._settings.number}: a frame without SensorTimestamp: update libcamera"
            )
        before = self._monotonic_ns()
        now = self._clock.now()
        slack_ns = self._monotonic_ns() - before
        if self._ns_per_tick is None:
            self._ns_per_tick = ns_per_tick(stamp, before)
        age_ns = max(0, before - stamp * self._ns_per_tick)
        return now.shifted(-(age_ns // 1000), more_error_us=slack_ns // 1000 + 1)

    def _count(self, metadata: dict[str, Any]) -> None:
        """Number the frame: the library drops what nobody fetched in time without a word, so stamps tell."""
        stamp_ns = metadata["SensorTimestamp"] * (self._ns_per_tick or 1)
        frame_ns = 1000 * (metadata.get("FrameDuration") or round(1e6 / self._settings.fps))
        if self._stamp_ns is not None:
            self._sequence += max(1, round((stamp_ns - self._stamp_ns) / frame_ns))
        self._stamp_ns = stamp_ns

    def _expose(self, luma: NDArray[np.uint8]) -> None:
        self._taken += 1
        if self._taken % EXPOSURE_EVERY:
            return
        settings = self._settings
        wanted = next_exposure(
            float(luma[::4, ::4].mean()),
            self._exposure,
            exposure_us=settings.exposure_us,
            gain_max=settings.gain_max,
        )
        if wanted != self._exposure:
            self._exposure = wanted
            self._camera.set_controls({"ExposureTime": wanted.exposure_us, "AnalogueGain": wanted.gain})


def ns_per_tick(stamp: int, monotonic_ns: int) -> int:
    """How many nanoseconds one unit of SensorTimestamp is: 1 as documented, 1000 in a libcamera release.

    Decided by which of the two puts the frame just before `monotonic_ns`. Raises PartFailedError if neither.
    """
    for unit in (1, 1000):
        if 0 <= monotonic_ns - stamp * unit <= FRESH_NS:
            return unit
    raise PartFailedError(
        "camera: SensorTimestamp is neither nanoseconds nor microseconds of CLOCK_MONOTONIC: update libcamera"
    )


def yuv420_planes(
    buffer: NDArray[np.uint8], stream: dict[str, Any]
) -> tuple[NDArray[np.uint8], tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Views of Y, U and V in one YUV420 buffer. buffer: uint8, flat; stream: its `size` and `stride` (bytes).

    Raises PartFailedError when the buffer is shorter than the stream says.
    """
    width, height = stream["size"]
    stride = stream["stride"]
    rows, half_stride = (height + 1) // 2, stride // 2
    sizes = (height * stride, rows * half_stride, rows * half_stride)
    flat = np.asarray(buffer).reshape(-1)
    if flat.size < sum(sizes):
        raise PartFailedError(f"camera: a YUV420 buffer of {flat.size} bytes for {width}x{height}")
    luma = flat[: sizes[0]].reshape(height, stride)[:, :width]
    blue = flat[sizes[0] : sizes[0] + sizes[1]].reshape(rows, half_stride)[:, : (width + 1) // 2]
    red = flat[sizes[0] + sizes[1] : sum(sizes)].reshape(rows, half_stride)[:, : (width + 1) // 2]
    return luma, (blue, red)
