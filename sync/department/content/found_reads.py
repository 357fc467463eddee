"""Which reads each search found, according to the key service: `found.sqlite`, beside the keys.

A picture, a hold or an export opens only what a search by the same person found, or what a second person
approved. The department could claim that a search found any read, but the key service opened the texts itself
and keeps what matched. It keeps digests of reads' names, no plates, for as long as a read can exist; those of
held reads for as long as the hold's key may exist.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable
from pathlib import Path

from storage.times import DAY_US
from sync.department.ground.private_sqlite import open_private, transaction

DATABASE = "found.sqlite"
DIGEST_BYTES = 16
KEPT_US = 800 * DAY_US  # a read is kept for a year from receipt, which may be a year late
SCHEMA = """
CREATE TABLE IF NOT EXISTS found (
    log BLOB, access INTEGER, user TEXT NOT NULL, request INTEGER NOT NULL, held INTEGER NOT NULL,
    at_us INTEGER NOT NULL, reads BLOB NOT NULL, PRIMARY KEY (log, access)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS found_by_request ON found (log, request) WHERE request >= 0;
"""


class FoundReads:
    """What searches found, in a key service's folder. Safe for several threads and processes."""

    def __init__(self, folder: Path) -> None:
        self._guard = threading.Lock()
        self._db = open_private(folder / DATABASE, SCHEMA)

    def close(self) -> None:
        with self._guard:
            self._db.close()

    def forget(self, now_us: int) -> None:
        """Drop searches that are too old to name a read that still exists."""
        with self._guard:
            self._db.execute("DELETE FROM found WHERE held = 0 AND at_us < ?", (now_us - KEPT_US,))

    def add(  # noqa: PLR0917 - what is kept of a search
        self,
        log: bytes,
        access: int,
        user: str,
        request: int,
        names: Iterable[str],
        at_us: int,
        *,
        held: bool = False,
    ) -> None:
        """Record that this access found or held these reads. `request`: the one that it answered, or -1."""
        with self._guard, transaction(self._db):
            row = self._db.execute(
                "SELECT reads FROM found WHERE log = ? AND access = ?", (log, access)
            ).fetchone()
            reads = bytes(row[0]) if row else b""
            for name in names:
                digest = _digest(name)
                if not _is_in(digest, reads):
                    reads += digest
            self._db.execute(
                "INSERT OR REPLACE INTO found VALUES (?, ?, ?, ?, ?, ?, ?)",
                (log, access, user, request, held, at_us, reads),
            )

    def by_access(self, log: bytes, name: str, accesses: Iterable[int], user: str) -> bool:
        """Whether one of these accesses by this user found or held the read."""
        query = "SELECT reads FROM found WHERE log = ? AND access = ? AND user = ?"
        with self._guard:
            rows = [self._db.execute(query, (log, access, user)).fetchone() for access in accesses]
        return any(row is not None and _is_in(_digest(name), bytes(row[0])) for row in rows)

    def by_request(self, log: bytes, name: str, request: int) -> bool:
        """Whether a search that answered this request found the read."""
        query = "SELECT reads FROM found WHERE log = ? AND request = ?"
        with self._guard:
            rows = self._db.execute(query, (log, request)).fetchall() if request >= 0 else []
        return any(_is_in(_digest(name), bytes(row[0])) for row in rows)


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()[:DIGEST_BYTES]


def _is_in(digest: bytes, reads: bytes) -> bool:
    at = reads.find(digest)
    while at >= 0 and at % DIGEST_BYTES:
        at = reads.find(digest, at + 1)
    return at >= 0
