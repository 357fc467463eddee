"""How the key service follows the department's access log: every leaf once, in order, on its own disk.

So it knows who can sign without trusting the department: a key, a reset or the end of a session cannot be
left out, because the remaining leaves would not give the tree head. Entries that say who can sign, or that
must be signed, come with their openings and are judged as they come (`journal/signers.py`); of the others
only the hash is kept. `followed.sqlite` is beside the keys. Of people's actions it holds only the results
(`followed_state.py`), never the words.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from storage import envelope, files, merkle
from storage.checkpoint import NoteKey, open_checkpoint
from storage.codec import from_bytes, to_bytes
from storage.errors import StorageError
from storage.sealing import commitment
from storage.times import DAY_US
from sync.department.content.followed_state import (
    WORDED_KINDS,
    Followed,
    Result,
    judge,
    result_of,
    take_result,
)
from sync.department.ground.private_sqlite import open_private, transaction
from sync.department.journal.access_log import (
    ELEMENT,
    MAX_ENTRY_BYTES,
    EntryOpening,
    LogPart,
    entry_from,
    parse_leaf,
)
from sync.department.journal.entries import RootSet, demand_form
from sync.department.journal.plain_state import as_plain, as_value
from sync.department.journal.signers import SIGNER_KINDS
from sync.department.journal.statements import Statement
from sync.department.journal.unsigned import UnsignedError
from sync.errors import NewerError
from sync.root_file import Root

DATABASE = "followed.sqlite"
MAX_STATE_BYTES = 64 << 20
AT_ONCE = 1000  # leaves in one message
WORDLESS = 1  # the version from which on the database contains none of their words
SNAPSHOT_EVERY = 200  # entries; in a long log one `SHARE` of it
SHARE = 200
CATCHING_UP = 5000  # the same while catching up on whole parts
SCHEMA = """
CREATE TABLE IF NOT EXISTS followed (
    log BLOB PRIMARY KEY, size INTEGER NOT NULL, state BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS followed_to (
    log BLOB PRIMARY KEY, size INTEGER NOT NULL, peaks BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS followed_since (
    log BLOB NOT NULL, sequence INTEGER NOT NULL, kind TEXT NOT NULL, content BLOB NOT NULL,
    PRIMARY KEY (log, sequence)
) STRICT, WITHOUT ROWID;
"""
Kept: TypeAlias = tuple[int, str, bytes]
"""What is kept of an entry: its number, its kind, its content or its `Result`."""
UNREADABLE = (StorageError, KeyError, TypeError, ValueError)
"""What was kept by another version, or is damaged."""
LOST = "the log does not continue the one that was followed"


class FollowError(StorageError):
    """What was shown does not continue the followed log."""


def snapshot_after(size: int, *, more: bool) -> int:
    """After how many entries the whole state is kept instead of them; at a start they are judged again. In a
    long log the state is large: a share of the log keeps the cost of an entry the same. `more`: another part
    follows at once."""
    return CATCHING_UP if more else max(SNAPSHOT_EVERY, size // SHARE)


class FollowedLog:
    """One followed log in a key service's folder. Safe for several threads and processes."""

    def __init__(self, folder: Path, log: NoteKey, log_id: bytes, root: Root | None = None) -> None:
        """`root`: the root file that was put here by hand; the log's root must be the same or a successor."""
        folder.mkdir(mode=files.PRIVATE_DIR, parents=True, exist_ok=True)
        self._log, self._log_id, self._root = log, log_id, root
        self._guard = threading.RLock()
        self._db = open_private(folder / DATABASE, SCHEMA)
        self._size, self._held = -1, Followed()
        self._drop_words()

    def _drop_words(self) -> None:
        """Convert the file of an older version, once.

        Entries whose words can name a plate are judged, replaced by their results, and wiped from the file.
        """
        if self._db.execute("PRAGMA user_version").fetchone()[0] >= WORDLESS:
            return
        with transaction(self._db):
            for (log_id,) in self._db.execute("SELECT log FROM followed_to").fetchall():
                try:
                    self._keep_state(log_id, self._read(log_id), self._size_there(log_id))
                except NewerError:
                    return  # a newer version keeps no words; following the log reports it
                except UNREADABLE:
                    self._forget(log_id)
        with contextlib.suppress(sqlite3.OperationalError):  # in use: retry at the next start
            self._db.execute("VACUUM")  # also wipes free pages
            (kept, _, _) = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if not kept:
                self._db.execute(f"PRAGMA user_version = {WORDLESS:d}")

    def close(self) -> None:
        with self._guard:
            self._db.close()

    @contextmanager
    def _loaded(self) -> Iterator[Followed]:
        """The present state of the folder, which does not change during the block."""
        with self._guard:
            if self._size_there() != self._size:
                with transaction(self._db):  # size, peaks and entries must be of the same moment
                    self._load()
            yield self._held

    def _size_there(self, log_id: bytes = b"") -> int:
        row = self._row("SELECT size FROM followed_to WHERE log = ?", log_id)
        row = row or self._row("SELECT size FROM followed WHERE log = ?", log_id)
        return int(row[0]) if row else 0

    def _load(self) -> None:
        """Load the state, in a transaction, since another process may have followed further."""
        size = self._size_there()
        if size != self._size:
            try:
                self._held = self._read(self._log_id)
            except UNREADABLE:
                self._forget(self._log_id)
                self._held, size = Followed(), 0
            self._size = size

    def _forget(self, log_id: bytes) -> None:
        """Forget a log, so that it is followed again from its first entry."""
        for table in ("followed", "followed_to", "followed_since"):
            self._db.execute(f"DELETE FROM {table} WHERE log = ?", (log_id,))  # noqa: S608

    def _row(self, query: str, log_id: bytes = b"") -> tuple[Any, ...] | None:
        found: tuple[Any, ...] | None = self._db.execute(query, (log_id or self._log_id,)).fetchone()
        return found

    def _read(self, log_id: bytes) -> Followed:
        """Read the last snapshot and judge the entries since. Raises NewerError, UNREADABLE."""
        row = self._row("SELECT state FROM followed WHERE log = ?", log_id)
        found = Followed()
        if row:
            found = as_value(Followed, envelope.decode(bytes(row[0]), limit=MAX_STATE_BYTES))
            demand_form(found.signed.signers.form)
        since = "SELECT sequence, kind, content FROM followed_since WHERE log = ? ORDER BY sequence"
        for sequence, kind, content in self._db.execute(since, (log_id,)).fetchall():
            if kind in WORDED_KINDS and not _is_entry(bytes(content)):
                take_result(found, sequence, kind, from_bytes(Result, bytes(content)))
            else:
                judge(found, entry_from(kind, sequence, bytes(content)))
        row = self._row("SELECT peaks FROM followed_to WHERE log = ?", log_id)
        if row:
            found.peaks = tuple(bytes(row[0])[at : at + 32] for at in range(0, len(row[0]), 32))
        return found

    def _write(self, size: int, fresh: Sequence[Kept], *, more: bool) -> None:
        """Store the entries of a part, or from time to time the whole state instead.

        `more`: another part follows at once.
        """
        log_id = self._log_id
        self._db.execute(
            "INSERT OR REPLACE INTO followed_to VALUES (?, ?, ?)", (log_id, size, b"".join(self._held.peaks))
        )
        self._db.executemany(
            "INSERT INTO followed_since VALUES (?, ?, ?, ?)", ((log_id, *one) for one in fresh)
        )
        since = self._row("SELECT count(*) FROM followed_since WHERE log = ?")
        if since is not None and since[0] >= snapshot_after(size, more=more):
            self._keep_state(log_id, self._held, size)

    def _keep_state(self, log_id: bytes, held: Followed, size: int) -> None:
        """Store the whole state in place of the entries since the last snapshot."""
        state = envelope.encode(as_plain(Followed, held))
        self._db.execute("INSERT OR REPLACE INTO followed VALUES (?, ?, ?)", (log_id, size, state))
        self._db.execute("DELETE FROM followed_since WHERE log = ?", (log_id,))

    def head(self) -> tuple[int, bytes]:
        """(size, root) of the followed part of the log."""
        with self._loaded() as known:
            return self._size, merkle.Frontier(self._size, known.peaks).root()

    def follow(self, part: LogPart, expected: Callable[[int, int], dict[int, bytes]]) -> int:
        """Take in a part that continues the log; returns how far the log is followed then.

        `expected`: gives the accepted roots for sizes in [first, last]. Raises FollowError, StorageError,
        NewerError.
        """
        with self._guard:
            try:
                with transaction(self._db):
                    self._load()
                    size, fresh = self._taken(part, expected)
                    if size != self._size:
                        self._write(size, fresh, more=len(part.leaves) == AT_ONCE)
            except BaseException:
                self._size = -1  # an invalid part changes nothing: read the state again
                raise
            self._size = size
            return size

    def _taken(
        self, part: LogPart, expected: Callable[[int, int], dict[int, bytes]]
    ) -> tuple[int, list[Kept]]:
        """Take a part into the state in memory; returns the new size and what to store of the part."""
        end = part.start + len(part.leaves)
        if not 0 <= part.start <= self._size or len(part.leaves) > AT_ONCE:
            raise FollowError("a part must continue what is here", where="access log")
        if end <= self._size:
            return self._size, []
        known = self._held
        fresh: list[Kept] = []
        frontier = merkle.Frontier(self._size, known.peaks)
        roots = expected(self._size, end)
        openings = {one.sequence: one for one in part.openings}
        for leaf in part.leaves[self._size - part.start :]:
            fresh += self._take(known, leaf, frontier.size, openings)
            frontier.append(merkle.leaf_hash(leaf))
            if frontier.size in roots and roots[frontier.size] != frontier.root():
                raise FollowError(LOST, where="access log")
        head = open_checkpoint(part.checkpoint, self._log)
        if (head.size, head.root) != (frontier.size, frontier.root()):
            raise FollowError(LOST, where="access log")
        known.peaks = frontier.peaks
        return frontier.size, fresh

    def _take(
        self, known: Followed, leaf: bytes, sequence: int, openings: dict[int, EntryOpening]
    ) -> tuple[Kept, ...]:
        """Take in one leaf; returns what to store of its entry, if it is judged."""
        # the log's key signed the head over all leaves, so the part is valid as a whole or not at all
        log_id, kind, place, _, mark = parse_leaf(envelope.split(leaf, limit=4096)[1])
        if log_id != self._log_id or place != sequence:
            raise FollowError("a leaf belongs to another log or place", where=f"access log, entry {sequence}")
        if kind not in SIGNER_KINDS:
            return ()
        shown = openings.get(sequence)
        if shown is None or commitment(ELEMENT, shown.salt, shown.content) != mark.commitment:
            raise FollowError("an entry was not shown", where=f"access log, entry {sequence}")
        entry = entry_from(kind, sequence, shown.content)
        before = known.signed.signers.root
        judge(known, entry)
        if isinstance(entry.note, RootSet):
            self._demand_root(before, known.signed.signers.root)
        kept = to_bytes(result_of(known, entry)) if kind in WORDED_KINDS else shown.content
        return ((sequence, kind, kept),)

    def _demand_root(self, before: Root | None, seen: Root | None) -> None:
        """Raises FollowError unless the log's root is the one put here by hand, a predecessor or a successor.

        A log that passes that version with a different root file, or without one, is another log.
        """
        here = self._root
        if here is None or seen is None or seen.version < here.version:
            return
        if seen.version == here.version and seen.digest() != here.digest():
            raise FollowError("the log has a different root file from the one here", where="root file")
        if seen.version > here.version and (before is None or before.version < here.version):
            raise FollowError("the log skips the root file that is here", where="root file")

    def demand_released(self, sequence: int) -> None:
        """Raises UnsignedError unless this is a release that two people signed."""
        with self._rooted() as known:
            if sequence not in known.signed.signers.second.releases:
                judged = known.judged.get(sequence)
                raise UnsignedError((judged.reason if judged else "") or "the release was not followed")

    def demand_signed(self, sequence: int, now_us: int) -> None:
        """Raises UnsignedError unless its person signed this access, with a proof if one is needed."""
        with self._rooted() as known:
            judged = known.judged.get(sequence)
            if judged is None:
                raise UnsignedError("the entry is more than an hour old, or was not followed")
            if judged.reason:
                raise UnsignedError(judged.reason)
            if 0 < judged.unproven_until_us < now_us:
                raise UnsignedError("its person made no proof for it, and logged in too long ago")
            emergency = known.signed.signers.second.emergencies.get(sequence)
            if emergency is not None and emergency.due_us < 0:
                raise UnsignedError("no second person was asked to judge it")

    def demand_unit(self, name: str, log_id: bytes) -> None:
        """Raises UnsignedError unless this is a log of the unit that an access names."""
        with self._rooted() as known:
            if known.logs.name_of(log_id.hex()) != name:
                raise UnsignedError("the log followed does not say that these reads are that unit's")

    def demand_images(self, said: Statement, request: int) -> None:
        """Raises UnsignedError unless a delivery may open pictures."""
        with self._rooted() as known:
            known.signed.signers.second.demand_images(said, request)

    def demand_hold(self, said: Statement, access: int) -> None:
        """Raises UnsignedError unless a signed export names the hold of this access."""
        with self._rooted() as known:
            known.signed.signers.second.demand_hold(said, access)

    def demand_no_hold(self, access: int, at_us: int) -> None:
        """Raises UnsignedError unless a day of entries followed this access and none placed its hold."""
        with self._rooted() as known:
            holds = known.signed.signers.second.holds.values()
            if access in known.doubted or any(one.access == access for one in holds):
                raise UnsignedError("a hold was placed under it")
            if known.newest_us - at_us <= DAY_US:
                raise UnsignedError("its hold may still be placed")

    @contextmanager
    def _rooted(self) -> Iterator[Followed]:
        """The state, if it is under the root file that is here or a later one. Raises UnsignedError."""
        with self._loaded() as known:
            seen, here = known.signed.signers.root, self._root
            if here is not None and (seen is None or seen.version < here.version):
                raise UnsignedError("the log has an older root file than the one here")
            yield known


def _is_entry(content: bytes) -> bool:
    """Whether stored content is an entry with its words, as in an older version. Raises EnvelopeError."""
    value = envelope.decode(content, limit=MAX_ENTRY_BYTES)
    return isinstance(value, dict) and "note" in value
