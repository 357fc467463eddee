"""One forged input for each finding of `verify`: rows, files, fields, and records signed by a stolen log key.

The rows are changed as whoever can write the card changes them. Where a finding guards against whoever holds
the log key too, the forged record is signed by it, with head and state made to match: nothing but that
finding can show it.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from custody_twins import DAY_US, Department, SteppedTime, add_reads, check

from hw.secure_slot import FileSlot, LoopbackSlot
from storage import codec, keyring, sealing
from storage.audit_records import Gap
from storage.blobs import MAX_BLOB_BYTES
from storage.database import MOST_BYTES
from storage.findings import MAX_FINDINGS, Report
from storage.keyring import AT_DAY, EpochKey
from storage.leaf import ENTRY, KEYRING, Mark
from storage.ledger import Ledger
from storage.log_records import Incident, Resealed, UploadReceipt
from storage.record_base import KeyClass
from storage.sealing import Sealed
from storage.slot import load
from storage.store import Store, bound

SQL = Callable[[sqlite3.Connection], object]
Forgery = Callable[[Ledger, Department, SteppedTime], None]


class Unit:
    """A unit of a department with a few days behind it, its chip, and whoever attacks it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home, self.chip = folder, folder / "home", LoopbackSlot(folder / "chip")
        self.department, self.time = Department(), SteppedTime()

    def live(self) -> None:
        ledger = Ledger.create(self.home, self.chip, self.time, boot=self.time.boot)
        add_reads(ledger, self.time, 2)
        self.department.enrol(ledger)
        add_reads(ledger, self.time, 3)
        add_reads(ledger, self.time, 1, hit=True)
        self.department.cosign(ledger)
        self.department.receipt(ledger, 0, 3)
        with ledger.store.adding():
            for number in range(260):
                ledger.append(Gap(reason="test", from_us=number, to_us=number, lost=0))
        ledger.close()

    def open(self) -> Ledger:
        return Ledger.open(self.home, self.chip, self.time, boot=self.time.boot)

    def check(self, *, slot: bool = True) -> Report:
        return check(self.home, self.chip if slot else None, self.department.note_key)

    def sql(self, attack: SQL) -> None:
        database = sqlite3.connect(self.home / "store" / "ledger.sqlite3")
        with database:
            attack(database)
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.close()


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Unit:
    unit = Unit(tmp_path_factory.mktemp("original"))
    unit.live()
    report = unit.check()
    assert report.ok, report.findings
    assert report.notes == []
    return unit


@pytest.fixture
def unit(original: Unit, tmp_path: Path) -> Unit:
    """A fresh copy for each attack; its slot.uri names the copied chip."""
    shutil.copytree(original.folder, tmp_path / "unit")
    copy = Unit(tmp_path / "unit")
    copy.department = original.department
    copy.time.clock.step(original.time.now().us - copy.time.now().us)
    copy.time.boot_us = original.time.boot_us
    return copy


def said(report: Report) -> list[str]:
    return [f"{one.where}: {one.what}" for one in report.findings]


def run(sql: str, *values: object) -> SQL:
    return lambda database: database.execute(sql, values)


