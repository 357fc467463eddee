"""Makes the reader's training patches from real pictures, cut out as loosely as a detector would."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from detector.plates import ALPHABET
from detector.training.alphabet import JURISDICTIONS, SLOTS

from .datasets import Picture
from .detector_samples import photometric
from .geometry import perspective
from .patch_form import HEIGHT, WIDTH
from .renamed import renamed

Luma = NDArray[np.uint8]
Quad = NDArray[np.float64]

_SET_WEIGHT = {
    "us-crops": 5.0,
    "us-scenes": 3.0,
    "us-closeups": 1.5,
    "eu-scenes": 1.2,
    "br-scenes": 1.0,
    "br-crops": 1.6,
    "ar-crops": 0.5,
    "nl-clips": 0.6,
    "ro-dashcam": 0.9,
    "open-lpr": 1.2,
    "mixed-roboflow": 0.3,
    "us-state-designs": 1.0,
}
NOTHING_SHARE = 0.12  # of the draws show a part of a plate-free picture


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderSample:
    """patch: uint8 (48, 144), not yet normalized; corners: (4, 2) in units of the patch from its center.

    text: what can be read there, empty if nothing can, None if unknown.
    """

    patch: Luma
    text: str | None
    jurisdiction: str
    corners: NDArray[np.float32]
    corner_weight: float


@dataclass(frozen=True, slots=True)
class _Cut:
    image: Image.Image
    quad: Quad
    text: str | None
    region: str
    whole: bool
    weight: float


@dataclass(frozen=True, slots=True)
class _View:
    """A plate to cut out: its picture, its corners there, and those of the loose cut."""

    cut: _Cut
    image: Image.Image
    quad: Quad
    loose: Quad
    resample: Image.Resampling


def loose_quad(rng: np.random.Generator, quad: Quad, *, spread: float = 1.0) -> tuple[Quad, float, float]:
    """The corners as a detector might give them, enlarged by a random margin; and that margin's x and y."""
    center = quad.mean(axis=0)
    across, down = quad[1] - quad[0], quad[3] - quad[0]
    w, h = float(np.linalg.norm(across)), float(np.linalg.norm(down))
    unit_x, unit_y = across / max(w, 1e-6), down / max(h, 1e-6)
    shift = unit_x * rng.normal(0, 0.02 * spread) * w + unit_y * rng.normal(0, 0.04 * spread) * h
    out = (quad - center) * float(np.exp(rng.normal(0, 0.03 * spread)))
    turn = rng.normal(0, 0.02 * spread)
    out = out @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    out += (
        rng.normal(0, 0.012 * spread, (4, 1)) * w * unit_x + rng.normal(0, 0.03 * spread, (4, 1)) * h * unit_y
    )
    margin_x = float(rng.uniform(-0.01, 0.14)) if rng.random() < 0.8 else float(rng.uniform(0.1, 0.3))
    margin_y = float(rng.uniform(-0.01, 0.2)) if rng.random() < 0.8 else float(rng.uniform(0.1, 0.4))
    for index, (sign_x, sign_y) in enumerate(((-1, -1), (1, -1), (1, 1), (-1, 1))):
        out[index] += unit_x * sign_x * margin_x * w / 2 + unit_y * sign_y * margin_y * h / 2
    return out + center + shift, margin_x, margin_y


def cut_patch(
    image: Image.Image,
    quad: Quad,
    resample: Image.Resampling = Image.Resampling.BICUBIC,
    *,
    size: tuple[int, int] = (HEIGHT, WIDTH),
) -> tuple[Luma, NDArray[np.float64]]:
    """The patch inside ``quad`` at size (height, width), and the 3x3 map from picture to patch."""
    height, width = size
    x0, y0 = np.floor(quad.min(axis=0)) - 2
    x1, y1 = np.ceil(quad.max(axis=0)) + 2
    wide = float(np.linalg.norm(quad[1] - quad[0]))
    high = float(np.linalg.norm(quad[3] - quad[0]))
    shrink_x, shrink_y = max(wide / width, 1.0), max(high / height, 1.0)
    shrunk = (max(round((x1 - x0) / shrink_x), 2), max(round((y1 - y0) / shrink_y), 2))
    region = image.crop((int(x0), int(y0), int(x1), int(y1)))
    if shrunk != region.size:
        region = region.resize(shrunk, Image.Resampling.BOX)
    scale = np.array([shrunk[0] / (x1 - x0), shrunk[1] / (y1 - y0)])
    local = (quad - (x0, y0)) * scale
    target = [(0.0, 0.0), (float(width), 0.0), (float(width), float(height)), (0.0, float(height))]
    to_region = perspective(target, local.tolist())
    patch = region.transform((width, height), Image.Transform.PERSPECTIVE, to_region, resample)
    forward = np.array([*perspective(quad.tolist(), target), 1.0]).reshape(3, 3)
    return np.asarray(patch), forward


