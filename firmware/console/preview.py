"""The picture that a technician sees: light and dark in three shades, and where plates are. No I/O.

Promise: no pixel of a found plate enters any cell, and no text of a missed plate survives, however near it
is. The picture is blurred by a Gaussian with a sigma of a quarter of the view: a pattern that repeats f times
across the view keeps exp(-2 pi^2 sigma^2 f^2) of its contrast. The seven letters of a plate as wide as the
view repeat 8 times and keep 1e-34; those of a plate twice as wide repeat 4 times and keep 3e-9; strokes that
repeat twice, as in one letter that fills the view, keep 0.7 %. One shade is a third of the full contrast. All
that remains is the amount of ink near the edge of the view, where the blur is one-sided;
tests/console/test_preview.py counts it in bits.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from firmware.frames.picture_quality import coarse

ROWS, COLUMNS = 9, 16
SIGMA = 0.25  # of the view's width, in both directions
SHADES = " :#"  # for 0 to 255, never stretched: the darkest cell must not shift the others
BLOT = "XX"
MARGIN_SHARE = 0.5  # of the plate's height and width, on each side: corners are never exact
NEAR_SHARE = 0.25  # of the picture's width: for wider plates there are only numbers
_FINE = 4  # cells for the blur, in each direction, per shown cell

Corners = Sequence[tuple[float, float]]


def masked_preview(luma: NDArray[np.uint8], plates: Sequence[Corners]) -> tuple[str, ...] | None:
    """ROWS lines of 2 x COLUMNS characters; None if a plate is too near. luma: uint8 (H, W), not changed.

    plates: four (x, y) corners each, px of luma.
    """
    height, width = luma.shape
    boxes = [_box(corners, width, height) for corners in plates]
    if any(right - left > width * NEAR_SHARE for left, _, right, _ in boxes):
        return None
    covered = np.zeros(luma.shape, np.uint8)
    for left, top, right, bottom in boxes:
        grow_x, grow_y = round((right - left) * MARGIN_SHARE) + 4, round((bottom - top) * MARGIN_SHARE) + 4
        covered[max(0, top - grow_y) : bottom + grow_y, max(0, left - grow_x) : right + grow_x] = 1
    open_sky = luma[::4, ::4][covered[::4, ::4] == 0]
    blotted = np.where(covered, np.median(open_sky) if open_sky.size else 0.0, luma).astype(np.uint8)
    cells = _blurred(blotted)
    blots = coarse(covered, ROWS, COLUMNS) > 0
    shades = (cells * (len(SHADES) / 256)).astype(int)
    return tuple(
        "".join(BLOT if blot else SHADES[shade] * 2 for shade, blot in zip(row, blot_row, strict=True))
        for row, blot_row in zip(shades, blots, strict=True)
    )


def _box(corners: Corners, width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom in whole px, clipped to the picture."""
    xs = [min(max(x, 0.0), float(width)) for x, _ in corners]
    ys = [min(max(y, 0.0), float(height)) for _, y in corners]
    return int(min(xs)), int(min(ys)), int(np.ceil(max(xs))), int(np.ceil(max(ys)))


def _blurred(luma: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The picture blurred in both directions (SIGMA of its width), at each cell's center: (ROWS, COLUMNS)."""
    height, width = luma.shape
    fine = coarse(luma, ROWS * _FINE, COLUMNS * _FINE)
    across, down = _weights(COLUMNS, SIGMA), _weights(ROWS, SIGMA * width / height)
    blurred: NDArray[np.float64] = down @ fine @ across.T
    return blurred


def _weights(cells: int, sigma: float) -> NDArray[np.float64]:
    """Weights (cells, cells * _FINE); each row adds up to one. sigma: as a share of the length."""
    here, there = _middles(cells), _middles(cells * _FINE)
    weights = np.exp(-((here[:, None] - there[None]) ** 2) / (2 * sigma**2))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float64)


def _middles(count: int) -> NDArray[np.float64]:
    return (np.arange(count, dtype=np.float64) + 0.5) / count
