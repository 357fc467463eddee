"""Draws passes of vehicles with the truth: which drive where and when, what hides them, how the camera moves.

No picture is made here: ``passes_picture`` renders the clips, and a test may feed only their geometry to a
tracker. The world is in meters, as in ``viewpoint``; times are in seconds from the clip's first frame.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from .viewpoint import Viewpoint

Way = Callable[[float], tuple[float, float] | None]  # ground position of the near face, None while away

VIEW = Viewpoint(width_px=960, height_px=540, focal_px=1950, height_m=2.4, yaw=-0.07, pitch=0.14)
TOWARDS_X, AWAY_X = -1.95, 0.95  # middle of either lane
FAR_Y, NEAR_Y = 24.0, 5.5
RATES = (2.0, 3.0, 5.0, 8.0, 10.0, 15.0, 20.0, 30.0)
MOST_FRAMES = 110
_LETTERS, _DIGITS = "ABCDEFGHJKLMNPRSTUVWXYZ", "0123456789"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ride:
    """One vehicle's pass. ``rear``: its back is toward the camera. ``vehicle``: rides with the same number
    are of the same vehicle. ``text``: of its plate. ``direction``: the true one.
    """

    text: str
    vehicle: int
    rear: bool
    direction: str
    way: Way = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upright:
    """An upright board across the view: a truck's side, a van, a post. ``way``: of its bottom left corner."""

    width_m: float
    height_m: float
    way: Way = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """One clip. ``shake_px``: how far the picture jumps. ``drive_ms``: the camera's speed along the road."""

    kind: str
    seed: int
    fps: float
    frames: int
    rides: tuple[Ride, ...]
    panels: tuple[Upright, ...] = ()
    shake_px: float = 0.0
    drive_ms: float = 0.0
    fleet: bool = False

    def time_s(self, frame: int) -> float:
        """The time of a frame, in seconds."""
        return frame / self.fps


def draw_clip(seed: int) -> Clip:
    """One clip of any kind; the same seed gives the same clip."""
    rng = np.random.default_rng([seed, 0x9A55])
    kinds = tuple(KINDS)
    kind = kinds[seed % len(kinds)]
    fleet = bool(rng.random() < 0.5)
    fps = float(rng.choice(RATES))
    clip, seconds = KINDS[kind](rng, kind, seed, fleet)
    if seconds * fps > MOST_FRAMES:
        fps = max([rate for rate in RATES if seconds * rate <= MOST_FRAMES], default=RATES[0])
    return replace(clip, fps=fps, frames=max(int(seconds * fps) + 1, 2), fleet=fleet)


def plate_texts(rng: np.random.Generator, count: int, *, fleet: bool) -> list[str]:
    """Texts of different vehicles; those of a fleet differ in one or two characters."""
    pattern = str(rng.choice(["9AAA999", "AAA9999", "999AAA", "AAA999", "9AA9999"]))
    first = _fill(rng, pattern)
    texts = [first]
    while len(texts) < count:
        other = _fill(rng, pattern)
        if fleet:
            slot = int(rng.integers(len(first) - 3, len(first)))
            other = first[:slot] + other[slot] + first[slot + 1 :]
        if other not in texts:
            texts.append(other)
    return texts


def _fill(rng: np.random.Generator, pattern: str) -> str:
    return "".join(str(rng.choice(list(_DIGITS if sign == "9" else _LETTERS))) for sign in pattern)


def along(x_m: float, start_s: float, from_y: float, speed_ms: float, to_y: float) -> Way:
    """A drive along a lane at a constant speed, away from the camera if to_y is farther than from_y."""
    sign = 1.0 if to_y > from_y else -1.0

    def way(now_s: float) -> tuple[float, float] | None:
        y = from_y + sign * speed_ms * (now_s - start_s)
        there = now_s >= start_s and (to_y - y) * sign >= 0
        return (x_m, y) if there else None

    return way


def across(y_m: float, start_s: float, from_x: float, speed_ms: float, to_x: float) -> Way:
    """A drive across the view at a constant speed."""
    sign = 1.0 if to_x > from_x else -1.0

    def way(now_s: float) -> tuple[float, float] | None:
        x = from_x + sign * speed_ms * max(now_s - start_s, 0.0)
        return (min(x * sign, to_x * sign) * sign, y_m) if now_s >= start_s else None

    return way


