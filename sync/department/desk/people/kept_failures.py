"""Failed logins kept on disk, so that a restart of the server allows no further attempts.

`HOME/desk/failed-logons.sqlite` holds times under keyed hashes of names and networks, since a person may type
a password into the name's field. It is not a record: to delete it resets the counters. If the disk fails, the
failures in memory still count.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import structlog

from storage.errors import StorageError
from sync.department.ground.private_sqlite import open_private

log_events = structlog.get_logger("department.desk")
FILE = "failed-logons.sqlite"
SCHEMA = """
CREATE TABLE IF NOT EXISTS failures (
    name BLOB NOT NULL, network BLOB NOT NULL, at_us INTEGER NOT NULL, times TEXT NOT NULL,
    PRIMARY KEY (name, network)
) STRICT, WITHOUT ROWID;
"""
HASH_BYTES = 16
EVERYWHERE = b""  # in place of a network, for wrong codes, which count wherever they come from

Who = tuple[bytes, bytes]
"""(hash of a name, hash of a network, or EVERYWHERE)."""


class KeptFailures:
    """The times of failures by name and network. Not thread-safe: use it under the throttle's lock."""

    def __init__(self, folder: Path | None, secret: bytes) -> None:
        """Open the file. `folder`: None to keep nothing; `secret`: the key of the hashes."""
        self._secret = hashlib.sha256(secret).digest()
        self._db: sqlite3.Connection | None = None
        if folder is not None:
            try:
                self._db = open_private(folder / FILE, SCHEMA)
                self._db.execute("PRAGMA synchronous=NORMAL")  # a power cut may cost the newest ones
            except (sqlite3.Error, OSError, StorageError) as error:
                log_events.warning("failed_logons_not_kept", file=FILE, kind=type(error).__name__)

    def close(self) -> None:
        """Close the file."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def hash_of(self, text: str) -> bytes:
        """The digest under which a name or a network is kept."""
        data = text.encode("utf-8", "surrogatepass")
        return hashlib.blake2b(data, key=self._secret, digest_size=HASH_BYTES).digest()

    def all(self) -> Iterator[tuple[Who, list[int]]]:
        """Everything that is kept, oldest first."""
        if self._db is None:
            return
        with contextlib.suppress(sqlite3.Error, ValueError):
            for name, network, times in self._db.execute(
                "SELECT name, network, times FROM failures ORDER BY at_us"
            ).fetchall():
                yield (bytes(name), bytes(network)), [int(one) for one in times.split()]

    def put(self, who: Who, times: Sequence[int]) -> None:
        """Keep the times of a name's failures."""
        self._run(
            "INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?)", *who, times[-1], " ".join(map(str, times))
        )

    def drop(self, who: Who) -> None:
        """Forget the failures of a name from one network."""
        self._run("DELETE FROM failures WHERE name = ? AND network = ?", *who)

    def drop_name(self, name: bytes) -> None:
        """Forget the failures of a name from everywhere."""
        self._run("DELETE FROM failures WHERE name = ?", name)

    def _run(self, query: str, *values: object) -> None:
        if self._db is not None:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute(query, values)
