"""Scales a frame to what the net sees: the mean of the px that fall into each, for no detail may alias."""

from __future__ import annotations

import numpy as np
from PIL import Image

from .plates import U8


def scaled(luma: U8, size: tuple[int, int]) -> U8:
    """luma, uint8 (H, W), as uint8 of size (height, width).

    Down: Pillow's box filter, each px the mean of those whose centers it covers. Up: bilinear. Five
    to three on both sides of a wide frame, a 1280x720 camera's case, goes by way of arrays: the same bytes
    in a third of the time. (Pillow takes the rows of a tall frame first, which rounds otherwise.)
    """
    height, width = size
    wide = luma.shape[1] >= luma.shape[0]
    if wide and luma.shape[0] * 3 == height * 5 and luma.shape[1] * 3 == width * 5:
        return _five_to_three(luma)
    filter_ = Image.Resampling.BOX if luma.shape[1] > width else Image.Resampling.BILINEAR
    # reducing_gap does whole factors by integer sums
    return np.asarray(Image.fromarray(luma).resize((width, height), filter_, reducing_gap=1.0))


def _five_to_three(luma: U8) -> U8:
    """Columns first, then rows, each rounded as Pillow rounds: halves up."""
    height = luma.shape[0]
    a, b, c, d, e = np.ascontiguousarray(luma.reshape(-1, 5).T)  # side by side: strides cost most here
    columns = np.empty((len(a), 3), np.uint8)
    columns[:, 0], columns[:, 1], columns[:, 2] = _mean(a, b), c, _mean(d, e)
    five = columns.reshape(height // 5, 5, -1)
    rows = np.empty((height // 5, 3, five.shape[2]), np.uint8)
    rows[:, 0], rows[:, 1], rows[:, 2] = (
        _mean(five[:, 0], five[:, 1]),
        five[:, 2],
        _mean(five[:, 3], five[:, 4]),
    )
    return rows.reshape(height // 5 * 3, -1)


def _mean(a: U8, b: U8) -> U8:
    """Mean of two bytes, halves up, without a wider type."""
    return np.asarray((a | b) - ((a ^ b) >> 1), np.uint8)
