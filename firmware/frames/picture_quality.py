"""Measures sharpness, brightness and contrast of a picture. Arrays in, numbers out; no I/O."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DARK_LEVEL, BRIGHT_LEVEL = 6, 250
_LINES = 60  # rows and columns to examine: enough to find the strongest edges
_EDGE_SHARE = 0.05  # sharpness is measured at the strongest edges; flat asphalt has none


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureQuality:
    """sharpness: 0 (blurred over more than two pixels) to 100 (edges one pixel wide). mean: 0 to 255.
    dark_share, bright_share: share of pixels without detail, 0 to 1. contrast: standard deviation of luma.
    """

    sharpness: float
    mean: float
    contrast: float
    dark_share: float
    bright_share: float


def picture_quality(luma: NDArray[np.uint8]) -> PictureQuality:
    """Measure a picture or a part of one. luma: uint8 (H, W); if smaller than 4 x 4, returns zeros."""
    if luma.ndim != 2 or min(luma.shape) < 4:
        return PictureQuality(sharpness=0.0, mean=0.0, contrast=0.0, dark_share=0.0, bright_share=0.0)
    return PictureQuality(
        sharpness=_sharpness(luma),
        mean=float(luma.mean()),
        contrast=float(luma.std()),
        dark_share=float((luma <= DARK_LEVEL).mean()),
        bright_share=float((luma >= BRIGHT_LEVEL).mean()),
    )


def _sharpness(luma: NDArray[np.uint8]) -> float:
    """How steep the strongest edges are: the difference over one pixel divided by that over three.

    A step edge one pixel wide gives 1, a ramp of three or more pixels gives 1/3; contrast cancels out.
    """
    every = max(1, min(luma.shape) // _LINES)
    scores = []
    for lines in (luma[::every], luma.T[::every]):
        plane = lines.astype(np.float32)
        far = np.abs(plane[:, 3:] - plane[:, :-3])
        near = np.abs(np.diff(plane, axis=1))
        steepest = np.maximum(np.maximum(near[:, :-2], near[:, 1:-1]), near[:, 2:])
        limit = np.quantile(far, 1 - _EDGE_SHARE)
        strong = far >= max(float(limit), 12.0)
        if strong.sum() >= 8:
            ratio = np.minimum(steepest[strong] / far[strong], 1.0)
            scores.append(float(ratio.mean()))
    if not scores:
        return 0.0
    return float(np.clip((max(scores) - 1 / 3) / (2 / 3), 0.0, 1.0) * 100)


def coarse(luma: NDArray[np.uint8], rows: int, columns: int) -> NDArray[np.float32]:
    """Mean luma of rows x columns equal cells, float32 (rows, columns). luma: uint8 (H, W), not smaller."""
    height, width = luma.shape
    tops = np.linspace(0, height, rows + 1).astype(int)
    lefts = np.linspace(0, width, columns + 1).astype(int)
    sums = np.add.reduceat(np.add.reduceat(luma.astype(np.float64), tops[:-1], axis=0), lefts[:-1], axis=1)
    areas = np.outer(np.diff(tops), np.diff(lefts))
    means: NDArray[np.float32] = (sums / areas).astype(np.float32)
    return means
