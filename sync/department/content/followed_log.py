"""The key service follows the department's access log: every leaf once, in order, on its own disk.

So it knows who can sign without taking the department's word for it: a key, a reset or the end of a session
cannot be left out, because a leaf that was left out does not give the tree head. Entries that say who can
sign, or must be signed, come with their openings and are judged as they come (`journal/signers.py`); of the
others only the hash is kept. `followed.sqlite` is beside the keys.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from storage import envelope, files, merkle
from storage.checkpoint import NoteKey, open_checkpoint
from storage.codec import from_bytes, to_bytes
from storage.errors import StorageError
from storage.sealing import commitment
from storage.times import HOUR_US, MINUTE_US
from sync.department.ground.private_sqlite import open_private, transaction
from sync.department.journal.access_log import ELEMENT, EntryOpening, LogPart, entry_from, parse_leaf
from sync.department.journal.change_entries import (
    ChangeDecided,
    DesignationSet,
    DocumentSigned,
    GlassBroken,
    ListSent,
)
from sync.department.journal.entries import Entry, RootSet, TrainingDone, demand_form
from sync.department.journal.entry_base import Note
from sync.department.journal.hold_entries import HoldReleased, ReleaseAsked
from sync.department.journal.inquiry_entries import Access, SearchApproved
from sync.department.journal.machine_entries import UnitCodeIssued
from sync.department.journal.made_by import MADE, MADE_KINDS
from sync.department.journal.office_entries import GrantDelegated, GrantIssued, IncidentSettled
from sync.department.journal.plain_state import as_plain, as_value
from sync.department.journal.second_hands import (
    AskedScope,
    PlacedHold,
    Proposal,
    SecondHands,
    SignedDecision,
    Spent,
    UnsignedError,
)
from sync.department.journal.sharing_entries import ShareDecided
from sync.department.journal.signed_forms import NamedAlert, OpenedRecords, Waiting
from sync.department.journal.signed_log import SignedLog
from sync.department.journal.signers import SIGNER_KINDS
from sync.department.journal.statements import Statement, said_in
from sync.department.journal.unit_logs import LogsOfUnits
from sync.root_file import Root

DATABASE = "followed.sqlite"
MAX_STATE_BYTES = 64 << 20
AT_ONCE = 1000  # leaves in one message
JUDGED_US = HOUR_US + 10 * MINUTE_US  # an access opens content for an hour
PLAIN = (
    TrainingDone,
    ReleaseAsked,
    HoldReleased,
    DocumentSigned,
    DesignationSet,
    ListSent,
    GrantIssued,
    GrantDelegated,
    UnitCodeIssued,
)
NAMING: tuple[type[Note], ...] = (Access, ChangeDecided, SearchApproved, ShareDecided, *MADE)
SECRET_KINDS = frozenset(cls.KIND for cls in NAMING if cls not in PLAIN)
"""Kinds whose words can name a plate."""
SNAPSHOT_EVERY = 200  # entries; those since the last snapshot are judged again at a start
CATCHING_UP = 5000  # the same while whole parts come one after another
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
LOST = "the log does not continue the one that was followed"


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedAccess:
    """Why an access does not count as its person's, empty if it does; and when it was made.

    `unproven_until_us`: see `PersonProofs.unproven_until`.
    """

    reason: str
    at_us: int
    unproven_until_us: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What an entry that names a plate left behind: no plate, but what later entries are judged by.

    `is_signed`: it holds by a signature; `opened`: records of alerts, by the statement of digest `opened_by`.
    """

    judged: JudgedAccess
    used: tuple[bytes, ...] = ()
    waiting: Waiting | None = None
    alert: NamedAlert | None = None
    proposal: Proposal | None = None
    decides: int = -1  # a proposal, or the request of a sharing
    decision: SignedDecision | None = None
    sharing: bool = False
    is_signed: bool = False
    emergency: SignedDecision | None = None
    opened: OpenedRecords | None = None
    opened_by: bytes = b""
    once: bytes = b""  # what its signed call cannot make again
    spends: int = -1  # the approval that it used
    spent: Spent | None = None
    asked: AskedScope | None = None
    placed: PlacedHold | None = None
    holding: Spent | None = None  # the access of a hold, by its call
    broken: int = -1  # the emergency search that a second person was asked to judge
    settled: tuple[int, str] = (-1, "")  # an incident, and whose word waits for a second
    proof: int = -1  # the person's proof that its call used up
    proof_by: bytes = b""
    seen: bool = False  # `SecondHands.seen_by_two`


