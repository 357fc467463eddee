"""The Raspberry Pi camera through picamera2: main and low-resolution YUV420 of the same exposure.

Promises: shutter and gain never exceed the settings; a time stamp in the wrong unit is detected at start and
converted or refused, never used as it is; a request that does not complete raises CameraStalledError, and the
camera can then be closed and opened again. Checked against picamera2 0.3.36.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw.camera import Frame
from hw.clock import Clock, UtcTime
from hw.errors import BrokenFrameError, CameraStalledError, MissingDriverError, PartFailedError
from hw.exposure import Exposure, next_exposure

FRESH_NS = (
    10_000_000_000  # a frame's stamp is at most this far behind the clock when a busy machine fetches it
)
AHEAD_NS = 1_000_000_000  # no exposure begins after its frame was fetched
EXPOSURE_EVERY = 5  # frames between two changes: a change takes about 3 frames to take effect
STEER_TRIES = 2  # refusals in a row after which changes stop: a dark picture is better than none


@dataclass(frozen=True, slots=True, kw_only=True)
class PiCameraSettings:
    """What the driver asks the camera for; the reasons are in the configuration."""

    number: int = 0
    width: int = 1920
    height: int = 1080
    lores_width: int = 640
    lores_height: int = 360
    fps: float = 20.0
    exposure_us: int = 800
    gain_max: float = 8.0
    focus_dioptres: float | None = None
    rotation: int = 0  # degrees, 0 or 180
    stall_s: float = 4.0


_PACKAGES = {"libcamera": "python3-libcamera", "pykms": "python3-kms++"}  # what picamera2 itself imports
_CURE = (
    "install the reader with hw/install_pi.sh (its environment sees the system's packages), or set "
    "camera.source to a folder of pictures"
)


def load_picamera2() -> Any:
    """picamera2. Raises MissingDriverError naming the cure."""
    try:
        return import_module("picamera2")
    except ImportError as error:
        package = _PACKAGES.get(error.name or "", "python3-picamera2")
        raise MissingDriverError(
            f"picamera2 cannot be loaded ({error}): sudo apt install {package}, and {_CURE}"
        ) from error
    except ValueError as error:  # "numpy.dtype size changed": simplejpeg was built for another numpy
        raise MissingDriverError(
            f"picamera2 cannot be loaded ({error}): a numpy of the reader's own hides the system's, for "
            f"which the system's simplejpeg was built; {_CURE}"
        ) from error


class Picamera2Source:
    """Opens the Pi camera any number of times. `picamera2` is the library's module."""

    live = True

    def __init__(
        self,
        settings: PiCameraSettings,
        *,
        clock: Clock,
        picamera2: Any = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._library = load_picamera2() if picamera2 is None else picamera2
        self.interval_s = 1.0 / settings.fps
        self._steering = _Steering()

    @property
    def trouble(self) -> str:
        """What the open camera does not do of what was asked for, and the cure; empty if nothing."""
        if not self._steering.unfocused:
            return ""
        return (
            f"camera {self._settings.number}: its lens has no motor, so its focus is not set: turn the lens, "
            "and leave camera.focus_dioptres out"
        )

    def open(self) -> Picamera2Camera:
        """See CameraSource.open."""
        return Picamera2Camera(
            self._settings, clock=self._clock, picamera2=self._library, steering=self._steering
        )


@dataclass(slots=True)
class _Steering:
    """State shared by successive openings of one camera.

    refused: how often in a row the running camera refused a new exposure. held: the camera that libcamera did
    not release; each opening first tries to release it, since this process would otherwise keep it busy.
    unfocused: whether a focus was asked for that the lens cannot set.
    """

    refused: int = 0
    held: Any = None
    unfocused: bool = False

    def demand_released(self, number: int) -> None:
        """Raise PartFailedError while an earlier opening still holds the camera."""
        why = "" if self.held is None else _released(self.held)
        if why:
            raise PartFailedError(
                f"camera {number}: its driver does not let it go ({why}): if that lasts, only a new process "
                "frees it, which systemd starts; update libcamera"
            )
        self.held = None


class Picamera2Camera:
    """One started camera; see hw.camera.Camera."""

    def __init__(
        self,
        settings: PiCameraSettings,
        *,
        clock: Clock,
        picamera2: Any,
        steering: _Steering,
    ) -> None:
        self._settings, self._steering = settings, steering
        self._clock = clock
        self._library = picamera2
        self._taken = self._sequence = 0
        self._stamp_ns: int | None = None  # of the last frame
        self._ns_per_tick: int | None = None
        self._exposure = Exposure(exposure_us=settings.exposure_us, gain=min(2.0, settings.gain_max))
        steering.demand_released(settings.number)
        self._camera = _acquired(picamera2, settings.number)
        try:
            self._camera.configure(self._configuration())
            demand_planes(self._camera.camera_configuration())
            self._camera.start()
        except Exception as error:
            with contextlib.suppress(PartFailedError):
                self.close()
            raise PartFailedError(
                f"camera {settings.number}: refused its configuration ({_innermost(error)})"
            ) from error

    def _configuration(self) -> Any:
        wanted = self._settings
        frame_us = round(1e6 / wanted.fps)
        controls: dict[str, Any] = {
            "AeEnable": False,
            "ExposureTime": self._exposure.exposure_us,
            "AnalogueGain": self._exposure.gain,
            "FrameDurationLimits": (frame_us, frame_us),
        }
        focus = {} if wanted.focus_dioptres is None else {"AfMode": 0, "LensPosition": wanted.focus_dioptres}
        self._steering.unfocused = not focus.keys() <= self._camera.camera_controls.keys()
        if not self._steering.unfocused:  # otherwise picamera2 would refuse the whole configuration
            controls |= focus  # AfMode 0 is manual
        upside_down = wanted.rotation == 180
        return self._camera.create_video_configuration(
            transform=self._library.libcamera.Transform(hflip=upside_down, vflip=upside_down),
            main={"size": (wanted.width, wanted.height), "format": "YUV420"},
            lores={"size": (wanted.lores_width, wanted.lores_height), "format": "YUV420"},
            controls=controls,
            buffer_count=6,
            # picamera2 uses the limited range for video (luma 16 to 235), in which black is not 0
            colour_space=self._library.libcamera.ColorSpace.Sycc(),
        )

    @contextmanager
    def borrow(self) -> Iterator[Frame]:
        """See Camera.borrow. The request goes back to the camera at the end of the `with`."""
        settings, camera = self._settings, self._camera
        if camera is None:
            raise PartFailedError(f"camera {settings.number}: closed")
        try:
            request = camera.capture_request(wait=settings.stall_s)
        except TimeoutError as error:
            camera.cancel_all_and_flush()  # otherwise the job stays queued and takes a late frame
            raise CameraStalledError(
                f"camera {settings.number}: no frame for {settings.stall_s:g} s"
            ) from error
        except (RuntimeError, OSError, ValueError, CancelledError) as error:
            raise PartFailedError(f"camera {settings.number}: {type(error).__name__}: {error}") from error
        try:
            self._demand_whole(request)
            metadata = request.get_metadata()
            with (
                self._library.MappedArray(request, "main", reshape=False) as main,
                self._library.MappedArray(request, "lores", reshape=False) as lores,
            ):
                configuration = camera.camera_configuration()
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
        """See Camera.close. Raises PartFailedError if the library fails.

        picamera2's stop() waits for every job of its event loop, also for a capture that never ends; its
        close() ends the event loop first and then stops the camera.
        """
        camera, self._camera = self._camera, None
        if camera is None:
            return
        try:
            with contextlib.suppress(Exception):  # waiting jobs end with the event loop
                camera.cancel_all_and_flush()
            camera.close()
        except Exception as error:
            self._steering.held = _let_go(camera)
            raise PartFailedError(
                f"camera {self._settings.number}: did not close ({type(error).__name__}: {error})"
            ) from error

    def _demand_whole(self, request: Any) -> None:
        """Raise BrokenFrameError for an incomplete frame: the rest of its buffer is from an older frame.

        libcamera marks such frames. Newer releases of picamera2 drop them, but look only at the first stream.
        """
        error = self._library.libcamera.FrameMetadata.Status.Error
        if any(buffer.metadata.status == error for buffer in request.request.buffers.values()):
            raise BrokenFrameError(f"camera {self._settings.number}", "the frame did not arrive whole")

    def _captured(self, metadata: dict[str, Any]) -> UtcTime:
        """SensorTimestamp (start of the first row, on CLOCK_MONOTONIC as in V4L2) as UTC."""
        stamp = metadata.get("SensorTimestamp")
        if not isinstance(stamp, int):
            raise PartFailedError(
                f"camera {self._settings.number}: a frame without SensorTimestamp: update libcamera"
            )
        before = time.monotonic_ns()
        now = self._clock.now()
        slack_ns = time.monotonic_ns() - before
        if self._ns_per_tick is None:
            self._ns_per_tick = ns_per_tick(stamp, before)
        stamp_ns = stamp * self._ns_per_tick
        if stamp_ns > before + AHEAD_NS or (self._stamp_ns is not None and stamp_ns <= self._stamp_ns):
            raise PartFailedError(
                f"camera {self._settings.number}: SensorTimestamp jumped, so no frame's time is known: if "
                "opening the camera again does not end it, update libcamera"
            )
        age_ns = max(0, before - stamp_ns)
        return now.shifted(-(age_ns // 1000), more_error_us=slack_ns // 1000 + 1)

    def _count(self, metadata: dict[str, Any]) -> None:
        """Number the frame by its time stamp, since the library silently drops frames not fetched in time."""
        stamp_ns = metadata["SensorTimestamp"] * (self._ns_per_tick or 1)
        frame_ns = 1000 * (metadata.get("FrameDuration") or round(1e6 / self._settings.fps))
        if self._stamp_ns is not None:
            self._sequence += max(1, round((stamp_ns - self._stamp_ns) / frame_ns))
        self._stamp_ns = stamp_ns

    def _expose(self, luma: NDArray[np.uint8]) -> None:
        self._taken += 1
        if self._taken % EXPOSURE_EVERY or self._steering.refused >= STEER_TRIES:
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
            try:
                self._camera.set_controls({"ExposureTime": wanted.exposure_us, "AnalogueGain": wanted.gain})
                self._steering.refused = 0
            except Exception as error:
                self._steering.refused += 1
                raise PartFailedError(
                    f"camera {settings.number}: takes no new exposure ({_innermost(error)}), and keeps that "
                    "of its start: update libcamera"
                ) from error


def _acquired(library: Any, number: int) -> Any:
    """Acquire a camera through the library. Raises MissingDriverError, PartFailedError.

    The object is created before it is initialized: a constructor that raises would leak its open file
    descriptors at each try.
    """
    camera = library.Picamera2.__new__(library.Picamera2)
    try:
        camera.__init__(number)
    except IndexError as error:
        _give_back(camera)
        raise MissingDriverError(
            f"camera {number} not found: check the ribbon cable and `rpicam-hello --list-cameras`, or set "
            "camera.source to a folder of pictures"
        ) from error
    except Exception as error:
        _give_back(camera)
        raise PartFailedError(
            f"camera {number} cannot be opened ({_innermost(error)}): does another program hold it?"
        ) from error
    # The library also closes a camera when the interpreter exits: a hung driver would hang the exit.
    atexit.unregister(camera.close)
    return camera


def _give_back(camera: Any) -> None:
    """Release what a failed constructor acquired."""
    if getattr(camera, "is_open", False):
        with contextlib.suppress(Exception):
            camera.close()
        with contextlib.suppress(Exception):
            _let_go(camera)
        return
    with contextlib.suppress(AttributeError, OSError):
        camera.notifymeread.close()
        os.close(camera.notifyme_w)


def _released(camera: Any) -> str:
    """Release libcamera's camera: why it fails, or an empty string on success."""
    with contextlib.suppress(Exception):
        camera.stop()
    try:
        camera.release()
    except Exception as error:  # noqa: BLE001 - of the binding's own kind
        return _innermost(error)
    return ""


def _let_go(camera: Any) -> Any:
    """Release a camera that picamera2 failed to close, since later openings would find it busy. Returns what
    libcamera did not release, else None.

    The camera is marked closed: otherwise its finalizer would close the one that is open by then.
    """
    if not getattr(camera, "is_open", False):
        return None
    held = camera.camera if _released(camera.camera) else None
    with contextlib.suppress(Exception):
        camera.notifymeread.close()
    with contextlib.suppress(Exception):
        os.close(camera.notifyme_w)
    with contextlib.suppress(Exception):
        camera._cm.cleanup(camera.camera_idx)
    camera.is_open = False
    return held


def _innermost(error: BaseException) -> str:
    """The original error: picamera2 wraps it up to twice, and each wrapper says less."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error) or type(error).__name__


def ns_per_tick(stamp: int, monotonic_ns: int) -> int:
    """How many nanoseconds one unit of SensorTimestamp is: 1 as documented, 1000 in a libcamera release.

    Decided by which of the two puts the frame just before `monotonic_ns`. Raises PartFailedError if neither.
    """
    for unit in (1000, 1):  # soon after boot, microseconds read as nanoseconds would fit as well
        if 0 <= monotonic_ns - stamp * unit <= FRESH_NS:
            return unit
    raise PartFailedError(
        "camera: SensorTimestamp is neither nanoseconds nor microseconds of CLOCK_MONOTONIC: update libcamera"
    )


def demand_planes(configuration: dict[str, Any]) -> None:
    """Raise PartFailedError for a stream that is not YUV420 or whose rows are shorter than its picture:
    libcamera may adjust what was asked for.
    """
    for name in ("main", "lores"):
        stream = configuration.get(name) or {}
        if stream.get("format") != "YUV420" or stream["stride"] < stream["size"][0]:
            raise PartFailedError(f"the {name} stream is {stream or 'missing'}, not YUV420")


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
