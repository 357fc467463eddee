"""Plates of the United States and Canada: every state's designs, and special, vanity and patternless ones."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from . import wear
from .backdrops import Backdrop, blotches, draw_backdrop
from .faces import Lettering, draw_face, lettering_mask
from .line import Box, Field, SetLine, cover_in, fit_in, set_line
from .look import PlateDesign
from .looks import LOOKS
from .looks_canada import ROWS as CANADA
from .press import RenderedPlate, Tones, finish, place_serial, print_serial, seen_by
from .serials import bare, fill, patternless, vanity
from .symbols import Symbol, any_symbol, draw_symbol

HEIGHT, WIDTH = 152, 304  # px of the sheet: 6 by 12 inches
_OFTEN = {"US-CA": 3.0, "US-TX": 1.8, "US-MO": 1.8}
_SPECIAL = (
    "VETERAN",
    "UNIVERSITY",
    "Save Our Lakes",
    "FIREFIGHTER",
    "Wildlife",
    "ALUMNI",
    "Support Education",
    "ARMY",
)
_BACKDROPS: tuple[Backdrop, ...] = (
    "plain",
    "fade",
    "dusk",
    "peaks",
    "hills",
    "forest",
    "sky",
    "rays",
    "outline",
    "photo",
    "flag",
)
_TEMPORARY_SHARE = 0.03
# Issuers that are no states but whose plates look like a state's.
_OTHERS = (
    "GUAM",
    "PUERTO RICO",
    "U.S. GOVERNMENT",
    "DIPLOMAT",
    "CHEROKEE NATION",
    "NAVAJO NATION",
    "Choctaw",
    "VIRGIN ISLANDS",
    "CONSUL",
    "FOR OFFICIAL USE ONLY",
    "AMERICAN SAMOA",
    "",
)
_OTHERS_SHARE = 0.02
_FULL = np.full((2, 2), 255, np.uint8)


@lru_cache(maxsize=1)
def _shares() -> NDArray[np.float64]:
    counts = {look.code: sum(other.code == look.code for other in LOOKS) for look in LOOKS}
    weights = np.array([_OFTEN.get(look.code, 1.0) / counts[look.code] for look in LOOKS])
    return np.asarray(weights / weights.sum())


def us_plate(
    rng: np.random.Generator, *, jurisdiction: str | None = None, infrared: bool = False
) -> RenderedPlate:
    """Draws a plate; jurisdiction: such as "US-CA", or None for any. Raises KeyError for an unknown one.

    If any is allowed, one in fifty is of an issuer that is no state and has the jurisdiction "other".
    """
    if jurisdiction is None:
        look = LOOKS[int(rng.choice(len(LOOKS), p=_shares()))]
        if rng.random() < _OTHERS_SHARE:
            look = replace(look, code="other", name=_OTHERS[int(rng.integers(len(_OTHERS)))], slogans=("",))
    else:
        looks = [look for look in LOOKS if look.code == jurisdiction]
        if not looks:
            raise KeyError(f"no plate design for {jurisdiction}")
        look = looks[int(rng.integers(len(looks)))]
    return _plate_of(rng, look, infrared=infrared)


def canadian_plate(rng: np.random.Generator, *, infrared: bool = False) -> RenderedPlate:
    """Draws a plate of any province; its jurisdiction is such as "CA-ON"."""
    return _plate_of(rng, CANADA[int(rng.integers(len(CANADA)))], infrared=infrared)


def _plate_of(rng: np.random.Generator, look: PlateDesign, *, infrared: bool) -> RenderedPlate:
    if rng.random() < _TEMPORARY_SHARE:
        return _temporary(rng, look, infrared=infrared)
    paper, ink, backdrop = float(look.paper), float(look.ink), look.backdrop
    special = rng.random() < 0.28
    if special:
        paper = float(rng.choice([paper, rng.uniform(150, 245), rng.uniform(25, 110)], p=[0.5, 0.35, 0.15]))
        ink = float(rng.uniform(10, 100) if paper > 128 else rng.uniform(180, 250))
        backdrop = _BACKDROPS[int(rng.integers(len(_BACKDROPS)))]
    tones = seen_by(rng, paper, ink, infrared=infrared)
    field = draw_backdrop(rng, backdrop, (HEIGHT, WIDTH), tones.paper, tones.contrast)
    area = _letterings(rng, field, look, tones, special=special, infrared=infrared)
    line, area = _serial_and_side(rng, field, look, tones, area, special=special)
    symbol = look.symbol if rng.random() < 0.85 else any_symbol(rng)
    if symbol == "none":
        line = line.replace("*", " ")
    text = bare(line)
    face = draw_face(rng, wide=len(text) < 5, stroke_share=0.72)
    printed = set_line(
        line,
        face,
        gap=float(rng.uniform(0.07, 0.2) if len(text) > 4 else rng.uniform(0.1, 0.35)),
        pitch=float(rng.uniform(0.4, 0.55)) if rng.random() < 0.5 else None,
        symbol=float(rng.uniform(0.3, 0.75)),
        space=float(rng.uniform(0.25, 0.6)),
    )
    box = place_serial(rng, printed, area, height=HEIGHT * rng.uniform(0.4, 0.54), stretch=(0.8, 1.25))
    _between(rng, field, look, symbol=symbol, printed=printed, box=box, tones=tones)
    embossed = rng.random() < 0.65
    print_serial(rng, field, printed, box, tones.ink, embossed=embossed)
    if rng.random() < 0.5:
        wear.rim(rng, field, tones.ink if rng.random() < 0.5 else tones.paper + float(rng.uniform(-60, 40)))
    _stickers(rng, field, look)
    wear.bolts(
        rng, field, inset_x=float(rng.uniform(0.17, 0.26)), ys=(0.1, 0.9) if rng.random() < 0.85 else (0.1,)
    )
    return finish(
        rng,
        field,
        (printed, box),
        text=text,
        jurisdiction=look.code,
        layout=f"{look.name}{' special' if special else ''}",
        paper=tones.paper,
        frame_chance=0.38,
    )


def _temporary(rng: np.random.Generator, look: PlateDesign, *, infrared: bool) -> RenderedPlate:
    """A paper tag: printed type, lines of small print, an expiration date; creased and bent by the wind."""
    tones = seen_by(rng, float(rng.uniform(200, 245)), float(rng.uniform(10, 50)), infrared=infrared)
    field = np.full((HEIGHT, WIDTH), tones.paper, np.float32)
    field += 14 * blotches(rng, field.shape, (2, 5))
    line = fill(
        rng,
        ("A999999", "9999999", "99A9999", "AA99999", "999A999", "A99999", "99999A9", "9999A99")[
            int(rng.integers(8))
        ],
    )
    title = (
        f"{look.name.upper()} {('TEMP TAG', 'TEMPORARY', 'DEALER TAG', 'IN TRANSIT')[int(rng.integers(4))]}"
    )
    date = f"EXP {int(rng.integers(1, 13)):02d}/{int(rng.integers(1, 29)):02d}/20{int(rng.integers(18, 28))}"
    dated_low = rng.random() < 0.5
    words = ((title, 0.04, 0.16), (date, 0.8, 0.95) if dated_low else (date, 0.17, 0.32))
    for text, y0, y1 in words:
        box = (WIDTH * 0.08, HEIGHT * y0, WIDTH * 0.92, HEIGHT * y1)
        fit_in(field, lettering_mask(text, "sans", int(rng.integers(4))), box, tones.ink)
    make = f"{int(rng.integers(2001, 2026))} {('SEDAN', 'PICKUP', 'COUPE', 'VAN')[int(rng.integers(4))]}"
    small = f"{make}  VIN {fill(rng, '9LLL9999999')}"
    y0, y1 = (0.74, 0.79) if dated_low else (0.88, 0.95)
    fit_in(
        field,
        lettering_mask(small, "sans", 2),
        (WIDTH * 0.1, HEIGHT * y0, WIDTH * 0.9, HEIGHT * y1),
        tones.ink,
        opacity=0.8,
    )
    printed = set_line(line, draw_face(rng, stroke_share=0.15), gap=float(rng.uniform(0.06, 0.16)))
    area = (
        WIDTH * 0.05,
        HEIGHT * (0.19 if dated_low else 0.34),
        WIDTH * 0.95,
        HEIGHT * (0.72 if dated_low else 0.85),
    )
    box = place_serial(rng, printed, area, height=HEIGHT * rng.uniform(0.36, 0.5), stretch=(0.9, 1.1))
    print_serial(rng, field, printed, box, tones.ink, embossed=False)
    return finish(
        rng,
        field,
        (printed, box),
        text=bare(line),
        jurisdiction=look.code,
        layout=f"{look.name} temporary",
        paper=tones.paper,
        frame_chance=0.25,
        corner=0.0,
    )


def _letterings(
    rng: np.random.Generator, field: Field, look: PlateDesign, tones: Tones, *, special: bool, infrared: bool
) -> Box:
    """Prints the name and slogan with their strips; returns the area left for the serial."""
    top, bottom = rng.uniform(0.2, 0.27), rng.uniform(0.79, 0.86)
    visible = float(rng.uniform(0.05, 0.9)) if infrared else float(rng.uniform(0.75, 1.0))
    for band, y0, y1 in ((look.top_band, 0.0, top), (look.bottom_band, bottom, 1.0)):
        if band is not None and rng.random() < 0.9:
            cover_in(field, _FULL, (0, y0 * HEIGHT, WIDTH, y1 * HEIGHT), float(band), visible)
    slogan = look.slogans[int(rng.integers(len(look.slogans)))]
    if special and rng.random() < 0.7:
        slogan = _SPECIAL[int(rng.integers(len(_SPECIAL)))]
    lettering = look.lettering
    if rng.random() < 0.12:
        lettering = ("script", "roman", "slab", "sans")[int(rng.integers(4))]
    words: list[tuple[str, Lettering, float, float, bool]] = []
    small: Lettering = "sans" if rng.random() < 0.6 else "roman"
    if look.name_low:
        words = [(slogan, small, 0.04, top - 0.03, False), (look.name, lettering, bottom, 0.96, True)]
    else:
        words = [(look.name, lettering, 0.03, top - 0.01, True), (slogan, small, bottom + 0.01, 0.95, False)]
    for text, kind, y0, y1, is_name in words:
        if not text:
            continue
        center = (y0 + y1) / 2 * HEIGHT
        behind = float(field[int(center), WIDTH // 4 : 3 * WIDTH // 4 : 8].mean())
        tone = tones.ink if rng.random() < 0.6 else float(rng.uniform(20, 130))
        if abs(behind - tone) < 50:
            tone = behind - 110 if behind > 128 else behind + 110
        reach = rng.uniform(0.22, 0.3) if is_name else rng.uniform(0.2, 0.32)
        middle = WIDTH * (0.5 + rng.normal(0, 0.01))
        area = (middle - reach * WIDTH, y0 * HEIGHT, middle + reach * WIDTH, y1 * HEIGHT)
        fit_in(field, lettering_mask(text, kind, int(rng.integers(5))), area, tone, opacity=visible)
    side = WIDTH * rng.uniform(0.03, 0.07)
    return side, top * HEIGHT + 2, WIDTH - side, bottom * HEIGHT - 2


def _serial_and_side(
    rng: np.random.Generator, field: Field, look: PlateDesign, tones: Tones, area: Box, *, special: bool
) -> tuple[str, Box]:
    """Chooses the line to print and its area; a special plate first gets a picture or stacked letters."""
    left, top, right, bottom = area
    kind = rng.random()
    if kind < 0.52:
        line = fill(rng, look.patterns[int(rng.integers(len(look.patterns)))])
    elif kind < 0.82:
        line = patternless(rng)
    else:
        line = vanity(rng)
    room = 7
    if special and rng.random() < 0.55:  # a picture at one side
        width = WIDTH * rng.uniform(0.14, 0.24)
        at_left = rng.random() < 0.85
        x = left - 4 if at_left else right + 4 - width
        picture: Symbol = ("picture", "seal", "shield", "tree", "star")[int(rng.integers(5))]
        tone = tones.paper - 120 if tones.paper > 128 else tones.paper + 120
        cover_in(
            field,
            draw_symbol(rng, picture),
            (x, top + 4, x + width, bottom - 4),
            tone,
            float(rng.uniform(0.5, 1)),
        )
        left, right = (left + width, right) if at_left else (left, right - width)
        room = 6
    if rng.random() < (0.36 if special else 0.1):  # small stacked letters, no part of the text
        width = WIDTH * rng.uniform(0.06, 0.09)
        at_left = rng.random() < 0.75
        x = left if at_left else right - width
        _stack(rng, field, (x, top, x + width, bottom), tones.ink)
        left, right = (left + width + 4, right) if at_left else (left, right - width - 4)
        room = min(room, 6)
    if len(bare(line)) > room:
        line = fill(
            rng,
            ("99999", "A9999", "AA999", "999AA", "9999A", "9999", "A99 9A", "999999")[int(rng.integers(8))],
        )
    return line, (left, top, right, bottom)


def _stack(rng: np.random.Generator, field: Field, box: Box, ink: float) -> None:
    left, top, right, bottom = box
    count = int(rng.choice([2, 2, 3]))
    step = (bottom - top) / count
    for index in range(count):
        sign = "ABCDEFGHJKLMNPRSTUVWXYZ2468"[int(rng.integers(27))]
        inset = step * rng.uniform(0.1, 0.18)
        y = top + index * step
        fit_in(
            field,
            set_line(sign, draw_face(rng)).mask,
            (left, y + inset, right, y + step - inset),
            ink,
            stretch=1.4,
        )


def _between(
    rng: np.random.Generator,
    field: Field,
    look: PlateDesign,
    *,
    symbol: Symbol,
    printed: SetLine,
    box: Box,
    tones: Tones,
) -> None:
    """Fills the gaps left for it with the design's symbol, or with a sticker, as on old Missouri plates."""
    left, top, right, bottom = box
    scale, height = (right - left) / printed.mask.shape[1], bottom - top
    for start, stop in printed.symbols:
        x0, x1 = left + start * scale, left + stop * scale
        if rng.random() < (0.7 if look.code == "US-MO" else 0.07):
            middle, half = (x0 + x1) / 2, min((x1 - x0) * 0.5, height * 0.22)
            y0 = top + height * rng.uniform(0.2, 0.45)
            wear.sticker(rng, field, (middle - half, y0, middle + half, y0 + half * rng.uniform(1.4, 2.4)))
            continue
        share = 0.4 if symbol in ("dot", "dash") else rng.uniform(0.45, 1.05)
        half_height = height * share / 2
        middle_y = (top + bottom) / 2 + height * rng.normal(0, 0.05)
        tone = (
            tones.ink
            if rng.random() < 0.4
            else float(rng.uniform(20, 170) if tones.paper > 128 else rng.uniform(120, 240))
        )
        grow = (x1 - x0) * rng.uniform(-0.1, 0.2)
        cover_in(
            field,
            draw_symbol(rng, symbol),
            (x0 - grow, middle_y - half_height, x1 + grow, middle_y + half_height),
            tone,
            float(rng.uniform(0.45, 1.0)),
        )


