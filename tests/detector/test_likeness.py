"""Two readings are of one plate, of two plates, or undecided."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from detector_twins import DECODING, box_at, reading
from hypothesis import given
from hypothesis import strategies as st

from detector.likeness import TRUSTED, distance, is_part, near_text, same_text
from detector.passes import LiveTrack, Sighting
from detector.plates import PlateReading

short = st.text("AB1", max_size=7)


def track_of(text: str, **how: Any) -> LiveTrack:
    seen = reading(text, box_at(0, 0), **how)
    first = Sighting(sequence=0, time_us=0, box=seen.box, reading=seen)
    return LiveTrack(1, DECODING, first, seen)


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        pytest.param("7ABC123", "7ABC123", "same", id="the same text"),
        pytest.param("7ABC1O3", "7ABC103", "same", id="O for zero"),
        pytest.param("7ABC123", "7ABC124", "neighbor", id="a fleet's next number"),
        pytest.param("7ABC123", "7A8C123", "neighbor", id="a digit for a letter, from near"),
        pytest.param("7ABC123", "7AOC123", "neighbor", id="another letter"),
        pytest.param("7ABC123", "7A8C128", "neighbor", id="a digit for a letter, and another digit"),
        pytest.param("7ABC123", "4XYZ999", "different", id="nothing in common"),
        pytest.param("7ABC123", "7ABC999", "different", id="half in common, both surely read"),
        pytest.param("7ABC123", "7ABC", "unclear", id="its beginning"),
        pytest.param("4UGZ590", "590", "unclear", id="its end"),
    ],
)
def test_readings_say_whether_it_is_one_plate(first: str, second: str, said: str) -> None:
    assert track_of(first).likeness(reading(second, box_at(0, 0))) == said
    assert track_of(second).likeness(reading(first, box_at(0, 0))) == said


@pytest.mark.parametrize(("px", "said"), [(43.0, "misread"), (47.0, "neighbor")])
def test_a_digit_for_a_letter_that_looks_like_it_is_a_misreading_from_afar(px: float, said: str) -> None:
    assert track_of("7ABC123").likeness(reading("7A8C123", box_at(0, 0, px))) == said
    seen = reading("7A8C123", box_at(0, 0, px))
    track = LiveTrack(1, DECODING, Sighting(sequence=0, time_us=0, box=seen.box, reading=seen), seen)
    assert track.likeness(reading("7ABC123", box_at(0, 0))) == said


def in_doubt(text: str, other: str) -> PlateReading:
    """A reading that is as sure as one can be while another text is just as likely."""
    sure, evidence_of_other = reading(text, box_at(0, 0)), reading(other, box_at(0, 0)).evidence
    columns = 0.55 * sure.evidence.columns + 0.45 * evidence_of_other.columns
    return replace(sure, evidence=replace(sure.evidence, columns=columns))


def test_a_character_in_doubt_is_a_misreading() -> None:
    assert track_of("7ABC123").likeness(in_doubt("7ABC124", "7ABC123")) == "misread"


def test_a_vote_in_doubt_of_a_character_may_have_misread_it() -> None:
    seen = in_doubt("7ABC124", "7ABC123")
    track = LiveTrack(1, DECODING, Sighting(sequence=0, time_us=0, box=seen.box, reading=seen), seen)
    assert track.text.confidence >= TRUSTED
    assert track.likeness(reading("7ABC123", box_at(0, 0))) in ("same", "misread")


def test_a_blurred_frame_proves_no_other_vehicle() -> None:
    weak = reading("4XYZ999", box_at(0, 0), sure=1.0, noise=0.6, seed=3)
    assert track_of("7ABC123").likeness(weak) == "unclear"


def test_an_empty_reading_is_like_none() -> None:
    assert not same_text("", "")
    assert not near_text("", "")


@given(st.text("AB1", min_size=2, max_size=7), st.text("AB1", max_size=2), st.text("AB1", max_size=2))
def test_what_is_left_of_a_text_is_a_part_of_it(middle: str, before: str, after: str) -> None:
    whole = before + middle + after
    assert is_part(middle, whole) == (whole != middle)
    assert not is_part(whole, middle)
    if before and after:
        assert is_part(before + after, whole) == (len(before + after) >= 2)


@given(short, short, short)
def test_edit_distance_is_a_metric(a: str, b: str, c: str) -> None:
    assert distance(a, b) == distance(b, a)
    assert (distance(a, b) == 0) == (a == b)
    assert distance(a, c) <= distance(a, b) + distance(b, c)
