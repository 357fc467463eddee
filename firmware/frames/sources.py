"""Opens a camera source by its name: camera, camera:N, rtsp://..., drop:FOLDER, a folder or a video."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path

from firmware.errors import UsageError
from firmware.settings.config import CameraSettings
from hw.camera import Camera, CameraSource
from hw.camera_drop import DropFolder
from hw.camera_pi import Picamera2Source, PiCameraSettings
from hw.camera_replay import ReplaySource
from hw.camera_stream import SCHEMES, StreamSource, without_secret
from hw.clock import Clock
from hw.errors import HardwareError

DROP = "drop:"
RETUNED = "camera settings changed"
OPEN_S = 5.0  # the longest wait for a camera that opens with other settings

_CAMERA = re.compile(r"camera(?::([0-9]))?")


def open_source(
    text: str,
    settings: CameraSettings,
    *,
    clock: Clock,
    once: bool,
    at_source_pace: bool,
    net_size: tuple[int, int],
) -> CameraSource:
    """The source that `text` names. A replay is played once, or over and over.

    net_size: (height, width) of the detector's input, and so of the camera's small stream.
    Raises MissingDriverError (no picamera2, no PyAV), NoSuchSourceError, UsageError.
    """
    match = _CAMERA.fullmatch(text)
    if once and (text.startswith((*SCHEMES, DROP)) or match is not None):
        raise UsageError("--once: a camera has no end; leave --once out, or name a folder or video")
    if text.startswith(SCHEMES):
        return StreamSource(
            text, clock=clock, fps=settings.fps, stall_s=settings.stall_s, rotation=settings.rotation
        )
    if text.startswith(DROP):
        folder = text.removeprefix(DROP).strip()
        if not folder:  # Path("") is the current folder, whose pictures would be removed
            raise UsageError("drop: names no folder; write drop:/PATH/OF/THE/FOLDER")
        return DropFolder(Path(folder).expanduser(), clock=clock, rotation=settings.rotation)
    if "://" in text:
        address = shown_source(text)
        raise UsageError(f"{address}: of network cameras, only rtsp:// and rtsps:// can be read")
    if match is None:
        return ReplaySource(
            Path(text).expanduser(),
            clock=clock,
            fps=settings.replay_fps,
            live=at_source_pace,
            rounds=1 if once else None,
            rotation=settings.rotation,
        )
    lores_width, lores_height = small_size((settings.width, settings.height), net_size)
    return Picamera2Source(
        PiCameraSettings(
            number=int(match.group(1) or 0),
            width=settings.width,
            height=settings.height,
            lores_width=lores_width,
            lores_height=lores_height,
            fps=settings.fps,
            exposure_us=settings.exposure_us,
            gain_max=settings.gain_max,
            focus_dioptres=settings.focus_dioptres,
            rotation=settings.rotation,
            stall_s=settings.stall_s,
        ),
        clock=clock,
    )


def shown_source(text: str) -> str:
    """The source's name for messages and records, without a network camera's password."""
    return without_secret(text) if "://" in text else text


def is_replay(text: str) -> bool:
    """Whether the source is a recorded folder or video, not a camera."""
    return _CAMERA.fullmatch(text) is None and not text.startswith((*SCHEMES, DROP))


class TunableSource:
    """A source whose settings may change while it runs: the next opening uses the newest. See CameraSource.

    make: makes the source for given settings; it is called at once, and what it raises is raised.
    """

    def __init__(self, make: Callable[[CameraSettings], CameraSource], settings: CameraSettings) -> None:
        self._make = make
        self._source = make(settings)
        self.rotation = settings.rotation
        self._changed: Callable[[str], None] = lambda _reason: None
        self._turned: Callable[[], None] = lambda: None
        self._refused, self._was_open, self._tried = "", False, threading.Event()
        self.live, self.interval_s = self._source.live, self._source.interval_s
        self.waits: bool = getattr(self._source, "waits", False)  # a picture that is not taken is not lost
        self.notes: tuple[str, ...] = getattr(self._source, "notes", ())

    def open(self) -> Camera:
        """See CameraSource.open."""
        source, refused = self._source, ""
        try:
            return source.open()
        except HardwareError as error:
            refused = str(error)
            raise
        finally:
            if source is self._source:  # else it was retuned meanwhile
                self._refused, self._was_open = refused, True
                self._tried.set()

    @property
    def trouble(self) -> str:
        """What the open camera does not do of its settings, and the cure; empty if nothing."""
        return str(getattr(self._source, "trouble", ""))

    def on_retuned(self, changed: Callable[[str], None], turned: Callable[[], None]) -> None:
        """changed: called with the reason when the camera is reopened. turned: called for a new rotation."""
        self._changed, self._turned = changed, turned

    def retune(self, settings: CameraSettings) -> str:
        """Use these settings from now on; returns why the camera does not take them, or not all of them.

        Waits until the camera of a running reader is open again. Raises what `make` raises; then the old ones
        stay.
        """
        self._source = self._make(settings)
        self._tried.clear()
        self._changed(RETUNED)
        if settings.rotation != self.rotation:
            self.rotation = settings.rotation
            self._turned()
        if self._was_open and self._tried.wait(OPEN_S) and self._refused:
            return self._refused
        return self.trouble


def small_size(size: tuple[int, int], net_size: tuple[int, int]) -> tuple[int, int]:
    """The largest even (width, height) of a picture of `size` (width, height) that fits net_size."""
    scale = min(1.0, net_size[1] / size[0], net_size[0] / size[1])
    width, height = (max(2, round(side * scale / 2) * 2) for side in size)
    return width, height
