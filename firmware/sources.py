"""Chooses the camera source from one text: `camera`, `camera:N`, a folder or a video."""

from __future__ import annotations

import re
from pathlib import Path

from firmware.config import CameraSettings
from firmware.errors import UsageError
from hw.camera import CameraSource
from hw.camera_pi import Picamera2Source, PiCameraSettings
from hw.camera_replay import ReplaySource
from hw.clock import Clock

_CAMERA = re.compile(r"camera(?::([0-9]))?")


def open_source(
    text: str, settings: CameraSettings, *, clock: Clock, once: bool, at_source_pace: bool
) -> CameraSource:
    """The source that `text` names. A replay is played once, or round after round.

    Raises MissingDriverError (no picamera2, no PyAV), NoSuchSourceError, UsageError.
    """
    match = _CAMERA.fullmatch(text)
    if match is None:
        return ReplaySource(
            Path(text).expanduser(),
            clock=clock,
            fps=settings.replay_fps,
            live=at_source_pace,
            rounds=1 if once else None,
        )
    if once:
        raise UsageError("--once: a camera has no end; leave --once out, or name a folder or video")
    return Picamera2Source(
        PiCameraSettings(
            number=int(match.group(1) or 0),
            width=settings.width,
            height=settings.height,
            lores_width=settings.lores_width,
            lores_height=settings.lores_height,
            fps=settings.fps,
            exposure_us=settings.exposure_us,
            gain_max=settings.gain_max,
            focus_dioptres=settings.focus_dioptres,
            stall_s=settings.stall_s,
        ),
        clock=clock,
    )
