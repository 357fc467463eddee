"""Draws and reads pictures that the real sets seldom show: ``python -m detector.training.trials``.

Each kind is drawn from seeds of its own and goes through the whole reader frame by frame. The command counts
how many texts are right, how many sure and wrong, and how many are reported at all. Any report of lettering
is wrong.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detector.training.render.plates import render_plate
from detector.training.render.press import RenderedPlate

from ..reader import MODELS, PlateReader
from .metrics import folded
from .render import camera
from .render.lettering import bare_word, board
from .render.obstacles import hidden_behind
from .render.patches import develop
from .render.surfaces import vehicle_surface

Luma = NDArray[np.uint8]
Rng = np.random.Generator
SIZE = (360, 640)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind. draw: renders the plate or lettering; width: its range in px; blur: as a share of the width.

    behind: names of OBSTACLES, one of which hides a part of it. flip: steps through the picture's rows and
    columns, each -1 if reversed; a camera that hangs upside down reverses both.
    """

    draw: Callable[[Rng], RenderedPlate]
    width: tuple[float, float] = (110.0, 180.0)
    blur: float = 0.0
    yaw: tuple[float, float] = (-0.25, 0.25)
    plain: bool = True
    behind: tuple[str, ...] = ()
    flip: tuple[int, int] = (1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialOutcome:
    """The outcome of one kind: counts over its ``drawn`` pictures."""

    drawn: int
    right: int
    sure_and_wrong: int
    put_out: int


def _any(rng: Rng) -> RenderedPlate:
    return render_plate(rng)


def _two_lines(rng: Rng) -> RenderedPlate:
    return render_plate(rng, jurisdiction="square")


def _state(rng: Rng) -> RenderedPlate:
    return render_plate(rng, jurisdiction="US")


def _thin(rng: Rng) -> RenderedPlate:
    while True:
        plate = render_plate(rng)
        text = plate.text
        if text[-1] in "I1" or any(one + two in {"11", "1I", "I1", "II"} for one, two in pairwise(text)):
            return plate


KINDS: dict[str, Kind] = {
    "plates": Kind(draw=_any, plain=False),
    "two lines": Kind(draw=_two_lines, width=(90.0, 130.0)),
    "lettering": Kind(draw=bare_word, width=(90.0, 260.0)),
    "boards": Kind(draw=board, width=(90.0, 260.0)),
    "thin ends": Kind(draw=_thin),
    "small, 35 px": Kind(draw=_state, width=(35.0, 35.0)),
    "blur, 2 %": Kind(draw=_state, blur=0.02),
    "blur, 3 %": Kind(draw=_state, blur=0.03),
    "steep": Kind(draw=_any, yaw=(0.8, 1.1)),
    "end hidden": Kind(draw=_any, behind=("first", "last")),
    "post": Kind(draw=_any, behind=("middle", "thin post")),
    "hook or hand": Kind(draw=_any, behind=("hook", "ball", "hand", "rack")),
    "tape or dirt": Kind(draw=_any, behind=("tape", "leaf", "dirt")),
    "glare or snow": Kind(draw=_any, behind=("glare", "snow", "frame")),
    "black bar": Kind(draw=_any, behind=("bar",)),
    "mirrored": Kind(draw=_any, flip=(1, -1)),
    "turned": Kind(draw=_state, width=(60.0, 160.0), flip=(-1, -1)),
    "reflected": Kind(draw=_state, width=(60.0, 160.0), flip=(-1, 1)),
}


def draw_picture(rng: Rng, kind: Kind) -> tuple[Luma, str]:
    """One picture (360, 640) of a kind, and its text."""
    plate = kind.draw(rng)
    quad = _quad(rng, plate, float(rng.uniform(*kind.width)), float(rng.uniform(*kind.yaw)))
    scene = vehicle_surface(rng, SIZE, quad)
    scene = camera.place(scene, plate.luma, plate.alpha, plate.corners, quad)
    if kind.behind:
        scene = hidden_behind(rng, scene, quad, str(rng.choice(kind.behind)))
    wide = float(np.ptp(quad[:, 0]))
    if kind.blur:
        turn = rng.uniform(0, np.pi)
        smear = kind.blur * wide
        scene = camera.motion_blur(scene, float(smear * np.cos(turn)), float(smear * np.sin(turn)))
    if not kind.plain:
        scene = develop(rng, scene, quad, infrared=False)
    scene = np.ascontiguousarray(scene[:: kind.flip[0], :: kind.flip[1]])
    return camera.jpeg(camera.sensor_noise(rng, scene, 200.0), 85), plate.text


def _quad(rng: Rng, plate: RenderedPlate, width: float, yaw: float) -> NDArray[np.float64]:
    """The plate's corners (4, 2) in the middle part of the picture, turned by ``yaw`` to either side."""
    sides = plate.corners[2] - plate.corners[0]
    half_w, half_h = 0.5, 0.5 * float(sides[1] / sides[0])
    turn = yaw * float(rng.choice([-1, 1]))
    x = np.array([-half_w, half_w, half_w, -half_w])
    y = np.array([-half_h, -half_h, half_h, half_h])
    depth = 1 + x * np.sin(turn) / 6.0
    flat = np.column_stack([x * np.cos(turn) / depth, (y + x * rng.normal(0, 0.05)) / depth])
    flat *= width / float(np.ptp(flat[:, 0]))
    room = np.array(SIZE[::-1]) - np.ptp(flat, axis=0) - 40
    return np.asarray(flat - flat.min(axis=0) + 20 + rng.uniform(0.1, 0.9, 2) * np.maximum(room, 0))


def run(reader: PlateReader, kind: Kind, count: int, seed: list[int]) -> TrialOutcome:
    """Draws and reads ``count`` pictures; the surest reading of each counts."""
    right = wrong = put_out = 0
    for number in range(count):
        luma, text = draw_picture(np.random.default_rng([*seed, number]), kind)
        readings = reader.read(luma).readings
        put_out += bool(readings)
        if not readings:
            continue
        best = max(readings, key=lambda one: one.text.confidence).text
        good = bool(text) and folded(best.text) == folded(text)
        right += good
        wrong += not good and best.confidence >= reader.report_from
    return TrialOutcome(drawn=count, right=right, sure_and_wrong=wrong, put_out=put_out)


def main(argv: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, default=MODELS, help="folder of the models (default: shipped)")
    parser.add_argument("--count", type=int, default=120, help="pictures of each kind")
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    arguments = parser.parse_args(argv)
    reader = PlateReader.from_models(arguments.models)
    print(f"{'':14} drawn  right  sure and wrong  reported  (sure: {reader.report_from:.3f} or more)")
    for name in arguments.kinds:
        one = run(reader, KINDS[name], arguments.count, [77, list(KINDS).index(name)])
        print(f"{name:14} {one.drawn:5}  {one.right:5}  {one.sure_and_wrong:14}  {one.put_out:7}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
