"""The device's own projection as Pillow's coefficients, shared by the makers of training pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..rectify import projection


def perspective(target: Sequence[Sequence[float]], source: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """The eight coefficients that take four target points (output px) to four source points.

    In the order of Pillow's ``Image.Transform.PERSPECTIVE``. Raises DegenerateCornersError when
    three of either are on one line.
    """
    matrix = projection(np.asarray(target, np.float64), np.asarray(source, np.float64))
    return tuple(float(value) for value in (matrix / matrix[2, 2]).ravel()[:8])
