"""Sides of vehicles as flat pictures: fronts, rears, flanks with wheels, windows; 300 px per meter.

A panel is (luma, alpha), both uint8 (h, w). A third layer, ``lamps``, has what shines under headlights or an
infrared lamp, so that it can be lit separately at night.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from .backdrops import blotches
from .faces import lettering_mask
from .line import fit_in

Luma = NDArray[np.uint8]
PX_PER_M = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """luma, alpha: uint8 (h, w); lamps: uint8 (h, w), how much of each pixel is a lamp or reflector."""

    luma: Luma
    alpha: Luma
    lamps: Luma


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """What one vehicle looks like: lumas 0 to 255, and shares of the face's width and height."""

    paint: float
    trim: float
    glass: float
    grille: float
    lamp_y: float
    lamp_wide: float
    lamp_high: float
    bumper_y: float
    plate_y: float
    badge: str
    chrome: bool
    bright_rims: bool


_BADGES = (
    "MERIDIAN",
    "COMET",
    "4WD",
    "HYBRID",
    "VEGA",
    "TURBO",
    "AURORA",
    "XL",
    "S 450",
    "Delta",
    "2.0 TDI",
    "EV",
)


def draw_style(rng: np.random.Generator, *, rear: bool) -> Style:
    """Draws a random vehicle's looks."""
    return Style(
        paint=float(rng.choice([rng.uniform(18, 55), rng.uniform(70, 140), rng.uniform(170, 225)])),
        trim=float(rng.uniform(15, 45)),
        glass=float(rng.uniform(20, 55)),
        grille=float(rng.uniform(10, 40)),
        lamp_y=float(rng.uniform(0.2, 0.34) if not rear else rng.uniform(0.2, 0.36)),
        lamp_wide=float(rng.uniform(0.14, 0.24)),
        lamp_high=float(rng.uniform(0.14, 0.24)),
        bumper_y=float(rng.uniform(0.52, 0.64)),
        plate_y=float(
            rng.uniform(0.6, 0.76)
            if not rear
            else rng.choice([rng.uniform(0.4, 0.5), rng.uniform(0.7, 0.78)])
        ),
        badge=_BADGES[int(rng.integers(len(_BADGES)))],
        chrome=bool(rng.random() < 0.5),
        bright_rims=bool(rng.random() < 0.6),
    )


def _shaded(
    rng: np.random.Generator, size: tuple[int, int], paint: float, *, top: float, foot: float
) -> Image.Image:
    ramp = np.linspace(top, foot, size[0], dtype=np.float32)[:, None]
    field = paint * ramp + 4 * blotches(rng, size, (2, 3))
    return Image.fromarray(np.clip(field, 0, 255).astype(np.uint8))


def _panel(image: Image.Image, alpha: Image.Image, lamps: Image.Image | None = None) -> Panel:
    soft = image.filter(ImageFilter.GaussianBlur(1.2))
    layer = np.zeros((image.height, image.width), np.uint8) if lamps is None else np.asarray(lamps)
    return Panel(luma=np.asarray(soft), alpha=np.asarray(alpha), lamps=layer)


