"""Entries of hot lists: their one form of bytes, their folded key, and what no entry can be."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from storage.envelope import encode
from storage.errors import EnvelopeError, RecordError
from storage.plate_text import fold
from sync.hot_lists.entry import ListEntry, key_of

PLATES = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=1, max_size=16)
TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40)
ENTRIES = st.builds(
    ListEntry,
    plate=PLATES,
    category=st.sampled_from(["stolen-vehicle", "wanted-person"]),
    state=st.sampled_from(["", "US-CA", "MX", "CA-ON"]),
    reason=TEXTS,
    make=TEXTS,
    color=TEXTS,
    year=st.none() | st.integers(1900, 2100),
    plate_class=st.sampled_from(["", "car", "motorcycle", "trailer"]),
    vin_tail=TEXTS.map(lambda text: text[:8]),
    until_us=st.none() | st.integers(0, 1 << 60),
    recipients=st.lists(st.sampled_from(["chief", "det.lee"]), max_size=2).map(tuple),
)


@given(ENTRIES)
def test_an_entry_comes_back_from_its_bytes(entry: ListEntry) -> None:
    assert ListEntry.from_bytes(entry.to_bytes()) == entry


@st.composite
def altered(draw: st.DrawFn) -> bytes:
    """The bytes of an entry, a few of them replaced."""
    data = draw(ENTRIES).to_bytes()
    start = draw(st.integers(0, len(data)))
    return data[:start] + draw(st.binary(max_size=3)) + data[start + draw(st.integers(0, 3)) :]


@given(st.binary(max_size=60) | altered())
@example(ListEntry(plate="7XKR219", category="stolen-vehicle").to_bytes())
def test_no_bytes_raise_anything_but_a_refusal(data: bytes) -> None:
    try:
        entry = ListEntry.from_bytes(data)
    except (EnvelopeError, RecordError):
        return
    assert entry.to_bytes() == data


@given(PLATES, PLATES)
def test_keys_are_equal_exactly_where_the_folded_plates_are(one: str, other: str) -> None:
    assert (key_of(one) == key_of(other)) == (fold(one) == fold(other))


@pytest.mark.parametrize(
    ("one", "other"), [("7XKR2O9", "7XKR209"), ("I234567", "1234567"), ("OIOIOI", "010101")]
)
def test_the_letter_o_and_zero_are_one_key_as_i_and_one_are(one: str, other: str) -> None:
    assert key_of(one) == key_of(other)


def test_a_key_fits_64_bits_and_a_leading_zero_counts() -> None:
    assert key_of("Z" * 12) < 1 << 63
    assert key_of("0ABC123") != key_of("ABC123")
    assert 1 << 63 <= key_of("Z" * 16) < 1 << 64


GOOD = ListEntry(plate="7XKR219", category="stolen-vehicle")
BAD: list[tuple[str, object]] = [
    ("plate", ""),
    ("plate", "7XKR21?"),
    ("plate", "7xkr219"),
    ("plate", "А7XKR21"),  # a Cyrillic A
    ("plate", "A" * 17),
    ("category", "Stolen"),
    ("state", "CA-USA-1"),
    ("state", "california"),
    ("plate_class", "boat"),
    ("year", 1776),
    ("reason", "a" * 201),
    ("make", "red\x1b[2J"),
    ("agency", "line\nbreak"),
    ("recipients", ("",)),
    ("recipients", ("chief",) * 33),
]


@pytest.mark.parametrize(("name", "value"), BAD, ids=lambda value: ascii(value)[:20])
def test_an_impossible_field_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(RecordError, match=name):
        replace(GOOD, **{name: value})  # type: ignore[arg-type]


WRONG = [
    [],
    ["7XKR219"],
    ["7XKR219", "stolen-vehicle", ""],  # an empty last field is left out in the one form
    ["7XKR219", "stolen-vehicle", 7],
    ["7XKR219", "stolen-vehicle", *[""] * 20],
    {"plate": "7XKR219"},
    "7XKR219",
]


@pytest.mark.parametrize("value", WRONG, ids=ascii)
def test_bytes_of_another_form_are_refused(value: object) -> None:
    with pytest.raises(RecordError):
        ListEntry.from_bytes(encode(value))


def test_no_plate_shows_in_a_repr() -> None:
    shown = repr(replace(GOOD, reason="owner J. Doe", vin_tail="12345678", case="26-1"))
    for part in ("7XKR219", "Doe", "12345678", "26-1"):
        assert part not in shown
