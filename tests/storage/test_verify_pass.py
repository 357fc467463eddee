"""The steps of `verify` one by one: what must exist, what must be destroyed, and what may be either."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlite_utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from custody_twins import Department, SteppedTime, add_reads, check

from hw.secure_slot import LoopbackSlot
from storage import merkle
from storage.checkpoint import NoteKey
from storage.database import blob_of
from storage.epochs import EpochFacts, LogFacts
from storage.findings import UnitReport
from storage.home import Home
from storage.keyring import EpochKey
from storage.leaf import Leaf, Mark
from storage.ledger import Ledger
from storage.log_records import EpochPurged, PurgeIntent
from storage.record_base import ClockState, KeyClass
from storage.store import bound
from storage.verify_pass import Elements, HomeCheck

KEY = NoteKey("log", Ed25519PrivateKey.generate().public_key())
MARK = Mark(bytes(32), bytes(32))


@pytest.fixture
def checked(database: sqlite_utils.Database, tmp_path: Path) -> HomeCheck:
    """A check of an empty log, whose book a test fills."""
    return HomeCheck(Home(tmp_path), database, KEY, UnitReport(), None, "tpm:0x1")


def said(report: UnitReport) -> list[str]:
    return [f"{one.where}: {one.what}" for one in report.findings]


def facts(epoch: int, sequence: int, *, key_at: str = "kek", purged_by: int | None = None) -> EpochFacts:
    return EpochFacts(epoch, KeyClass.READ, 0, key_at, sequence, purged_by=purged_by)


def pending(*epochs: int) -> tuple[int, PurgeIntent]:
    purged = tuple(
        EpochPurged(epoch=one, key_class=KeyClass.READ, records=1, clause="463.8", reason="x")
        for one in epochs
    )
    return 9, PurgeIntent(generation=2, epochs=purged, at_us=1, clock_state=ClockState.DISCIPLINED, by="x")


@pytest.mark.parametrize(
    ("name", "sequence", "going", "due"),
    [
        ("entry", 3, (), True), ("entry", 3, (1,), True), ("text", 3, (), None),
        ("keyring", 5, (), True), ("keyring", 0, (), False), ("keyring", 9, (), False),
        ("keyring", 4, (1,), False), ("keyring", 5, (1,), None), ("keyring", 9, (1,), None),
        ("wrap", 6, (), True), ("wrap", 7, (), False), ("wrap", 3, (), False), ("wrap", 5, (), False),
        ("wrap", 6, (1,), None), ("wrap", 7, (1,), None),
        ("escrow", 6, (), True), ("escrow", 7, (), False), ("escrow", 3, (), True),
        ("escrow", 6, (1,), True), ("escrow", 6, (2,), None), ("escrow", 7, (1,), False),
    ],
)  # fmt: skip
def test_key_material_must_be_there_or_gone_and_either_only_while_a_purge_is_under_way(
    checked: HomeCheck, name: str, sequence: int, going: tuple[int, ...], due: bool | None
) -> None:
    """The keyring is in record 5; records 3, 6 and 7 opened epochs 1, 2 and 3, the last of them purged."""
    epochs = {1: facts(1, 3), 2: facts(2, 6), 3: facts(3, 7, purged_by=8)}
    checked.book = LogFacts(epochs=epochs, keyring_at=5, pending=pending(*going) if going else None)
    leaf = Leaf(log_id=bytes(32), kind="gap", sequence=sequence, epoch=0, key_class=KeyClass.OPEN,
                elements={name: MARK})  # fmt: skip
    assert checked._due(leaf, name) is due


@pytest.mark.parametrize(
    ("key_at", "own", "day"),
    [("kek", True, False), ("day", False, True), ("kek and day", True, True), ("memory", False, False)],
)
def test_a_key_is_where_the_log_says_and_nowhere_else(
    checked: HomeCheck, key_at: str, own: bool, day: bool
) -> None:
    checked.book = LogFacts(epochs={1: facts(1, 3, key_at=key_at)})
    for has_own in (False, True):
        for has_day in (False, True):
            key = EpochKey(
                epoch=1, key_class=KeyClass.READ, own=bytes(32) if has_own else None,
                day=bytes(113) if has_day else None, day_key=None,
            )  # fmt: skip
            wrong = [f"contradicts the log on the key of epoch 1 in the clear (the log: {key_at})"]
            sealed = [f"contradicts the log on the sealed key of epoch 1 (the log: {key_at})"]
            found = list(checked._wrong_key(key, set()))
            assert found == wrong * (has_own != own) + sealed * (has_day != day)


@pytest.mark.parametrize(
    ("row", "wrong"),
    [
        (None, []),
        ((0, 3), ["a cached tree hash is wrong: level 0, 3"]),
        ((7, 0), ["a cached tree hash is wrong: level 7, 0"]),
        ((9, 0), ["a cached tree hash is wrong: level 9, 0"]),
        ((8, -1), ["a cached tree hash is wrong: level 8, -1"]),
        ((8, 2), ["a cached tree hash is wrong: level 8, 2"]),
        ((16, 0), ["a cached tree hash is wrong: level 16, 0"]),
        ((64, 0), ["a cached tree hash is wrong: level 64, 0"]),
    ],
)
def test_every_kept_tree_hash_is_computed_again_and_no_other_is_kept(
    checked: HomeCheck, database: sqlite_utils.Database, row: tuple[int, int] | None, wrong: list[str]
) -> None:
    hashes = [merkle.leaf_hash(number.to_bytes(2, "big")) for number in range(600)]
    database.conn.executemany("INSERT INTO leaves VALUES (?, 0, x'00', ?)", list(enumerate(hashes)))
    roots = [merkle.root_of(hashes[first : first + 256]) for first in (0, 256)]
    database.conn.executemany("INSERT INTO nodes VALUES (8, ?, ?)", list(enumerate(roots)))
    if row is not None:
        database.conn.execute("INSERT INTO nodes VALUES (?, ?, ?)", (*row, roots[0]))
        wrong = [*wrong, "3 cached tree hashes, not 2"]
    checked._nodes(600)
    assert said(checked.report) == [f"nodes: {one}" for one in wrong]


def test_of_two_anchors_the_longer_counts_and_of_equals_the_first(checked: HomeCheck) -> None:
    report = checked.report
    for size, by, counts in ((3, "slot", 3), (3, "department", 3), (4, "department", 4), (2, "slot", 4)):
        checked._anchor(size, by)
        assert (report.anchored, report.anchored_by) == (counts, "slot" if counts == 3 else "department")


def test_each_element_is_given_to_its_record_and_the_rest_is_named(database: sqlite_utils.Database) -> None:
    rows = [(1, "a", b"1"), (3, "b", b"2"), (3, "c", b"3"), (4, "d", b"4"), (9, "e", b"5"), (9, "f", b"6")]
    database.conn.executemany("INSERT INTO elements VALUES (?, ?, ?)", rows)
    report = UnitReport()
    elements = Elements(database, report)
    assert [elements.of(0), elements.of(1), elements.of(2)] == [{}, {"a": b"1"}, {}]
    assert (elements.of(3), report.findings) == ({"b": b"2", "c": b"3"}, [])
    assert elements.of(5) == {}
    elements.rest()
    assert [one.record for one in report.findings] == [4, 9, 9]
    assert set(said(report)) == {"elements: an element without a record"}


def test_a_record_under_an_epoch_that_was_opened_after_it_is_found(
    ledger: Ledger, home: Path, slot: LoopbackSlot
) -> None:
    store = ledger.store
    epoch = store.book.next_epoch()
    with store.adding():
        early = store.add_leaf("read", epoch, KeyClass.READ, [bound("text", b"x")])
        store.open_epoch(KeyClass.READ, "start")
    ledger.close()
    assert said(check(home, slot)) == [
        f"record {early.sequence}: names epoch {epoch}, which was not open for it"
    ]


def test_what_no_key_was_given_for_is_counted(
    ledger: Ledger, home: Path, slot: LoopbackSlot, time: SteppedTime
) -> None:
    department = Department()
    department.enroll(ledger)
    add_reads(ledger, time, 1)
    department.cosign(ledger)
    department.receipt(ledger, 0, 3)
    department.cosign(ledger)
    ledger.close()
    report = check(home, slot)
    assert (report.ok, report.anchored_by, report.slot_checked) == (True, "slot", True)
    assert report.notes == ["3 signatures of a department were not checked: give its key (--department)"]
    report = check(home, slot, department.note_key)
    assert (report.ok, report.notes, report.records) == (True, [], report.anchored)


@pytest.mark.parametrize("value", [None, 5, 1 << 60, "text"], ids=str)
def test_a_row_that_holds_no_bytes_is_damage_and_takes_no_memory(value: object) -> None:
    """For a number n, bytes(n) would take n bytes of memory."""
    with pytest.raises(TypeError, match="is not a blob"):
        blob_of(value)
    assert blob_of(b"as it is") == b"as it is"
