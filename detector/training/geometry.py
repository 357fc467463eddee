"""Projective geometry shared by the makers of training pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def perspective(
    target: Sequence[Sequence[float]], source: Sequence[Sequence[float]]
) -> tuple[float, float, float, float, float, float, float, float]:
    """The eight coefficients that take four target points (output px) to four source points.

    In the order of Pillow's ``Image.Transform.PERSPECTIVE``. Raises numpy.linalg.LinAlgError when
    three of the target points lie on one line.
    """
    rows: list[list[float]] = []
    values: list[float] = []
    for (x, y), (u, v) in zip(target, source, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    a, b, c, d, e, f, g, h = (float(value) for value in np.linalg.solve(np.array(rows), np.array(values)))
    return a, b, c, d, e, f, g, h
