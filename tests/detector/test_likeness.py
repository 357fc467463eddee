"""Two readings are of one plate, of two, or it cannot be told."""

from __future__ import annotations

import pytest
from detector_twins import box_at, reading
from hypothesis import given
from hypothesis import strategies as st

from detector.likeness import distance, likeness

short = st.text("AB1", max_size=7)


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ("7ABC123", "7ABC123", "same"),
        ("7ABC123", "7A8C123", "same"),
        ("7ABC123", "7ABC12", "same"),
        ("7ABC123", "4XYZ999", "different"),
        ("7ABC123", "7ABZ999", "unclear"),
        ("7ABC123", "ABC", "unclear"),
        ("7ABC123", "", "unclear"),
    ],
)
def test_texts_say_whether_it_is_one_plate(first: str, second: str, said: str) -> None:
    a, b = (reading(text, box_at(0, 0)).text for text in (first, second))
    assert likeness(a, b) == said
    assert likeness(b, a) == said


def test_a_text_that_nobody_trusts_proves_no_other_vehicle() -> None:
    sure = reading("7ABC123", box_at(0, 0)).text
    weak = reading("4XYZ999", box_at(0, 0), sure=0.8, noise=1.0, seed=3).text
    assert weak.confidence < 0.5
    assert likeness(sure, weak) == "unclear"


@given(short, short, short)
def test_edit_distance_is_a_metric(a: str, b: str, c: str) -> None:
    assert distance(a, b) == distance(b, a)
    assert (distance(a, b) == 0) == (a == b)
    assert distance(a, c) <= distance(a, b) + distance(b, c)
