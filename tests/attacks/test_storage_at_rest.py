"""A thief with the card searches every byte, before and after a purge, with old copies and guesses."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest
from at_rest import files_of, forms_of
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from custody_twins import (
    OVERVIEW,
    PATCH,
    PLATE,
    Department,
    Reopen,
    SteppedTime,
    add_reads,
    age,
    check,
    query_body,
)

from hw.secure_slot import FileSlot, LoopbackSlot
from storage import day_keys, keyring, sealing
from storage import slot as slots
from storage.door import Door
from storage.errors import KeyLostError, LedgerError, SealError, StorageError
from storage.home import Home
from storage.ledger import Ledger
from storage.log import LogReader
from storage.opening import read_ring
from storage.outgoing import Outgoing
from storage.policy import CustodyPolicy
from storage.record_base import KeyClass
from storage.schema import connect
from storage.standing import POLICY
from storage.store import read_book
from storage.times import DAY_US, HOUR_US


def assert_nowhere(folder: Path, secrets: Iterable[bytes]) -> None:
    wanted = {form for secret in secrets for form in forms_of(secret)}
    for name, data in files_of(folder):
        for form in wanted:
            assert form not in data, f"found in {name}"


def test_no_plate_image_or_key_is_anywhere_on_the_card(
    ledger: Ledger, home: Path, door: Door, time: SteppedTime
) -> None:
    add_reads(ledger, time, 3)
    add_reads(ledger, time, 2, hit=True)
    door.answer("query", query_body(door, ledger))
    secrets = [PLATE.encode(), PATCH, OVERVIEW, *ledger.store.live.values(), ledger.store.ring.log_key]
    secrets.append(ledger.store.slot_content.kek)
    assert_nowhere(home, secrets)  # the write-ahead log included
    ledger.close()
    assert_nowhere(home, secrets)


def test_a_purged_day_stays_unreadable_on_an_older_card_image(
    ledger: Ledger, home: Path, slot: LoopbackSlot, time: SteppedTime, tmp_path: Path
) -> None:
    sequences = add_reads(ledger, time, 3)
    epoch = ledger.store.leaf(sequences[0]).epoch
    secret = ledger.store.live[epoch]
    ledger.store.db.execute("PRAGMA wal_checkpoint(PASSIVE)")
    old = tmp_path / "old-card"
    shutil.copytree(home, old)  # with free pages and write-ahead log
    age(ledger, time, 366)
    receipt = ledger.apply_retention(by="test")
    assert receipt is not None
    assert [one.epoch for one in receipt.record.epochs] == [epoch]
    assert_nowhere(old, [secret])
    with pytest.raises(StorageError):
        Ledger.open(old, slot, time, boot=time.boot)
    # Root with today's chip and yesterday's card: today's KEK opens nothing on it.
    content = slots.load_slot(slot)
    database = connect(Home(old).database, readonly=True)
    wraps = database.execute("SELECT sequence, name, stored FROM elements WHERE name IN ('keyring', 'wrap')")
    tried = 0
    for _, name, stored in wraps.fetchall():
        wrapped = sealing.unframe(name, stored).content
        for generation in (1, 2):
            for label in ("keyring", f"epoch {epoch}"):
                with pytest.raises(SealError):
                    sealing.unwrap(content.kek, content.log_id, generation, label, wrapped)
                tried += 1
    database.close()
    assert tried >= 8


def test_a_purge_beside_a_check_leaves_nothing_once_that_ends(
    ledger: Ledger, home: Path, time: SteppedTime
) -> None:
    """The check holds the write-ahead log; the purge does not wait, and clears the log later."""
    sequences = add_reads(ledger, time, 3)
    leaf = ledger.store.leaf(sequences[0])
    pieces = [ledger.store.stored(leaf, name)[:64] for name in ("text", "place")]
    with contextlib.closing(connect(Home(home).database, readonly=True)) as beside:
        beside.execute("BEGIN")
        beside.execute("SELECT count(*) FROM leaves").fetchone()
        age(ledger, time, 366)
        assert ledger.apply_retention(by="test") is not None
        add_reads(ledger, time, 1)
        assert ledger.store.log_ahead_kept
    add_reads(ledger, time, 1)
    assert not ledger.store.log_ahead_kept
    assert not [name for name, data in files_of(home) if any(piece in data for piece in pieces)]


def test_after_a_purge_nothing_of_it_is_in_rows_images_free_pages_or_wal(
    ledger: Ledger, home: Path, slot: LoopbackSlot, time: SteppedTime
) -> None:
    sequences = add_reads(ledger, time, 3)
    leaf = ledger.store.leaf(sequences[0])
    ciphertexts = [ledger.store.stored(leaf, name)[:64] for name in leaf.elements]
    wrapped = ledger.store.db.execute("SELECT stored FROM elements WHERE name = 'wrap'").fetchall()
    age(ledger, time, 366)
    ledger.apply_retention(by="test")
    for name, data in files_of(home):
        for piece in [*ciphertexts, *(bytes(row[0])[48:120] for row in wrapped)]:
            assert piece not in data, f"still in {name}"
    assert check(home, slot).ok
    with pytest.raises(KeyLostError):
        ledger.read(sequences[0])


def test_a_file_slot_promises_only_that_the_live_file_system_holds_no_old_key(
    home: Path, time: SteppedTime
) -> None:
    slot = FileSlot(Home(home).folder)
    ledger = Ledger.create(home, slot, time, boot=time.boot)
    add_reads(ledger, time, 1)
    old_kek = ledger.store.slot_content.kek
    age(ledger, time, 366)
    ledger.apply_retention(by="test")
    assert_nowhere(home, [old_kek])
    assert "older copies" in ledger.status().slot_promise
    ledger.close()


def guessed(
    mark: bytes, content: bytes, plates: Iterable[str], salts: Iterable[bytes], tag: bytes
) -> str | None:
    """The plate that the leaf's commitment gives away to a person who knows all of it but the plate."""
    known = list(salts)
    for plate in plates:
        guess = content.replace(PLATE.encode(), plate.encode())
        for salt in known:
            if hashlib.sha256(tag + salt + guess).digest() == mark:
                return plate
    return None


