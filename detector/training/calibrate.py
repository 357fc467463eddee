"""Fits the cards' numbers for boxes, plates and texts: ``python -m detector.training.calibrate --data DIR``.

It uses the calibration split, which no net trained on. Each plate is read in its scene, and again inside
its known corners, disturbed as a detector would disturb them. A logistic model with a small ridge penalty
over the features of ``detector.confidence`` gives the probability that a whole text is right, with O/0 and
I/1 folded; ``report_from`` is the lowest confidence from which 96 % of the real plates' texts are right.
Kinds that the sets seldom show (``trials``: blur, small and steep plates, lettering) are drawn and read too.

The detector's two scores come from the plate-free pictures: ``threshold`` lets 0.05 false boxes per
picture pass, and ``doubtful_from`` lets one pass, since each costs a reading.

A second logistic model says whether a box holds a plate at all. It is fitted on the boxes that the detector
finds in the calibration split's scenes and plate-free pictures; plates and false boxes have the same weight,
and boxes of low scores are included so that there are enough. ``least`` lets 0.05 false boxes per plate-free
picture pass, among those that the reader's net is asked about.
"""

from __future__ import annotations

import argparse
import math
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..card import card_text
from ..confidence import Features
from ..plateness import SIGNS, PlateSigns, signs_of_look
from ..plates import PlateReading, as_corners
from ..reader import MODELS, PlateReader
from .datasets import Picture, read_all
from .metrics import coverage_at_precision, expected_calibration_error, folded, overlap
from .reader_samples import loose_quad
from .trials import KINDS, draw_picture

F64 = NDArray[np.float64]
PROMISED_PRECISION = 0.96
FALSE_BOXES = 0.05  # per plate-free picture, among the boxes that the detector is sure of by itself
DOUBTFUL_BOXES = 1.0  # per plate-free picture, among those that the reader's net is asked about
LOWEST_SCORE = 0.05
FITTED_FROM = 0.1
DRAWN_WEIGHT = 0.25  # of a drawn picture; a real plate has 1
RIDGE = 3.0  # prior precision of each standardized weight: a few hundred plates do not settle nine weights
NAMES = tuple(place.name for place in fields(Features))


@dataclass(frozen=True, slots=True, eq=False)
class Sightings:
    """values: (N, F) features; right: (N,) bool; weight: (N,), a sum of one for each plate."""

    values: F64
    right: NDArray[np.bool_]
    weight: F64


def collect(reader: PlateReader, pictures: list[Picture], *, jitters: int) -> Sightings:
    """Reads every labeled text: in its whole scene, and ``jitters`` times in a loose cut."""
    rng = np.random.default_rng(5)
    values, right, weight = [], [], []
    for picture in pictures:
        luma = picture.luma()
        for plate in picture.plates:
            if not plate.text:
                continue
            found: list[PlateReading] = []
            whole = plate.box is None
            pad_y, pad_x = (luma.shape[0] // 4, luma.shape[1] // 4) if whole else (0, 0)
            around = np.pad(luma, ((pad_y, pad_y), (pad_x, pad_x)), mode="edge") if whole else luma
            x, y, w, h = plate.box or (pad_x, pad_y, luma.shape[1], luma.shape[0])
            if not whole:
                seen = reader.read(luma).readings
                found += [r for r in seen if overlap(r.box.box, (x, y, w, h)) > 0.5][:1]
            quad = np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]], np.float64)
            for _ in range(jitters):
                loose, _, _ = loose_quad(rng, quad, spread=0.7)
                found.append(reader.read_at(around, as_corners(loose)))
            score = found[0].features["score"] if not whole and len(found) > jitters else np.nan
            for reading in found:
                values.append([score if name == "score" else reading.features[name] for name in NAMES])
                right.append(folded(reading.text.text) == folded(plate.text))
                weight.append(1.0 / len(found))
    table = np.array(values)
    scores = table[:, NAMES.index("score")]
    # a plate that no detector looked for has no score
    scores[np.isnan(scores)] = np.nanmean(scores)
    return Sightings(table, np.array(right), np.array(weight))


def usual_score(seen: Sightings) -> float:
    """The mean of the detector's scores, 0..1, taken over their log-odds: ``read_at`` assumes this score."""
    odds = float(np.average(seen.values[:, NAMES.index("score")], weights=seen.weight))
    return 1.0 / (1.0 + math.exp(-odds))


