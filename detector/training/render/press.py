"""From a printed sheet to a plate that has been on the road: relief, wear, frame, corners and alpha."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from . import wear
from .line import Box, Field, SetLine, cover, resized

Mask = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedPlate:
    """A flat plate with its truth.

    luma: uint8 (H, W), the plate and its frame, if it has one; alpha: uint8 (H, W), 0 outside;
    corners: float32 (4, 2), px, the plate's own, clockwise from top left of the text as read;
    text_corners: the same for all lines of the serial; characters: float32 (N, 4), px, left, top,
    right and bottom of each character of the text; lines: how many characters each line has; text: A-Z0-9;
    jurisdiction: as data sets name it, empty if not modeled; layout: what was drawn, for messages.
    """

    luma: NDArray[np.uint8]
    alpha: NDArray[np.uint8]
    corners: NDArray[np.float32]
    text_corners: NDArray[np.float32]
    characters: NDArray[np.float32]
    lines: tuple[int, ...]
    text: str
    jurisdiction: str
    layout: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tones:
    """Lumas of one plate: sheet, serial ink, and how far its pictures depart from the sheet."""

    paper: float
    ink: float
    contrast: float


def seen_by(rng: np.random.Generator, paper: float, ink: float, *, infrared: bool) -> Tones:
    """The tones of a design by day, or in infrared light, where many colored prints fade or invert."""
    if not infrared:
        paper = float(np.clip(paper + rng.normal(0, 14), 15, 250))
        ink = float(np.clip(ink + rng.normal(0, 16), 5, 245))
        if abs(paper - ink) < 60:
            ink = paper - 80 if paper > 128 else paper + 80
        return Tones(paper=paper, ink=ink, contrast=float(rng.uniform(20, 110)))
    fate = rng.random()
    if paper < 110 and fate < 0.5:  # infrared goes through a dark print, so that the whole sheet shines
        dark, light = rng.uniform(120, 190), rng.uniform(215, 255)
        return Tones(paper=float(dark), ink=float(light), contrast=8.0)
    if paper < 110:
        return Tones(paper=float(rng.uniform(20, 80)), ink=float(rng.uniform(190, 255)), contrast=10.0)
    sheet = float(rng.uniform(205, 255))
    if fate < 0.8:
        return Tones(paper=sheet, ink=float(rng.uniform(10, 80)), contrast=float(rng.uniform(0, 30)))
    return Tones(paper=sheet, ink=float(rng.uniform(100, 180)), contrast=float(rng.uniform(0, 20)))


def place_serial(
    rng: np.random.Generator,
    line: SetLine,
    area: Box,
    *,
    height: float,
    stretch: tuple[float, float] = (0.85, 1.15),
) -> Box:
    """The box of the set line inside the area, about ``height`` px tall."""
    left, top, right, bottom = area
    height = min(height, bottom - top)
    width = line.mask.shape[1] * height / line.mask.shape[0] * rng.uniform(*stretch)
    if width > right - left:
        squeeze = (right - left) / width
        height *= max(squeeze, 0.8)
        width = right - left
    spare_x, spare_y = right - left - width, bottom - top - height
    x = left + spare_x * float(np.clip(rng.normal(0.5, 0.08), 0, 1))
    y = top + spare_y * float(np.clip(rng.normal(0.5, 0.15), 0, 1))
    return x, y, x + width, y + height


def print_serial(
    rng: np.random.Generator, field: Field, line: SetLine, box: Box, ink: float, *, embossed: bool
) -> None:
    """Inks the line and, if it is embossed, presses it out of the sheet."""
    left, top, right, bottom = box
    mask = resized(line.mask, round(right - left), round(bottom - top))
    if rng.random() < 0.25:
        mask = _weighted(rng, mask)
    if embossed:
        relief = np.zeros(field.shape, np.uint8)
        y, x = round(top), round(left)
        part = relief[max(0, y) : y + mask.shape[0], max(0, x) : x + mask.shape[1]]
        part[:] = mask[: part.shape[0], : part.shape[1]]
        if rng.random() < 0.15:  # the ink has worn off the ridges
            cover(field, mask, (left, top), ink, float(rng.uniform(0.25, 0.6)))
        else:
            cover(field, mask, (left, top), ink)
        wear.emboss(rng, field, relief, float(rng.uniform(15, 90)))
    else:
        cover(field, mask, (left, top), ink)


def _weighted(rng: np.random.Generator, mask: Mask) -> Mask:
    """A heavier or lighter strike of the same die."""
    level = float(rng.uniform(-60, 60))
    soft = wear.soften(mask.astype(np.float32), 1.0)
    return np.asarray(np.clip((soft - 128 - level) * 3 + 128, 0, 255), np.uint8)


@lru_cache(maxsize=64)
def _outline(height: int, width: int, radius: int) -> Mask:
    image = Image.new("L", (width * 2, height * 2))
    ImageDraw.Draw(image).rounded_rectangle(
        (0, 0, width * 2 - 1, height * 2 - 1), radius=radius * 2, fill=255
    )
    return np.asarray(image.resize((width, height), Image.Resampling.BOX))


def finish(
    rng: np.random.Generator,
    field: Field,
    *lines: tuple[SetLine, Box],
    text: str,
    jurisdiction: str,
    layout: str,
    paper: float,
    frame_chance: float,
    corner: float = 0.06,
    wear_chance: float = 0.35,
) -> RenderedPlate:
    """Ages the sheet, frames it and rounds its corners.

    lines: what was printed and where, from the top. corner: radius as a share of the height.
    """
    boxes = np.array([box for _, box in lines])
    serial = (*boxes[:, :2].min(axis=0), *boxes[:, 2:].max(axis=0))
    if rng.random() < wear_chance * 0.5:
        field = wear.fade(rng, field, paper)
    if rng.random() < wear_chance:
        field = wear.dirt(rng, field)
    if rng.random() < wear_chance * 0.7:
        wear.scratches(rng, field)
    if rng.random() < wear_chance * 0.12:
        field = wear.shield(rng, field)
    height, width = field.shape
    alpha = _outline(height, width, round(corner * height))
    pad = 0
    if rng.random() < frame_chance:
        pad = int(rng.integers(2, max(4, height // 16)))
        field = wear.frame(rng, field, pad, (serial[1], serial[3]))
        alpha = _outline(height + 2 * pad, width + 2 * pad, round(corner * height))
    left, top, right, bottom = (float(edge) + pad for edge in serial)
    characters = [one for printed, box in lines for one in _character_boxes(printed, box)]
    return RenderedPlate(
        luma=np.clip(field, 0, 255).astype(np.uint8),
        alpha=alpha,
        corners=_quad(pad, pad, pad + width, pad + height),
        text_corners=_quad(left, top, right, bottom),
        characters=np.array(characters, np.float32).reshape(-1, 4) + np.float32(pad),
        lines=tuple(len(printed.characters) for printed, _ in lines),
        text=text,
        jurisdiction=jurisdiction,
        layout=layout,
    )


def _character_boxes(printed: SetLine, box: Box) -> list[Box]:
    """Left, top, right and bottom of each character of a line printed into a box."""
    left, top, right, bottom = box
    scale = (right - left) / printed.mask.shape[1]
    return [(left + start * scale, top, left + stop * scale, bottom) for start, stop in printed.characters]


def _quad(left: float, top: float, right: float, bottom: float) -> NDArray[np.float32]:
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float32)