def still(x_m: float, y_m: float, from_s: float = 0.0, to_s: float = 1e9) -> Way:
    """Parked for some time."""
    return lambda now_s: (x_m, y_m) if from_s <= now_s <= to_s else None


def stop_and_go(x_m: float, speed_ms: float, stops: Sequence[tuple[float, float]], from_y: float) -> Way:
    """A drive toward the camera with stops, each (distance y, seconds)."""

    def way(now_s: float) -> tuple[float, float] | None:
        y, left = from_y, now_s
        for stop_y, wait_s in stops:
            drive_s = (y - stop_y) / speed_ms
            if left < drive_s:
                return x_m, y - speed_ms * left
            left -= drive_s
            y = stop_y
            if left < wait_s:
                return x_m, y
            left -= wait_s
        y -= speed_ms * left
        return (x_m, y) if y >= NEAR_Y else None

    return way


def _ride(text: str, vehicle: int, way: Way, direction: str) -> Ride:
    return Ride(text=text, vehicle=vehicle, way=way, rear=direction == "away", direction=direction)


def _clip(kind: str, seed: int, rides: Sequence[Ride], panels: Sequence[Upright] = (), **how: float) -> Clip:
    return Clip(kind=kind, seed=seed, fps=10.0, frames=2, rides=tuple(rides), panels=tuple(panels), **how)  # type: ignore[arg-type]


Drawn = tuple[Clip, float]  # and its length in seconds


def _lane_ride(rng: np.random.Generator, text: str, vehicle: int, start_s: float, speed: float) -> Ride:
    """A ride through either lane, in its direction."""
    if rng.random() < 0.5:
        return _ride(text, vehicle, along(TOWARDS_X, start_s, FAR_Y, speed, NEAR_Y), "towards")
    return _ride(text, vehicle, along(AWAY_X, start_s, NEAR_Y + 1, speed, FAR_Y), "away")


def _passing(rng: np.random.Generator, kind: str, seed: int, fleet: bool) -> Drawn:
    speed = float(rng.uniform(3, 16))
    (text,) = plate_texts(rng, 1, fleet=fleet)
    return _clip(kind, seed, [_lane_ride(rng, text, 0, 0.0, speed)]), 19 / speed + 2.5


def _lanes(rng: np.random.Generator, kind: str, seed: int, fleet: bool) -> Drawn:
    texts = plate_texts(rng, 2, fleet=fleet)
    speeds, start = rng.uniform(4, 12, 2), float(rng.uniform(0, 0.6))
    if rng.random() < 0.5:
        speeds[1] = speeds[0]
    rides = [
        _ride(text, number, along(x, start * number, FAR_Y, float(speed), NEAR_Y), "towards")
        for number, (text, x, speed) in enumerate(zip(texts, (TOWARDS_X, AWAY_X), speeds, strict=True))
    ]
    return _clip(kind, seed, rides), 19 / float(speeds.min()) + start + 0.5


def _meeting(rng: np.random.Generator, kind: str, seed: int, fleet: bool) -> Drawn:
    texts = plate_texts(rng, 2, fleet=fleet)
    one, other = rng.uniform(4, 14, 2)
    rides = [
        _ride(texts[0], 0, along(TOWARDS_X, 0.0, FAR_Y, float(one), NEAR_Y), "towards"),
        _ride(texts[1], 1, along(AWAY_X, float(rng.uniform(0, 1)), NEAR_Y + 1, float(other), FAR_Y), "away"),
    ]
    return _clip(kind, seed, rides), 19 / float(min(one, other)) + 1.2


def _convoy(rng: np.random.Generator, kind: str, seed: int, fleet: bool) -> Drawn:
    count = int(rng.integers(2, 4))
    texts = plate_texts(rng, count, fleet=fleet)
    speed, gap = float(rng.uniform(5, 12)), float(rng.uniform(1.2, 3.0))
    gap = max(gap, 7.0 / speed)
    towards = rng.random() < 0.6
    rides = [
        _ride(text, n, along(TOWARDS_X, n * gap, FAR_Y, speed, NEAR_Y), "towards")
        if towards
        else _ride(text, n, along(AWAY_X, n * gap, NEAR_Y + 1, speed, FAR_Y), "away")
        for n, text in enumerate(texts)
    ]
    return _clip(kind, seed, rides), 19 / speed + gap * (count - 1) + 0.5


