"""The detector's input size, and the truth as maps that its net learns. numpy only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

STRIDE = 4
NET_WIDTH = 768
NET_HEIGHT = 448  # a multiple of 64: halving an odd map would keep other rows than in training
UNJUDGED = 0.98  # as heat: the loss weights a cell by (1 - heat) to the fourth, which leaves nothing


MOST_PLATES = 8  # of one picture


def packed(
    boxes: NDArray[np.float32],
    corners: NDArray[np.float32],
    has_corners: NDArray[np.bool_],
    unlabeled: NDArray[np.float32],
) -> NDArray[np.float32]:
    """A picture's plates as one array (8, 14): kind, center x, y, w, h, corners 8, corners known.

    Kind: 1 labeled, -1 not labeled (``unlabeled`` (M, 4) x, y, w, h), 0 no plate; the rest as in
    ``encode_targets``. Plates beyond eight are dropped, unlabeled ones first.
    """
    out = np.zeros((MOST_PLATES, 14), np.float32)
    out[:, 3:5] = 1.0  # the loss divides by the size
    count = min(len(boxes), MOST_PLATES)
    out[:count, 0] = 1.0
    out[:count, 1:5] = boxes[:count]
    out[:count, 5:13] = corners[:count].reshape(count, 8)
    out[:count, 13] = has_corners[:count]
    more = min(len(unlabeled), MOST_PLATES - count)
    out[count : count + more, 0] = -1.0
    out[count : count + more, 1:3] = unlabeled[:more, :2] + unlabeled[:more, 2:] / 2
    out[count : count + more, 3:5] = np.maximum(unlabeled[:more, 2:], 1e-3)
    return out


def encode_targets(
    boxes: NDArray[np.float32],
    corners: NDArray[np.float32],
    has_corners: NDArray[np.bool_],
    height: int,
    width: int,
    *,
    unlabeled: NDArray[np.float32] | None = None,
) -> dict[str, NDArray[np.float32]]:
    """The truth as maps at stride 4. boxes: (N, 4) center x, y, w, h; corners: (N, 4, 2) px.

    ``heat`` (h, w, 1) in 0..1 falls off in an ellipse of the plate's shape; ``regress`` (h, w, 14) = box 4,
    corners 8, box weight, corner weight. ``unlabeled`` (M, 4) x, y, w, h: plates without a label;
    the net's output there does not count.
    """
    rows, columns = -(-height // STRIDE), -(-width // STRIDE)
    heat = np.zeros((rows, columns), np.float32)
    regress = np.zeros((rows, columns, 14), np.float32)
    cell_y = (np.arange(rows, dtype=np.float32) + 0.5) * STRIDE
    cell_x = (np.arange(columns, dtype=np.float32) + 0.5) * STRIDE
    for (cx, cy, w, h), quad, known in zip(boxes, corners, has_corners, strict=True):
        dx = (cx - cell_x)[None, :]
        dy = (cy - cell_y)[:, None]
        sigma_x, sigma_y = max(w * 0.12, 2.2), max(h * 0.16, 2.2)
        bump = np.exp(-0.5 * ((dx / sigma_x) ** 2 + (dy / sigma_y) ** 2))
        row = min(max(int(cy / STRIDE), 0), rows - 1)
        column = min(max(int(cx / STRIDE), 0), columns - 1)
        bump[row, column] = 1.0
        owns = (bump > 0.15) & (bump > heat)
        heat = np.maximum(heat, bump)
        weight = bump[owns] / max(float(bump[owns].sum()), 1e-6)
        regress[owns, 0] = np.broadcast_to(dx / w, heat.shape)[owns]
        regress[owns, 1] = np.broadcast_to(dy / h, heat.shape)[owns]
        regress[owns, 2] = np.log(w)
        regress[owns, 3] = np.log(h)
        regress[owns, 4:12] = ((quad - (cx, cy)) / (w, h)).reshape(8)
        regress[owns, 12] = weight
        regress[owns, 13] = weight * float(known)
    for x, y, w, h in () if unlabeled is None else unlabeled:
        rows_there, columns_there = np.abs(cell_y - y - h / 2) < h * 0.7, np.abs(cell_x - x - w / 2) < w * 0.7
        there = np.ix_(rows_there, columns_there)
        heat[there] = np.maximum(heat[there], UNJUDGED)
    return {"heat": heat[..., None], "regress": regress}
