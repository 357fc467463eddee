"""The Merkle log in SQLite: appends leaves, signs tree heads, gives proofs. Callers make the transactions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from storage import envelope, merkle
from storage.checkpoint import Checkpoint, NoteKey, sign_checkpoint
from storage.database import blob_of
from storage.errors import LedgerError
from storage.leaf import Leaf, LeafRef, log_id_of, origin_of

if TYPE_CHECKING:
    import sqlite_utils

STEP = 8  # subtree hashes are kept for every 8th level: 1/255 more rows, proofs of at most 3 * 256 reads


class LogReader:
    """Hashes and proofs of a stored log."""

    def __init__(self, database: sqlite_utils.Database) -> None:
        self._db = database.conn

    def size(self) -> int:
        """The number of leaves, by the highest sequence number."""
        return int(self._db.execute("SELECT coalesce(max(sequence) + 1, 0) FROM leaves").fetchone()[0])

    def leaf(self, sequence: int) -> bytes:
        """The leaf bytes. Raises LedgerError if it is missing."""
        row = self._db.execute("SELECT leaf FROM leaves WHERE sequence = ?", (sequence,)).fetchone()
        if row is None:
            raise LedgerError("is missing", where=f"record {sequence}", leaf_index=sequence)
        return blob_of(row[0])

    def subtree(self, level: int, index: int) -> bytes:
        """Hash of a complete subtree, from stored hashes. Raises LedgerError if one is missing."""
        kept = level // STEP * STEP
        width = 1 << (level - kept)
        first = index * width
        if kept:
            sql = "SELECT hash FROM nodes WHERE level = ? AND idx >= ? AND idx < ? ORDER BY idx"
            rows = self._db.execute(sql, (kept, first, first + width)).fetchall()
        else:
            sql = "SELECT hash FROM leaves WHERE sequence >= ? AND sequence < ? ORDER BY sequence"
            rows = self._db.execute(sql, (first, first + width)).fetchall()
        if len(rows) != width:
            raise LedgerError(
                "tree hashes are missing", where=f"records from {index << level}", leaf_index=index << level
            )
        return merkle.root_of(blob_of(row[0]) for row in rows)

    def root_at(self, size: int) -> bytes:
        return merkle.root_at(size, self.subtree)

    def inclusion(self, sequence: int, size: int) -> list[bytes]:
        return merkle.inclusion_proof(sequence, size, self.subtree)

    def consistency(self, first: int, second: int) -> list[bytes]:
        return merkle.consistency_proof(first, second, self.subtree)

    def head_note(self) -> str | None:
        row = self._db.execute("SELECT note FROM head").fetchone()
        return None if row is None else str(row[0])


class LogWriter(LogReader):
    """The only writer. Call `append` and `sign_head` in one transaction, and `rewind` after a failed one."""

    def __init__(self, database: sqlite_utils.Database, key: Ed25519PrivateKey) -> None:
        super().__init__(database)
        self._key = key
        self.log_id = log_id_of(key.public_key())
        self.key_of_notes = NoteKey(origin_of(self.log_id), key.public_key())
        self.frontier = merkle.Frontier.load(self.size(), self.subtree)

    def use(self, database: sqlite_utils.Database) -> None:
        """Continue with another connection to the same log."""
        self._db = database.conn

    def append(self, leaf: Leaf) -> LeafRef:
        """Sign and store the next leaf."""
        data = leaf.sign(self._key)
        value = merkle.leaf_hash(data)
        self._db.execute(
            "INSERT INTO leaves (sequence, epoch, leaf, hash) VALUES (?, ?, ?, ?)",
            (leaf.sequence, leaf.epoch, data, value),
        )
        self.frontier.append(value)
        level, size = STEP, self.frontier.size
        while size % (1 << level) == 0:
            index = (size >> level) - 1
            below = self.subtree_from_below(level, index)
            self._db.execute("INSERT INTO nodes (level, idx, hash) VALUES (?, ?, ?)", (level, index, below))
            level += STEP
        return LeafRef(leaf.sequence, value)

    def subtree_from_below(self, level: int, index: int) -> bytes:
        """The hash of a stored node, from the 256 below it."""
        left, right = 2 * index, 2 * index + 1
        return merkle.node_hash(self.subtree(level - 1, left), self.subtree(level - 1, right))

    def sign_head(self) -> str:
        """Sign and store the checkpoint over all leaves."""
        note = sign_checkpoint(self.checkpoint(), self._key)
        self._db.execute("INSERT OR REPLACE INTO head (id, note) VALUES (1, ?)", (note,))
        return note

    def checkpoint(self) -> Checkpoint:
        return Checkpoint(self.key_of_notes.name, self.frontier.size, self.frontier.root())

    def sign_bytes(self, body: bytes, context: bytes) -> bytes:
        """A COSE_Sign1 by the log key in a context (state, batches, packages)."""
        return envelope.sign(body, self._key, context=context)

    def rewind(self, frontier: merkle.Frontier) -> None:
        """Restore the frontier before a transaction that did not commit."""
        self.frontier = frontier
