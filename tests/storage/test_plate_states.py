"""A state as a person types it, and as an entry writes it."""

from __future__ import annotations

import pytest

from storage.errors import RecordError
from storage.plate_states import typed_state


@pytest.mark.parametrize(
    ("typed", "state"),
    [("CA", "US-CA"), (" ca ", "US-CA"), ("us-ca", "US-CA"), ("MX", "MX"), ("CA-ON", "CA-ON"), ("", "")],
)
def test_a_state_is_taken_in_two_letters_or_in_full(typed: str, state: str) -> None:
    assert typed_state(typed) == state


@pytest.mark.parametrize("typed", ["california", "US-ZZ", "C", "CA-", "CA\x1b", "U S"])
def test_what_is_no_state_is_refused_before_it_counts(typed: str) -> None:
    with pytest.raises(RecordError, match="CA or US-CA"):
        typed_state(typed)
