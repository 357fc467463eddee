"""Makes the state namer's training patches: larger than the reader's, since a state's name is small print.

They show real plates with a labeled jurisdiction, and rendered ones photographed several times each, cut out
as loosely as a detector would. numpy and Pillow only.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .alphabet import place_of
from .datasets import read_all
from .feeder import Batch
from .patch_form import normalized
from .photographs import BankRules, PhotographBank
from .reader_samples import RealPatches
from .render import camera
from .render.patches import disturbed, photograph
from .render.plates import render_plate
from .render.press import RenderedPlate

HEIGHT, WIDTH = 96, 192
BATCH = 64
REAL_SHARE = 0.75
RENAMED_SHARE = 0.6  # of the real plates of the US that fill their picture
BACKGROUNDS = 150
BANK = BankRules(fewest=20, most=400, fresh=0.6, new_plate=0.5, infrared=0.15)
MARGIN = (-0.03, 0.26)
_FAR = (60.0, 180.0)
_SET_WEIGHT = {
    "us-crops": 5.0,
    "us-closeups": 5.0,
    "us-state-designs": 2.0,
    "open-lpr": 1.5,
    "mixed-roboflow": 1.0,
    "ro-dashcam": 0.5,
    "nl-clips": 0.5,
    "ar-crops": 0.6,
    "br-crops": 0.4,
}
_SHARES = {"US": 0.72, "CA": 0.07, "EU": 0.05, "GB": 0.02, "BR": 0.04, "AR": 0.03, "other": 0.07}


class StateBatches:
    """Batches of (patch uint8 (B, 96, 192, 1), class number int32 (B,) as by ``place_of``)."""

    def __init__(
        self, real: RealPatches, backgrounds: Sequence[NDArray[np.uint8]], real_share: float = REAL_SHARE
    ) -> None:
        self._real = real
        self._backgrounds = backgrounds
        self._real_share = real_share
        self._bank = PhotographBank(BANK, _new_plate, self._photograph)

    def __call__(self, rng: np.random.Generator) -> Batch:
        """One batch."""
        patches = np.empty((BATCH, HEIGHT, WIDTH, 1), np.uint8)
        places = np.empty(BATCH, np.int32)
        for row in range(BATCH):
            if rng.random() < self._real_share:
                patch, place = self._real.draw_place(
                    rng, (HEIGHT, WIDTH), far=_FAR, renamed_share=RENAMED_SHARE
                )
            else:
                patch, place = self._rendered(rng)
            patches[row, :, :, 0] = normalized(patch)
            places[row] = place_of(place)
        return patches, places

    def _rendered(self, rng: np.random.Generator) -> tuple[NDArray[np.uint8], str]:
        photo, _ = self._bank.draw(rng)
        while not photo.plate.jurisdiction:
            photo, _ = self._bank.draw(rng)
        cut = disturbed(rng, photo.quad, margin=MARGIN, disorder=0.8)
        return camera.cut_out(photo.scene, cut, (HEIGHT, WIDTH)), photo.plate.jurisdiction

    def _photograph(
        self, rng: np.random.Generator, plate: RenderedPlate, infrared: bool
    ) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        width = float(np.clip(np.exp(rng.normal(np.log(150), 0.45)), 56, 330))
        return photograph(rng, plate, infrared=infrared, backgrounds=self._backgrounds, width=width)


def _new_plate(rng: np.random.Generator, infrared: bool) -> RenderedPlate:
    kind = str(rng.choice(list(_SHARES), p=list(_SHARES.values())))
    return render_plate(rng, infrared=infrared, jurisdiction=kind)


def state_batches(data: Path, *, without: Collection[str] = ()) -> StateBatches:
    """Batches from the train split of the sets below ``data``. Raises DataSetError."""
    pictures = list(read_all(data, "train", without=without))
    clean = [picture for picture in pictures if not picture.plates]
    named = [picture for picture in pictures if any(plate.region for plate in picture.plates)]
    return StateBatches(
        RealPatches(named, clean, weights=_SET_WEIGHT), [one.luma() for one in clean[:BACKGROUNDS]]
    )
