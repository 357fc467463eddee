"""Measures the shipped models on labelled pictures: ``python -m detector.training.evaluate [SET...]``.

Scenes go through the whole reader, frame by frame; whole-picture crops through rectifier and reader;
plate-free pictures count false boxes. Prints tables; ``--out DIR`` adds figures.json, plots (PNG) and
a contact sheet of the worst mistakes.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DetectorError
from ..plates import PlateReading
from ..reader import PlateReader
from .datasets import DataSetError, LabelledPlate, Picture, Split, read_all
from .evaluation_pictures import contact_sheet, plots
from .metrics import (
    Figures,
    Outcome,
    coverage_at_precision,
    expected_calibration_error,
    figures,
    overlap,
)

CROP_SETS = ("us-crops", "br-crops", "ar-crops")
CONDITIONS: dict[str, tuple[Callable[[Outcome], float], tuple[float, ...]]] = {
    "plate width px": (lambda o: o.plate_width_px, (0, 40, 60, 90, 140, 10_000)),
    "mean luma": (lambda o: o.mean_luma, (0, 60, 110, 256)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Everything one run saw. ``false_boxes``: boxes on each plate-free picture, with their scores."""

    outcomes: tuple[Outcome, ...]
    false_boxes: tuple[tuple[float, ...], ...]
    ms: dict[str, float]


def measure(reader: PlateReader, pictures: Iterable[Picture]) -> Measured:
    """Runs the reader over pictures; pictures of kind crop are read without looking for a box."""
    outcomes: list[Outcome] = []
    false_boxes: list[tuple[float, ...]] = []
    spent: dict[str, list[float]] = {}
    for picture in pictures:
        luma = picture.luma()
        if not picture.plates:
            false_boxes.append(tuple(box.confidence for box in reader.find(luma)))
            continue
        if picture.plates[0].box is None:
            outcomes.append(_crop_outcome(reader, picture, luma))
            continue
        seen = reader.read(luma)
        for stage, ms in seen.ms.items():
            spent.setdefault(stage, []).append(ms)
        outcomes += _scene_outcomes(picture, luma, seen.readings)
    return Measured(
        outcomes=tuple(outcomes),
        false_boxes=tuple(false_boxes),
        ms={stage: float(np.median(values)) for stage, values in spent.items()},
    )


def _scene_outcomes(
    picture: Picture, luma: NDArray[np.uint8], readings: Sequence[PlateReading]
) -> list[Outcome]:
    outcomes = []
    for plate in picture.plates:
        if plate.box is None:
            raise DataSetError(f"{picture.path}: a plate without a box beside plates with one")
        shares = [overlap(reading.box.box, plate.box) for reading in readings]
        best = int(np.argmax(shares)) if shares else -1
        found = best >= 0 and shares[best] >= 0.3
        reading = readings[best] if found else None
        outcomes.append(_outcome(picture, plate, luma, reading, shares[best] if best >= 0 else 0.0))
    return outcomes


def _crop_outcome(reader: PlateReader, picture: Picture, luma: NDArray[np.uint8]) -> Outcome:
    """A whole-picture plate, set on its own stretched edge so that a margin shows something."""
    pad_y, pad_x = luma.shape[0] // 4, luma.shape[1] // 4
    wide = np.pad(luma, ((pad_y, pad_y), (pad_x, pad_x)), mode="edge")
    left, top = float(pad_x), float(pad_y)
    right, bottom = left + luma.shape[1], top + luma.shape[0]
    reading = reader.read_at(wide, ((left, top), (right, top), (right, bottom), (left, bottom)))
    return _outcome(picture, picture.plates[0], luma, reading, 1.0)


def _outcome(
    picture: Picture,
    plate: LabelledPlate,
    luma: NDArray[np.uint8],
    reading: PlateReading | None,
    share: float,
) -> Outcome:
    x, y, w, h = plate.box or (0.0, 0.0, float(luma.shape[1]), float(luma.shape[0]))
    inside = luma[max(int(y), 0) : int(y + h) + 1, max(int(x), 0) : int(x + w) + 1]
    text = reading.text if reading is not None else None
    return Outcome(
        image=picture.path.name,
        dataset=picture.dataset,
        region=plate.region,
        truth=plate.text,
        read=text.text if text is not None else None,
        confidence=text.confidence if text is not None else 0.0,
        overlap=share,
        plate_width_px=w,
        mean_luma=float(inside.mean()) if inside.size else float("nan"),
        jurisdiction=text.jurisdiction[0][0] if text is not None and text.jurisdiction else None,
    )


