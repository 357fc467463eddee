"""Obstacles hide what they are drawn before; the model of whole plates is read as it was fitted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from detector.training.fit_wholeness import fitted, model_text
from detector.training.render.obstacles import OBSTACLES, hidden_behind
from detector.training.trees import boosted
from detector.training.wholeness_samples import WholenessSample, WholenessSamples
from detector.wholeness import SIGNS, Wholeness

QUAD = np.array([(120.0, 80.0), (280.0, 80.0), (280.0, 160.0), (120.0, 160.0)])


def plate() -> np.ndarray:
    """A sheet with bars for characters in the middle of a dark picture."""
    picture = np.full((240, 400), 60, np.uint8)
    picture[80:160, 120:280] = 210
    picture[100:140, 130:270:20] = 20
    return picture


@pytest.mark.parametrize("kind", OBSTACLES)
def test_an_obstacle_hides_a_part_of_the_plate_and_not_the_rest(kind: str) -> None:
    picture, changed = plate(), []
    for number in range(8):
        shown = hidden_behind(np.random.default_rng([5, number]), picture, QUAD, kind)
        assert shown.shape == picture.shape
        assert shown.dtype == np.uint8
        changed.append((np.abs(shown.astype(int) - picture)[80:160, 120:280] > 8).mean())
    assert max(changed) > 0.004
    assert np.median(changed) < 0.6


def rows(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Signs of which two decide together, neither alone."""
    table = np.random.default_rng(3).normal(size=(count, 6))
    return table, (table[:, 1] > 0) != (table[:, 4] > 0.3)


def test_trees_learn_what_two_signs_say_together() -> None:
    table, right = rows(900)
    trees = boosted(table[:600], right[:600], np.ones(600), trees=60, seed=1)
    assert ((trees.odds(table[600:]) > 0) == right[600:]).mean() > 0.9


def test_a_model_is_read_as_it_was_fitted(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    table = rng.normal(size=(400, SIGNS))
    right = table[:, 7] + 0.3 * rng.normal(size=400) > -0.5
    samples = [
        WholenessSample(signs=signs, right=bool(good), plain=number % 2 == 0, weight=1.0, text=str(number))
        for number, (signs, good) in enumerate(zip(table, right, strict=True))
    ]
    trees, trusted_from, _ = fitted(samples, trees=40, lost=0.02, seed=1)
    path = tmp_path / "wholeness.toml"
    path.write_text(model_text(trees, trusted_from, {"command": "a test"}))
    model = Wholeness.load(path)
    told = np.array([model.odds(signs) for signs in table])
    assert np.median(np.abs(told - trees.odds(table))) < 0.01
    trust = np.array([model.trust(signs) for signs in table])
    assert (trust[right] >= 0.76).mean() > 0.95
    assert (trust[~right] >= 0.76).mean() < 0.5


def test_samples_are_drawn_without_any_real_picture_too(tmp_path: Path) -> None:
    samples = WholenessSamples(tmp_path, "train")
    drawn = [samples.draw(np.random.default_rng([6, number])) for number in range(14)]
    told = [one for one in drawn if one is not None]
    assert {one.right for one in told} == {True, False}
    assert all(one.signs.shape == (SIGNS,) for one in told)
    assert not any(one.plain and not one.right for one in told), "a misread whole plate is left out"
