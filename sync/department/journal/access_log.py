"""The department's access log: a Merkle log of signed, sealed entries in one SQLite file.

A leaf is COSE_Sign1 (Ed25519, the department log key) over deterministic CBOR {1: version, 2: log id, 3:
kind, 4: sequence, 5: year of the audit key, 6: [commitment, SHA-256 of the sealed entry]}; leaf hash and tree
as in RFC 9162, tree heads as C2SP checkpoints. The entry itself (stamp, record and, if a person made it, that
person's signature) is sealed beside it under the audit key of its year. Tables: `entries` is the log; `nodes`
and the columns kind and year are caches that `check_log.py` recomputes; `heads` has co-signed tree heads.

Several processes may write: each append is one immediate transaction, synced before it returns. An entry that
is dated before its predecessor is refused.
"""

from __future__ import annotations

import bisect
import datetime
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from storage import envelope, files, merkle, sealing
from storage.checkpoint import Checkpoint, NoteKey, sign_checkpoint
from storage.codec import from_plain, to_plain
from storage.errors import LedgerError, RecordError
from storage.leaf import Mark, log_id_of
from sync.department.ground.private_sqlite import open_private, transaction
from sync.department.journal.entries import NOTES, Entry, EntryOf
from sync.department.journal.entry_base import Note, Stamp
from sync.department.journal.signers import SIGNER_KINDS
from sync.department.journal.tree_table import NODES, TreeTable
from sync.errors import HomeError, NewerError

VERSION = 1
CONTEXT = b"alpr-department/entry/v1"
ELEMENT = "entry"
MAX_ENTRY_BYTES = 1 << 20
DATABASE = "access-log.sqlite"
AT_ONCE = 1000  # entries read by one statement
KEYS = "audit-keys"
KEY_CURE = "restore it from its backup: no other opens the entries of that year"
SCHEMA = (
    NODES
    + """
CREATE TABLE entries (
    sequence INTEGER PRIMARY KEY, kind TEXT NOT NULL, year INTEGER NOT NULL, leaf BLOB NOT NULL, sealed
    BLOB NOT NULL
) STRICT;
CREATE INDEX entries_by_kind ON entries (kind, sequence);
CREATE TABLE heads (size INTEGER PRIMARY KEY, note TEXT NOT NULL) STRICT;
CREATE TABLE credentials (user TEXT PRIMARY KEY, sealed BLOB NOT NULL) STRICT;
CREATE TABLE activity (session BLOB PRIMARY KEY, last_us INTEGER NOT NULL) STRICT;
"""
)


def origin_of(log_id: bytes) -> str:
    """The log's name in checkpoints."""
    return f"alpr-department/access-log/{log_id.hex()[:32]}"


def year_of(at_us: int) -> int:
    """The year whose audit key seals an entry (UTC)."""
    return datetime.datetime.fromtimestamp(at_us / 1e6, datetime.UTC).year


def leaf_payload(log_id: bytes, kind: str, sequence: int, year: int, mark: Mark) -> bytes:
    """The signed payload of a leaf."""
    return envelope.encode(
        {1: VERSION, 2: log_id, 3: kind, 4: sequence, 5: year, 6: [mark.commitment, mark.digest]}
    )