def summary(measured: Measured) -> dict[str, Any]:
    """All figures of a run, ready for JSON."""
    by_set: dict[str, list[Outcome]] = {}
    for outcome in measured.outcomes:
        by_set.setdefault(outcome.dataset, []).append(outcome)
    out: dict[str, Any] = {
        "sets": {name: asdict(figures(group)) | _trust(group) for name, group in sorted(by_set.items())},
        "conditions": {name: _split_by(measured.outcomes, *how) for name, how in CONDITIONS.items()},
        "ms_median": measured.ms,
    }
    states = [o for o in measured.outcomes if o.region.startswith("US-") and o.dataset == "us-crops"]
    if states:
        out["us_state_top1"] = float(np.mean([o.jurisdiction == o.region for o in states]))
    if measured.false_boxes:
        out["plate_free"] = {
            "pictures": len(measured.false_boxes),
            "false_boxes_a_picture": float(np.mean([len(scores) for scores in measured.false_boxes])),
        }
    return out


def _trust(group: Sequence[Outcome]) -> dict[str, float]:
    """How far the confidence of one set's texts can be trusted."""
    texts = [o for o in group if o.truth]
    read = [o for o in texts if o.read is not None]
    if not read:
        return {}
    confidence = np.array([o.confidence for o in read])
    right = np.array([o.exact_folded for o in read])
    kept, threshold = coverage_at_precision(confidence, right, len(texts), 0.95)
    return {
        "calibration_error": expected_calibration_error(confidence, right),
        "kept_at_95_precision": kept,
        "threshold_at_95_precision": threshold,
    }


def _split_by(
    outcomes: Sequence[Outcome], value: Callable[[Outcome], float], edges: Sequence[float]
) -> dict[str, dict[str, float]]:
    parts = {}
    for low, high in itertools.pairwise(edges):
        group = [o for o in outcomes if low <= value(o) < high]
        if group:
            parts[f"{low:g} to {high:g}"] = asdict(figures(group))
    return parts


def table(result: dict[str, Any]) -> str:
    """The summary as text."""
    names = [*Figures.__dataclass_fields__, "calibration_error", "kept_at_95_precision"]
    heads = ["plates", "IoU.5", "IoU.3", "exact", "O0I1", "char", "CER", "ECE", "kept95"]
    lines = [f"{'':22}" + "".join(f"{head:>8}" for head in heads)]
    groups = dict(result["sets"])
    for condition, parts in result["conditions"].items():
        groups |= {f"{condition} {part}"[:22]: row for part, row in parts.items()}
    for name, row in groups.items():
        cells = [
            f"{row.get(key, float('nan')):8.3f}" if key != "plates" else f"{row[key]:8d}" for key in names
        ]
        lines.append(f"{name:22}" + "".join(cells))
    lines += [
        f"{key}: {json.dumps(result[key])}"
        for key in ("us_state_top1", "plate_free", "ms_median")
        if key in result
    ]
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Command line. Exit 2 when a set cannot be read, 3 when a model or runtime is missing."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="example: python -m detector.training.evaluate us-scenes us-crops"
    )
    parser.add_argument("sets", nargs="*", help="names of sets (default: all below --data)")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of the image sets")
    parser.add_argument("--split", choices=["train", "calibration", "dev"], default="dev")
    parser.add_argument(
        "--models", type=Path, default=None, help="folder of the models (default: the shipped)"
    )
    parser.add_argument(
        "--out", type=Path, default=None, help="folder for figures.json, plots, contact sheet"
    )
    arguments = parser.parse_args(argv)
    split: Split = arguments.split
    try:
        reader = PlateReader.from_models(arguments.models)
        pictures = list(read_all(arguments.data, split, arguments.sets or None))
    except DataSetError as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 2
    except DetectorError as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 3
    started = time.monotonic()
    measured = measure(reader, pictures)
    result = summary(measured)
    print(f"{len(pictures)} pictures of split {split} in {time.monotonic() - started:.0f} s")
    print(table(result))
    if arguments.out is not None:
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "figures.json").write_text(json.dumps(result, indent=1))
        contact_sheet(measured.outcomes, pictures).save(arguments.out / "mistakes.png")
        plots(measured, arguments.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
