"""The key service's own signed list: accepted tree heads, entries with opened content, digests of alerts.

It is beside the keys (`opened.sqlite`, `list.key`), away from the department's server, so that a lookup that
was removed from the access log is still listed here: `department verify` compares the two. A line is
COSE_Sign1 (Ed25519) over deterministic CBOR with the SHA-256 of the previous line; nothing is ever removed. A
line is synced before a key is used.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from storage import envelope, files
from storage.checkpoint import NoteKey
from storage.codec import from_bytes, to_bytes
from storage.errors import LedgerError, StorageError
from storage.times import DAY_US
from sync.department.content import alert_facts
from sync.department.content.followed_log import DATABASE as FOLLOWED
from sync.department.content.followed_log import FollowedLog
from sync.department.content.found_reads import DATABASE as FOUND
from sync.department.content.found_reads import FoundReads
from sync.department.content.received_days import ReceivedDays
from sync.department.ground.private_sqlite import open_private, transaction
from sync.department.journal.check_log import Tree
from sync.department.journal.entries import Entry
from sync.department.journal.machine_entries import DocumentSent, KeysListSeen
from sync.department.journal.reading import reading
from sync.errors import KeyServiceError
from sync.root_file import Root

DATABASE = "opened.sqlite"
KEY_FILE = "list.key"
CONTEXT = b"alpr-keys/opened/v1"
FIRST = bytes(32)  # the previous line's hash in the first line
FROM_HERE = bytes(32)  # in place of an alert's digest: alerts are listed from this line on
HEAD, OPENED, ALERT, DAY_KEYS = "head", "opened", "alert", "day-keys"
SETTLED_US = 2 * DAY_US  # by then, the log has whatever was made before the list had it
MAX_LINE_BYTES = 2048
MAX_LIST_BYTES = 1 << 30
AT_ONCE = 2000
SINCE_WITNESSED = "size > (SELECT coalesce(max(size), -1) FROM heads WHERE witnessed)"
SCHEMA = """
CREATE TABLE IF NOT EXISTS lines (number INTEGER PRIMARY KEY, message BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS opened (
    sequence INTEGER NOT NULL, leaf BLOB NOT NULL, PRIMARY KEY (sequence, leaf)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS heads (
    size INTEGER PRIMARY KEY, root BLOB NOT NULL, witnessed INTEGER NOT NULL, at_us INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS alerts (digest BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS day_keys (digest BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedLine:
    """One line of the list.

    A head: `size`, `root`, `witnessed`. An entry for which content was opened: its place and its leaf's hash,
    and whether the head that showed it was witnessed. An alert: the place of the access that opened it, and a
    digest of its content (`alert_facts.py`). Day keys: the last day, and the digest of the document that
    gives these keys to units. A digest of zeros marks the line from which on alerts, or day keys, are listed.
    """

    number: int
    before: bytes
    at_us: int
    kind: str
    size: int
    root: bytes
    witnessed: bool

    def check(self) -> None:
        if self.kind not in {HEAD, OPENED, ALERT, DAY_KEYS} or self.number < 0 or self.size < 0:
            raise LedgerError(
                "a line is a head, an entry, an alert or day keys", where="the key service's list"
            )
        if len(self.before) != 32 or len(self.root) != 32:
            raise LedgerError("a hash has 32 bytes", where="the key service's list")


@dataclass(frozen=True, slots=True)
class SeenHead:
    """A tree head that the key service accepted, and when."""

    size: int
    root: bytes
    witnessed: bool
    at_us: int


class OpenedList:
    """The list in a key service's folder. Thread-safe, also between processes."""

    def __init__(self, folder: Path) -> None:
        """Open the list or begin one. Raises KeyServiceError."""
        folder.mkdir(mode=files.PRIVATE_DIR, parents=True, exist_ok=True)
        path = folder / DATABASE
        demand_list(folder, traces=(FOUND, FOLLOWED))
        self._folder, self._followed = folder, list[FollowedLog]()
        self._received: ReceivedDays | None = None
        self._guard = threading.Lock()
        self._key = _key_in(folder, fresh=not path.exists())
        self._db = open_private(path, SCHEMA)
        self._demand_own(path)
        self.found = FoundReads(folder)
        if not self.has_alert(FROM_HERE):
            newest = self.newest()
            self.add_alerts(newest.size if newest else 0, [FROM_HERE], at_us=newest.at_us if newest else 0)

    def _demand_own(self, path: Path) -> None:
        """Raises KeyServiceError for another key's list, since continuing it would spoil both."""
        row = self._db.execute("SELECT message FROM lines ORDER BY number DESC LIMIT 1").fetchone()
        try:
            if row is not None:
                envelope.open_signed(bytes(row[0]), self.public, context=CONTEXT, limit=MAX_LINE_BYTES)
        except StorageError:
            self._db.close()
            raise KeyServiceError(
                f"is not the list of the key beside it ({KEY_FILE})",
                where=str(path),
                cure=f"restore {DATABASE} and {KEY_FILE} from the same backup",
            ) from None

    def close(self) -> None:
        with self._guard:
            self._db.close()
            self.found.close()
            if self._received is not None:
                self._received.close()
            for one in self._followed:
                one.close()

    def follow(self, log: NoteKey, log_id: bytes, root: Root | None) -> FollowedLog:
        """The followed log, in files beside the list; it is closed with the list."""
        made = FollowedLog(self._folder, log, log_id, root)
        self._followed.append(made)
        return made

    def received_days(self) -> ReceivedDays:
        """The file beside the list of what was sealed for which day, for a remote service.

        It is closed with the list.
        """
        with self._guard:
            self._received = self._received or ReceivedDays(self._folder)
            return self._received

    def roots(self, first: int, last: int) -> dict[int, bytes]:
        """The roots of accepted tree heads with `first` to `last` entries, by size."""
        with self._guard:
            rows = self._db.execute(
                "SELECT size, root FROM heads WHERE size >= ? AND size <= ?", (first, last)
            ).fetchall()
        return {int(size): bytes(root) for size, root in rows}

    @property
    def public(self) -> Ed25519PublicKey:
        """The key with which `verify` checks the list."""
        return self._key.public_key()

    def newest(self) -> SeenHead | None:
        """The largest accepted tree head."""
        return self._head("ORDER BY size DESC")

    def newest_witnessed(self) -> SeenHead | None:
        """The largest accepted tree head that a quorum of witnesses co-signed."""
        return self._head("WHERE witnessed ORDER BY size DESC")

    def newest_without(self, sequence: int) -> SeenHead | None:
        """The largest accepted head that does not include the entry of this number."""
        return self._head(f"WHERE size <= {sequence:d} ORDER BY size DESC")

    def away_since_us(self) -> int | None:
        """When the witnesses' absence began.

        It is the time of the first unwitnessed head that is larger than the newest witnessed one, so that a
        smaller head shown later does not begin a new grace period.
        """
        found = self._head(f"WHERE {SINCE_WITNESSED} ORDER BY at_us")
        return None if found is None else found.at_us

    def newest_us(self) -> int:
        """When the newest line was written; 0 before the first. Time never runs back before it."""
        with self._guard:
            row = self._db.execute("SELECT message FROM lines ORDER BY number DESC LIMIT 1").fetchone()
        if row is None:
            return 0
        return from_bytes(OpenedLine, envelope.split(bytes(row[0]), limit=MAX_LINE_BYTES)[1]).at_us

    def unwitnessed(self) -> int:
        """How many tree heads came since the newest witnessed one."""
        query = f"SELECT count(*) FROM heads WHERE {SINCE_WITNESSED}"  # noqa: S608 - our own words
        with self._guard:
            return int(self._db.execute(query).fetchone()[0])

    def _head(self, which: str) -> SeenHead | None:
        with self._guard:
            row = self._db.execute(
                f"SELECT size, root, witnessed, at_us FROM heads {which} LIMIT 1"  # noqa: S608 - our own words
            ).fetchone()
        return SeenHead(row[0], bytes(row[1]), bool(row[2]), row[3]) if row else None

    def add_head(self, size: int, root: bytes, *, witnessed: bool, at_us: int) -> None:
        """Record a tree head that continues the others, unless it adds nothing."""
        with self._guard, transaction(self._db):
            row = self._db.execute("SELECT witnessed FROM heads WHERE size = ?", (size,)).fetchone()
            if row is not None and (row[0] or not witnessed):
                return
            self._db.execute(
                "INSERT OR REPLACE INTO heads VALUES (?, ?, ?, ?)", (size, root, witnessed, at_us)
            )
            self._add(HEAD, size, root, witnessed=witnessed, at_us=at_us)

    def add_opened(self, sequence: int, leaf_hash: bytes, *, witnessed: bool, at_us: int) -> None:
        """Record that content was opened for an entry, once per entry."""
        if self.has_opened(sequence, leaf_hash):
            return
        with self._guard, transaction(self._db):
            made = self._db.execute("INSERT OR IGNORE INTO opened VALUES (?, ?)", (sequence, leaf_hash))
            if made.rowcount:
                self._add(OPENED, sequence, leaf_hash, witnessed=witnessed, at_us=at_us)

    def has_opened(self, sequence: int, leaf_hash: bytes) -> bool:
        """Whether content was opened for this entry before."""
        query = "SELECT 1 FROM opened WHERE sequence = ? AND leaf = ?"
        with self._guard:
            return self._db.execute(query, (sequence, leaf_hash)).fetchone() is not None

    def add_alerts(self, sequence: int, digests: Iterable[bytes], *, at_us: int) -> None:
        """Record the content of the alerts that the entry at `sequence` opened, once per alert."""
        fresh = [digest for digest in digests if not self.has_alert(digest)]
        if not fresh:
            return
        with self._guard, transaction(self._db):
            for digest in fresh:
                if self._db.execute("INSERT OR IGNORE INTO alerts VALUES (?)", (digest,)).rowcount:
                    self._add(ALERT, sequence, digest, witnessed=False, at_us=at_us)

    def add_day_keys(self, last_day: int, digest: bytes, *, at_us: int) -> None:
        """Record which day keys were made here, as units log them, once per document."""
        with self._guard, transaction(self._db):
            if self._db.execute("INSERT OR IGNORE INTO day_keys VALUES (?)", (digest,)).rowcount:
                self._add(DAY_KEYS, last_day, digest, witnessed=False, at_us=at_us)

    def has_alert(self, digest: bytes) -> bool:
        """Whether an alert with this digest was opened here."""
        query = "SELECT 1 FROM alerts WHERE digest = ?"
        with self._guard:
            return self._db.execute(query, (digest,)).fetchone() is not None

    def _add(self, kind: str, size: int, root: bytes, *, witnessed: bool, at_us: int) -> None:
        """Add a line in the transaction that records the fact itself."""
        row = self._db.execute("SELECT number, message FROM lines ORDER BY number DESC LIMIT 1").fetchone()
        line = OpenedLine(
            number=row[0] + 1 if row else 0,
            before=hashlib.sha256(row[1]).digest() if row else FIRST,
            at_us=at_us,
            kind=kind,
            size=size,
            root=root,
            witnessed=witnessed,
        )
        message = envelope.sign(to_bytes(line), self._key, context=CONTEXT)
        self._db.execute("INSERT INTO lines VALUES (?, ?)", (line.number, message))

    def messages(self, start: int = 0) -> list[bytes]:
        """A batch of signed lines from `start` on; empty after the last."""
        with self._guard:
            rows = self._db.execute(
                "SELECT message FROM lines WHERE number >= ? ORDER BY number LIMIT ?", (start, AT_ONCE)
            ).fetchall()
        return [bytes(row[0]) for row in rows]

    def all_messages(self, start: int = 0) -> list[bytes]:
        """Every signed line from `start` on."""
        found: list[bytes] = []
        while part := self.messages(start + len(found)):
            found += part
        return found


def demand_list(folder: Path, *, traces: Sequence[str] = (FOUND, FOLLOWED, KEY_FILE)) -> None:
    """Raises KeyServiceError if the list is missing although files beside it show that it existed.

    A new list would lack what was opened. For a check, the list's key alone counts as such a file, although a
    power cut between the first key and its list leaves the same.
    """
    beside = [folder / one for one in traces if (folder / one).is_file()]
    if beside and not (folder / DATABASE).is_file():
        names = " and ".join(one.name for one in beside)
        raise KeyServiceError(
            "the key service's list is gone",
            where=str(folder / DATABASE),
            cure=f"restore it from its backup; if it is lost for good, move {names} away: a new list begins, "
            "and department verify names what it lacks",
        )


def list_in(folder: Path) -> tuple[bytes, list[bytes]]:
    """Read the list in a folder: its public key and signed lines. Raises KeyServiceError."""
    path = folder / DATABASE
    try:
        with reading(path, at_home=True) as db:
            lines = [bytes(row[0]) for row in db.execute("SELECT message FROM lines ORDER BY number")]
    except (sqlite3.Error, StorageError) as error:
        raise KeyServiceError(
            f"cannot be read: {error}", where=str(path), cure=f"restore it with {KEY_FILE} from its backup"
        ) from None
    return _key_in(folder, fresh=False).public_key().public_bytes_raw(), lines


def _key_in(folder: Path, *, fresh: bool) -> Ed25519PrivateKey:
    path = folder / KEY_FILE
    if fresh and not path.exists():
        files.write_first(path, Ed25519PrivateKey.generate().private_bytes_raw())
    elif fresh:
        files.sync_dir(folder)  # its maker may have ended before doing so
    try:
        return Ed25519PrivateKey.from_private_bytes(path.read_bytes())
    except (OSError, ValueError):
        raise KeyServiceError(
            "the list's key is missing or damaged", where=str(path), cure="restore it from its backup"
        ) from None


def read_lines(messages: Iterable[bytes], public: Ed25519PublicKey) -> list[OpenedLine]:
    """Parse a list from its first line. Raises LedgerError for a forged, missing or moved line."""
    found: list[OpenedLine] = []
    before = FIRST
    for message in messages:
        where = f"the key service's list, line {len(found)}"
        try:
            line = from_bytes(
                OpenedLine, envelope.open_signed(message, public, context=CONTEXT, limit=MAX_LINE_BYTES)
            )
        except StorageError as error:
            raise LedgerError(f"is not valid: {type(error).__name__}", where=where) from None
        if line.number != len(found) or line.before != before:
            raise LedgerError("does not follow the line before it", where=where)
        before = hashlib.sha256(message).digest()
        found.append(line)
    return found


def list_file(messages: Sequence[bytes]) -> bytes:
    """The list as one file, for outsiders."""
    return envelope.encode(list(messages))


def parse_list(data: bytes) -> list[bytes]:
    """The signed lines of a list's file. Raises LedgerError."""
    try:
        value = envelope.decode(data, limit=MAX_LIST_BYTES)
    except StorageError:
        value = None
    if not isinstance(value, list) or not all(isinstance(one, bytes) for one in value):
        raise LedgerError("is not a list of a key service", where="the key service's list")
    return value


class OpenedCheck:
    """A list to compare with an access log (`check_log.OpenedEntries`)."""

    @classmethod
    def of(cls, messages: Sequence[bytes], public: Ed25519PublicKey) -> OpenedCheck:
        """Parse a list. Raises LedgerError for a forged, missing or moved line."""
        last = hashlib.sha256(messages[-1]).digest() if messages else b""
        return cls(read_lines(messages, public), last)

    def __init__(self, lines: Sequence[OpenedLine], last: bytes = b"") -> None:
        """`last`: SHA-256 of the last line as received, if known."""
        self.lines = lines
        self._befores = [*(line.before for line in lines), last]
        alerts = [line for line in lines if line.kind == ALERT]
        self._alerts = {line.root for line in alerts}
        self._alerts_from = next((line.size for line in alerts if line.root == FROM_HERE), None)
        made = [line for line in lines if line.kind == DAY_KEYS]
        self._day_keys = {line.root for line in made}
        self._day_keys_from_us = made[0].at_us + SETTLED_US if made else None

    def judge(self, entry: Entry, problems: list[str]) -> None:
        """Add a problem for an entry that contradicts the list.

        It may say something about a unit's alert that no opened record says, have seen lines of this list
        that are not in it, or offer units day keys that were not made here.
        """
        if isinstance(entry.note, DocumentSent):
            self._compare_day_keys(entry.note, entry, problems)
            return
        if isinstance(entry.note, KeysListSeen):
            self._compare_seen(entry.note, entry.sequence, problems)
            return
        if self._alerts_from is None or entry.sequence < self._alerts_from:
            return
        if not self._alerts.issuperset(alert_facts.wanted_by(entry.note)):
            problems.append(
                f"entry {entry.sequence}: {entry.note.KIND}: the key service opened no record of a unit that "
                "says this"
            )

    def _compare_day_keys(self, note: DocumentSent, entry: Entry, problems: list[str]) -> None:
        """Find day keys that were not made here.

        With the command key, root could make units seal to its own keys.
        """
        from_us = self._day_keys_from_us
        if note.name != DAY_KEYS or note.baseline or from_us is None or entry.stamp.at_us < from_us:
            return
        if note.digest not in self._day_keys:
            problems.append(
                f"entry {entry.sequence}: day keys up to day {note.version} were offered to units, and the "
                "key service made others"
            )

    def _compare_seen(self, note: KeysListSeen, sequence: int, problems: list[str]) -> None:
        """Find a list that was set back: it lacks lines that the department saw, or continues differently."""
        if note.lines > len(self.lines):
            problems.append(
                f"entry {sequence}: the key service's list had {note.lines} lines and has {len(self.lines)}: "
                "its disk was set back"
            )
        elif self._befores[note.lines] not in {note.digest, b""}:
            problems.append(
                f"entry {sequence}: the key service's list has other lines now: its disk was set back"
            )

    def compare(self, tree: Tree, problems: list[str]) -> None:
        """Add a problem for each entry with opened content, and each accepted head, that the log lacks."""
        for line in self.lines:
            if line.kind == OPENED and not (line.size < len(tree) and tree.leaf(line.size) == line.root):
                problems.append(
                    f"entry {line.size}: the key service opened content for another entry, now gone"
                )
            if line.kind == HEAD and not (line.size <= len(tree) and tree.root(line.size) == line.root):
                problems.append(f"the key service accepted {line.size} entries that are not in this log")


class GrowingCheck:
    """The comparison with a log that grows meanwhile, and with it the list.

    What the list says must be in the log, so that is asked of the lines that were there before the log was
    read; what the log says must be in the list as it is after that.
    """

    def __init__(self, before: OpenedCheck, again: Callable[[], OpenedCheck | None]) -> None:
        """again: gets the list once more; it is called when the log was read. It raises LedgerError or
        KeyServiceError.
        """
        self._before, self._again = before, again
        self._after: OpenedCheck | None = None
        self._asked = False
        self.unanswered = ""  # why the list could not be had once more: no entry is judged then

    def judge(self, entry: Entry, problems: list[str]) -> None:
        """As `OpenedCheck.judge`, by the list as it is after the log was read."""
        if not self._asked:
            self._asked = True
            self._ask(problems)
        if self._after is not None:
            self._after.judge(entry, problems)

    def _ask(self, problems: list[str]) -> None:
        try:
            self._after = self._again()
        except (LedgerError, KeyServiceError) as error:
            self.unanswered = str(error)
            return
        known = list(self._before.lines)
        if self._after is None or list(self._after.lines[: len(known)]) != known:
            problems.append("the key service's list lost lines while this was checked: its disk was set back")

    def compare(self, tree: Tree, problems: list[str]) -> None:
        """As `OpenedCheck.compare`, by the list as it was before the log was read."""
        self._before.compare(tree, problems)
