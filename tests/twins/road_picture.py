"""A picture of a road, as a fixed camera sees it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def road(seed: int = 0, *, shift: int = 0) -> NDArray[np.uint8]:
    """A textured street, always the same except for noise."""
    dice = np.random.default_rng(3)
    blocks = dice.integers(40, 220, (18, 32)).astype(np.uint8)
    luma = np.kron(np.roll(blocks, shift, axis=1), np.ones((10, 10), np.uint8))
    noise = np.random.default_rng(seed).integers(-3, 4, luma.shape)
    return np.clip(luma.astype(int) + noise, 0, 255).astype(np.uint8)
