"""Reads the folder of a closed log, to hand it over to the department; checks each record.

HOME/sync/old/LOG/store       the ledger and its sealed images, as they were when the log was closed
HOME/sync/old/LOG/keys.cbor   its epoch keys, each sealed to a day key of the department (a ParcelHeader)
HOME/sync/old/LOG/answers/    the department's signed answers on what it has (`sync.closed_parcels`)

Each sync hands the log over (`sync.closed_delivery`). If the unit cannot, the whole folder is copied to the
department's machine: `department incident import FOLDER`. Nothing in it is trusted: every leaf must carry the
signature of the log's key, which the department knows from the unit's enrollment, and every stored element
must be the one that its leaf names. After an import, the department sends the unit a signed document
`handed-over/LOG`. That document, or an answer for each record, ends the alarm for the log.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import hmac
import sqlite3
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from storage import codec, files, schema
from storage.database import blob_of
from storage.errors import LedgerError, StorageError
from storage.home import Home
from storage.leaf import IMAGES, Leaf, log_id_of, open_leaf, unchecked
from storage.log import LogReader
from storage.record_base import KeyClass
from storage.store import read_book
from storage.verify_files import image_bytes
from sync import messages
from sync.closed_parcels import ClosedHeld
from sync.documents import open_kept
from sync.errors import NotEnrolledError, SyncError
from sync.membership import SyncFolder

if TYPE_CHECKING:
    import sqlite_utils

KEYS_FILE = "keys.cbor"
MAX_KEYS_BYTES = 16 << 20
DOCUMENT = "handed-over"
ANSWERS = "answers"
AT_ONCE = 200
MAX_RECORDS = 1 << 40
EMPTY_RUNS = 50  # unreadable portions after which a damaged ledger is assumed to end


@dataclass(frozen=True, slots=True)
class HandedRecord:
    """A record that verifies. elements: (name, stored bytes) of those that are present and unaltered.

    lost: the names of those that the leaf lists but that are gone or altered.
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


