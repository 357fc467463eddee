"""Plates of other countries: European, British, Brazilian, Argentine, and looks seen elsewhere."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from . import wear
from .faces import draw_face, lettering_mask
from .line import Box, Field, cover_in, fit_in, set_line
from .press import RenderedPlate, finish, place_serial, print_serial, seen_by
from .serials import bare, fill, patternless, thin_ended, vanity
from .symbols import draw_symbol

_THIN_SHARE = 0.06  # of the lines end in a thin character or have two side by side
_FULL: NDArray[np.uint8] = np.full((2, 2), 255, np.uint8)

# Serial patterns by country; ``*`` marks seals, stickers or arms.
_EUROPE: dict[str, tuple[str, ...]] = {
    "A": ("L*999LL", "LL*999LL", "LL*99LLL", "{W}*99999L"),
    "B": ("1-LLL-999", "LLL-999", "999-LLL"),
    "BG": ("L 9999LL", "LL 9999LL", "LL9999LL"),
    "CH": ("LL*99999", "LL*999999", "LL 99 999"),
    "CZ": ("9L9*9999", "9LL*9999", "9L9 9999"),
    "D": ("L*LL 9999", "LL*LL 999", "LLL*L 9999", "L*L 999", "LL*L 99", "LLL*LL 99"),
    "DK": ("LL 99 999", "LL99 999"),
    "E": ("9999 LLL",),
    "EST": ("999 LLL",),
    "F": ("LL-999-LL", "999 LLL 99", "9999 LL 99"),
    "FIN": ("LLL-999", "LL-999"),
    "GR": ("LLL-9999",),
    "H": ("LLL-999", "LLL*999", "LL LL-999"),
    "HR": ("LL*999-LL", "LL*9999-LL", "LL*999-L"),
    "I": ("LL 999LL", "LL*999LL"),
    "IRL": ("99-L-99999", "99-LL-999", "999-L-9999"),
    "L": ("99999", "LL 9999"),
    "LT": ("LLL*999", "LLL 999"),
    "LV": ("LL-9999", "LL-999"),
    "M": ("LLL*999",),
    "N": ("LL 99999",),
    "NL": ("99-LLL-9", "LL-999-L", "9-LLL-99", "L-999-LL", "99-LL-LL", "LL-LL-99"),
    "P": ("99-99-LL", "99-LL-99", "LL-99-99"),
    "PL": ("LL*99999", "LLL*L999", "LL*9999L", "LLL*99LL", "L9*LLL", "LL*999LL"),
    "RO": ("{B} 99 AAA", "{B} 999 LLL", "LL 99 LLL", "{B} 999999"),
    "RUS": ("L999LL", "L 999 LL"),
    "S": ("LLL 999", "LLL*999", "LLL*99L"),
    "SK": ("LL*999LL", "LL-999LL"),
    "SLO": ("LL*L9-999", "LL*99-9LL", "LL LL-999"),
    "TR": ("99 LL 999", "99 LLL 99", "99 L 9999"),
    "UA": ("AA9999AA", "AA 9999 AA"),
}
_TOWNS = (
    "PR-CURITIBA",
    "SP-SAO PAULO",
    "RJ-RIO DE JANEIRO",
    "MG-BELO HORIZONTE",
    "SC-JOINVILLE",
    "PR-LONDRINA",
    "RS-PORTO ALEGRE",
    "BA-SALVADOR",
    "PR-PARANAGUA",
    "SP-CAMPINAS",
    "DF-BRASILIA",
    "ES-VITORIA",
    "PE-RECIFE",
    "CE-FORTALEZA",
    "GO-GOIANIA",
)
_DEALERS = (
    "www.autohaus.example",
    "AUTO CENTRUM",
    "GARAGE DU LAC",
    "Concesionario",
    "Autopark",
    "tel 0555 010 447",
    "CITY CARS",
)


def eu_plate(rng: np.random.Generator, *, infrared: bool = False) -> RenderedPlate:
    """A one-line European plate, 520 by 110 mm, with or without the blue band."""
    height, width = 88, 416
    if rng.random() < 0.12:
        width = 340
    country = tuple(_EUROPE)[int(rng.integers(len(_EUROPE)))]
    dark = rng.random() < 0.05
    paper, ink = (
        (rng.uniform(20, 70), rng.uniform(190, 250)) if dark else (rng.uniform(185, 245), rng.uniform(10, 60))
    )
    if country in {"NL", "L"} and rng.random() < 0.8:
        paper = rng.uniform(160, 205)  # yellow
    if country == "B" and rng.random() < 0.7:
        ink = rng.uniform(60, 115)  # ruby
    tones = seen_by(rng, float(paper), float(ink), infrared=infrared)
    field = np.full((height, width), tones.paper, np.float32)
    left, right = 0.02 * width, 0.98 * width
    if rng.random() < 0.86:
        left = _band(rng, field, country, at_right=False, infrared=infrared)
    if country in {"F", "I", "P"} and rng.random() < 0.8:
        right = _band(rng, field, str(int(rng.integers(10, 96))), at_right=True, infrared=infrared)
    patterns = _EUROPE[country]
    line = fill(rng, patterns[int(rng.integers(len(patterns)))]) if rng.random() < 0.75 else patternless(rng)
    area = (left + 0.01 * width, 0.08 * height, right - 0.01 * width, 0.92 * height)
    return _single_line(
        rng, field, line, area, ink=tones.ink, paper=tones.paper, jurisdiction="EU", layout=f"EU {country}"
    )


def uk_plate(rng: np.random.Generator, *, infrared: bool = False) -> RenderedPlate:
    """A British plate, white in front and yellow behind, or an older black one; data sets count it as EU."""
    height, width = 88, 416
    roll = rng.random()
    paper = rng.uniform(205, 245) if roll < 0.48 else rng.uniform(165, 215)
    ink = rng.uniform(10, 45)
    if roll > 0.96:
        paper, ink = rng.uniform(15, 45), rng.uniform(180, 235)
    tones = seen_by(rng, float(paper), float(ink), infrared=infrared)
    field = np.full((height, width), tones.paper, np.float32)
    left = 0.03 * width
    if rng.random() < 0.4:
        left = _band(rng, field, "GB", at_right=False, infrared=infrared)
    pattern = ("LL99 LLL", "LL99 LLL", "LL99 LLL", "L999 LLL", "LLL 999L", "LLL 99", "999 LL", "LL 9999")[
        int(rng.integers(8))
    ]
    line = fill(rng, pattern) if rng.random() < 0.85 else vanity(rng)
    area = (left + 0.01 * width, 0.1 * height, 0.97 * width, 0.9 * height)
    return _single_line(
        rng,
        field,
        line,
        area,
        ink=tones.ink,
        paper=tones.paper,
        jurisdiction="EU",
        layout="GB",
        embossed=rng.random() < 0.15,
    )


def brazil_plate(rng: np.random.Generator, *, infrared: bool = False) -> RenderedPlate:
    """The gray or red three-letter plate with its town above, or the Mercosur one."""
    height, width = 124, 380
    if rng.random() < 0.3:
        return _mercosur(rng, "BR", fill(rng, "AAA9A99"), "BRASIL", infrared=infrared)
    red = rng.random() < 0.35
    paper, ink = (
        (rng.uniform(60, 125), rng.uniform(190, 250)) if red else (rng.uniform(120, 200), rng.uniform(15, 70))
    )
    tones = seen_by(rng, float(paper), float(ink), infrared=infrared)
    field = np.full((height, width), tones.paper, np.float32)
    town = _TOWNS[int(rng.integers(len(_TOWNS)))]
    fit_in(
        field,
        lettering_mask(town, "sans", int(rng.integers(4))),
        (width * 0.28, height * 0.06, width * 0.72, height * 0.2),
        tones.ink,
        opacity=float(rng.uniform(0.5, 1)),
    )
    area = (0.035 * width, 0.23 * height, 0.965 * width, 0.93 * height)
    wear.bolts(
        rng, field, inset_x=float(rng.uniform(0.15, 0.3)), ys=(0.13, 0.93) if rng.random() < 0.5 else (0.13,)
    )
    line = fill(rng, "AAA.9999" if rng.random() < 0.7 else "AAA-9999")
    return _single_line(
        rng,
        field,
        line,
        area,
        ink=tones.ink,
        paper=tones.paper,
        jurisdiction="BR",
        layout="BR three letters",
        share=(0.52, 0.64),
    )


def argentina_plate(rng: np.random.Generator, *, infrared: bool = False) -> RenderedPlate:
    """The black plate with a white edge, or the Mercosur one."""
    if rng.random() < 0.5:
        return _mercosur(rng, "AR", fill(rng, "AA 999 AA"), "REPUBLICA ARGENTINA", infrared=infrared)
    height, width = 132, 304
    edge, paper, ink = rng.uniform(170, 245), rng.uniform(15, 60), rng.uniform(175, 250)
    field = np.full((height, width), edge, np.float32)
    inside = (0.04 * width, 0.2 * height, 0.96 * width, 0.84 * height)
    if rng.random() < 0.6:
        fit_in(
            field,
            lettering_mask("ARGENTINA", "sans", 1),
            (0.3 * width, 0.04 * height, 0.7 * width, 0.17 * height),
            60.0,
        )
    cover_in(field, _FULL, inside, float(paper))
    wear.bolts(rng, field, inset_x=0.22, ys=(0.1, 0.92))
    line = fill(rng, "LLL*999" if rng.random() < 0.3 else "LLL 999")
    area = (inside[0] + 6, inside[1] + 4, inside[2] - 6, inside[3] - 4)
    return _single_line(
        rng,
        field,
        line,
        area,
        ink=float(ink),
        paper=float(paper),
        jurisdiction="AR",
        layout="AR black",
        share=(0.4, 0.55),
    )


def other_plate(rng: np.random.Generator, *, infrared: bool = False) -> RenderedPlate:
    """A plate of no modeled country: any one-line text on any sheet, or an Asian or Pacific look."""
    height, width = 100, int(rng.integers(230, 420))
    dark = rng.random() < 0.3
    paper, ink = (
        (rng.uniform(15, 110), rng.uniform(185, 250))
        if dark
        else (rng.uniform(150, 245), rng.uniform(10, 90))
    )
    tones = seen_by(rng, float(paper), float(ink), infrared=infrared)
    field = np.full((height, width), tones.paper, np.float32)
    looks = (
        ("IN", "LL 99 LL 9999"),
        ("IN", "LL99L9999"),
        ("PK", "LLL-9999"),
        ("PK", "LLL 999"),
        ("VN", "99L-999.99"),
        ("AU", "LLL.99L"),
        ("AU", "999.LLL"),
        ("RU", "L999LL"),
        ("MX", "LLL-99-99"),
        ("MX", "LLL-999-L"),
        ("SG", "LLL 9999 L"),
        ("ZA", "LLL 999 {GP}"),
        ("AE", "L 99999"),
    )
    jurisdiction, pattern = looks[int(rng.integers(len(looks)))]
    line = fill(rng, pattern)
    if rng.random() < 0.5:
        jurisdiction, line = "", patternless(rng) if rng.random() < 0.8 else vanity(rng)
    top, bottom = 0.08, 0.92
    if rng.random() < 0.4:
        top = 0.27
        _words(rng, field, (0.25 * width, 0.04 * height, 0.75 * width, 0.22 * height), tones.ink)
    if rng.random() < 0.3:
        bottom = 0.77
        _words(rng, field, (0.25 * width, 0.8 * height, 0.75 * width, 0.96 * height), tones.ink)
    area = (0.03 * width, top * height, 0.97 * width, bottom * height)
    return _single_line(
        rng,
        field,
        line,
        area,
        ink=tones.ink,
        paper=tones.paper,
        jurisdiction=jurisdiction,
        layout="other",
        share=(0.5, 0.85),
    )


KINDS: dict[str, Callable[..., RenderedPlate]] = {
    "EU": eu_plate,
    "GB": uk_plate,
    "BR": brazil_plate,
    "AR": argentina_plate,
    "other": other_plate,
}


def _mercosur(
    rng: np.random.Generator, jurisdiction: str, line: str, name: str, *, infrared: bool
) -> RenderedPlate:
    height, width = 124, 380
    tones = seen_by(rng, float(rng.uniform(205, 245)), float(rng.uniform(10, 60)), infrared=infrared)
    field = np.full((height, width), tones.paper, np.float32)
    low = float(rng.uniform(0.2, 0.28))
    strip = float(rng.uniform(30, 90)) if not infrared or rng.random() < 0.5 else tones.paper - 40
    cover_in(field, _FULL, (0, 0, width, low * height), strip)
    fit_in(
        field,
        lettering_mask(name, "sans", int(rng.integers(4))),
        (0.28 * width, 0.05 * height, 0.72 * width, (low - 0.04) * height),
        min(255.0, strip + 150),
    )
    cover_in(
        field,
        draw_symbol(rng, "picture"),
        (0.88 * width, 0.04 * height, 0.96 * width, (low - 0.03) * height),
        180.0,
    )
    area = (0.04 * width, (low + 0.03) * height, 0.97 * width, 0.95 * height)
    return _single_line(
        rng,
        field,
        line,
        area,
        ink=tones.ink,
        paper=tones.paper,
        jurisdiction=jurisdiction,
        layout=f"{jurisdiction} Mercosur",
    )


def _band(rng: np.random.Generator, field: Field, letters: str, *, at_right: bool, infrared: bool) -> float:
    """Draws the blue band at an end, with its country or department; returns its inner edge."""
    height, width = field.shape
    wide = width * rng.uniform(0.065, 0.095)
    x0, x1 = (width - wide, float(width)) if at_right else (0.0, wide)
    blue = float(rng.uniform(25, 100) if not infrared else rng.uniform(60, 210))
    cover_in(field, _FULL, (x0, 0, x1, height), blue)
    light = min(255.0, blue + float(rng.uniform(80, 180)))
    if rng.random() < 0.85:
        fit_in(
            field, lettering_mask(letters, "sans", 1), (x0 + 4, height * 0.62, x1 - 4, height * 0.88), light
        )
        stars = draw_symbol(rng, "disc" if rng.random() < 0.3 else "seal")
        cover_in(field, stars, (x0 + wide * 0.2, height * 0.14, x1 - wide * 0.2, height * 0.48), light, 0.45)
    return x0 if at_right else x1


def _words(rng: np.random.Generator, field: Field, box: Box, tone: float) -> None:
    word = _DEALERS[int(rng.integers(len(_DEALERS)))]
    fit_in(
        field,
        lettering_mask(word, "sans", int(rng.integers(4))),
        box,
        tone,
        opacity=float(rng.uniform(0.5, 1)),
    )


def _single_line(
    rng: np.random.Generator,
    field: Field,
    line: str,
    area: Box,
    *,
    ink: float,
    paper: float,
    jurisdiction: str,
    layout: str,
    embossed: bool | None = None,
    share: tuple[float, float] = (0.6, 0.76),
) -> RenderedPlate:
    """Sets, prints and finishes a line; share: range of the characters' height as a share of the plate's."""
    if rng.random() < _THIN_SHARE:
        line = thin_ended(rng, line)
    height = field.shape[0]
    fixed = rng.random() < 0.5
    printed = set_line(
        line,
        draw_face(rng, wide=rng.random() < 0.85, stroke_share=0.68),
        gap=float(rng.uniform(0.08, 0.2)),
        pitch=float(rng.uniform(0.5, 0.62)) if fixed else None,
        symbol=float(rng.uniform(0.3, 0.55)),
        space=float(rng.uniform(0.15, 0.5)),
    )
    box = place_serial(rng, printed, area, height=height * rng.uniform(*share), stretch=(0.85, 1.2))
    left, top, right, bottom = box
    scale = (right - left) / printed.mask.shape[1]
    for start, stop in printed.symbols:
        middle, half = left + (start + stop) / 2 * scale, (stop - start) / 2 * scale
        for y0, y1 in ((0.0, 0.48), (0.52, 1.0)) if rng.random() < 0.6 else ((0.25, 0.75),):
            if rng.random() < 0.85:
                spot = (middle - half, top + y0 * (bottom - top), middle + half, top + y1 * (bottom - top))
                cover_in(
                    field,
                    draw_symbol(rng, "seal"),
                    spot,
                    float(rng.uniform(20, 190)),
                    float(rng.uniform(0.3, 0.95)),
                )
    print_serial(rng, field, printed, box, ink, embossed=rng.random() < 0.7 if embossed is None else embossed)
    if rng.random() < 0.6:
        wear.rim(rng, field, ink)
    if rng.random() < 0.25:
        wear.bolts(
            rng, field, inset_x=float(rng.uniform(0.08, 0.3)), ys=(0.5,) if rng.random() < 0.4 else (0.12,)
        )
    return finish(
        rng,
        field,
        (printed, box),
        text=bare(line),
        jurisdiction=jurisdiction,
        layout=layout,
        paper=paper,
        frame_chance=0.3,
        corner=0.08,
    )
