"""Whole pictures for the detector: plates on vehicles, among clutter, in real plate-free scenes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.training.render.plates import render_plate
from detector.training.render.press import RenderedPlate

from . import camera
from .clutter import draw_clutter
from .lettering import bare_word
from .patches import pose, record
from .surfaces import vehicle_surface
from .vehicles import DAYLIGHT, SceneLight, draw_vehicle, park
from .viewpoint import Viewpoint

Luma = NDArray[np.uint8]
Quad = NDArray[np.float64]

_SQUARE_SHARE = 0.14  # of the plates have two lines
_WORD_SHARE = 0.4  # of the plate-like things are bare lettering
_TRIES = 8  # most places tried for a plate before it is left out


class Scene(NamedTuple):
    """luma: uint8 (H, W); corners: each plate's (4, 2) in px, clockwise from top left; texts in order."""

    luma: Luma
    corners: list[Quad]
    texts: list[str]


def render_scene(
    rng: np.random.Generator,
    background: Luma,
    plates: Sequence[RenderedPlate] | None = None,
    *,
    clutter: int | None = None,
    widths: tuple[float, float] = (14.0, 260.0),
    infrared: bool | None = None,
) -> Scene:
    """A picture of the background's size with plates in it; a plate without a free place is left out.

    background: plate-free, uint8 (H, W). plates: the plates to show; None draws 0 to 3.
    clutter: how many plate-like things, None for 0 to 5. widths: range of the plates' widths in px.
    infrared: night under an infrared lamp; None for one picture in six.
    """
    night = bool(rng.random() < 0.16) if infrared is None else infrared
    if plates is None:
        count = int(rng.choice(4, p=[0.12, 0.5, 0.26, 0.12]))
        kinds = [None if rng.random() > _SQUARE_SHARE else "square" for _ in range(count)]
        plates = [render_plate(rng, infrared=night, jurisdiction=kind) for kind in kinds]
    luma = background
    if night:
        luma = camera.exposure(luma, float(rng.uniform(-6, -2.5)))
    taken: list[Quad] = []
    texts: list[str] = []
    for _ in range(int(rng.integers(0, 6)) if clutter is None else clutter):
        luma = _strew(rng, luma, night=night)
    for plate in plates:
        for _ in range(_TRIES):
            width = float(np.exp(rng.uniform(*np.log(widths))))
            placed = _mount(rng, luma, plate, width, taken, night=night)
            if placed is not None:
                luma, reach = placed
                taken.append(reach)
                texts.append(plate.text)
                break
    corners = [reach[:4] for reach in taken]
    if rng.random() < 0.15:
        luma = camera.glare(rng, luma, float(rng.uniform(0.1, 0.7)))
    smallest = min([float(np.ptp(quad[:, 0])) for quad in corners], default=80.0)
    return Scene(record(rng, luma, plate_px=min(160.0, smallest * 1.2)), corners, texts)


def _free(quad: Quad, taken: Sequence[Quad], size: tuple[int, ...]) -> bool:
    """Whether the plate is within the picture and clear of everything placed before."""
    low, high = quad.min(axis=0), quad.max(axis=0)
    if low.min() < 1 or high[0] > size[1] - 1 or high[1] > size[0] - 1:
        return False
    return all(bool(np.any(high < other.min(axis=0)) or np.any(low > other.max(axis=0))) for other in taken)


def _mount(
    rng: np.random.Generator,
    luma: Luma,
    plate: RenderedPlate,
    width: float,
    taken: Sequence[Quad],
    *,
    night: bool,
) -> tuple[Luma, Quad] | None:
    """Puts the plate somewhere; returns the picture and (6, 2): four corners, then two of the painted box."""
    kind = rng.random()
    if kind < 0.45 and width < luma.shape[1] / 5:
        return _on_vehicle(rng, luma, plate, width, taken, night=night)
    quad = pose(rng, plate, width)
    span = np.ptp(quad, axis=0)
    room = np.array(luma.shape[::-1]) - span
    if np.any(room < 6):
        return None
    quad = quad - quad.min(axis=0) + rng.uniform(2, room - 2)
    margin = span * rng.uniform(0.08, 0.9, 2) if kind < 0.85 else np.zeros(2)
    low = np.maximum(quad.min(axis=0) - margin, 0).astype(int)
    high = np.minimum(quad.max(axis=0) + margin + 1, luma.shape[::-1]).astype(int)
    reach = np.concatenate([quad, [low, high]])
    if not _free(quad, taken, luma.shape) or not _clear(reach, taken):
        return None
    if kind < 0.85:  # bodywork around it, so that no pasted edge gives it away
        size = (int(high[1] - low[1]), int(high[0] - low[0]))
        body = vehicle_surface(rng, size, quad - low)
        if night:
            body = camera.exposure(body, float(rng.uniform(-5, -2)))
        edge = np.full(size, 255, np.uint8)
        own = np.array([(0, 0), (size[1], 0), (size[1], size[0]), (0, size[0])], np.float64)
        bent = own + rng.uniform(0, 0.06, (4, 2)) * np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)]) * np.array(
            size[::-1]
        )
        luma = camera.place(luma, body, edge, own, bent + low)
    shown = camera.exposure(plate.luma, float(rng.uniform(-0.6, 0.5) if night else rng.uniform(-2.2, 0.3)))
    return camera.place(luma, shown, plate.alpha, plate.corners, quad), reach


