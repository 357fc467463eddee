"""Renders the clips of ``passes``: pictures, each with its plates' corners and how much of each shows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import camera, wear
from .faces import draw_face, lettering_mask
from .line import fit_in, set_line
from .looks import LOOKS
from .passes import VIEW, Clip, Ride, Upright
from .press import RenderedPlate, finish, place_serial, print_serial, seen_by
from .street import empty_street
from .vehicles import Vehicle, draw_vehicle, park, planes
from .viewpoint import Viewpoint

Luma = NDArray[np.uint8]
Quad = NDArray[np.float64]

_PLATE_HIGH, _PLATE_WIDE = 152, 304  # px of the sheet: 6 by 12 inches
_STREETS = 3  # that a moving camera shows in turn
_STREET_SEEDS = 6  # different streets in all; rendering one takes a quarter of a second
_BESIDE = 24  # px rendered around the picture, for a shaking camera
_SAMPLES = (13, 5)  # points across and down a plate that are tested for what shows


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenPlate:
    """One plate in one frame. corners: float64 (4, 2), px; shows: the share of it that nothing hides."""

    ride: int
    corners: Quad
    shows: float

    @property
    def width_px(self) -> float:
        """The width of the upright box around the plate."""
        return float(np.ptp(self.corners[:, 0]))


@dataclass(frozen=True, slots=True, kw_only=True)
class PassFrame:
    """One picture and its plates. luma: uint8 (H, W)."""

    number: int
    time_us: int
    luma: Luma
    plates: tuple[SeenPlate, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, px."""
        return self.luma.shape[0], self.luma.shape[1]


def plain_plate(rng: np.random.Generator, text: str, style: int) -> RenderedPlate:
    """A state's plate with this text; plates of the same style differ only in the text."""
    own = np.random.default_rng([style, 0xF1EE7])
    look = LOOKS[int(own.integers(len(LOOKS)))]
    paper, ink = float(own.uniform(180, 235)), float(own.uniform(20, 80))
    tones = seen_by(own, paper, ink, infrared=False)
    board = np.full((_PLATE_HIGH, _PLATE_WIDE), tones.paper, np.float32)
    name = lettering_mask(look.name, look.lettering, int(own.integers(5)))
    fit_in(
        board,
        name,
        (0.25 * _PLATE_WIDE, 0.05 * _PLATE_HIGH, 0.75 * _PLATE_WIDE, 0.2 * _PLATE_HIGH),
        tones.ink,
    )
    printed = set_line(text, draw_face(own, stroke_share=0.72), gap=float(own.uniform(0.1, 0.18)))
    area = (0.05 * _PLATE_WIDE, 0.26 * _PLATE_HIGH, 0.95 * _PLATE_WIDE, 0.85 * _PLATE_HIGH)
    box = place_serial(own, printed, area, height=0.5 * _PLATE_HIGH)
    print_serial(own, board, printed, box, tones.ink, embossed=True)
    wear.rim(own, board, tones.ink)
    return finish(
        rng,
        board,
        (printed, box),
        text=text,
        jurisdiction=look.code,
        layout="plain",
        paper=tones.paper,
        frame_chance=0.2,
        wear_chance=0.1,
    )


