"""For which day of receipt a remote key service sealed each element: `received.sqlite`, beside the keys.

A read that a restored store lacks comes again, but its year began when it first came (463.8). A service that
sealed anything for a past day would also make tokens of guessed plates for that day. So for a past day it
seals only what it sealed for that day before, and keeps a MAC of each element for this, under its own key.
Without the key, no other leaf with the same MAC can be found, and the MACs reveal nothing. What this file
does not know, for example after its loss, counts as received today.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

import structlog

from storage.damage import is_damaged
from storage.errors import DamagedError
from sync.department.content.search_tokens import StoredElement
from sync.department.ground.private_sqlite import open_private, transaction

log_events = structlog.get_logger("department.keys")
DATABASE = "received.sqlite"
MAC_BYTES = 8  # at a million elements a day, one is confused with another once in 10^7 years
SCHEMA = """
CREATE TABLE IF NOT EXISTS secret (key BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS received (
    day INTEGER, mac BLOB, PRIMARY KEY (day, mac)
) STRICT, WITHOUT ROWID;
"""
# one step per kept day: an index of the MACs would double the file, just for lookups after a restore
FIRST_DAY = """
WITH RECURSIVE kept(day) AS (
    SELECT min(day) FROM received
    UNION ALL SELECT (SELECT min(day) FROM received WHERE day > kept.day) FROM kept WHERE day NOT NULL
)
SELECT min(kept.day) FROM kept CROSS JOIN received ON received.day = kept.day AND received.mac = ?
"""


def _opened(path: Path) -> sqlite3.Connection:
    """Open the database. A damaged file is set aside and replaced, since its loss does no harm."""
    try:
        return _checked(path)
    except (sqlite3.DatabaseError, DamagedError) as error:
        if isinstance(error, sqlite3.OperationalError):  # a full disk, or a locked file
            raise
        if isinstance(error, sqlite3.DatabaseError) and not is_damaged(path):
            raise
    aside = path.with_name(path.name + ".damaged")
    log_events.warning("received_days_damaged", file=str(path), kept_as=aside.name, cure="nothing to do")
    for end in ("-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)
    path.replace(aside)
    return _checked(path)


def _checked(path: Path) -> sqlite3.Connection:
    db = open_private(path, SCHEMA)
    try:
        # what a power cut loses arrives again and counts from today
        db.execute("PRAGMA synchronous=NORMAL")
        db.execute(FIRST_DAY, (b"",)).fetchone()
        db.execute("SELECT key FROM secret").fetchone()
    except BaseException:
        db.close()
        raise
    return db


class ReceivedDays:
    """What was sealed for which day, in a key service's folder. Safe for several threads and processes."""

    def __init__(self, folder: Path) -> None:
        self._guard = threading.Lock()
        self._db = _opened(folder / DATABASE)
        with transaction(self._db):
            self._db.execute(
                "INSERT INTO secret SELECT ? WHERE NOT EXISTS (SELECT 1 FROM secret)", (os.urandom(32),)
            )
        self._key = bytes(self._db.execute("SELECT key FROM secret").fetchone()[0])

    def close(self) -> None:
        with self._guard:
            self._db.close()

    def _mac(self, one: StoredElement) -> bytes:
        element = one.name.encode() + b"\x00" + one.leaf
        return hmac.new(self._key, element, hashlib.sha256).digest()[:MAC_BYTES]

    def keep(self, day: int, sealed: Iterable[StoredElement]) -> None:
        """Record that these were sealed for this day (days since 1970)."""
        with self._guard, transaction(self._db):
            self._db.executemany(
                "INSERT OR IGNORE INTO received VALUES (?, ?)", [(day, self._mac(one)) for one in sealed]
            )

    def days_of(self, arrived: Sequence[StoredElement]) -> list[int | None]:
        """The day for which each was first sealed; None if never."""
        with self._guard:
            return [self._db.execute(FIRST_DAY, (self._mac(one),)).fetchone()[0] for one in arrived]

    def forget(self, day: int) -> None:
        """Drop what was received up to this day, since it is purged."""
        with self._guard:
            self._db.execute("DELETE FROM received WHERE day <= ?", (day,))