def test_a_commitment_cannot_be_guessed_by_trying_all_plates(ledger: Ledger, time: SteppedTime) -> None:
    """Tries plates of one format that differ in the digits and one letter, with every salt on the card."""
    sequence = add_reads(ledger, time, 1)[0]
    leaf = ledger.store.leaf(sequence)
    mark, truth = leaf.elements["text"], ledger.element(sequence, "text")
    plates = [f"7{letter}KR{number:03d}" for letter in "ABCDEFGHJKLMNPRSTUVWXYZ" for number in range(1000)]
    assert PLATE in plates
    assert len(plates) == 23_000
    tag = sealing.COMMITMENT_TAG + b"text\x00"
    salts = [b"", bytes(32), ledger.store.log_id, mark.digest, leaf.payload()[:32]]
    assert guessed(mark.commitment, truth.content, plates, salts, tag) is None
    # The same guesser finds the plate at once if a commitment has no salt, or a known one:
    bare = hashlib.sha256(tag + truth.content).digest()
    assert guessed(bare, truth.content, plates, salts, tag) == PLATE
    assert guessed(mark.commitment, truth.content, plates, [truth.salt], tag) == PLATE
    every = {ledger.element(s, n).salt for s in add_reads(ledger, time, 5) for n in ("text", "place")}
    assert len(every) == 10  # one per element
    assert all(len(salt) == 32 for salt in every)


def test_a_copied_card_does_not_open_without_its_chip(
    ledger: Ledger, home: Path, time: SteppedTime, tmp_path: Path
) -> None:
    add_reads(ledger, time, 2)
    ledger.close()
    shutil.copytree(home, tmp_path / "copy")
    with pytest.raises(LedgerError, match="slot is empty"):
        Ledger.open(tmp_path / "copy", LoopbackSlot(tmp_path / "another-chip"), time)


# -- an enrolled unit -------------------------------------------------------------------------------


@pytest.fixture
def department() -> Department:
    return Department()


def test_root_on_an_enrolled_unit_opens_the_running_epoch_alone(
    ledger: Ledger, reopen: Reopen, home: Path, slot: LoopbackSlot, time: SteppedTime, department: Department
) -> None:
    department.enroll(ledger)
    closed = add_reads(ledger, time, 2)
    time.run(DAY_US)
    running = add_reads(ledger, time, 1)
    assert ledger.read(running[0]).text == PLATE
    with pytest.raises(KeyLostError):
        ledger.read(closed[0])
    ledger.close()
    again = reopen()
    with pytest.raises(KeyLostError):
        again.read(running[0])  # the restart ended its epoch
    content = slots.load_slot(slot)
    database = connect(Home(home).database, readonly=True)
    ring = read_ring(database, read_book(database, LogReader(database)), content)
    database.close()
    own = [one.epoch for one in ring.epochs if one.own is not None and one.key_class is KeyClass.READ]
    assert own == []