ROWS = [
    pytest.param(run("INSERT INTO elements VALUES (?, 'more', x'00')", 1 << 62),
                 "element without a record", id="an element at 2^62"),
    pytest.param(run("INSERT INTO elements VALUES (?, 'more', x'00')", (1 << 63) - 1),
                 "element without a record", id="an element at the last number there is"),
    pytest.param(run("INSERT INTO elements VALUES (-1, 'more', x'00')"),
                 "element without a record", id="an element at a negative number"),
    pytest.param(run("INSERT INTO elements VALUES (-9223372036854775808, 'more', x'00')"),
                 "element without a record", id="an element at the first number there is"),
    pytest.param(run("INSERT INTO leaves SELECT -1, epoch, leaf, hash FROM leaves WHERE sequence = 1"),
                 "missing: record -1 follows", id="a record at a negative number"),
    pytest.param(run("INSERT INTO leaves SELECT ?, 1, leaf, hash FROM leaves WHERE sequence = 9", 1 << 62),
                 "follows", id="a record at 2^62"),
    pytest.param(run("INSERT INTO nodes VALUES (?, 0, zeroblob(32))", 1 << 62),
                 "cached tree hash is wrong", id="a tree hash at a level without end"),
    pytest.param(run("INSERT INTO nodes VALUES (8, -1, zeroblob(32))"),
                 "cached tree hash is wrong", id="a tree hash at a negative place"),
    pytest.param(run("INSERT INTO nodes VALUES (4, 0, zeroblob(32))"),
                 "cached tree hash is wrong", id="a tree hash at a level that is not kept"),
    pytest.param(run("DELETE FROM nodes"), "0 cached tree hashes where 1 belong", id="no tree hash"),
    pytest.param(run("UPDATE anchors SET size = size - 1"),
                 "filed under another size", id="a co-signed checkpoint under another size"),
    pytest.param(run("UPDATE anchors SET note = (SELECT note FROM head)"),
                 "is not co-signed by", id="the unit's own head filed as co-signed"),
    pytest.param(run("INSERT INTO anchors VALUES (-1, 'nothing')"),
                 "not a signed note", id="a checkpoint that is none, at a negative size"),
    pytest.param(run("UPDATE head SET note = (SELECT note FROM anchors)"),
                 "head: signs 19 records, 280 are there", id="an older head, co-signed, for the newest"),
    pytest.param(run("UPDATE leaves SET epoch = epoch + 1 WHERE sequence = 9"),
                 "cached epoch or hash", id="a cached epoch"),
    pytest.param(run("DELETE FROM state"), "the state record is missing", id="no state"),
    pytest.param(run("CREATE VIEW more AS SELECT 1"), "tables differ", id="a view"),
    pytest.param(run("CREATE TRIGGER more AFTER INSERT ON leaves BEGIN SELECT 1; END"),
                 "tables differ", id="a trigger"),
    pytest.param(run("DELETE FROM elements WHERE name = 'entry' AND sequence = 0"),
                 "its entry is missing", id="an open record without its entry"),
    pytest.param(run("DELETE FROM elements WHERE name = 'keyring'"), "is missing", id="no keyring"),
    pytest.param(run("DELETE FROM elements WHERE name = 'wrap'"), "is missing", id="no wrapped epoch keys"),
]  # fmt: skip


@pytest.mark.parametrize(("attack", "word"), ROWS)
def test_every_changed_row_is_found(unit: Unit, attack: SQL, word: str) -> None:
    unit.sql(attack)
    assert any(word in line for line in said(unit.check())), said(unit.check())


def test_a_row_beyond_all_bounds_ends_the_check_with_a_finding_and_not_the_process(unit: Unit) -> None:
    """The limit is by length, so zeros that take no room count as well."""
    unit.sql(run("INSERT INTO elements VALUES (1, 'more', zeroblob(?))", MOST_BYTES + 1))
    assert any("cannot be read" in line for line in said(unit.check()))


def put(name: str, data: bytes = b"x") -> Callable[[Path], object]:
    def attack(store: Path) -> None:
        path = store / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(data)

    return attack


def sparse(name: str, size: int = 60 << 30) -> Callable[[Path], object]:
    def attack(store: Path) -> None:
        with (store / name).open("r+b") as file:
            file.truncate(size)

    return attack


def image_of(store: Path) -> Path:
    return next(path for path in sorted((store / "blobs").rglob("*")) if path.is_file())


def grown_image(store: Path) -> None:
    os.truncate(image_of(store), MAX_BLOB_BYTES + 1)


def linked_image(store: Path) -> None:
    path = image_of(store)
    path.rename(store.parent / "elsewhere")
    path.symlink_to(store.parent / "elsewhere")


