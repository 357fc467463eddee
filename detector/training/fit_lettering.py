"""Fits the model that doubts lettering: ``python -m detector.training.fit_lettering --data DIR``.

The lettering is rendered (``render.lettered_scenes``). The plates are rendered ones, and the real ones of the
calibration split, which no net trained on. Only readings that the reader is sure of without this model count,
since these are the ones that it must judge.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..card import card_text
from ..lettering import Lettering
from ..plates import U8, PlateReading
from ..reader import LETTERING, MODELS, PlateReader
from .calibrate import logistic
from .datasets import read_all
from .render.lettered_scenes import SCENE, lettered_scene
from .render.patches import photograph
from .render.plates import render_plate

F64 = NDArray[np.float64]
_KINDS = (None, "US", "US", "US-CA", "EU", "BR")
_REAL_WEIGHT = 2.0  # of a real plate's reading; a rendered one's has 1


def lettered_readings(reader: PlateReader, count: int, seed: int) -> Iterator[tuple[U8, PlateReading]]:
    """Readings of rendered lettering."""
    for number in range(count):
        scene = lettered_scene(np.random.default_rng([seed, number, 0]))
        for reading in reader.read(scene.luma).readings:
            yield scene.luma, reading


def rendered_readings(reader: PlateReader, count: int, seed: int) -> Iterator[tuple[U8, PlateReading]]:
    """Readings of rendered plates in the middle of a plain picture."""
    for number in range(count):
        rng = np.random.default_rng([seed, number, 1])
        plate = render_plate(rng, jurisdiction=_KINDS[int(rng.integers(len(_KINDS)))])
        picture, quad = photograph(rng, plate, infrared=False, width=float(rng.uniform(60, 200)))
        canvas = np.full(SCENE, int(rng.integers(40, 220)), np.uint8)
        spare = np.array(SCENE) - picture.shape
        if spare.min() < 0:
            continue
        top, left = spare // 2
        canvas[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
        x, y = quad.mean(axis=0).tolist()
        for reading in reader.read(canvas).readings:
            if _holds(reading, (x + float(left), y + float(top))):
                yield canvas, reading


def real_readings(reader: PlateReader, data: Path) -> Iterator[tuple[U8, PlateReading]]:
    """Readings of the real plates of the calibration split."""
    for picture in read_all(data, "calibration"):
        boxes = [plate.box for plate in picture.plates if plate.box is not None]
        if not boxes:
            continue
        luma = picture.luma()
        for reading in reader.read(luma).readings:
            if any(_holds(reading, (x + w / 2, y + h / 2)) for x, y, w, h in boxes):
                yield luma, reading


def _holds(reading: PlateReading, point: tuple[float, float]) -> bool:
    x, y, w, h = reading.box.box
    return x <= point[0] <= x + w and y <= point[1] <= y + h


def main(argv: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the image sets")
    parser.add_argument("--models", type=Path, default=MODELS)
    parser.add_argument("--count", type=int, default=700, help="rendered words, and as many plates")
    parser.add_argument("--seed", type=int, default=99)
    arguments = parser.parse_args(argv)
    reader = PlateReader.from_models(arguments.models, doubt=False)
    values: list[F64] = []
    plate: list[bool] = []
    weight: list[float] = []
    sources = (
        (lettered_readings(reader, arguments.count, arguments.seed), False, 1.0),
        (rendered_readings(reader, arguments.count, arguments.seed), True, 1.0),
        (real_readings(reader, arguments.data), True, _REAL_WEIGHT),
    )
    for readings, is_plate, counts in sources:
        for luma, reading in readings:
            if reading.confidence >= reader.report_from:
                values.append(reader.lettering_signs(luma, reading.box, reading.evidence))
                plate.append(is_plate)
                weight.append(counts)
    table, right, counted = np.array(values), np.array(plate), np.array(weight)
    for kind in (right, ~right):
        counted[kind] *= 0.5 * len(right) / counted[kind].sum()
    names = [str(number) for number in range(table.shape[1])]
    rules = logistic(table, right, counted, names)
    model = Lettering(rules["bias"], np.array([rules[name] for name in names]))
    sure = np.array([model.trust(row) for row in table])
    section = {"bias": round(model.bias, 4), "weights": [round(float(one), 4) for one in model.weights]}
    provenance = {
        "command": "python -m detector.training.fit_lettering",
        "readings": f"{right.sum()} of plates, {(~right).sum()} of lettering",
    }
    path = arguments.models / LETTERING
    path.write_text(card_text({"lettering": section, "provenance": provenance}), encoding="utf-8")
    print(
        f"{(~right).sum()} readings of lettering, trusted {(sure[~right] >= 0.6).mean():.3f}; "
        f"{right.sum()} of plates, trusted {(sure[right] >= 0.6).mean():.3f}"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
