"""A check of a home uses a single view of its database, in a format that this program knows."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
import sqlite_utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from custody_twins import SteppedTime, add_reads, check

from hw.secure_slot import LoopbackSlot
from storage.checkpoint import NoteKey
from storage.errors import NoHomeError
from storage.home import Home
from storage.ledger import Ledger
from storage.verify import _snapshot, verify_home


def count(database: sqlite_utils.Database) -> int:
    return int(database.execute("SELECT count(*) FROM leaves").fetchone()[0])


def test_a_check_beside_a_writer_sees_what_was_there_when_it_began(
    ledger: Ledger, home: Path, time: SteppedTime
) -> None:
    with _snapshot(Home(home)) as database:
        before = count(database)
        add_reads(ledger, time, 1)
        assert count(database) == before < ledger.store.log.size()
    with _snapshot(Home(home)) as database:
        assert count(database) == ledger.store.log.size()


def test_a_home_of_a_newer_format_or_of_another_program_is_found(
    ledger: Ledger, home: Path, slot: LoopbackSlot
) -> None:
    ledger.close()
    for pragma, words in (
        ("user_version=9", "has format 9"),
        ("application_id=1", "is not a reader's ledger"),
    ):
        database = sqlite3.connect(Home(home).database)
        database.execute(f"PRAGMA {pragma}")
        database.close()
        assert any(words in one.what for one in check(home, slot).findings)


def test_a_key_under_another_name_is_the_same_key_and_another_key_is_not(ledger: Ledger, home: Path) -> None:
    ledger.close()
    own = NoteKey("of the department's list", ledger.public_key.public)
    assert verify_home(Home(home), own).ok
    other = verify_home(
        Home(home), NoteKey(ledger.public_key.name, Ed25519PrivateKey.generate().public_key())
    )
    assert "is not the key that was given" in {one.what for one in other.findings}


def test_where_no_home_is_nothing_is_checked(tmp_path: Path) -> None:
    with pytest.raises(NoHomeError):
        verify_home(Home(tmp_path))
