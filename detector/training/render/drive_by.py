"""Renders the drive-by clip: a two-lane street by day and under infrared at night, with its truth.

``python -m detector.training.render.drive_by OUT`` writes ``OUT/frame_0000.jpg`` and so on, and
``OUT/truth.json``: for every vehicle its text, jurisdiction, direction, first and last frame, and
the plate's corners in each frame that shows the whole plate.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from detector.training.render.plates import render_plate
from detector.training.render.press import RenderedPlate

from . import camera
from .street import empty_street
from .vehicles import DAYLIGHT, SceneLight, Vehicle, draw_vehicle, park, planes
from .viewpoint import Viewpoint

Luma = NDArray[np.uint8]
Field = NDArray[np.float32]

SEED = 2
FRAMES_A_SECOND = 10
EXPOSURE_US = 800
JPEG_QUALITY = 56
VIEW = Viewpoint(width_px=1280, height_px=720, focal_px=2600, height_m=2.4, yaw=-0.07, pitch=0.14)
TOWARDS_X, AWAY_X = -1.95, 0.95  # middle of either lane, meters
LEAST_PLATE_PX = 24.0
_TRIES = 400  # most plates drawn to get one in good condition

_SERIALS = {
    "US-CA": r"\d[A-Z]{3}\d{3}",
    "US-TX": r"[A-Z]{3}\d{4}",
    "US-NV": r"\d{3}[A-Z]{3}",
    "US-AZ": r"[A-Z]{3}\d{4}",
    "US-OR": r"\d{3}[A-Z]{3}",
    "US-WA": r"[A-Z]{3}\d{4}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """One vehicle's way. y_m(frame): the distance of its near face in meters, None while it is not there.

    looks: seed of the vehicle's and plate's looks, beside the clip's.
    """

    name: str
    jurisdiction: str
    direction: Literal["towards", "away"]
    x_m: float
    y_m: Callable[[int], float | None]
    looks: int
    stops: bool = False


def _steady(first: int, from_y: float, speed_ms: float, to_y: float) -> Callable[[int], float | None]:
    """A way at constant speed from a frame on, until it passes to_y."""
    step = speed_ms / FRAMES_A_SECOND * (1 if to_y > from_y else -1)

    def way(frame: int) -> float | None:
        y = from_y + step * (frame - first)
        inside = frame >= first and (y <= to_y if to_y > from_y else y >= to_y)
        return y if inside else None

    return way


def _stopping(first: int, from_y: float, speed_ms: float, stop_y: float) -> Callable[[int], float | None]:
    """A way at constant speed, then with even braking over the last 4 m to a stop."""
    brake = 4.0
    cruise = (from_y - stop_y - brake) / speed_ms

    def way(frame: int) -> float | None:
        seconds = (frame - first) / FRAMES_A_SECOND
        if seconds < 0:
            return None
        if seconds < cruise:
            return from_y - speed_ms * seconds
        braking = min(seconds - cruise, 2 * brake / speed_ms)
        return stop_y + brake - speed_ms * braking + speed_ms**2 / (4 * brake) * braking**2

    return way


DAY_FRAMES, NIGHT_FRAMES = 45, 29
DAY = (
    Pass(
        name="a", looks=3, jurisdiction="US-CA", direction="away", x_m=AWAY_X, y_m=_steady(-1, 6.6, 9.0, 22)
    ),
    Pass(
        name="b",
        looks=5,
        jurisdiction="US-TX",
        direction="towards",
        x_m=TOWARDS_X,
        y_m=_steady(1, 22, 9.0, 5.6),
    ),
    Pass(
        name="c",
        looks=7,
        jurisdiction="US-CA",
        direction="towards",
        x_m=TOWARDS_X,
        y_m=_stopping(16, 22, 9.5, 8.4),
        stops=True,
    ),
    Pass(
        name="d", looks=5, jurisdiction="US-NV", direction="away", x_m=AWAY_X, y_m=_steady(26, 6.6, 9.0, 24)
    ),
)
NIGHT = (
    Pass(
        name="e",
        looks=2,
        jurisdiction="US-CA",
        direction="towards",
        x_m=TOWARDS_X,
        y_m=_steady(0, 19, 9.0, 5.6),
    ),
    Pass(name="f", looks=1, jurisdiction="US-AZ", direction="away", x_m=AWAY_X, y_m=_steady(4, 6.6, 8.5, 22)),
    Pass(
        name="g",
        looks=2,
        jurisdiction="US-OR",
        direction="towards",
        x_m=TOWARDS_X,
        y_m=_steady(13, 19, 9.0, 5.6),
    ),
)


def _plate(rng: np.random.Generator, jurisdiction: str, *, infrared: bool) -> RenderedPlate:
    """A plate in the state's own format, in good condition."""
    for _ in range(_TRIES):
        plate = render_plate(rng, jurisdiction=jurisdiction, infrared=infrared)
        left, top = plate.text_corners[0].astype(int)
        right, bottom = plate.text_corners[2].astype(int)
        line = plate.luma[max(0, top) : bottom, max(0, left) : right]
        clear = float(np.percentile(line, 92)) - float(np.percentile(line, 8)) > 110
        sheet = [float(np.percentile(part, 90)) for part in np.array_split(line, 6, axis=1)]
        even = max(sheet) - min(sheet) < 40 and min(sheet) > 140
        if clear and even and re.fullmatch(_SERIALS[jurisdiction], plate.text):
            break
    return plate


