"""Things that a detector mistakes for plates: signs, stickers, lettering, grilles, badges.

Each is a flat picture (luma, alpha), uint8 (h, w), to be placed into a scene like a plate.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from .backdrops import blotches
from .faces import Lettering, lettering_mask
from .line import Field, cover_in, fit_in
from .symbols import any_symbol, draw_symbol

Luma = NDArray[np.uint8]

_FULL: Luma = np.full((2, 2), 255, np.uint8)
_SHOPS = (
    "PHARMACY",
    "COFFEE",
    "OPEN 24 HOURS",
    "PARKING",
    "EXIT",
    "NO ENTRY",
    "BAKERY",
    "DENTIST",
    "CAR WASH",
    "TAXI",
    "HOTEL",
    "SALE 50%",
    "FOR RENT",
    "AUTO PARTS",
    "PIZZA",
    "LAUNDRY",
    "BANK",
    "FLOWERS",
    "TYRES",
    "GARAGE",
)
_STREETS = (
    "MAIN ST",
    "5TH AVE",
    "OAK DRIVE",
    "HIGHWAY 101",
    "NORTH 280",
    "EXIT 24B",
    "SPEED LIMIT",
    "ONE WAY",
    "YIELD",
    "A4 M25",
)
_TRADES = (
    "PLUMBING",
    "Electric & Sons",
    "MOVERS",
    "Fresh Food",
    "COURIER",
    "ROOFING",
    "Cleaning Services",
    "RENTAL",
)
_SLOGANS = (
    "BABY ON BOARD",
    "COEXIST",
    "VOTE",
    "MY DOG IS MY CO-PILOT",
    "26.2",
    "SURF",
    "PROUD PARENT",
    "LOCAL 42",
    "KEEP BACK 200 FEET",
)
_BADGES = (
    "4x4",
    "HYBRID",
    "TURBO",
    "V6",
    "SPORT",
    "LX 500",
    "2.0 T",
    "GT",
    "XLE",
    "e-TECH",
    "330i",
    "LIMITED",
)
_KINDS: tuple[Lettering, ...] = ("sans", "sans", "roman", "slab", "script")


class Clutter(NamedTuple):
    """luma, alpha: uint8 (h, w); what: its name, for messages."""

    luma: Luma
    alpha: Luma
    what: str


def draw_clutter(rng: np.random.Generator) -> Clutter:
    """Draws a random one of them."""
    makers: tuple[tuple[str, Callable[[np.random.Generator], tuple[Field, Luma]], float], ...] = (
        ("shop sign", _shop_sign, 0.17),
        ("road sign", _road_sign, 0.13),
        ("phone number", _phone, 0.15),
        ("bumper sticker", _sticker, 0.12),
        ("badge", _badge, 0.1),
        ("grille", _grille, 0.1),
        ("windows", _windows, 0.08),
        ("bare lettering", _lettering, 0.1),
        ("empty plate holder", _holder, 0.05),
    )
    shares = np.array([share for _, _, share in makers])
    what, maker, _ = makers[int(rng.choice(len(makers), p=shares / shares.sum()))]
    field, alpha = maker(rng)
    return Clutter(np.clip(field, 0, 255).astype(np.uint8), alpha, what)


def _one_of(rng: np.random.Generator, words: tuple[str, ...]) -> str:
    return words[int(rng.integers(len(words)))]


def _board(
    rng: np.random.Generator, width: int, height: int, *, radius: float = 0.0
) -> tuple[Field, Luma, float, float]:
    paper = float(rng.choice([rng.uniform(15, 110), rng.uniform(150, 250)]))
    ink = float(rng.uniform(170, 250) if paper < 128 else rng.uniform(5, 100))
    image = Image.new("L", (width, height))
    ImageDraw.Draw(image).rounded_rectangle(
        (0, 0, width - 1, height - 1), radius=int(radius * height), fill=255
    )
    return np.full((height, width), paper, np.float32), np.asarray(image), paper, ink


def _words(
    rng: np.random.Generator, field: Field, lines: list[str], ink: float, *, kind: Lettering | None = None
) -> None:
    height, width = field.shape
    step = height / len(lines)
    for index, line in enumerate(lines):
        inset = step * rng.uniform(0.1, 0.25)
        box = (0.06 * width, index * step + inset, 0.94 * width, (index + 1) * step - inset)
        face = kind or _KINDS[int(rng.integers(len(_KINDS)))]
        fit_in(field, lettering_mask(line, face, int(rng.integers(5))), box, ink)


def _shop_sign(rng: np.random.Generator) -> tuple[Field, Luma]:
    field, alpha, _, ink = _board(
        rng, int(rng.integers(150, 420)), int(rng.integers(50, 130)), radius=float(rng.choice([0, 0.15]))
    )
    lines = [_one_of(rng, _SHOPS)]
    if rng.random() < 0.35:
        lines.append(_number(rng) if rng.random() < 0.5 else _one_of(rng, _SHOPS))
    _words(rng, field, lines, ink)
    return field, alpha


def _road_sign(rng: np.random.Generator) -> tuple[Field, Luma]:
    if rng.random() < 0.4:
        field, alpha, _, ink = _board(rng, 110, 140, radius=0.06)
        _words(rng, field, ["SPEED", "LIMIT", str(int(rng.integers(2, 8)) * 10)], ink, kind="sans")
    else:
        field, alpha, _, ink = _board(
            rng, int(rng.integers(180, 360)), int(rng.integers(60, 150)), radius=0.1
        )
        _words(rng, field, [_one_of(rng, _STREETS) for _ in range(int(rng.integers(1, 3)))], ink, kind="sans")
    if rng.random() < 0.6:
        edge = Image.new("L", (field.shape[1], field.shape[0]))
        ImageDraw.Draw(edge).rounded_rectangle(
            (3, 3, field.shape[1] - 4, field.shape[0] - 4), radius=6, outline=255, width=3
        )
        cover_in(field, np.asarray(edge), (0, 0, field.shape[1], field.shape[0]), ink)
    return field, alpha


def _number(rng: np.random.Generator) -> str:
    digits = rng.integers(0, 10, 4)
    tail = "".join(str(digit) for digit in digits)
    return _one_of(
        rng, (f"555-{tail}", f"(555) 010-{tail}", f"0555 {tail}", f"1-800-555-{tail}", f"+44 555 01{tail}")
    )


def _phone(rng: np.random.Generator) -> tuple[Field, Luma]:
    """The side of a van: trade, name, number."""
    field, alpha, _, ink = _board(rng, int(rng.integers(220, 420)), int(rng.integers(70, 170)))
    lines = [_one_of(rng, _TRADES), _number(rng)] if rng.random() < 0.7 else [_number(rng)]
    if rng.random() < 0.4:
        lines.append("www." + _one_of(rng, _TRADES).split()[0].lower() + ".example")
    _words(rng, field, lines, ink)
    return field, alpha


def _sticker(rng: np.random.Generator) -> tuple[Field, Luma]:
    field, alpha, _, ink = _board(
        rng, int(rng.integers(120, 300)), int(rng.integers(45, 90)), radius=float(rng.choice([0, 0.2, 0.5]))
    )
    if rng.random() < 0.4:
        symbol = draw_symbol(rng, any_symbol(rng))
        cover_in(field, symbol, (4, 4, field.shape[0] - 4, field.shape[0] - 4), ink, 0.9)
    _words(rng, field, [_one_of(rng, _SLOGANS)], ink)
    return field, alpha


def _bare(rng: np.random.Generator, text: str) -> tuple[Field, Luma]:
    mask = lettering_mask(text, _KINDS[int(rng.integers(len(_KINDS)))], int(rng.integers(5)))
    field = np.full(mask.shape, float(rng.uniform(5, 250)), np.float32)
    return field + 20 * blotches(rng, mask.shape, (2, 4)), mask


def _badge(rng: np.random.Generator) -> tuple[Field, Luma]:
    return _bare(rng, _one_of(rng, _BADGES))


def _lettering(rng: np.random.Generator) -> tuple[Field, Luma]:
    return _bare(rng, _one_of(rng, _SHOPS + _TRADES) if rng.random() < 0.6 else _number(rng))


def _grille(rng: np.random.Generator) -> tuple[Field, Luma]:
    width, height = int(rng.integers(160, 320)), int(rng.integers(50, 110))
    field, alpha, paper, ink = _board(rng, width, height, radius=0.2)
    step = rng.uniform(6, 22)
    upright = rng.random() < 0.4
    span = width if upright else height
    for edge in np.arange(step, span, step):
        box = (edge, 0.0, edge + step * 0.4, height) if upright else (0.0, edge, width, edge + step * 0.4)
        cover_in(field, _FULL, box, ink, 0.8)
    if rng.random() < 0.5:
        cover_in(
            field,
            draw_symbol(rng, "seal"),
            (width / 2 - 24, height / 2 - 24, width / 2 + 24, height / 2 + 24),
            255 - paper,
        )
    return field, alpha


def _windows(rng: np.random.Generator) -> tuple[Field, Luma]:
    width, height = int(rng.integers(140, 320)), int(rng.integers(50, 120))
    field, alpha, _, ink = _board(rng, width, height)
    count = int(rng.integers(3, 8))
    for index in range(count):
        left = (index + 0.2) * width / count
        cover_in(field, _FULL, (left, 0.15 * height, left + 0.6 * width / count, 0.85 * height), ink, 0.9)
    return field, alpha


def _holder(rng: np.random.Generator) -> tuple[Field, Luma]:
    """A plate holder or a blank sheet, with at most a dealer's line on it."""
    field, alpha, _, ink = _board(rng, 200, 100, radius=0.08)
    if rng.random() < 0.6:
        fit_in(field, lettering_mask(_one_of(rng, _SHOPS), "sans", 1), (40, 78, 160, 94), ink)
    return field, alpha