def face(rng: np.random.Generator, style: Style, width_m: float, height_m: float, *, rear: bool) -> Panel:
    """A front (grille, headlights, bumper) or a rear (trunk, taillights, bumper), without a plate."""
    w, h = round(width_m * PX_PER_M), round(height_m * PX_PER_M)
    image = _shaded(rng, (h, w), style.paint, top=1.12, foot=0.72)
    lamps = Image.new("L", (w, h))
    draw, glow = ImageDraw.Draw(image), ImageDraw.Draw(lamps)
    dark, light = int(style.paint * 0.55), int(min(250, style.paint * 1.35 + 25))
    bumper = style.bumper_y * h
    draw.rectangle((0, bumper, w, bumper + 4), fill=light)
    draw.rectangle((0, bumper + 4, w, bumper + 9), fill=dark)
    draw.rectangle((0.03 * w, 0.86 * h, 0.97 * w, h), fill=int(style.trim))
    top, bottom = style.lamp_y * h, (style.lamp_y + style.lamp_high) * h
    reach = style.lamp_wide * w
    if rear:
        _boot(draw, style, w, h, dark=dark)
    else:
        _grille(rng, draw, style, w, h)
    for side in (0, 1):
        x0 = 0.02 * w if side == 0 else 0.98 * w - reach
        x1 = x0 + reach
        inner = x1 if side == 0 else x0
        outline = [
            (x0, top),
            (x1, top + (0 if side == 1 else 0.03 * h)),
            (x1, bottom),
            (x0, bottom - 0.02 * h),
        ]
        draw.polygon(outline, fill=70 if rear else 165)
        draw.line([*outline, outline[0]], fill=30, width=3)
        middle_x, middle_y, radius = (x0 + x1) / 2, (top + bottom) / 2, min(reach, bottom - top) * 0.34
        if rear:
            draw.rectangle((x0 + 6, top + 8, x1 - 6, middle_y), fill=105)
            draw.rectangle((min(inner, middle_x), middle_y, max(inner, middle_x), bottom - 8), fill=185)
            glow.polygon(outline, fill=150)
        else:
            for x in (middle_x - 0.2 * reach, middle_x + 0.22 * reach):
                draw.ellipse(
                    (x - radius, middle_y - radius, x + radius, middle_y + radius), fill=225, outline=90
                )
                glow.ellipse((x - radius, middle_y - radius, x + radius, middle_y + radius), fill=255)
            fog_x = 0.13 * w if side == 0 else 0.87 * w
            draw.ellipse((fog_x - 20, 0.76 * h - 14, fog_x + 20, 0.76 * h + 14), fill=120, outline=25)
    alpha = Image.new("L", (w, h))
    ImageDraw.Draw(alpha).rounded_rectangle((0, 0, w - 1, h + 60), radius=int(0.09 * w), fill=255)
    return _panel(image, alpha, lamps)


def _grille(rng: np.random.Generator, draw: ImageDraw.ImageDraw, style: Style, w: int, h: int) -> None:
    left, right, top, bottom = 0.28 * w, 0.72 * w, (style.lamp_y - 0.02) * h, (style.bumper_y - 0.03) * h
    draw.rounded_rectangle(
        (left, top, right, bottom),
        radius=16,
        fill=int(style.grille),
        outline=200 if style.chrome else 40,
        width=6,
    )
    step = int(rng.integers(14, 30))
    for y in range(int(top) + step, int(bottom), step):
        draw.line(
            (left + 8, y, right - 8, y), fill=170 if style.chrome else 60, width=int(rng.integers(3, 8))
        )
    draw.ellipse((0.5 * w - 34, top - 8, 0.5 * w + 34, top + 60), fill=190, outline=60, width=6)
    draw.rounded_rectangle((0.16 * w, 0.68 * h, 0.84 * w, 0.86 * h), radius=12, fill=int(style.grille) + 6)


def _boot(draw: ImageDraw.ImageDraw, style: Style, w: int, h: int, *, dark: int) -> None:
    draw.line((0.05 * w, 0.14 * h, 0.95 * w, 0.14 * h), fill=dark, width=5)
    draw.line((0.07 * w, style.bumper_y * h, 0.07 * w, 0.14 * h), fill=dark, width=3)
    draw.line((0.93 * w, style.bumper_y * h, 0.93 * w, 0.14 * h), fill=dark, width=3)
    draw.ellipse((0.5 * w - 26, 0.19 * h, 0.5 * w + 26, 0.19 * h + 52), fill=205, outline=70, width=5)
    field = np.zeros((26, 150), np.float32)
    fit_in(field, lettering_mask(style.badge, "sans", 1), (2, 2, 148, 24), 255.0)
    badge = Image.fromarray(field.astype(np.uint8))
    draw.bitmap((int(0.74 * w) - 60, int(0.2 * h)), badge, fill=215 if style.paint < 150 else 60)
    if style.chrome:
        draw.rectangle(
            (0.33 * w, style.plate_y * h - 0.14 * h, 0.67 * w, style.plate_y * h - 0.115 * h), fill=200
        )
    recess = (0.36 * w, style.plate_y * h - 0.115 * h, 0.64 * w, style.plate_y * h + 0.12 * h)
    draw.rounded_rectangle(recess, radius=8, fill=int(style.paint * 0.6), outline=dark, width=3)


