"""Rendered patches for the reader: several cuts of each photograph, several photographs of each plate.

Besides whole plates there are plates that are cut off or hidden at one end, single lines of two-line plates,
and lettering that is no plate, on which there is nothing to read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.training.render.plates import render_plate
from detector.training.render.press import RenderedPlate

from .detector_samples import photometric
from .patch_form import HEIGHT, WIDTH
from .photographs import BankRules, Photograph, PhotographBank
from .reader_samples import ReaderSample, in_patch_units
from .render import camera
from .render.lettering import bare_word, board
from .render.patches import disturbed, photograph

BANK = BankRules(fewest=300, most=8000, fresh=0.33, new_plate=0.5, infrared=0.18)
MARGIN = (-0.03, 0.30)
LETTERING_SHARE = 0.11  # of the new plates are lettering instead
BOARD_SHARE = 0.25  # of those are signs and the like
TWO_LINE_SHARE = 0.09
WHOLE_SHARE = 0.12  # of the two-line plates are shown whole, and cannot be read
CUT_SHARE = 0.09  # of the draws show a plate that is cut off or hidden at one end
_SEEN = (0.3, 0.7)  # visible shares of a cut character: below these it is not read, above it is

Quad = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _View:
    """The part of a photograph to cut out: a picture, the part's corners in it, and the text there."""

    scene: NDArray[np.uint8]
    part: Quad
    text: str
    margin: tuple[float, float]


class RenderedPatches:
    """Draws loosely cut patches of rendered plates. Each process needs its own, because it keeps a bank."""

    def __init__(self, backgrounds: Sequence[NDArray[np.uint8]]) -> None:
        self._backgrounds = backgrounds
        self._bank = PhotographBank(BANK, _new_plate, self._photograph)

    def draw(self, rng: np.random.Generator) -> ReaderSample:
        """One patch with its truth."""
        photo, fresh = self._bank.draw(rng)
        view = _view(rng, photo)
        cut = disturbed(rng, view.part, margin=view.margin, disorder=1.0)
        box = np.array([(0, 0), (WIDTH, 0), (WIDTH, HEIGHT), (0, HEIGHT)], np.float64)
        corners = camera.project(camera.homography(cut, box), photo.quad)
        patch = camera.cut_out(view.scene, cut, (HEIGHT, WIDTH))
        plate = photo.plate
        return ReaderSample(
            patch=patch if fresh else photometric(rng, patch),
            text=view.text,
            jurisdiction=plate.jurisdiction,
            corners=in_patch_units(corners),
            corner_weight=float(bool(plate.text) and len(plate.lines) == 1 and view.part is photo.quad),
        )

    def _photograph(
        self, rng: np.random.Generator, plate: RenderedPlate, infrared: bool
    ) -> tuple[NDArray[np.uint8], Quad]:
        return photograph(rng, plate, infrared=infrared, backgrounds=self._backgrounds)


def _new_plate(rng: np.random.Generator, infrared: bool) -> RenderedPlate:
    kind = rng.random()
    if kind < LETTERING_SHARE:
        return board(rng) if rng.random() < BOARD_SHARE else bare_word(rng)
    two_lines = kind < LETTERING_SHARE + TWO_LINE_SHARE
    return render_plate(rng, infrared=infrared, jurisdiction="square" if two_lines else None)


def _view(rng: np.random.Generator, photo: Photograph) -> _View:
    plate = photo.plate
    if not plate.text:
        return _View(photo.scene, photo.quad, "", (-0.1, 0.5))
    if len(plate.lines) > 1:
        if rng.random() < WHOLE_SHARE:
            return _View(photo.scene, photo.quad, "", MARGIN)
        return _line(rng, photo)
    if rng.random() < CUT_SHARE:
        return _cut_off(rng, photo)
    return _View(photo.scene, photo.quad, plate.text, MARGIN)


