"""Cuts a plate out of a full-resolution frame: removes perspective, sets size and contrast for the net."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .card import PatchRules
from .errors import DegenerateCornersError
from .plates import F32, U8, Corners, Point

F64 = NDArray[np.float64]
Points = Sequence[Sequence[float]]
LEAST_SIDE_PX = 2.0  # a quad with a shorter side shows no characters
_NOWHERE = (math.inf, math.inf)
_TONES = np.arange(256, dtype=np.float32)


class Patch(NamedTuple):
    """A patch. luma: uint8 (height, width), contrast of the frame; to_frame: 3x3, patch px to frame px."""

    luma: U8
    to_frame: F64


def projection(source: F64, target: F64) -> F64:
    """The 3x3 projective map that takes four source points (4, 2) to four target points (4, 2).

    Solved through the unit square (Heckbert 1989, Fundamentals of Texture Mapping, 2.2.3), which avoids an
    8x8 system. Raises DegenerateCornersError if three points of either are on one line.
    """
    return _projection(source.tolist(), target.tolist())


def mapped(points: F64, matrix: F64) -> F64:
    """Maps points (N, 2) by a 3x3 projective map; points at infinity become infinite."""
    return np.array(_mapped(points.tolist(), matrix.tolist()))


# The rest uses plain numbers: arrays this small cost several times as much.


def _projection(source: Points, target: Points) -> F64:
    return np.asarray(np.array(_from_square(target)) @ np.array(_inverse(_from_square(source))))


@lru_cache(maxsize=16)
def _place_in_patch(size: tuple[int, int], margin: tuple[float, float]) -> F64:
    """The map from the plate's place in a patch to the unit square."""
    height, width = size
    left, top = width * margin[0] / (2 + 2 * margin[0]), height * margin[1] / (2 + 2 * margin[1])
    right, foot = width - left, height - top
    return np.array(_inverse(_from_square([(left, top), (right, top), (right, foot), (left, foot)])))


def _mapped(points: Points, matrix: Points) -> list[Point]:
    (a, b, c), (d, e, f), (g, h, i) = matrix
    out = []
    for x, y in points:
        depth = g * x + h * y + i
        out.append(((a * x + b * y + c) / depth, (d * x + e * y + f) / depth) if depth else _NOWHERE)
    return out


def cut_patch(luma: U8, corners: Corners | F64, size: tuple[int, int], margin: tuple[float, float]) -> Patch:
    """Cuts out the plate inside ``corners``, enlarged by ``margin``, as a patch of ``size``.

    luma: uint8 (H, W). corners: px (4, 2), clockwise from top-left. size: (height, width).
    margin: shares (x, y) of the plate's size, added in total: half on either side. A plate larger than the
    patch is averaged down first, so that fine lines do not alias. Outside the frame, the patch is black.
    Raises DegenerateCornersError.
    """
    quad = [(float(x), float(y)) for x, y in corners]
    _check(quad)
    height, width = size
    to_frame = np.asarray(np.array(_from_square(quad)) @ _place_in_patch(size, margin))
    matrix = to_frame.tolist()
    outline = _mapped([(0, 0), (width, 0), (width, height), (0, height)], matrix)
    _check(outline)
    xs, ys = zip(*outline, strict=True)
    x0, y0 = max(math.floor(min(xs)) - 2, 0), max(math.floor(min(ys)) - 2, 0)
    x1, y1 = min(math.ceil(max(xs)) + 2, luma.shape[1]), min(math.ceil(max(ys)) + 2, luma.shape[0])
    if x1 - x0 < 2 or y1 - y0 < 2:
        raise DegenerateCornersError("the corners are outside the frame")
    region = Image.fromarray(luma[y0:y1, x0:x1])
    shrink_x = max(math.dist(outline[0], outline[1]), math.dist(outline[3], outline[2])) / width
    shrink_y = max(math.dist(outline[0], outline[3]), math.dist(outline[1], outline[2])) / height
    scale_x = scale_y = 1.0
    if shrink_x > 1 or shrink_y > 1:
        small = (
            max(round((x1 - x0) / max(shrink_x, 1.0)), 2),
            max(round((y1 - y0) / max(shrink_y, 1.0)), 2),
        )
        region = region.resize(small, Image.Resampling.BOX)
        scale_x, scale_y = small[0] / (x1 - x0), small[1] / (y1 - y0)
    xs, ys, depths = matrix
    last = depths[2]
    into_region = [scale_x * (x - x0 * depth) / last for x, depth in zip(xs, depths, strict=True)]
    into_region += [scale_y * (y - y0 * depth) / last for y, depth in zip(ys, depths, strict=True)]
    into_region += [depth / last for depth in depths[:2]]
    patch = region.transform(
        (width, height), Image.Transform.PERSPECTIVE, into_region, Image.Resampling.BICUBIC
    )
    return Patch(np.asarray(patch), to_frame)


