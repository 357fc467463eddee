"""A plate alphabet drawn with strokes: round-capped polylines whose proportions a style varies.

The shapes follow what embossing dies have in common (tall bowls with straight sides, open or closed 4s, 1s
with or without a foot), so no font file is needed. Masks are cached by style and character.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Mask = NDArray[np.uint8]
Point = tuple[float, float]
Path = list[Point]

CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
GLYPH_HEIGHT = 72  # px of every cached mask
STYLES = 240  # different stroke styles, numbered from 0
_OVERSAMPLE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class StrokeStyle:
    """One set of dies. Lengths are in units of the glyph's height.

    weight: of the strokes; width: outer, of an ordinary glyph; roundness: 0 square to 1 half circles.
    """

    weight: float
    width: float
    roundness: float
    waist: float
    wide_m: float
    square_caps: bool
    open_four: bool
    footed_one: bool
    flagged_one: bool
    serif_i: bool
    slashed_zero: bool
    narrow_zero: float
    straight_six: bool
    curved_seven: bool
    flat_three: bool
    hooked_j: bool
    spurred_g: int
    q_tail: int
    pointed_m: float
    pointed_w: float
    kinked_r: bool


@lru_cache(maxsize=STYLES)
def stroke_style(number: int) -> StrokeStyle:
    """The style with this number, always the same."""
    rng = np.random.default_rng([7, number])

    def flip(chance: float) -> bool:
        return bool(rng.random() < chance)

    return StrokeStyle(
        weight=float(rng.uniform(0.10, 0.19)),
        width=float(rng.choice([rng.uniform(0.42, 0.52), rng.uniform(0.5, 0.62), rng.uniform(0.6, 0.72)])),
        roundness=float(rng.choice([1.0, rng.uniform(0.6, 1.0), rng.uniform(0.25, 0.6)])),
        waist=float(rng.uniform(0.44, 0.5)),
        wide_m=float(rng.uniform(1.0, 1.25)),
        square_caps=flip(0.3),
        open_four=flip(0.15),
        footed_one=flip(0.25),
        flagged_one=flip(0.75),
        serif_i=flip(0.35),
        slashed_zero=flip(0.12),
        narrow_zero=float(rng.choice([1.0, 1.0, rng.uniform(0.8, 0.95)])),
        straight_six=flip(0.3),
        curved_seven=flip(0.3),
        flat_three=flip(0.15),
        hooked_j=flip(0.25),
        spurred_g=int(rng.integers(3)),
        q_tail=int(rng.integers(4)),
        pointed_m=float(rng.uniform(0.4, 1.0)),
        pointed_w=float(rng.choice([rng.uniform(0.3, 0.6), rng.uniform(0.85, 1.0)])),
        kinked_r=flip(0.3),
    )


def rounded(points: Path, radius: float, *, closed: bool = False) -> Path:
    """Replaces every inner corner of the polyline by a circular arc of at most this radius."""
    count = len(points)
    ends = range(count) if closed else range(1, count - 1)
    path: Path = [] if closed else [points[0]]
    for index in ends:
        before, corner, after = (np.array(points[(index + step) % count]) for step in (-1, 0, 1))
        into, out = before - corner, after - corner
        reach_in, reach_out = float(np.hypot(*into)), float(np.hypot(*out))
        if min(reach_in, reach_out) < 1e-6:
            path.append((float(corner[0]), float(corner[1])))
            continue
        into, out = into / reach_in, out / reach_out
        half_angle = 0.5 * float(np.arccos(np.clip(float(into @ out), -1.0, 1.0)))
        share_in = reach_in if not closed and index == 1 else reach_in / 2
        share_out = reach_out if not closed and index == count - 2 else reach_out / 2
        cut = min(radius / max(np.tan(half_angle), 1e-6), share_in, share_out)
        weight = np.sin(half_angle)  # of the middle control point, to make the rational Bezier a circle
        start, stop = corner + into * cut, corner + out * cut
        for step in np.linspace(0.0, 1.0, 9):
            a, b, c = (1 - step) ** 2, 2 * step * (1 - step) * weight, step**2
            x, y = (a * start + b * corner + c * stop) / (a + b + c)
            path.append((float(x), float(y)))
    if closed:
        path.append(path[0])
    else:
        path.append(points[-1])
    return path


@dataclass(frozen=True, slots=True, kw_only=True)
class GlyphCell:
    """The frame of a shape: width and height of the skeleton, corner radius, and style."""

    w: float
    h: float
    r: float
    s: StrokeStyle


Shape = Callable[[GlyphCell], list[Path]]


def _letter_g(c: GlyphCell) -> list[Path]:
    bowl = rounded([(c.w, 0.24 * c.h), (c.w, 0), (0, 0), (0, c.h), (c.w, c.h), (c.w, 0.55 * c.h)], c.r)
    bar: list[Path] = [[(c.w, 0.55 * c.h), (0.55 * c.w, 0.55 * c.h)]]
    spur: list[Path] = [[(c.w, 0.75 * c.h), (c.w, c.h)]]
    return [bowl, *bar, *(spur if c.s.spurred_g == 2 else [])]


def _letter_q(c: GlyphCell) -> list[Path]:
    tails: list[Path] = [
        [(0.55 * c.w, 0.72 * c.h), (c.w, c.h)],
        [(0.55 * c.w, 0.78 * c.h), (1.08 * c.w, 1.05 * c.h)],
        [(0.5 * c.w, 0.66 * c.h), (1.02 * c.w, 0.98 * c.h)],
        [(0.72 * c.w, 0.82 * c.h), (1.05 * c.w, 1.08 * c.h)],
    ]
    return [rounded([(0, 0), (c.w, 0), (c.w, c.h), (0, c.h)], c.r, closed=True), tails[c.s.q_tail]]


def _letter_r(c: GlyphCell) -> list[Path]:
    y = (c.s.waist + 0.04) * c.h
    leg: Path = [(c.w * 0.95, y + 0.12 * c.h), (c.w, c.h)] if c.s.kinked_r else [(0.42 * c.w, y), (c.w, c.h)]
    if c.s.kinked_r:
        leg = rounded([(0.4 * c.w, y), (c.w * 0.96, y), (c.w * 0.96, c.h)], c.r * 0.5)
    return [[(0, c.h), (0, 0)], rounded([(0, 0), (c.w, 0), (c.w, y), (0, y)], c.r), leg]


def _letter_i(c: GlyphCell) -> list[Path]:
    bar: list[Path] = [[(c.w / 2, 0), (c.w / 2, c.h)]]
    serifs: list[Path] = [[(0.1 * c.w, 0), (0.9 * c.w, 0)], [(0.1 * c.w, c.h), (0.9 * c.w, c.h)]]
    return bar + serifs if c.s.serif_i else bar


def _letter_j(c: GlyphCell) -> list[Path]:
    hook = rounded([(c.w, 0), (c.w, c.h), (0, c.h), (0, 0.7 * c.h)], c.r)
    return [[(0.4 * c.w, 0), (c.w, 0)], hook] if c.s.hooked_j else [hook]


def _one(c: GlyphCell) -> list[Path]:
    middle = c.w * (0.5 if c.s.footed_one else 0.6)
    paths: list[Path] = [[(middle, 0), (middle, c.h)]]
    if c.s.flagged_one or c.s.footed_one:
        paths.append([(middle, 0), (middle - 0.38 * c.w, 0.17 * c.h)])
    if c.s.footed_one:
        paths.append([(0.1 * c.w, c.h), (0.9 * c.w, c.h)])
    return paths


def _three(c: GlyphCell) -> list[Path]:
    y = c.s.waist * c.h
    low = rounded([(0.35 * c.w, y), (c.w, y), (c.w, c.h), (0, c.h), (0, 0.78 * c.h)], c.r)
    if c.s.flat_three:
        return [
            [(0, 0), (c.w, 0), (0.45 * c.w, y)],
            rounded([(0.45 * c.w, y), (c.w, y), (c.w, c.h), (0, c.h), (0, 0.78 * c.h)], c.r),
        ]
    return [rounded([(0, 0.2 * c.h), (0, 0), (c.w, 0), (c.w, y), (0.35 * c.w, y)], c.r), low]


def _four(c: GlyphCell) -> list[Path]:
    y = 0.7 * c.h
    if c.s.open_four:
        return [[(0, 0), (0, 0.6 * c.h), (c.w, 0.6 * c.h)], [(0.85 * c.w, 0), (0.85 * c.w, c.h)]]
    stem = 0.72 * c.w
    return [[(stem, c.h), (stem, 0), (0, y), (c.w, y)]]


def _six(c: GlyphCell) -> list[Path]:
    y = 0.42 * c.h
    bowl = rounded([(0, y), (c.w, y), (c.w, c.h), (0, c.h)], c.r, closed=True)
    if c.s.straight_six:
        return [bowl, [(0.02 * c.w, 0.62 * c.h), (0.72 * c.w, 0)]]
    return [bowl, rounded([(0, 0.7 * c.h), (0, 0), (c.w, 0), (c.w, 0.2 * c.h)], c.r)]


def _turned(shape: Shape) -> Shape:
    def turn(c: GlyphCell) -> list[Path]:
        return [[(c.w - x, c.h - y) for x, y in path] for path in shape(c)]

    return turn


def _seven(c: GlyphCell) -> list[Path]:
    if c.s.curved_seven:
        return [
            [(0, 0), (c.w, 0)],
            rounded([(c.w, 0), (c.w, 0.18 * c.h), (0.35 * c.w, 0.5 * c.h), (0.35 * c.w, c.h)], c.r),
        ]
    return [[(0, 0), (c.w, 0), (0.28 * c.w, c.h)]]


def _zero(c: GlyphCell) -> list[Path]:
    inset = (1 - c.s.narrow_zero) * c.w / 2
    ring = rounded([(inset, 0), (c.w - inset, 0), (c.w - inset, c.h), (inset, c.h)], c.r, closed=True)
    return [ring, [(0.8 * c.w, 0.22 * c.h), (0.2 * c.w, 0.78 * c.h)]] if c.s.slashed_zero else [ring]


_SHAPES: dict[str, Shape] = {
    "A": lambda c: [
        [(0, c.h), (c.w / 2, 0), (c.w, c.h)],
        [(0.17 * c.w, 0.68 * c.h), (0.83 * c.w, 0.68 * c.h)],
    ],
    "B": lambda c: [
        [(0, 0), (0, c.h)],
        rounded([(0, 0), (0.94 * c.w, 0), (0.94 * c.w, c.s.waist * c.h), (0, c.s.waist * c.h)], c.r),
        rounded([(0, c.s.waist * c.h), (c.w, c.s.waist * c.h), (c.w, c.h), (0, c.h)], c.r),
    ],
    "C": lambda c: [
        rounded([(c.w, 0.27 * c.h), (c.w, 0), (0, 0), (0, c.h), (c.w, c.h), (c.w, 0.73 * c.h)], c.r)
    ],
    "D": lambda c: [
        [(0, c.h), (0, 0)],
        rounded([(0, 0), (c.w, 0), (c.w, c.h), (0, c.h)], max(c.r, 0.3 * c.w)),
    ],
    "E": lambda c: [[(c.w, 0), (0, 0), (0, c.h), (c.w, c.h)], [(0, 0.48 * c.h), (0.85 * c.w, 0.48 * c.h)]],
    "F": lambda c: [[(c.w, 0), (0, 0), (0, c.h)], [(0, 0.48 * c.h), (0.85 * c.w, 0.48 * c.h)]],
    "G": _letter_g,
    "H": lambda c: [
        [(0, 0), (0, c.h)],
        [(c.w, 0), (c.w, c.h)],
        [(0, c.s.waist * c.h), (c.w, c.s.waist * c.h)],
    ],
    "I": _letter_i,
    "J": _letter_j,
    "K": lambda c: [
        [(0, 0), (0, c.h)],
        [(c.w, 0), (0.05 * c.w, 0.6 * c.h)],
        [(0.3 * c.w, 0.44 * c.h), (c.w, c.h)],
    ],
    "L": lambda c: [[(0, 0), (0, c.h), (c.w, c.h)]],
    "M": lambda c: [[(0, c.h), (0, 0), (c.w / 2, c.s.pointed_m * c.h), (c.w, 0), (c.w, c.h)]],
    "N": lambda c: [[(0, c.h), (0, 0), (c.w, c.h), (c.w, 0)]],
    "O": lambda c: [rounded([(0, 0), (c.w, 0), (c.w, c.h), (0, c.h)], c.r, closed=True)],
    "P": lambda c: [
        [(0, c.h), (0, 0)],
        rounded([(0, 0), (c.w, 0), (c.w, (c.s.waist + 0.08) * c.h), (0, (c.s.waist + 0.08) * c.h)], c.r),
    ],
    "Q": _letter_q,
    "R": _letter_r,
    "S": lambda c: [
        rounded(
            [
                (c.w, 0.22 * c.h),
                (c.w, 0),
                (0, 0),
                (0, c.s.waist * c.h),
                (c.w, c.s.waist * c.h),
                (c.w, c.h),
                (0, c.h),
                (0, 0.78 * c.h),
            ],
            c.r,
        )
    ],
    "T": lambda c: [[(0, 0), (c.w, 0)], [(c.w / 2, 0), (c.w / 2, c.h)]],
    "U": lambda c: [rounded([(0, 0), (0, c.h), (c.w, c.h), (c.w, 0)], c.r)],
    "V": lambda c: [[(0, 0), (c.w / 2, c.h), (c.w, 0)]],
    "W": lambda c: [
        [(0, 0), (0.25 * c.w, c.h), (c.w / 2, (1 - c.s.pointed_w) * c.h), (0.75 * c.w, c.h), (c.w, 0)]
        if c.s.wide_m > 1.1
        else [(0, 0), (0, c.h), (c.w / 2, (1 - c.s.pointed_w) * c.h), (c.w, c.h), (c.w, 0)]
    ],
    "X": lambda c: [[(0, 0), (c.w, c.h)], [(c.w, 0), (0, c.h)]],
    "Y": lambda c: [[(0, 0), (c.w / 2, 0.48 * c.h), (c.w, 0)], [(c.w / 2, 0.48 * c.h), (c.w / 2, c.h)]],
    "Z": lambda c: [[(0, 0), (c.w, 0), (0, c.h), (c.w, c.h)]],
    "0": _zero,
    "1": _one,
    "2": lambda c: [
        [*rounded([(0, 0.24 * c.h), (0, 0), (c.w, 0), (c.w, 0.42 * c.h), (0, c.h)], c.r), (c.w, c.h)]
    ],
    "3": _three,
    "4": _four,
    "5": lambda c: [
        [(0.92 * c.w, 0), (0.06 * c.w, 0), (0, 0.45 * c.h)],
        rounded(
            [
                (0, 0.45 * c.h),
                (0.1 * c.w, 0.4 * c.h),
                (c.w, 0.4 * c.h),
                (c.w, c.h),
                (0, c.h),
                (0, 0.78 * c.h),
            ],
            c.r,
        ),
    ],
    "6": _six,
    "7": _seven,
    "8": lambda c: [
        rounded(
            [(0.05 * c.w, 0), (0.95 * c.w, 0), (0.95 * c.w, c.s.waist * c.h), (0.05 * c.w, c.s.waist * c.h)],
            c.r,
            closed=True,
        ),
        rounded([(0, c.s.waist * c.h), (c.w, c.s.waist * c.h), (c.w, c.h), (0, c.h)], c.r, closed=True),
    ],
    "9": _turned(_six),
}


@lru_cache(maxsize=STYLES * len(CHARACTERS))
def stroke_mask(style_number: int, character: str) -> Mask:
    """Coverage of one glyph, uint8 (GLYPH_HEIGHT, w), cut to its own width."""
    style = stroke_style(style_number)
    unit = GLYPH_HEIGHT * _OVERSAMPLE
    outer = style.width
    if character in "MW":
        outer *= style.wide_m
    elif character == "I" and not style.serif_i:
        outer *= 0.5
    elif character == "1" and not style.footed_one:
        outer *= 0.75
    weight = style.weight * (0.9 if character in "MWN" else 1.0)
    width, height = outer - weight, 1.0 - weight
    radius = 0.02 + style.roundness * width / 2
    image = Image.new("L", (round((outer + 0.3) * unit), unit))
    draw = ImageDraw.Draw(image)
    pen = max(2, round(weight * unit))
    shift = 0.15 + weight / 2
    for path in _SHAPES[character](GlyphCell(w=width, h=height, r=radius, s=style)):
        points = [((x + shift) * unit, (y + weight / 2) * unit) for x, y in path]
        cap = pen / 2
        cut_square = style.square_caps and path[0] != path[-1]
        if cut_square:
            points[0], points[-1] = (
                _extended(points[1], points[0], cap),
                _extended(points[-2], points[-1], cap),
            )
        draw.line(points, fill=255, width=pen, joint="curve")
        for x, y in points[1:-1] if cut_square else points:
            draw.ellipse((x - cap, y - cap, x + cap, y + cap), fill=255)
    image = image.resize((image.width // _OVERSAMPLE, GLYPH_HEIGHT), Image.Resampling.BOX)
    left, _, right, _ = image.getbbox() or (0, 0, image.width, 0)
    return np.asarray(image.crop((left, 0, right, GLYPH_HEIGHT)))


def _extended(inner: Point, end: Point, cap: float) -> Point:
    """Moves a stroke's end outward, so that its square end reaches as far as a round cap would."""
    dx, dy = end[0] - inner[0], end[1] - inner[1]
    reach = max(float(np.hypot(dx, dy)), 1e-6)
    slant = 1.0 + min(abs(dx), abs(dy)) / reach  # a slanted stroke is cut by the glyph's edge
    return end[0] + dx / reach * cap * slant, end[1] + dy / reach * cap * slant
