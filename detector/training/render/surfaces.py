"""What surrounds a plate on a vehicle: recess, bumper, paint; or a part of a real picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from .backdrops import blotches

Luma = NDArray[np.uint8]


def vehicle_surface(
    rng: np.random.Generator,
    size: tuple[int, int],
    quad: NDArray[np.float64],
    backgrounds: Sequence[Luma] = (),
) -> Luma:
    """Draws surroundings of size (height, width) for a plate at quad (4, 2)."""
    if backgrounds and rng.random() < 0.3:
        return _piece(rng, backgrounds[int(rng.integers(len(backgrounds)))], size)
    return _bodywork(rng, size, quad)


def _piece(rng: np.random.Generator, picture: Luma, size: tuple[int, int]) -> Luma:
    """A random window of a picture, at a random scale, resampled to size."""
    height, width = picture.shape
    share = rng.uniform(0.15, 0.9)
    span_w = max(16.0, min(width * share, height * share * size[1] / size[0]))
    span_h = span_w * size[0] / size[1]
    x, y = rng.uniform(0, max(1e-6, width - span_w)), rng.uniform(0, max(1e-6, height - span_h))
    box = (x, y, min(width, x + span_w), min(height, y + span_h))
    return np.asarray(Image.fromarray(picture).resize((size[1], size[0]), Image.Resampling.BILINEAR, box=box))


def _bodywork(rng: np.random.Generator, size: tuple[int, int], quad: NDArray[np.float64]) -> Luma:
    """Paint with horizontal creases, a recess around the plate, bits of chrome or lamps."""
    height, width = size
    paint = float(
        rng.choice([rng.uniform(15, 60), rng.uniform(60, 150), rng.uniform(150, 235)], p=[0.45, 0.3, 0.25])
    )
    rows = np.linspace(rng.uniform(-30, 30), rng.uniform(-40, 30), height, dtype=np.float32)[:, None]
    field = paint + rows + 8 * blotches(rng, size, (2, 3))
    image = Image.fromarray(np.clip(field, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    lean = float(rng.normal(0, 0.04)) * width
    for _ in range(int(rng.integers(0, 6))):  # creases, gaps, the bumper's upper edge
        y = float(rng.uniform(-0.1, 1.1)) * height
        thick = max(1, int(rng.exponential(height * 0.05)))
        tone = int(np.clip(paint + rng.normal(0, 55), 3, 250))
        draw.line((0, y, width, y + lean), fill=tone, width=thick)
    if rng.random() < 0.2:  # a grille or a mesh
        step = max(3, int(height * rng.uniform(0.04, 0.12)))
        for y in range(0, height, step):
            draw.line((0, y, width, y + lean), fill=int(rng.integers(15, 120)), width=max(1, step // 3))
        if rng.random() < 0.5:
            for x in range(0, width, step):
                draw.line((x, 0, x, height), fill=int(rng.integers(15, 120)), width=max(1, step // 4))
    if rng.random() < 0.5:  # the recess
        grow = rng.uniform(1.04, 1.35, 2)
        center = quad.mean(axis=0) + rng.normal(0, 0.03, 2) * np.ptp(quad, axis=0)
        recess = [tuple(point) for point in center + (quad - quad.mean(axis=0)) * grow]
        draw.polygon(recess, fill=int(np.clip(paint * rng.uniform(0.3, 1.15), 3, 245)))
        if rng.random() < 0.5:
            draw.line(
                [*recess, recess[0]],
                fill=int(np.clip(paint + rng.normal(0, 60), 3, 250)),
                width=max(1, height // 50),
            )
    for _ in range(int(rng.choice([0, 0, 1, 2]))):  # a lamp, a badge, a handle
        across, down = (
            rng.uniform(0, width),
            rng.choice([rng.uniform(-0.1, 0.15), rng.uniform(0.85, 1.1)]) * height,
        )
        round_px = rng.uniform(0.05, 0.2) * height
        draw.ellipse(
            (across - round_px * 2, down - round_px, across + round_px * 2, down + round_px),
            fill=int(rng.integers(10, 250)),
        )
    softened = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.4, 2.0))))
    shade = np.asarray(softened, np.float32)
    left, top = quad.min(axis=0)
    right, bottom = quad.max(axis=0)
    if rng.random() < 0.6:  # the plate's own shadow below and beside it
        x0, x1 = int(max(0, left - 1)), int(min(width, right + 2))
        y0, y1 = int(max(0, bottom - 1)), int(min(height, bottom + max(2, (bottom - top) * 0.06)))
        shade[y0:y1, x0:x1] *= rng.uniform(0.35, 0.8)
    return np.asarray(np.clip(shade, 0, 255), np.uint8)