def drawn_pictures(count: int) -> list[tuple[NDArray[np.uint8], str]]:
    """``count`` pictures of each kind of ``trials``, from seeds of their own, and the text of each."""
    return [
        draw_picture(np.random.default_rng([78, number, index]), kind)
        for number, kind in enumerate(KINDS.values())
        for index in range(count)
    ]


def collect_drawn(reader: PlateReader, drawn: Sequence[tuple[NDArray[np.uint8], str]]) -> Sightings:
    """Reads whole drawn pictures; the surest reading of each counts. Lettering has no right text."""
    values, right = [], []
    for luma, text in drawn:
        readings = reader.read(luma).readings
        if readings:
            best = max(readings, key=lambda one: one.text.confidence)
            values.append([best.features[name] for name in NAMES])
            right.append(bool(text) and folded(best.text.text) == folded(text))
    return Sightings(np.array(values), np.array(right), np.full(len(right), DRAWN_WEIGHT))


def joined(*parts: Sightings) -> Sightings:
    """Joins several collections into one."""
    return Sightings(
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.right for part in parts]),
        np.concatenate([part.weight for part in parts]),
    )


def least_score(scores: Sequence[Sequence[float]], most_a_picture: float) -> float:
    """The lowest score, in hundredths, that lets no more than so many boxes per plate-free picture pass."""
    allowed = int(most_a_picture * len(scores))
    best_first = sorted((score for picture in scores for score in picture), reverse=True)
    first_refused = best_first[allowed] if allowed < len(best_first) else 0.0
    return max(math.floor(first_refused * 100 + 1) / 100, LOWEST_SCORE)


def choose_scores(models: Path, pictures: list[Picture]) -> tuple[float, float]:
    """Chooses ``threshold`` and ``doubtful_from`` for the detector's card."""
    every = PlateReader.from_models(models, every_box_from=LOWEST_SCORE)
    scores = [[box.confidence for box in every.find(p.luma())] for p in pictures if not p.plates]
    return least_score(scores, FALSE_BOXES), least_score(scores, DOUBTFUL_BOXES)


@dataclass(frozen=True, slots=True, eq=False)
class Boxes:
    """values: (N, S) signs; plate, asked: (N,) bool; pictures: how many plate-free ones were searched.

    ``asked``: the detector's score is high enough for the reader's net to be asked about the box.
    """

    values: F64
    plate: NDArray[np.bool_]
    asked: NDArray[np.bool_]
    pictures: int


def collect_boxes(
    reader: PlateReader,
    pictures: list[Picture],
    doubtful_from: float,
    drawn: Sequence[tuple[NDArray[np.uint8], str]] = (),
) -> Boxes:
    """Collects the boxes found on labeled plates and in plate-free pictures; others are left out.

    In a drawn picture with a plate, the surest box counts as the plate's.
    """
    values, plate, asked, clean = [], [], [], 0
    for luma, text in drawn:
        clean += not text
        readings = sorted(reader.read(luma).readings, key=lambda one: -one.box.confidence)
        for reading in readings[:1] if text else readings:
            values.append(_signs(reading).values())
            plate.append(bool(text))
            asked.append(reading.box.confidence >= doubtful_from)
    for picture in pictures:
        if picture.plates and picture.plates[0].box is None:
            continue
        clean += not picture.plates
        for reading in reader.read(picture.luma()).readings:
            on_plate = any(overlap(reading.box.box, one.box) > 0.5 for one in picture.plates if one.box)
            if on_plate or not picture.plates:
                values.append(_signs(reading).values())
                plate.append(on_plate)
                asked.append(reading.box.confidence >= doubtful_from)
    return Boxes(np.array(values), np.array(plate), np.array(asked), clean)


def _signs(reading: PlateReading) -> PlateSigns:
    first = reading.evidence
    return signs_of_look(first.columns[0], first.paths[0], first.width_px, first.score)


def fit_plates(boxes: Boxes) -> dict[str, float]:
    """Fits the bias and weights of ``[plate]``, and ``least``."""
    weight = np.where(boxes.plate, 0.5 / boxes.plate.sum(), 0.5 / (~boxes.plate).sum()) * len(boxes.plate)
    rules = logistic(boxes.values, boxes.plate, weight, SIGNS)
    sure = _probabilities(boxes.values, rules, SIGNS)
    clutter = sure[~boxes.plate & boxes.asked]
    steps = np.round(np.arange(0.05, 0.96, 0.05), 2)
    passed = np.array([(clutter >= least).sum() for least in steps])
    return rules | {"least": float(steps[np.argmax(passed <= FALSE_BOXES * boxes.pictures)])}


