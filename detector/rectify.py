"""Cuts a plate out of the full-resolution frame: no perspective, size and contrast as the net expects."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .card import PatchRules
from .errors import DegenerateCornersError
from .plates import U8, Corners

F64 = NDArray[np.float64]
LEAST_SIDE_PX = 2.0  # a quad with a shorter side holds no characters
_UNIT_SQUARE = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])


class Patch(NamedTuple):
    """luma: uint8 (height, width), contrast as in the frame; to_frame: 3x3, patch px to frame px."""

    luma: U8
    to_frame: F64


def projection(source: F64, target: F64) -> F64:
    """The 3x3 projective map that takes four source points (4, 2) to four target points (4, 2).

    Solved by way of the unit square (Heckbert 1989, Fundamentals of Texture Mapping, 2.2.3), so no
    8x8 system. Raises DegenerateCornersError if three points of either are on one line.
    """
    return np.asarray(_from_square(target) @ _inverse(_from_square(source)))


def mapped(points: F64, matrix: F64) -> F64:
    """Points (N, 2) through a 3x3 projective map."""
    x, y = points[:, 0], points[:, 1]
    depth = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2]
    out = np.empty((len(points), 2))
    out[:, 0] = (matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]) / depth
    out[:, 1] = (matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]) / depth
    return out


def cut_patch(luma: U8, corners: Corners | F64, size: tuple[int, int], margin: tuple[float, float]) -> Patch:
    """The plate inside ``corners``, enlarged by ``margin``, as a patch of ``size``.

    luma: uint8 (H, W). corners: px (4, 2), clockwise from top-left. size: (height, width).
    margin: shares (x, y) of the plate's size added in all, half on either side. Where the plate is
    larger than the patch it is averaged down first, so that fine lines do not alias; outside the
    frame the patch is black. Raises DegenerateCornersError.
    """
    quad = np.asarray(corners, np.float64).reshape(4, 2)
    _check(quad)
    height, width = size
    left, top = width * margin[0] / (2 + 2 * margin[0]), height * margin[1] / (2 + 2 * margin[1])
    inner = np.array([[left, top], [width - left, top], [width - left, height - top], [left, height - top]])
    to_frame = projection(inner, quad)
    outline = mapped(_UNIT_SQUARE * (width, height), to_frame)
    _check(outline)
    x0, y0 = np.maximum(np.floor(outline.min(axis=0)).astype(int) - 2, 0).tolist()
    x1, y1 = np.ceil(outline.max(axis=0)).astype(int) + 2
    x1, y1 = min(int(x1), luma.shape[1]), min(int(y1), luma.shape[0])
    if x1 - x0 < 2 or y1 - y0 < 2:
        raise DegenerateCornersError("the corners are outside the frame")
    region = Image.fromarray(luma[y0:y1, x0:x1])
    shrink_x = max(math.dist(outline[0], outline[1]), math.dist(outline[3], outline[2])) / width
    shrink_y = max(math.dist(outline[0], outline[3]), math.dist(outline[1], outline[2])) / height
    into_region = np.array([[1.0, 0.0, -x0], [0.0, 1.0, -y0], [0.0, 0.0, 1.0]]) @ to_frame
    if shrink_x > 1 or shrink_y > 1:
        small = (
            max(round((x1 - x0) / max(shrink_x, 1.0)), 2),
            max(round((y1 - y0) / max(shrink_y, 1.0)), 2),
        )
        region = region.resize(small, Image.Resampling.BOX)
        scale = (small[0] / (x1 - x0), small[1] / (y1 - y0), 1.0)
        into_region = np.diag(scale) @ into_region
    into_region = into_region / into_region[2, 2]
    patch = region.transform(
        (width, height),
        Image.Transform.PERSPECTIVE,
        into_region.reshape(9)[:8].tolist(),
        Image.Resampling.BICUBIC,
    )
    return Patch(np.asarray(patch), to_frame)


def normalized(patch: U8, rules: PatchRules) -> U8:
    """The patch with mean and deviation set to the card's, clipped to uint8.

    Nearly flat patches keep some of their flatness (``least_deviation``), else noise would be all there is.
    """
    values = patch.astype(np.float32)
    mean = float(values.mean())
    spread = max(float(values.std()), rules.least_deviation)
    levels = np.rint(rules.mean + rules.deviation / spread * (np.arange(256, dtype=np.float32) - mean))
    table: U8 = np.clip(levels, 0, 255).astype(np.uint8)
    return np.asarray(table[patch])


def corners_in_frame(offsets: NDArray[np.float32], patch: Patch) -> F64:
    """The net's corners, (8,) in units of the patch from its center, as frame px (4, 2)."""
    height, width = patch.luma.shape
    points = (offsets.astype(np.float64).reshape(4, 2) + 0.5) * (width, height)
    return mapped(points, patch.to_frame)


def _check(quad: F64) -> None:
    """Refuses a quad that is not convex and clockwise, or has a side too short to mean anything."""
    points = quad.tolist()
    if not all(math.isfinite(value) for point in points for value in point):
        raise DegenerateCornersError("a corner is not a finite number")
    sides = [(b[0] - a[0], b[1] - a[1]) for a, b in zip(points, points[1:] + points[:1], strict=True)]
    if not all(a[0] * b[1] - a[1] * b[0] > 1e-6 for a, b in zip(sides, sides[1:] + sides[:1], strict=True)):
        raise DegenerateCornersError("the corners are not a convex shape, clockwise from top-left")
    if not all(math.hypot(*side) >= LEAST_SIDE_PX for side in sides):
        raise DegenerateCornersError(f"a side of the corners is shorter than {LEAST_SIDE_PX:g} px")


def _from_square(quad: F64) -> F64:
    """The map from the unit square's corners to a quad's."""
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = quad.tolist()
    dx1, dx2, dx3 = x1 - x2, x3 - x2, x0 - x1 + x2 - x3
    dy1, dy2, dy3 = y1 - y2, y3 - y2, y0 - y1 + y2 - y3
    span = dx1 * dy2 - dx2 * dy1
    if abs(span) < 1e-12:
        raise DegenerateCornersError("three corners are on one line")
    g, h = (dx3 * dy2 - dx2 * dy3) / span, (dx1 * dy3 - dx3 * dy1) / span
    return np.array(
        [
            [x1 - x0 + g * x1, x3 - x0 + h * x3, x0],
            [y1 - y0 + g * y1, y3 - y0 + h * y3, y0],
            [g, h, 1.0],
        ]
    )


def _inverse(matrix: F64) -> F64:
    """The inverse up to a factor (the adjugate), which is all that a projective map needs."""
    (a, b, c), (d, e, f), (g, h, i) = matrix.tolist()
    out = np.array(
        [
            [e * i - f * h, c * h - b * i, b * f - c * e],
            [f * g - d * i, a * i - c * g, c * d - a * f],
            [d * h - e * g, b * g - a * h, a * e - b * d],
        ]
    )
    if abs(a * out[0, 0] + b * out[1, 0] + c * out[2, 0]) < 1e-12:
        raise DegenerateCornersError("three corners are on one line")
    return out
