"""A state as a person types it, and as it is in an entry."""

from __future__ import annotations

import pytest

from storage.errors import RecordError
from storage.plate_states import known_state, typed_state


@pytest.mark.parametrize(
    ("typed", "state"),
    [("CA", "US-CA"), (" ca ", "US-CA"), ("us-ca", "US-CA"), ("MX", "MX"), ("CA-ON", "CA-ON"), ("", "")],
)
def test_a_state_is_taken_in_two_letters_or_in_full(typed: str, state: str) -> None:
    assert typed_state(typed) == state


@pytest.mark.parametrize("typed", ["california", "US-ZZ", "C", "CA-", "CA\x1b", "U S"])
def test_what_is_not_a_state_is_refused_before_it_counts(typed: str) -> None:
    with pytest.raises(RecordError, match="CA or US-CA"):
        typed_state(typed)


@pytest.mark.parametrize("typed", ["CA", "us-ca", "CA-ON", "mx", "GB", ""])
def test_a_state_that_there_is_is_taken_as_it_was(typed: str) -> None:
    assert known_state(typed) == typed_state(typed)


@pytest.mark.parametrize(
    ("typed", "what"),
    [
        ("ON", "write CA-ON"),
        ("qc", "write CA-QC"),
        ("PQ", "write CA-QC"),
        ("nf", "write CA-NL"),
        ("UK", "write GB"),
        ("EU", "a country's two letters"),
        ("ZZ", "neither a state nor a country"),
        ("UK-LDN", "neither a state nor a country"),
        ("CA-ZZ", "neither a state nor a country"),
    ],
)
def test_a_province_is_not_a_country_and_a_mistake_is_not_a_state(typed: str, what: str) -> None:
    """Once, ON, typed from an Ontario plate's picture, counted as a state other than the entry's: a "no"."""
    with pytest.raises(RecordError, match=what):
        known_state(typed)
