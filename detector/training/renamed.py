"""Real plates of the United States on which another state's name is printed instead of their own.

The real sets show few plates of most designs, so a net learns designs by heart and hardly reads the name. On
these plates only the name says which state it is.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from .render.faces import Lettering, draw_face, lettering_mask
from .render.line import Field, Mask, cover_in, set_line
from .render.looks import LOOKS

_NAMES = {code: tuple(sorted({one.name for one in LOOKS if one.code == code})) for code in
          sorted({look.code for look in LOOKS})}  # fmt: skip
_CODES = tuple(_NAMES)
_SLOGANS = tuple(sorted({slogan for look in LOOKS for slogan in look.slogans if slogan}))
_KINDS: tuple[Lettering, ...] = ("sans", "sans", "roman", "roman", "slab", "script")
_SERIAL_FACE_SHARE = 0.25  # of the names are set in a face of serials
_BANDS = ((0.0, 0.25), (0.77, 1.0))  # where names and slogans are, as shares of the height


def renamed(rng: np.random.Generator, plate: Image.Image) -> tuple[Image.Image, str]:
    """The plate with a random state's name, and that state's code. plate: mode L, the plate fills it."""
    field = np.array(plate, np.float32)
    height = len(field)
    code = _CODES[int(rng.integers(len(_CODES)))]
    low = bool(rng.random() < 0.3)
    for band in _BANDS:
        _clear(rng, field, round(band[0] * height), round(band[1] * height))
    _print(rng, field, _name_mask(rng, _spelling(rng, code)), low=low, size=(0.09, 0.18))
    if rng.random() < 0.5:
        slogan = _SLOGANS[int(rng.integers(len(_SLOGANS)))]
        _print(rng, field, _name_mask(rng, slogan), low=not low, size=(0.06, 0.12))
    return Image.fromarray(np.clip(field, 0, 255).astype(np.uint8)), code


def _spelling(rng: np.random.Generator, code: str) -> str:
    name = _NAMES[code][int(rng.integers(len(_NAMES[code])))]
    kind = rng.random()
    if kind < 0.4:
        return name.upper()
    return name.title() if kind < 0.7 else name


def _name_mask(rng: np.random.Generator, text: str) -> Mask:
    if rng.random() < _SERIAL_FACE_SHARE:
        line = "".join(c for c in text.upper() if c.isascii() and (c.isalnum() or c in " -."))
        if line.strip(" -."):
            return set_line(line, draw_face(rng, stroke_share=0.4), gap=float(rng.uniform(0.08, 0.35))).mask
    return lettering_mask(text, _KINDS[int(rng.integers(len(_KINDS)))], int(rng.integers(5)))


def _clear(rng: np.random.Generator, field: Field, top: int, bottom: int) -> None:
    """Smooths the print away between two rows; keeps the coarse light and shade and some grain."""
    strip = field[top:bottom]
    few = (int(rng.integers(3, 9)), int(rng.integers(1, 4)))
    smooth = Image.fromarray(strip).resize(few, Image.Resampling.BOX)
    back = smooth.resize((strip.shape[1], strip.shape[0]), Image.Resampling.BILINEAR)
    sides = round(strip.shape[1] * float(rng.uniform(0.0, 0.2)))  # stickers and bolts mostly stay
    inner = np.asarray(back)[:, sides : strip.shape[1] - sides]
    grain = rng.normal(0, rng.uniform(0, 5), inner.shape)
    field[top:bottom, sides : strip.shape[1] - sides] = inner + grain.astype(np.float32)


def _print(
    rng: np.random.Generator, field: Field, mask: Mask, *, low: bool, size: tuple[float, float]
) -> None:
    """Prints a line in one of the bands. size: range of its height as a share of the plate's."""
    height, width = field.shape
    tall = float(rng.uniform(*size)) * height
    wide = min(
        mask.shape[1] * tall / mask.shape[0] * float(rng.uniform(0.8, 1.5)), width * rng.uniform(0.5, 0.75)
    )
    band = _BANDS[low]
    middle = width * (0.5 + float(rng.normal(0, 0.025)))
    room = (band[1] - band[0]) * height - tall
    top = band[0] * height + max(room, 0.0) * float(rng.uniform(0.15, 0.85))
    left = middle - wide / 2
    behind = float(field[round(top) : round(top + tall), max(round(left), 0) : round(left + wide)].mean())
    tone = behind + float(rng.uniform(50, 170)) * (-1 if behind > rng.uniform(70, 150) else 1)
    box = (left, top, left + wide, top + tall)
    cover_in(field, mask, box, float(np.clip(tone, 0, 255)), float(rng.uniform(0.7, 1.0)))