def flank(rng: np.random.Generator, style: Style, length_m: float, height_m: float) -> Panel:
    """A side from the sill to the belt line with two wheels; the near end is at the left."""
    w, h = round(length_m * PX_PER_M / 2), round(height_m * PX_PER_M)
    image = _shaded(rng, (h, w), style.paint * 0.85, top=1.15, foot=0.55)
    alpha = Image.new("L", (w, h))
    draw, shape = ImageDraw.Draw(image), ImageDraw.Draw(alpha)
    shape.rounded_rectangle((0, 0, w - 1, 0.8 * h), radius=int(0.06 * w), fill=255)
    dark = int(style.paint * 0.45)
    for x in (0.33, 0.52, 0.72):
        draw.line((x * w, 0.02 * h, x * w, 0.75 * h), fill=dark, width=2)
    draw.line((0.02 * w, 0.2 * h, 0.98 * w, 0.16 * h), fill=int(min(250, style.paint * 1.2 + 10)), width=4)
    radius = 0.34 * h
    for x in (0.19 * w, 0.81 * w):
        squash = 0.5  # the panel is half as wide as long
        box = (x - radius * squash, h - 2 * radius, x + radius * squash, h - 1)
        grow = (box[0] - 8, box[1] - 16, box[2] + 8, box[3])
        draw.ellipse(grow, fill=8)
        shape.ellipse(box, fill=255)
        draw.ellipse(box, fill=24)
        rim = 0.62 * radius
        middle = (h - radius) - 1
        draw.ellipse(
            (x - rim * squash, middle - rim, x + rim * squash, middle + rim),
            fill=150 if style.bright_rims else 60,
        )
        for turn in np.arange(5) * 2 * np.pi / 5:
            draw.line(
                (x, middle, x + rim * squash * np.cos(turn), middle + rim * np.sin(turn)), fill=40, width=5
            )
    return _panel(image, alpha)


def glass(rng: np.random.Generator, style: Style, width_m: float, height_m: float, *, side: bool) -> Panel:
    """A windshield, a rear window or a row of side windows in their frame."""
    w, h = max(20, round(width_m * PX_PER_M / (2 if side else 1))), max(12, round(height_m * PX_PER_M))
    image = _shaded(rng, (h, w), style.paint, top=1.2, foot=1.0)
    draw = ImageDraw.Draw(image)
    frame = 0.07 * h + 3
    panes = ((0.03, 0.31), (0.35, 0.66), (0.7, 0.96)) if side else ((0.03, 0.97),)
    for left, right in panes:
        pane = (left * w, frame, right * w, h - frame)
        draw.rounded_rectangle(pane, radius=8, fill=int(style.glass))
        sheen = rng.uniform(0.1, 0.6) * (right - left) * w + left * w
        tone = int(min(255, style.glass + rng.uniform(10, 45)))
        draw.polygon(
            [
                (sheen, h - frame),
                (sheen + 0.4 * h, frame),
                (sheen + 0.9 * h, frame),
                (sheen + 0.5 * h, h - frame),
            ],
            fill=tone,
        )
    if not side:
        draw.rectangle((0, frame, 0.03 * w, h - frame), fill=int(style.paint))
        draw.rectangle((0.97 * w, frame, w, h - frame), fill=int(style.paint))
    return _panel(image, Image.new("L", (w, h), 255))


def sheet(rng: np.random.Generator, paint: float, width_m: float, length_m: float) -> Panel:
    """A hood or a roof: bright paint that mirrors the sky."""
    w, h = round(width_m * PX_PER_M / 2), max(8, round(length_m * PX_PER_M / 3))
    image = _shaded(rng, (h, w), min(245.0, paint * 1.2 + 22), top=1.15, foot=0.95)
    draw = ImageDraw.Draw(image)
    for x in (0.22, 0.78):
        draw.line(
            (x * w, 0, (x + (0.06 if x < 0.5 else -0.06)) * w, h),
            fill=int(min(255, paint * 1.4 + 30)),
            width=4,
        )
    return _panel(image, Image.new("L", (w, h), 255))
