"""Keeps the desk's folded state beside the log, so that a start need not fold a long log again.

A snapshot holds the book folded from the first `seen` entries, and their signed tree head. It is sealed under
the key that seals credentials, and used only if that head is the log's own. Anything else is ignored, and all
entries are folded. `department verify` folds them and compares.

Its form follows the types of the book, so that a changed class makes every older snapshot unreadable, and it
is ignored.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import typing
from pathlib import Path
from typing import Any

from storage import envelope, files, sealing
from storage.checkpoint import open_checkpoint
from storage.codec import hints_of
from storage.errors import StorageError
from sync.department.desk.state import DeskState
from sync.department.journal.access_log import AccessLog
from sync.department.journal.credential_key import CREDENTIAL_KEY, credential_key
from sync.department.journal.entries import NOTES, demand_form
from sync.department.journal.plain_state import MAX_BYTES, as_plain, as_value
from sync.department.policy.policy_file import parse_policy
from sync.errors import HomeError

FILE = "book.snapshot"
ELEMENT = "snapshot"
WRITTEN = 2  # rises if the same types are written differently; 2: entries as signed
EVERY = 500  # entries between snapshots; writing one takes as long as reading about 60 accesses


@functools.cache
def form() -> bytes:
    """SHA-256 over the types in a book and their encoding. A snapshot of another form is ignored."""
    seen: dict[str, str] = {}

    def walk(hint: Any) -> None:
        for one in (typing.get_origin(hint), *typing.get_args(hint)):
            if one is not None:
                walk(one)
        if dataclasses.is_dataclass(hint) and isinstance(hint, type) and hint.__qualname__ not in seen:
            seen[hint.__qualname__] = ""
            hints = hints_of(hint)
            seen[hint.__qualname__] = repr([(name, str(one)) for name, one in hints.items()])
            for one in hints.values():
                walk(one)

    walk(DeskState)
    for note in NOTES.values():
        walk(note)
    return hashlib.sha256(repr([WRITTEN, *sorted(seen.items())]).encode()).digest()


def to_bytes(book: DeskState) -> bytes:
    """A book's parts in canonical form."""
    return envelope.encode(as_plain(DeskState, book))


def write(log: AccessLog, book: DeskState) -> None:
    """Save the book of this log. Raises OSError, HomeError."""
    content = envelope.encode([form(), book.seen, log.signed_head(book.seen), to_bytes(book)])
    key = credential_key(log)
    files.replace(log.folder / FILE, sealing.wrap(key, log.log_id, 0, ELEMENT, content))


def read(log: AccessLog) -> DeskState | None:
    """The stored book of this log, or None if there is no valid one. Raises NewerError."""
    path: Path = log.folder / FILE
    try:
        content = sealing.unwrap(log.keys.of(CREDENTIAL_KEY), log.log_id, 0, ELEMENT, path.read_bytes())
        value = envelope.decode(content, limit=MAX_BYTES)
        if not isinstance(value, list) or len(value) != 4 or value[0] != form():
            return None
        head = open_checkpoint(value[2], log.note_key)
        if head.size != value[1] or not 0 < head.size <= log.size() or log.head(head.size).root != head.root:
            return None
        book: DeskState = as_value(DeskState, envelope.decode(value[3], limit=MAX_BYTES))
        book.rules = parse_policy(book.document)
        demand_form(book.signers.form)
    except (OSError, StorageError, HomeError, ValueError, TypeError, KeyError, IndexError, AttributeError):
        return None
    return book if book.seen == head.size else None
