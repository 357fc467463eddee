"""Draws what hides a part of a plate: a post, a tow hook, a leaf, tape, snow, glare; or cuts an end off.

Everything is drawn into a picture, rendered or real, around a plate at a known place; the camera's effects
come afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from . import camera

Luma = NDArray[np.uint8]
Quad = NDArray[np.float64]
Rng = np.random.Generator
Points = Sequence[tuple[float, float]]

_FINER = 3  # the mask is drawn this many times larger
_UNIT = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """shapes: polygons in shares of the plate's width and height from its top left corner.

    upright: the shapes are upright in the picture, as a post is, instead of in the plate's plane. tone:
    0..255, None for any tone or a part of a picture; sheet: the tone is the plate's own. soft: blur, as a
    share of the plate's width.
    """

    shapes: tuple[Points, ...]
    upright: bool = False
    tone: float | None = None
    sheet: bool = False
    soft: float = 0.0


def _blob(rng: Rng, middle: tuple[float, float], wide: float, high: float, *, rough: float = 0.25) -> Points:
    turns = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    reach = 1 + rng.normal(0, rough, 16)
    x, y = middle
    return list(zip(x + wide * reach * np.cos(turns), y + high * reach * np.sin(turns), strict=True))


def _bar(x0: float, x1: float, y0: float, y1: float) -> Points:
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]


def _post(x0: float, x1: float) -> Obstacle:
    return Obstacle(shapes=(_bar(x0, x1, -9.0, 10.0),), upright=True)


def _around(rng: Rng, width: tuple[float, float], place: tuple[float, float]) -> tuple[float, float]:
    half, middle = rng.uniform(*width) / 2, rng.uniform(*place)
    return float(middle - half), float(middle + half)


def _first(rng: Rng) -> Obstacle:
    return _post(-float(rng.uniform(0.05, 0.8)), float(rng.uniform(0.12, 0.34)))


def _last(rng: Rng) -> Obstacle:
    return _post(1 - float(rng.uniform(0.12, 0.34)), 1 + float(rng.uniform(0.05, 0.8)))


def _middle(rng: Rng) -> Obstacle:
    return _post(*_around(rng, (0.07, 0.22), (0.25, 0.75)))


def _thin_post(rng: Rng) -> Obstacle:
    return _post(*_around(rng, (0.025, 0.07), (0.1, 0.9)))


def _hook(rng: Rng) -> Obstacle:
    x0, x1 = _around(rng, (0.08, 0.16), (0.2, 0.8))
    end = float(rng.uniform(-0.15, 0.35))
    shape = np.array([(x0, 1.6), (x0, end + 0.08), ((x0 + x1) / 2, end), (x1, end + 0.08), (x1, 1.6)])
    if rng.random() < 0.3:  # a strap from above
        shape[:, 1] = 1 - shape[:, 1]
    return Obstacle(shapes=([(x, y) for x, y in shape.tolist()],))


def _ball(rng: Rng) -> Obstacle:
    x, y, reach = (
        float(rng.uniform(0.25, 0.75)),
        float(rng.uniform(0.45, 1.0)),
        float(rng.uniform(0.09, 0.16)),
    )
    neck = _bar(x - 0.45 * reach, x + 0.45 * reach, y, 1.8)
    return Obstacle(shapes=(_blob(rng, (x, y), reach, 2.2 * reach, rough=0.0), neck))


def _rack(rng: Rng) -> Obstacle:
    y, wide, lean = (
        float(rng.uniform(0.3, 0.8)),
        float(rng.uniform(0.06, 0.16)),
        float(rng.uniform(-0.2, 0.2)),
    )
    shape = [(-0.8, y - lean), (1.8, y + lean), (1.8, y + lean + wide), (-0.8, y - lean + wide)]
    return Obstacle(shapes=(shape,))


def _leaf(rng: Rng) -> Obstacle:
    x, y = float(rng.uniform(0.1, 0.9)), float(rng.uniform(0.3, 0.7))
    return Obstacle(shapes=(_blob(rng, (x, y), rng.uniform(0.06, 0.13), rng.uniform(0.2, 0.4)),))


def _hand(rng: Rng) -> Obstacle:
    x, y = float(rng.uniform(0.05, 0.95)), float(rng.uniform(0.25, 0.6))
    fingers = [_blob(rng, (x + 0.06 * number, y), 0.03, 0.1, rough=0.05) for number in range(3)]
    return Obstacle(shapes=(*fingers, [(x - 0.04, 0.4), (x + 0.16, 0.4), (x + 0.2, 1.9), (x - 0.1, 1.9)]))


def _tape(rng: Rng) -> Obstacle:
    """A patch of the sheet's tone over a character or half of one."""
    x = float(rng.uniform(0.04, 0.88))
    wide, (top, foot) = ((0.06, (0.15, 0.85)), (0.12, (0.1, 0.5)), (0.12, (0.5, 0.9)), (0.13, (0.1, 0.9)))[
        int(rng.integers(4))
    ]
    return Obstacle(shapes=(_bar(x, x + wide, top, foot),), sheet=True)


