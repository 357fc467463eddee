"""What a plate gets after its printing: relief, screws, stickers, frames, fading, dirt, scratches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from .backdrops import blotches
from .faces import Lettering, lettering_mask
from .line import Field, cover, cover_in, fit_in

Mask = NDArray[np.uint8]

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_FRAME_WORDS = (
    "ROYAL MOTORS",
    "BAY AUTO",
    "CITY FORD",
    "VALLEY TOYOTA",
    "MOUNTAIN HONDA",
    "SUNSET SUBARU",
    "BOB'S AUTO MALL",
    "CENTRAL CHEVROLET",
    "www.cityautos.com",
    "LAKESIDE",
    "UNIVERSITY",
    "ALUMNI",
    "SERVICE SALES PARTS",
    "(555) 010-4477",
    "AUTO PLAZA",
    "NORTH COAST VW",
    "I'D RATHER BE FISHING",
    "MY OTHER CAR",
    "KINGS",
    "DRIVE SAFELY",
    "555-0123",
    "EAST SIDE NISSAN",
)


def soften(field: Field, radius: float) -> Field:
    """Blurs a field with a Gaussian; radius in px."""
    if radius < 0.15:
        return field
    image = Image.fromarray(np.clip(field, 0, 255).astype(np.uint8))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(radius)), np.float32)


def emboss(rng: np.random.Generator, field: Field, relief: Mask, strength: float) -> None:
    """Lights the sides of what is pressed out of the sheet. relief: coverage, in the field's size."""
    height = np.asarray(Image.fromarray(relief).filter(ImageFilter.BoxBlur(1)), np.float32) / 255.0
    turn = rng.uniform(np.pi / 4, 3 * np.pi / 4)  # the light comes roughly from above
    dx, dy = np.cos(turn), np.sin(turn)
    slope = np.zeros_like(field)
    slope[:, 1:-1] += dx * (height[:, 2:] - height[:, :-2])
    slope[1:-1] += dy * (height[2:] - height[:-2])
    field += slope * (strength * (0.4 + field / 255.0))


def rim(rng: np.random.Generator, field: Field, tone: float) -> None:
    """Draws the raised or printed line along the edge."""
    height, width = field.shape
    inset = height * rng.uniform(0.012, 0.04)
    line = Image.new("L", (width, height))
    ImageDraw.Draw(line).rounded_rectangle(
        (inset, inset, width - inset, height - inset),
        radius=height * 0.07,
        outline=255,
        width=max(1, int(height * rng.uniform(0.008, 0.022))),
    )
    cover(field, np.asarray(line), (0, 0), tone, float(rng.uniform(0.3, 1.0)))


def bolts(rng: np.random.Generator, field: Field, *, inset_x: float, ys: tuple[float, ...]) -> None:
    """Draws holes, slots and screw heads; positions as shares of width and height."""
    height, width = field.shape
    slot = rng.random() < 0.4
    screwed = rng.random() < 0.8
    tone = float(rng.choice([rng.uniform(10, 70), rng.uniform(120, 230)]))
    radius = height * rng.uniform(0.025, 0.045)
    for y in ys:
        head = screwed and rng.random() < 0.85
        for x in (inset_x, 1 - inset_x):
            long = radius * (1.8 if slot and not head else 1.0)
            box = (x * width - long, y * height - radius, x * width + long, y * height + radius)
            dot = Image.new("L", (24, 24))
            pen = ImageDraw.Draw(dot)
            pen.ellipse((1, 1, 22, 22), fill=255)
            cover_in(field, np.asarray(dot), box, tone if head else 30.0, 0.9)
            if head and rng.random() < 0.6:
                spot = (
                    box[0] + radius * 0.4,
                    box[1] + radius * 0.3,
                    box[2] - radius * 0.7,
                    box[3] - radius * 0.8,
                )
                cover_in(field, np.asarray(dot), spot, tone + 90, 0.7)


def sticker(rng: np.random.Generator, field: Field, box: tuple[float, float, float, float]) -> None:
    """Draws a validation sticker: month, year or a code on a patch of another tone."""
    left, top, right, bottom = box
    paper = float(rng.choice([rng.uniform(40, 120), rng.uniform(130, 250)]))
    cover_in(field, np.full((2, 2), 255, np.uint8), box, paper, float(rng.uniform(0.8, 1.0)))
    ink = paper + (110 if paper < 128 else -110)
    year = f"{int(rng.integers(0, 27)):02d}"
    text = (
        _MONTHS[int(rng.integers(12))],
        year,
        "20" + year,
        str(int(rng.integers(1, 13))),
        f"{int(rng.integers(1, 13))}-{year}",
    )[int(rng.integers(5))]
    pad = 0.15 * (bottom - top)
    variant: Lettering = "sans"
    small = rng.random() < 0.4
    low = bottom - pad - (0.4 * (bottom - top) if small else 0)
    fit_in(
        field,
        lettering_mask(text, variant, int(rng.integers(4))),
        (left + pad, top + pad, right - pad, low),
        ink,
    )
    if small:
        code = "".join(str(digit) for digit in rng.integers(0, 10, 7))
        fit_in(
            field,
            lettering_mask(code, variant, 1),
            (left + pad, low, right - pad, bottom - pad / 2),
            ink,
            opacity=0.8,
        )