FILES = [
    pytest.param(put("notes.txt"), "notes.txt: does not belong", id="a file that belongs to nothing"),
    pytest.param(put("more/x"), "more: does not belong", id="a folder that belongs to nothing"),
    pytest.param(put("blobs/readme"), "does not belong among the blobs", id="a file among the epochs"),
    pytest.param(put("blobs/1/x"), "does not belong among the blobs", id="an epoch under another name"),
    pytest.param(lambda s: (s / "blobs/00000003/more").mkdir(), "is no file", id="a folder for an image"),
    pytest.param(linked_image, "is no file", id="an image that is a link"),
    pytest.param(lambda s: (s / "door.sock").symlink_to("/dev/null"), "does not belong", id="a link"),
    pytest.param(lambda s: (s / "strays").write_bytes(b""), "does not belong", id="a file for a folder"),
    pytest.param(lambda s: shutil.rmtree(s / "blobs"), "blobs", id="no images at all"),
    pytest.param(sparse("log.pub"), "is larger than", id="a public key of 60 GB"),
    pytest.param(sparse("slot.uri"), "is larger than", id="a slot's name of 60 GB"),
    pytest.param(grown_image, "is larger than any image", id="an image of 64 MB"),
    pytest.param(put("log.pub", b"\xff"), "cannot be read", id="a public key that is no text"),
    pytest.param(put("slot.uri", b"here"), "names no slot", id="a slot's name that is none"),
    pytest.param(put("slot.uri", b"file:gone"), "the file gone is missing", id="a file slot that is gone"),
    pytest.param(lambda s: (s / "slot.uri").unlink(), "slot.uri: ", id="no name of a slot"),
    pytest.param(put("strays/00000009-70/" + "ab" * 32), None, id="one image set aside"),
]


@pytest.mark.parametrize(("attack", "word"), FILES)
def test_every_foreign_missing_or_endless_file_is_found(
    unit: Unit, attack: Callable[[Path], object], word: str | None
) -> None:
    attack(unit.home / "store")
    report = unit.check()
    if word is None:
        assert report.ok
        assert any("of a power cut" in note for note in report.notes)
    else:
        assert any(word in line for line in said(report)), said(report)


def strays(unit: Unit, epoch: int, count: int) -> None:
    folder = unit.home / "store" / "blobs" / f"{epoch:08d}"
    folder.mkdir(exist_ok=True)
    for number in range(count):
        (folder / f"{number:064x}").write_bytes(b"sealed")


def newest_epoch(unit: Unit) -> int:
    return max(int(path.name) for path in (unit.home / "store" / "blobs").iterdir())


@pytest.mark.parametrize(
    ("ahead", "count", "cut"),
    [
        pytest.param(0, 2, False, id="two in the running epoch, as one append leaves"),
        pytest.param(0, 3, True, id="three in the running epoch"),
        pytest.param("next", 2, False, id="two in the epoch that would be opened next"),
        pytest.param("next", 3, True, id="three in the epoch that would be opened next"),
        pytest.param("beyond", 1, True, id="one in an epoch that cannot have been opened"),
        pytest.param("ended", 1, True, id="one in an epoch that had ended"),
    ],
)
def test_images_without_a_record_are_evidence_of_a_cut_beyond_what_one_append_leaves(
    unit: Unit, ahead: object, count: int, cut: bool
) -> None:
    ledger = unit.open()
    following = ledger.store.book.next_epoch()
    ended = next(one.epoch for one in ledger.store.book.epochs.values() if one.key_class is KeyClass.READ)
    ledger.append(Gap(reason="test", from_us=1, to_us=1, lost=0))
    ledger.close()
    epoch = {"next": following, "beyond": following + 1, "ended": ended}.get(str(ahead), newest_epoch(unit))
    strays(unit, epoch, count)
    report = unit.check()
    assert report.ok is not cut, said(report)
    again = unit.open()
    incidents = again.status().incidents
    again.close()
    if ahead == "ended":
        return  # looked through by verify alone: a start does not read the images of every epoch
    assert incidents == int(cut)
    kept = list((unit.home / "store" / "strays").rglob("0*" * 1))
    assert sum(path.is_file() for path in kept) == count
    assert unit.check().ok is not (count > 2)
    assert not (unit.home / "store" / "blobs" / f"{epoch:08d}" / f"{0:064x}").exists()


def forge(store: Store, kind: str, epoch: int, key_class: KeyClass, *sealed: Sealed) -> None:
    """A record that only the log key can make, with head and state."""
    with store.adding():
        store.add_leaf(kind, epoch, key_class, list(sealed))


def sealed_gap(store: Store, epoch: int) -> Sealed:
    gap = codec.to_bytes(Gap(reason="forged", from_us=1, to_us=2, lost=0))
    return sealing.seal(store.live.get(epoch, bytes(32)), store.log_id, store.next_sequence(),
                        sealing.fresh(ENTRY, gap))  # fmt: skip


def epoch_of(store: Store, key_class: KeyClass, *, purged: bool = False, last: bool = False) -> int:
    found = [
        one.epoch
        for one in store.book.epochs.values()
        if one.key_class is key_class and (one.purged_by is not None) == purged
    ]
    return found[-1 if last else 0]


