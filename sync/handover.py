"""A closed log on its way to its department: what a folder of it holds, read record by record, each checked.

HOME/sync/old/LOG/store       the ledger and its sealed images, as they lay when the log was closed
HOME/sync/old/LOG/keys.cbor   its epoch keys, each sealed to a day key of the department (a ParcelHeader)

The folder is copied whole to the department's machine, where `department incident examine FOLDER` holds it
against what was received, with `open_handover`. Nothing in it is trusted: every leaf must carry the signature
of the log's key, which the department knows from the unit's enrollment, and every stored element must be the
one that its leaf names. A department that has the content in hand sends the unit a signed document
`handed-over/LOG`, and the log is no alarm any more.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import sqlite_utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from storage import codec, files, schema
from storage.errors import LedgerError, StorageError
from storage.home import Home
from storage.leaf import IMAGES, Leaf, log_id_of, open_leaf
from storage.log import LogReader
from storage.record_base import KeyClass
from storage.store import read_book
from storage.verify_files import image_bytes
from sync import messages as m
from sync.documents import open_kept
from sync.errors import NotEnrolledError
from sync.membership import SyncFolder

KEYS_FILE = "keys.cbor"
MAX_KEYS_BYTES = 16 << 20
DOCUMENT = "handed-over"


@dataclass(frozen=True, slots=True)
class HandedRecord:
    """One record that verifies. elements: (name, stored bytes) of those that are there and unaltered.

    lost: the names of those that the leaf promises, and that are gone or altered.
    """

    sequence: int
    leaf: bytes
    elements: tuple[tuple[str, bytes], ...]
    lost: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A record that does not verify, and why."""

    sequence: int
    what: str


class Handover:
    """An opened folder. Reads only."""

    def __init__(self, home: Home, database: sqlite_utils.Database, keys: tuple[m.SealedKey, ...]) -> None:
        self.public: Ed25519PublicKey = home.read_public_key().public
        self.log_id = log_id_of(self.public)
        self.keys = keys
        self._home, self._log, self._db = home, LogReader(database), database.conn

    @property
    def size(self) -> int:
        """How many records the folder says that it holds."""
        return self._log.size()

    def records(self, first: int = 0) -> Iterator[HandedRecord | BadRecord]:
        """Every record from `first` on, in order: what verifies, and what does not."""
        sql = "SELECT sequence, leaf FROM leaves WHERE sequence >= ? ORDER BY sequence"
        for sequence, data in self._db.execute(sql, (first,)).fetchall():
            try:
                leaf = open_leaf(bytes(data), self.public)
                if leaf.sequence != sequence or leaf.log_id != self.log_id:
                    raise LedgerError("is a record of another place or another log")
                yield self._record(leaf, bytes(data))
            except (StorageError, TypeError) as error:
                yield BadRecord(int(sequence), str(error))

    def _record(self, leaf: Leaf, data: bytes) -> HandedRecord:
        there, lost = [], []
        for name, mark in sorted(leaf.elements.items()):
            stored = self._stored(leaf, name, mark.digest)
            if stored is None or not hmac.compare_digest(hashlib.sha256(stored).digest(), mark.digest):
                lost.append(name)
            else:
                there.append((name, stored))
        return HandedRecord(leaf.sequence, data, tuple(there), tuple(lost))

    def _stored(self, leaf: Leaf, name: str, digest: bytes) -> bytes | None:
        sql = "SELECT stored FROM elements WHERE sequence = ? AND name = ?"
        row = self._db.execute(sql, (leaf.sequence, name)).fetchone()
        if row is not None:
            return bytes(row[0])
        return image_bytes(self._home.blobs / f"{leaf.epoch:08d}" / digest.hex()) if name in IMAGES else None


@contextlib.contextmanager
def open_handover(folder: Path) -> Iterator[Handover]:
    """The folder of a closed log, for reading; nothing is written there. Raises StorageError, OSError.

    A folder without readable keys is opened all the same: its records verify, and nothing of them opens.
    """
    home = Home(folder)
    home.need()
    keys: tuple[m.SealedKey, ...] = ()
    with contextlib.suppress(FileNotFoundError):
        data = files.read_bounded(folder / KEYS_FILE, MAX_KEYS_BYTES)
        keys = codec.from_bytes(m.ParcelHeader, data, limit=MAX_KEYS_BYTES).keys
    with schema.evidence(home.database, written=home.is_written()) as database:
        schema.found(database, home.database)
        yield Handover(home, database, keys)


@dataclass(frozen=True, slots=True)
class ClosedLog:
    """A log that was closed on this unit. reads: those in it that no receipt covers; -1 where unreadable."""

    folder: Path
    reads: int

    @property
    def name(self) -> str:
        return self.folder.name


def closed_logs(folder: SyncFolder) -> list[ClosedLog]:
    """The closed logs whose content the department does not have yet, by its own signed word."""
    found = []
    for path in sorted((folder.path / "old").glob("*/store")):
        beside = path.parent
        if not _is_handed_over(folder, beside.name):
            found.append(ClosedLog(beside, _undelivered(beside)))
    return [one for one in found if one.reads]


def _is_handed_over(folder: SyncFolder, name: str) -> bool:
    with contextlib.suppress(OSError, StorageError, NotEnrolledError):
        open_kept(folder.inbox, f"{DOCUMENT}/{name}", folder.member())
        return True
    return False


@functools.cache
def _undelivered(beside: Path) -> int:
    """Reads and hits of a closed log that were neither received nor purged."""
    home = Home(beside)
    try:
        with schema.evidence(home.database, written=False) as database:
            book = read_book(database, LogReader(database))
            count = 0
            for facts in book.epochs.values():
                if facts.key_class in {KeyClass.READ, KeyClass.HIT} and facts.purged_by is None:
                    rows = database.conn.execute(
                        "SELECT sequence FROM leaves WHERE epoch = ?", (facts.epoch,)
                    )
                    count += sum(not book.is_received(int(row[0])) for row in rows)
            return count
    except Exception:  # noqa: BLE001 - a closed log may be damaged in any way, and then it counts as not delivered
        return -1
