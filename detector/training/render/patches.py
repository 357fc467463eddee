"""Training pictures for the reader's net: plates on vehicles, photographed and cut out as by a detector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.training.render.plates import render_plate
from detector.training.render.press import RenderedPlate

from . import camera
from .surfaces import vehicle_surface

Luma = NDArray[np.uint8]

_TRIES = 3  # most photographs of a plate; the last is kept even if it is unreadable
_LEAST_STRUCTURE = 7.0  # mean luma step over 3 of 96 columns


class RenderedPatch(NamedTuple):
    """luma: uint8 (h, w); corners: float32 (4, 2), the plate's in px of the patch, possibly outside it."""

    luma: Luma
    text: str
    jurisdiction: str
    corners: NDArray[np.float32]


def render_patch(
    rng: np.random.Generator,
    size: tuple[int, int] = (48, 144),
    *,
    backgrounds: Sequence[Luma] = (),
    margin: tuple[float, float] = (-0.03, 0.30),
    disorder: float = 1.0,
) -> RenderedPatch:
    """One patch of size (height, width).

    backgrounds: plate-free pictures to cut surroundings from, besides drawn vehicle surfaces.
    margin: range of the total enlargement, as a share of the plate's width and height (half on each side).
    disorder: scale of the detector's error in shift, size, turn and shear; 0 cuts exactly.
    """
    infrared = bool(rng.random() < 0.18)
    plate = render_plate(rng, infrared=infrared)
    scene, quad = photograph(rng, plate, infrared=infrared, backgrounds=backgrounds)
    cut = disturbed(rng, quad, margin=margin, disorder=disorder)
    luma = camera.cut_out(scene, cut, size)
    height, width = size
    box = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float64)
    corners = camera.project(camera.homography(cut, box), quad)
    return RenderedPatch(luma, plate.text, plate.jurisdiction, corners.astype(np.float32))


def plate_width(rng: np.random.Generator) -> float:
    """A random width of the plate in the frame, px: mostly 35 to 200, as in roadside pictures."""
    return float(np.clip(np.exp(rng.normal(np.log(88), 0.55)), 28, 320))


def pose(rng: np.random.Generator, plate: RenderedPlate, width: float) -> NDArray[np.float64]:
    """The plate's corners (4, 2) around (0, 0), as a camera at a random angle and height sees them."""
    sides = plate.corners[2] - plate.corners[0]
    aspect = float(sides[1] / sides[0])
    half_w, half_h = 0.5, 0.5 * aspect
    corners = np.array(
        [(-half_w, -half_h, 0), (half_w, -half_h, 0), (half_w, half_h, 0), (-half_w, half_h, 0)]
    )
    yaw = rng.normal(0, 0.3) if rng.random() < 0.7 else rng.uniform(-1.1, 1.1)
    pitch = rng.normal(0.12, 0.16)
    roll = rng.normal(0, 0.06) if rng.random() < 0.85 else rng.normal(0, 0.16)
    cy, sy, cp, sp, cr, sr = (
        np.cos(yaw),
        np.sin(yaw),
        np.cos(pitch),
        np.sin(pitch),
        np.cos(roll),
        np.sin(roll),
    )
    turn = (
        np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
        @ np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
        @ np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    )
    turned = corners @ turn.T
    distance = rng.uniform(4, 25)  # in plate widths
    flat = turned[:, :2] / (1 + turned[:, 2:3] / distance)
    wide = float(np.ptp(flat[:, 0]))
    return np.asarray(flat * (width / max(wide, 1e-3)))


def photograph(
    rng: np.random.Generator,
    plate: RenderedPlate,
    *,
    infrared: bool,
    backgrounds: Sequence[Luma] = (),
    width: float | None = None,
) -> tuple[Luma, NDArray[np.float64]]:
    """Photographs the plate in surroundings; returns the picture and the plate's corners (4, 2) in it."""
    quad = pose(rng, plate, width or plate_width(rng))
    span = np.ptp(quad, axis=0)
    room = np.array([span[0] * 0.35 + 8, span[1] * 0.45 + 8])
    quad = quad - quad.min(axis=0) + room
    size = (int(np.ceil(span[1] + 2 * room[1])), int(np.ceil(span[0] + 2 * room[0])))
    scene = vehicle_surface(rng, size, quad, backgrounds)
    shaded = plate.luma
    if not infrared and rng.random() < 0.25:  # light only on the sheet: a lamp above, the shadow of a lip
        shaded = camera.shadow(rng, shaded, float(rng.uniform(0.3, 0.75)))
    scene = camera.place(scene, shaded, plate.alpha, plate.corners, quad)
    line = camera.project(camera.homography(plate.corners, quad), plate.text_corners)
    for _ in range(_TRIES):
        picture = develop(rng, scene, quad, infrared=infrared)
        if _shows_text(picture, line):
            break
    return picture, quad


