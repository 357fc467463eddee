"""Databases in older formats are migrated completely or not at all, and checked by their format's rules."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from custody_twins import Reopen, SteppedTime, add_reads, check

from hw.secure_slot import LoopbackSlot
from storage import schema
from storage.home import Home
from storage.ledger import Ledger


def turn_back(database: Path) -> None:
    """Turn a database of format 2 into one of format 1."""
    connection = sqlite3.connect(database, isolation_level=None)
    kept = connection.execute("SELECT sequence, name, stored FROM elements ORDER BY 1, 2").fetchall()
    connection.execute("DROP TABLE elements")
    connection.execute(
        "CREATE TABLE elements (sequence INTEGER NOT NULL, name TEXT NOT NULL, stored BLOB NOT NULL,\n"
        "    PRIMARY KEY (sequence, name)) STRICT, WITHOUT ROWID"
    )
    connection.executemany("INSERT INTO elements VALUES (?, ?, ?)", kept)
    connection.execute("PRAGMA user_version=1")
    connection.close()


@pytest.fixture
def old(ledger: Ledger, home: Path, time: SteppedTime) -> Path:
    """A closed home in format 1 with three reads."""
    add_reads(ledger, time, 3)
    ledger.close()
    turn_back(Home(home).database)
    return home


def format_of(home: Path) -> int:
    connection = sqlite3.connect(Home(home).database)
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    connection.close()
    return version


def test_a_home_of_format_1_verifies_unchanged_and_the_next_start_brings_it_forward(
    old: Path, slot: LoopbackSlot, reopen: Reopen, time: SteppedTime
) -> None:
    assert check(old, slot).ok
    assert format_of(old) == 1
    again = reopen()
    sequence = add_reads(again, time, 1)[0]
    for one in range(sequence):
        if again.store.leaf(one).kind == "read":
            assert again.read(one).text
    again.close()
    assert format_of(old) == schema.FORMAT
    assert check(old, slot).ok


def test_a_step_that_fails_half_way_leaves_the_old_format_whole(old: Path, slot: LoopbackSlot) -> None:
    def breaks(connection: sqlite3.Connection) -> None:
        schema.MIGRATIONS[1](connection)
        raise sqlite3.OperationalError("database or disk is full")

    database = schema.connect(Home(old).database)
    with pytest.raises(sqlite3.OperationalError):
        schema.migrate(database, 1, steps=(schema.MIGRATIONS[0], breaks))
    database.close()
    assert format_of(old) == 1
    assert check(old, slot).ok


def test_what_a_step_threw_away_is_gone_from_file_and_write_ahead_log(
    ledger: Ledger, home: Path, time: SteppedTime
) -> None:
    """The old table's pages have sealed content that a later purge must not leave behind."""
    sequence = add_reads(ledger, time, 1)[0]
    piece = ledger.store.stored(ledger.store.leaf(sequence), "text")[:40]
    ledger.close()
    path = Home(home).database
    turn_back(path)
    database = schema.connect(path)
    schema.migrate(database, 1)
    assert path.with_name(path.name + "-wal").stat().st_size == 0
    with database.atomic():
        database.conn.execute("DELETE FROM elements WHERE sequence = ?", (sequence,))
    database.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    assert piece not in path.read_bytes()
