"""An attacker who can write the card flips, drops, swaps, duplicates, back-dates or forges: all is found."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from custody_twins import Department, SteppedTime, add_reads, ask_signed, check, query_body

from hw.secure_slot import LoopbackSlot
from storage import leaf as leaves
from storage import merkle
from storage.audit_records import Gap
from storage.checkpoint import NoteKey
from storage.door import Door, hold_subject
from storage.errors import SlotError
from storage.findings import UnitReport
from storage.home import Home
from storage.ledger import Ledger
from storage.slot import load_slot
from storage.times import DAY_US
from storage.verify import verify_home

FULL = os.environ.get("ALPR_FAULTS") == "full"
FLIPS = 5000 if FULL else 150
RAW_FLIPS = 2000 if FULL else 60

Attack = Callable[[sqlite3.Connection], None]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with reads of several days, lookups, a hold and a purge, closed, its chip beside it."""
    folder, time = tmp_path_factory.mktemp("lived-in"), SteppedTime()
    home, slot = folder / "home", LoopbackSlot(folder / "chip")
    ledger = Ledger.create(home, slot, time, boot=time.boot)
    door = Door(ledger, boot=time.boot)
    first = add_reads(ledger, time, 3)
    add_reads(ledger, time, 2, hit=True)
    door.answer("query", query_body(door, ledger))
    hold = ((first[0],), "discovery", "Superior Court", "BC-1")
    body = ask_signed(door, ledger, "demo-admin", "administrator", "hold", hold_subject(*hold))
    door.answer(
        "hold",
        body | {"records": [first[0]], "ground": hold[1], "authority": hold[2], "number": hold[3]},
    )
    for _ in range(366):
        time.run(DAY_US)
        time.now()
        ledger.store.time.now()
    assert ledger.apply_retention(by="test") is not None
    add_reads(ledger, time, 4)
    ledger.close()
    assert check(home, slot).ok
    return folder


@pytest.fixture
def slot(original: Path, tmp_path: Path) -> LoopbackSlot:
    if not (tmp_path / "home").exists():
        shutil.copytree(original / "home", tmp_path / "home")
    shutil.copy(original / "chip", tmp_path / "chip")
    return LoopbackSlot(tmp_path / "chip")


@pytest.fixture
def lived_in(slot: LoopbackSlot, tmp_path: Path) -> Path:
    return tmp_path / "home"


def opened(home: Path) -> sqlite3.Connection:
    database = sqlite3.connect(home / "store" / "ledger.sqlite3", isolation_level=None)
    try:
        database.execute("PRAGMA synchronous=OFF")  # the attacker needs no durability
    except sqlite3.Error:  # the first page is damaged
        database.close()
        raise
    return database


def logical(home: Path) -> list[object]:
    """Every row of the database."""
    database = opened(home)
    try:
        names = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return [database.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall() for name in sorted(names)]  # noqa: S608
    finally:
        database.close()


