"""A ledger that can no longer be read is set aside as it is, and the unit continues in a new one."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from custody_twins import SteppedTime, add_reads, check, make_read
from receiver_twins import Joined
from sync_twins import bare_home, converse

from firmware.custody.opening import create_ledger, open_ledger, replace_ledger
from firmware.errors import UsageError
from firmware.run.prepared_home import prepare_home, take_home
from hw.secure_slot import FileSlot, LoopbackSlot
from storage import codec, envelope, files, sealing
from storage.errors import (
    DamagedError,
    HomeLockedError,
    LedgerError,
    NewerLedgerError,
    NotPlainError,
    SlotError,
)
from storage.home import Home
from storage.leaf import ENTRY
from storage.ledger import Ledger
from storage.log_records import Incident
from storage.opening import set_aside
from storage.record_base import KeyClass
from storage.roster import Roster, RosterPerson
from storage.standing import POLICY, ROSTER
from storage.state import STATE_CONTEXT
from storage.store import UnitStore
from sync.department.ground.home import load_ed25519
from sync.department.server.server import Department
from sync.documents import context_of
from sync.handover import closed_logs, open_handover
from sync.membership import SyncFolder
from sync.rollover import open_or_roll_over

Damage = Callable[[Path], None]


def overwritten(at: float, length: int) -> Damage:
    """Overwrite with noise from there on, as a worn card does."""

    def damage(path: Path) -> None:
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.seek(int(at * size))
            file.write(random.Random(463).randbytes(length))

    return damage


def row(sql: str) -> Damage:
    def damage(path: Path) -> None:
        database = sqlite3.connect(path)
        with database:
            database.execute(sql)
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.close()

    return damage


def without_key(damage: Damage) -> Damage:
    """The same without log.pub, which alone is no loss, as the key is in the first record."""

    def do(path: Path) -> None:
        path.with_name("log.pub").write_bytes(b"?")
        damage(path)

    return do


DAMAGES = [
    pytest.param(overwritten(0, 4096), id="its first page overwritten"),
    pytest.param(lambda path: path.write_bytes(b""), id="empty"),
    pytest.param(lambda path: os.truncate(path, path.stat().st_size // 2), id="cut in half"),
    pytest.param(row("DELETE FROM head"), id="no head"),
    pytest.param(row("UPDATE head SET note = 'nothing'"), id="a head that is none"),
    pytest.param(row("DELETE FROM state"), id="no state"),
    pytest.param(row("UPDATE state SET body = zeroblob(80)"), id="a state that is none"),
    pytest.param(row("UPDATE leaves SET leaf = zeroblob(80) WHERE sequence = 0"), id="no first record"),
    pytest.param(row("DELETE FROM elements WHERE name = 'keyring'"), id="no keyring"),
    pytest.param(row("UPDATE elements SET stored = zeroblob(80) WHERE name = 'entry'"), id="no entries"),
]


@pytest.fixture
def department(tmp_path: Path) -> Iterator[Department]:
    made = Department(bare_home(tmp_path / "department"))
    yield made
    made.close()


@pytest.fixture
def unit(department: Department, tmp_path: Path) -> Iterator[Joined]:
    made = Joined(tmp_path / "unit", department, "unit")
    yield made
    made.close()


@pytest.mark.thorough_rows
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_unit_of_a_department_reads_on_and_the_old_ledger_is_an_alarm(
    department: Department, unit: Joined, damage: Damage
) -> None:
    unit.add(2)
    converse(unit, department)
    unit.add(3)
    unit.ledger.close()
    damage(unit.home / "store" / "ledger.sqlite3")
    before = (unit.home / "store" / "ledger.sqlite3").read_bytes()
    with pytest.raises(DamagedError, match=r"is damaged|cannot be opened|is empty"):
        Ledger.open(unit.home, unit.slot, unit.clock)
    told: list[str] = []
    unit.ledger = open_or_roll_over(unit.home, unit.slot, unit.clock, unit.folder, on_new_log=told.append)
    assert len(told) == 1
    unit.add(1)
    assert unit.ledger.status().enrolled
    [aside] = (unit.folder.path / "old").glob("*/store")
    assert (aside / "ledger.sqlite3").read_bytes() == before
    assert [one.folder for one in closed_logs(unit.folder)] == [aside.parent]
    assert not check(aside.parent).ok


def blank(where: str) -> Damage:
    return row(f"UPDATE elements SET stored = zeroblob(length(stored)) WHERE {where}")  # noqa: S608


OF_READS = "sequence = (SELECT max(sequence) FROM elements WHERE name = 'wrap')"


@pytest.mark.thorough_rows
@pytest.mark.parametrize(
    ("damage", "lost"),
    [
        pytest.param(blank("name = 'entry' AND sequence = 1"), set(), id="the entry of one record"),
        pytest.param(blank(f"name = 'entry' AND {OF_READS}"), set(), id="the entry of the epoch itself"),
        pytest.param(blank("name = 'entry'"), set(), id="all entries"),
        pytest.param(row("UPDATE leaves SET leaf = zeroblob(80) WHERE epoch = 0"), set(), id="open records"),
        pytest.param(row("DELETE FROM leaves WHERE sequence = 15"), set(), id="a record is missing"),
        pytest.param(blank("name = 'keyring'"), set(), id="the first keyring, which has the log key alone"),
        pytest.param(blank("name = 'wrap' AND sequence = 1"), {1}, id="the wrap of another epoch"),
        pytest.param(row("UPDATE anchors SET note = 'nothing'"), set(), id="co-signed checkpoints"),
        pytest.param(without_key(row("DELETE FROM state")), set(), id="no state and no public key"),
    ],
)
def test_no_damaged_record_costs_the_keys_of_unsent_reads(
    department: Department, unit: Joined, damage: Damage, lost: set[int]
) -> None:
    """The next log takes the chip's slot, and what was not saved by then can never be opened again."""
    unit.add(2)
    converse(unit, department)
    unit.add(3)
    store, old = unit.ledger.store, unit.outbox.log_id
    epochs = set(store.book.epochs)
    unit.ledger.close()
    damage(unit.home / "store" / "ledger.sqlite3")
    with pytest.raises(DamagedError):
        Ledger.open(unit.home, unit.slot, unit.clock)
    unit.ledger = open_or_roll_over(unit.home, unit.slot, unit.clock, unit.folder)
    with open_handover(unit.folder.path / "old" / old.hex()[:16]) as handed:
        assert handed.log_id == old
        assert {key.epoch for key in handed.keys} == epochs - lost


