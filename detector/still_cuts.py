"""Further cuts of the plate in a still picture: a little wider, narrower, higher or shifted.

Every frame of a pass is another cut; a single picture needs its own. A character at the edge of a cut, or one
that a sticker touches, changes from cut to cut while the others remain.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .plates import Corners

# (stretch along the plate, across it, shift along, shift across), shares of the plate's sides
CUTS = (
    (1.06, 1.0, 0.0, 0.0),
    (0.96, 1.0, 0.0, 0.0),
    (1.0, 1.12, 0.0, 0.0),
    (1.0, 0.94, 0.0, 0.0),
    (1.0, 1.0, 0.02, 0.03),
    (1.0, 1.0, -0.02, -0.03),
    (1.1, 1.15, 0.0, 0.0),
    (1.03, 1.0, 0.015, -0.05),
)


def more_cuts(corners: Corners) -> tuple[NDArray[np.float64], ...]:
    """Corners px (4, 2) of each further cut of a plate, stretched along the plate's own axes."""
    quad = np.array(corners, np.float64)
    middle = quad.mean(axis=0)
    along = (quad[1] - quad[0] + quad[2] - quad[3]) / 2
    across = (quad[3] - quad[0] + quad[2] - quad[1]) / 2
    axes = np.stack([along, across], axis=1)
    shares = (quad - middle) @ np.linalg.pinv(axes).T  # all zero for a quad without area
    return tuple(
        (shares * (wide, high) + (right, down)) @ axes.T + middle for wide, high, right, down in CUTS
    )