def _vehicle(way: Pass, seed: int, *, infrared: bool) -> Vehicle:
    rng = np.random.default_rng([seed, way.looks, ord(way.name)])
    return draw_vehicle(rng, _plate(rng, way.jurisdiction, infrared=infrared), rear=way.direction == "away")


def _inside(quad: NDArray[np.float64]) -> bool:
    low, high = quad.min(axis=0), quad.max(axis=0)
    return bool(low.min() >= 2 and high[0] <= VIEW.width_px - 2 and high[1] <= VIEW.height_px - 2)


def _hides(car: Vehicle, x: float, y: float, quad: NDArray[np.float64]) -> bool:
    """Whether a vehicle at (x, y) covers a corner of a plate behind it."""
    for _, corners in planes(car, x, y):
        plane = VIEW.project(corners)
        for point in quad:
            sides, reach = np.roll(plane, -1, axis=0) - plane, point - plane
            turns = sides[:, 0] * reach[:, 1] - sides[:, 1] * reach[:, 0]
            if np.all(turns > 0) or np.all(turns < 0):
                return True
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """A part of the clip in the same light."""

    passes: Sequence[Pass]
    vehicles: Sequence[Vehicle]
    street: Luma
    night: bool


def _frame(rng: np.random.Generator, part: _Part, frame: int) -> tuple[Luma, dict[str, NDArray[np.float64]]]:
    """One picture, and the corners (4, 2) of the plates in it."""
    picture = part.street
    seen: dict[str, NDArray[np.float64]] = {}
    there = [(way.y_m(frame), way, car) for way, car in zip(part.passes, part.vehicles, strict=True)]
    lamps: list[tuple[float, float, float, float]] = []
    for y, way, car in sorted(((y, w, c) for y, w, c in there if y is not None), key=lambda item: -item[0]):
        light = _night_light(y) if part.night else DAYLIGHT
        picture, quad = park(picture, VIEW, car, (way.x_m, y), light)
        seen = {name: other for name, other in seen.items() if not _hides(car, way.x_m, y, other)}
        before = way.y_m(frame - 1)
        picture = _smeared(picture, car, way.x_m, y, y if before is None else before)
        if _inside(quad) and float(np.ptp(quad[:, 0])) >= LEAST_PLATE_PX:
            seen[way.name] = quad
        if part.night:
            lamps += _lamp_spots(car, way, y)
    if part.night:
        picture = _bloom(picture, lamps)
    noisy = camera.sensor_noise(rng, picture, 160 if part.night else 40, grain=1.8)
    return noisy, seen


def _night_light(y: float) -> SceneLight:
    near = (8.0 / max(y, 4.0)) ** 2
    return SceneLight(
        body=float(min(0.12 * near, 0.2)),
        lamps=2.2,
        plate=float(np.clip(1.15 * near**0.5, 0.35, 1.25)),
        shade=0.2,
    )


def _smeared(picture: Luma, car: Vehicle, x: float, y: float, before: float) -> Luma:
    """Smears the vehicle's part of the picture by its movement while the shutter is open."""
    b = car.body
    share = EXPOSURE_US * 1e-6 * FRAMES_A_SECOND
    here = VIEW.project(np.array([(x, y, 0.6)]))[0]
    shift = (
        (here - VIEW.project(np.array([(x, y + (before - y) * share, 0.6)]))[0])
        if before != y
        else np.zeros(2)
    )
    if float(np.abs(shift).max()) < 0.3:
        return picture
    box = VIEW.project(
        np.array([(x - b.width / 2, y, 0.0), (x + b.width / 2, y, b.roof), (x, y + b.length, b.roof)])
    )
    left, top = np.maximum(np.floor(box.min(axis=0)).astype(int) - 4, 0)
    right, bottom = np.ceil(box.max(axis=0)).astype(int) + 4
    out = picture.copy()
    part = out[top:bottom, left:right]
    if part.size:
        # the smear is at least a pixel long: blend a shorter one by its true length
        long = np.maximum(np.abs(shift), 1e-6)
        blurred = camera.motion_blur(part, *(shift / long.max() * max(1.0, float(long.max()))))
        weight = min(1.0, float(long.max()))
        out[top:bottom, left:right] = (part * (1 - weight) + blurred * weight).astype(np.uint8)
    return out