@dataclass(slots=True)
class Followed:
    """A log as far as it was followed."""

    peaks: tuple[bytes, ...] = ()
    signed: SignedLog = field(default_factory=SignedLog)
    judged: dict[int, JudgedAccess] = field(default_factory=dict)
    logs: LogsOfUnits = field(default_factory=LogsOfUnits)


class FollowError(StorageError):
    """What is shown does not continue the log that was followed."""


class FollowedLog:
    """One log, followed in a key service's folder. Thread-safe, and safe for several processes."""

    def __init__(self, folder: Path, log: NoteKey, log_id: bytes, root: Root | None = None) -> None:
        """`root`: the root file that was put here by hand; the log's own root must be it, or follow it."""
        folder.mkdir(mode=files.PRIVATE_DIR, parents=True, exist_ok=True)
        self._log, self._log_id, self._root = log, log_id, root
        self._guard = threading.RLock()
        self._db = open_private(folder / DATABASE, SCHEMA)
        self._size, self._held = -1, Followed()

    def close(self) -> None:
        with self._guard:
            self._db.close()

    @contextmanager
    def _loaded(self) -> Iterator[Followed]:
        """What the folder holds now, for as long as nothing here may change it."""
        with self._guard:
            if self._size_there() != self._size:
                with transaction(self._db):  # size, peaks and entries of one moment
                    self._load()
            yield self._held

    def _size_there(self) -> int:
        row = self._row("SELECT size FROM followed_to WHERE log = ?")
        row = row or self._row("SELECT size FROM followed WHERE log = ?")
        return int(row[0]) if row else 0

    def _load(self) -> None:
        """In a transaction: another process may have followed further."""
        size = self._size_there()
        if size != self._size:
            try:
                self._held = self._read()
            # kept by another version: followed again, from the first entry
            except (StorageError, KeyError, TypeError, ValueError):
                for table in ("followed", "followed_to", "followed_since"):
                    self._db.execute(f"DELETE FROM {table} WHERE log = ?", (self._log_id,))  # noqa: S608
                self._held, size = Followed(), 0
            self._size = size

    def _row(self, query: str) -> tuple[Any, ...] | None:
        found: tuple[Any, ...] | None = self._db.execute(query, (self._log_id,)).fetchone()
        return found

    def _read(self) -> Followed:
        """The last snapshot, and the entries since, judged again. Raises NewerError."""
        row = self._row("SELECT state FROM followed WHERE log = ?")
        found = Followed()
        if row:
            found = as_value(Followed, envelope.decode(bytes(row[0]), limit=MAX_STATE_BYTES))
            demand_form(found.signed.signers.form)
        since = "SELECT sequence, kind, content FROM followed_since WHERE log = ? ORDER BY sequence"
        for sequence, kind, content in self._db.execute(since, (self._log_id,)).fetchall():
            if kind in SECRET_KINDS:
                _take_result(found, sequence, kind, from_bytes(Result, bytes(content)))
            else:
                _judge(found, entry_from(kind, sequence, bytes(content)))
        row = self._row("SELECT peaks FROM followed_to WHERE log = ?")
        if row:
            found.peaks = tuple(bytes(row[0])[at : at + 32] for at in range(0, len(row[0]), 32))
        return found

    def _write(self, size: int, fresh: Sequence[Kept], *, more: bool) -> None:
        """Keep the entries of a part; now and then the whole state instead of them. `more`: another part
        follows at once."""
        log_id = self._log_id
        self._db.execute(
            "INSERT OR REPLACE INTO followed_to VALUES (?, ?, ?)", (log_id, size, b"".join(self._held.peaks))
        )
        self._db.executemany(
            "INSERT INTO followed_since VALUES (?, ?, ?, ?)", ((log_id, *one) for one in fresh)
        )
        since = self._row("SELECT count(*) FROM followed_since WHERE log = ?")
        if since is not None and since[0] >= (CATCHING_UP if more else SNAPSHOT_EVERY):
            state = envelope.encode(as_plain(Followed, self._held))
            self._db.execute("INSERT OR REPLACE INTO followed VALUES (?, ?, ?)", (log_id, size, state))
            self._db.execute("DELETE FROM followed_since WHERE log = ?", (log_id,))

    def head(self) -> tuple[int, bytes]:
        """(size, root) of the log as far as it was followed."""
        with self._loaded() as known:
            return self._size, merkle.Frontier(self._size, known.peaks).root()

    def follow(self, part: LogPart, expected: Callable[[int, int], dict[int, bytes]]) -> int:
        """Take in a part that continues the log; how far it was followed then.

        `expected`: roots of sizes in [first, last] accepted before. Raises FollowError, StorageError,
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
                self._size = -1  # what does not hold changes nothing: read again
                raise
            self._size = size
            return size

    def _taken(
        self, part: LogPart, expected: Callable[[int, int], dict[int, bytes]]
    ) -> tuple[int, list[Kept]]:
        """Take a part into what is held; how far it goes then, and what to keep of it."""
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
        """Take in one leaf; what to keep of its entry, if it is judged."""
        # the log's key signed the head over all leaves: the part holds as a whole, or not at all
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
        _judge(known, entry)
        if isinstance(entry.note, RootSet):
            self._demand_root(before, known.signed.signers.root)
        kept = to_bytes(_result_of(known, entry)) if kind in SECRET_KINDS else shown.content
        return ((sequence, kind, kept),)

    def _demand_root(self, before: Root | None, seen: Root | None) -> None:
        """The log's root is the one that was put here by hand, one before it, or follows it: a log that
        another file of its version, or none, leads past it is another. Raises FollowError."""
        here = self._root
        if here is None or seen is None or seen.version < here.version:
            return
        if seen.version == here.version and seen.digest() != here.digest():
            raise FollowError("the log has another root file than the one here", where="root file")
        if seen.version > here.version and (before is None or before.version < here.version):
            raise FollowError("the log steps over the root file that is here", where="root file")

    def demand_released(self, sequence: int) -> None:
        """A release that two people signed, in the last weeks. Raises UnsignedError."""
        with self._rooted() as known:
            if sequence not in known.signed.signers.second.released:
                judged = known.judged.get(sequence)
                raise UnsignedError((judged.reason if judged else "") or "the release was not followed")

    def demand_signed(self, sequence: int, now_us: int) -> None:
        """An access that its person signed, and proved where it must be. Raises UnsignedError."""
        with self._rooted() as known:
            judged = known.judged.get(sequence)
            if judged is None:
                raise UnsignedError("the entry is more than an hour old, or was not followed")
            if judged.reason:
                raise UnsignedError(judged.reason)
            if 0 < judged.unproven_until_us < now_us:
                raise UnsignedError("its person made no proof for it, and logged on too long ago")
            if sequence in known.signed.unjudged:
                raise UnsignedError("no second person was asked to judge it")

    def demand_unit(self, name: str, log_id: bytes) -> None:
        """A log of the unit that an access names. Raises UnsignedError."""
        with self._rooted() as known:
            if known.logs.name_of(log_id.hex()) != name:
                raise UnsignedError("the log followed does not say that these reads are that unit's")

    def demand_hold(self, said: Statement, access: int) -> None:
        """The key of the hold that a signed export names. Raises UnsignedError."""
        with self._rooted() as known:
            known.signed.signers.second.demand_hold(said, access)

    @contextmanager
    def _rooted(self) -> Iterator[Followed]:
        """What was followed, under the root file that is here or a later one. Raises UnsignedError."""
        with self._loaded() as known:
            seen, here = known.signed.signers.root, self._root
            if here is not None and (seen is None or seen.version < here.version):
                raise UnsignedError("the log has an older root file than the one here")
            yield known


def _judge(known: Followed, entry: Entry) -> None:
    """Take in an entry: whether it is its person's, for as long as it could open anything."""
    reason = ""
    try:
        known.signed.judge(entry)
        known.logs.apply(entry)
    except UnsignedError as error:
        reason = str(error)
    while known.judged:
        first = next(iter(known.judged))
        if entry.stamp.at_us - known.judged[first].at_us < JUDGED_US:
            break
        del known.judged[first]
    known.judged[entry.sequence] = JudgedAccess(
        reason=reason, at_us=entry.stamp.at_us, unproven_until_us=_unproven_until(known, entry)
    )


