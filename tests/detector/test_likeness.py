"""Two readings are of one plate, of two, or it cannot be told."""

from __future__ import annotations

import pytest
from detector_twins import DECODING, box_at, reading
from hypothesis import given
from hypothesis import strategies as st

from detector.likeness import distance, same_plate
from detector.passes import LiveTrack, Sighting

short = st.text("AB1", max_size=7)


def track_of(text: str, **how: float) -> LiveTrack:
    seen = reading(text, box_at(0, 0), **how)
    first = Sighting(sequence=0, time_us=0, box=seen.box, reading=seen)
    return LiveTrack(1, DECODING, first, seen)


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ("7ABC123", "7ABC123", "same"),
        ("7ABC123", "7A8C123", "same"),
        ("7ABC123", "7ABC12", "same"),
        ("7ABC123", "4XYZ999", "different"),
        ("7ABC123", "7ABC999", "unclear"),
        ("7ABC123", "7ABC", "unclear"),
    ],
)
def test_readings_say_whether_it_is_one_plate(first: str, second: str, said: str) -> None:
    assert track_of(first).likeness(reading(second, box_at(0, 0))) == said
    assert track_of(second).likeness(reading(first, box_at(0, 0))) == said


def test_a_blurred_frame_proves_no_other_vehicle() -> None:
    weak = reading("4XYZ999", box_at(0, 0), sure=1.0, noise=0.6, seed=3)
    assert track_of("7ABC123").likeness(weak) == "unclear"


def test_an_empty_reading_is_no_ones() -> None:
    empty = reading("", box_at(0, 0)).text
    assert not same_plate(empty, empty)


@given(short, short, short)
def test_edit_distance_is_a_metric(a: str, b: str, c: str) -> None:
    assert distance(a, b) == distance(b, a)
    assert (distance(a, b) == 0) == (a == b)
    assert distance(a, c) <= distance(a, b) + distance(b, c)
