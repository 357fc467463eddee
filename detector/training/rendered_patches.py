"""Rendered patches for the reader: several cuts of each photograph, several photographs of each plate.

Drawing a plate costs most, photographing it less, cutting a patch out of the photograph least. So
photographs stay in a bank for a while: each draw cuts one of them and, now and then, a fresh one
takes an old one's place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .detector_samples import photometric
from .patch_form import HEIGHT, WIDTH
from .reader_samples import ReaderSample, in_patch_units
from .render import camera
from .render.patches import disturbed, photograph
from .render.plates import RenderedPlate, render_plate

FRESH_SHARE = 0.33  # of the draws take a fresh photograph
NEW_PLATE_SHARE = 0.5  # of the fresh photographs show a newly drawn plate
INFRARED_SHARE = 0.18
MARGIN = (-0.03, 0.30)
FEWEST, MOST = 300, 8000


@dataclass(frozen=True, slots=True)
class _Photograph:
    scene: NDArray[np.uint8]
    quad: NDArray[np.float64]
    plate: RenderedPlate
    infrared: bool


class RenderedPatches:
    """Draws loosely cut patches of rendered plates; one a process, for it keeps a bank."""

    def __init__(self, backgrounds: Sequence[NDArray[np.uint8]]) -> None:
        self._backgrounds = backgrounds
        self._bank: list[_Photograph] = []

    def draw(self, rng: np.random.Generator) -> ReaderSample:
        """One patch with its truth."""
        fresh = len(self._bank) < FEWEST or rng.random() < FRESH_SHARE
        photo = self._fresh(rng) if fresh else self._bank[int(rng.integers(len(self._bank)))]
        cut = disturbed(rng, photo.quad, margin=MARGIN, disorder=1.0)
        box = np.array([(0, 0), (WIDTH, 0), (WIDTH, HEIGHT), (0, HEIGHT)], np.float64)
        corners = camera.project(camera.homography(cut, box), photo.quad)
        patch = camera.cut_out(photo.scene, cut, (HEIGHT, WIDTH))
        return ReaderSample(
            patch=patch if fresh else photometric(rng, patch),
            text=photo.plate.text,
            jurisdiction=photo.plate.jurisdiction,
            corners=in_patch_units(corners),
            corner_weight=1.0,
        )

    def _fresh(self, rng: np.random.Generator) -> _Photograph:
        """A new photograph, of a new plate or of one in the bank; kept in the bank."""
        if len(self._bank) < FEWEST or rng.random() < NEW_PLATE_SHARE:
            infrared = bool(rng.random() < INFRARED_SHARE)
            plate = render_plate(rng, infrared=infrared)
        else:
            old = self._bank[int(rng.integers(len(self._bank)))]
            plate, infrared = old.plate, old.infrared
        scene, quad = photograph(rng, plate, infrared=infrared, backgrounds=self._backgrounds)
        photo = _Photograph(scene, quad, plate, infrared)
        if len(self._bank) < MOST:
            self._bank.append(photo)
        else:
            self._bank[int(rng.integers(MOST))] = photo
        return photo