def parse_leaf(payload: bytes) -> tuple[bytes, str, int, int, Mark]:
    """Parse a leaf into (log id, kind, sequence, year, mark). Raises EnvelopeError, RecordError."""
    value = envelope.decode(payload, limit=1024)
    if not (isinstance(value, dict) and set(value) == {1, 2, 3, 4, 5, 6} and value[1] == VERSION):
        raise RecordError("a leaf has the fields 1 to 6 and a known version", where="leaf")
    log_id, kind, sequence, year, mark = (value[at] for at in range(2, 7))
    if not (isinstance(log_id, bytes) and isinstance(kind, str)):
        raise RecordError("log id or kind is malformed", where="leaf")
    if kind not in NOTES:
        raise RecordError(
            "is of a kind that this version does not know", where="leaf", cure="a newer version may know it"
        )
    if type(sequence) is not int or type(year) is not int or not isinstance(mark, list) or len(mark) != 2:
        raise RecordError("sequence, year or mark is malformed", where="leaf")
    if not all(isinstance(part, bytes) and len(part) == 32 for part in mark):
        raise RecordError("a mark is two hashes", where="leaf")
    return log_id, kind, sequence, year, Mark(*mark)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryOpening:
    """The opening of an entry's commitment. The repr hides the content."""

    sequence: int
    salt: bytes
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPart:
    """Leaves from `start` up to a signed tree head.

    Includes the openings of entries that say who can sign, or that must be signed.
    """

    start: int
    leaves: tuple[bytes, ...]
    openings: tuple[EntryOpening, ...]
    checkpoint: str


