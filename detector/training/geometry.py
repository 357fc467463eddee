"""The unit's own projection as Pillow's coefficients, for the modules that make training pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..rectify import projection


def perspective(target: Sequence[Sequence[float]], source: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """The eight coefficients that map four target points (output px) to four source points.

    Their order is that of Pillow's ``Image.Transform.PERSPECTIVE``. Raises DegenerateCornersError if
    three points of either quadrilateral are on a line.
    """
    matrix = projection(np.asarray(target, np.float64), np.asarray(source, np.float64))
    return tuple(float(value) for value in (matrix / matrix[2, 2]).ravel()[:8])