def copy_of(home: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "attacked"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(home, copy)
    return copy


CELLS = {
    "leaves": ("sequence", "epoch", "leaf", "hash"),
    "elements": ("sequence", "name", "stored"),
    "head": ("note",),
    "state": ("body",),
}


def test_any_flipped_bit_of_any_table_is_found(lived_in: Path, slot: LoopbackSlot, tmp_path: Path) -> None:
    rng = random.Random(463)
    copy = copy_of(lived_in, tmp_path)
    database = opened(copy)
    for number in range(FLIPS):
        table = list(CELLS)[number % len(CELLS)]
        column = rng.choice(CELLS[table])
        rows = [row[0] for row in database.execute(f"SELECT {_rowid(table)} FROM {table}")]  # noqa: S608
        row = rng.choice(rows)
        where = f"WHERE {_rowid(table)} = ?"
        before = database.execute(f"SELECT {column} FROM {table} {where}", (row,)).fetchone()[0]  # noqa: S608
        after = flipped(before, rng)
        database.execute("SAVEPOINT attack")
        try:
            database.execute(f"UPDATE {table} SET {column} = ? {where}", (after, row))  # noqa: S608
        except sqlite3.IntegrityError:
            database.execute("ROLLBACK TO attack")
            database.execute("RELEASE attack")
            continue
        database.execute("RELEASE attack")
        assert not check(copy, slot).ok, f"{table}.{column} of {row}: {before!r} -> {after!r}"
        back = f"UPDATE {table} SET {column} = ? WHERE {_rowid(table)} = ?"  # noqa: S608
        now = after if column in {"sequence", "name"} and _rowid(table) != "rowid" else row
        database.execute(back, (before, _moved(table, column, row, after) if now is not row else row))
    database.close()
    assert check(copy, slot).ok


def test_a_keyring_under_the_record_of_another_key_is_found(
    lived_in: Path, slot: LoopbackSlot, tmp_path: Path
) -> None:
    sql = "SELECT max(sequence) FROM elements WHERE name = ?"
    for change in (
        "UPDATE elements SET sequence = ? WHERE name = ?",
        "INSERT INTO elements VALUES (?, ?, x'00')",
    ):
        copy = copy_of(lived_in, tmp_path)
        database = opened(copy)
        record = database.execute(sql, (leaves.WRAP,)).fetchone()[0]
        database.execute(change, (record, leaves.KEYRING))
        database.close()
        assert not check(copy, slot).ok


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, NoteKey]:
    """A home of a department's unit with kept subtree hashes and co-signed checkpoints, closed; its key."""
    folder, time = tmp_path_factory.mktemp("grown"), SteppedTime()
    ledger = Ledger.create(folder / "home", LoopbackSlot(folder / "chip"), time, boot=time.boot)
    department = Department()
    department.enroll(ledger)
    for _ in range(2):
        with ledger.store.adding():
            for number in range(300):
                ledger.append(Gap(reason="test", from_us=number, to_us=number, lost=0))
        department.cosign(ledger)
    ledger.close()
    return folder, department.note_key


