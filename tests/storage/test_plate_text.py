"""One normal form of a plate, wherever it comes from."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.plate_text import normal_plate


@pytest.mark.parametrize("text", ["7abc123", " 7ABC 123 ", "7-ABC-123", "7.ABC.123", "7ABC·123", "7ABC•123"])
def test_spaces_hyphens_and_dots_of_any_kind_make_no_difference(text: str) -> None:
    assert normal_plate(text) == "7ABC123"


@given(st.text(max_size=20))
def test_the_normal_form_of_a_normal_form_is_itself(text: str) -> None:
    assert normal_plate(normal_plate(text)) == normal_plate(text)
