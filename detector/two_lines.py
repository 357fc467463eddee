"""Signs of a plate with two lines, as motorcycles carry, and where its lines are. Pure functions.

The reader's net reads one line. A box that is high for its width, with a gap in the middle of what is
printed there, is looked at again line by line.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .plates import ALPHABET, U8, Corners, Point

MOST_ASPECT = 1.9  # wider boxes have one line: 12 by 6 inches seen from the front have 2.0
_HIGH_ASPECT = 1.6  # higher ones have two, unless their print shows no gap: 7 by 4 inches have 1.75
_LEAST_DEPTH, _CLEAR_DEPTH = 1.15, 2.0  # print above and below a gap over the print in it
_MIDDLE = (18 / 48, 31 / 48)  # rows of a patch among which a gap is looked for
_EDGE = 6 / 48  # rows at the top and at the foot that show the plate's rim
_SIDE = 10 / 144  # the same of columns
_OVERLAP = 0.03  # of the plate's height that both lines' cuts share
_NAME_LETTERS = 5  # so many letters and no digit are a state's name, not a line of a serial
_FIRST_DIGIT = ALPHABET.index("0")


@dataclass(frozen=True, slots=True, kw_only=True)
class RowGap:
    """The emptiest row in the middle of a plate. place: share of the plate's height; depth: see above."""

    place: float
    depth: float


def find_gap(patch: U8, margin_y: float) -> RowGap:
    """patch: uint8 (h, w), a plate cut out with that margin, as ``rectify.cut_patch`` takes it."""
    height, width = patch.shape
    side = round(_SIDE * width)
    steps = np.abs(np.diff(patch.astype(np.float32), axis=1))[:, side : width - side].mean(axis=1)
    print_ = np.convolve(steps, np.full(3, 1 / 3), "same")
    first, last, edge = (round(share * height) for share in (*_MIDDLE, _EDGE))
    row = first + int(np.argmin(print_[first:last]))
    above, below = float(print_[edge:row].max()), float(print_[row + 1 : height - edge].max())
    margin_px = height * margin_y / (2 + 2 * margin_y)
    place = (row + 0.5 - margin_px) / (height - 2 * margin_px)
    return RowGap(place=place, depth=min(above, below) / (float(print_[row]) + 1e-3))


def may_have_two_lines(aspect: float, gap: RowGap) -> bool:
    """Whether it is worth looking line by line."""
    return aspect < MOST_ASPECT and gap.depth >= _LEAST_DEPTH


def seems_to_have_two_lines(aspect: float, gap: RowGap) -> bool:
    """Whether one line alone may be half of the text."""
    return gap.depth >= (_LEAST_DEPTH if aspect < _HIGH_ASPECT else _CLEAR_DEPTH) and aspect < MOST_ASPECT


def line_corners(corners: Corners, place: float) -> tuple[Corners, Corners]:
    """The corners of the upper and of the lower line, parted at that share of the height."""
    a, b, c, d = corners
    upper, lower = place + _OVERLAP, place - _OVERLAP
    return (a, b, _between(b, c, upper), _between(a, d, upper)), (
        _between(a, d, lower),
        _between(b, c, lower),
        c,
        d,
    )


def is_serial_line(labels: tuple[int, ...]) -> bool:
    """Whether a text can be a line of a serial: not the name of a state."""
    letters = all(label < _FIRST_DIGIT for label in labels)
    return bool(labels) and not (letters and len(labels) >= _NAME_LETTERS)


def join_columns(upper: NDArray[np.floating], lower: NDArray[np.floating]) -> NDArray[np.float32]:
    """Columns (T, 37) of two lines as those of one text, (2 T + 1, 37), with a sure gap between them."""
    gap = np.full((1, upper.shape[1]), 1e-6)
    gap[0, -1] = 1.0 - gap[0, :-1].sum()
    return np.concatenate([upper, gap, lower]).astype(np.float32)


def _between(first: Point, second: Point, share: float) -> Point:
    return first[0] + share * (second[0] - first[0]), first[1] + share * (second[1] - first[1])