def test_any_flipped_bit_of_a_kept_tree_hash_or_a_cosigned_checkpoint_is_found(
    grown: tuple[Path, NoteKey], tmp_path: Path
) -> None:
    folder, department = grown
    rng, slot = random.Random(466), LoopbackSlot(tmp_path / "chip")
    shutil.copy(folder / "chip", tmp_path / "chip")
    copy = copy_of(folder / "home", tmp_path)
    database = opened(copy)
    assert check(copy, slot, department).ok
    assert "not checked" in check(copy, slot).notes[0]
    stranger = NoteKey(department.name, Ed25519PrivateKey.generate().public_key())
    assert not check(copy, slot, stranger).ok
    cells = {"nodes": ("level", "idx", "hash"), "anchors": ("size", "note")}
    for number in range(FLIPS // 50 if FULL else 15):
        table = list(cells)[number % 2]
        rows = database.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608
        assert len(rows) == 2
        row, at = rng.choice(rows), rng.randrange(len(cells[table]))
        after = (*row[:at], flipped(row[at], rng), *row[at + 1 :])
        places = ", ".join("?" * len(row))
        database.execute(f"DELETE FROM {table} WHERE {cells[table][-1]} = ?", (row[-1],))  # noqa: S608
        database.execute(f"INSERT OR REPLACE INTO {table} VALUES ({places})", after)  # noqa: S608
        assert not check(copy, slot, department).ok, f"{table}: {row} -> {after}"
        database.execute(f"DELETE FROM {table}")  # noqa: S608
        database.executemany(f"INSERT INTO {table} VALUES ({places})", rows)  # noqa: S608
    database.close()
    assert check(copy, slot, department).ok


def _rowid(table: str) -> str:
    return {"elements": "sequence || '/' || name", "leaves": "sequence"}.get(table, "id")


def _moved(table: str, column: str, row: object, after: object) -> object:
    """The row's key after the change."""
    if table == "leaves":
        return after
    sequence, _, name = str(row).partition("/")
    return f"{after}/{name}" if column == "sequence" else f"{sequence}/{after}"


def flipped(value: Any, rng: random.Random) -> object:
    if isinstance(value, int):
        return value ^ (1 << rng.randrange(20))
    data = bytearray(value.encode() if isinstance(value, str) else value)
    data[rng.randrange(len(data))] ^= 1 << (rng.randrange(7) if isinstance(value, str) else rng.randrange(8))
    return data.decode(errors="replace") if isinstance(value, str) else bytes(data)


def test_any_flipped_bit_of_a_file_is_found_or_changes_nothing(
    lived_in: Path, slot: LoopbackSlot, tmp_path: Path
) -> None:
    rng = random.Random(464)
    truth = logical(lived_in)
    copy = copy_of(lived_in, tmp_path)
    path = copy / "store" / "ledger.sqlite3"
    whole = path.read_bytes()
    found = 0
    for _ in range(RAW_FLIPS):
        data = bytearray(whole)
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
        try:
            same = logical(copy) == truth
        except (sqlite3.Error, UnicodeDecodeError):
            same = False
        report = check(copy, slot)
        found += not report.ok
        assert same or not report.ok
    assert found > RAW_FLIPS // 4


def test_any_flipped_bit_of_an_image_or_key_file_is_found(
    lived_in: Path, slot: LoopbackSlot, tmp_path: Path
) -> None:
    rng = random.Random(465)
    copy = copy_of(lived_in, tmp_path)
    files = [*(copy / "store" / "blobs").rglob("*"), copy / "store" / "log.pub"]
    for path in filter(Path.is_file, files):
        whole = path.read_bytes()
        for _ in range(20 if path.suffix == ".pub" else 3):
            data = bytearray(whole)
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            path.write_bytes(data)
            assert not check(copy, slot).ok or data.strip() == whole.strip(), path.name
        path.write_bytes(whole)
    chip = tmp_path / "chip"
    whole = chip.read_bytes()
    for position in range(len(whole) - 8):  # the last field is a time, which only ever raises a floor
        data = bytearray(whole)
        data[position] ^= 1
        chip.write_bytes(data)
        with pytest.raises(SlotError) if position < 4 else _found(copy, slot):
            load_slot(slot)
    chip.write_bytes(whole)
    assert check(copy, slot).ok


class _found:  # noqa: N801 - reads as a sentence in its one place of use
    """A `with` that expects the home to be found wrong with this slot."""

    def __init__(self, home: Path, slot: LoopbackSlot) -> None:
        self._home, self._slot = home, slot

    def __enter__(self) -> None:
        return None

    def __exit__(self, *error: object) -> None:
        assert not check(self._home, self._slot).ok


def reads_of(database: sqlite3.Connection) -> list[int]:
    """Sequence numbers of the newest reads."""
    newest = database.execute("SELECT max(epoch) FROM leaves").fetchone()[0]
    return [row[0] for row in database.execute("SELECT sequence FROM leaves WHERE epoch = ?", (newest,))]


def drop(offset: int) -> Attack:
    def attack(database: sqlite3.Connection) -> None:
        sequence = reads_of(database)[offset]
        for table in ("leaves", "elements"):
            database.execute(f"DELETE FROM {table} WHERE sequence = ?", (sequence,))  # noqa: S608

    return attack


def renumber(database: sqlite3.Connection, moves: dict[int, int]) -> None:
    for table in ("leaves", "elements"):
        for old in moves:
            database.execute(f"UPDATE {table} SET sequence = -1 - sequence WHERE sequence = ?", (old,))  # noqa: S608
        for old, new in moves.items():
            database.execute(f"UPDATE {table} SET sequence = ? WHERE sequence = ?", (new, -1 - old))  # noqa: S608


def swap(database: sqlite3.Connection) -> None:
    a, b = reads_of(database)[:2]
    renumber(database, {a: b, b: a})


def close_the_gap(database: sqlite3.Connection) -> None:
    gone = reads_of(database)[1]
    drop(1)(database)
    last = database.execute("SELECT max(sequence) FROM leaves").fetchone()[0]
    renumber(database, {old: old - 1 for old in range(gone + 1, last + 1)})


def duplicate(database: sqlite3.Connection) -> None:
    sequence = reads_of(database)[0]
    last = database.execute("SELECT max(sequence) FROM leaves").fetchone()[0]
    for table, columns in (("leaves", "epoch, leaf, hash"), ("elements", "name, stored")):
        database.execute(
            f"INSERT INTO {table} (sequence, {columns}) SELECT ?, {columns} FROM {table} WHERE sequence = ?",  # noqa: S608
            (last + 1, sequence),
        )


def back_date(database: sqlite3.Connection) -> None:
    """A new read put in the place of one from the first day."""
    new, old = reads_of(database)[-1], 5
    database.execute("DELETE FROM leaves WHERE sequence = ?", (old,))
    database.execute("DELETE FROM elements WHERE sequence = ?", (old,))
    renumber(database, {new: old})


def forge(database: sqlite3.Connection) -> None:
    """A well-formed record by another key, at the end."""
    last = database.execute("SELECT max(sequence) FROM leaves").fetchone()[0]
    data, epoch = database.execute("SELECT leaf, epoch FROM leaves WHERE sequence = ?", (last,)).fetchone()
    leaf = leaves.unchecked(data)
    forged = leaves.Leaf(
        log_id=leaf.log_id,
        kind=leaf.kind,
        sequence=last + 1,
        epoch=epoch,
        key_class=leaf.key_class,
        elements=leaf.elements,
    ).sign(Ed25519PrivateKey.generate())
    row = (last + 1, epoch, forged, merkle.leaf_hash(forged))
    database.execute("INSERT INTO leaves (sequence, epoch, leaf, hash) VALUES (?, ?, ?, ?)", row)


def swap_contents(database: sqlite3.Connection) -> None:
    """The text of one read under the record of another."""
    a, b = reads_of(database)[:2]
    texts = dict(database.execute("SELECT sequence, stored FROM elements WHERE name = 'text'").fetchall())
    database.execute("UPDATE elements SET stored = ? WHERE sequence = ? AND name = 'text'", (texts[b], a))


@pytest.mark.parametrize(
    ("attack", "word"),
    [
        pytest.param(drop(1), "missing", id="a record dropped"),
        pytest.param(drop(-1), "but the log has", id="the last record dropped"),
        pytest.param(swap, "another place", id="two records swapped"),
        pytest.param(close_the_gap, "another place", id="a record dropped and the gap closed"),
        pytest.param(duplicate, "another place", id="a record duplicated"),
        pytest.param(back_date, "another place", id="a record back-dated"),
        pytest.param(forge, "another key", id="a record forged by another key"),
        pytest.param(swap_contents, "altered", id="a content under another record"),
        pytest.param(lambda d: d.execute("DELETE FROM head"), "missing", id="the head removed"),
        pytest.param(lambda d: d.execute("DELETE FROM state"), "missing", id="the state removed"),
        pytest.param(lambda d: d.execute("CREATE TABLE more (x)"), "tables differ", id="a table added"),
        pytest.param(
            lambda d: d.execute("INSERT INTO elements VALUES (3, 'more', x'00')"),
            "does not name",
            id="an element added",
        ),
        pytest.param(
            lambda d: d.execute("DELETE FROM elements WHERE name = 'text'"),
            "no purge receipt",
            id="content deleted without a receipt",
        ),
    ],
)
def test_a_changed_history_is_found_and_the_first_bad_record_named(
    lived_in: Path, slot: LoopbackSlot, tmp_path: Path, attack: Attack, word: str
) -> None:
    copy = copy_of(lived_in, tmp_path)
    database = opened(copy)
    attack(database)
    database.commit()
    database.close()
    report = check(copy, slot)
    assert not report.ok
    assert any(word in finding.what for finding in report.findings), report.findings
    first = report.first_bad
    assert first is not None
    assert all(
        first.record is None or one.record is None or first.record <= one.record for one in report.findings
    )


def test_a_removed_image_is_found(lived_in: Path, slot: LoopbackSlot, tmp_path: Path) -> None:
    copy = copy_of(lived_in, tmp_path)
    next(path for path in sorted((copy / "store" / "blobs").rglob("*")) if path.is_file()).unlink()
    report = check(copy, slot)
    assert report.first_bad is not None
    assert "is missing" in report.first_bad.what


def test_an_image_that_no_record_names_is_found(lived_in: Path, slot: LoopbackSlot, tmp_path: Path) -> None:
    copy = copy_of(lived_in, tmp_path)
    folder = copy / "store" / "blobs" / "00000002"  # an epoch that is over
    folder.mkdir()
    (folder / ("ab" * 32)).write_bytes(b"planted")
    assert not check(copy, slot).ok


def test_a_whole_log_by_another_key_is_not_the_units(lived_in: Path, slot: LoopbackSlot) -> None:
    stranger = NoteKey("x", Ed25519PrivateKey.generate().public_key())
    report: UnitReport = verify_home(Home(lived_in), stranger)
    assert not report.ok