def _parked(rng: np.random.Generator, kind: str, seed: int, fleet: bool) -> Drawn:
    """One to three vehicles side by side; sometimes another drives by without hiding them."""
    places = [(-2.7, 10.8), (-0.7, 10.4), (1.3, 10.6)]
    count = int(rng.integers(1, 4))
    texts = plate_texts(rng, count + 1, fleet=fleet)
    rides = [_ride(text, n, still(*places[n]), "parked") for n, text in enumerate(texts[:count])]
    if count < 3 and rng.random() < 0.5:
        way = along(1.3, float(rng.uniform(0.5, 2)), NEAR_Y + 2, float(rng.uniform(4, 9)), FAR_Y)
        rides.append(_ride(texts[count], count, way, "away"))
    return _clip(kind, seed, rides), float(rng.uniform(3, 6))


def _return(rng: np.random.Generator, kind: str, seed: int, fleet: bool) -> Drawn:
    (text,) = plate_texts(rng, 1, fleet=fleet)
    speed, away = float(rng.uniform(6, 14)), float(rng.uniform(3.0, 6.0))
    first = 18.5 / speed
    again = first + away
    rides = [
        _ride(text, 0, along(TOWARDS_X, 0.0, FAR_Y, speed, NEAR_Y), "towards"),
        _ride(text, 0, along(TOWARDS_X, again, FAR_Y - 6, speed, NEAR_Y), "towards"),
    ]
    return _clip(kind, seed, rides), again + 12.5 / speed + 0.3


def _crossing(rng: np.random.Generator, kind: str, seed: int, fleet: bool) -> Drawn:
    texts = plate_texts(rng, 2, fleet=fleet)
    one, other = rng.uniform(1.5, 9, 2)
    rides = [
        _ride(texts[0], 0, across(8.6, 0.0, -5.0, float(one), 5.0), "unknown"),
        _ride(texts[1], 1, across(13.0, float(rng.uniform(0, 0.8)), 5.5, float(other), -7.0), "unknown"),
    ]
    return _clip(kind, seed, rides), max(8 / float(one), 12 / float(other)) + 0.8


def _occluded(rng: np.random.Generator, kind: str, seed: int, fleet: bool) -> Drawn:
    """A truck passes in front of one or two parked vehicles, or of a slow one."""
    count = int(rng.integers(1, 3))
    texts = plate_texts(rng, count, fleet=fleet)
    speed, wide = float(rng.uniform(4, 9)), float(rng.uniform(3, 7))
    truck = Upright(width_m=wide, height_m=3.4, way=across(8.0, 0.8, -4.0 - wide, speed, 5.0))
    if count == 1 and rng.random() < 0.5:
        way = along(-1.2, 0.0, 15.0, float(rng.uniform(0.4, 1.2)), 9.0)
        rides = [_ride(texts[0], 0, way, "towards")]
    else:
        rides = [
            _ride(text, n, still(x, 12.0), "parked")
            for n, (text, x) in enumerate(zip(texts, (-2.4, 0.4), strict=False))
        ]
    return _clip(kind, seed, rides, [truck]), (9 + wide) / speed + 2.0


