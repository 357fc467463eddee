"""The figures of an evaluation measure what they claim."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import strategies as st

from detector.training.metrics import (
    PlateOutcome,
    chance_calibration_error,
    coverage_at_precision,
    expected_calibration_error,
    figures,
    overlap,
    precision_at_coverage,
    share_interval,
)

TEXT = st.text("AB01", max_size=6)


def _outcome(truth: str, read: str | None, share: float = 0.8) -> PlateOutcome:
    return PlateOutcome(
        image="a.jpg",
        dataset="set",
        region="US",
        truth=truth,
        read=read,
        confidence=0.5,
        overlap=share,
        plate_width_px=80.0,
        mean_luma=100.0,
    )


def test_overlap_of_known_boxes() -> None:
    assert overlap((0, 0, 2, 2), (1, 0, 2, 2)) == pytest.approx(1 / 3)
    assert overlap((0, 0, 2, 2), (2, 0, 2, 2)) == 0
    assert overlap((0, 0, 2, 2), (0, 0, 2, 2)) == 1


def test_an_interval_holds_its_share_and_narrows() -> None:
    low, high = share_interval(41, 44)
    assert low == pytest.approx(0.8177, abs=1e-3)
    assert high == pytest.approx(0.9765, abs=1e-3)
    wide, narrow = share_interval(9, 10), share_interval(900, 1000)
    assert narrow[1] - narrow[0] < wide[1] - wide[0]
    assert share_interval(10, 10)[1] == pytest.approx(1.0)
    assert np.isnan(share_interval(0, 0)).all()


def test_a_plate_not_found_counts_against_every_share() -> None:
    summed = figures([_outcome("ABC", "ABC"), _outcome("ABC", None, share=0.0)])
    assert (summed.recall_50, summed.exact, summed.per_character) == (0.5, 0.5, 0.5)


def test_folding_joins_o_and_0_and_i_and_1_but_not_q() -> None:
    assert _outcome("O1", "0I").exact_folded
    assert not _outcome("O1", "0I").exact
    assert not _outcome("0", "Q").exact_folded


def test_a_promised_precision_is_kept_at_the_threshold_found() -> None:
    confidence = np.array([0.9, 0.8, 0.7, 0.6])
    right = np.array([True, True, False, True])
    kept, threshold = coverage_at_precision(confidence, right, 5, 0.95)
    assert (kept, threshold) == (0.4, 0.8)
    assert precision_at_coverage(confidence, right, 5)[-1] == (0.6, 0.75, 0.8)


def test_calibration_error_is_zero_for_honest_and_large_for_boastful_confidence() -> None:
    rng = np.random.default_rng(1)
    confidence = rng.uniform(0, 1, 20_000)
    right = rng.uniform(0, 1, 20_000) < confidence
    assert expected_calibration_error(confidence, right) < 0.02
    assert expected_calibration_error(np.full(100, 0.99), np.zeros(100, bool)) == pytest.approx(0.99)


def test_few_texts_show_a_calibration_error_by_chance_and_many_hardly_any() -> None:
    few, many = (chance_calibration_error(np.full(count, 0.9)) for count in (40, 10_000))
    assert 0.05 < few < 0.2
    assert many < 0.02
    assert chance_calibration_error(np.full(40, 1.0)) == 0.0
    assert np.isnan(chance_calibration_error(np.zeros(0)))
