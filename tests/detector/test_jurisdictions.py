"""Formats raise the texts that a jurisdiction issues, and leave room for texts that none issues."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.jurisdictions import COUNTRIES, STATES, FormatPrior, formats_of, shape_of
from detector.plates import ALPHABET

CODES = (*(f"US-{state}" for state in STATES), *COUNTRIES)
PRIOR = FormatPrior(CODES)
EVEN = np.full(len(CODES), 1 / len(CODES))


def log_prior(prior: FormatPrior, text: str, chances: np.ndarray) -> float:
    """The log lift of a text, for these probabilities of the jurisdictions, (J,)."""
    return math.log(max(float(prior.lifts(text) @ chances), 1e-300))


def only(code: str) -> np.ndarray:
    made: np.ndarray = np.eye(len(CODES))[CODES.index(code)]
    return made


@pytest.mark.parametrize("code", CODES)
def test_every_jurisdiction_has_series_that_share_its_plates(code: str) -> None:
    series = formats_of(code)
    assert sum(one.share for one in series) == pytest.approx(1)
    assert all(3 <= len(one.shape) <= 10 for one in series)


def test_a_code_that_is_not_known_has_no_series_and_prefers_nothing() -> None:
    assert formats_of("US-XX") == ()
    unknown = FormatPrior(["XX"])
    assert log_prior(unknown, "ABC1234", np.ones(1)) == pytest.approx(
        log_prior(unknown, "AB12C34", np.ones(1))
    )


@pytest.mark.parametrize(
    ("code", "issued", "not_issued"),
    [
        ("US-CA", "7ABC123", "7A8C123"),
        ("US-MO", "AB1C2D", "AB1CD2"),
        ("BR", "ABC1D23", "ABCD123"),
        ("AR", "AB123CD", "AB12CDE"),
        ("EU", "LS15EBC", "LS1SEBC"),
        ("US-TX", "BCD1234", "BCDI234"),
    ],
)
def test_an_issued_text_is_likelier_than_one_that_is_not(code: str, issued: str, not_issued: str) -> None:
    assert log_prior(PRIOR, issued, only(code)) > log_prior(PRIOR, not_issued, only(code)) + 1
    assert PRIOR.fits(issued, only(code)) > 0.8
    assert PRIOR.fits(not_issued, only(code)) < 0.5


def test_letters_that_a_state_skips_are_not_series_of_it() -> None:
    assert log_prior(PRIOR, "7AOC123", only("US-CA")) < log_prior(PRIOR, "7ABC123", only("US-CA")) - 3


@settings(max_examples=60, deadline=None)
@given(st.text(ALPHABET, min_size=1, max_size=8), st.sampled_from(CODES))
def test_no_text_is_impossible(text: str, code: str) -> None:
    assert log_prior(PRIOR, text, only(code)) > -10


@settings(max_examples=40, deadline=None)
@given(st.text(ALPHABET, min_size=1, max_size=8))
def test_slot_priors_are_those_of_the_texts_written_out(text: str) -> None:
    rows = PRIOR.log_slot_prior(text, EVEN)
    for slot in range(len(text)):
        for label, character in enumerate([*ALPHABET, ""]):
            replaced = text[:slot] + character + text[slot + 1 :]
            assert rows[slot, label] == pytest.approx(log_prior(PRIOR, replaced, EVEN))


def test_a_text_names_its_jurisdiction() -> None:
    informed = PRIOR.informed("7ABC123", EVEN, 1.0)
    assert informed.sum() == pytest.approx(1)
    assert CODES[int(np.argmax(informed))] == "US-CA"


def test_shape_names_letters_and_digits() -> None:
    assert shape_of("7ABC123") == "9AAA999"
