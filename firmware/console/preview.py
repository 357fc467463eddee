"""The picture that a technician sees: 16 by 9 cells of five shades, plates blotted out first. No I/O.

Promise: no pixel of a found plate enters any cell. A plate that was not found keeps its text too: up to a
quarter of the view a letter is narrower than a cell, and many texts give the very same picture. With a found
plate nearer than that there is no preview.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from firmware.picture_quality import coarse

ROWS, COLUMNS = 9, 16
SHADES = " ░▒▓█"
BLOT = "XX"
MARGIN_SHARE = 0.5  # of the plate's height and width, on every side: corners are never exact
NEAR_SHARE = 0.25  # of the picture's width: 16 cells over 7 letters would begin to show them

Corners = Sequence[tuple[float, float]]


def masked_preview(luma: NDArray[np.uint8], plates: Sequence[Corners]) -> tuple[str, ...] | None:
    """ROWS lines of 2 x COLUMNS characters; None when a plate is too near. luma: uint8 (H, W), not changed.

    plates: four (x, y) corners each, px of luma.
    """
    height, width = luma.shape
    boxes = [_box(corners, width, height) for corners in plates]
    if any(right - left > width * NEAR_SHARE for left, _, right, _ in boxes):
        return None
    blotted = luma.copy()
    covered = np.zeros(luma.shape, np.uint8)
    middle = np.uint8(np.median(luma[::8, ::8]))
    for left, top, right, bottom in boxes:
        grow_x, grow_y = round((right - left) * MARGIN_SHARE) + 4, round((bottom - top) * MARGIN_SHARE) + 4
        rows = slice(max(0, top - grow_y), bottom + grow_y)
        columns = slice(max(0, left - grow_x), right + grow_x)
        blotted[rows, columns] = middle
        covered[rows, columns] = 1
    cells = _soften(coarse(blotted, ROWS, COLUMNS))
    blots = coarse(covered, ROWS, COLUMNS) > 0
    low, high = float(cells.min()), float(cells.max())
    span = max(high - low, 24.0)  # a flat wall stays flat
    shades = np.clip((cells - low) / span * len(SHADES), 0, len(SHADES) - 1).astype(int)
    return tuple(
        "".join(BLOT if blot else SHADES[shade] * 2 for shade, blot in zip(row, blot_row, strict=True))
        for row, blot_row in zip(shades, blots, strict=True)
    )


def _box(corners: Corners, width: int, height: int) -> tuple[int, int, int, int]:
    """left, top, right, bottom in whole px, inside the picture."""
    xs = [min(max(x, 0.0), float(width)) for x, _ in corners]
    ys = [min(max(y, 0.0), float(height)) for _, y in corners]
    return int(min(xs)), int(min(ys)), int(np.ceil(max(xs))), int(np.ceil(max(ys)))


def _soften(cells: NDArray[np.float32]) -> NDArray[np.float32]:
    """Binomial 3 x 3, so that neighbouring cells are no independent samples."""
    padded = np.pad(cells, 1, mode="edge")
    across = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    softened: NDArray[np.float32] = (across[:-2] + 2 * across[1:-1] + across[2:]) / np.float32(16)
    return softened