def into_an_ended_epoch(ledger: Ledger, _d: Department, _t: SteppedTime) -> None:
    """Back-dated: a read put where its content goes sooner, or is counted to another day."""
    store = ledger.store
    add_reads(ledger, _t, 1)
    epoch = epoch_of(store, KeyClass.READ)
    element = sealing.seal(bytes(32), store.log_id, store.next_sequence(), sealing.fresh("text", b"x"))
    forge(store, "read", epoch, KeyClass.READ, element)


def into_an_epoch_of_another_class(ledger: Ledger, _d: Department, _t: SteppedTime) -> None:
    store = ledger.store
    forge(store, "gap", epoch_of(store, KeyClass.READ), KeyClass.AUDIT,
          sealed_gap(store, epoch_of(store, KeyClass.READ)))  # fmt: skip


def into_an_epoch_to_come(ledger: Ledger, _d: Department, _t: SteppedTime) -> None:
    store = ledger.store
    forge(store, "gap", store.book.next_epoch(), KeyClass.AUDIT, sealed_gap(store, 0))


def under_a_class_that_is_not_its_own(ledger: Ledger, _d: Department, _t: SteppedTime) -> None:
    store = ledger.store
    epoch = epoch_of(store, KeyClass.READ, last=True)
    forge(store, "gap", epoch, KeyClass.READ, sealed_gap(store, epoch))


def of_another_log(ledger: Ledger, _d: Department, _t: SteppedTime) -> None:
    store = ledger.store
    store.log_id = bytes(32)
    epoch = epoch_of(store, KeyClass.AUDIT)
    forge(store, "gap", epoch, KeyClass.AUDIT, sealed_gap(store, epoch))


def without_its_entry(ledger: Ledger, _d: Department, _t: SteppedTime) -> None:
    store = ledger.store
    forge(store, "incident", 0, KeyClass.OPEN, bound("other", b"x"))


def _held(ledger: Ledger, commitment: bytes | None, record: int) -> None:
    """A `resealed` record whose text is not the held one's, or that holds what is not there yet."""
    store = ledger.store
    with store.adding():
        epoch = store.open_epoch(KeyClass.HOLD, "hold").epoch
        sealed = sealing.seal(store.live[epoch], store.log_id, record, sealing.fresh("text", b"another"))
        if commitment is not None:
            sealed = replace(sealed, commitment=commitment)
        store.add_open(Resealed(record=record, hold=0, epoch=epoch), (sealed,))


def held_other_content(ledger: Ledger, _d: Department, _t: SteppedTime) -> None:
    _held(ledger, None, ledger.store.sequences(epoch_of(ledger.store, KeyClass.READ))[0])


def held_itself(ledger: Ledger, _d: Department, _t: SteppedTime) -> None:
    _held(ledger, None, ledger.store.next_sequence() + 1)


def receipt_that_claims_more(ledger: Ledger, department: Department, _t: SteppedTime) -> None:
    signed = department.receipt_for(ledger, [[0, 5]])
    ledger.append(UploadReceipt(receipt=signed, ranges=((0, 9),), received_us=1))


def receipt_for_another_history(ledger: Ledger, department: Department, _t: SteppedTime) -> None:
    signed = department.receipt_for(ledger, [[0, 5]], root=b"\1" * 32)
    ledger.append(UploadReceipt(receipt=signed, ranges=((0, 5),), received_us=1))


def receipt_before_its_records(ledger: Ledger, department: Department, _t: SteppedTime) -> None:
    size = ledger.store.log.frontier.size
    signed = department.receipt_for(ledger, [[0, 5]], size=size + 9)
    ledger.append(UploadReceipt(receipt=signed, ranges=((0, 5),), received_us=1))


def receipt_by_another(ledger: Ledger, _d: Department, _t: SteppedTime) -> None:
    signed = Department().receipt_for(ledger, [[0, 5]])
    ledger.append(UploadReceipt(receipt=signed, ranges=((0, 5),), received_us=1))


def state_of_an_earlier_size(ledger: Ledger, _d: Department, _t: SteppedTime) -> None:
    store = ledger.store
    body = store.db.execute("SELECT body FROM state").fetchone()[0]
    ledger.append(Incident(what="test", detail="", at_us=1))
    with store.db.atomic():
        store.db.conn.execute("UPDATE state SET body = ?", (body,))


