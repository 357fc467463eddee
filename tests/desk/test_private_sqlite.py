"""The department's small databases are private and atomic, and usable after a failed write."""

from __future__ import annotations

import contextlib
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from sync.department.content.opened_list import DATABASE, OpenedList
from sync.department.ground.private_sqlite import open_private, transaction

SCHEMA = "CREATE TABLE IF NOT EXISTS kept (name TEXT PRIMARY KEY) STRICT"


def test_the_file_and_its_log_are_private_and_keep_what_they_hold(tmp_path: Path) -> None:
    path = tmp_path / "kept.sqlite"
    with contextlib.closing(open_private(path, SCHEMA)) as db:
        with transaction(db):
            db.execute("INSERT INTO kept VALUES ('a')")
        assert {stat.S_IMODE(one.stat().st_mode) for one in tmp_path.iterdir()} == {0o600}
        assert db.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    with contextlib.closing(open_private(path, SCHEMA)) as again:
        assert again.execute("SELECT name FROM kept").fetchall() == [("a",)]


@pytest.mark.parametrize("verb", ["INSERT", "INSERT OR ROLLBACK"], ids=["error", "error that rolls back"])
def test_a_failed_transaction_leaves_nothing_and_the_next_one_works(tmp_path: Path, verb: str) -> None:
    with contextlib.closing(open_private(tmp_path / "kept.sqlite", SCHEMA)) as db:
        db.execute("INSERT INTO kept VALUES ('a')")
        with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"), transaction(db):
            db.executemany(f"{verb} INTO kept VALUES (?)", [("b",), ("a",)])
        with transaction(db):
            db.execute("INSERT INTO kept VALUES ('c')")
        assert db.execute("SELECT name FROM kept ORDER BY name").fetchall() == [("a",), ("c",)]


def test_a_transaction_holds_off_other_writers_from_its_start(tmp_path: Path) -> None:
    path = tmp_path / "kept.sqlite"
    with (
        contextlib.closing(open_private(path, SCHEMA)) as db,
        contextlib.closing(open_private(path)) as other,
    ):
        other.execute("PRAGMA busy_timeout=0")
        with transaction(db), pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("INSERT INTO kept VALUES ('theirs')")


ADDITIONS: dict[str, Callable[[OpenedList], None]] = {
    "heads": lambda kept: kept.add_head(1, bytes(32), witnessed=False, at_us=1),
    "opened": lambda kept: kept.add_opened(0, bytes(32), witnessed=False, at_us=1),
    "alerts": lambda kept: kept.add_alerts(0, [bytes([1]) * 32], at_us=1),
    "day_keys": lambda kept: kept.add_day_keys(1, bytes(32), at_us=1),
}


@pytest.mark.parametrize("table", ADDITIONS)
def test_what_two_processes_keep_at_once_is_one_line(tmp_path: Path, table: str) -> None:
    with (
        contextlib.closing(OpenedList(tmp_path)) as kept,
        contextlib.closing(OpenedList(tmp_path)) as other,
    ):
        lines, turns = len(kept.all_messages()), iter([lambda: ADDITIONS[table](other)])

        def other_first(statement: str) -> None:
            if statement.startswith("BEGIN"):  # whatever was queried before
                next(turns, lambda: None)()

        kept._db.set_trace_callback(other_first)
        ADDITIONS[table](kept)
        assert len(kept.all_messages()) == lines + 1


@pytest.mark.parametrize("table", ADDITIONS)
def test_a_line_of_the_list_comes_with_what_it_notes_or_not_at_all(tmp_path: Path, table: str) -> None:
    with (
        contextlib.closing(OpenedList(tmp_path)) as kept,
        contextlib.closing(sqlite3.connect(tmp_path / DATABASE, isolation_level=None)) as disk,
    ):
        lines = len(kept.all_messages())
        disk.execute(f"CREATE TRIGGER full BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'full'); END")
        with pytest.raises(sqlite3.IntegrityError, match="full"):
            ADDITIONS[table](kept)
        assert len(kept.all_messages()) == lines
        disk.execute("DROP TRIGGER full")
        ADDITIONS[table](kept)
        assert len(kept.all_messages()) == lines + 1
