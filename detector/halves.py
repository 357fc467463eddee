"""Cuts a still plate into two halves, so that its characters are twice as large in the patch.

The reader's net sees 144 px across a plate with its margins, but the frame shows a near plate in more. A half
often separates two characters that merge in the whole, such as a slanted V and its neighbor.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import numpy as np
from numpy.typing import NDArray

from .confidence import within
from .ctc import sure_gaps
from .rectify import Patch, mapped
from .thin_strokes import character_places, character_rows
from .two_lines import join_columns

F64 = NDArray[np.float64]

FEWEST, MOST = 5, 10  # characters of a plate that is halved
_CHARACTERS = 5  # per half, so that the halves share some
# (beyond the outer characters, in character distances; above and below, in character heights)
MARGINS = ((1.0, 0.35), (0.7, 0.6))
_USUAL_ROWS = (0.28, 0.8)  # of a patch's height, if the line of characters cannot be found


@dataclass(frozen=True, slots=True, eq=False)
class Half:
    """corners: px (4, 2) in the frame. meets: share of its width at which the other half takes over."""

    corners: F64
    meets: float


def halve(
    patch: Patch, columns: NDArray[np.floating], margin: tuple[float, float]
) -> tuple[Half, Half] | None:
    """The left and right half of the plate in a patch; None if it shows too few or too many characters.

    columns: (T, 37), what the net gave for the patch. margin: one of ``MARGINS``.
    """
    height, width = patch.luma.shape
    places = [place for place, _ in character_places(columns, width)]
    if not FEWEST <= len(places) <= MOST:
        return None
    pitch = median(b - a for a, b in pairwise(places))
    top, foot = character_rows(patch.luma) or [share * height for share in _USUAL_ROWS]
    rise, middle = margin[1] * (foot - top), (len(places) + 1) // 2
    meet = (places[middle - 1] + places[middle]) / 2

    def half(shown: list[float]) -> Half:
        left, right = shown[0] - margin[0] * pitch, shown[-1] + margin[0] * pitch
        box = [(left, top - rise), (right, top - rise), (right, foot + rise), (left, foot + rise)]
        return Half(mapped(np.array(box), patch.to_frame), within((meet - left) / (right - left), 0.0, 1.0))

    return half(places[:_CHARACTERS]), half(places[-_CHARACTERS:])


def join_halves(halves: tuple[Half, Half], columns: tuple[F64, F64]) -> F64:
    """Joins the columns (T, 37) of each half to those of the whole text, (2 T + 1, 37)."""
    left, right = columns
    ends, begins = (round(half.meets * len(one)) for half, one in zip(halves, columns, strict=True))
    gaps = sure_gaps(len(left) - ends, left.shape[1]), sure_gaps(begins, right.shape[1])
    shown = np.concatenate([left[:ends], gaps[0]]), np.concatenate([gaps[1], right[begins:]])
    return join_columns(*shown).astype(np.float64)


def as_long(columns: F64) -> F64:
    """Pads the columns (T, 37) of a whole plate with gaps to the length of joined halves, (2 T + 1, 37)."""
    return join_columns(columns, sure_gaps(*columns.shape)).astype(np.float64)