def test_the_department_opens_what_the_unit_cannot_until_it_is_purged(
    ledger: Ledger, time: SteppedTime, department: Department
) -> None:
    department.enroll(ledger)
    sequence = add_reads(ledger, time, 1)[0]
    time.run(DAY_US)
    add_reads(ledger, time, 1)
    out = Outgoing(ledger)
    leaf = ledger.store.leaf(sequence)
    handed = out.key_for_department(leaf.epoch)
    assert handed is not None
    key = day_keys.open_from_day(handed.sealed, department.day, out.log_id, leaf.epoch)
    stored = out.stored(sequence, "patch")
    mark = leaf.elements["patch"]
    assert sealing.open_sealed(key, out.log_id, sequence, "patch", stored, mark.commitment).content == PATCH
    age(ledger, time, 366)
    assert ledger.apply_retention(by="test") is not None
    assert out.key_for_department(leaf.epoch) is None
    with pytest.raises(KeyLostError):
        out.stored(sequence, "patch")


def test_a_purge_holds_against_the_departments_key_too(
    ledger: Ledger, home: Path, time: SteppedTime, department: Department, tmp_path: Path
) -> None:
    """With an older card and every department key: the sealed copies were under a KEK that is gone."""
    department.enroll(ledger)
    sequence = add_reads(ledger, time, 1)[0]
    epoch = ledger.store.leaf(sequence).epoch
    handed = Outgoing(ledger).key_for_department(epoch)
    assert handed is not None
    shutil.copytree(home, tmp_path / "old")
    assert_nowhere(tmp_path / "old", [handed.sealed])


def test_escrow_alone_leaves_the_sealed_copy_outside_the_kek(
    ledger: Ledger, home: Path, slot: LoopbackSlot, time: SteppedTime, department: Department
) -> None:
    department.enroll(ledger, escrow=True)
    sequence = add_reads(ledger, time, 1)[0]
    handed = Outgoing(ledger).key_for_department(ledger.store.leaf(sequence).epoch)
    assert handed is not None
    assert any(handed.sealed in data for _, data in files_of(home))
    age(ledger, time, 366)
    receipt = ledger.apply_retention(by="test")
    assert receipt is not None
    assert "escrow" in receipt.record.note
    assert not any(handed.sealed in data for _, data in files_of(home))
    assert check(home, slot).ok


def test_memory_only_classes_have_no_key_on_the_card_and_a_restart_is_their_purge(
    ledger: Ledger, reopen: Reopen, home: Path, slot: LoopbackSlot, time: SteppedTime, department: Department
) -> None:
    department.enroll(ledger, memory_only=("read",))
    sequence = add_reads(ledger, time, 1)[0]
    epoch = ledger.store.leaf(sequence).epoch
    assert ledger.store.book.epochs[epoch].key_at == keyring.AT_MEMORY
    assert all(one.epoch != epoch for one in ledger.store.ring.epochs)
    ledger.close()
    before = slot.rewrites
    again = reopen()
    receipt = again.apply_retention(by="test")
    assert receipt is not None
    assert [one.epoch for one in receipt.record.epochs] == [epoch]
    assert again.store.slot_content.generation == 1  # the slot's key was not rotated for it
    assert slot.rewrites - before <= 1  # at most the start's anchor
    again.close()
    assert check(home, slot).ok


def test_a_document_of_another_key_or_an_older_version_is_refused(
    ledger: Ledger, department: Department
) -> None:
    department.enroll(ledger)
    with pytest.raises(StorageError, match="another key"):
        department.send(ledger, POLICY, CustodyPolicy(version=2), Ed25519PrivateKey.generate())
    with pytest.raises(StorageError, match="not newer"):
        department.send(ledger, POLICY, CustodyPolicy(version=1))
    with pytest.raises(StorageError, match="1 to 365"):
        department.send(ledger, POLICY, CustodyPolicy(version=3, keep_days=366))


def test_on_an_enrolled_unit_queries_are_refused_and_demo_users_are_gone(
    ledger: Ledger, door: Door, time: SteppedTime, department: Department
) -> None:
    sequence = add_reads(ledger, time, 1)[0]
    old = query_body(door, ledger)
    department.enroll(ledger)
    assert not ledger.store.home.people.exists()
    with pytest.raises(StorageError, match="answer no lookup itself"):
        door.answer("query", old)
    assert ledger.read(sequence).text == PLATE  # kept as before for the upload


def test_hourly_epochs_turn_the_slot_at_most_hourly(
    ledger: Ledger, slot: LoopbackSlot, time: SteppedTime, department: Department
) -> None:
    department.enroll(ledger, epoch_hours=1, keep_days=1)
    before = slot.rewrites
    for _ in range(48):
        time.run(HOUR_US)
        add_reads(ledger, time, 1)
        ledger.apply_retention(by="test")
    assert slot.rewrites - before <= 48
    assert ledger.store.slot_content.generation > 20  # and most of those were purges
