"""The halves of a plate in a still: where they are cut, and what both together give."""

from __future__ import annotations

import numpy as np
import pytest
from detector_twins import column_logits
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from detector.ctc import best_path, column_probabilities, spelt
from detector.halves import FEWEST, MARGINS, MOST, as_long, halve, join_halves
from detector.plates import ALPHABET, CLASSES, NO_CHARACTER
from detector.rectify import Patch, mapped

COLUMNS, WIDTH, HEIGHT = 36, 144, 48
TURNED = np.array([[1.4, 0.3, 200.0], [-0.2, 1.2, 300.0], [0.0, 0.0, 1.0]])


def at_places(text: str, places: list[float]) -> NDArray[np.float64]:
    """Columns (36, 37) of a text whose characters are at these fractions of the width."""
    logits = np.zeros((COLUMNS, CLASSES), np.float32)
    logits[:, NO_CHARACTER] = 9.0
    for sign, place in zip(text, places, strict=True):
        column = int(place * COLUMNS)
        if 0 <= column < COLUMNS:
            logits[column, NO_CHARACTER], logits[column, ALPHABET.index(sign)] = 0.0, 9.0
    return column_probabilities(logits, 1.0, 1e-4)


def plain_patch(to_frame: NDArray[np.float64] = TURNED) -> Patch:
    return Patch(np.full((HEIGHT, WIDTH), 128, np.uint8), to_frame)


@pytest.mark.parametrize("margin", MARGINS)
@given(text=st.text(ALPHABET, min_size=FEWEST, max_size=MOST))
def test_what_is_read_of_both_halves_is_the_text_of_the_whole(margin: tuple[float, float], text: str) -> None:
    """If each half shows its characters in place, each is read once, even those in both halves."""
    read_in_halves(text, [0.1 + 0.8 * (slot + 0.5) / len(text) for slot in range(len(text))], margin)


@pytest.mark.parametrize("margin", MARGINS)
@pytest.mark.parametrize("gap", [0.2, 0.3])
def test_halves_that_share_nothing_may_meet_in_a_gap_between_them(
    margin: tuple[float, float], gap: float
) -> None:
    slots = [0.65 * (slot + 0.5) / 10 for slot in range(10)]
    read_in_halves("ABC12DEF34", [place + (gap if at > 4 else 0.0) for at, place in enumerate(slots)], margin)


def read_in_halves(text: str, places: list[float], margin: tuple[float, float]) -> None:
    patch = plain_patch()
    halves = halve(patch, at_places(text, places), margin)
    assert halves is not None
    seen = []
    for half in halves:
        back = mapped(half.corners, np.asarray(np.linalg.inv(patch.to_frame), np.float64))
        left, right = back[0, 0] / WIDTH, back[1, 0] / WIDTH
        seen.append(at_places(text, [(place - left) / (right - left) for place in places]))
    assert spelt(best_path(join_halves(halves, (seen[0], seen[1])))) == text


@pytest.mark.parametrize("text", ["7ABC"[: FEWEST - 1], "7ABC123XYZ9"[: MOST + 1]])
def test_too_few_or_too_many_characters_make_no_halves(text: str) -> None:
    places = [(slot + 0.5) / len(text) for slot in range(len(text))]
    assert halve(plain_patch(), at_places(text, places), MARGINS[0]) is None


def test_halves_follow_the_plate_and_reach_beyond_its_line_of_characters() -> None:
    places = [0.1 + 0.8 * (slot + 0.5) / 7 for slot in range(7)]
    halves = halve(plain_patch(), at_places("7ABC123", places), MARGINS[0])
    assert halves is not None
    (left, right) = (mapped(half.corners, np.asarray(np.linalg.inv(TURNED), np.float64)) for half in halves)
    assert left[0, 0] < places[0] * WIDTH < places[4] * WIDTH < left[1, 0] < right[1, 0]
    assert left[0, 0] < right[0, 0] < places[2] * WIDTH < places[6] * WIDTH < right[1, 0]
    assert left[0, 1] == pytest.approx(left[1, 1])
    assert left[0, 1] < 0.28 * HEIGHT < 0.8 * HEIGHT < left[2, 1]


def test_a_whole_plates_columns_say_the_same_when_they_are_as_long() -> None:
    columns = column_probabilities(column_logits("7ABC123"), 1.0, 1e-3)
    longer = as_long(columns)
    assert longer.shape == (2 * COLUMNS + 1, CLASSES)
    assert spelt(best_path(longer)) == "7ABC123"
    assert np.allclose(longer.sum(axis=1), 1.0, atol=1e-3)
