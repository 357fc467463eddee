"""What aiming needs of one frame: numbers and a masked preview. Arrays in, no I/O, nothing kept."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from firmware.console.preview import Corners, masked_preview
from firmware.frames.picture_quality import picture_quality
from firmware.settings.config import PLATE_GOOD_PX, PLATE_LEAST_PX

SHARP = 30.0
SKEW_LIMIT_DEG = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PlateView:
    """How large, sharp and level one plate appears: never where it is, and nothing of its text."""

    width_px: float
    skew_deg: float
    sharpness: float
    contrast: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AimView:
    """One frame for the person at the cable. preview: lines of text; None if a plate is too near for one."""

    plates: tuple[PlateView, ...]
    sharpness: float
    brightness: float
    dark_percent: float
    bright_percent: float
    exposure_us: int | None
    gain: float | None
    preview: tuple[str, ...] | None


def look(
    luma: NDArray[np.uint8],
    plates: Sequence[Corners],
    *,
    blots: Sequence[Corners] = (),
    exposure_us: int | None,
    gain: float | None,
) -> AimView:
    """Measure one frame. luma: uint8 (H, W); plates: four corners each, clockwise from the top left, px.

    blots: other places that the preview must not show.
    """
    quality = picture_quality(luma[::2, ::2])
    return AimView(
        plates=tuple(sorted((_plate(luma, corners) for corners in plates), key=lambda view: -view.width_px)),
        sharpness=picture_quality(_middle(luma)).sharpness,
        brightness=quality.mean,
        dark_percent=quality.dark_share * 100,
        bright_percent=quality.bright_share * 100,
        exposure_us=exposure_us,
        gain=gain,
        preview=masked_preview(luma, [*plates, *blots]),
    )


def _middle(luma: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = luma.shape
    return luma[height // 4 : height - height // 4, width // 4 : width - width // 4]


def _plate(luma: NDArray[np.uint8], corners: Corners) -> PlateView:
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = corners
    width_px = (math.hypot(x1 - x0, y1 - y0) + math.hypot(x2 - x3, y2 - y3)) / 2
    skew_deg = math.degrees(math.atan2(y1 - y0 + y2 - y3, x1 - x0 + x2 - x3))
    height, width = luma.shape
    left, right = max(0, int(min(x0, x3))), min(width, math.ceil(max(x1, x2)))
    top, bottom = max(0, int(min(y0, y1))), min(height, math.ceil(max(y2, y3)))
    quality = picture_quality(luma[top:bottom, left:right])
    return PlateView(
        width_px=width_px, skew_deg=skew_deg, sharpness=quality.sharpness, contrast=quality.contrast
    )


def aim_lines(view: AimView, *, preview: bool) -> Iterator[str]:
    """The view for a terminal."""
    exposure = "-" if view.exposure_us is None else f"{view.exposure_us} us"
    gain = "-" if view.gain is None else f"{view.gain:.1f}"
    yield (
        f"sharp {view.sharpness:3.0f}  bright {view.brightness:3.0f}  "
        f"dark {view.dark_percent:2.0f} %  burnt {view.bright_percent:2.0f} %  "
        f"shutter {exposure}  gain {gain}"
    )
    for number, plate in enumerate(view.plates[:4], 1):
        yield (
            f"plate {number} {plate.width_px:4.0f} px  skew {plate.skew_deg:+4.0f}  "
            f"sharp {plate.sharpness:3.0f}  contrast {plate.contrast:3.0f}  {_advice(plate)}"
        )
    if not view.plates:
        yield "no plate in view"
    if preview:
        yield from view.preview or ("no preview: a plate is too close to show a picture without it",)


def _advice(plate: PlateView) -> str:
    if plate.width_px < PLATE_LEAST_PX:
        return f"too small: under {PLATE_LEAST_PX} px"
    if abs(plate.skew_deg) > SKEW_LIMIT_DEG:
        return "turn the camera level"
    if plate.sharpness < SHARP:
        return "focus"
    return "good" if plate.width_px >= PLATE_GOOD_PX else f"read; {PLATE_GOOD_PX} px is better"