def _unproven_until(known: Followed, entry: Entry) -> int:
    signers = known.signed.signers
    session = signers.sessions.get(entry.stamp.session)
    if session is None or not (entry.signed and isinstance(entry.note, Access)):
        return 0
    return signers.proven.unproven_until(entry, said_in(entry.signed), session.from_us)


def _result_of(known: Followed, entry: Entry) -> Result:
    """What `_judge` has just made of an entry."""
    signed, at_us, note = known.signed, entry.stamp.at_us, entry.note
    newest = next(reversed(signed.used.items()), None)
    once = next(reversed(signed.signers.once.items()), (b"", -1))
    opened = next(reversed(signed.opened.items()), None)
    fresh = isinstance(note, Access) and opened is not None and opened[1].at_us == at_us
    second, number, sharing = signed.signers.second, -1, False
    spends, spent = next(reversed(second.spent.items()), (-1, None))
    fresh_spent = spent is not None and spent.entry == entry.sequence
    proof, proven = signed.signers.proven.named(entry.stamp)
    if isinstance(note, ShareDecided):
        number, sharing = note.request, True
    elif isinstance(note, SearchApproved | ChangeDecided):
        number = note.proposal
    return Result(
        judged=known.judged[entry.sequence],
        used=(newest[0],) if newest is not None and newest[1] == at_us else (),
        waiting=signed.waiting.get(entry.sequence),
        alert=signed.alerts.get(entry.sequence),
        proposal=second.proposed.get(entry.sequence),
        decides=number,
        decision=(second.shares if sharing else second.decided).get(number) if number >= 0 else None,
        sharing=sharing,
        is_signed=bool(entry.signed) and not known.judged[entry.sequence].reason,
        emergency=second.emergencies.get(entry.sequence),
        opened=opened[1] if fresh and opened is not None else None,
        opened_by=opened[0] if fresh and opened is not None else b"",
        once=once[0] if once[1] == at_us else b"",
        spends=spends if fresh_spent else -1,
        spent=spent if fresh_spent else None,
        asked=second.requests.get(entry.sequence),
        placed=second.holds.get(entry.sequence),
        holding=next((one for one in reversed(signed.holding.values()) if one.entry == entry.sequence), None),
        broken=note.access if isinstance(note, GlassBroken) and note.access not in signed.unjudged else -1,
        settled=(note.incident, second.settled.get(note.incident, ""))
        if isinstance(note, IncidentSettled)
        else (-1, ""),
        proof=proof if proven is not None and proven.by else -1,
        proof_by=proven.by if proven is not None else b"",
        seen=second.seen_by_two,
    )


