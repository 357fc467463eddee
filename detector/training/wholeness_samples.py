"""What the model of whole plates is fitted on: plates as they were read, whole and behind something.

A plate, rendered or real, gets an obstacle (``render.obstacles``), is mirrored or turned, or stays as it is;
then the shipped nets find and read it. A text that is right is of a whole plate, whatever is before it; one
that is wrong behind an obstacle is of a hidden one; one that is wrong without is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import DegenerateCornersError
from ..plates import PlateReading
from ..reader import PlateReader
from .datasets import Picture, Split, fold, read_all
from .render import camera
from .render.lettering import bare_word, board
from .render.obstacles import OBSTACLES, hidden_behind
from .render.patches import develop, pose
from .render.plates import render_plate
from .render.press import RenderedPlate
from .render.surfaces import vehicle_surface

Luma = NDArray[np.uint8]
Quad = NDArray[np.float64]
Rng = np.random.Generator

LEAST_CONFIDENCE = 0.6  # a text less sure than this is not sure in a pass either
_SHAPES = (None, "US", "US", "US", "EU", "BR")
_KINDS = ("", "mirrored", "turned", *OBSTACLES)
_CHANCES = np.array([0.42, 0.05, 0.05, *[0.48 / len(OBSTACLES)] * len(OBSTACLES)])
_REAL_WEIGHT = 2.0
_NEGATIVES = 80


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class WholenessSample:
    """signs: float64 (N,), as ``Wholeness`` gets them; right: whether the text was.

    plain: nothing was drawn before the plate; text: the plate's, "" if there is none.
    """

    signs: NDArray[np.float64]
    right: bool
    plain: bool
    weight: float
    text: str


class WholenessSamples:
    """Draws samples. Not thread-safe, as its reader."""

    def __init__(self, data: Path, split: Split, *, without: tuple[str, ...] = ()) -> None:
        """data: folder of the image sets; split: of their pictures. Raises DataSetError."""
        every = list(read_all(data, split, without=without))
        self._reader = PlateReader.from_models(doubt=False)
        self._crops = [one for one in every if len(one.plates) == 1 and _is_crop(one)]
        self._scenes = [one for one in every if any(plate.box and plate.text for plate in one.plates)]
        negatives = [one for one in read_all(data, "train", without=without) if not one.plates]
        self._backgrounds = [one.luma() for one in negatives[:: max(len(negatives) // _NEGATIVES, 1)]]

    def draw(self, rng: Rng) -> WholenessSample | None:
        """One sample, or None if nothing came of the picture."""
        kind = str(rng.choice(_KINDS, p=_CHANCES))
        source = rng.random()
        if source < 0.1:
            thing = bare_word(rng) if rng.random() < 0.4 else board(rng)
            picture, quad = self._photograph(rng, thing, "")
            return self._sample(picture, quad, "", "no plate", 1.0)
        if source < 0.3 and self._scenes:
            scene = self._scenes[int(rng.integers(len(self._scenes)))]
            picture, quad, text = _around_plate(rng, scene)
            picture = self._hidden(rng, picture, quad, kind)
        else:
            plate = (
                self._crop(rng)
                if source < 0.6 and self._crops
                else render_plate(rng, jurisdiction=_SHAPES[int(rng.integers(len(_SHAPES)))])
            )
            text = plate.text
            picture, quad = self._photograph(rng, plate, kind)
        picture, quad = _flipped(picture, quad, kind)
        return self._sample(picture, quad, text, kind, _REAL_WEIGHT if source < 0.6 and not kind else 1.0)

    def _crop(self, rng: Rng) -> RenderedPlate:
        """A cut-out real plate, as a flat one."""
        picture = self._crops[int(rng.integers(len(self._crops)))]
        luma, (label,) = picture.luma(), picture.plates
        height, width = luma.shape
        corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
        return RenderedPlate(
            luma=luma,
            alpha=np.full_like(luma, 255),
            corners=corners,
            text_corners=corners,
            characters=np.zeros((0, 4), np.float32),
            lines=(len(label.text),),
            text=label.text,
            jurisdiction=label.region,
            layout=picture.dataset,
        )

    def _photograph(self, rng: Rng, plate: RenderedPlate, kind: str) -> tuple[Luma, Quad]:
        """A picture with room around a plate at quad (4, 2), and what hides it, through the camera."""
        width = float(np.exp(rng.uniform(np.log(60), np.log(210))))
        quad = pose(rng, plate, width)
        room = np.array([0.7 * width + 10, 0.5 * width + 10])
        quad = quad - quad.min(axis=0) + room
        high, wide = (np.ceil(np.ptp(quad, axis=0) + 2 * room)[::-1]).astype(int).tolist()
        scene = vehicle_surface(rng, (high, wide), quad, self._backgrounds)
        scene = camera.place(scene, plate.luma, plate.alpha, plate.corners, quad)
        if kind in OBSTACLES:
            scene = hidden_behind(rng, scene, quad, kind, self._backgrounds)
        if rng.random() < 0.6:
            return develop(rng, scene, quad, infrared=False), quad
        blurred = camera.defocus(scene, float(rng.uniform(0.2, 0.9)))
        noisy = camera.sensor_noise(rng, blurred, float(rng.uniform(100, 800)))
        return camera.jpeg(noisy, int(rng.integers(70, 95))), quad

    def _hidden(self, rng: Rng, picture: Luma, quad: Quad, kind: str) -> Luma:
        """A real picture with an obstacle as blurred and noisy as a camera shows it."""
        if kind not in OBSTACLES:
            return picture
        hidden = hidden_behind(rng, picture, quad, kind, self._backgrounds)
        blurred = camera.defocus(hidden, float(rng.uniform(0.2, 1.0)))
        seen = camera.sensor_noise(rng, blurred, float(rng.uniform(50, 400)))
        return np.where(hidden == picture, picture, seen)

    def _sample(
        self, picture: Luma, quad: Quad, text: str, kind: str, weight: float
    ) -> WholenessSample | None:
        reading = self._nearest(picture, quad)
        if reading is None or reading.confidence < LEAST_CONFIDENCE:
            return None
        right = fold(reading.leader) == fold(text)
        if not right and not kind:
            return None
        try:
            signs = self._reader.wholeness_signs(picture, reading.box, reading.evidence)
        except DegenerateCornersError:
            return None
        return WholenessSample(signs=signs, right=right, plain=not kind, weight=weight, text=text)

    def _nearest(self, picture: Luma, quad: Quad) -> PlateReading | None:
        x, y = quad.mean(axis=0).tolist()
        wide = float(np.ptp(quad[:, 0]))
        near = [
            (float(np.hypot(one.box.center[0] - x, one.box.center[1] - y)), one)
            for one in self._reader.read(picture).readings
        ]
        away, nearest = min(near, key=lambda pair: pair[0], default=(np.inf, None))
        return nearest if away < 0.8 * wide else None


def _is_crop(picture: Picture) -> bool:
    return bool(picture.plates[0].text) and picture.plates[0].box is None


def _around_plate(rng: Rng, picture: Picture) -> tuple[Luma, Quad, str]:
    """A part of a real picture around one of its plates, larger or smaller, and its quad (4, 2)."""
    labels = [(plate.box, plate.text) for plate in picture.plates if plate.box is not None and plate.text]
    (x, y, w, h), text = labels[int(rng.integers(len(labels)))]
    luma = picture.luma()
    reach_x, reach_y = max(2.2 * w, 160.0), max(1.5 * w, 2.2 * h)
    left, top = int(max(x + w / 2 - reach_x, 0)), int(max(y + h / 2 - reach_y, 0))
    part = luma[top : int(y + h / 2 + reach_y), left : int(x + w / 2 + reach_x)]
    scale = float(rng.uniform(0.7, 1.25)) if w > 50 else 1.0
    size = (round(part.shape[1] * scale), round(part.shape[0] * scale))
    part = camera.exposure(np.asarray(Image.fromarray(part).resize(size)), float(rng.uniform(-0.5, 0.3)))
    corners = np.array([(x, y), (x + w, y), (x + w, y + h), (x, y + h)], np.float64)
    return part, (corners - (left, top)) * scale, text


def _flipped(picture: Luma, quad: Quad, kind: str) -> tuple[Luma, Quad]:
    """The picture as a mirror shows it, or turned by 180 degrees, if the kind says so."""
    height, width = picture.shape
    if kind == "mirrored":
        return np.ascontiguousarray(picture[:, ::-1]), (width - 1, 0) + quad * (-1, 1)
    if kind == "turned":
        return np.ascontiguousarray(picture[::-1, ::-1]), (width - 1, height - 1) - quad
    return picture, quad
