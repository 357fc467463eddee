"""The log of hourly heads: what public witnesses see of the access log, one leaf per hour.

Anyone may read what a public witness co-signs, so it must reveal nothing about the people at the desk. Every
hour, with or without lookups, makes a leaf that commits to the access log's tree head of that hour without
showing its size. Leaves for hours without a server are added later. So the number of leaves reveals only the
number of hours since the first.

A leaf is deterministic CBOR {1: version, 2: log id, 3: hour since 1970, 4: commitment}; the commitment is the
SHA-256 of a domain tag and CBOR [salt, size, root] of the access log's head. Tree, tree heads and
co-signatures work as in the access log (RFC 9162, C2SP), under a separate origin and the same key.
`HOME/desk/hourly-heads.sqlite` keeps the openings, with which `department verify` checks every leaf.
"""

from __future__ import annotations

import hashlib
import os
import threading
from dataclasses import dataclass
from pathlib import Path

from storage import envelope, merkle
from storage.checkpoint import Checkpoint, NoteKey
from storage.times import HOUR_US
from sync.department.ground.private_sqlite import open_private, transaction
from sync.department.journal.access_log import AccessLog
from sync.department.journal.tree_table import NODES, TreeTable

DATABASE = "hourly-heads.sqlite"
VERSION = 1
MOST_AT_ONCE = 24 * 366  # missing hours that are added in one step
_DOMAIN = b"alpr-department/hourly-head/v1\x00"
SCHEMA = (
    NODES
    + """
CREATE TABLE IF NOT EXISTS leaves (
    at INTEGER PRIMARY KEY, hour INTEGER NOT NULL, salt BLOB NOT NULL, size INTEGER NOT NULL,
    root BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS heads (
    size INTEGER PRIMARY KEY, note TEXT NOT NULL, at_us INTEGER NOT NULL
) STRICT;
"""
)


def hourly_origin(log_id: bytes) -> str:
    """The log's name in checkpoints."""
    return f"alpr-department/hourly-heads/{log_id.hex()[:32]}"


def leaf_of(log_id: bytes, hour: int, salt: bytes, size: int, root: bytes) -> bytes:
    """The bytes of a leaf, as hashed."""
    bound = hashlib.sha256(_DOMAIN + envelope.encode([salt, size, root])).digest()
    return envelope.encode({1: VERSION, 2: log_id, 3: hour, 4: bound})


@dataclass(frozen=True, slots=True)
class HourRow:
    """One hour: the access log's size and root at that time, and the salt that hides them."""

    hour: int
    salt: bytes
    size: int
    root: bytes


class HourlyHeads:
    """The hourly log of one access log. Thread-safe."""

    def __init__(self, folder: Path, log: AccessLog) -> None:
        self._log = log
        self._guard = threading.RLock()
        self._db = open_private(folder / DATABASE, SCHEMA)
        self._tree = TreeTable(self._db, self._guard, DATABASE)

    def close(self) -> None:
        with self._guard:
            self._db.close()

    def add_hours(self, now_us: int) -> int:
        """Add a leaf for every past hour without one; returns how many leaves there are then."""
        with self._guard, transaction(self._db):
            hour = now_us // HOUR_US
            last = self._db.execute("SELECT max(hour) FROM leaves").fetchone()[0]
            size = self._log.size()
            root = self._log.head(size).root
            first = hour if last is None else last + 1
            for one in range(first, min(hour, first + MOST_AT_ONCE) + 1):
                self._append(HourRow(one, os.urandom(32), size, root))
        return self.size()

    def _append(self, row: HourRow) -> None:
        at = self.size()
        self._db.execute(
            "INSERT INTO leaves VALUES (?, ?, ?, ?, ?)", (at, row.hour, row.salt, row.size, row.root)
        )
        value = merkle.leaf_hash(leaf_of(self._log.log_id, row.hour, row.salt, row.size, row.root))
        self._tree.append(at, value)

    def size(self) -> int:
        """How many hours there are."""
        with self._guard:
            (last,) = self._db.execute("SELECT max(at) FROM leaves").fetchone()
        return 0 if last is None else int(last) + 1

    # what a publisher needs of a log -------------------------------------------------------------------

    @property
    def origin(self) -> str:
        return hourly_origin(self._log.log_id)

    @property
    def note_key(self) -> NoteKey:
        """The verifying key, in the witnesses' format."""
        return NoteKey(self.origin, self._log.public)

    def consistency(self, old: int, size: int) -> list[bytes]:
        """The proof that the first `size` hours continue the first `old`."""
        return self._tree.consistency(old, size)

    def signed_head(self, size: int) -> str:
        """The signed tree head of the first `size` hours."""
        return self._log.sign_head(Checkpoint(self.origin, size, self._tree.root(size)))

    def cosigned(self) -> tuple[int, str]:
        """(size, note) of the newest co-signed head; (0, "") before the first."""
        with self._guard:
            row = self._db.execute("SELECT size, note FROM heads ORDER BY size DESC LIMIT 1").fetchone()
        return (int(row[0]), str(row[1])) if row else (0, "")

    def keep_head(self, size: int, note: str) -> None:
        """Keep a co-signed head."""
        with self._guard:
            hour = self._db.execute("SELECT hour FROM leaves WHERE at = ?", (size - 1,)).fetchone()
            at_us = int(hour[0]) * HOUR_US if hour else 0
            self._db.execute("INSERT OR REPLACE INTO heads VALUES (?, ?, ?)", (size, note, at_us))

    def published_us(self) -> int:
        """The newest hour that a public witness co-signed, in microseconds; 0 before the first."""
        with self._guard:
            (at_us,) = self._db.execute("SELECT max(at_us) FROM heads").fetchone()
        return int(at_us or 0)