def long_roster(department: Department) -> bytes:
    """A roster that spans several pages of the database, as a real one does."""
    people = tuple(
        RosterPerson(
            user=f"person-{number}", roles=("ccat-supervisor",), organisation="department", ssh_keys=(),
            password=None, trained_us=number, topics=(), trainer="super", revoked=False,
        )
        for number in range(300)
    )  # fmt: skip
    roster = codec.to_bytes(Roster(version=1 << 60, demo=False, people=people))
    command = load_ed25519(department.home.path / "command.key")
    return envelope.sign(roster, command, context=context_of(ROSTER))


@pytest.mark.thorough_rows
@pytest.mark.parametrize("length", [16, 4096])
def test_whichever_page_is_damaged_a_unit_of_a_department_reads_on(
    department: Department, unit: Joined, tmp_path: Path, length: int
) -> None:
    """It keeps its log if no start reads that page, and otherwise begins a new one."""
    converse(unit, department)
    unit.add(3)
    unit.outbox.take_document(ROSTER, long_roster(department))
    unit.ledger.close()
    pages = (unit.home / "store" / "ledger.sqlite3").stat().st_size // 4096
    rolled = 0
    for page in range(pages):
        copy = tmp_path / f"page-{page}"
        shutil.copytree(unit.path, copy)
        with (copy / "home" / "store" / "ledger.sqlite3").open("r+b") as file:
            file.seek(page * 4096)
            file.write(random.Random(page).randbytes(length))
        told: list[str] = []
        slot, folder = LoopbackSlot(copy / "chip"), SyncFolder.of(copy / "home")
        with open_or_roll_over(copy / "home", slot, unit.clock, folder, on_new_log=told.append) as ledger:
            ledger.append_read(make_read(unit.clock.now().us, demo=False), patch=b"", overview=b"")
            assert ledger.status().enrolled
        rolled += bool(told)
        shutil.rmtree(copy)
    assert 3 < rolled < pages


