"""An empty street, seen from a viewpoint: asphalt, markings, curb, grass, houses, sky."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from . import camera
from .backdrops import blotches
from .viewpoint import Viewpoint

Luma = NDArray[np.uint8]
Field = NDArray[np.float32]

KERB_LEFT, KERB_RIGHT, MIDDLE = -3.9, 2.7, -0.5  # meters across


def empty_street(rng: np.random.Generator, view: Viewpoint) -> tuple[Luma, Field]:
    """The picture (H, W) by day, and each px's distance along the road in meters (float32, 200 if far)."""
    rays = view.rays()
    down = -rays[..., 2]
    reach = view.height_m / np.maximum(down, 1e-4)
    x, y = rays[..., 0] * reach, rays[..., 1] * reach
    on_ground = (down > 0) & (y < 180)
    distance = np.where(on_ground, y, 200.0).astype(np.float32)
    luma = _sky(rng, view)
    luma = np.where(on_ground, _ground(rng, x, y), luma)
    picture = np.clip(luma, 0, 255).astype(np.uint8)
    picture, distance = _houses(rng, picture, distance, view)
    return camera.defocus(picture, 1.3), distance


def _sky(rng: np.random.Generator, view: Viewpoint) -> Field:
    size = (view.height_px, view.width_px)
    ramp = np.linspace(205, 230, view.height_px, dtype=np.float32)[:, None]
    return np.asarray(ramp + 12 * blotches(rng, size, (5, 7)), np.float32)


def _ground(rng: np.random.Generator, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """The ground's luma at world (x, y); its grain is finest near the camera."""
    patches = _tiled(rng, 64, x / 4.0, y / 9.0)
    grain = _tiled(rng, 256, x * 9.0, y * 9.0) * np.clip(9.0 / np.maximum(y, 1.0), 0, 1)
    asphalt = 92 + 9 * patches + 4 * grain
    asphalt -= 7 * np.exp(-(((np.abs(x - MIDDLE) - 1.5) / 0.35) ** 2))  # wheel tracks
    dashes = (np.abs(x - MIDDLE) < 0.06) & (np.mod(y, 6.0) < 3.0)
    edges = (np.abs(x - (KERB_LEFT + 0.25)) < 0.05) | (np.abs(x - (KERB_RIGHT - 0.25)) < 0.05)
    worn = 195 + 25 * patches
    luma = np.where(dashes | edges, worn, asphalt)
    cracks = np.abs(_tiled(rng, 48, x / 3.0, y / 3.0)) < 0.012
    luma = np.where(cracks, luma - 26, luma)
    kerb = ((x > KERB_RIGHT) & (x < KERB_RIGHT + 0.16)) | ((x < KERB_LEFT) & (x > KERB_LEFT - 0.16))
    luma = np.where(kerb, 152 - 30 * (np.mod(y, 1.0) < 0.03), luma)
    walk = ((x >= KERB_RIGHT + 0.16) & (x < KERB_RIGHT + 2.0)) | (
        (x <= KERB_LEFT - 0.16) & (x > KERB_LEFT - 2.0)
    )
    slabs = (np.mod(x, 0.9) < 0.02) | (np.mod(y, 0.9) < 0.03)
    luma = np.where(walk, 136 + 3 * grain - 22 * slabs + 5 * patches, luma)
    verge = (x >= KERB_RIGHT + 2.0) | (x <= KERB_LEFT - 2.0)
    return np.where(verge, 88 + 16 * patches + 9 * grain, luma)


def _tiled(
    rng: np.random.Generator, cells: int, x: NDArray[np.float64], y: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Interpolated noise from -1 to 1 over the plane, which repeats after ``cells`` units."""
    table = rng.uniform(-1, 1, (cells, cells))
    x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
    fx, fy = x - x0, y - y0
    a, b = table[y0 % cells, x0 % cells], table[y0 % cells, (x0 + 1) % cells]
    c, d = table[(y0 + 1) % cells, x0 % cells], table[(y0 + 1) % cells, (x0 + 1) % cells]
    return np.asarray((a * (1 - fx) + b * fx) * (1 - fy) + (c * (1 - fx) + d * fx) * fy)


def _facade(rng: np.random.Generator, width: int, height: int) -> Luma:
    wall = int(rng.integers(95, 190))
    image = Image.new("L", (width, height), wall)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, width, int(height * 0.12)), fill=wall // 2)
    step_x, step_y = int(rng.integers(44, 70)), int(rng.integers(60, 90))
    for top in range(int(height * 0.2), height - 40, step_y):
        for left in range(18, width - 40, step_x):
            draw.rectangle(
                (left, top, left + 24, top + 36), fill=int(rng.integers(30, 90)), outline=min(255, wall + 40)
            )
    return np.asarray(image)


def _houses(rng: np.random.Generator, picture: Luma, distance: Field, view: Viewpoint) -> tuple[Luma, Field]:
    """Draws fronts along both sides and a row of trees at the far end, far ones first."""
    out = distance.copy()
    for y in range(92, 16, -13):
        for side in (-1, 1):
            x = (KERB_LEFT - 4.2 if side < 0 else KERB_RIGHT + 4.2) + side * rng.uniform(0, 1.5)
            top = rng.uniform(4.5, 8.5)
            near, far = y + 0.0, y + 11.0
            corners = np.array([(x, near, top), (x, far, top), (x, far, 0), (x, near, 0)])
            if side > 0:
                corners = corners[[1, 0, 3, 2]]
            quad = view.project(corners)
            if not camera.is_convex(quad):
                continue
            front = _facade(rng, 420, 260)
            own = np.array([(0, 0), (420, 0), (420, 260), (0, 260)], np.float64)
            picture = camera.place(picture, front, np.full_like(front, 255), own, quad)
            out = np.where(camera.quad_mask(picture.shape, quad) > 128, np.float32(y + 5), out)
    far_end = view.project(np.array([(-9.0, 104, 5.0), (9.0, 104, 5.0), (9.0, 104, 0.0), (-9.0, 104, 0.0)]))
    trees = Image.new("L", (300, 120), 70)
    crowns = Image.new("L", (300, 120))
    draw, shape = ImageDraw.Draw(trees), ImageDraw.Draw(crowns)
    for x, r in zip(rng.uniform(0, 300, 40), rng.uniform(14, 34, 40), strict=True):
        y0 = rng.uniform(30, 90)
        shape.ellipse((x - r, y0 - r, x + r, y0 + r), fill=255)
        draw.ellipse((x - r / 2, y0 - r, x + r / 2, y0), fill=int(rng.integers(60, 105)))
    shape.rectangle((0, 90, 300, 120), fill=255)
    own = np.array([(0, 0), (300, 0), (300, 120), (0, 120)], np.float64)
    picture = camera.place(picture, np.asarray(trees), np.asarray(crowns), own, far_end)
    return picture, out