class ClipPictures:
    """One clip's frames, rendered one after another."""

    def __init__(self, clip: Clip) -> None:
        self._clip = clip
        rng = np.random.default_rng([clip.seed, 0xC11])
        self._rng = rng
        self._view = _wider(VIEW, _BESIDE if clip.shake_px else 0)
        self._beside = (self._view.width_px - VIEW.width_px) // 2
        style = int(rng.integers(1 << 30))
        self._vehicles: dict[int, Vehicle] = {}
        for ride in clip.rides:
            if ride.vehicle not in self._vehicles:
                plate = plain_plate(rng, ride.text, style if clip.fleet else style + ride.vehicle)
                look = np.random.default_rng([clip.seed, 7, 0 if clip.fleet else ride.vehicle])
                self._vehicles[ride.vehicle] = draw_vehicle(look, plate, rear=ride.rear)
        first = int(rng.integers(_STREET_SEEDS))
        count = _STREETS if clip.drive_ms else 1
        self._streets = [_street((first + n) % _STREET_SEEDS, self._view) for n in range(count)]
        self._board = _board(rng)
        self._grain = np.round(rng.normal(0, float(rng.uniform(1.5, 5)), (640, 1080))).astype(np.int16)
        self._blur = float(rng.uniform(0, 0.7))
        self._last: tuple[object, Luma, tuple[SeenPlate, ...]] | None = None

    def __iter__(self) -> Iterator[PassFrame]:
        """Yields the frames in the order of time."""
        for number in range(self._clip.frames):
            now_s = self._clip.time_s(number)
            clean, plates = self._drawn(now_s, number)
            dx, dy = self._jump()
            luma = clean[
                self._beside + dy : self._beside + dy + VIEW.height_px,
                self._beside + dx : self._beside + dx + VIEW.width_px,
            ]
            shift = np.array([self._beside + dx, self._beside + dy], np.float64)
            moved = tuple(
                SeenPlate(
                    ride=one.ride,
                    corners=one.corners - shift,
                    shows=self._showing(one.corners - shift, one.shows),
                )
                for one in plates
            )
            yield PassFrame(number=number, time_us=round(now_s * 1e6), luma=self._noisy(luma), plates=moved)

    def _jump(self) -> tuple[int, int]:
        if not self._clip.shake_px:
            return 0, 0
        dx, dy = np.clip(self._rng.normal(0, self._clip.shake_px, 2), -_BESIDE, _BESIDE)
        return round(float(dx)), round(float(dy))

    def _noisy(self, luma: Luma) -> Luma:
        y, x = (int(self._rng.integers(0, spare)) for spare in (640 - luma.shape[0], 1080 - luma.shape[1]))
        grain = self._grain[y : y + luma.shape[0], x : x + luma.shape[1]]
        return np.asarray(np.clip(luma + grain, 0, 255), np.uint8)

    @staticmethod
    def _showing(corners: Quad, shows: float) -> float:
        """How much of a plate shows; less if the edge of the shaken picture cuts it."""
        points = _points_in(corners)
        inside = ((points >= 0) & (points < (VIEW.width_px, VIEW.height_px))).all(axis=1).mean()
        return min(shows, float(inside))

    def _drawn(self, now_s: float, number: int) -> tuple[Luma, tuple[SeenPlate, ...]]:
        """The scene without noise, and its plates; the previous one if nothing moved."""
        things: list[tuple[float, float, int, Ride | Upright]] = []
        for index, ride in enumerate(self._clip.rides):
            if (at := ride.way(now_s)) is not None:
                things.append((at[1], at[0], index, ride))
        for panel in self._clip.panels:
            if (at := panel.way(now_s)) is not None:
                things.append((at[1], at[0], -1, panel))
        street = number % len(self._streets)
        key = (street, tuple((y, x, index) for y, x, index, _ in things))
        if self._last is not None and self._last[0] == key:
            return self._last[1], self._last[2]
        picture = self._streets[street]
        seen: list[SeenPlate] = []
        for y, x, index, thing in sorted(things, key=lambda one: -one[0]):
            if isinstance(thing, Upright):
                quad = self._view.project(_upright(x, y, thing))
                picture = _placed(picture, self._board, quad)
                seen = [_behind(one, [quad]) for one in seen]
                continue
            vehicle = self._vehicles[thing.vehicle]
            try:
                picture, quad = park(picture, self._view, vehicle, (x, y))
            except ValueError:
                continue  # partly behind the camera
            covers = [self._view.project(corners) for _, corners in planes(vehicle, x, y)]
            seen = [_behind(one, covers) for one in seen]
            seen.append(SeenPlate(ride=index, corners=quad, shows=_inside_share(quad, self._view)))
        picture = camera.defocus(picture, self._blur)
        self._last = (key, picture, tuple(seen))
        return picture, tuple(seen)


