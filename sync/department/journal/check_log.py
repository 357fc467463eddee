"""Checks an access log as an outsider would: every signature, every hash, the witnesses' newest tree heads.

It needs the log file, the log's public key, the witnesses' public keys and a checkpoint from each, but no key
of the department. With the key service's list, it also finds entries that were removed after content was
opened for them. With the audit keys, it opens every entry, compares its time with the witnesses', and finds
accesses and changes of the roster that the named person did not sign. Findings name the first bad entry;
nothing is repaired.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from storage import envelope, merkle
from storage.checkpoint import Checkpoint, NoteKey, open_checkpoint
from storage.cosigners import Witnesses
from storage.counts import counted
from storage.errors import CheckpointError, StorageError
from storage.leaf import log_id_of
from storage.times import MINUTE_US, SECOND_US
from sync.department.journal.access_log import CONTEXT, DATABASE, AuditKeys, open_entry, origin_of, parse_leaf
from sync.department.journal.entries import NEWEST_FORM, Entry
from sync.department.journal.reading import reading
from sync.department.journal.signed_log import SignedLog
from sync.department.journal.signers import SIGNER_KINDS
from sync.department.journal.unsigned import UnsignedError
from sync.errors import HomeError

EARLIER = (
    "what logs of a later form ask: this one is of form {form} and keeps the rules that it began under; one "
    "that this version founds is of form {newest}"
)
SKEW_US = 10 * MINUTE_US  # how far the department's clock and a witness's may differ


@dataclass(frozen=True, slots=True)
class LogReport:
    """The result of a check. `problems`: faults, worst first. `proven`: a witness's tree head matched;
    `witnessable`: there is a witness to ask.

    `unchecked`: what could not be checked because a key, a file, a witness or a newer log is missing.
    `claims`: what single witnesses claim against the log without proof.
    """

    entries: int
    witnessed: int
    witnessed_at_s: int
    opened: int
    problems: tuple[str, ...]
    proven: bool
    unchecked: tuple[str, ...] = ()
    witnessable: bool = True
    claims: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        return not self.problems


def note_key_of(public: Ed25519PublicKey) -> NoteKey:
    """The log's verifying key, under the log's own name."""
    return NoteKey(origin_of(log_id_of(public)), public)


def check(
    folder: Path,
    log_key: Ed25519PublicKey,
    *,
    witnesses: Witnesses | None = None,
    checkpoints: Sequence[str] = (),
    keys: AuditKeys | None = None,
    opened: OpenedEntries | None = None,
    taken: EntryWatch | None = None,
    at_home: bool = True,
) -> LogReport:
    """Check the log in `folder`. Raises HomeError, LackingError. `at_home`: the folder is not a copy.

    `checkpoints`: the newest note of each witness that answered; a quorum must have answered. `opened`: the
    key service's own list; `taken`: is given each entry. With `keys`, entries are opened and their times
    compared with the witnesses'.
    """
    path = folder / DATABASE
    if not path.is_file():
        raise HomeError("holds no access log", where=str(folder), cure=f"give the folder of {DATABASE}")
    log_id = log_id_of(log_key)
    problems: list[str] = []
    try:
        with reading(path, at_home=at_home) as db:
            rows = db.execute(
                "SELECT sequence, kind, year, leaf, sealed FROM entries ORDER BY sequence"
            ).fetchall()
            nodes = {
                (level, at): value for level, at, value in db.execute("SELECT level, at, hash FROM nodes")
            }
            heads = db.execute("SELECT size, note FROM heads ORDER BY size").fetchall()
    except sqlite3.DatabaseError as error:
        return LogReport(0, 0, 0, 0, (f"the database cannot be read: {error}",), False)
    hashes = [merkle.leaf_hash(leaf) for _, _, _, leaf, _ in rows]
    stamps, form = _check_entries(rows, log_id, log_key, keys, opened, taken, problems)
    earlier = [EARLIER.format(form=form, newest=NEWEST_FORM)] if 0 <= form < NEWEST_FORM else []
    if expected_nodes(hashes) != nodes:
        problems.append("the cached tree differs from the entries")
    tree = Tree(hashes)
    note_key = NoteKey(origin_of(log_id), log_key)
    times: list[tuple[int, int]] = []
    for size, note in heads:
        found = _check_head(note, note_key, tree, problems, "a stored tree head", size=size)
        if found is not None and witnesses is not None:
            times += _times(note, witnesses, found)
    shown = (
        _check_witnessed(checkpoints, witnesses, note_key, tree, problems) if witnesses is not None else []
    )
    times += [one for by_witness, _ in shown for one in by_witness]
    answered = _answered([signers for _, signers in shown])
    _check_times(stamps, times, problems)
    if opened is not None:
        opened.compare(tree, problems)
    witnessed, at_s = max((one for by_witness, _ in shown for one in by_witness), default=(0, 0))
    return LogReport(
        entries=len(rows),
        witnessed=witnessed,
        witnessed_at_s=at_s,
        opened=len(stamps),
        problems=tuple(problems),
        proven=witnesses is not None and 0 < witnesses.quorum <= answered,
        unchecked=(*_unchecked(witnesses, answered, keys=keys, opened=opened), *earlier),
        witnessable=witnesses is not None,
    )


def _check_witnessed(
    checkpoints: Sequence[str], witnesses: Witnesses, log: NoteKey, tree: Tree, problems: list[str]
) -> list[tuple[list[tuple[int, int]], tuple[int, ...]]]:
    """For each valid tree head of a witness: (size, time in s) of its co-signatures, and who signed."""
    shown = []
    for note in checkpoints:
        what = "a witness's tree head"
        size = _check_head(note, log, tree, problems, what, witnesses=witnesses, first=True)
        if size is not None:
            shown.append((_times(note, witnesses, size), witnesses.signers(note)))
    return shown


def _answered(signers: Sequence[Sequence[int]]) -> int:
    """How many witnesses gave a tree head of their own.

    Each head counts for one witness that signed it, and each witness once, however often its head is shown. A
    matching by augmenting paths (Kuhn, 1955).
    """
    taken: dict[int, int] = {}

    def place(head: int, seen: set[int]) -> bool:
        for witness in signers[head]:
            if witness in seen:
                continue
            seen.add(witness)
            if witness not in taken or place(taken[witness], seen):
                taken[witness] = head
                return True
        return False

    return sum(place(head, set()) for head in range(len(signers)))


def _unchecked(
    witnesses: Witnesses | None, shown: int, *, keys: AuditKeys | None, opened: OpenedEntries | None
) -> Iterator[str]:
    """What could not be checked, and what was missing. `shown`: how many witnesses' tree heads are valid."""
    if witnesses is None:
        yield "whether entries were removed (no witness is named)"
    elif shown < witnesses.quorum:
        yield (
            f"{shown} of {counted(len(witnesses.keys), 'witness', 'witnesses')} gave a valid tree head, "
            f"{witnesses.quorum} needed: entries removed at the end would not show"
        )
    if keys is None:
        yield "who made each entry, and when (the entries are sealed under the audit keys)"
    if opened is None:
        yield "lookups made while no witness answered (no list of the key service)"


