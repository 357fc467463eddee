"""Reading a closed log's folder, row by row, over a ledger in memory, and what is left of it."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import sqlite_utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from receiver_twins import Joined, purge_all

from storage import leaf as leaf_format
from storage.errors import LedgerError
from storage.leaf import Leaf, Mark
from storage.record_base import KeyClass
from sync import handover, messages
from sync.closed_parcels import ClosedHeld
from sync.handover import (
    AT_ONCE,
    EMPTY_RUNS,
    KEYS_FILE,
    BadRecord,
    HandedRecord,
    Handover,
    answered,
    closed_logs,
    open_handover,
)
from sync.membership import SyncFolder

KEY, OTHER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
LOG = leaf_format.log_id_of(KEY.public_key())
Content = Mapping[str, bytes]


def leaf(
    sequence: int, content: Content | None = None, key: Ed25519PrivateKey = KEY, **changes: Any
) -> bytes:
    marks = {
        name: Mark(bytes(32), hashlib.sha256(data).digest())
        for name, data in (content or {"text": b""}).items()
    }
    facts: dict[str, Any] = {
        "log_id": leaf_format.log_id_of(key.public_key()),
        "sequence": sequence,
    } | changes
    return Leaf(kind="read", epoch=3, key_class=KeyClass.READ, elements=marks, **facts).sign(key)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    made = Folder(tmp_path)
    yield made
    made.database.close()


class Folder:
    """A ledger in memory; `torn`: queries with this text fail, as on a damaged file."""

    def __init__(self, path: Path) -> None:
        self.path, self.torn = path, ""
        self.database = sqlite_utils.Database(memory=True)
        self.run = self.database.conn.execute
        self.run("CREATE TABLE leaves (sequence INTEGER PRIMARY KEY, leaf BLOB)")
        self.run("CREATE TABLE elements (sequence INTEGER, name TEXT, stored BLOB)")

    def put(self, sequences: Sequence[int], *data: object) -> None:
        for one in sequences:
            self.run("INSERT INTO leaves VALUES (?, ?)", (one, *(data or (leaf(one),))))

    def element(self, sequence: int, name: str, data: object) -> None:
        self.run("INSERT INTO elements VALUES (?, ?, ?)", (sequence, name, data))

    def execute(self, sql: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        if self.torn and self.torn in sql:
            raise sqlite3.DatabaseError("database disk image is malformed")
        return self.run(sql, values)

    def open(self, *, key: bool = True) -> Handover:
        def public() -> object:
            if not key:
                raise LedgerError("is damaged")
            return SimpleNamespace(public=KEY.public_key())

        home = SimpleNamespace(read_public_key=public, blobs=self.path / "blobs", folder=self.path)
        database = SimpleNamespace(conn=self)
        return Handover(cast(Any, home), cast(Any, database), ())


def numbers(handed: Handover, first: int = 0) -> list[int]:
    return [one.sequence for one in handed.records(first)]


@pytest.mark.parametrize("first", [0, 199, 200, 201, 650])
def test_every_record_comes_in_order_whatever_gaps_there_are(folder: Folder, first: int) -> None:
    there = [*range(AT_ONCE), AT_ONCE + 1, *range(640, 660)]
    folder.put(there)
    assert numbers(folder.open(), first) == [one for one in there if one >= first]
    assert folder.open().size == 660


@pytest.mark.parametrize(("portion", "found"), [(EMPTY_RUNS, True), (EMPTY_RUNS + 1, False)])
def test_where_the_end_is_unknown_fifty_empty_portions_are_the_end(
    folder: Folder, portion: int, found: bool
) -> None:
    folder.put([0, 5 * AT_ONCE, (5 + portion) * AT_ONCE])
    folder.torn = "max(sequence)"
    assert numbers(folder.open()) == [0, 5 * AT_ONCE, *[(5 + portion) * AT_ONCE] * found]
    folder.torn = ""
    assert len(numbers(folder.open())) == 3


def test_a_torn_portion_is_read_row_by_row(folder: Folder) -> None:
    folder.put(range(3))
    folder.put([AT_ONCE])
    folder.torn = "ORDER BY sequence"
    assert numbers(folder.open()) == [0, 1, 2, AT_ONCE]


@pytest.mark.parametrize("forged", [7, 1 << 40, "text", None], ids=["short", "a terabyte", "text", "nothing"])
def test_a_row_that_holds_no_bytes_is_a_bad_record_and_costs_no_memory(
    folder: Folder, forged: object
) -> None:
    folder.put([0, 2])
    folder.put([1], forged)
    good, bad, last = folder.open().records()
    assert [one.sequence for one in (good, bad, last)] == [0, 1, 2]
    assert bad == BadRecord(1, "its part of the ledger cannot be read")
    assert isinstance(good, HandedRecord)
    assert isinstance(last, HandedRecord)
    folder.run("UPDATE leaves SET leaf = ? WHERE sequence = 1", (leaf(1),))
    folder.element(1, "text", forged)
    assert [type(one) for one in folder.open().records()] == [HandedRecord, BadRecord, HandedRecord]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (leaf(4), "belongs to another place or log"),
        (leaf(5, log_id=bytes(32)), "belongs to another place or log"),
        (leaf(5, key=OTHER, log_id=LOG), "signed by another key"),
        (b"nothing", ""),
    ],
    ids=["another place", "another log", "another key", "no leaf"],
)
def test_a_record_that_does_not_verify_is_named_and_the_others_come(
    folder: Folder, data: bytes, words: str
) -> None:
    folder.put([4, 6])
    folder.put([5], data)
    good, bad, last = folder.open().records()
    assert (good.sequence, bad.sequence, last.sequence) == (4, 5, 6)
    assert isinstance(bad, BadRecord)
    assert words in bad.what
    assert isinstance(last, HandedRecord)


def test_an_element_is_handed_over_where_it_is_what_its_leaf_names(folder: Folder) -> None:
    content = {"entry": b"altered", "overview": b"an image", "patch": b"lost", "place": b"", "text": b"true"}
    folder.put([1], leaf(1, content))
    for name, data in (("entry", b"other"), ("place", b""), ("text", b"true")):
        folder.element(1, name, data)
    images = folder.path / "blobs" / "00000003"
    images.mkdir(parents=True)
    for name in ("overview", "text"):
        (images / hashlib.sha256(content[name]).hexdigest()).write_bytes(content[name])
    (one,) = folder.open().records()
    assert isinstance(one, HandedRecord)
    assert one.elements == (("overview", b"an image"), ("place", b""), ("text", b"true"))
    assert one.lost == ("entry", "patch")
    folder.run("DELETE FROM elements WHERE name = 'text'")  # only images are kept as files
    (one,) = folder.open().records()
    assert isinstance(one, HandedRecord)
    assert one.lost == ("entry", "patch", "text")


def test_content_that_a_forged_table_holds_as_a_number_makes_its_record_bad(folder: Folder) -> None:
    folder.put([1], leaf(1, {"text": b"true"}))
    folder.element(1, "text", 1 << 40)  # a number, for which bytes() would take that much memory
    assert list(folder.open().records()) == [BadRecord(1, "is not a blob")]


def test_without_its_key_the_log_is_the_one_that_most_of_its_first_records_name(folder: Folder) -> None:
    folder.put(range(0, 150))
    folder.put(range(150, 190), b"no leaf")
    for at in range(190, 600):
        folder.put([at], leaf(at, key=OTHER))
    handed = folder.open(key=False)
    assert handed.log_id == LOG
    assert handed.public is None
    assert sum(isinstance(one, HandedRecord) for one in handed.records()) == 150


@pytest.mark.parametrize("length", [16 << 20, (16 << 20) + 1])
def test_a_folder_whose_keys_are_damaged_is_opened_all_the_same(unit: Joined, length: int) -> None:
    """Its records verify although their content cannot be opened, so the department should get them."""
    unit.add(1)
    path = unit.close_log()
    with (path / KEYS_FILE).open("wb") as file:
        file.truncate(length)
    with open_handover(path) as handed:
        assert handed.keys == ()
        assert all(isinstance(one, HandedRecord) for one in handed.records())
        assert handed.size > 1


# --- what is left ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("undelivered", "ranges", "left"),
    [
        (None, None, -1), ((), None, 0), ((4, 5, 9), None, 3), ((4, 5, 9), (), 3),
        ((4, 5, 9), ((4, 4),), 2), ((4, 5, 9), ((5, 8),), 2), ((4, 5, 9), ((0, 3), (6, 8)), 3),
        ((4, 5, 9), ((4, 5), (9, 9)), 0), ((4, 5, 9), ((0, 9),), 0),
    ],
)  # fmt: skip
def test_a_read_is_left_until_the_department_says_that_it_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    undelivered: tuple[int, ...] | None, ranges: tuple[tuple[int, int], ...] | None, left: int,
) -> None:  # fmt: skip
    """ranges: the records that an answer covers, or None without an answer."""
    member = SimpleNamespace(department_public=KEY.public_key)
    folder = cast(SyncFolder, SimpleNamespace(path=tmp_path, inbox=tmp_path, member=lambda: member))
    (tmp_path / "old" / "one" / "store").mkdir(parents=True)
    monkeypatch.setattr(handover, "_undelivered", lambda _beside: undelivered)
    monkeypatch.setattr(
        handover, "Home",
        lambda _beside: SimpleNamespace(read_public_key=lambda: SimpleNamespace(public=KEY.public_key())),
    )  # fmt: skip
    if ranges is not None:
        answers = tmp_path / "old" / "one" / "answers"
        answers.mkdir()
        for at, (first, last) in enumerate(ranges):
            held = ClosedHeld(
                log_id=bytes(32), closed=LOG, first=first, last=last, digest=bytes(32), lacking=(), bad=(),
                at_us=1,
            )  # fmt: skip
            (answers / f"{at}.cbor").write_bytes(messages.seal_message(held, KEY))
        (answers / "9.cbor").write_bytes(b"damaged")
        there = answered(answers.parent, LOG, KEY.public_key())
        named = [any(first <= at <= last for first, last in ranges) for at in range(11)]
        assert [at in there for at in range(11)] == named
    found = closed_logs(folder)
    assert [(one.reads, one.name) for one in found] == ([(left, "one")] if left else [])


def test_an_answer_to_a_log_whose_key_is_gone_counts_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "old" / "one" / "store").mkdir(parents=True)
    (tmp_path / "old" / "one" / "answers").mkdir()
    monkeypatch.setattr(handover, "_undelivered", lambda _beside: (4, 5))
    assert [one.reads for one in closed_logs(SyncFolder(tmp_path))] == [2]


def test_what_was_purged_before_its_log_was_closed_is_not_left(unit: Joined) -> None:
    unit.add(3)
    purge_all(unit)
    unit.add(2)
    unit.close_log()
    assert [one.reads for one in closed_logs(unit.folder)] == [2]
