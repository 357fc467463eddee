"""Corrects a confidence that is too cautious: ``python -m detector.training.temper --data DIR``.

``calibrate`` also fits the weights of the card's ``[confidence]`` on loosely cut plates, so in whole pictures
more texts are right than the weights say. Two numbers correct that: the model's log-odds times a scale, plus
a shift. They are fitted on what the reader, with the card as it is, reads in the calibration split and on
drawn US plates; both count the same. Texts that another rule doubts are left out. The threshold becomes the
highest, in hundredths, that keeps as many texts of the calibration split as before. Run it once, after
``calibrate``: it rewrites the card.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.training.render.plates import render_plate

from ..card import ConfidenceRules, ReaderCard
from ..confidence import Features, confidence
from ..plates import PlateReading
from ..reader import READER_CARD, PlateReader
from .calibrate import NAMES, card_options, update_card
from .datasets import Picture, read_all
from .measure import found_plates
from .metrics import expected_calibration_error, folded
from .trials import Kind, draw_picture

F64 = NDArray[np.float64]
DRAWN = Kind(draw=lambda rng: render_plate(rng, jurisdiction="US"), width=(60.0, 200.0), plain=False)
_RIDGE = 1.0  # prior precision of scale and shift around 1 and 0
_UNDOUBTED = 0.99  # a text counts if its confidence keeps more than this share of the model's probability


@dataclass(frozen=True, slots=True, eq=False)
class TextOdds:
    """odds: the model's log-odds; trust: the share of its probability that other rules leave; (N,) each."""

    odds: F64
    trust: F64
    right: NDArray[np.bool_]

    def sure(self, scale: float, shift: float) -> F64:
        """The confidence of each text, (N,)."""
        return np.asarray(self.trust / (1.0 + np.exp(-(scale * self.odds + shift))))


def read_plates(reader: PlateReader, rules: ConfidenceRules, pictures: list[Picture]) -> TextOdds:
    """Reads each labeled text once, in its scene or crop, if its plate is found."""
    found = found_plates(reader, pictures, lambda plate: plate.text)
    return _judged(rules, [(reading, plate.text) for plate, reading, _luma in found])


def read_drawn(reader: PlateReader, rules: ConfidenceRules, count: int) -> TextOdds:
    """Reads the best box of each drawn picture."""
    rows: list[tuple[PlateReading, str]] = []
    for number in range(count):
        luma, text = draw_picture(np.random.default_rng([number, 0x57A7E]), DRAWN)
        rows += [(one, text) for one in reader.read(luma).readings[:1]]
    return _judged(rules, rows)


def _judged(rules: ConfidenceRules, rows: list[tuple[PlateReading, str]]) -> TextOdds:
    model = np.array([confidence(Features(**one.features), rules) for one, _ in rows])
    told = np.array([one.confidence for one, _ in rows])
    right = np.array([folded(one.text.text) == folded(text) for one, text in rows])
    return TextOdds(np.log(model / (1.0 - model)), np.minimum(told / model, 1.0), right)


def fit(parts: list[TextOdds]) -> tuple[float, float]:
    """Fits scale and shift by Newton's method; each part weighs as much as the first part has texts."""
    kept = [(one.odds[one.trust > _UNDOUBTED], one.right[one.trust > _UNDOUBTED]) for one in parts]
    weight = np.concatenate([np.full(len(odds), len(parts[0].odds) / len(odds)) for odds, _ in kept])
    odds, right = (np.concatenate(values) for values in zip(*kept, strict=True))
    design = np.stack([odds, np.ones_like(odds)], axis=1)
    as_is, theta = np.array([1.0, 0.0]), np.array([1.0, 0.0])
    for _ in range(50):
        p = 1.0 / (1.0 + np.exp(-design @ theta))
        gradient = design.T @ (weight * (p - right)) + _RIDGE * (theta - as_is)
        curvature = (design * (weight * p * (1.0 - p))[:, None]).T @ design + _RIDGE * np.eye(2)
        theta = theta - np.linalg.solve(curvature, gradient)
    return float(theta[0]), float(theta[1])


def threshold(real: TextOdds, scale: float, shift: float, report_from: float) -> float:
    """The highest threshold, in hundredths, at which no fewer texts are sure than before."""
    before = int((real.sure(1.0, 0.0) >= report_from).sum())
    after = real.sure(scale, shift)
    return max(step / 100 for step in range(1, 100) if int((after >= step / 100).sum()) >= before)


def main(argv: list[str] | None = None) -> int:
    """Command line."""
    parser = card_options(__doc__)
    parser.add_argument("--drawn", type=int, default=700, help="drawn plates (default 700)")
    arguments = parser.parse_args(argv)
    path = arguments.models / READER_CARD
    rules = ReaderCard.load(path).confidence
    reader = PlateReader.from_models(arguments.models)
    pictures = list(read_all(arguments.data, "calibration", without=arguments.without))
    real, drawn = read_plates(reader, rules, pictures), read_drawn(reader, rules, arguments.drawn)
    scale, shift = fit([real, drawn])
    tempered = {name: round(scale * getattr(rules, name), 5) for name in NAMES}
    tempered["bias"] = round(scale * rules.bias + shift, 5)
    tempered["report_from"] = threshold(real, scale, shift, rules.report_from)
    update_card(path, "confidence", tempered)
    for name, one in (("calibration", real), ("drawn", drawn)):
        errors = (
            expected_calibration_error(one.sure(*how), one.right) for how in ((1.0, 0.0), (scale, shift))
        )
        print(
            f"{name}: {len(one.odds)} texts, calibration error",
            " -> ".join(f"{error:.3f}" for error in errors),
        )
    print(f"scale {scale:.3f}, shift {shift:.3f}, sure from {tempered['report_from']:.2f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
