"""Typefaces for plates: stroke-drawn faces and fonts for serials; script, roman and sans for names.

Font files are in ``fonts/`` with their licenses. Without them every serial is stroke-drawn and names use
Pillow's built-in face. Masks are cached, so each process draws a face only once.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from .glyphs import GLYPH_HEIGHT, STYLES, stroke_mask, stroke_style

Mask = NDArray[np.uint8]
Lettering = Literal["script", "roman", "slab", "sans"]

_SLAB_SERIALS = ("graduate", "roboto-slab")  # as on Virginian plates
FONTS = Path(__file__).parent / "fonts"
_LETTERING: dict[Lettering, tuple[str, ...]] = {
    "script": ("lobster", "kaushan-script", "damion", "satisfy"),
    "roman": ("tinos-latin-400", "tinos-latin-700", "merriweather", "cinzel", "playfair-display"),
    "slab": ("graduate", "roboto-slab", "alfa-slab-one"),
    "sans": ("archivo-black", "roboto-condensed", "barlow-semi-condensed", "overpass"),
}


@lru_cache(maxsize=4)
def serial_fonts(folder: Path = FONTS) -> tuple[Path, ...]:
    """The font files for serials in the folder, in a fixed order; empty if there are none."""
    slabs = (path for path in folder.glob("lettering/*") if path.name.startswith(_SLAB_SERIALS))
    plain = (path for path in folder.glob("serial/*") if path.suffix in {".woff2", ".ttf"})
    return (*sorted(plain), *sorted(slabs))


@lru_cache(maxsize=8)
def _lettering_fonts(kind: Lettering) -> tuple[Path, ...]:
    names = _LETTERING[kind]
    return tuple(sorted(path for path in FONTS.glob("lettering/*") if path.name.startswith(names)))


@lru_cache(maxsize=128)
def _font(path: Path, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(path), size)


def draw_face(
    rng: np.random.Generator, *, wide: bool = False, stroke_share: float = 0.6, folder: Path = FONTS
) -> int:
    """Number of a random serial face: below STYLES a stroke style, from STYLES on a font file.

    wide: leave out the narrow stroke styles, as plates with few characters do.
    """
    fonts = serial_fonts(folder)
    if fonts and rng.random() >= stroke_share:
        return STYLES + int(rng.integers(len(fonts)))
    number = int(rng.integers(STYLES))
    while wide and stroke_style(number).width < 0.5:
        number = int(rng.integers(STYLES))
    return number


@lru_cache(maxsize=4096)
def serial_mask(face: int, character: str) -> Mask:
    """Coverage of one serial character, uint8 (GLYPH_HEIGHT, w)."""
    if face < STYLES:
        return stroke_mask(face, character)
    path = serial_fonts()[face - STYLES]
    font = _font(path, _size_for_caps(path))
    _, top, _, bottom = font.getbbox("H", anchor="ls")
    left, high, right, low = (int(edge) for edge in font.getbbox(character, anchor="ls"))
    low = max(low, int(bottom))
    high = min(high, int(top))
    image = Image.new("L", (max(1, right - left), low - high))
    ImageDraw.Draw(image).text((-left, -high), character, fill=255, font=font, anchor="ls")
    return np.asarray(image.resize((image.width, GLYPH_HEIGHT), Image.Resampling.BILINEAR))


@lru_cache(maxsize=128)
def _size_for_caps(path: Path) -> int:
    """The font size at which a capital H is GLYPH_HEIGHT px tall."""
    _, top, _, bottom = _font(path, 200).getbbox("H", anchor="ls")
    return max(8, round(200 * GLYPH_HEIGHT / max(1.0, bottom - top)))


@lru_cache(maxsize=2048)
def lettering_mask(text: str, kind: Lettering, variant: int) -> Mask:
    """Coverage of a word or a line in a lettering face, uint8 (h, w), about 40 px tall, cut to its ink."""
    fonts = _lettering_fonts(kind)
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont
    font = _font(fonts[variant % len(fonts)], 36) if fonts else ImageFont.load_default(36)
    left, top, right, bottom = (int(edge) for edge in font.getbbox(text))
    image = Image.new("L", (max(1, right - left + 2), max(1, bottom - top + 2)))
    ImageDraw.Draw(image).text((1 - left, 1 - top), text, fill=255, font=font)
    return np.asarray(image)
