"""Digests of what the key service saw in alerts that it opened, for its signed list and for `verify`.

A unit's records are sealed, and the department's server writes the log's entries about them. So the key
service keeps digests of each record, and `verify` finds entries that differ (another read's picture, another
time, a step that no officer took, an alert passed off as a step). No I/O.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from storage import envelope
from storage.codec import from_bytes, to_plain
from storage.errors import StorageError
from storage.read_records import Alert, AlertStepped
from sync.department.journal.alert_entries import (
    BEFORE_ENROLLMENT,
    AlertKnown,
    AlertRecordsOpened,
    AlertStepTaken,
)
from sync.department.journal.entry_base import Note
from sync.hot_lists.document import digest_of
from sync.hot_lists.entry import ListEntry

DOMAIN = b"alpr-keys/alert/v1\x00"


def _digest(*parts: object) -> bytes:
    return hashlib.sha256(DOMAIN + envelope.encode(list(parts))).digest()


def of_read(read: str) -> bytes:
    """The digest that says that an alert is of this read."""
    return _digest("read", read)


def of_content(log: str, record: str, content: bytes) -> tuple[bytes, ...]:
    """The digests of an opened record; none unless it is an alert or a step. `log`: in hex."""
    try:
        alert = from_bytes(Alert, content)
        entry = ListEntry.from_bytes(alert.entry)
    except StorageError:
        return _of_step(log, record, content)
    read = f"{log}/{alert.read}"
    facts = (alert.at_us, alert.list_id, alert.source, alert.category, digest_of(alert.entry), alert.stale)
    whole = _digest(
        "alert", record, read, *facts, list(alert.silent), entry.requester, list(entry.recipients)
    )
    return whole, _digest("picture", record, read), of_read(read)


def _of_step(log: str, record: str, content: bytes) -> tuple[bytes, ...]:
    try:
        stepped = from_bytes(AlertStepped, content)
    except StorageError:
        return ()
    return _digest("step", f"{log}/{stepped.alert}", to_plain(stepped.step)), _digest("step record", record)


def wanted_by(note: Note) -> Iterator[bytes]:
    """The digests that an entry requires; none if it is not about a unit's record."""
    if isinstance(note, AlertKnown) and note.planted_plate:
        if note.record:
            yield _digest("picture", note.record, note.read)
    elif isinstance(note, AlertKnown):
        silent = [one for one in note.silent if one != BEFORE_ENROLLMENT]
        facts = (note.raised_us, note.list_id, note.source, note.category, note.entry, note.stale)
        yield _digest("alert", note.record, note.read, *facts, silent, note.requester, list(note.recipients))
    elif isinstance(note, AlertStepTaken) and note.unit:
        yield _digest("step", note.alert, to_plain(note.step))
    elif isinstance(note, AlertRecordsOpened):
        for record in note.records:
            yield _digest("step record", record)