def seen_without_picture(clip: Clip, number: int, shake: Quad) -> tuple[SeenPlate, ...]:
    """What a frame shows of each plate, from geometry alone: only panels and the picture's edges hide it.

    shake: how far the picture has jumped, px (2,).
    """
    now_s = clip.time_s(number)
    covers = [
        (at[1], VIEW.project(_upright(at[0], at[1], panel)) + shake)
        for panel in clip.panels
        if (at := panel.way(now_s)) is not None
    ]
    seen = []
    for index, ride in enumerate(clip.rides):
        at = ride.way(now_s)
        if at is None:
            continue
        x, y = at
        flat = np.array([(x - 0.15, y, 0.7), (x + 0.15, y, 0.7), (x + 0.15, y, 0.55), (x - 0.15, y, 0.55)])
        quad = VIEW.project(flat) + shake
        one = SeenPlate(ride=index, corners=quad, shows=_inside_share(quad, VIEW))
        seen.append(_behind(one, [cover for near_y, cover in covers if near_y < y]))
    return tuple(seen)


def _wider(view: Viewpoint, beside: int) -> Viewpoint:
    return Viewpoint(
        width_px=view.width_px + 2 * beside,
        height_px=view.height_px + 2 * beside,
        focal_px=view.focal_px,
        height_m=view.height_m,
        yaw=view.yaw,
        pitch=view.pitch,
    )


_streets_drawn: dict[tuple[int, int], Luma] = {}


def _street(seed: int, view: Viewpoint) -> Luma:
    key = (seed, view.width_px)
    if key not in _streets_drawn:
        _streets_drawn[key] = empty_street(np.random.default_rng([seed, 0x57]), view)[0]
    return _streets_drawn[key]


def _board(rng: np.random.Generator) -> Luma:
    """The side of a truck: one paint, ribs, a darker bottom."""
    side = np.full((96, 160), float(rng.uniform(60, 200)), np.float32)
    side[:, :: int(rng.integers(9, 20))] -= float(rng.uniform(5, 25))
    side[70:] *= 0.7
    return np.clip(side, 0, 255).astype(np.uint8)


def _upright(x: float, y: float, panel: Upright) -> Quad:
    right, top = x + panel.width_m, panel.height_m
    return np.array([(x, y, top), (right, y, top), (right, y, 0.0), (x, y, 0.0)])


def _placed(picture: Luma, board: Luma, quad: Quad) -> Luma:
    height, width = board.shape
    own = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float64)
    return camera.place(picture, board, np.full_like(board, 255), own, quad)


def _points_in(quad: Quad) -> Quad:
    """Points spread over a quad, (N, 2)."""
    across, down = (np.linspace(0.02, 0.98, count) for count in _SAMPLES)
    u, v = (part.reshape(-1, 1) for part in np.meshgrid(across, down))
    upper, lower = quad[0] + u * (quad[1] - quad[0]), quad[3] + u * (quad[2] - quad[3])
    return np.asarray(upper + v * (lower - upper))


def _inside_share(quad: Quad, view: Viewpoint) -> float:
    points = _points_in(quad)
    return float(((points >= 0) & (points < (view.width_px, view.height_px))).all(axis=1).mean())


def _behind(one: SeenPlate, covers: list[Quad]) -> SeenPlate:
    """The plate after something nearer was drawn over it."""
    points = _points_in(one.corners)
    free = np.ones(len(points), bool)
    for plane in covers:
        sides = np.roll(plane, -1, axis=0) - plane
        reach = points[:, None, :] - plane[None, :, :]
        turns = sides[None, :, 0] * reach[..., 1] - sides[None, :, 1] * reach[..., 0]
        free &= ~((turns > 0).all(axis=1) | (turns < 0).all(axis=1))
    return SeenPlate(ride=one.ride, corners=one.corners, shows=min(one.shows, float(free.mean())))
