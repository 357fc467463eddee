"""Checks an access log as a stranger would: every signature, every hash, and the witness's newest tree head.

What it needs: the log file, the log's public key, the witness's public key and a checkpoint that came from
the witness. It needs no key of the department; with the audit keys it opens every entry as well. Findings
name the first bad entry; nothing is repaired.
"""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from storage import envelope, merkle
from storage.checkpoint import Checkpoint, NoteKey, open_checkpoint, open_cosignatures
from storage.errors import CheckpointError, StorageError
from storage.leaf import log_id_of
from sync.department.journal.access_log import CONTEXT, DATABASE, AuditKeys, open_entry, origin_of, parse_leaf
from sync.errors import HomeError


@dataclass(frozen=True, slots=True)
class LogReport:
    """`problems`: what is wrong, worst first, empty if nothing; `proven`: a witness's tree head was
    matched."""

    entries: int
    witnessed: int
    witnessed_at_s: int
    opened: int
    problems: tuple[str, ...]
    proven: bool

    @property
    def sound(self) -> bool:
        return not self.problems


def note_key_of(public: Ed25519PublicKey) -> NoteKey:
    """The log's verifying key under its own name."""
    return NoteKey(origin_of(log_id_of(public)), public)


def check(
    folder: Path,
    log_key: Ed25519PublicKey,
    *,
    witness: NoteKey | None = None,
    checkpoint: str | None = None,
    keys: AuditKeys | None = None,
) -> LogReport:
    """Check the log in `folder`. `checkpoint`: the note fetched from the witness. Raises HomeError."""
    path = folder / DATABASE
    if not path.is_file():
        raise HomeError("holds no access log", where=str(folder))
    log_id = log_id_of(log_key)
    problems: list[str] = []
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        try:
            rows = db.execute(
                "SELECT sequence, kind, year, leaf, sealed FROM entries ORDER BY sequence"
            ).fetchall()
            nodes = {
                (level, at): value for level, at, value in db.execute("SELECT level, at, hash FROM nodes")
            }
            heads = db.execute("SELECT size, note FROM heads ORDER BY size").fetchall()
        except sqlite3.DatabaseError as error:
            return LogReport(0, 0, 0, 0, (f"the database cannot be read: {error}",), False)
    finally:
        db.close()
    hashes = [merkle.leaf_hash(leaf) for _, _, _, leaf, _ in rows]
    opened = _check_entries(rows, log_id, log_key, keys, problems)
    _check_nodes(hashes, nodes, problems)
    tree = _Tree(hashes)
    note_key = NoteKey(origin_of(log_id), log_key)
    for size, note in heads:
        _check_head(note, size, note_key, None, tree, problems, "a stored tree head")
    witnessed, at_s = 0, 0
    if checkpoint is not None and witness is not None:
        found = _check_head(
            checkpoint, None, note_key, witness, tree, problems, "the witness's tree head", first=True
        )
        if found is not None:
            witnessed, at_s = found
    elif witness is not None:
        problems.append("no checkpoint from the witness: entries removed at the end would not show")
    return LogReport(
        len(rows), witnessed, at_s, opened, tuple(problems), checkpoint is not None and witness is not None
    )


def _check_entries(
    rows: list[tuple[int, str, int, bytes, bytes]],
    log_id: bytes,
    log_key: Ed25519PublicKey,
    keys: AuditKeys | None,
    problems: list[str],
) -> int:
    opened = 0
    for place, (sequence, kind, year, leaf, sealed) in enumerate(rows):
        name = f"entry {place}"
        if sequence != place:
            problems.append(f"{name}: missing (the next one here is {sequence})")
            return opened
        try:
            payload = envelope.open_signed(leaf, log_key, context=CONTEXT, limit=4096)
            named_log, named_kind, named_sequence, named_year, mark = parse_leaf(payload)
            if (named_log, named_kind, named_sequence, named_year) != (log_id, kind, sequence, year):
                problems.append(f"{name}: its columns and its leaf differ, or it is of another log")
            elif hashlib.sha256(sealed).digest() != mark.digest:
                problems.append(f"{name}: the sealed entry is not the one that was signed")
            elif keys is not None:
                open_entry(log_id, sequence, payload, sealed, keys)
                opened += 1
        except (StorageError, HomeError) as error:
            problems.append(f"{name}: {error}")
    return opened


class _Tree:
    """Roots over prefixes of the recomputed leaf hashes."""

    def __init__(self, hashes: list[bytes]) -> None:
        self._levels = [hashes]
        while len(self._levels[-1]) > 1:
            below = self._levels[-1]
            self._levels.append(
                [merkle.node_hash(below[at], below[at + 1]) for at in range(0, len(below) - 1, 2)]
            )

    def __len__(self) -> int:
        return len(self._levels[0])

    def root(self, size: int) -> bytes:
        return merkle.root_at(size, lambda level, at: self._levels[level][at])


def _check_nodes(hashes: list[bytes], nodes: dict[tuple[int, int], bytes], problems: list[str]) -> None:
    expected: dict[tuple[int, int], bytes] = {}
    level, row = 0, hashes
    while row:
        expected.update({(level, at): value for at, value in enumerate(row)})
        row = [merkle.node_hash(row[at], row[at + 1]) for at in range(0, len(row) - 1, 2)]
        level += 1
    if expected != nodes:
        problems.append("the cached tree differs from the entries")


def _check_head(  # noqa: PLR0917 - one note and all it is held against
    note: str,
    size: int | None,
    log: NoteKey,
    witness: NoteKey | None,
    tree: _Tree,
    problems: list[str],
    what: str,
    *,
    first: bool = False,
) -> tuple[int, int] | None:
    """Match a tree head to the entries. `first`: put a problem at the front. Gives (size, time in s)."""
    at = 0 if first else len(problems)
    try:
        head: Checkpoint = open_checkpoint(note, log)
        signed = open_cosignatures(note, [witness] if witness else [])
    except CheckpointError as error:
        problems.insert(at, f"{what}: {error}")
        return None
    if witness is not None and not signed:
        problems.insert(at, f"{what}: is not co-signed by {witness.name}")
        return None
    if size is not None and head.size != size:
        problems.insert(at, f"{what}: speaks of {head.size} entries where {size} is written beside it")
    if head.size > len(tree):
        problems.insert(at, f"{what}: covers {head.size} entries, {len(tree)} are here: entries were removed")
    elif tree.root(head.size) != head.root:
        problems.insert(at, f"{what}: its root is not that of these entries: an entry was changed or removed")
    else:
        return head.size, signed[0].time_s if signed else 0
    return None
