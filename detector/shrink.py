"""Scales a frame to the net's input: each px is the mean of those it covers, so no detail aliases."""

from __future__ import annotations

import numpy as np
from PIL import Image

from .plates import U8

_ROWS = 360  # at a time, so that intermediate results stay in the processor's cache; a multiple of ten


def scale_into(out: U8, luma: U8) -> None:
    """Scales luma, uint8 (H, W), to the size of ``out``, uint8 (height, width).

    Down: Pillow's box filter; each px is the mean of those whose centers it covers. Up: bilinear. Five to
    three on both sides, the case of a 1280x720 camera, uses arrays, rows first because they are contiguous:
    the result is the same except for rounding, in two thirds of the time. Five to two, the case of a
    1920x1080 camera, is done in Pillow's two steps and half of its time.
    """
    height, width = out.shape
    if luma.shape[0] * 3 == height * 5 and luma.shape[1] * 3 == width * 5:
        _five_to_three(out, luma)
    elif (height * 5, width * 5) == (luma.shape[0] * 2, luma.shape[1] * 2) and not (height % 4 or width % 4):
        for top in range(0, len(luma), _ROWS):
            _five_to_four(out[top * 2 // 5 : (top + _ROWS) * 2 // 5], _halved(luma[top : top + _ROWS]))
    else:
        filter_ = Image.Resampling.BOX if luma.shape[1] > width else Image.Resampling.BILINEAR
        # reducing_gap handles integer factors by integer sums
        out[:] = np.asarray(Image.fromarray(luma).resize((width, height), filter_, reducing_gap=1.0))


def _five_to_three(out: U8, luma: U8) -> None:
    """Rows, then columns, each rounded half up, as in Pillow."""
    height, width = luma.shape
    five = luma.reshape(height // 5, 5, width)
    rows = np.empty((height // 5, 3, width), np.uint8)
    rows[:, 0] = _mean(five[:, 0], five[:, 1])
    rows[:, 1] = five[:, 2]
    rows[:, 2] = _mean(five[:, 3], five[:, 4])
    flat = rows.reshape(-1)
    pairs = _mean(flat[:-1], flat[1:])  # of all neighbors: strides would cost more than the unused means
    for place, of_five in enumerate((pairs[::5], flat[2::5], pairs[3::5])):
        out[:, place::3] = of_five.reshape(len(out), -1)


def _five_to_four(out: U8, luma: U8) -> None:
    """Columns, then rows, rounded half up, as in Pillow: the middle two of five become one."""
    flat = luma.reshape(-1)
    pairs = _mean(flat[:-1], flat[1:])
    columns = np.empty((len(flat) // 5, 4), np.uint8)
    for place, of_five in enumerate((flat[::5], pairs[1::5], flat[3::5], flat[4::5])):
        columns[:, place] = of_five
    five = columns.reshape(luma.shape[0] // 5, 5, -1)
    for place, of_five in enumerate((five[:, 0], _mean(five[:, 1], five[:, 2]), five[:, 3], five[:, 4])):
        out[place::4] = of_five


def _halved(luma: U8) -> U8:
    """Means of 2x2 px, rounded half up, as Pillow's reduce gives them: a word holds two adjacent px."""
    words = np.ascontiguousarray(luma).view(np.uint16).reshape(len(luma) // 2, 2, -1)
    above, below = words[:, 0], words[:, 1]
    total = above & 255
    total += below & 255
    total += above >> 8
    total += below >> 8
    total += 2
    total >>= 2
    return total.astype(np.uint8)


def _mean(a: U8, b: U8) -> U8:
    """Mean of two bytes, rounded half up, without a wider type."""
    half = a ^ b
    np.floor_divide(half, 2, out=half)  # in half the time of a shift of bytes
    out = a | b
    out -= half
    return out