class OpenedEntries(Protocol):
    """The key service's own list, for comparison with the log."""

    def compare(self, tree: Tree, problems: list[str]) -> None:
        """Add the differences to `problems`."""
        ...

    def judge(self, entry: Entry, problems: list[str]) -> None:
        """Add a problem for an entry that says what the key service did not see."""
        ...


class EntryWatch(Protocol):
    """A check that is given each entry in order."""

    def judge(self, entry: Entry, *, holds: bool) -> None:
        """Check an entry. `holds`: the person whom it names signed it, or it needs no signature."""
        ...


def _times(note: str, witnesses: Witnesses, size: int) -> list[tuple[int, int]]:
    """(size, time in s) from each witness that co-signed a note."""
    return [(size, one.time_s) for one in witnesses.cosignatures(note)]


def _check_times(stamps: list[int], times: list[tuple[int, int]], problems: list[str]) -> None:
    """Check that entries are dated in order, each after heads that lack it and before heads that have it."""
    for at in range(1, len(stamps)):
        if stamps[at] < stamps[at - 1]:
            problems.append(f"entry {at}: is dated before the entry before it")
    by_size = sorted(times)
    earliest, next_head = 0, 0
    for at, stamp in enumerate(stamps):
        while next_head < len(by_size) and by_size[next_head][0] <= at:
            earliest = max(earliest, by_size[next_head][1] * SECOND_US)
            next_head += 1
        if stamp < earliest - SKEW_US:
            problems.append(f"entry {at}: is dated before a tree head that the witnesses saw without it")
    latest = 0
    for at in range(len(stamps) - 1, -1, -1):
        while by_size and by_size[-1][0] > at:
            seen = by_size.pop()[1] * SECOND_US
            latest = min(latest, seen) if latest else seen
        if latest and stamps[at] > latest + SKEW_US:
            problems.append(f"entry {at}: is dated after a tree head that the witnesses saw with it")


