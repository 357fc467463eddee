"""Heads, parts and deltas: a delta leads to exactly the list that was signed."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import codec
from storage.envelope import encode
from storage.errors import EnvelopeError, RecordError, StorageError
from sync.hot_lists import document
from sync.hot_lists.document import (
    DELTAS,
    ListDelta,
    delta_name,
    difference,
    digest_of,
    in_parts,
    pack_part,
    total_digest,
    unpack_part,
)

LISTS = st.lists(st.binary(min_size=1, max_size=6), max_size=20, unique=True)


@given(LISTS, LISTS)
def test_a_difference_leads_from_the_old_list_to_the_new(old: list[bytes], new: list[bytes]) -> None:
    went, came = difference(old, new)
    assert len(went) + len(came) == len(set(old) ^ set(new))
    left = [one for one in old if digest_of(one) not in set(went)]
    assert set(left) | set(came) == set(new)


@given(LISTS)
def test_a_digest_does_not_depend_on_the_order(entries: list[bytes]) -> None:
    assert total_digest(map(digest_of, entries)) == total_digest(map(digest_of, reversed(entries)))
    assert total_digest([]) == bytes(32)


def test_a_change_of_a_hundred_entries_travels_as_a_hundred() -> None:
    old = [encode(["P", number]) for number in range(20_000)]
    new = [*old[50:], *(encode(["Q", number]) for number in range(50))]
    went, came = difference(old, new)
    assert (len(went), len(came)) == (50, 50)
    delta = ListDelta(list_id="doj", sequence=2, removed=tuple(went), added=tuple(came))
    assert len(codec.to_bytes(delta)) < 5_000


@given(st.lists(st.binary(max_size=100), max_size=50))
def test_a_part_comes_back_whole(entries: list[bytes]) -> None:
    assert unpack_part(pack_part("doj", 7, entries), "doj", 7) == entries


def test_parts_are_bounded_and_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "PART_ENTRIES", 3)
    entries = [bytes([number]) for number in range(8)]
    parts = list(in_parts(entries))
    assert [len(one) for one in parts] == [3, 3, 2]
    assert [one for part in parts for one in part] == entries


GOOD = pack_part("doj", 7, [b"x"])
BAD_PARTS = [
    pytest.param(b"", id="nothing"),
    pytest.param(GOOD[:-1], id="cut"),
    pytest.param(GOOD + b"x", id="followed by more"),
    pytest.param(b"not compressed", id="not compressed"),
    pytest.param(zlib.compress(b"\xff"), id="no CBOR"),
    pytest.param(zlib.compress(encode(["doj", 7])), id="too few fields"),
    pytest.param(zlib.compress(encode(["doj", 7, ["text"]])), id="text for bytes"),
    pytest.param(zlib.compress(encode(["doj", 7, [b"x" * 5000]])), id="an entry too long"),
    pytest.param(pack_part("doj", 8, [b"x"]), id="another version"),
    pytest.param(pack_part("dmv", 7, [b"x"]), id="another list"),
]


@pytest.mark.parametrize("data", BAD_PARTS)
def test_a_part_that_is_not_what_was_signed_is_refused(data: bytes) -> None:
    with pytest.raises((EnvelopeError, RecordError)):
        unpack_part(data, "doj", 7)


def test_a_bomb_costs_no_more_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "MAX_PART_BYTES", 1 << 20)
    with pytest.raises(EnvelopeError, match="is over"):
        unpack_part(zlib.compress(bytes(64 << 20)), "doj", 7)


@given(st.binary(max_size=80))
def test_no_bytes_raise_anything_but_a_refusal(data: bytes) -> None:
    for parse in (document.parse_head, document.parse_delta):
        with pytest.raises(StorageError):
            parse(data)


def test_names_of_deltas_are_a_ring() -> None:
    assert {delta_name("doj", number) for number in range(1, 500)} == {
        f"hot-list-delta/doj.{number}" for number in range(DELTAS)
    }
