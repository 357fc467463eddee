"""Makes the obstacle finder's training patches: a plate with its surroundings, and which columns are hidden.

The box is as loose as a detector's. If an end of the plate is hidden, the box mostly ends at the obstacle.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ..errors import DegenerateCornersError
from ..lettering import MARGIN, SIZE
from ..rectify import cut_patch
from .feeder import Batch
from .hidden_plates import HiddenPlate, HiddenPlates
from .patch_form import COLUMNS, normalized
from .render import camera

BATCH = 96
_FINER = 3  # the mask of the characters is drawn this many times larger
_ENDS_AT_OBSTACLE = 0.75  # of the boxes whose end is hidden
_FLAT = (24, 72)  # size of the cut-out plate that shows which part of its length is hidden
_LEAST_SEEN = 18  # columns of ``_FLAT``: if fewer are visible, there is no box
_LOOSE = (0.012, 0.03)  # deviation of the box's corners, as shares of its width and height
_LITTLE, _MUCH = 0.15, 0.65  # hidden share of a column's character px: up to this clear, from this hidden
_NEGATIVE_SHARE, _MIRROR_SHARE = 0.1, 0.25


class ObstacleBatches:
    """Batches of (patch uint8 (B, 48, 144, 1), hidden uint8 (B, 36), 0..255 of each column)."""

    def __init__(self, plates: HiddenPlates) -> None:
        self._plates = plates

    def __call__(self, rng: np.random.Generator) -> Batch:
        """One batch."""
        patches = np.empty((BATCH, *SIZE, 1), np.uint8)
        hidden = np.empty((BATCH, COLUMNS), np.uint8)
        for row in range(BATCH):
            patch, columns = self._sample(rng)
            if rng.random() < _MIRROR_SHARE:
                patch, columns = patch[:, ::-1], columns[::-1]
            if rng.random() < _NEGATIVE_SHARE:
                patch = 255 - patch
            patches[row, :, :, 0] = normalized(camera.sensor_noise(rng, patch, float(rng.uniform(0, 300))))
            hidden[row] = columns
        return patches, hidden

    def _sample(self, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        while True:
            sample = patch_of(rng, self._plates.draw(rng))
            if sample is not None:
                return sample


def patch_of(
    rng: np.random.Generator, plate: HiddenPlate
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]] | None:
    """A patch (48, 144) and how hidden each column is, 0..255, (36,); None if hardly any plate shows."""
    box = plate.quad if plate.covered is None else _seen_part(rng, plate.quad, plate.covered)
    if box is None:
        return None
    try:
        box = _loosened(rng, box)
        patch = cut_patch(plate.picture, box, SIZE, MARGIN).luma
        hidden = _hidden_columns(box, plate)
    except DegenerateCornersError:
        return None
    return patch, hidden


def _seen_part(
    rng: np.random.Generator, quad: NDArray[np.float64], covered: NDArray[np.uint8]
) -> NDArray[np.float64] | None:
    """The part of a plate's quad (4, 2) that the detector would box, None if hardly anything shows."""
    along = camera.cut_out(covered, quad, _FLAT)[_FLAT[0] // 4 : -_FLAT[0] // 6].mean(axis=0)
    seen = np.flatnonzero(along < 128)
    if len(seen) < _LEAST_SEEN:
        return None
    if rng.random() >= _ENDS_AT_OBSTACLE:
        return quad
    first, last = seen[0] / _FLAT[1], (seen[-1] + 1) / _FLAT[1]
    first, last = (first if first > 0.04 else 0.0), (last if last < 0.96 else 1.0)
    a, b, c, d = quad
    return np.array([a + first * (b - a), a + last * (b - a), d + last * (c - d), d + first * (c - d)])


def _loosened(rng: np.random.Generator, box: NDArray[np.float64]) -> NDArray[np.float64]:
    size = np.array([np.linalg.norm(box[1] - box[0]), np.linalg.norm(box[3] - box[0])])
    off = size * _LOOSE
    box = box + rng.normal(size=(1, 2)) * off + rng.normal(size=(4, 2)) * off
    middle = box.mean(axis=0)
    return np.asarray(middle + (box - middle) * (1 + rng.normal(0, 0.03, 2)))


def _hidden_columns(box: NDArray[np.float64], plate: HiddenPlate) -> NDArray[np.uint8]:
    if plate.covered is None:
        return np.zeros(COLUMNS, np.uint8)
    height, width = plate.picture.shape
    print_ = Image.new("L", (width * _FINER, height * _FINER))
    for quad in plate.characters * _FINER:
        ImageDraw.Draw(print_).polygon([(x, y) for x, y in quad.tolist()], fill=255)
    shown = cut_patch(np.asarray(print_.reduce(_FINER)), box, SIZE, MARGIN).luma / 255.0
    covered = cut_patch(plate.covered, box, SIZE, MARGIN).luma / 255.0
    px = shown.sum(axis=0)
    share = np.where(px > 4, (shown * covered).sum(axis=0) / np.maximum(px, 1), 0.0)
    of_column = share.reshape(COLUMNS, -1).mean(axis=1)
    return np.asarray(np.clip((of_column - _LITTLE) / (_MUCH - _LITTLE), 0, 1) * 255, np.uint8)


def obstacle_batches(data: Path, *, without: Collection[str] = ()) -> ObstacleBatches:
    """Batches from the train split of the sets below ``data``. Raises DataSetError."""
    return ObstacleBatches(HiddenPlates(data, "train", without=tuple(without)))