class AuditKeys:
    """AES-256 keys that seal entries, one per year, in 0600 files apart from the database and its backups."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[int, bytes] = {}

    def path_of(self, year: int) -> Path:
        return self._folder / f"{year}.key"

    def of(self, year: int, *, make: bool = False) -> bytes:
        """The key of a year. Raises HomeError if it is missing and may not be made."""
        if year not in self._known:
            path = self.path_of(year)
            if make and not path.exists():
                files.make_dir(self._folder)
                files.write_first(path, sealing.new_key())
            elif make:
                files.sync_dir(self._folder)  # its maker may have ended before doing so
            try:
                key = path.read_bytes()
            except OSError:
                what = "this audit key is not here"
                raise HomeError(what, where=str(path), cure=KEY_CURE) from None
            if len(key) != sealing.KEY_BYTES:
                raise HomeError("is not an audit key", where=str(path), cure=KEY_CURE)
            self._known[year] = key
        return self._known[year]


class AccessLog:
    """One department's log: appends, reads and proves entries, and keeps co-signed tree heads."""

    def __init__(self, folder: Path, key: Ed25519PrivateKey) -> None:
        """Open the log in `folder`. Raises HomeError."""
        path = folder / DATABASE
        if not path.is_file():
            raise HomeError("holds no access log", where=str(folder), cure="department init")
        self.folder = folder
        self._guard = threading.RLock()
        self._depth, self._added = 0, False
        self.on_undone: Callable[[], None] = lambda: None
        self._db = open_private(path)
        self._key = key
        self.log_id = log_id_of(key.public_key())
        self.origin = origin_of(self.log_id)
        self.keys = AuditKeys(folder / KEYS)
        self._tree = TreeTable(self._db, self._guard, "access log")
        self._newest: tuple[int, int] = (0, 0)

    @classmethod
    def create(cls, folder: Path, key: Ed25519PrivateKey) -> AccessLog:
        """Make a new, empty log in `folder` (0700). Raises HomeError."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / DATABASE
        if path.exists() and (path.is_dir() or path.stat().st_size):  # empty: an interrupted start
            raise HomeError("already holds an access log", where=str(folder))
        open_private(path, SCHEMA).close()
        return cls(folder, key)

    def close(self) -> None:
        with self._guard:
            self._db.close()

    @property
    def public(self) -> Ed25519PublicKey:
        return self._key.public_key()

    @property
    def note_key(self) -> NoteKey:
        """The log's verifying key, in the witnesses' format."""
        return NoteKey(self.origin, self.public)

    # writing ------------------------------------------------------------------------------------------------

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One transaction, in which code decides on the newest state and appends. Nests.

        After a rollback, `on_undone` is called before another thread gets its turn.
        """
        with self._guard:
            if self._depth:
                self._depth += 1
                try:
                    yield
                finally:
                    self._depth -= 1
                return
            try:
                with transaction(self._db):
                    self._depth, self._added = 1, False
                    yield
            except BaseException:
                self._depth, self._newest = 0, (0, 0)
                if self._added:
                    self._added = False
                    self.on_undone()
                raise
            finally:
                self._depth, self._added = 0, False

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Keep other threads from appending. Nests, also with `writing`."""
        with self._guard:
            yield

    @property
    def unsettled(self) -> bool:
        """Whether the present transaction has entries that may still be rolled back."""
        return self._added

    def append(self, note: Note, stamp: Stamp, signed: bytes = b"") -> Entry:
        """Seal, sign, add and sync one entry. Raises StorageError for a malformed record.

        `signed`: the statement of the person who made it, if any.
        """
        check = getattr(note, "check", None)
        if check is not None:
            check()
        with self.writing():
            size = self.size()
            if stamp.at_us < self.newest_us():
                raise RecordError(
                    "is dated before the entry before it", where="access log", cure="set the server's clock"
                )
            year = year_of(stamp.at_us)
            parts: dict[str, object] = {"stamp": to_plain(stamp), "note": to_plain(note)}
            content = envelope.encode(parts | ({"signed": signed} if signed else {}))
            if len(content) > MAX_ENTRY_BYTES - 1024:
                raise RecordError(f"an entry is at most {MAX_ENTRY_BYTES - 1024} bytes", where=note.KIND)
            sealed = sealing.seal(
                self.keys.of(year, make=True), self.log_id, size, sealing.fresh(ELEMENT, content)
            )
            mark = Mark(sealed.commitment, sealed.digest)
            leaf = envelope.sign(
                leaf_payload(self.log_id, note.KIND, size, year, mark), self._key, context=CONTEXT
            )
            self._db.execute(
                "INSERT INTO entries VALUES (?, ?, ?, ?, ?)", (size, note.KIND, year, leaf, sealed.stored)
            )
            self._added = True
            self._tree.append(size, merkle.leaf_hash(leaf))
            self._newest = (size + 1, stamp.at_us)
        return EntryOf(size, stamp, note, signed)

    # reading ------------------------------------------------------------------------------------------------

    def size(self) -> int:
        """How many entries there are."""
        with self._guard:
            (last,) = self._db.execute("SELECT max(sequence) FROM entries").fetchone()
        return 0 if last is None else int(last) + 1

    def newest_us(self) -> int:
        """When the newest entry was made; 0 for an empty log. No later entry is dated before it."""
        with self._guard:  # cached entries are dropped when another thread's are rolled back
            size = self.size()
            if size and self._newest[0] != size:
                self._newest = (size, self.entry(size - 1).stamp.at_us)
            return self._newest[1] if size else 0

    def entries(
        self, start: int = 0, end: int | None = None, kinds: tuple[str, ...] | None = None
    ) -> Iterator[Entry]:
        """Entries [start, end) in order, read a thousand at a time; only of `kinds`, if given.

        Raises SealError for an entry that was changed.
        """
        end = self.size() if end is None else end
        where = "sequence >= ? AND sequence < ?"
        if kinds is not None:
            where += f" AND kind IN ({','.join('?' * len(kinds))})"
        query = f"SELECT sequence, leaf, sealed FROM entries WHERE {where} ORDER BY sequence LIMIT {AT_ONCE}"  # noqa: S608
        while start < end:
            with self._guard:
                rows = self._db.execute(query, (start, end, *(kinds or ()))).fetchall()
            for sequence, leaf, sealed in rows:
                yield self._open(sequence, leaf, sealed)
            start = rows[-1][0] + 1 if len(rows) == AT_ONCE else end

    def size_at(self, us: int) -> int:
        """How many entries were made before this time."""
        return bisect.bisect_left(range(self.size()), us, key=lambda at: self.entry(at).stamp.at_us)

    def entry(self, sequence: int) -> Entry:
        """One entry. Raises LedgerError if there is none."""
        found = next(self.entries(sequence, sequence + 1), None)
        if found is None:
            raise LedgerError("no such entry", where=f"access log, entry {sequence}")
        return found

    def _open(self, sequence: int, leaf: bytes, sealed: bytes) -> Entry:
        payload = envelope.open_signed(leaf, self.public, context=CONTEXT, limit=4096)
        return open_entry(self.log_id, sequence, payload, sealed, self.keys)

    # proving ------------------------------------------------------------------------------------------------

    def opening(self, sequence: int) -> tuple[bytes, sealing.Opened]:
        """An entry's leaf and the opening of its commitment. Raises LedgerError, SealError."""
        with self._guard:
            row = self._db.execute(
                "SELECT leaf, sealed, year FROM entries WHERE sequence = ?", (sequence,)
            ).fetchone()
        if row is None:
            raise LedgerError("no such entry", where=f"access log, entry {sequence}")
        leaf, sealed, year = bytes(row[0]), bytes(row[1]), int(row[2])
        mark = parse_leaf(envelope.open_signed(leaf, self.public, context=CONTEXT, limit=4096))[4]
        key = self.keys.of(year)
        return leaf, sealing.open_sealed(key, self.log_id, sequence, ELEMENT, sealed, mark.commitment)

    def demand_known(self) -> None:
        """Raises NewerError for kinds of entries that only a newer version knows; reading would skip them."""
        with self._guard:
            kinds = {row[0] for row in self._db.execute("SELECT DISTINCT kind FROM entries")}
        if unknown := sorted(kinds - set(NOTES)):
            raise NewerError(
                f"the access log has entries that this version does not know: {', '.join(unknown)}"
            )

    def has_kind(self, kind: str) -> bool:
        """Whether there is an entry of this kind, without opening any."""
        with self._guard:
            row = self._db.execute("SELECT 1 FROM entries WHERE kind = ? LIMIT 1", (kind,)).fetchone()
        return row is not None

    def first_salt(self, kind: str) -> bytes:
        """The salt of the first entry of a kind, which only the audit keys open; empty without an entry.

        Raises as `opening`.
        """
        first = next(self.entries(kinds=(kind,)), None)
        return b"" if first is None else self.opening(first.sequence)[1].salt

    def leaves(self, end: int) -> Iterator[bytes]:
        """The signed leaves of the first `end` entries in order, read a thousand at a time."""
        query = "SELECT leaf FROM entries WHERE sequence >= ? AND sequence < ? ORDER BY sequence"
        for start in range(0, end, AT_ONCE):
            with self._guard:
                rows = self._db.execute(query, (start, min(end, start + AT_ONCE))).fetchall()
            yield from (bytes(leaf) for (leaf,) in rows)

    def sign(self, payload: bytes, context: bytes) -> bytes:
        """Sign data that is not an entry with the log's key; returns a COSE_Sign1."""
        return envelope.sign(payload, self._key, context=context)

    def part(self, start: int, end: int) -> LogPart:
        """Entries [start, end) as the key service follows them. Raises StorageError, HomeError."""
        query = (
            "SELECT sequence, kind, leaf, sealed, year FROM entries WHERE sequence >= ? AND sequence < ? "
            "ORDER BY sequence"
        )
        with self._guard:
            rows = self._db.execute(query, (start, end)).fetchall()
        openings = []
        for sequence, kind, leaf, sealed, year in rows:
            if kind in SIGNER_KINDS:
                mark = parse_leaf(envelope.split(leaf, limit=4096)[1])[4]  # the signed head covers the leaf
                key = self.keys.of(year)
                opened = sealing.open_sealed(key, self.log_id, sequence, ELEMENT, sealed, mark.commitment)
                openings.append(EntryOpening(sequence=sequence, salt=opened.salt, content=opened.content))
        return LogPart(
            start=start,
            leaves=tuple(row[2] for row in rows),
            openings=tuple(openings),
            checkpoint=self.signed_head(end),
        )

    def inclusion(self, sequence: int, size: int) -> list[bytes]:
        return merkle.inclusion_proof(sequence, size, self._tree.subtree)

    def head(self, size: int) -> Checkpoint:
        """The tree head of the first `size` entries."""
        return Checkpoint(self.origin, size, self._tree.root(size))

    def signed_head(self, size: int) -> str:
        return self.sign_head(self.head(size))

    def sign_head(self, head: Checkpoint) -> str:
        """Sign a tree head of this log, or of the hourly log beside it, as a note."""
        return sign_checkpoint(head, self._key)

    def cosigned(self, most: int | None = None) -> tuple[int, str]:
        """(size, note) of the newest co-signed tree head with at most `most` entries; (0, "") if none."""
        query = "SELECT size, note FROM heads WHERE size <= ? ORDER BY size DESC LIMIT 1"
        with self._guard:
            row = self._db.execute(query, ((1 << 62) if most is None else most,)).fetchone()
        return (int(row[0]), str(row[1])) if row else (0, "")

    def keep_head(self, size: int, note: str) -> None:
        """Keep a co-signed tree head."""
        with self.writing():
            self._db.execute("INSERT OR REPLACE INTO heads VALUES (?, ?)", (size, note))

    def checkpoint(self) -> None:
        """Write SQLite's WAL back into the file, for a copy."""
        with self._guard:
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def consistency(self, old: int, size: int) -> list[bytes]:
        """The proof that the first `size` entries continue the first `old`."""
        return self._tree.consistency(old, size)

    # beside the log: credential records (their digest is in the log), and when a session was last used ------

    def put_credential(self, user: str, sealed: bytes) -> None:
        with self.writing():
            self._db.execute("INSERT OR REPLACE INTO credentials VALUES (?, ?)", (user, sealed))

    def credential(self, user: str) -> bytes | None:
        with self._guard:
            row = self._db.execute("SELECT sealed FROM credentials WHERE user = ?", (user,)).fetchone()
        return bytes(row[0]) if row else None

    def credentials(self) -> list[tuple[str, bytes]]:
        """Every user's sealed credential."""
        with self._guard:
            rows = self._db.execute("SELECT user, sealed FROM credentials ORDER BY user").fetchall()
        return [(str(user), bytes(sealed)) for user, sealed in rows]

    def touch(self, session: bytes, at_us: int) -> None:
        with self.writing():
            self._db.execute("INSERT OR REPLACE INTO activity VALUES (?, ?)", (session, at_us))

    def last_used(self, session: bytes) -> int | None:
        with self._guard:
            row = self._db.execute("SELECT last_us FROM activity WHERE session = ?", (session,)).fetchone()
        return int(row[0]) if row else None


