"""Triggers and views that a person with the card planted in a database affect no process."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from custody_twins import Reopen, SteppedTime, add_reads, check

from hw.secure_slot import LoopbackSlot
from storage import schema
from storage.errors import DamagedError
from storage.ledger import Ledger
from sync.department.ground.private_sqlite import open_private
from sync.department.journal.reading import reading

PLANTED = {
    "a trigger": "CREATE TRIGGER quiet AFTER INSERT ON elements WHEN NEW.name = 'text' BEGIN "
    "DELETE FROM elements WHERE sequence = NEW.sequence AND name = 'text'; END",
    "a view": "CREATE VIEW more AS WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM c) "
    "SELECT n FROM c",
    "a table": "CREATE TABLE more (a)",
    "an index that fails": "CREATE UNIQUE INDEX once ON elements (name)",
    "a column with a default": "ALTER TABLE anchors ADD COLUMN more INTEGER DEFAULT 7",
}


def plant(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as db:
        if "UNIQUE" in statement:
            db.execute("DELETE FROM elements")
        db.execute(statement)
        db.commit()


@pytest.mark.parametrize("statement", PLANTED.values(), ids=PLANTED.keys())
def test_a_unit_does_not_write_by_what_was_planted(
    ledger: Ledger, home: Path, slot: LoopbackSlot, reopen: Reopen, time: SteppedTime, statement: str
) -> None:
    add_reads(ledger, time, 2)
    ledger.close()
    plant(ledger.store.home.database, statement)
    with pytest.raises(DamagedError, match="not those that this program makes"):
        reopen()
    assert not check(home, slot).ok


def test_what_was_planted_in_an_older_format_is_not_migrated(tmp_path: Path) -> None:
    with closing(schema.connect(tmp_path / "old")) as db:
        schema.migrate(db, 0, to=1)
        schema.demand_own(db, 1, tmp_path / "old")
        db.conn.execute("CREATE TRIGGER t AFTER INSERT ON leaves BEGIN DELETE FROM leaves; END")
        with pytest.raises(DamagedError):
            schema.demand_own(db, 1, tmp_path / "old")


DROPS = {
    "a unique index": "CREATE UNIQUE INDEX once ON kept (kind)",
    "a partial one": "CREATE UNIQUE INDEX once ON kept (kind) WHERE kind = 'found'",
    "a table": "CREATE TABLE more (name TEXT PRIMARY KEY ON CONFLICT IGNORE)",
    "a table of a module": "CREATE VIRTUAL TABLE more USING fts5 (name)",
}


@pytest.mark.parametrize("statement", DROPS.values(), ids=DROPS.keys())
def test_a_departments_database_that_would_drop_what_is_written_is_not_opened(
    tmp_path: Path, statement: str
) -> None:
    """`INSERT OR IGNORE` silently drops a row that a planted index refuses."""
    path, table = (
        tmp_path / "kept.sqlite",
        "CREATE TABLE IF NOT EXISTS kept (name TEXT UNIQUE, kind TEXT) STRICT",
    )
    open_private(path, table).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute(statement)
        db.commit()
    with pytest.raises(DamagedError, match="tables differ from what this program makes"):
        open_private(path, table)


@pytest.mark.parametrize("opened", [open_private, lambda path: reading(path, at_home=False).__enter__()])
def test_a_departments_database_with_a_view_is_not_read(
    tmp_path: Path, opened: Callable[[Path], object]
) -> None:
    """Once, a copied access log with endless heads kept a stranger's check busy forever."""
    path = tmp_path / "access.sqlite"
    open_private(path, "CREATE TABLE heads0 (size INTEGER, note TEXT) STRICT").close()
    with closing(sqlite3.connect(path)) as db:
        db.execute(
            "CREATE VIEW heads AS WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM c) "
            "SELECT n AS size, '' AS note FROM c WHERE n < 0"
        )
        db.commit()
    with pytest.raises(DamagedError, match="a view or a trigger"):
        opened(path)
