"""A private SQLite file beside the store: mode 0600, synced commits, deleted data overwritten."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from storage import files
from storage.database import demand_plain_tables

BUSY_MS = 20_000  # how long a writer waits for another process


def open_private(path: Path, schema: str = "") -> sqlite3.Connection:
    """Open the database or create it with mode 0600, and run `schema`; usable from any thread.

    A statement outside `transaction` commits by itself. Raises sqlite3.Error, or DamagedError if the database
    has a view or trigger.
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
    """A transaction with the write lock from its start, so that what it reads holds until the commit."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        db.rollback()  # a no-op if the error has already ended the transaction
        raise
