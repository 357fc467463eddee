"""The nodes of a Merkle tree in the table `nodes` of a log's SQLite file, for roots and proofs (RFC 9162).

A node is written once, together with the leaf that completes it, in the caller's transaction.
"""

from __future__ import annotations

import sqlite3
import threading

from storage import merkle
from storage.errors import LedgerError

NODES = """
CREATE TABLE IF NOT EXISTS nodes (
    level INTEGER, at INTEGER, hash BLOB NOT NULL, PRIMARY KEY (level, at)
) STRICT, WITHOUT ROWID;
"""


class TreeTable:
    """One log's tree. `guard`: the lock of the connection; `where`: the log, for errors."""

    def __init__(self, db: sqlite3.Connection, guard: threading.RLock, where: str) -> None:
        self._db, self._guard, self._where = db, guard, where

    def append(self, at: int, value: bytes) -> None:
        """Add the leaf hash at this place and every node that it completes. Raises LedgerError."""
        rows = [(0, at, value)]
        level = 0
        while at & 1:
            value = merkle.node_hash(self.subtree(level, at - 1), value)
            level, at = level + 1, at >> 1
            rows.append((level, at, value))
        self._db.executemany("INSERT INTO nodes VALUES (?, ?, ?)", rows)

    def subtree(self, level: int, at: int) -> bytes:
        """The hash of a complete subtree. Raises LedgerError."""
        with self._guard:
            row = self._db.execute(
                "SELECT hash FROM nodes WHERE level = ? AND at = ?", (level, at)
            ).fetchone()
        if row is None:
            raise LedgerError("the tree lacks a node: run department verify", where=self._where)
        return bytes(row[0])

    def root(self, size: int) -> bytes:
        """The root over the first `size` leaves."""
        return merkle.root_at(size, self.subtree)

    def consistency(self, old: int, size: int) -> list[bytes]:
        """The proof that the first `size` leaves continue the first `old`; empty if none is needed."""
        return merkle.consistency_proof(old, size, self.subtree) if 0 < old < size else []