def mapped(points: Quad, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Maps points (N, 2) by a 3x3 projective matrix."""
    out = np.concatenate([points, np.ones((len(points), 1))], axis=1) @ matrix.T
    return np.asarray(out[:, :2] / out[:, 2:])


def in_patch_units(points: NDArray[np.float64]) -> NDArray[np.float32]:
    """Converts patch px (N, 2) to units of (width, height) from the patch's center."""
    return ((points / (WIDTH, HEIGHT)) - 0.5).astype(np.float32)


class RealPatches:
    """Draws loosely cut patches of the labeled plates of real pictures."""

    def __init__(
        self,
        pictures: Sequence[Picture],
        backgrounds: Sequence[Picture] = (),
        *,
        weights: Mapping[str, float] = _SET_WEIGHT,
    ) -> None:
        """weights: by set, the weight of each of its plates; 0.5 for a set that is not named."""
        self._cuts: list[_Cut] = []
        for picture in pictures:
            image: Image.Image | None = None
            for plate in picture.plates:
                readable = 0 < len(plate.text) <= SLOTS and all(c in ALPHABET for c in plate.text)
                if not readable and plate.region not in JURISDICTIONS:
                    continue
                image = image or Image.fromarray(picture.luma())
                x, y, w, h = plate.box or (0, 0, image.width, image.height)
                quad = np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]], np.float64)
                source, quad = _near(image, quad) if plate.box else (image, quad)
                self._cuts.append(
                    _Cut(
                        source,
                        quad,
                        plate.text if readable else None,
                        plate.region,
                        plate.box is None,
                        weights.get(picture.dataset, 0.5),
                    )
                )
        shares = np.array([cut.weight for cut in self._cuts])
        self._chances = shares / shares.sum()
        self._backgrounds = [Image.fromarray(picture.luma()) for picture in backgrounds]

    def __len__(self) -> int:
        return len(self._cuts)

    def draw(self, rng: np.random.Generator) -> ReaderSample:
        """One patch with its truth."""
        if self._backgrounds and rng.random() < NOTHING_SHARE:
            return self._nothing(rng)
        view = self._loosely(rng, far=(48.0, 130.0))
        patch, forward = cut_patch(view.image, view.loose, view.resample)
        return ReaderSample(
            patch=photometric(rng, patch),
            text=view.cut.text,
            jurisdiction=view.cut.region,
            corners=in_patch_units(mapped(view.quad, forward)),
            corner_weight=1.0 if view.cut.whole else 0.5,
        )

    def draw_place(
        self,
        rng: np.random.Generator,
        size: tuple[int, int],
        *,
        far: tuple[float, float],
        renamed_share: float = 0.0,
    ) -> tuple[Luma, str]:
        """A patch of size (height, width) of a plate whose jurisdiction is known, and that jurisdiction.

        far: range of widths in px to which some plates are shrunk first. renamed_share: of the plates of the
        US that fill their picture, this share gets another state's name. The sets must contain a plate whose
        jurisdiction is known.
        """
        while not (view := self._loosely(rng, far=far, renamed_share=renamed_share)).cut.region:
            pass
        patch, _ = cut_patch(view.image, view.loose, view.resample, size=size)
        return photometric(rng, patch), view.cut.region

    def _loosely(
        self, rng: np.random.Generator, *, far: tuple[float, float], renamed_share: float = 0.0
    ) -> _View:
        """One of the plates, cut as a detector would; now and then as if from farther away."""
        cut = self._cuts[int(rng.choice(len(self._cuts), p=self._chances))]
        if renamed_share and cut.whole and cut.region.startswith("US-") and rng.random() < renamed_share:
            other, code = renamed(rng, cut.image)
            cut = replace(cut, image=other, region=code)
        image, quad = cut.image, cut.quad
        if cut.whole:
            image, quad = self._set_on_background(rng, image)
        loose, _, _ = loose_quad(rng, quad, spread=1.0 if cut.whole else 0.8)
        choice = (Image.Resampling.BICUBIC, Image.Resampling.BILINEAR)[int(rng.integers(2))]
        if rng.random() < 0.35:
            target = float(np.exp(rng.uniform(np.log(far[0]), np.log(far[1]))))
            wide = float(np.linalg.norm(loose[1] - loose[0]))
            if wide > target:
                shrink = target / wide
                size = (max(round(image.width * shrink), 8), max(round(image.height * shrink), 6))
                ratio = np.array([size[0] / image.width, size[1] / image.height])
                image = image.resize(
                    size, Image.Resampling.BOX if rng.random() < 0.5 else Image.Resampling.BILINEAR
                )
                loose, quad = loose * ratio, quad * ratio
        return _View(cut, image, quad, loose, choice)

    def _nothing(self, rng: np.random.Generator) -> ReaderSample:
        """A part of a plate-free picture, of about a plate's size and shape, with nothing to read."""
        image = self._backgrounds[int(rng.integers(len(self._backgrounds)))]
        wide = min(float(np.exp(rng.uniform(np.log(25), np.log(300)))), image.width * 0.6)
        high = min(wide / rng.uniform(1.4, 5.0), image.height * 0.6)
        x, y = rng.uniform(0, image.width - wide), rng.uniform(0, image.height - high)
        quad = np.array([[x, y], [x + wide, y], [x + wide, y + high], [x, y + high]], np.float64)
        loose, _, _ = loose_quad(rng, quad)
        patch, _ = cut_patch(image, loose)
        return ReaderSample(
            patch=photometric(rng, patch),
            text="",
            jurisdiction="",
            corners=np.zeros((4, 2), np.float32),
            corner_weight=0.0,
        )

    def _set_on_background(self, rng: np.random.Generator, plate: Image.Image) -> tuple[Image.Image, Quad]:
        """A whole-picture plate on a background, so that its margin is not black; and its corners."""
        pad_x, pad_y = int(plate.width * 0.25), int(plate.height * 0.35)
        size = (plate.width + 2 * pad_x, plate.height + 2 * pad_y)
        kind = rng.random()
        if self._backgrounds and kind < 0.4:
            source = self._backgrounds[int(rng.integers(len(self._backgrounds)))]
            w, h = min(size[0], source.width), min(size[1], source.height)
            left, top = int(rng.integers(source.width - w + 1)), int(rng.integers(source.height - h + 1))
            canvas = source.crop((left, top, left + w, top + h)).resize(size)
        elif kind < 0.7:
            edge = np.pad(np.asarray(plate), ((pad_y, pad_y), (pad_x, pad_x)), mode="edge")
            canvas = Image.fromarray(edge)
        else:
            shade = float(rng.uniform(5, 240)) + np.linspace(-1, 1, size[1])[:, None] * rng.normal(0, 25)
            canvas = Image.fromarray(np.clip(np.broadcast_to(shade, size[::-1]), 0, 255).astype(np.uint8))
        canvas.paste(plate, (pad_x, pad_y))
        x1, y1 = pad_x + plate.width, pad_y + plate.height
        return canvas, np.array([[pad_x, pad_y], [x1, pad_y], [x1, y1], [pad_x, y1]], np.float64)


def _near(image: Image.Image, quad: Quad) -> tuple[Image.Image, Quad]:
    """The part of the picture that a loose cut can reach, to save memory, and the quad in it."""
    span = quad.max(axis=0) - quad.min(axis=0)
    low = np.maximum(np.floor(quad.min(axis=0) - span * 0.6 - 4), 0)
    high = np.minimum(np.ceil(quad.max(axis=0) + span * 0.6 + 4), (image.width, image.height))
    part = image.crop((int(low[0]), int(low[1]), int(high[0]), int(high[1])))
    return part, quad - low