class Answered:
    """The records of a closed log that the department says it has in full."""

    def __init__(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Merge the answers. ranges: (first, last) of each."""
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in sorted(ranges):
            if self._lasts and first <= self._lasts[-1] + 1:  # answers in a row are one range
                self._lasts[-1] = max(self._lasts[-1], last)
            else:
                self._firsts.append(first)
                self._lasts.append(last)

    def __contains__(self, sequence: object) -> bool:
        if not isinstance(sequence, int):
            return False
        at = bisect_right(self._firsts, sequence) - 1
        return at >= 0 and sequence <= self._lasts[at]


class Handover:
    """An opened folder. Reads only."""

    def __init__(
        self, home: Home, database: sqlite_utils.Database, keys: tuple[messages.SealedKey, ...]
    ) -> None:
        self.keys = keys
        self._home, self._log, self._db = home, LogReader(database), database.conn
        self.public: Ed25519PublicKey | None = None
        try:
            self.public = home.read_public_key().public
            self.log_id = log_id_of(self.public)
        except LedgerError:  # its records name the log; the holder of that log's key checks them
            self.log_id = self._named_by_records()

    @property
    def size(self) -> int:
        """How many records the folder claims to have."""
        return self._log.size()

    def records(
        self,
        first: int = 0,
        *,
        shut: Callable[[int, PermissionError], None] | None = None,
        there: Container[int] = (),
    ) -> Iterator[HandedRecord | BadRecord]:
        """Every record from `first` on, in order, whether or not it verifies.

        there: records that the department has; they are skipped without being read. shut: called with the
        number of a record whose image this user may not read; the record is then skipped. Without `shut`,
        such a record raises PermissionError.
        """
        for sequence, data in self._rows(first):
            if sequence in there:
                continue
            if data is None:
                yield BadRecord(sequence, "its part of the ledger cannot be read")
                continue
            try:
                leaf = unchecked(data) if self.public is None else open_leaf(data, self.public)
                if leaf.sequence != sequence or leaf.log_id != self.log_id:
                    raise LedgerError("belongs to another place or log")
                yield self._record(leaf, data)
            except PermissionError as error:
                if shut is None:
                    raise
                shut(sequence, error)
            except (StorageError, TypeError, ValueError, sqlite3.Error) as error:
                yield BadRecord(sequence, str(error))

    def _rows(self, first: int) -> Iterator[tuple[int, bytes | None]]:
        """(sequence, leaf) of every row; the leaf is None where the ledger is damaged."""
        sql = "SELECT sequence, leaf FROM leaves WHERE sequence >= ? AND sequence < ? ORDER BY sequence"
        last, known = self._last()
        at, empty = first, 0
        while at <= last and (known or empty < EMPTY_RUNS):
            rows: list[tuple[int, bytes | None]]
            try:
                found = self._db.execute(sql, (at, at + AT_ONCE)).fetchall()
                rows = [(int(sequence), blob_of(leaf)) for sequence, leaf in found]
            except (sqlite3.Error, TypeError):
                rows = [one for one in map(self._row, range(at, at + AT_ONCE)) if one is not None]
            yield from rows
            empty = 0 if rows else empty + 1
            at += AT_ONCE

    def _row(self, sequence: int) -> tuple[int, bytes | None] | None:
        try:
            row = self._db.execute("SELECT leaf FROM leaves WHERE sequence = ?", (sequence,)).fetchone()
            return None if row is None else (sequence, blob_of(row[0]))
        except (sqlite3.Error, TypeError):
            return sequence, None

    def _last(self) -> tuple[int, bool]:
        """The highest record number, and whether it is known."""
        try:
            (last,) = self._db.execute("SELECT max(sequence) FROM leaves").fetchone()
            if type(last) is int and last < MAX_RECORDS:
                return last, True
        except sqlite3.Error:
            pass
        return MAX_RECORDS, False

    def _named_by_records(self) -> bytes:
        """The log that most of the first records name. Raises LedgerError."""
        named: Counter[bytes] = Counter()
        for _, data in self._rows(0):
            with contextlib.suppress(StorageError):
                named[unchecked(data or b"").log_id] += 1
            if sum(named.values()) >= AT_ONCE:
                break
        if not named:
            raise LedgerError(
                "names no log: neither its key nor a record can be read", where=str(self._home.folder)
            )
        return named.most_common(1)[0][0]

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
            return blob_of(row[0])
        if name not in IMAGES:
            return None
        try:
            return image_bytes(self._home.blobs / f"{leaf.epoch:08d}" / digest.hex())
        except PermissionError:  # if it were sent as gone, it would be given up, even if repaired
            raise
        except (OSError, LedgerError):  # a failing card: the rest of the record is handed over
            return None


@contextlib.contextmanager
def open_handover(folder: Path) -> Iterator[Handover]:
    """Open the folder of a closed log read-only. Raises StorageError, OSError.

    A folder without readable keys can be opened too: its records verify, but their content cannot be opened.
    """
    home = Home(folder)
    home.need()
    keys = kept_keys(folder)
    with schema.evidence(home.database, written=home.is_written()) as database:
        schema.found(database, home.database)
        yield Handover(home, database, keys)


def kept_keys(folder: Path) -> tuple[messages.SealedKey, ...]:
    """The epoch keys beside a closed log; none if the file is absent or damaged. Raises OSError."""
    with contextlib.suppress(FileNotFoundError, StorageError):
        data = files.read_bounded(folder / KEYS_FILE, MAX_KEYS_BYTES)
        return codec.from_bytes(messages.ParcelHeader, data, limit=MAX_KEYS_BYTES).keys
    return ()


@dataclass(frozen=True, slots=True)
class ClosedLog:
    """A log that was closed on this unit. reads: how many no receipt covers; -1 if unreadable."""

    folder: Path
    reads: int

    @property
    def name(self) -> str:
        return self.folder.name


def closed_logs(folder: SyncFolder) -> list[ClosedLog]:
    """The closed logs whose content the department has not yet acknowledged in a signed answer."""
    found = []
    with contextlib.suppress(OSError):  # this user may not read the folder
        for path in sorted((folder.path / "old").glob("*/store")):
            beside = path.parent
            if not _is_handed_over(folder, beside.name):
                found.append(ClosedLog(beside, _left(folder, beside)))
    return [one for one in found if one.reads]


def answered(beside: Path, log_id: bytes, department: Ed25519PublicKey) -> Answered:
    """Read the answers kept beside a closed log: the records that the department has in full."""
    found = []
    for path in sorted((beside / ANSWERS).glob("*.cbor")):
        with contextlib.suppress(OSError, StorageError, SyncError):
            held = messages.open_message(ClosedHeld, files.read_bounded(path, ClosedHeld.LIMIT), department)
            if held.closed == log_id and not held.lacking:
                found.append((held.first, held.last))
    return Answered(found)


def _is_handed_over(folder: SyncFolder, name: str) -> bool:
    with contextlib.suppress(OSError, StorageError, NotEnrolledError):
        open_kept(folder.inbox, f"{DOCUMENT}/{name}", folder.member())
        return True
    return False


def _left(folder: SyncFolder, beside: Path) -> int:
    """How many reads of a closed log the department has not acknowledged; -1 if that is unknown."""
    undelivered = _undelivered(beside)
    if undelivered is None:
        return -1
    with contextlib.suppress(OSError, StorageError, NotEnrolledError):
        if not undelivered or not (beside / ANSWERS).exists():
            return len(undelivered)
        log_id = log_id_of(Home(beside).read_public_key().public)
        there = answered(beside, log_id, folder.member().department_public())
        return sum(one not in there for one in undelivered)
    return len(undelivered)


def _undelivered(beside: Path) -> tuple[int, ...] | None:
    """Reads and hits of a closed log that were neither received nor purged; None if it is unreadable."""
    return _undelivered_at(beside, _last_changed(Home(beside)))


def _last_changed(home: Home) -> tuple[int, ...]:
    """When the ledger of a closed log and its folder last changed (ns), as by a repair or another owner."""
    found = []
    for path in (home.folder, home.database):
        with contextlib.suppress(OSError):
            found.append(path.stat().st_ctime_ns)
    return tuple(found)


@functools.cache
def _undelivered_at(beside: Path, _changed_ns: tuple[int, ...]) -> tuple[int, ...] | None:
    """The same, read once for each state of its files: the health report asks every few seconds."""
    home = Home(beside)
    try:
        with schema.evidence(home.database, written=False) as database:
            book = read_book(database, LogReader(database))
            found: list[int] = []
            for facts in book.epochs.values():
                if facts.key_class in {KeyClass.READ, KeyClass.HIT} and facts.purged_by is None:
                    rows = database.conn.execute(
                        "SELECT sequence FROM leaves WHERE epoch = ?", (facts.epoch,)
                    )
                    found += [int(row[0]) for row in rows if not book.is_received(int(row[0]))]
            return tuple(found)
    except Exception:  # noqa: BLE001 - however a closed log is damaged, it counts as not delivered
        return None