def fit(seen: Sightings) -> dict[str, float]:
    """Fits the bias and weights of ``[confidence]``."""
    return logistic(seen.values, seen.right, seen.weight, NAMES)


def logistic(values: F64, right: NDArray[np.bool_], weight: F64, names: Sequence[str]) -> dict[str, float]:
    """Fits bias and weights by Newton's method on the ridge-penalized log-likelihood."""
    mean = np.average(values, axis=0, weights=weight)
    spread = np.sqrt(np.average((values - mean) ** 2, axis=0, weights=weight))
    spread[spread < 1e-9] = np.inf  # a feature that never varies gets no weight
    design = np.concatenate([np.ones((len(values), 1)), (values - mean) / spread], axis=1)
    penalty = np.diag([1e-6] + [RIDGE] * len(names))
    theta = np.zeros(design.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(design @ theta, -30, 30)))
        gradient = design.T @ (weight * (p - right)) + penalty @ theta
        curvature = (design * (weight * p * (1 - p))[:, None]).T @ design + penalty
        step = np.linalg.solve(curvature, gradient)
        theta -= step
        if np.abs(step).max() < 1e-8:
            break
    weights = theta[1:] / spread
    bias = float(theta[0] - weights @ np.where(np.isfinite(spread), mean, 0.0))
    return {"bias": bias} | {name: float(value) for name, value in zip(names, weights, strict=True)}


def probabilities(seen: Sightings, rules: dict[str, float]) -> F64:
    """The probability, by a fitted model, that each sighting's text is right."""
    return _probabilities(seen.values, rules, NAMES)


def _probabilities(values: F64, rules: dict[str, float], names: Sequence[str]) -> F64:
    total = rules["bias"] + values @ np.array([rules[name] for name in names])
    return np.asarray(1 / (1 + np.exp(-np.clip(total, -30, 30))))


def update_card(path: Path, section: str, values: dict[str, Any]) -> None:
    """Rewrites one section of a card."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    table[section] = table.get(section, {}) | values
    path.write_text(card_text(table), encoding="utf-8")


def card_options(doc: str | None) -> argparse.ArgumentParser:
    """The options of every command that fits a card; each adds its own."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the image sets")
    parser.add_argument("--models", type=Path, default=MODELS, help="folder of the models (default: shipped)")
    parser.add_argument("--without", nargs="*", default=[], metavar="DATASET", help="sets to leave out")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Command line."""
    parser = card_options(__doc__)
    parser.add_argument("--drawn", type=int, default=60, help="drawn pictures of each kind")
    parser.add_argument("--jitters", type=int, default=3)
    arguments = parser.parse_args(argv)
    card = arguments.models / "plate-reader.toml"
    pictures = list(read_all(arguments.data, "calibration", without=arguments.without))
    threshold, doubtful_from = choose_scores(arguments.models, pictures)
    update_card(
        arguments.models / "plate-detector.toml",
        "find",
        {"threshold": threshold, "doubtful_from": doubtful_from},
    )
    print(f"a box is sure from a score of {threshold:.2f}, in doubt from {doubtful_from:.2f}")
    every = PlateReader.from_models(arguments.models, every_box_from=FITTED_FROM)
    drawn = drawn_pictures(arguments.drawn)
    boxes = collect_boxes(every, pictures, doubtful_from, drawn)
    plate_rules = fit_plates(boxes)
    update_card(card, "plate", {name: round(value, 5) for name, value in plate_rules.items()})
    print(
        f"{boxes.plate.sum()} boxes on plates, {(~boxes.plate).sum()} on {boxes.pictures} plate-free "
        f"pictures; a plate from {plate_rules['least']:.2f}"
    )
    reader = PlateReader.from_models(arguments.models)
    real = collect(reader, [p for p in pictures if p.plates], jitters=arguments.jitters)
    seen = joined(real, collect_drawn(reader, drawn))
    rules = fit(seen)
    sure = probabilities(seen, rules)
    kept, threshold = coverage_at_precision(
        probabilities(real, rules), real.right, len(real.right), PROMISED_PRECISION
    )
    update_card(
        card,
        "confidence",
        {name: round(value, 5) for name, value in rules.items()}
        | {"report_from": round(threshold, 4), "usual_score": round(usual_score(real), 3)},
    )
    print(
        f"{len(seen.right)} sightings, {seen.right.mean():.3f} right, calibration error "
        f"{expected_calibration_error(sure, seen.right):.3f}; {PROMISED_PRECISION:.0%} right from "
        f"{threshold:.3f}, which keeps {kept:.3f}"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