def _shows_text(picture: Luma, line: NDArray[np.float64]) -> bool:
    """Whether the characters left any structure along the line after averaging over the noise."""
    strip = camera.cut_out(picture, line, (16, 96)).astype(np.float32)
    smooth = strip[2:-2].reshape(3, 4, 96).mean(axis=1)
    return float(np.abs(smooth[:, 3:] - smooth[:, :-3]).mean()) > _LEAST_STRUCTURE


def develop(rng: np.random.Generator, scene: Luma, quad: NDArray[np.float64], *, infrared: bool) -> Luma:
    """Lights a scene at random, with its plate at quad (4, 2), and records it with a camera."""
    wide = float(np.ptp(quad[:, 0]))
    if infrared:
        scene = camera.infrared_night(rng, scene, camera.quad_mask(scene.shape, quad))
    elif rng.random() < 0.2:
        scene = camera.shadow(rng, scene, float(rng.uniform(0.3, 0.8)))
    if rng.random() < 0.4:
        scene = camera.uneven_light(rng, scene, float(rng.uniform(0.1, 0.7)))
    if rng.random() < 0.1:
        scene = camera.glare(rng, scene, float(rng.uniform(0.15, 0.9)))
    if rng.random() < 0.05:
        scene = camera.rain(rng, scene, int(rng.integers(5, 40)))
    if rng.random() < 0.45:
        low = -1.0 if infrared else -3.5
        scene = camera.exposure(
            scene, float(rng.uniform(low, 1.0)), float(rng.choice([0, rng.uniform(0, 0.1)]))
        )
    if rng.random() < 0.35:
        scene = camera.contrast(scene, float(rng.uniform(0.35, 1.3)), float(rng.uniform(70, 160)))
    return record(rng, scene, plate_px=wide)


def record(rng: np.random.Generator, scene: Luma, *, plate_px: float) -> Luma:
    """Applies shutter, lens, sensor and codec; the blurs scale with the plate's width, plate_px."""
    wide = plate_px
    blur = rng.random()
    if blur < 0.35:
        smear = min(wide * 0.07, float(rng.exponential(wide * 0.019)))
        turn = rng.choice([rng.normal(0, 0.25), rng.normal(np.pi / 2, 0.35)])
        scene = camera.motion_blur(scene, float(smear * np.cos(turn)), float(smear * np.sin(turn)))
    if rng.random() < 0.45:
        scene = camera.defocus(scene, min(wide * 0.036, float(rng.exponential(wide * 0.012))))
    if rng.random() < 0.15:
        scene = camera.resampled(rng, scene, float(rng.uniform(0.5, 0.95)))
    if rng.random() < 0.65:
        iso = float(np.exp(rng.uniform(np.log(100), np.log(1600 if rng.random() < 0.8 else 4000))))
        scene = camera.sensor_noise(rng, scene, iso, grain=float(rng.uniform(1, 2.5)))
    if rng.random() < 0.3:
        scene = camera.sharpen(scene, float(rng.uniform(0.3, 2.2)), float(rng.uniform(0.6, 2.0)))
    if rng.random() < 0.65:
        scene = camera.jpeg(scene, int(rng.integers(18, 92)))
    return scene


def disturbed(
    rng: np.random.Generator, quad: NDArray[np.float64], *, margin: tuple[float, float], disorder: float
) -> NDArray[np.float64]:
    """The corners (4, 2) with a detector's errors, enlarged by a margin."""
    center = quad.mean(axis=0)
    across, down = (quad[1] + quad[2] - quad[0] - quad[3]) / 2, (quad[2] + quad[3] - quad[0] - quad[1]) / 2
    kind = rng.random()
    if kind < 0.18:  # only an upright box was known
        low, high = quad.min(axis=0), quad.max(axis=0)
        quad = np.array([low, (high[0], low[1]), high, (low[0], high[1])])
    elif kind < 0.32:  # a parallelogram in place of the true perspective
        quad = center + np.array([-across - down, across - down, across + down, -across + down]) / 2
    wide_x, wide_y = rng.uniform(*margin, 2)
    if rng.random() < 0.3:
        wide_y = wide_x
    grown = center + (quad - center)
    unit = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], np.float64)
    grown = grown + unit[:, :1] * across * (wide_x / 2) + unit[:, 1:] * down * (wide_y / 2)
    scale = disorder * float(rng.choice([0.4, 1.0, 1.8]))
    shift = across * rng.normal(0, 0.018 * scale) + down * rng.normal(0, 0.035 * scale)
    turn = rng.normal(0, 0.016 * scale)
    shear = rng.normal(0, 0.03 * scale)
    loose = rng.normal(0, 0.01 * scale, (4, 1)) * across + rng.normal(0, 0.02 * scale, (4, 1)) * down
    spun = (grown - center) @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    leaning = unit[:, 1:] * across * (shear * 0.5)
    result = center + spun + shift + loose + leaning
    return result if camera.is_convex(result) else quad