def test_a_ledger_that_claims_any_number_of_epochs_holds_no_start_up(
    monkeypatch: pytest.MonkeyPatch, unit: Joined
) -> None:
    monkeypatch.setattr("storage.salvage.MOST_TRIES", 50)
    unit.add(1)
    unit.ledger.close()
    path = unit.home / "store" / "ledger.sqlite3"
    blank("name = 'wrap'")(path)
    row("INSERT INTO leaves VALUES (99, 4611686018427387904, x'00', x'00')")(path)
    unit.ledger = open_or_roll_over(unit.home, unit.slot, unit.clock, unit.folder)
    assert unit.ledger.status().enrolled


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_unit_of_no_department_needs_one_command(tmp_path: Path, damage: Damage) -> None:
    home = tmp_path / "home"
    create_ledger(home).close()
    damage(home / "store" / "ledger.sqlite3")
    with pytest.raises(DamagedError, match=r"is damaged|cannot be opened|is empty"):
        open_ledger(home)
    aside = replace_ledger(home)
    assert (aside / "store" / "ledger.sqlite3").exists()
    with open_ledger(home) as ledger:
        opened = ledger.store.book.opened
        assert opened is not None
        assert opened.reason == f"the ledger before it is in {aside.name}"
    damage(home / "store" / "ledger.sqlite3")
    assert replace_ledger(home).name != aside.name


def test_a_whole_ledger_is_never_set_aside(tmp_path: Path) -> None:
    """It drops the keys of what was sealed; a tired person may type it at a unit that only seems stuck."""
    home = tmp_path / "home"
    with create_ledger(home) as ledger:
        log = ledger.store.log_id
        with pytest.raises(HomeLockedError):
            replace_ledger(home)
    with pytest.raises(UsageError, match="whole"):
        replace_ledger(home)
    assert not list(home.glob("damaged-*"))
    with open_ledger(home) as again:
        assert again.store.log_id == log
    ledger_file, moved = home / "store" / "ledger.sqlite3", tmp_path / "ssd.sqlite3"
    ledger_file.replace(moved)  # moved to a larger disk, with a link in its place
    ledger_file.symlink_to(moved)
    with pytest.raises(NotPlainError, match="put the file itself there"):
        replace_ledger(home)
    assert not list(home.glob("damaged-*"))
    assert moved.stat().st_size


def test_what_was_set_aside_stays_so_after_a_power_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A renamed folder is durable once the parents of the old and the new name are synced."""
    home = tmp_path / "home"
    create_ledger(home).close()
    synced: list[Path] = []
    monkeypatch.setattr(files, "sync_dir", synced.append)
    aside = set_aside(Home(home))
    assert {aside, home} <= set(synced)


def test_what_is_not_damage_is_not_set_aside(department: Department, unit: Joined, tmp_path: Path) -> None:
    """Another slot, a newer program's home, a running reader: each has its own fix, and the home stays."""
    unit.add(1)
    with pytest.raises(HomeLockedError):
        open_or_roll_over(unit.home, unit.slot, unit.clock, unit.folder)
    unit.ledger.close()
    with pytest.raises(SlotError):
        open_or_roll_over(unit.home, LoopbackSlot(tmp_path / "empty"), unit.clock, unit.folder)
    database = sqlite3.connect(unit.home / "store" / "ledger.sqlite3")
    database.execute("PRAGMA user_version=99")
    database.close()
    with pytest.raises(LedgerError, match="update the program"):
        open_or_roll_over(unit.home, unit.slot, unit.clock, unit.folder)
    assert not (unit.folder.path / "old").exists()
    with pytest.raises(UsageError, match="belongs to a department"):
        replace_ledger(unit.home)


def more(record: object) -> bytes:
    """The record as a program that has one more field writes it."""
    return envelope.encode(codec.to_plain(record) | {"weather": "rain"})


