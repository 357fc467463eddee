"""How a parcel's elements are sorted, which pieces are kept, and what a hand-over sends at once."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from storage import files, sealing
from storage import leaf as leaf_format
from storage.leaf import ENTRY, Leaf, Mark
from storage.record_base import KeyClass
from storage.times import DAY_US
from sync import messages
from sync.closed_delivery import MOST_LEAF_BYTES, Parcel, cut, header_of, portions
from sync.closed_parcels import MAX_CLOSED_LEAVES
from sync.department.store.partials import Partials
from sync.department.store.unit_logs import FORM_OPEN, NewElement
from sync.department.units import arrival
from sync.errors import MessageError, RefusedByDepartmentError
from sync.handover import Answered, HandedRecord
from sync.pieces import PieceHeader

KEY = Ed25519PrivateKey.generate()
LOG = leaf_format.log_id_of(KEY.public_key())


def leaf_of(
    sequence: int, contents: dict[str, bytes], *, epoch: int = 3, key_class: KeyClass = KeyClass.READ
) -> bytes:
    marks = {name: Mark(bytes(32), hashlib.sha256(data).digest()) for name, data in contents.items()}
    return Leaf(
        log_id=LOG, sequence=sequence, kind="read", epoch=epoch, key_class=key_class, elements=marks
    ).sign(KEY)


# --- a parcel's elements ----------------------------------------------------------------------------------

CONTENTS = {"text": b"sealed text", "patch": b"sealed patch"}


def sort(
    *sent: tuple[int, str, bytes], missing: int = 2, here: Sequence[tuple[int, str]] = ()
) -> arrival._Sorted:
    log = cast(Any, SimpleNamespace(frontier=SimpleNamespace(size=9)))
    rows = {5: (leaf_of(5, CONTENTS), missing)}
    items = [messages.ParcelElement(sequence=n, name=name, length=len(data)) for n, name, data in sent]
    return arrival._sort(log, items, [data for *_, data in sent], rows, {}, set(here))


def test_an_element_sent_twice_in_one_parcel_is_taken_once() -> None:
    found = sort((5, "text", CONTENTS["text"]), (5, "text", b"another"), (5, "patch", CONTENTS["patch"]))
    assert [(number, one.name, one.stored) for number, one in found.sealed] == [
        (5, "text", CONTENTS["text"]),
        (5, "patch", CONTENTS["patch"]),
    ]
    assert (found.ready, found.bad) == ([], [])


def test_what_is_here_already_is_not_taken_again() -> None:
    sent = ((5, "text", b"another"), (5, "patch", CONTENTS["patch"]))
    nothing = sort(*sent, missing=0)
    assert (nothing.sealed, nothing.bad) == ([], [])
    assert [one.name for _, one in sort(*sent, here=[(5, "text")]).sealed] == ["patch"]


def test_an_element_that_is_not_what_its_leaf_names_is_bad_and_a_lost_one_is_given_up() -> None:
    found = sort((5, "text", b"another"), (5, "patch", b""))
    assert found.bad == [
        (5, "text", "is not what its leaf names", False),
        (5, "patch", arrival.GONE, True),
    ]
    assert (found.sealed, found.ready) == ([], [])


@pytest.mark.parametrize(
    ("sent", "code", "held"),
    [
        pytest.param((6, "text", b"x"), "gap", 9, id="of a record that is not here"),
        pytest.param((5, "overview", b"x"), "malformed", None, id="that its leaf does not name"),
    ],
)
def test_an_element_that_no_leaf_here_names_is_refused_with_all_of_its_parcel(
    sent: tuple[int, str, bytes], code: str, held: int | None
) -> None:
    with pytest.raises(RefusedByDepartmentError) as refused:
        sort((5, "text", CONTENTS["text"]), sent)
    assert (refused.value.code, refused.value.held) == (code, held)


def test_an_open_entry_is_taken_only_as_its_leaf_commits_to_it() -> None:
    sealed = sealing.leave_open(sealing.fresh(ENTRY, b"entry"))

    def judged(commitment: bytes) -> arrival._Sorted:
        found = arrival._Sorted()
        mark = Mark(commitment, sealed.digest)
        one = Leaf(
            log_id=LOG, sequence=5, kind="incident", epoch=3, key_class=KeyClass.OPEN, elements={ENTRY: mark}
        )
        item = messages.ParcelElement(sequence=5, name=ENTRY, length=len(sealed.stored))
        arrival._judge(found, one, b"leaf", item, sealed.stored)
        return found

    good, wrong = judged(sealed.commitment), judged(bytes(32))
    assert good.ready == [NewElement(sequence=5, name=ENTRY, form=FORM_OPEN, stored=sealed.stored)]
    assert (good.bad, good.sealed, wrong.ready, wrong.sealed) == ([], [], [], [])
    assert [(number, name, final) for number, name, _, final in wrong.bad] == [(5, ENTRY, False)]


def test_the_large_elements_of_a_parcel_share_a_pack_and_the_small_ones_stay_in_their_rows() -> None:
    packs: list[tuple[int, list[bytes]]] = []

    def put(day: int, pieces: Sequence[bytes]) -> str:
        packs.append((day, list(pieces)))
        return "pack"

    made = arrival.Arrival(
        cast(Any, None), cast(Any, None), cast(Any, SimpleNamespace(put=put)), lambda: 0, lambda: None
    )
    sizes = (arrival.INLINE_BYTES, arrival.INLINE_BYTES + 1, 3, arrival.INLINE_BYTES + 2)
    given = [
        NewElement(sequence=at, name="patch", form=1, stored=bytes([at]) * size)
        for at, size in enumerate(sizes)
    ]
    days = list[int]()
    kept = {one.sequence: one for one in made._packed(7, given, days)}
    assert (days, made.is_on_way(7), made.is_on_way(8)) == ([7], True, False)
    assert packs == [(7, [given[1].stored, given[3].stored])]
    assert (kept[0], kept[2]) == (given[0], given[2])
    assert [(kept[at].stored, kept[at].pack, kept[at].offset, kept[at].length) for at in (1, 3)] == [
        (None, "pack", 0, sizes[1]),
        (None, "pack", sizes[1], sizes[3]),
    ]
    assert made._packed(7, [given[0]], days) == [given[0]]
    assert len(packs) == 1  # no pack without a large element


# --- pieces -----------------------------------------------------------------------------------------------


def piece(offset: int, length: int, **changes: Any) -> PieceHeader:
    facts: dict[str, Any] = {"name": "patch", "sequence": 5, "total": 100} | changes
    return PieceHeader(log_id=LOG, keys=(), offset=offset, length=length, **facts)


def test_of_a_piece_only_what_continues_is_kept(tmp_path: Path) -> None:
    kept, data = Partials(tmp_path / "p"), bytes(range(100))

    def add(offset: int, end: int, **changes: Any) -> int:
        header = piece(offset, end - offset, **changes)
        return kept.add(1, header, memoryview(data[offset:end]))

    assert add(0, 0) == 0  # asks what has arrived
    assert list((tmp_path / "p").iterdir()) == []
    assert add(1, 20) == 0  # a gap
    assert add(0, 20) == 20
    assert add(10, 20) == 20  # nothing new
    assert add(21, 30) == 20
    assert add(20, 30) == 30
    assert add(5, 100) == 100
    assert kept.whole(1, piece(0, 0)) == data
    [path] = (tmp_path / "p").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_piece_is_durable_before_it_is_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, synced = Partials(tmp_path / "p"), list[str]()
    monkeypatch.setattr(files, "sync_file", lambda _descriptor: synced.append("file"))
    monkeypatch.setattr(files, "sync_dir", lambda path: synced.append(path.name))
    for offset in (0, 4):
        kept.add(1, piece(offset, 4), memoryview(b"four"))
    assert synced == ["file", "p", "file"]


def test_a_piece_of_another_length_than_it_says_or_of_no_elements_name_is_not_kept(tmp_path: Path) -> None:
    kept = Partials(tmp_path / "p")
    for header, data in (
        (piece(0, 5), b"four"),
        (piece(0, 4), b"five5"),
        (piece(0, 4, name="../x"), b"four"),
    ):
        with pytest.raises(MessageError):
            kept.add(1, header, memoryview(data))
    assert list(tmp_path.rglob("*")) == [tmp_path / "p"]


def test_another_element_takes_the_place_of_its_own_log_alone(tmp_path: Path) -> None:
    kept = Partials(tmp_path / "p")
    for log_no, sequence in ((1, 5), (11, 5), (1, 6)):
        assert kept.add(log_no, piece(0, 4, sequence=sequence), memoryview(b"four")) == 4
    assert sorted(one.name for one in (tmp_path / "p").iterdir()) == ["1-6-patch-100", "11-5-patch-100"]


def test_pieces_are_removed_once_nothing_followed_for_so_many_days(tmp_path: Path) -> None:
    kept = Partials(tmp_path / "p")
    for log_no, at_s in ((1, 1_000_000), (2, 1_000_001)):
        kept.add(log_no, piece(0, 4), memoryview(b"four"))
        [path] = (tmp_path / "p").glob(f"{log_no}-*")
        os.utime(path, (at_s, at_s))
    assert kept.drop_older(3, 1_000_000_500_000 + 3 * DAY_US) == 1
    assert [one.name for one in (tmp_path / "p").iterdir()] == ["2-5-patch-100"]


# --- a hand-over ------------------------------------------------------------------------------------------


def record(sequence: int, leaf: bytes = b"leaf") -> HandedRecord:
    return HandedRecord(sequence=sequence, leaf=leaf, elements=(), lost=())


@pytest.mark.parametrize(
    ("lengths", "portion"),
    [
        pytest.param([1] * (2 * MAX_CLOSED_LEAVES + 1), [*[MAX_CLOSED_LEAVES] * 2, 1], id="too many"),
        pytest.param([MOST_LEAF_BYTES - 1, 1, 1], [2, 1], id="just as large"),
        pytest.param([MOST_LEAF_BYTES - 1, 2, MOST_LEAF_BYTES - 2, 1], [1, 2, 1], id="a byte over"),
        pytest.param([MOST_LEAF_BYTES + 1, 1], [1, 1], id="larger alone"),
        pytest.param([], [], id="none"),
    ],
)  # fmt: skip
def test_an_offer_names_as_many_records_as_one_message_takes(lengths: list[int], portion: list[int]) -> None:
    given = [record(at, bytes(length)) for at, length in enumerate(lengths)]
    made = list(portions(given))
    assert [len(some) for some in made] == portion
    assert [one for some in made for one in some] == given


class LastAlone(list[int]):
    """Numbers of which only the last may be read: reading all of them for each record is quadratic."""

    def __iter__(self) -> Iterator[int]:
        raise AssertionError("every number was looked at")


def test_no_offer_names_a_range_across_a_record_that_is_shut() -> None:
    shut = LastAlone()

    def records() -> Iterator[HandedRecord]:
        for at in range(8):
            if at in {0, 3, 4, 7}:
                shut.append(at)
            else:
                yield record(at)

    made = [[one.sequence for one in some] for some in portions(records(), shut)]
    assert made == [[1, 2], [5, 6]]


@pytest.mark.parametrize(
    ("ranges", "there"),
    [
        pytest.param([], set(), id="none"),
        pytest.param([(4, 5), (1, 2)], {1, 2, 4, 5}, id="in any order"),
        pytest.param([(1, 3), (2, 2), (3, 5)], {1, 2, 3, 4, 5}, id="twice"),
        pytest.param([(1, 1), (2, 2)], {1, 2}, id="one beside the other"),
    ],
)
def test_what_answers_name_is_there(ranges: list[tuple[int, int]], there: set[int]) -> None:
    answers = Answered(ranges)
    assert {number for number in range(8) if number in answers} == there


def test_a_parcel_is_cut_at_its_size_and_names_each_record_it_carries() -> None:
    leaves = [leaf_of(at, {"text": bytes(4), "patch": bytes(6)}) for at in range(3)]
    given = [
        HandedRecord(0, leaves[0], (("text", bytes(4)), ("patch", bytes(6))), ()),
        HandedRecord(1, leaves[1], (("patch", bytes(6)),), ("text",)),
        HandedRecord(2, leaves[2], (("text", bytes(4)), ("patch", bytes(6))), ()),
    ]
    made = list(cut(given, 10))
    names = [[(item.sequence, item.name, item.length) for item in one.items] for one in made]
    assert names == [
        [(0, "text", 4), (0, "patch", 6), (1, "text", 0)],  # what the folder lost is sent empty
        [(1, "patch", 6), (2, "text", 4)],
        [(2, "patch", 6)],
    ]
    assert [one.leaves for one in made] == [tuple(leaves[:2]), tuple(leaves[1:]), (leaves[2],)]
    assert [[len(part) for part in one.parts] for one in made] == [[4, 6, 0], [6, 4], [6]]
    assert [len(one.items) for one in cut(given[:1], 1)] == [1, 1]  # a record that is too large goes alone
    assert list(cut([], 10)) == []


def test_the_keys_that_go_along_are_those_of_the_elements() -> None:
    keys = {at: messages.SealedKey(epoch=at, day_key=bytes(32), sealed=bytes(113)) for at in (2, 3, 4)}
    leaves = tuple(leaf_of(at, CONTENTS, epoch=epoch) for at, epoch in ((0, 4), (1, 3), (2, 2), (3, 9)))
    items = tuple(messages.ParcelElement(sequence=at, name="text", length=1) for at in (0, 1, 3))
    header = header_of(bytes(32), LOG, Parcel(leaves, items), keys)
    assert header.keys == (keys[3], keys[4])
    assert header_of(bytes(32), LOG, Parcel(leaves), keys).keys == ()