def _check_entries(  # noqa: PLR0917 - one pass
    rows: list[tuple[int, str, int, bytes, bytes]],
    log_id: bytes,
    log_key: Ed25519PublicKey,
    keys: AuditKeys | None,
    seen: OpenedEntries | None,
    taken: EntryWatch | None,
    problems: list[str],
) -> tuple[list[int], int]:
    """Check each leaf and, with keys, each entry.

    Returns the times of the opened entries, UTC us, and the log's form, or -1 if its first entry did not
    open.
    """
    opened: list[int] = []
    signed, form = SignedLog(), -1
    for place, (sequence, kind, year, leaf, sealed) in enumerate(rows):
        name = f"entry {place}"
        if sequence != place:
            problems.append(f"{name}: missing (the next one here is {sequence})")
            return opened, -1
        try:
            payload = envelope.open_signed(leaf, log_key, context=CONTEXT, limit=4096)
            named_log, named_kind, named_sequence, named_year, mark = parse_leaf(payload)
            if (named_log, named_kind, named_sequence, named_year) != (log_id, kind, sequence, year):
                problems.append(f"{name}: its columns and its leaf differ, or it belongs to another log")
            elif hashlib.sha256(sealed).digest() != mark.digest:
                problems.append(f"{name}: the sealed entry is not the one that was signed")
            elif keys is not None:
                entry = open_entry(log_id, sequence, payload, sealed, keys)
                opened.append(entry.stamp.at_us)
                holds = _check_signed(entry, signed, problems)
                form = signed.signers.form if place == 0 else form
                if taken is not None:
                    taken.judge(entry, holds=holds)
                if seen is not None:
                    seen.judge(entry, problems)
        except (StorageError, HomeError) as error:
            problems.append(f"{name}: {error}")
    lacking = [
        (place, f"credential {user}", user, f"no key of {user} follows it")
        for user, place in signed.signers.unkeyed.items()
    ]
    lacking += [
        (place, "access", one.user, "no second person was asked to judge it")
        for place, one in signed.signers.second.emergencies.items()
        if one.due_us < 0
    ]
    problems += [f"entry {place}: {what} in the name of {user}: {why}" for place, what, user, why in lacking]
    return opened, form


def _check_signed(entry: Entry, signed: SignedLog, problems: list[str]) -> bool:
    """Whether the named person signed an entry, or it needs no signature."""
    if entry.note.KIND not in SIGNER_KINDS:
        return True
    try:
        signed.judge(entry)
    except UnsignedError as error:
        about = getattr(entry.note, "user", "")
        what = f"{entry.note.KIND} {about}".strip()
        problems.append(f"entry {entry.sequence}: {what} in the name of {entry.stamp.user}: {error}")
        return False
    return True


class Tree:
    """Roots over prefixes of the recomputed leaf hashes."""

    def __init__(self, hashes: list[bytes]) -> None:
        self._levels = [hashes]
        while len(self._levels[-1]) > 1:
            self._levels.append(merkle.level_above(self._levels[-1]))

    def __len__(self) -> int:
        return len(self._levels[0])

    def leaf(self, at: int) -> bytes:
        return self._levels[0][at]

    def root(self, size: int) -> bytes:
        return merkle.root_at(size, lambda level, at: self._levels[level][at])


def tree_of(folder: Path, *, at_home: bool = True) -> Tree:
    """The tree over the readable leaves in `folder`; `check` reports what is wrong there."""
    try:
        with reading(folder / DATABASE, at_home=at_home) as db:
            rows = db.execute("SELECT leaf FROM entries ORDER BY sequence").fetchall()
    except sqlite3.DatabaseError:
        rows = []
    return Tree([merkle.leaf_hash(bytes(row[0])) for row in rows])


def heads_of(folder: Path) -> list[str]:
    """The readable co-signed tree heads in `folder`, by size."""
    try:
        with reading(folder / DATABASE, at_home=True) as db:
            return [str(row[0]) for row in db.execute("SELECT note FROM heads ORDER BY size").fetchall()]
    except sqlite3.DatabaseError:
        return []


def expected_nodes(hashes: list[bytes]) -> dict[tuple[int, int], bytes]:
    """Every complete node of the tree over these leaf hashes, by (level, place)."""
    expected: dict[tuple[int, int], bytes] = {}
    level, row = 0, hashes
    while row:
        expected.update({(level, at): value for at, value in enumerate(row)})
        row = merkle.level_above(row)
        level += 1
    return expected


def _check_head(
    note: str,
    log: NoteKey,
    tree: Tree,
    problems: list[str],
    what: str,
    *,
    witnesses: Witnesses | None = None,
    size: int | None = None,
    first: bool = False,
) -> int | None:
    """Compare a tree head with the entries; returns its size or None. `first`: put problems at the front."""
    at = 0 if first else len(problems)
    try:
        head: Checkpoint = open_checkpoint(note, log)
        signed = witnesses.cosignatures(note) if witnesses else []
    except CheckpointError as error:
        problems.insert(at, f"{what}: {error}")
        return None
    if witnesses is not None and not signed:
        problems.insert(at, f"{what}: is not co-signed by {' or '.join(witnesses.names())}")
        return None
    if size is not None and head.size != size:
        named = counted(head.size, "entry")
        problems.insert(at, f"{what}: names {named}, but {size} is written beside it")
    if head.size > len(tree):
        named = counted(head.size, "entry")
        problems.insert(at, f"{what}: covers {named}, {len(tree)} here: entries were removed")
    elif tree.root(head.size) != head.root:
        problems.insert(at, f"{what}: its root is not that of these entries: an entry was changed or removed")
    else:
        return head.size
    return None