def fade(rng: np.random.Generator, field: Field, paper: float) -> Field:
    """Fades the print toward the paper's tone, evenly or in patches, as years of sun do."""
    amount = rng.uniform(0.1, 0.5)
    patches = blotches(rng, field.shape, (3, 5)) * 0.5 + 0.5 if rng.random() < 0.6 else 1.0
    return field + (paper - field) * np.float32(amount) * patches


def dirt(rng: np.random.Generator, field: Field) -> Field:
    """Adds road film and mud: dark or dusty patches, mostly low on the plate."""
    cells = (int(rng.integers(3, 9)), int(rng.integers(5, 18)))
    cover_share = np.clip(
        blotches(rng, field.shape, cells) * rng.uniform(0.4, 1.2) + rng.uniform(-0.5, 0.15), 0, 0.8
    )
    if rng.random() < 0.5:
        cover_share = cover_share * np.linspace(0.3, 1.0, field.shape[0], dtype=np.float32)[:, None]
    return np.asarray(field + (rng.uniform(40, 170) - field) * cover_share, np.float32)


def scratches(rng: np.random.Generator, field: Field) -> None:
    """Draws thin lines and chips where the print has come off."""
    height, width = field.shape
    marks = Image.new("L", (width, height))
    pen = ImageDraw.Draw(marks)
    for _ in range(int(rng.integers(1, 7))):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        dx, dy = rng.normal(0, width * 0.08), rng.normal(0, height * 0.1)
        pen.line((x, y, x + dx, y + dy), fill=int(rng.integers(60, 255)), width=int(rng.integers(1, 3)))
    for _ in range(int(rng.integers(0, 14))):
        x, y, r = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(0.5, height * 0.02)
        pen.ellipse((x - r, y - r, x + r, y + r), fill=int(rng.integers(60, 255)))
    cover(field, np.asarray(marks), (0, 0), float(rng.uniform(40, 220)), float(rng.uniform(0.4, 1.0)))


def shield(rng: np.random.Generator, field: Field) -> Field:
    """Adds a clear, yellowed or smoked cover over the plate, with the sky's reflection in it."""
    height, width = field.shape
    out = field * np.float32(rng.uniform(0.35, 0.95)) + np.float32(rng.uniform(5, 45))
    lean = rng.uniform(-1.0, 1.0)
    across = (
        np.arange(width, dtype=np.float32)[None] / width
        + lean * np.arange(height, dtype=np.float32)[:, None] / height
    )
    band = np.exp(-(((across - rng.uniform(0, 1.2)) / rng.uniform(0.05, 0.3)) ** 2))
    return np.asarray(out + rng.uniform(0, 80) * band, np.float32)


def frame(rng: np.random.Generator, field: Field, pad: int, serial: tuple[float, float]) -> Field:
    """Adds a frame around and over the plate's edge, often with words. Pads the picture by ``pad`` px.

    serial: top and bottom of the characters, px; the frame covers a tenth of them, now and then a quarter.
    """
    height, width = field.shape
    paper = float(rng.choice([rng.uniform(8, 45), rng.uniform(8, 45), rng.uniform(120, 235)]))
    words_tone = paper + (rng.uniform(90, 210) if paper < 128 else -rng.uniform(70, 140))
    outer = np.full((height + 2 * pad, width + 2 * pad), paper, np.float32)
    outer[pad : pad + height, pad : pad + width] = field
    side = width * rng.uniform(0.005, 0.03)
    top = height * (rng.uniform(0.09, 0.23) if rng.random() < 0.45 else rng.uniform(0.01, 0.05))
    bottom = height * (rng.uniform(0.09, 0.25) if rng.random() < 0.6 else rng.uniform(0.01, 0.06))
    overlap = rng.uniform(-0.08, 0.24 if rng.random() < 0.12 else 0.1) * (serial[1] - serial[0])
    top, bottom = min(top, serial[0] + overlap), min(bottom, height - serial[1] + overlap)
    top, bottom = max(top, 0.01 * height), max(bottom, 0.01 * height)
    mask = Image.new("L", (outer.shape[1], outer.shape[0]), 255)
    ImageDraw.Draw(mask).rounded_rectangle(
        (pad + side, pad + top, pad + width - side, pad + height - bottom),
        radius=height * rng.uniform(0.0, 0.09),
        fill=0,
    )
    cover(outer, np.asarray(mask), (0, 0), paper)
    for thick, y in ((top, pad), (bottom, pad + height - bottom)):
        if thick > height * 0.08 and rng.random() < 0.85:
            word = _FRAME_WORDS[int(rng.integers(len(_FRAME_WORDS)))]
            kinds: tuple[Lettering, ...] = ("sans", "sans", "slab", "roman", "script")
            ink = lettering_mask(word, kinds[int(rng.integers(5))], int(rng.integers(5)))
            inset = width * rng.uniform(0.05, 0.2)
            fit_in(
                outer, ink, (pad + inset, y + 0.1 * thick, pad + width - inset, y + 0.92 * thick), words_tone
            )
    if rng.random() < 0.5:
        shine = np.linspace(rng.uniform(-25, 25), rng.uniform(-25, 25), outer.shape[0], dtype=np.float32)[
            :, None
        ]
        outer += shine * (np.asarray(mask, np.float32) / 255.0)

    return outer