def _dirt(rng: Rng) -> Obstacle:
    blots = tuple(
        _blob(
            rng,
            (float(rng.uniform(0, 1)), float(rng.uniform(0.1, 0.9))),
            rng.uniform(0.03, 0.12),
            rng.uniform(0.08, 0.35),
        )
        for _ in range(int(rng.integers(1, 4)))
    )
    return Obstacle(shapes=blots, tone=float(rng.uniform(20, 140)), soft=float(rng.uniform(0.005, 0.015)))


def _snow(rng: Rng) -> Obstacle:
    line = rng.uniform(0.3, 0.6) + rng.normal(0, 0.05, 15)
    edge = [(1.2 - 0.1 * number, float(y)) for number, y in enumerate(line)]
    tone = rng.uniform(20, 60) if rng.random() < 0.4 else rng.uniform(200, 250)
    return Obstacle(shapes=([(-0.2, -0.3), (1.2, -0.3), *edge],), tone=float(tone), soft=0.008)


def _frame(rng: Rng) -> Obstacle:
    """A dealer's frame that reaches into the characters."""
    high = float(rng.uniform(0.14, 0.34))
    tone = float(rng.uniform(5, 60) if rng.random() < 0.7 else rng.uniform(120, 230))
    y0, y1 = (1 - high, 1.05) if rng.random() < 0.7 else (-0.05, high)
    return Obstacle(shapes=(_bar(-0.02, 1.02, y0, y1),), tone=tone)


def _glare(rng: Rng) -> Obstacle:
    x, y = float(rng.uniform(0.05, 0.95)), float(rng.uniform(0.3, 0.7))
    spot = _blob(rng, (x, y), rng.uniform(0.06, 0.16), rng.uniform(0.25, 0.6), rough=0.05)
    return Obstacle(shapes=(spot,), tone=255.0, soft=float(rng.uniform(0.015, 0.05)))


def _bar_of_the_picture(rng: Rng) -> Obstacle:
    """A black bar or a display of the camera over an end, the top or the bottom of the plate."""
    into, tone = float(rng.uniform(0.03, 0.4)), 0.0 if rng.random() < 0.7 else float(rng.uniform(0, 255))
    side = (
        (-9.0, into, -9.0, 10.0),
        (1 - into, 10.0, -9.0, 10.0),
        (-9.0, 10.0, -9.0, into),
        (-9.0, 10.0, 1 - into, 10.0),
    )
    return Obstacle(shapes=(_bar(*side[int(rng.integers(4))]),), upright=True, tone=tone)


def _anything(rng: Rng) -> Obstacle:
    """A blob, a bar or a leaning post of any width, anywhere."""
    x, wide = float(rng.uniform(-0.1, 0.95)), float(rng.uniform(0.05, 0.35))
    chance = rng.random()
    soft = float(rng.choice((0.0, 0.004, 0.015)))
    if chance < 0.4:
        middle, high = (x + wide / 2, float(rng.uniform(0.2, 0.8))), rng.uniform(0.2, 0.8)
        return Obstacle(shapes=(_blob(rng, middle, wide / 2, high, rough=rng.uniform(0.05, 0.4)),), soft=soft)
    if chance < 0.7:
        top, foot = float(rng.uniform(-0.3, 0.4)), float(rng.uniform(0.6, 1.4))
        return Obstacle(shapes=(_bar(x, x + wide, top, foot),), soft=soft)
    lean = float(rng.normal(0, 0.15))
    shape = [(x, -3.0), (x + wide, -3.0), (x + wide + lean, 4.0), (x + lean, 4.0)]
    return Obstacle(shapes=(shape,), upright=bool(rng.random() < 0.5))