def normalized(patch: U8, rules: PatchRules) -> U8:
    """Sets a patch's mean and deviation to those of the card, clipped to uint8.

    Nearly flat patches are stretched less (``least_deviation``), since only their noise would show.
    """
    mean, deviation = mean_and_deviation(patch.astype(np.float32))
    spread = max(deviation, rules.least_deviation)
    levels = np.rint(rules.mean + rules.deviation / spread * (_TONES - mean))
    table = np.minimum(np.maximum(levels, 0), 255).astype(np.uint8)
    return np.asarray(table.take(patch))


def mean_and_deviation(values: F32) -> tuple[float, float]:
    """Mean and standard deviation of a patch, float32 (h, w), in a third of numpy's time."""
    mean = np.add.reduce(values, axis=None) / np.float32(values.size)
    away = values - mean
    away *= away
    return float(mean), float(np.sqrt(np.add.reduce(away, axis=None) / np.float32(values.size)))


def row_steps(patch: U8) -> F32:
    """Mean change from px to px along each row of a patch (h, w), float32 (h,)."""
    luma = patch.astype(np.float32)
    steps = luma[:, 1:] - luma[:, :-1]
    return np.asarray(np.add.reduce(np.abs(steps, out=steps), axis=1) / np.float32(steps.shape[1]))


def corners_in_frame(offsets: NDArray[np.float32], patch: Patch) -> F64:
    """Converts the net's corners, (8,) in units of the patch from its center, to frame px (4, 2)."""
    height, width = patch.luma.shape
    points = (offsets.astype(np.float64).reshape(4, 2) + 0.5) * (width, height)
    return mapped(points, patch.to_frame)


def _check(points: Sequence[Point]) -> None:
    """Refuses a quad that is not convex and clockwise, or that has too short a side."""
    if not all(map(math.isfinite, chain.from_iterable(points))):
        raise DegenerateCornersError("a corner is not a finite number")
    a, b, c, d = points
    sides = [(q[0] - p[0], q[1] - p[1]) for p, q in ((a, b), (b, c), (c, d), (d, a))]
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = sides
    turns = ax * by - ay * bx, bx * cy - by * cx, cx * dy - cy * dx, dx * ay - dy * ax
    if not all(turn > 1e-6 for turn in turns):
        raise DegenerateCornersError("the corners are not a convex shape, clockwise from top-left")
    if not all(math.hypot(*side) >= LEAST_SIDE_PX for side in sides):
        raise DegenerateCornersError(f"a side of the corners is shorter than {LEAST_SIDE_PX:g} px")


def _from_square(quad: Points) -> list[list[float]]:
    """The map from the unit square's corners to a quad's."""
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = quad
    dx1, dx2, dx3 = x1 - x2, x3 - x2, x0 - x1 + x2 - x3
    dy1, dy2, dy3 = y1 - y2, y3 - y2, y0 - y1 + y2 - y3
    span = dx1 * dy2 - dx2 * dy1
    if abs(span) < 1e-12:
        raise DegenerateCornersError("three corners are on one line")
    g, h = (dx3 * dy2 - dx2 * dy3) / span, (dx1 * dy3 - dx3 * dy1) / span
    return [
        [x1 - x0 + g * x1, x3 - x0 + h * x3, x0],
        [y1 - y0 + g * y1, y3 - y0 + h * y3, y0],
        [g, h, 1.0],
    ]


def _inverse(matrix: Points) -> list[list[float]]:
    """The inverse up to a factor (the adjugate), which suffices for a projective map."""
    (a, b, c), (d, e, f), (g, h, i) = matrix
    out = [
        [e * i - f * h, c * h - b * i, b * f - c * e],
        [f * g - d * i, a * i - c * g, c * d - a * f],
        [d * h - e * g, b * g - a * h, a * e - b * d],
    ]
    if abs(a * out[0][0] + b * out[1][0] + c * out[2][0]) < 1e-12:
        raise DegenerateCornersError("three corners are on one line")
    return out