def _stickers(rng: np.random.Generator, field: Field, look: PlateDesign) -> None:
    """Adds month and year in the corners, and a county strip at the bottom."""
    where = rng.random()
    if where < 0.15:
        return
    width, height = WIDTH * rng.uniform(0.09, 0.15), HEIGHT * rng.uniform(0.1, 0.17)
    top_y, low_y = HEIGHT * rng.uniform(0.02, 0.06), HEIGHT * rng.uniform(0.8, 0.86)
    inset = WIDTH * rng.uniform(0.01, 0.05)
    xs = (inset, WIDTH - inset - width)
    if where < 0.55:
        chosen = [(x, top_y) for x in xs]
    elif where < 0.8:
        chosen = [(x, low_y) for x in xs]
    else:
        chosen = [(xs[int(rng.integers(2))], (top_y, low_y)[int(rng.integers(2))])]
    for x, y in chosen:
        if rng.random() < 0.9:
            wear.sticker(rng, field, (x, y, x + width, y + height))
    if look.slogans[0].isupper() and rng.random() < 0.15:
        cover_in(
            field,
            _FULL,
            (WIDTH * 0.28, HEIGHT * 0.83, WIDTH * 0.72, HEIGHT * 0.96),
            float(rng.uniform(190, 250)),
        )
        fit_in(
            field,
            lettering_mask(look.slogans[int(rng.integers(len(look.slogans)))].upper() or "COUNTY", "sans", 1),
            (WIDTH * 0.3, HEIGHT * 0.845, WIDTH * 0.7, HEIGHT * 0.945),
            float(rng.uniform(10, 70)),
        )
