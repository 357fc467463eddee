"""Printed backgrounds of plates as luma fields: fades, hills, skies, bands, outlines, pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Field = NDArray[np.float32]
Backdrop = Literal[
    "plain", "fade", "dusk", "peaks", "hills", "forest", "sky", "rays", "outline", "photo", "flag"
]


def draw_backdrop(
    rng: np.random.Generator, kind: Backdrop, size: tuple[int, int], paper: float, contrast: float
) -> Field:
    """A field (height, width) around luma ``paper``, whose picture departs from it by up to ``contrast``."""
    height, width = size
    if kind == "plain":
        return np.full(size, paper, np.float32)
    sketch = Image.new("F", (width // 2, height // 2))
    _DRAW[kind](sketch, ImageDraw.Draw(sketch), rng)
    art = np.asarray(sketch.resize((width, height), Image.Resampling.BILINEAR), np.float32)
    room = contrast if paper > 128 else -contrast
    return np.asarray(np.clip(paper - art * room, 0, 255), np.float32)


def blotches(rng: np.random.Generator, size: tuple[int, int], cells: tuple[int, int]) -> Field:
    """Smooth noise from -1 to 1 with about ``cells`` bumps down and across."""
    low = rng.uniform(-1, 1, cells).astype(np.float32)
    return np.asarray(Image.fromarray(low).resize((size[1], size[0]), Image.Resampling.BICUBIC), np.float32)


def _put(sketch: Image.Image, field: NDArray[np.floating]) -> None:
    sketch.paste(Image.fromarray(field.astype(np.float32)))


def _ramp(sketch: Image.Image) -> Field:
    return np.broadcast_to(np.linspace(0, 1, sketch.height, dtype=np.float32)[:, None], sketch.size[::-1])


def _fade(sketch: Image.Image, _draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    ramp = _ramp(sketch)
    kind = int(rng.integers(3))
    _put(sketch, (1 - ramp, ramp, np.abs(2 * ramp - 1))[kind] ** float(rng.uniform(0.7, 2.0)))


def _dusk(sketch: Image.Image, draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    _put(sketch, (1 - _ramp(sketch)) ** 1.5)
    _ridge(sketch, draw, rng, base=0.78, rough=0.14, tone=1.3)


def _ridge(
    sketch: Image.Image,
    draw: ImageDraw.ImageDraw,
    rng: np.random.Generator,
    *,
    base: float,
    rough: float,
    tone: float,
) -> None:
    count = int(rng.integers(5, 14))
    xs = np.linspace(0, sketch.width, count)
    ys = sketch.height * (base + rng.uniform(-rough, rough, count))
    points = [(float(x), float(y)) for x, y in zip(xs, ys, strict=True)]
    draw.polygon([*points, (sketch.width, sketch.height), (0, sketch.height)], fill=tone)


def _peaks(sketch: Image.Image, draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    draw.rectangle((0, 0, sketch.width, sketch.height), fill=float(rng.uniform(0.5, 1.4)))
    _ridge(sketch, draw, rng, base=0.25, rough=0.14, tone=0.1)
    _ridge(sketch, draw, rng, base=0.45, rough=0.1, tone=float(rng.uniform(0, 0.5)))


def _hills(sketch: Image.Image, draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    _ridge(sketch, draw, rng, base=0.62, rough=0.12, tone=0.35)
    _ridge(sketch, draw, rng, base=0.8, rough=0.08, tone=float(rng.uniform(0.5, 1.2)))


def _forest(sketch: Image.Image, draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    _put(sketch, 0.4 * _ramp(sketch))
    for x in rng.uniform(0, sketch.width, 26):
        top = sketch.height * rng.uniform(0.55, 0.82)
        draw.polygon(
            [(x, top), (x - 6, sketch.height), (x + 6, sketch.height)], fill=float(rng.uniform(0.5, 1.2))
        )


def _sky(sketch: Image.Image, _draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    clouds = blotches(rng, sketch.size[::-1], (5, 8))
    _put(sketch, 0.5 + 0.5 * clouds * (1 - 0.5 * _ramp(sketch)))


def _rays(sketch: Image.Image, draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    x, y = sketch.width * rng.uniform(0.2, 0.8), sketch.height * rng.uniform(0.6, 1.1)
    for turn in np.arange(0, 2 * np.pi, np.pi / 10):
        far = [(x + 400 * np.cos(turn + d), y + 400 * np.sin(turn + d)) for d in (0, 0.15)]
        draw.polygon([(x, y), *far], fill=0.6)


def _outline(sketch: Image.Image, draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    count = int(rng.integers(6, 12))
    angles = np.arange(count) * 2 * np.pi / count
    reach = rng.uniform(0.5, 1.0, count)
    points = [
        (sketch.width * (0.5 + 0.42 * r * np.cos(a)), sketch.height * (0.5 + 0.42 * r * np.sin(a)))
        for a, r in zip(angles, reach, strict=True)
    ]
    if rng.random() < 0.5:
        draw.polygon(points, fill=0.5)
    else:
        draw.line([*points, points[0]], fill=1.2, width=1)


def _photo(sketch: Image.Image, _draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    size = sketch.size[::-1]
    field = (
        0.6 * blotches(rng, size, (4, 6))
        + 0.35 * blotches(rng, size, (11, 18))
        + 0.25 * blotches(rng, size, (24, 40))
    )
    _put(sketch, np.clip(0.5 + field, 0, 1.2))


def _flag(sketch: Image.Image, draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    count = int(rng.integers(3, 9))
    slant = rng.uniform(-0.3, 0.3) * sketch.height
    for index in range(0, count, 2):
        y0, y1 = sketch.height * index / count, sketch.height * (index + 1) / count
        draw.polygon([(0, y0), (sketch.width, y0 + slant), (sketch.width, y1 + slant), (0, y1)], fill=0.7)


_DRAW: dict[Backdrop, Callable[[Image.Image, ImageDraw.ImageDraw, np.random.Generator], None]] = {
    "fade": _fade,
    "dusk": _dusk,
    "peaks": _peaks,
    "hills": _hills,
    "forest": _forest,
    "sky": _sky,
    "rays": _rays,
    "outline": _outline,
    "photo": _photo,
    "flag": _flag,
}
