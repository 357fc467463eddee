"""Makes the reader's batches of real and rendered patches. numpy and Pillow only."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np

from .alphabet import BLANK, SLOTS, indices, place_of
from .datasets import Picture, read_all
from .feeder import Batch
from .patch_form import HEIGHT, WIDTH, normalized
from .reader_samples import RealPatches
from .rendered_patches import RenderedPatches

BATCH = 64
REAL_SHARE = 0.3
BACKGROUNDS = 150


class ReaderBatches:
    """Batches of (patch uint8 (B, 48, 144, 1), truth float32 (B, 21) in the form of ``reader_loss``)."""

    def __init__(self, real: RealPatches, backgrounds: list[Picture], real_share: float) -> None:
        self._real = real
        self._real_share = real_share
        self._rendered = RenderedPatches([picture.luma() for picture in backgrounds])

    def __call__(self, rng: np.random.Generator) -> Batch:
        """One batch."""
        patches = np.empty((BATCH, HEIGHT, WIDTH, 1), np.uint8)
        truth = np.empty((BATCH, SLOTS + 11), np.float32)
        for row in range(BATCH):
            source = self._real if rng.random() < self._real_share else self._rendered
            sample = source.draw(rng)
            patches[row, :, :, 0] = normalized(sample.patch)
            truth[row, :SLOTS] = BLANK
            text = sample.text or ""
            truth[row, : len(text)] = indices(text)
            truth[row, SLOTS] = place_of(sample.jurisdiction)
            truth[row, SLOTS + 1 : SLOTS + 9] = sample.corners.reshape(8)
            truth[row, SLOTS + 9 :] = (float(sample.text is not None), sample.corner_weight)
        return patches, truth


def reader_batches(
    data: Path, *, without: Collection[str] = (), real_share: float = REAL_SHARE
) -> ReaderBatches:
    """Batches from the train split of the sets below ``data``. Raises DataSetError."""
    pictures = list(read_all(data, "train", without=without))
    clean = [picture for picture in pictures if not picture.plates]
    return ReaderBatches(RealPatches(pictures, clean), clean[:BACKGROUNDS], real_share)