def newer_record(store: UnitStore, kind: str) -> None:
    with store.adding():
        content = more(Incident(what="clock", detail="", at_us=store.time.trusted_us))
        entry = sealing.leave_open(sealing.fresh(ENTRY, content))
        store.add_leaf(kind, 0, KeyClass.OPEN, [entry])


def newer_state(store: UnitStore) -> None:
    body = store.log.sign_bytes(more(store.state), STATE_CONTEXT)
    with store.db.atomic():
        store.db.conn.execute("UPDATE state SET body = ?", (body,))


def let_go(ledger: Ledger) -> None:
    """Close the ledger without this program's last record."""
    ledger.closed = True
    ledger.store.close()


NEWER: list[Callable[[Ledger], object]] = [
    lambda ledger: newer_record(ledger.store, Incident.KIND),
    lambda ledger: newer_record(ledger.store, "weather"),
    lambda ledger: newer_state(ledger.store),
    lambda ledger: ledger.standing._write(POLICY, 99, more(ledger.store.policy)),
]


@pytest.mark.parametrize("write", NEWER, ids=["a field", "a kind", "the state", "a policy"])
def test_a_ledger_that_a_newer_program_wrote_to_stays_and_asks_for_that(
    unit: Joined, tmp_path: Path, write: Callable[[Ledger], object]
) -> None:
    """As after a fallback to the previous system. If it were set aside, the slot would lose its keys."""
    write(unit.ledger)
    let_go(unit.ledger)
    with pytest.raises(NewerLedgerError, match="update the program"):
        open_or_roll_over(unit.home, unit.slot, unit.clock, unit.folder)
    assert not (unit.folder.path / "old").exists()
    alone = tmp_path / "alone"
    with create_ledger(alone) as ledger:
        write(ledger)
        let_go(ledger)
    with pytest.raises(NewerLedgerError):
        replace_ledger(alone)
    assert not list(alone.glob("damaged-*"))


@pytest.mark.parametrize("content", [None, b"", b"noise" * 40], ids=["gone", "empty", "noise"])
def test_a_unit_whose_slot_is_a_damaged_file_reads_on(unit: Joined, content: bytes | None) -> None:
    """The file is on the card that failed. A silent chip is still an error: see the test above."""
    unit.add(1)
    unit.ledger.close()
    slot = FileSlot(unit.home / "store")
    if content is not None:
        (unit.home / "store" / "slot").write_bytes(content)
    told: list[str] = []
    unit.ledger = open_or_roll_over(unit.home, slot, unit.clock, unit.folder, on_new_log=told.append)
    assert len(told) == 1
    unit.add(1)
    assert unit.ledger.status().slot == "file:slot"
    assert len(list((unit.folder.path / "old").glob("*/store/ledger.sqlite3"))) == 1


@pytest.mark.parametrize("reads", [0, 2])
def test_a_unit_whose_ledger_is_gone_keeps_the_pictures_aside_and_reads_on(unit: Joined, reads: int) -> None:
    unit.add(reads)
    unit.ledger.close()
    pictures = {path.name for path in (unit.home / "store" / "blobs").rglob("*") if path.is_file()}
    (unit.home / "store" / "ledger.sqlite3").unlink()
    told: list[str] = []
    unit.ledger = open_or_roll_over(unit.home, unit.slot, unit.clock, unit.folder, on_new_log=told.append)
    assert "is gone" in told[0]
    unit.add(1)
    aside = {path.name for path in (unit.folder.path / "old").rglob("blobs/**/*") if path.is_file()}
    assert aside == pictures
    assert bool(aside) == bool(reads)
    assert bool(closed_logs(unit.folder)) == bool(reads)


def test_pictures_without_their_ledger_are_no_place_for_a_new_unit(tmp_path: Path) -> None:
    time, home = SteppedTime(), tmp_path / "home"
    with Ledger.create(home, FileSlot(home / "store"), time, boot=time.boot) as ledger:
        add_reads(ledger, time, 1)
    (home / "store" / "ledger.sqlite3").unlink()
    with pytest.raises(DamagedError, match=r"is gone.*reader init --set-aside"):
        prepare_home(home)
    with pytest.raises(DamagedError, match="is gone"):
        take_home(home)
    assert any((replace_ledger(home) / "store" / "blobs").iterdir())
    assert not prepare_home(home)
