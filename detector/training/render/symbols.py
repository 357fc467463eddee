"""Small pictures between or beside the characters, which must not be read as characters.

Each is a coverage mask, uint8 (size, size); each call draws another variation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Mask = NDArray[np.uint8]
Symbol = Literal[
    "map", "disc", "tree", "shield", "star", "cross", "equals", "picture", "seal", "dot", "dash", "none"
]
_SIZE = 48


def draw_symbol(rng: np.random.Generator, kind: Symbol) -> Mask:
    """A mask of this kind of symbol."""
    image = Image.new("L", (_SIZE, _SIZE))
    _DRAW[kind](ImageDraw.Draw(image), rng, _SIZE)
    return np.asarray(image)


def any_symbol(rng: np.random.Generator) -> Symbol:
    """A random kind of symbol."""
    kinds: tuple[Symbol, ...] = (
        "map",
        "disc",
        "tree",
        "shield",
        "star",
        "cross",
        "picture",
        "seal",
        "dot",
        "dash",
    )
    return kinds[int(rng.integers(len(kinds)))]


def _ring(
    rng: np.random.Generator, size: int, count: int, low: float, high: float
) -> list[tuple[float, float]]:
    angles = (np.arange(count) + rng.uniform(-0.3, 0.3, count)) * 2 * np.pi / count
    radii = rng.uniform(low, high, count) * size / 2
    return [
        (float(size / 2 + r * np.cos(a)), float(size / 2 + r * np.sin(a)))
        for a, r in zip(angles, radii, strict=True)
    ]


def _map(draw: ImageDraw.ImageDraw, rng: np.random.Generator, size: int) -> None:
    draw.polygon(_ring(rng, size, int(rng.integers(6, 14)), 0.45, 0.95), fill=int(rng.integers(170, 256)))


def _disc(draw: ImageDraw.ImageDraw, rng: np.random.Generator, size: int) -> None:
    draw.ellipse((4, 4, size - 4, size - 4), fill=int(rng.integers(90, 256)))
    for _ in range(int(rng.integers(0, 4))):
        x, y, r = (int(v) for v in rng.integers(8, size - 8, 3))
        draw.ellipse((x - r // 4, y - r // 4, x + r // 4, y + r // 4), fill=int(rng.integers(0, 256)))
    draw.polygon([(size / 2, 10), (size * 0.8, 0), (size * 0.65, 14)], fill=220)


def _tree(draw: ImageDraw.ImageDraw, rng: np.random.Generator, size: int) -> None:
    tone = int(rng.integers(140, 256))
    if rng.random() < 0.5:  # a conifer
        for level in range(6):
            y, reach = level * size / 6.5, 5 + level * size / 16
            draw.polygon([(size / 2, y - 4), (size / 2 - reach, y + 9), (size / 2 + reach, y + 9)], fill=tone)
    else:  # a palm
        for angle in rng.uniform(-3.1, 0.1, 9):
            draw.line(
                (size / 2, size * 0.3, size / 2 + 17 * np.cos(angle), size * 0.3 + 12 * np.sin(angle)),
                tone,
                4,
            )
    draw.rectangle((size / 2 - 2, size * 0.3, size / 2 + 2, size - 2), fill=tone)


def _shield(draw: ImageDraw.ImageDraw, rng: np.random.Generator, size: int) -> None:
    draw.polygon(
        [(8, 4), (size - 8, 4), (size - 8, 28), (size / 2, size - 3), (8, 28)],
        fill=int(rng.integers(120, 256)),
    )
    draw.polygon(
        [(13, 9), (size - 13, 9), (size - 13, 26), (size / 2, size - 10), (13, 26)],
        fill=int(rng.integers(0, 120)),
    )
    draw.rectangle((12, 18, size - 12, 22), fill=200)


def _star(draw: ImageDraw.ImageDraw, rng: np.random.Generator, size: int) -> None:
    turn, inner = rng.uniform(-0.2, 0.2) - np.pi / 2, rng.uniform(0.18, 0.24)
    radii = [0.48, inner] * 5
    angles = turn + np.arange(10) * np.pi / 5
    points = [
        (float(size * (0.5 + r * np.cos(a))), float(size * (0.5 + r * np.sin(a))))
        for a, r in zip(angles, radii, strict=True)
    ]
    draw.polygon(points, fill=255)


def _cross(draw: ImageDraw.ImageDraw, rng: np.random.Generator, size: int) -> None:
    for offset in (-6, -2, 2, 6):
        reach = size / 2 - (2 if abs(offset) < 4 else 8)
        draw.line((size / 2 + offset, size / 2 - reach, size / 2 + offset, size / 2 + reach), 255, 2)
        draw.line((size / 2 - reach, size / 2 + offset, size / 2 + reach, size / 2 + offset), 255, 2)
    draw.ellipse((size / 2 - 10, size / 2 - 10, size / 2 + 10, size / 2 + 10), fill=255)
    draw.ellipse((size / 2 - 5, size / 2 - 5, size / 2 + 5, size / 2 + 5), fill=int(rng.integers(0, 120)))


def _equals(draw: ImageDraw.ImageDraw, _rng: np.random.Generator, size: int) -> None:
    draw.rectangle((2, size * 0.45, size - 2, size * 0.56), fill=255)
    draw.rectangle((2, size * 0.66, size - 2, size * 0.77), fill=255)
    for x in (0.2, 0.5, 0.8):
        draw.ellipse((size * x - 4, size * 0.22, size * x + 4, size * 0.22 + 8), fill=255)


def _picture(draw: ImageDraw.ImageDraw, rng: np.random.Generator, size: int) -> None:
    for _ in range(int(rng.integers(3, 8))):
        points = [tuple(point) for point in rng.uniform(2, size - 2, (int(rng.integers(3, 6)), 2))]
        draw.polygon(points, fill=int(rng.integers(40, 256)))
    for _ in range(int(rng.integers(0, 5))):
        draw.line(
            [tuple(point) for point in rng.uniform(2, size - 2, (3, 2))],
            fill=int(rng.integers(0, 256)),
            width=2,
        )


def _seal(draw: ImageDraw.ImageDraw, rng: np.random.Generator, size: int) -> None:
    draw.ellipse((2, 2, size - 2, size - 2), fill=int(rng.integers(100, 256)))
    draw.ellipse((7, 7, size - 7, size - 7), fill=int(rng.integers(0, 120)))
    draw.ellipse((11, 11, size - 11, size - 11), fill=int(rng.integers(60, 256)))
    draw.polygon(_ring(rng, size, 7, 0.1, 0.45), fill=int(rng.integers(0, 160)))


def _dot(draw: ImageDraw.ImageDraw, rng: np.random.Generator, size: int) -> None:
    reach = rng.uniform(4, 9)
    draw.ellipse((size / 2 - reach, size / 2 - reach, size / 2 + reach, size / 2 + reach), fill=255)


def _dash(draw: ImageDraw.ImageDraw, rng: np.random.Generator, size: int) -> None:
    half = rng.uniform(3, 7)
    draw.rectangle((3, size / 2 - half, size - 3, size / 2 + half), fill=255)


def _none(_draw: ImageDraw.ImageDraw, _rng: np.random.Generator, _size: int) -> None:
    """An empty gap."""


_DRAW: dict[Symbol, Callable[[ImageDraw.ImageDraw, np.random.Generator, int], None]] = {
    "map": _map,
    "disc": _disc,
    "tree": _tree,
    "shield": _shield,
    "star": _star,
    "cross": _cross,
    "equals": _equals,
    "picture": _picture,
    "seal": _seal,
    "dot": _dot,
    "dash": _dash,
    "none": _none,
}
