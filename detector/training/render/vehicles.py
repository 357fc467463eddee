"""Vehicles made of a few textured planes on a road, with a plate whose corners are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import camera, panels
from .press import RenderedPlate
from .viewpoint import Viewpoint, World

Luma = NDArray[np.uint8]
Quad = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """Lengths in meters from the near face backwards; heights above the ground."""

    width: float
    length: float
    foot: float
    belt: float
    deck: float  # length of the hood or trunk lid
    pane: float  # horizontal length of the windshield or rear window
    roof: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Vehicle:
    """One vehicle. Its near face is toward the camera: the front if it approaches, else the rear."""

    body: Body
    style: panels.Style
    rear: bool
    plate: RenderedPlate
    faces: dict[str, panels.Panel]


def draw_vehicle(rng: np.random.Generator, plate: RenderedPlate, *, rear: bool) -> Vehicle:
    """Draws a sedan, a station wagon or a small van with this plate."""
    style = panels.draw_style(rng, rear=rear)
    tall = rng.random() < 0.35
    belt = float(rng.uniform(0.98, 1.12) if tall else rng.uniform(0.84, 0.96))
    deck = float(
        rng.uniform(0.05, 0.2)
        if rear and tall
        else rng.uniform(0.35, 0.6)
        if rear
        else rng.uniform(0.8, 1.15)
    )
    body = Body(
        width=float(rng.uniform(1.72, 1.9)),
        length=float(rng.uniform(3.9, 4.7)),
        foot=0.2,
        belt=belt,
        deck=deck,
        pane=float(rng.uniform(0.25, 0.45) if rear and tall else rng.uniform(0.55, 0.8)),
        roof=belt + float(rng.uniform(0.48, 0.62)),
    )
    wide, high = body.width, body.belt - body.foot
    slant = float(np.hypot(body.pane, body.roof - body.belt))
    faces = {
        "face": panels.face(rng, style, wide, high, rear=rear),
        "flank": panels.flank(rng, style, body.length, body.belt),
        "windows": panels.glass(rng, style, body.length - body.deck - 0.2, body.roof - body.belt, side=True),
        "pane": panels.glass(rng, style, wide * 0.92, slant, side=False),
        "deck": panels.sheet(rng, style.paint, wide, body.deck),
        "roof": panels.sheet(rng, style.paint, wide * 0.84, 1.5),
    }
    return Vehicle(body=body, style=style, rear=rear, plate=plate, faces=faces)


def planes(vehicle: Vehicle, x: float, y: float) -> list[tuple[str, World]]:
    """The visible planes, corners (4, 3), far to near; (x, y): ground position of the near face's middle."""
    b = vehicle.body
    half, upper = b.width / 2, b.width * 0.42
    side = -1.0 if x > 0 else 1.0  # the flank that the camera at x = 0 sees
    near, far = y, y + b.length
    wall, inner = x + side * half, x + side * upper
    glass_y, roof_y, rear_y = near + b.deck, near + b.deck + b.pane, far - 0.35
    flank = [(wall, near, b.belt), (wall, far, b.belt), (wall, far, 0), (wall, near, 0)]
    windows = [
        (inner, roof_y, b.roof),
        (inner, rear_y, b.roof),
        (wall, far - 0.1, b.belt),
        (wall, glass_y, b.belt),
    ]
    top = b.belt + (0.0 if vehicle.rear else 0.06)
    across = [
        (
            "roof",
            [
                (x - upper, rear_y, b.roof),
                (x + upper, rear_y, b.roof),
                (x + upper, roof_y, b.roof),
                (x - upper, roof_y, b.roof),
            ],
        ),
        (
            "pane",
            [
                (x - upper, roof_y, b.roof),
                (x + upper, roof_y, b.roof),
                (x + half * 0.96, glass_y, top),
                (x - half * 0.96, glass_y, top),
            ],
        ),
        (
            "deck",
            [
                (x - half * 0.97, glass_y, top),
                (x + half * 0.97, glass_y, top),
                (x + half, near, b.belt),
                (x - half, near, b.belt),
            ],
        ),
        (
            "face",
            [
                (x - half, near, b.belt),
                (x + half, near, b.belt),
                (x + half, near, b.foot),
                (x - half, near, b.foot),
            ],
        ),
    ]
    return [(name, np.array(corners)) for name, corners in (("flank", flank), ("windows", windows), *across)]