FORGERIES = [
    pytest.param(into_an_ended_epoch, "was put into epoch", id="a read put into an epoch that had ended"),
    pytest.param(into_an_epoch_of_another_class, "was not open for it", id="a record under a read's epoch"),
    pytest.param(into_an_epoch_to_come, "was not open for it", id="a record of an epoch to come"),
    pytest.param(under_a_class_that_is_not_its_own, "is not sealed as", id="a record of another class"),
    pytest.param(of_another_log, "another place or another log", id="a record of another log"),
    pytest.param(without_its_entry, "its entry is missing", id="an open record without an entry"),
    pytest.param(held_other_content, "is not what the held record holds", id="another content held"),
    pytest.param(held_itself, "is not what the held record holds", id="a hold of itself"),
    pytest.param(receipt_that_claims_more, "claims more than its receipt says", id="a receipt stretched"),
    pytest.param(receipt_for_another_history, "for another history", id="a receipt of another tree"),
    pytest.param(receipt_before_its_records, "came before them", id="a receipt of records to come"),
    pytest.param(receipt_by_another, "another key", id="a receipt by another department"),
    pytest.param(state_of_an_earlier_size, "the state record was written at", id="an earlier state put back"),
]


@pytest.mark.parametrize(("forgery", "word"), FORGERIES)
def test_what_only_the_log_key_can_forge_is_found(unit: Unit, forgery: Forgery, word: str) -> None:
    ledger = unit.open()
    forgery(ledger, unit.department, unit.time)
    ledger.store.close()
    report = unit.check(slot=False)
    assert any(word in line for line in said(report)), said(report)


def wrapped(ledger: Ledger, ring: keyring.Keyring) -> None:
    """Another keyring under today's key, in the place of the one that is there."""
    store = ledger.store
    content, at = store.slot_content, store.book.keyring_at
    element = bound(KEYRING, ring.wrapped(content.kek, store.log_id, content.generation))
    leaf = store.leaf(at)
    changed = replace(leaf, elements=leaf.elements | {KEYRING: Mark(element.commitment, element.digest)})
    private = store.log._key
    with store.db.atomic():
        store.db.conn.execute("UPDATE leaves SET leaf = ? WHERE sequence = ?", (changed.sign(private), at))
        store.db.conn.execute("UPDATE elements SET stored = ? WHERE sequence = ? AND name = ?",
                              (element.stored, at, KEYRING))  # fmt: skip


def aged(unit: Unit) -> Ledger:
    """A purge behind it, so that the keyring lies in its intent."""
    ledger = unit.open()
    for _ in range(366):
        unit.time.run(DAY_US)
        ledger.store.time.now()
    assert ledger.apply_retention(by="test") is not None
    add_reads(ledger, unit.time, 1)
    return ledger


def key_of(
    epoch: int, key_class: KeyClass, own: bytes | None = bytes(32), day: bytes | None = None
) -> EpochKey:
    day_key = None if day is None else bytes(32)
    return EpochKey(epoch=epoch, key_class=key_class, own=own, day=day, day_key=day_key)


def with_a_purged_key(store: Store, ring: keyring.Keyring) -> keyring.Keyring:
    return ring.plus(key_of(epoch_of(store, KeyClass.READ, purged=True), KeyClass.READ))


Change = Callable[[Store, keyring.Keyring], keyring.Keyring]
KEYRINGS = [
    pytest.param(with_a_purged_key, "the key of a purged epoch", id="a purged epoch's key"),
    pytest.param(lambda _store, ring: ring.plus(key_of(99, KeyClass.READ)),
                 "an epoch that was never opened", id="a key of no epoch"),
    pytest.param(lambda _store, ring: ring.plus(ring.epochs[0]), "a second key", id="a second key"),
    pytest.param(lambda _store, ring: replace(ring, epochs=ring.epochs[1:]),
                 "holds no key of epoch", id="a key taken away"),
    pytest.param(lambda _store, ring: replace(ring, log_key=b"\7" * 32),
                 "holds another log key", id="another log key"),
    pytest.param(lambda _store, ring: replace(ring, epochs=tuple(
                     replace(one, key_class=KeyClass.HOLD) for one in ring.epochs)),
                 "of another class", id="a key of another class"),
    pytest.param(lambda _store, ring: replace(ring, epochs=tuple(
                     replace(one, day=bytes(113), day_key=bytes(32)) for one in ring.epochs)),
                 "a sealed key otherwise", id="a key sealed to a day that the log names none for"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "word"), KEYRINGS)
