"""The two numbers that correct an overcautious confidence, and the threshold that moves with them."""

from __future__ import annotations

import numpy as np

from detector.training.temper import TextOdds, fit, threshold


def texts(seed: int, count: int, scale: float, shift: float, doubted: float = 0.0) -> TextOdds:
    """Texts that are right as often as the model's log-odds say after scaling and shifting."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(1.0, 1.5, count)
    right = rng.random(count) < 1.0 / (1.0 + np.exp(-(scale * odds + shift)))
    return TextOdds(odds, np.where(rng.random(count) < doubted, 0.4, 1.0), right)


def test_the_scale_and_the_shift_of_a_cautious_model_are_found() -> None:
    scale, shift = fit([texts(1, 20_000, 1.5, 0.4), texts(2, 5_000, 1.5, 0.4)])
    assert abs(scale - 1.5) < 0.1
    assert abs(shift - 0.4) < 0.1


def test_texts_that_something_else_casts_doubt_on_change_nothing() -> None:
    seen = texts(3, 4_000, 1.3, 0.2, doubted=0.3)
    wrong_there = TextOdds(seen.odds, seen.trust, seen.right & (seen.trust == 1.0))
    assert fit([seen]) == fit([wrong_there])


def test_few_texts_leave_the_card_nearly_as_it_is() -> None:
    scale, shift = fit([TextOdds(np.array([2.0]), np.ones(1), np.array([True]))])
    assert abs(scale - 1.0) < 0.2
    assert abs(shift) < 0.2


def test_the_threshold_keeps_as_many_texts_as_before_and_no_lower_one_would_do() -> None:
    seen = texts(4, 400, 1.0, 0.0)
    before = int((seen.sure(1.0, 0.0) >= 0.7).sum())
    moved = threshold(seen, 1.2, 0.3, 0.7)
    assert 0.7 < moved < 0.85
    assert int((seen.sure(1.2, 0.3) >= moved).sum()) >= before
    assert int((seen.sure(1.2, 0.3) >= moved + 0.01).sum()) < before
