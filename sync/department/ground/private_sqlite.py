"""A private SQLite file beside the store: mode 0600, every commit synced before it returns, what is deleted
overwritten."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from storage import files
from storage.database import demand_plain_tables

BUSY_MS = 20_000  # how long a writer waits for another process


def open_private(path: Path, schema: str = "") -> sqlite3.Connection:
    """Open the database, or create it 0600, and run `schema`; usable from any thread.

    Raises sqlite3.Error, DamagedError for one with a view or a trigger.
    A statement outside `transaction` commits by itself.
    """
    if not path.exists():
        path.touch(mode=files.PRIVATE_FILE)
    db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    try:
        demand_plain_tables(db, path)
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "secure_delete=ON",
            "temp_store=MEMORY",
            f"busy_timeout={BUSY_MS}",
            "foreign_keys=ON",
        ):
            db.execute(f"PRAGMA {pragma}")
        db.executescript(schema)
    except BaseException:
        db.close()
        raise
    return db


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All or nothing, under the write lock from the start: what was read inside holds until the commit."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        db.rollback()  # a no-op where the error has ended the transaction already
        raise