def _clear(reach: Quad, taken: Sequence[Quad]) -> bool:
    low, high = reach.min(axis=0), reach.max(axis=0)
    return all(
        bool(np.any(high < other[:4].min(axis=0)) or np.any(low > other[:4].max(axis=0))) for other in taken
    )


def _on_vehicle(
    rng: np.random.Generator,
    luma: Luma,
    plate: RenderedPlate,
    width: float,
    taken: Sequence[Quad],
    *,
    night: bool,
) -> tuple[Luma, Quad] | None:
    """Draws a vehicle somewhere in the picture, with a plate about ``width`` px wide."""
    sides = plate.corners[2] - plate.corners[0]
    meters = 0.305 if sides[0] / sides[1] < 2.6 else 0.52
    height_px, width_px = luma.shape
    y = float(rng.uniform(5, 16))
    x = float(rng.normal(0, 0.25)) * y
    focal = width / meters * float(np.hypot(x, y))
    height_m = float(rng.uniform(0.9, 3.2))
    u, v = rng.uniform(0.1, 0.9) * width_px, rng.uniform(0.25, 0.92) * height_px
    view = Viewpoint(
        width_px=width_px,
        height_px=height_px,
        focal_px=focal,
        height_m=height_m,
        yaw=float(np.arctan2(x, y) - np.arctan((u - width_px / 2) / focal)),
        pitch=float(np.arctan2(height_m - 0.6, np.hypot(x, y)) - np.arctan((v - height_px / 2) / focal)),
        roll=float(rng.normal(0, 0.02)),
    )
    vehicle = draw_vehicle(rng, plate, rear=bool(rng.random() < 0.5))
    light = DAYLIGHT
    if night:
        light = SceneLight(
            body=float(rng.uniform(0.01, 0.15)), lamps=1.2, plate=float(rng.uniform(0.5, 1.4)), shade=0.2
        )
    elif rng.random() < 0.6:
        gain = float(np.exp(rng.uniform(-1.4, 0.2)))
        light = SceneLight(body=gain, lamps=gain, plate=gain * float(rng.uniform(0.6, 1.1)), shade=0.5)
    try:
        out, quad = park(luma, view, vehicle, (x, y), light)
    except ValueError:
        return None
    touched = np.argwhere(out != luma)
    if len(touched) == 0:
        return None
    reach = np.concatenate([quad, [touched.min(axis=0)[::-1], touched.max(axis=0)[::-1]]])
    if not _free(quad, taken, luma.shape) or not _clear(reach, taken):
        return None
    return out, reach


def _strew(rng: np.random.Generator, luma: Luma, *, night: bool) -> Luma:
    """Puts one plate-like thing somewhere."""
    thing = bare_word(rng) if rng.random() < _WORD_SHARE else draw_clutter(rng)
    height, width = thing.luma.shape
    wide = float(np.exp(rng.uniform(np.log(16), np.log(min(320, luma.shape[1] / 2)))))
    quad = np.array([(0, 0), (wide, 0), (wide, wide * height / width), (0, wide * height / width)])
    lean, squeeze = rng.normal(0, 0.08), rng.uniform(0.6, 1.0)
    quad = quad @ np.array([[squeeze, np.sin(lean)], [0, 1.0]])
    quad += rng.uniform(0, 1, 2) * np.array(luma.shape[::-1]) - np.ptp(quad, axis=0) / 2
    own = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float64)
    lit = camera.exposure(thing.luma, float(rng.uniform(-4, -0.5) if night else rng.uniform(-2, 0.3)))
    return camera.place(luma, lit, thing.alpha, own, quad)