def open_entry(log_id: bytes, sequence: int, payload: bytes, sealed: bytes, keys: AuditKeys) -> Entry:
    """Open a sealed entry and match it with its leaf. Raises SealError, RecordError, EnvelopeError."""
    named_log, kind, named_sequence, year, mark = parse_leaf(payload)
    if named_log != log_id or named_sequence != sequence:
        raise RecordError("the leaf belongs to another place or log", where=f"access log, entry {sequence}")
    opened = sealing.open_sealed(keys.of(year), log_id, sequence, ELEMENT, sealed, mark.commitment)
    return entry_from(kind, sequence, opened.content)


def entry_from(kind: str, sequence: int, content: bytes) -> Entry:
    """Parse an entry's opened content: a stamp, a note and, if any, a person's signature.

    Raises RecordError, EnvelopeError.
    """
    where = f"access log, entry {sequence}"
    value = envelope.decode(content, limit=MAX_ENTRY_BYTES)
    if not isinstance(value, dict) or not {"stamp", "note"} <= set(value) <= {"stamp", "note", "signed"}:
        raise RecordError("an entry is a stamp and a note", where=where)
    signed = value.get("signed", b"")
    if not isinstance(signed, bytes):
        raise RecordError("a signature is bytes", where=where)
    stamp = from_plain(Stamp, value["stamp"], where="stamp")
    return EntryOf(sequence, stamp, from_plain(NOTES[kind], value["note"], where=kind), signed)