def _emerging(rng: np.random.Generator, kind: str, seed: int, fleet: bool) -> Drawn:
    """A vehicle comes out slowly from behind a parked van, or something thin first hides a parked one."""
    (text,) = plate_texts(rng, 1, fleet=fleet)
    speed = float(np.exp(rng.uniform(np.log(0.15), np.log(3.0))))
    if rng.random() < 0.3:  # something that goes away: a person, the post of a barrier
        wide = float(rng.uniform(0.12, 0.4))
        ends = float(rng.uniform(0.3, 1.5))
        x = -0.7 + float(rng.uniform(-0.15, 0.15))
        post = Upright(width_m=wide, height_m=2.0, way=still(x - wide / 2, 9.0, 0.0, ends))
        return _clip(kind, seed, [_ride(text, 0, still(-0.7, 10.0), "parked")], [post]), ends + 2.5
    right = rng.random() < 0.5
    edge = -0.9
    van = Upright(width_m=2.0, height_m=2.3, way=still(edge - 2.0 if right else edge, 9.0))
    start, end = (edge - 0.2, edge + 1.4) if right else (edge + 0.2, edge - 1.4)
    way = across(10.0, 0.0, start, speed, end)
    return _clip(kind, seed, [_ride(text, 0, way, "unknown")], [van]), min(1.6 / speed + 1.0, 8.0)


def _from_edge(rng: np.random.Generator, kind: str, seed: int, fleet: bool) -> Drawn:
    """A vehicle comes slowly into the picture from the side."""
    (text,) = plate_texts(rng, 1, fleet=fleet)
    speed = float(np.exp(rng.uniform(np.log(0.15), np.log(3.0))))
    left = rng.random() < 0.5
    start, end = (-3.2, -1.6) if left else (1.85, 0.2)  # the edges are at -3.1 and 1.75 at this distance
    way = across(10.0, 0.0, start, speed, end)
    return _clip(kind, seed, [_ride(text, 0, way, "unknown")]), min(1.6 / speed + 1.0, 10.0)


def _queue(rng: np.random.Generator, kind: str, seed: int, fleet: bool) -> Drawn:
    """One or two vehicles in stop and go, a car's length apart."""
    count = int(rng.integers(1, 3))
    texts = plate_texts(rng, count, fleet=fleet)
    speed, wait = float(rng.uniform(3, 6)), float(rng.uniform(1.5, 3.5))
    rides = []
    for n, text in enumerate(texts):
        # each starts as far behind the one before as it will stop
        way = stop_and_go(TOWARDS_X, speed, [(13.0 + 6.5 * n, wait), (8.0 + 6.5 * n, wait)], FAR_Y + 6.5 * n)
        rides.append(_ride(text, n, way, "towards"))
    return _clip(kind, seed, rides), 19 / speed + 2 * wait + (count - 1) * 6.5 / speed


def _shaken(rng: np.random.Generator, kind: str, seed: int, fleet: bool) -> Drawn:
    clip, seconds = (_passing, _lanes, _parked)[int(rng.integers(3))](rng, kind, seed, fleet)
    return replace(clip, shake_px=float(rng.uniform(3, 16))), min(seconds, 4.0)


def _moving_car(rng: np.random.Generator, kind: str, seed: int, fleet: bool) -> Drawn:
    """The camera drives past parked vehicles; sometimes one overtakes it."""
    texts = plate_texts(rng, 4, fleet=fleet)
    speed = float(rng.uniform(3, 11))
    places = [(1.3, 20.0), (1.3, 27.0), (-2.6, 31.0)]
    rides = [
        _ride(text, n, _nearing(x, y, speed), "towards")
        for n, (text, (x, y)) in enumerate(zip(texts, places, strict=False))
    ]
    if rng.random() < 0.5:
        rides.append(
            _ride(texts[3], 3, along(-2.3, 0.5, NEAR_Y + 2, float(rng.uniform(2, 6)), FAR_Y), "away")
        )
    return _clip(kind, seed, rides, drive_ms=speed, shake_px=1.5), 27.0 / speed


def _nearing(x: float, y: float, speed: float) -> Way:
    def way(now_s: float) -> tuple[float, float] | None:
        distance = y - speed * now_s
        return (x, distance) if distance >= NEAR_Y else None

    return way


KINDS: dict[str, Callable[[np.random.Generator, str, int, bool], Drawn]] = {
    "passing": _passing,
    "adjoining lanes": _lanes,
    "meeting": _meeting,
    "convoy": _convoy,
    "parked": _parked,
    "return": _return,
    "crossing": _crossing,
    "truck in front": _occluded,
    "out of hiding": _emerging,
    "from the edge": _from_edge,
    "stop and go": _queue,
    "shaken camera": _shaken,
    "moving car": _moving_car,
}
