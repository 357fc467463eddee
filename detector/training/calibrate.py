"""Fits what the reader's card says of confidence: ``python -m detector.training.calibrate --data DIR``.

On the calibration split, which no net trained on: each plate is read in its scene, and inside
its known corners disturbed as a detector would disturb them. A logistic model with a little ridge over
the features of ``detector.confidence`` says how probable it is that a whole text is right, O/0 and
I/1 folded; ``report_from`` is the least confidence from which 95 % of the texts are right.
"""

from __future__ import annotations

import argparse
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..card import card_text
from ..confidence import Features
from ..plates import Corners, PlateReading
from ..reader import PlateReader
from .datasets import Picture, read_all
from .metrics import coverage_at_precision, expected_calibration_error, folded, overlap
from .reader_samples import loose_quad

F64 = NDArray[np.float64]
PROMISED_PRECISION = 0.95
RIDGE = (
    3.0  # prior precision of each standardised weight: a few hundred plates carry nine weights only so far
)
NAMES = tuple(place.name for place in fields(Features))


@dataclass(frozen=True, slots=True, eq=False)
class Sightings:
    """values: (N, F) features; right: (N,) bool; weight: (N,), one in all for each plate."""

    values: F64
    right: NDArray[np.bool_]
    weight: F64


def collect(reader: PlateReader, pictures: list[Picture], *, jitters: int, seed: int = 5) -> Sightings:
    """Reads every labelled text: scenes as a whole, and each plate ``jitters`` times loosely cut."""
    rng = np.random.default_rng(seed)
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
                found.append(reader.read_at(around, _corners(loose)))
            score = found[0].features["score"] if not whole and len(found) > jitters else np.nan
            for reading in found:
                values.append([score if name == "score" else reading.features[name] for name in NAMES])
                right.append(folded(reading.text.text) == folded(plate.text))
                weight.append(1.0 / len(found))
    table = np.array(values)
    scores = table[:, NAMES.index("score")]
    scores[np.isnan(scores)] = np.nanmean(
        scores
    )  # a plate that no detector looked for says nothing of its score
    return Sightings(table, np.array(right), np.array(weight))


def _corners(quad: F64) -> Corners:
    a, b, c, d = ((float(x), float(y)) for x, y in quad)
    return a, b, c, d


def fit(seen: Sightings) -> dict[str, float]:
    """Bias and weights by Newton's method on the ridge-penalised log-likelihood."""
    mean = np.average(seen.values, axis=0, weights=seen.weight)
    spread = np.sqrt(np.average((seen.values - mean) ** 2, axis=0, weights=seen.weight))
    spread[spread < 1e-9] = np.inf  # a feature that never varies gets no weight
    design = np.concatenate([np.ones((len(seen.values), 1)), (seen.values - mean) / spread], axis=1)
    penalty = np.diag([1e-6] + [RIDGE] * len(NAMES))
    theta = np.zeros(design.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(design @ theta, -30, 30)))
        gradient = design.T @ (seen.weight * (p - seen.right)) + penalty @ theta
        curvature = (design * (seen.weight * p * (1 - p))[:, None]).T @ design + penalty
        step = np.linalg.solve(curvature, gradient)
        theta -= step
        if np.abs(step).max() < 1e-8:
            break
    weights = theta[1:] / spread
    bias = float(theta[0] - weights @ np.where(np.isfinite(spread), mean, 0.0))
    return {"bias": bias} | {name: float(value) for name, value in zip(NAMES, weights, strict=True)}


def probabilities(seen: Sightings, rules: dict[str, float]) -> F64:
    """What a fitted model says of each sighting."""
    total = rules["bias"] + seen.values @ np.array([rules[name] for name in NAMES])
    return np.asarray(1 / (1 + np.exp(-np.clip(total, -30, 30))))


def update_card(path: Path, section: str, values: dict[str, Any]) -> None:
    """Rewrites one section of a card."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    table[section] = table.get(section, {}) | values
    path.write_text(card_text(table), encoding="utf-8")


def main(argv: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the image sets")
    parser.add_argument("--models", type=Path, default=Path("detector/models"))
    parser.add_argument("--jitters", type=int, default=3)
    arguments = parser.parse_args(argv)
    reader = PlateReader.from_models(arguments.models)
    pictures = [p for p in read_all(arguments.data, "calibration") if p.plates]
    seen = collect(reader, pictures, jitters=arguments.jitters)
    rules = fit(seen)
    sure = probabilities(seen, rules)
    kept, threshold = coverage_at_precision(sure, seen.right, len(sure), PROMISED_PRECISION)
    update_card(
        arguments.models / "plate-reader.toml",
        "confidence",
        {name: round(value, 5) for name, value in rules.items()} | {"report_from": round(threshold, 4)},
    )
    print(
        f"{len(seen.right)} sightings, {seen.right.mean():.3f} right, calibration error "
        f"{expected_calibration_error(sure, seen.right):.3f}; {PROMISED_PRECISION:.0%} right from "
        f"{threshold:.3f}, which keeps {kept:.3f}"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
