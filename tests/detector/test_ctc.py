"""CTC arithmetic, compared with counting every path."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from detector_twins import column_logits, labels
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from detector.ctc import (
    Labels,
    against_blank,
    beam_search,
    best_path,
    column_probabilities,
    log_scores,
    slot_scores,
)
from detector.plates import NO_CHARACTER

F64 = NDArray[np.float64]
logits = hnp.arrays(np.float32, (5, 4), elements=st.floats(-6, 6, width=32))


def every_text(columns: F64) -> dict[Labels, float]:
    """p(text) of every text, as the sum over all paths."""
    steps, classes = columns.shape
    out: dict[Labels, float] = {}
    for path in itertools.product(range(classes), repeat=steps):
        merged = [label for label, _ in itertools.groupby(path)]
        text = tuple(label for label in merged if label != classes - 1)
        out[text] = out.get(text, 0.0) + math.prod(columns[t, label] for t, label in enumerate(path))
    return out


@settings(max_examples=25, deadline=None)
@given(logits)
def test_score_of_every_text_is_the_sum_of_its_paths(values: NDArray[np.float32]) -> None:
    columns = column_probabilities(values, 1.0, 1e-3)
    truth = every_text(columns)
    scores = log_scores(*against_blank(columns[None], 3), list(truth))
    assert np.exp(scores[0]) == pytest.approx(list(truth.values()), rel=1e-9)
    assert sum(truth.values()) == pytest.approx(1.0)


@pytest.mark.one_python
@settings(max_examples=25, deadline=None)
@given(logits, logits)
def test_slot_scores_are_those_of_the_texts_written_out(
    first: NDArray[np.float32], second: NDArray[np.float32]
) -> None:
    columns = column_probabilities(np.stack([first, second]), 1.0, 1e-2)
    truth = [every_text(look) for look in columns]
    for text in [(0,), (1, 1), (0, 1, 2), (2, 2, 0), (1, 0, 1)]:
        scores = slot_scores(columns, text)
        shown = np.atleast_1d((columns > 2e-3).any(axis=(0, 1)))
        for look, slot, label in np.ndindex(scores.shape):
            if not shown[label] and label not in text:
                continue
            replaced = text[:slot] + ((label,) if label < 3 else ()) + text[slot + 1 :]
            assert np.exp(scores[look, slot, label]) == pytest.approx(
                truth[look].get(replaced, 0.0), rel=1e-9
            )


@settings(max_examples=50, deadline=None)
@given(logits)
def test_wide_beam_holds_the_likeliest_text(values: NDArray[np.float32]) -> None:
    columns = column_probabilities(values, 1.0, 1e-3)
    truth = every_text(columns)
    best = max(truth.values())
    found = beam_search(columns, 64)
    assert max(truth[text] for text, _ in found) >= best * 0.999
    assert all(math.exp(score) <= truth[text] * (1 + 1e-9) for text, score in found)


@given(st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=0, max_size=10))
def test_a_spelt_text_is_read_back(text: str) -> None:
    columns = column_probabilities(column_logits(text), 1.0, 1e-3)
    assert best_path(columns) == labels(text)
    assert beam_search(columns, 8)[0][0] == labels(text)


def test_a_text_too_long_for_the_columns_scores_nothing() -> None:
    columns = column_probabilities(np.zeros((2, 4), np.float32), 1.0, 1e-3)
    assert log_scores(*against_blank(columns[None], 3), [(0, 1, 2)])[0, 0] == -math.inf


def test_a_path_over_the_longest_row_of_columns_does_not_underflow() -> None:
    columns = column_probabilities(column_logits("A" * 5, sure=60.0), 1.0, 1e-3)
    assert np.isfinite(log_scores(*against_blank(columns[None], NO_CHARACTER), [labels("ZZZZZZZ")])).all()


def test_smoothing_keeps_a_row_a_distribution() -> None:
    columns = column_probabilities(column_logits("7ABC123", sure=80.0), 0.7, 0.02)
    assert columns.sum(axis=1) == pytest.approx(np.ones(36))
    assert columns.min() == pytest.approx(0.02 / 37)
