"""The confidence rules of the cards are fitted from the samples: separable boxes are distinguished."""

from __future__ import annotations

import numpy as np

from detector.card import PlateRules
from detector.plateness import SIGNS, PlateSigns, plateness
from detector.training.calibrate import NAMES, Boxes, Sightings, fit_plates, least_score, usual_score


def _boxes(seed: int) -> Boxes:
    rng = np.random.default_rng(seed)
    plate = np.arange(400) % 4 == 0
    values = rng.normal(0, 1, (400, len(SIGNS)))
    values[plate, SIGNS.index("legible")] += 5.0
    values[:, SIGNS.index("width")] = 1.0
    return Boxes(values, plate, np.ones(400, bool), 100)


def test_boxes_on_plates_are_distinguished_by_what_the_look_says() -> None:
    rules = PlateRules(**fit_plates(_boxes(1)))
    assert rules.width == 0.0
    assert 0.05 <= rules.least <= 0.95
    unseen = _boxes(2)
    told = [
        plateness(PlateSigns(**dict(zip(SIGNS, row, strict=True))), rules) >= rules.least
        for row in unseen.values
    ]
    assert np.mean(np.array(told) == unseen.plate) > 0.95


def test_the_least_score_lets_no_more_false_boxes_pass_than_allowed() -> None:
    pictures = [[0.9, 0.4], [0.55], [], [0.3]] * 10
    for most in (0.0, 0.25, 0.5, 0.75, 1.0):
        least = least_score(pictures, most)
        passed = sum(score >= least for picture in pictures for score in picture)
        assert passed <= most * len(pictures)
    assert least_score(pictures, 1.0) == 0.05
    assert least_score(pictures, 0.5) == 0.41


def test_the_usual_score_is_the_mean_of_the_log_odds() -> None:
    values = np.zeros((3, len(NAMES)))
    values[:, NAMES.index("score")] = [1.0, 3.0, 9.0]
    seen = Sightings(values, np.ones(3, bool), np.array([1.0, 1.0, 0.0]))
    assert usual_score(seen) == 1 / (1 + np.exp(-2.0))
