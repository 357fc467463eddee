"""Draws plates, rendered and real, with something in front of them, and where it is.

These pictures train the obstacle finder and set its limit. A rendered plate or a cut-out real one gets an
obstacle (``render.obstacles``) or stays as it is, and is then photographed. In a real scene, the obstacle is
as blurred and noisy as a camera would show it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .datasets import Picture, Split, read_all
from .render import camera
from .render.obstacles import OBSTACLES, cover
from .render.patches import develop, pose
from .render.plates import render_plate
from .render.press import RenderedPlate
from .render.surfaces import vehicle_surface

Luma = NDArray[np.uint8]
Quad = NDArray[np.float64]
Rng = np.random.Generator

PLAIN_SHARE = 0.42  # of the plates have nothing in front
_SCENES, _CROPS = 0.28, 0.5  # cumulative shares of the plates: in real scenes, cut-out real ones
_SHAPES = (None, "US", "US", "US", "EU", "BR")
_NEGATIVES = 80
_TEXT = (0.05, 0.3, 0.95, 0.85)  # where a real plate's characters are: left, top, right, bottom, as shares


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class HiddenPlate:
    """picture: (H, W), with the plate at quad (4, 2); kind: of the obstacle, "" for none; text: the plate's.

    covered: how much of each px is hidden, 0..255, (H, W), None without an obstacle; characters: where they
    are in the picture, (N, 4, 2), with one quad for all characters of a real plate.
    """

    picture: Luma
    quad: Quad
    kind: str
    covered: Luma | None
    characters: NDArray[np.float64]
    text: str
    real: bool


class HiddenPlates:
    """Draws from the pictures of one split. Not thread-safe."""

    def __init__(self, data: Path, split: Split, *, without: tuple[str, ...] = ()) -> None:
        """data: folder of the image sets. Raises DataSetError."""
        every = list(read_all(data, split, without=without))
        self._crops = [one for one in every if len(one.plates) == 1 and _is_crop(one)]
        self._scenes = [one for one in every if any(plate.box and plate.text for plate in one.plates)]
        negatives = [one for one in read_all(data, "train", without=without) if not one.plates]
        self._backgrounds = [one.luma() for one in negatives[:: max(len(negatives) // _NEGATIVES, 1)]]

    def draw(self, rng: Rng) -> HiddenPlate:
        """One plate, with nothing in front in about two of five cases."""
        source = rng.random()
        kind = "" if rng.random() < PLAIN_SHARE else str(rng.choice(list(OBSTACLES)))
        if source < _SCENES and self._scenes:
            return self._in_scene(rng, kind)
        if source < _CROPS and self._crops:
            return self._photographed(rng, self._crop(rng), kind, real=True)
        plate = render_plate(rng, jurisdiction=_SHAPES[int(rng.integers(len(_SHAPES)))])
        return self._photographed(rng, plate, kind, real=False)

    def _crop(self, rng: Rng) -> RenderedPlate:
        """A cut-out real plate, in the form of a rendered one."""
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

    def _photographed(self, rng: Rng, plate: RenderedPlate, kind: str, *, real: bool) -> HiddenPlate:
        """Photographs a plate, with room around it and what hides it."""
        width = float(np.exp(rng.uniform(np.log(56), np.log(230))))
        quad = pose(rng, plate, width)
        room = np.array([0.7 * width + 10, 0.5 * width + 10])
        quad = quad - quad.min(axis=0) + room
        high, wide = (np.ceil(np.ptp(quad, axis=0) + 2 * room)[::-1]).astype(int).tolist()
        scene = vehicle_surface(rng, (high, wide), quad, self._backgrounds)
        scene = camera.place(scene, plate.luma, plate.alpha, plate.corners, quad)
        covered = None
        if kind:
            scene, covered = cover(rng, scene, quad, kind, self._backgrounds)
        onto = camera.homography(plate.corners.astype(np.float64), quad)
        boxes = [((x0, y0), (x1, y0), (x1, y1), (x0, y1)) for x0, y0, x1, y1 in plate.characters.tolist()]
        characters = [camera.project(onto, np.array(one, np.float64)) for one in boxes]
        return HiddenPlate(
            picture=_developed(rng, scene, quad),
            quad=quad,
            kind=kind,
            covered=covered,
            characters=np.array(characters) if characters else _text_of(quad),
            text=plate.text,
            real=real,
        )

    def _in_scene(self, rng: Rng, kind: str) -> HiddenPlate:
        scene = self._scenes[int(rng.integers(len(self._scenes)))]
        picture, quad, text = _around_plate(rng, scene)
        covered = None
        if kind:
            hidden, covered = cover(rng, picture, quad, kind, self._backgrounds)
            blurred = camera.defocus(hidden, float(rng.uniform(0.2, 1.0)))
            seen = camera.sensor_noise(rng, blurred, float(rng.uniform(50, 400)))
            picture = np.where(hidden == picture, picture, seen)
        return HiddenPlate(
            picture=picture,
            quad=quad,
            kind=kind,
            covered=covered,
            characters=_text_of(quad),
            text=text,
            real=True,
        )


def _developed(rng: Rng, scene: Luma, quad: Quad) -> Luma:
    if rng.random() < 0.6:
        return develop(rng, scene, quad, infrared=False)
    blurred = camera.defocus(scene, float(rng.uniform(0.2, 0.9)))
    noisy = camera.sensor_noise(rng, blurred, float(rng.uniform(100, 800)))
    return camera.jpeg(noisy, int(rng.integers(70, 95)))


def _text_of(quad: Quad) -> NDArray[np.float64]:
    """The quad (1, 4, 2) assumed for the characters of a plate whose characters' places are unknown."""
    left, top, right, foot = _TEXT
    along, down = quad[1] - quad[0], quad[3] - quad[0]
    corners = ((left, top), (right, top), (right, foot), (left, foot))
    return np.array([[quad[0] + x * along + y * down for x, y in corners]])


def _is_crop(picture: Picture) -> bool:
    return bool(picture.plates[0].text) and picture.plates[0].box is None


def _around_plate(rng: Rng, picture: Picture) -> tuple[Luma, Quad, str]:
    """A part of a real picture around one of its plates, resized; the plate's quad (4, 2) and text."""
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