def _take_result(known: Followed, sequence: int, kind: str, result: Result) -> None:
    """Take in again what an entry left behind."""
    signed = known.signed
    known.judged[sequence] = result.judged
    signed.used |= dict.fromkeys(result.used, result.judged.at_us)
    if result.waiting is not None:
        signed.waiting[sequence] = result.waiting
    if result.alert is not None:
        signed.alerts[sequence] = result.alert
    proven = signed.signers.proven.made
    if result.proof in proven:
        proven[result.proof] = replace(proven[result.proof], by=result.proof_by)
    second = signed.signers.second
    if result.is_signed and kind in MADE_KINDS:
        signed.signers.signed_kinds.add(kind)
    if result.once:
        signed.signers.once[result.once] = result.judged.at_us
    _take_second(second, sequence, result)
    if result.emergency is not None:
        signed.unjudged[sequence] = result.emergency.user
    signed.unjudged.pop(result.broken, None)
    if result.holding is not None:
        signed.holding[result.holding.by] = result.holding
    if result.opened is not None:
        signed.opened[result.opened_by] = result.opened


def _take_second(second: SecondHands, sequence: int, result: Result) -> None:
    """The same of second persons."""
    second.seen_by_two = second.seen_by_two or result.seen
    if result.emergency is not None:
        second.emergencies[sequence] = result.emergency
    if result.spent is not None:
        second.spent[result.spends] = result.spent
    if result.asked is not None:
        second.requests[sequence] = result.asked
    if result.placed is not None:
        second.holds[sequence] = result.placed
    incident, first = result.settled
    if first:
        second.settled[incident] = first
    else:
        second.settled.pop(incident, None)
    if result.proposal is not None:
        second.proposed[sequence] = result.proposal
    if result.decides >= 0:
        decided = second.shares if result.sharing else second.decided
        decided.pop(result.decides, None)
        if result.decision is not None:
            decided[result.decides] = result.decision