def _line(rng: np.random.Generator, photo: Photograph) -> _View:
    """One line of a two-line plate, from the plate's edge to somewhere between the lines."""
    plate = photo.plate
    index = int(rng.integers(len(plate.lines)))
    start = sum(plate.lines[:index])
    stop = start + plate.lines[index]
    line = plate.characters[start:stop]
    left, top = plate.corners.min(axis=0)
    right, bottom = plate.corners.max(axis=0)
    high = float(line[0, 3] - line[0, 1])
    if index + 1 < len(plate.lines):
        bottom = _between(rng, float(line[0, 3]), float(plate.characters[stop, 1]), high)
    if index:
        top = _between(rng, float(plate.characters[start - 1, 3]), float(line[0, 1]), high)
    if rng.random() < 0.4:  # cut closer to the line than the plate's edges are
        left = max(left, float(line[:, 0].min()) - high * rng.uniform(0.1, 0.8))
        right = min(right, float(line[:, 2].max()) + high * rng.uniform(0.1, 0.8))
        top = max(top, float(line[0, 1]) - high * rng.uniform(0.05, 0.4))
        bottom = min(bottom, float(line[0, 3]) + high * rng.uniform(0.05, 0.4))
    part = _in_scene(photo, float(left), float(top), float(right), float(bottom))
    return _View(photo.scene, part, plate.text[start:stop], (-0.03, 0.1))


def _between(rng: np.random.Generator, upper: float, lower: float, high: float) -> float:
    """Where to cut between two lines; now and then the cut is a little inside one of them."""
    return float(rng.uniform(upper, max(lower, upper + 1e-3)) + rng.normal(0, 0.05) * high)


def _cut_off(rng: np.random.Generator, photo: Photograph) -> _View:
    """A plate with one end outside the cut or behind something; its text is what can still be seen."""
    plate = photo.plate
    left, top = plate.corners.min(axis=0)
    right, bottom = plate.corners.max(axis=0)
    at_right = rng.random() < 0.6
    lost = rng.uniform(0.02, 0.45)
    edge = float(right - lost * (right - left) if at_right else left + lost * (right - left))
    wide = plate.characters[:, 2] - plate.characters[:, 0]
    seen = (edge - plate.characters[:, 0] if at_right else plate.characters[:, 2] - edge) / wide
    kept = seen > rng.uniform(*_SEEN, len(seen))
    text = "".join(sign for sign, there in zip(plate.text, kept, strict=True) if there)
    ends = (float(left), edge) if at_right else (edge, float(right))
    part = _in_scene(photo, ends[0], float(top), ends[1], float(bottom))
    if rng.random() < 0.4:
        return _View(photo.scene, part, text, (-0.02, 0.04))
    hidden = (edge, float(right) + 60) if at_right else (float(left) - 60, edge)
    over = _in_scene(photo, hidden[0], float(top) - 60, hidden[1], float(bottom) + 60)
    scene = camera.place(
        photo.scene,
        np.clip(rng.uniform(5, 240) + rng.normal(0, 6, (24, 24)), 0, 255).astype(np.uint8),
        np.full((24, 24), 255, np.uint8),
        np.array([(0, 0), (24, 0), (24, 24), (0, 24)], np.float64),
        over,
    )
    whole = rng.random() < 0.5  # the box includes the hidden end or not
    return _View(scene, _in_scene(photo, *_box(photo)) if whole else part, text, (0.0, 0.2))


def _box(photo: Photograph) -> tuple[float, float, float, float]:
    left, top = photo.plate.corners.min(axis=0)
    right, bottom = photo.plate.corners.max(axis=0)
    return float(left), float(top), float(right), float(bottom)


def _in_scene(photo: Photograph, left: float, top: float, right: float, bottom: float) -> Quad:
    """A box on the flat plate as corners (4, 2) in the photograph."""
    box = np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float64)
    return camera.project(camera.homography(photo.plate.corners, photo.quad), box)
