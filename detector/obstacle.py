"""Sees whether something hides an end of a plate: a post, the door of a gate, the corner of another vehicle.

Its edge does not end with the plate: it continues above it or below it. A whole plate's side does not, and
its box is twice as wide as high. Wider formats are left alone: what is left of them may be another whole
plate.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .lettering import BOX_X, LEAST_SPREAD, TEXT_Y
from .plates import U8
from .rectify import mean_and_deviation

_MOST_ASPECT = 1.85  # 5 % of real US plates, whole and seen slantwise, look narrower
_EDGE = 0.2  # deviations of the patch's tones, over two columns
_ONE_SIDED = 2.5  # times as strong as at the other side: a recess has both
_REACH = 5  # columns around the side of the box
_ABOVE, _BELOW = slice(1, 9), slice(39, 47)  # rows of the patch


def hides_an_end(wide: U8, aspect: float) -> bool:
    """Whether an obstacle ends the box at one side.

    wide: uint8 (48, 144), the box with ``lettering.MARGIN`` around it; aspect: the box's width over height.
    """
    if aspect >= _MOST_ASPECT:
        return False
    luma = wide.astype(np.float32)
    _, deviation = mean_and_deviation(luma)
    left, right = (_edge(luma, side) / max(deviation, LEAST_SPREAD) for side in (BOX_X.start, BOX_X.stop))
    return max(left, right) >= max(_EDGE, _ONE_SIDED * min(left, right))


def _edge(luma: NDArray[np.float32], side: int) -> float:
    """How steep the strongest edge near a side of the box is that continues above or below, in tones."""
    first = side - _REACH
    part = luma[:, first : side + _REACH + 3]
    steps = part[:, 2:] - part[:, :-2]
    beside, above, below = (steps[rows].mean(axis=0) for rows in (TEXT_Y, _ABOVE, _BELOW))
    sign = np.sign(beside)
    return float(np.minimum(sign * beside, np.maximum(sign * above, sign * below)).max())
