"""Detects plates with two lines, as on motorcycles, and where the lines are. Pure functions.

The reader's net reads one line. A box that is high for its width and has a gap in the middle of its print is
read again line by line.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .confidence import log_odds
from .ctc import sure_gaps
from .likeness import shared
from .plates import ALPHABET, U8, Corners, Point
from .rectify import row_steps

# Log-odds of two lines from the box, then also from the looks at both lines: logistic models, fitted on 774
# rendered plates of aspect 2 and less, 397 of them with two lines.
_NEVER_ONE_LINE = 1.18  # except in a view so steep that half of the line is lost
MOST_ASPECT = 2.0  # 12 by 6 inches seen from the front
_BY_BOX, _WORTH_A_LOOK = (10.03, -7.51, 4.42), -3.5
_BY_LOOKS = (13.63, -7.46, 0.53, -1.08, 0.90, 0.81)
_MIDDLE = (18 / 48, 31 / 48)  # rows of a patch in which to look for a gap
_EDGE = 6 / 48  # rows at the top and bottom that show the plate's rim
_SIDE = 10 / 144  # the same of columns
_MUCH_ALIKE = 0.6  # of the characters of both the whole text and a part's: no line of two shares so many
_NAME_LETTERS = 5  # so many letters without a digit are a state's name, not a line of a serial
_FIRST_DIGIT = ALPHABET.index("0")


@dataclass(frozen=True, slots=True, kw_only=True)
class RowGap:
    """The emptiest row in the middle of a plate.

    place: share of the plate's height. depth: the print above or below, whichever is less, over that of the
    row.
    """

    place: float
    depth: float


def find_gap(patch: U8, margin_y: float) -> RowGap:
    """Finds the emptiest middle row. patch: uint8 (h, w), cut by ``rectify.cut_patch`` with that margin."""
    height, width = patch.shape
    side = round(_SIDE * width)
    steps = row_steps(patch[:, side : width - side + 1])
    print_ = np.convolve(steps, np.full(3, 1 / 3), "same")
    first, last, edge = (round(share * height) for share in (*_MIDDLE, _EDGE))
    row = first + int(np.argmin(print_[first:last]))
    above, below = float(print_[edge:row].max()), float(print_[row + 1 : height - edge].max())
    margin_px = height * margin_y / (2 + 2 * margin_y)
    place = (row + 0.5 - margin_px) / (height - 2 * margin_px)
    return RowGap(place=place, depth=min(above, below) / (float(print_[row]) + 1e-3))


def may_have_two_lines(aspect: float, gap: RowGap) -> bool:
    """Whether reading line by line is worthwhile. aspect: width over height of the box."""
    bias, by_aspect, by_depth = _BY_BOX
    odds = bias + by_aspect * aspect + by_depth * math.log(max(gap.depth, 1e-3))
    return aspect < _NEVER_ONE_LINE or (aspect < MOST_ASPECT and odds >= _WORTH_A_LOOK)


def has_two_lines(aspect: float, gap: RowGap, first: float, upper: float, lower: float) -> bool:
    """Whether a plate has two lines. first, upper, lower: sureness of the looks at the box and its lines."""
    if aspect < _NEVER_ONE_LINE:
        return True
    bias, *weights = _BY_LOOKS
    signs = (aspect, math.log(max(gap.depth, 1e-3)), *(log_odds(sure) for sure in (first, upper, lower)))
    return bias + sum(weight * sign for weight, sign in zip(weights, signs, strict=True)) > 0


def shows_one_line(aspect: float, whole: str, upper: str, lower: str) -> bool:
    """Whether the texts of a box and of its two parts are those of a single line.

    Below a state's name, or above a dealer's frame, one part shows the whole text, give or take a character,
    and the other nothing or a stray stroke: the net can be as sure of no text as of any.
    """
    if aspect < _NEVER_ONE_LINE or not whole:
        return False
    shorter, longer = sorted((upper, lower), key=len)
    return (not shorter and shared(whole, longer) >= _MUCH_ALIKE) or (len(shorter) == 1 and whole == longer)


def line_corners(corners: Corners, place: float, overlap: float) -> tuple[Corners, Corners]:
    """The corners of the upper and lower line, divided at ``place``; each extends by ``overlap``."""
    a, b, c, d = corners
    upper, lower = place + overlap, place - overlap
    return (a, b, _between(b, c, upper), _between(a, d, upper)), (
        _between(a, d, lower),
        _between(b, c, lower),
        c,
        d,
    )


def is_serial_line(labels: tuple[int, ...]) -> bool:
    """Whether a text can be a line of a serial rather than the name of a state."""
    letters = all(label < _FIRST_DIGIT for label in labels)
    return bool(labels) and not (letters and len(labels) >= _NAME_LETTERS)


def join_columns(upper: NDArray[np.floating], lower: NDArray[np.floating]) -> NDArray[np.float32]:
    """Joins the columns (T, 37) of two lines to those of one text, (2 T + 1, 37), with a gap between."""
    gap = sure_gaps(1, upper.shape[1])
    return np.concatenate([upper, gap, lower]).astype(np.float32)


def _between(first: Point, second: Point, share: float) -> Point:
    return first[0] + share * (second[0] - first[0]), first[1] + share * (second[1] - first[1])
