"""Plates of two lines: motorcycles of the United States, square European and Asian ones."""

from __future__ import annotations

import numpy as np

from . import wear
from .faces import draw_face, lettering_mask
from .line import fit_in, set_line
from .looks import LOOKS
from .press import RenderedPlate, finish, place_serial, print_serial, seen_by
from .serials import bare, fill

# upper and lower line, jurisdiction, aspect, whether a state's name is above
_LAYOUTS = (
    ("99L", "9999", "US", 1.75, True),
    ("LLL", "999", "US", 1.75, True),
    ("9L", "99999", "US", 1.75, True),
    ("LL*LL", "9999", "EU", 1.4, False),
    ("LLL", "99 LL", "EU", 1.7, False),
    ("LL99", "LLL", "EU", 1.4, False),
    ("99-L9", "999.99", "VN", 1.36, False),
    ("99L", "9999", "VN", 1.36, False),
    ("LLL", "9999", "BR", 1.18, False),
    ("LL 99 L", "9999", "IN", 1.6, False),
)


def square_plate(rng: np.random.Generator, *, infrared: bool = False) -> RenderedPlate:
    """A plate whose text is its upper line and then its lower one; text_corners enclose both lines."""
    upper, lower, jurisdiction, aspect, named = _LAYOUTS[int(rng.integers(len(_LAYOUTS)))]
    height = 176
    width = round(height * aspect)
    dark = rng.random() < 0.15
    paper, ink = (
        (rng.uniform(20, 80), rng.uniform(180, 245)) if dark else (rng.uniform(160, 245), rng.uniform(10, 70))
    )
    tones = seen_by(rng, float(paper), float(ink), infrared=infrared)
    field = np.full((height, width), tones.paper, np.float32)
    top = 0.06
    if named:
        look = LOOKS[int(rng.integers(len(LOOKS)))]
        jurisdiction, top = look.code, 0.2
        name = lettering_mask(look.name, look.lettering, int(rng.integers(5)))
        fit_in(field, name, (0.2 * width, 0.04 * height, 0.8 * width, 0.17 * height), tones.ink)
    middle = (top + 0.94) / 2 + float(rng.normal(0, 0.01))
    face = draw_face(rng, wide=True)
    embossed = bool(rng.random() < 0.6)
    lines, texts = [], []
    for pattern, y0, y1 in ((upper, top, middle - 0.02), (lower, middle + 0.02, 0.94)):
        line = fill(rng, pattern).replace("*", " ")
        printed = set_line(line, face, gap=float(rng.uniform(0.1, 0.25)), space=0.3)
        area = (0.06 * width, y0 * height, 0.94 * width, y1 * height)
        box = place_serial(rng, printed, area, height=(y1 - y0) * height, stretch=(0.8, 1.15))
        print_serial(rng, field, printed, box, tones.ink, embossed=embossed)
        lines.append((printed, box))
        texts.append(bare(line))
    if rng.random() < 0.6:
        wear.rim(rng, field, tones.ink)
    if rng.random() < 0.5:
        wear.bolts(rng, field, inset_x=float(rng.uniform(0.12, 0.25)), ys=(0.1,))
    return finish(
        rng,
        field,
        *lines,
        text="".join(texts),
        jurisdiction=jurisdiction,
        layout="two lines",
        paper=tones.paper,
        frame_chance=0.12,
    )
