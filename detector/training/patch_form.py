"""The form of the reader's patch: size, columns and contrast. numpy only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

HEIGHT, WIDTH = 48, 144
COLUMNS = 36
MEAN, DEVIATION, LEAST_DEVIATION = 128.0, 50.0, 6.0


def normalized(patch: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Brings the mean and deviation of a patch (h, w) to fixed values, clipped to uint8."""
    values = patch.astype(np.float32)
    spread = max(float(values.std()), LEAST_DEVIATION)
    out = MEAN + (DEVIATION / spread) * (values - float(values.mean()))
    return np.asarray(np.clip(np.rint(out), 0, 255), np.uint8)
