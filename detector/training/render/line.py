"""Sets one printed line in a serial face, and paints coverage masks on a luma field.

A field is float32 (H, W), 0 to 255; a box is (left, top, right, bottom) in px, floats allowed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .faces import serial_mask
from .glyphs import GLYPH_HEIGHT
from .serials import MARKS

Mask = NDArray[np.uint8]
Field = NDArray[np.float32]
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetLine:
    """mask: uint8 (GLYPH_HEIGHT, w); symbols, characters: the span of each in px along x."""

    mask: Mask
    symbols: tuple[tuple[int, int], ...]
    characters: tuple[tuple[int, int], ...]


def set_line(
    line: str,
    face: int,
    *,
    gap: float = 0.14,
    pitch: float | None = None,
    symbol: float = 0.5,
    space: float = 0.45,
) -> SetLine:
    """Sets characters and marks. gap, symbol, space and, for fixed-pitch type, pitch: in glyph heights."""
    unit = GLYPH_HEIGHT
    gap_px = max(1, round(gap * unit))
    pieces: list[tuple[int, Mask]] = []
    symbols: list[tuple[int, int]] = []
    characters: list[tuple[int, int]] = []
    x = 0
    for sign in line:
        if sign not in MARKS:
            mask = serial_mask(face, sign)
            cell = max(mask.shape[1], round(pitch * unit)) if pitch and sign not in "MW" else mask.shape[1]
            left = x + (cell - mask.shape[1]) // 2
            pieces.append((left, mask))
            characters.append((left, left + mask.shape[1]))
            x += cell + gap_px
            continue
        wide = {" ": space, "|": space / 2, "-": 0.42, ".": 0.24, "*": symbol}[sign]
        wide_px = round(wide * unit)
        if sign in "-.":
            pieces.append((x, _mark(sign, wide_px)))
        elif sign == "*":
            symbols.append((x, x + wide_px))
        x += wide_px + gap_px
    width = max([x - gap_px, *(left + mask.shape[1] for left, mask in pieces), 1])
    art = np.zeros((unit, width), np.uint8)
    for left, mask in pieces:
        region = art[:, left : left + mask.shape[1]]
        np.maximum(region, mask[:, : region.shape[1]], out=region)
    return SetLine(mask=art, symbols=tuple(symbols), characters=tuple(characters))


def _mark(sign: str, width: int) -> Mask:
    unit = GLYPH_HEIGHT
    mask = np.zeros((unit, width), np.uint8)
    half = round((0.065 if sign == "-" else 0.085) * unit)
    inset = round(0.12 * width) if sign == "-" else max(0, width // 2 - half)
    mask[unit // 2 - half : unit // 2 + half, inset : width - inset] = 255
    return mask


def resized(mask: Mask, width: int, height: int) -> Mask:
    """Resizes the mask; fine detail is averaged, not dropped."""
    image = Image.fromarray(mask)
    return np.asarray(image.resize((max(1, width), max(1, height)), Image.Resampling.BILINEAR))


def cover(
    field: Field, mask: Mask, corner: tuple[float, float], tone: float | Field, opacity: float = 1.0
) -> None:
    """Paints tone through the mask, with its top left at ``corner`` (x, y), clipped to the field."""
    x, y = round(corner[0]), round(corner[1])
    height, width = mask.shape
    x0, y0, x1, y1 = max(0, x), max(0, y), min(field.shape[1], x + width), min(field.shape[0], y + height)
    if x1 <= x0 or y1 <= y0:
        return
    part = mask[y0 - y : y1 - y, x0 - x : x1 - x].astype(np.float32) * (opacity / 255.0)
    region = field[y0:y1, x0:x1]
    region += (tone - region) * part


def cover_in(field: Field, mask: Mask, box: Box, tone: float, opacity: float = 1.0) -> None:
    """Paints tone through the mask, stretched to the box."""
    left, top, right, bottom = box
    cover(field, resized(mask, round(right - left), round(bottom - top)), (left, top), tone, opacity)


def fit_in(
    field: Field, mask: Mask, box: Box, tone: float, *, stretch: float = 1.25, opacity: float = 1.0
) -> None:
    """Paints tone through the mask, centered in the box, with its aspect changed by at most ``stretch``."""
    left, top, right, bottom = box
    height = bottom - top
    width = min(mask.shape[1] * height / mask.shape[0] * stretch, right - left)
    natural = width / mask.shape[1] * mask.shape[0] * stretch
    height = min(height, max(natural, 3.0))
    middle, center = (left + right) / 2, (top + bottom) / 2
    cover_in(
        field,
        mask,
        (middle - width / 2, center - height / 2, middle + width / 2, center + height / 2),
        tone,
        opacity,
    )