def _erased(rng: Rng) -> Obstacle:
    """The tone of the sheet in place of a character."""
    x0, x1 = _around(rng, (0.08, 0.24), (0.05, 0.95))
    top, foot = float(rng.uniform(0.1, 0.25)), float(rng.uniform(0.75, 0.95))
    soft = float(rng.choice((0.0, 0.003, 0.01, 0.02)))
    return Obstacle(shapes=(_bar(x0, x1, top, foot),), sheet=True, soft=soft)


OBSTACLES: dict[str, Callable[[Rng], Obstacle]] = {
    "first": _first,
    "last": _last,
    "middle": _middle,
    "thin post": _thin_post,
    "hook": _hook,
    "ball": _ball,
    "rack": _rack,
    "leaf": _leaf,
    "hand": _hand,
    "tape": _tape,
    "dirt": _dirt,
    "snow": _snow,
    "frame": _frame,
    "glare": _glare,
    "bar": _bar_of_the_picture,
    "anything": _anything,
    "erased": _erased,
}


def hidden_behind(rng: Rng, picture: Luma, quad: Quad, kind: str) -> Luma:
    """The picture with an obstacle in front of the plate at quad (4, 2). kind: a name in OBSTACLES."""
    return cover(rng, picture, quad, kind)[0]


def cover(
    rng: Rng, picture: Luma, quad: Quad, kind: str, backgrounds: Sequence[Luma] = ()
) -> tuple[Luma, Luma]:
    """The picture of ``hidden_behind``, and how much of each px is covered, 0..255, uint8 (H, W)."""
    thing = OBSTACLES[kind](rng)
    place = quad
    if thing.upright:
        (x0, y0), (x1, y1) = quad.min(axis=0), quad.max(axis=0)
        lean = rng.normal(0, 0.02) * (y1 - y0) if thing.tone is None else 0.0
        place = np.array([(x0 - lean, y0), (x1 - lean, y0), (x1 + lean, y1), (x0 + lean, y1)])
    onto = camera.homography(_UNIT, place)
    mask = Image.new("L", (picture.shape[1] * _FINER, picture.shape[0] * _FINER))
    for shape in thing.shapes:
        corners = camera.project(onto, np.array(shape, np.float64)) * _FINER
        ImageDraw.Draw(mask).polygon([(x, y) for x, y in corners.tolist()], fill=255)
    soft = ImageFilter.GaussianBlur(max(thing.soft * float(np.ptp(quad[:, 0])), 0.4))
    share = np.asarray(mask.reduce(_FINER).filter(soft), np.float64) / 255.0
    tone = float(np.median(camera.cut_out(picture, quad, (24, 72)))) if thing.sheet else thing.tone
    shown = picture * (1 - share) + _surface(rng, picture.shape, quad, tone, backgrounds) * share
    return np.clip(shown, 0, 255).astype(np.uint8), (share * 255).astype(np.uint8)


def _surface(
    rng: Rng, size: tuple[int, ...], quad: Quad, tone: float | None, backgrounds: Sequence[Luma]
) -> NDArray[np.float64]:
    height, width = size
    if tone is None and backgrounds and rng.random() < 0.3:
        piece = backgrounds[int(rng.integers(len(backgrounds)))]
        share = rng.uniform(0.1, 0.4)
        x, y = rng.uniform(0, 1 - share, 2) * piece.shape[::-1]
        box = (x, y, x + share * piece.shape[1], y + share * piece.shape[0])
        return np.asarray(Image.fromarray(piece).resize((width, height), box=box), np.float64)
    across, down = np.arange(width)[None], np.arange(height)[:, None]
    light = rng.normal(0, 15) * (across / width - 0.5) + rng.normal(0, 12) * (down / height - 0.5)
    if tone is None and rng.random() < 0.4:  # something round
        center = quad[:, 0].mean()
        light = light + rng.uniform(-40, 40) * np.cos((across - center) / max(0.1 * np.ptp(quad[:, 0]), 1.0))
    return np.clip((rng.uniform(5, 250) if tone is None else tone) + light, 0, 255)