def test_a_keyring_that_holds_what_it_must_not_is_found(unit: Unit, change: Change, word: str) -> None:
    ledger = aged(unit)
    store = ledger.store
    ring = keyring.Keyring.opened(
        store.open_element(store.leaf(store.book.keyring_at), KEYRING).content,
        store.slot_content.kek, store.log_id, store.slot_content.generation,
    )  # fmt: skip
    wrapped(ledger, change(store, ring))
    ledger.store.close()
    assert any(word in line for line in said(unit.check())), said(unit.check())


def test_an_enrolled_units_keyring_that_holds_a_day_key_in_clear_is_found(unit: Unit) -> None:
    ledger = unit.open()
    store = ledger.store
    epoch = next(one for one in store.book.epochs.values() if one.key_at == AT_DAY)
    ring = keyring.Keyring.opened(
        store.open_element(store.leaf(0), KEYRING).content, store.slot_content.kek, store.log_id, 1
    )
    wrapped(ledger, ring.plus(key_of(epoch.epoch, epoch.key_class)))
    store.close()
    assert any(f"({AT_DAY}), that of epoch {epoch.epoch}" in line for line in said(unit.check()))


def test_todays_keyring_holds_no_key_of_a_purged_epoch(unit: Unit) -> None:
    ledger = aged(unit)
    book, ring = ledger.store.book, ledger.store.ring
    gone = {one.epoch for one in book.epochs.values() if one.purged_by is not None}
    assert gone
    assert not gone & {one.epoch for one in ring.epochs}
    ledger.close()
    assert unit.check().ok
    again = unit.open()
    assert not gone & ({one.epoch for one in again.store.ring.epochs} | set(again.store.live))
    again.close()


def test_a_slot_of_another_log_is_found(unit: Unit, tmp_path: Path) -> None:
    other = LoopbackSlot(tmp_path / "other-chip")
    Ledger.create(tmp_path / "other", other, unit.time, boot=unit.time.boot).close()
    unit.chip.write(replace(load(other), anchor_size=0, anchor_root=load(unit.chip).anchor_root).to_bytes())
    assert "slot: holds the key of another log" in said(unit.check())


def test_a_slot_of_an_earlier_day_is_found_beside_todays_state(unit: Unit) -> None:
    before = unit.chip.read()
    ledger = unit.open()
    unit.time.run(DAY_US)
    add_reads(ledger, unit.time, 1)
    ledger.close()
    assert before is not None
    unit.chip.write(before)
    assert any("the slot is of an earlier time" in line for line in said(unit.check()))


@pytest.mark.parametrize("given", [True, False])
def test_an_anchor_counts_only_where_its_signature_was_checked(unit: Unit, given: bool) -> None:
    department = unit.department.note_key if given else None
    report = check(unit.home, None, department)
    assert report.ok
    assert (report.anchored > 0, report.anchored_by) == ((True, "department") if given else (False, ""))


def test_a_file_beside_the_ledger_is_no_anchor_and_a_chip_is_one(tmp_path: Path) -> None:
    time = SteppedTime()
    for slot in (LoopbackSlot(tmp_path / "chip"), FileSlot(tmp_path / "file" / "store")):
        kind = slot.uri.partition(":")[0]
        ledger = Ledger.create(tmp_path / kind, slot, time, boot=time.boot)
        add_reads(ledger, time, 3)
        assert ledger.status().newer_than_anchors == ledger.status().records - (kind != "file")
        ledger.close()
        report = check(tmp_path / kind, slot)
        assert report.ok
        assert report.anchored_by == ("" if kind == "file" else "slot")
        assert any("counts as none" in note for note in report.notes) is (kind == "file")


def test_more_findings_than_a_person_reads_are_cut_off_and_still_wrong(unit: Unit) -> None:
    unit.sql(run("UPDATE leaves SET hash = zeroblob(32)"))
    report = unit.check()
    assert len(report.findings) == MAX_FINDINGS
    assert not report.ok