def plate_corners(vehicle: Vehicle, x: float, y: float) -> World:
    """Where the plate is in the world, (4, 3), clockwise from top left as read."""
    b = vehicle.body
    sides = vehicle.plate.corners[2] - vehicle.plate.corners[0]
    us = sides[0] / sides[1] < 2.6
    wide = 0.305 if us else 0.52
    high = wide * float(sides[1] / sides[0])
    middle = b.belt - vehicle.style.plate_y * (b.belt - b.foot)
    left, right = x - wide / 2, x + wide / 2
    return np.array(
        [
            (left, y - 0.015, middle + high / 2),
            (right, y - 0.015, middle + high / 2),
            (right, y - 0.015, middle - high / 2),
            (left, y - 0.015, middle - high / 2),
        ]
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneLight:
    """Gains in linear light of paint, of lamps and reflectors, of the plate; shade: of the ground shadow."""

    body: float
    lamps: float
    plate: float
    shade: float


DAYLIGHT = SceneLight(body=1.0, lamps=1.0, plate=0.9, shade=0.55)


def park(
    canvas: Luma, view: Viewpoint, vehicle: Vehicle, at: tuple[float, float], light: SceneLight = DAYLIGHT
) -> tuple[Luma, Quad]:
    """Draws the vehicle with its near face at ground position ``at`` (x, y), meters.

    Returns the picture and the plate's corners (4, 2) in it. Raises ValueError if a part of the
    vehicle is behind the camera.
    """
    x, y = at
    canvas = _ground_shadow(canvas, view, vehicle, at, light.shade)
    for name, corners in planes(vehicle, x, y):
        quad = view.project(corners)
        if not camera.is_convex(quad):
            quad = quad[[1, 0, 3, 2]]  # a flank seen from its other side
            if not camera.is_convex(quad):
                continue  # turned away from the camera
            panel = _mirrored(vehicle.faces[name])
        else:
            panel = vehicle.faces[name]
        height, width = panel.luma.shape
        own = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float64)
        canvas = camera.place(canvas, _lit(panel, light), panel.alpha, own, quad)
    plate = vehicle.plate
    quad = view.project(plate_corners(vehicle, x, y))
    shining = camera.to_luma(camera.to_linear(plate.luma) * np.float32(light.plate))
    return camera.place(canvas, shining, plate.alpha, plate.corners, quad), quad


def _mirrored(panel: panels.Panel) -> panels.Panel:
    return panels.Panel(luma=panel.luma[:, ::-1], alpha=panel.alpha[:, ::-1], lamps=panel.lamps[:, ::-1])


def _lit(panel: panels.Panel, light: SceneLight) -> Luma:
    if light.body == 1.0 and light.lamps == 1.0:
        return panel.luma
    share = panel.lamps.astype(np.float32) / 255.0
    return camera.to_luma(camera.to_linear(panel.luma) * (light.body * (1 - share) + light.lamps * share))


def _ground_shadow(
    canvas: Luma, view: Viewpoint, vehicle: Vehicle, at: tuple[float, float], shade: float
) -> Luma:
    x, y = at
    b = vehicle.body
    half = b.width / 2 + 0.5
    ground = np.array(
        [
            (x - half, y + b.length, 0),
            (x + half, y + b.length, 0),
            (x + half, y - 0.5, 0),
            (x - half, y - 0.5, 0),
        ]
    )
    quad = view.project(ground)
    if not camera.is_convex(quad):
        return canvas
    soft = np.zeros((64, 64), np.float32)
    soft[10:54, 13:51] = 255 * shade
    alpha = camera.defocus(soft.astype(np.uint8), 9.0)
    own = np.array([(0, 0), (64, 0), (64, 64), (0, 64)], np.float64)
    return camera.place(canvas, np.full((64, 64), 6, np.uint8), alpha, own, quad)