def _lamp_spots(car: Vehicle, way: Pass, y: float) -> list[tuple[float, float, float, float]]:
    """The lamps that shine into the camera: (x, y, radius, strength), the first three in px."""
    b, style = car.body, car.style
    height = b.belt - (style.lamp_y + style.lamp_high / 2) * (b.belt - b.foot)
    spots = []
    for side in (-1, 1):
        point = np.array([(way.x_m + side * b.width * (0.5 - style.lamp_wide / 2), y - 0.02, height)])
        px, py = VIEW.project(point)[0]
        scale = VIEW.px_per_meter(y)
        spots.append((float(px), float(py), 0.055 * scale, 0.25 if car.rear else 1.6))
    return spots


def _bloom(picture: Luma, lamps: Sequence[tuple[float, float, float, float]]) -> Luma:
    """Adds saturated cores and halos of lamps."""
    light = camera.to_linear(picture)
    down, across = np.mgrid[0 : picture.shape[0], 0 : picture.shape[1]].astype(np.float32)
    for x, y, radius, strength in lamps:
        away = np.sqrt((across - np.float32(x)) ** 2 + (down - np.float32(y)) ** 2) / np.float32(radius)
        light += np.float32(strength) * (np.exp(-((away / 1.1) ** 2)) + 0.05 * np.exp(-away / 3.5))
    return camera.to_luma(light)


def _night_street(street: Luma, distance: Field) -> Luma:
    """The street under the camera's own infrared lamp and a few far lights."""
    lamp = 0.42 * (7.0 / np.maximum(distance, 5.0)) ** 2 + 0.004
    down, across = np.mgrid[-1 : 1 : street.shape[0] * 1j, -1 : 1 : street.shape[1] * 1j]
    cone = np.exp(-((across / 0.9) ** 2 + ((down - 0.15) / 1.0) ** 2))
    return camera.to_luma(camera.to_linear(street) * (lamp * cone).astype(np.float32))


def render_clip(
    out: Path, *, seed: int = SEED, day_frames: int = DAY_FRAMES, night_frames: int = NIGHT_FRAMES
) -> int:
    """Writes frames and truth into the folder ``out``; returns the number of bytes written."""
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    street, distance = empty_street(rng, VIEW)
    truth: list[dict[str, object]] = []
    written, offset = 0, 0
    for ways, frames, night in ((DAY, day_frames, False), (NIGHT, night_frames, True)):
        passes = [way for way in ways if any(way.y_m(frame) is not None for frame in range(frames))]
        vehicles = [_vehicle(way, seed, infrared=night) for way in passes]
        part = _Part(
            passes=passes,
            vehicles=vehicles,
            street=_night_street(street, distance) if night else street,
            night=night,
        )
        corners: dict[str, dict[str, list[list[float]]]] = {way.name: {} for way in passes}
        for frame in range(frames):
            picture, seen = _frame(rng, part, frame)
            path = out / f"frame_{offset + frame:04d}.jpg"
            Image.fromarray(picture).save(path, "JPEG", quality=JPEG_QUALITY, optimize=True)
            written += path.stat().st_size
            for name, quad in seen.items():
                corners[name][str(offset + frame)] = quad.round(2).tolist()
        for way, car in zip(passes, vehicles, strict=True):
            shown = sorted(int(number) for number in corners[way.name])
            if not shown:
                continue
            truth.append(
                {
                    "vehicle": way.name,
                    "text": car.plate.text,
                    "jurisdiction": car.plate.jurisdiction,
                    "direction": way.direction,
                    "stops": way.stops,
                    "night": night,
                    "first_frame": shown[0],
                    "last_frame": shown[-1],
                    "corners": corners[way.name],
                }
            )
        offset += frames
    page = {
        "frames_a_second": FRAMES_A_SECOND,
        "seed": seed,
        "width": VIEW.width_px,
        "height": VIEW.height_px,
        "vehicles": truth,
    }
    target = out / "truth.json"
    target.write_text(json.dumps(page, separators=(",", ":")) + "\n", encoding="utf-8")
    return written + target.stat().st_size


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line. Exits 0, or 2 for a folder that cannot be written."""
    parser = argparse.ArgumentParser(
        prog="python -m detector.training.render.drive_by",
        description="Renders the drive-by clip and its truth.",
        epilog="example: python -m detector.training.render.drive_by tests/replay/drive_by",
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for the frames and truth.json")
    parser.add_argument("--seed", type=int, default=SEED)
    chosen = parser.parse_args(arguments)
    try:
        size = render_clip(chosen.out, seed=chosen.seed)
    except OSError as error:
        print(f"cannot write the clip: {error}; choose another folder", file=sys.stderr)
        return 2
    print(f"{DAY_FRAMES + NIGHT_FRAMES} frames, {size / 1e6:.2f} MB in {chosen.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
