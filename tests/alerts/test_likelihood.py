"""The probability of an entry under the vote: O counts as 0, and probabilities add up to at most 1."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.plates import ALPHABET, CLASSES, PlateText
from firmware.alerts.likelihood import likely_forms
from storage.plate_text import fold


def text_of(
    text: str,
    confidence: float,
    *,
    doubts: dict[int, dict[str, float]] | None = None,
    candidates: tuple[tuple[str, float], ...] = (),
) -> PlateText:
    """A text whose slots are sure except `doubts`: slot to characters with their probabilities."""
    slots = np.full((len(text), CLASSES), 1e-4, dtype=np.float32)
    for at, character in enumerate(text):
        for one, probability in (doubts or {}).get(at, {character: 0.99}).items():
            slots[at, ALPHABET.index(one)] = probability
    return PlateText(text=text, confidence=confidence, slots=slots, candidates=candidates)


@st.composite
def texts(draw: st.DrawFn) -> PlateText:
    length = draw(st.integers(1, 8))
    rng = np.random.default_rng(draw(st.integers(0, 1 << 30)))
    slots = rng.dirichlet(np.full(CLASSES, draw(st.sampled_from([0.01, 0.1, 1.0]))), size=length).astype(
        np.float32
    )
    text = "".join(ALPHABET[int(row[:-1].argmax())] for row in slots)
    if draw(st.booleans()):
        text = "?" + text[1:]
    count = draw(st.integers(0, 4))
    others = ["".join(rng.choice(list(ALPHABET), length)) for _ in range(count)]
    weights = rng.dirichlet(np.ones(count + 1))
    named = tuple(zip([text.replace("?", "A"), *others], map(float, weights), strict=True))
    return PlateText(text=text, confidence=draw(st.floats(0, 1)), slots=slots, candidates=named)


@pytest.mark.one_python
@settings(max_examples=200, deadline=None)
@given(texts(), st.sampled_from([0.01, 0.05, 0.2, 0.5]))
def test_probabilities_of_all_forms_together_are_at_most_one(text: PlateText, least: float) -> None:
    forms = likely_forms(text, least)
    assert len({form for form, _ in forms}) == len(forms)
    assert all(least <= probability <= 1 for _, probability in forms)
    assert [probability for _, probability in forms] == sorted((p for _, p in forms), reverse=True)
    if "?" not in text.text:
        assert sum(probability for _, probability in forms) <= 1.0 + 1e-6


@settings(max_examples=100, deadline=None)
@given(texts())
def test_the_text_itself_is_as_probable_as_its_confidence(text: PlateText) -> None:
    forms = dict(likely_forms(text, 0.01))
    if "?" not in text.text and text.confidence >= 0.01:
        assert forms[fold(text.text)] == pytest.approx(text.confidence)


def test_o_and_zero_are_one_form() -> None:
    text = text_of("7XKR2O9", 0.95, candidates=(("7XKR2O9", 0.6), ("7XKR209", 0.38)))
    ((form, probability),) = likely_forms(text, 0.01)
    assert form == "7XKR209"
    assert probability == pytest.approx(0.95)


def test_a_doubtful_character_gives_a_second_form_with_what_the_confidence_leaves() -> None:
    text = text_of("7XKR2B9", 0.7, doubts={5: {"B": 0.7, "8": 0.29}})
    forms = likely_forms(text, 0.2)
    assert [form for form, _ in forms] == ["7XKR2B9", "7XKR289"]
    assert forms[1][1] == pytest.approx(0.29, abs=0.02)
    ((form, probability),) = likely_forms(text, 0.2, exact_only=True)
    assert form == "7XKR2B9"
    assert probability == pytest.approx(0.7)


def test_one_character_in_seven_is_not_likely_because_it_is_near() -> None:
    assert [form for form, _ in likely_forms(text_of("5SOW750", 0.97), 0.01)] == ["5S0W750"]


def test_an_unreadable_slot_is_matched_only_where_one_character_is_likely() -> None:
    flat = text_of("7XKR2?9".replace("?", "A"), 0.3, doubts={5: dict.fromkeys(ALPHABET, 1 / 36)})
    unreadable = PlateText(text="7XKR2?9", confidence=0.3, slots=flat.slots, candidates=())
    assert likely_forms(unreadable, 0.2) == []
    assert likely_forms(unreadable, 0.2, exact_only=True) == []
    half = text_of("7XKR2A9", 0.5, doubts={5: {"A": 0.5, "4": 0.49}})
    unsure = PlateText(text="7XKR2?9", confidence=0.5, slots=half.slots, candidates=())
    assert {form for form, _ in likely_forms(unsure, 0.2)} == {"7XKR2A9", "7XKR249"}


def test_a_text_below_the_threshold_gives_nothing() -> None:
    assert likely_forms(text_of("7XKR219", 0.1), 0.2, exact_only=True) == []
    assert likely_forms(text_of("7XKR219", 0.0), 0.2) == []
