"""Recovers what it can from a log that its unit no longer trusts: epoch keys, only for the department, and
the newest checkpoint that it co-signed. Only reads; opens no content.

The next log takes the slot, so what is not found here is lost. Therefore keys are found even if no record is
intact: whatever the slot's key opens belongs to this log and generation.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from storage import day_keys, keyring, opening, schema, sealing, slot
from storage.checkpoint import NoteKey, open_checkpoint
from storage.clock_trust import LONE_LIMIT_US
from storage.database import blob_of
from storage.day_keys import DayKey, EpochKeyForDay
from storage.errors import LedgerError, StorageError
from storage.home import Home
from storage.keyring import EpochKey
from storage.leaf import KEYRING, WRAP, log_id_of, origin_of
from storage.state import LEAD

if TYPE_CHECKING:
    import sqlite_utils

MOST_TRIES = 1_000_000  # epoch numbers tried for wraps that name none: seconds, whatever the ledger claims


@dataclass(frozen=True, slots=True, kw_only=True)
class Salvage:
    """keys: only the department can open them. previous: the newest co-signed checkpoint, if any.

    lead_us: the spent budget of lone time sources, by the signed state; all of it if that cannot be read.
    """

    log_id: bytes
    keys: tuple[EpochKeyForDay, ...]
    previous: str | None
    lead_us: int = LONE_LIMIT_US


def salvage(home: Home, effaceable: slot.EffaceableSlot, keys: Sequence[DayKey], *, now_us: int) -> Salvage:
    """Read a home that `reopen` refuses. Keys that the slot no longer opens are left out: they were purged.

    Raises LedgerError if neither the public key nor the slot names the log, sqlite3.Error.
    """
    content, note_key = _in_slot(effaceable), _public_key(home)
    key = None if content is None else opening.key_in(home, content)
    if key is not None:  # log.pub may be damaged, or another log's
        note_key = NoteKey(origin_of(log_id_of(key)), key)
    if content is None and note_key is None:
        raise LedgerError("neither its public key nor its slot can be read", where=str(home.folder))
    log_id = content.log_id if content is not None else b""
    if note_key is not None:
        log_id = log_id_of(note_key.public)
    found: list[EpochKeyForDay] = []
    database = schema.connect(home.database, readonly=True)
    try:
        previous = None if note_key is None else _newest_anchor(database.conn, note_key)
        lead_us = LONE_LIMIT_US if note_key is None else _lead_us(database, note_key)
        if content is not None:
            sealed = _for_department(_epoch_keys(database.conn, content, log_id), keys, log_id, now_us)
            with contextlib.suppress(StorageError, sqlite3.Error):  # keep what was found so far
                while (one := next(sealed, None)) is not None:
                    found.append(one)
    finally:
        database.close()
    return Salvage(log_id=log_id, keys=tuple(found), previous=previous, lead_us=lead_us)


def _public_key(home: Home) -> NoteKey | None:
    with contextlib.suppress(LedgerError):
        return home.read_public_key()
    return None


def _in_slot(effaceable: slot.EffaceableSlot) -> slot.SlotContent | None:
    with contextlib.suppress(StorageError):
        return slot.load_slot(effaceable)
    return None


def _lead_us(database: sqlite_utils.Database, note_key: NoteKey) -> int:
    with contextlib.suppress(StorageError, sqlite3.Error, TypeError, ValueError):
        return opening.read_state(database, note_key.public).cursor(LEAD)
    return LONE_LIMIT_US


def _newest_anchor(connection: sqlite3.Connection, note_key: NoteKey) -> str | None:
    with contextlib.suppress(sqlite3.Error):
        for (note,) in connection.execute("SELECT note FROM anchors ORDER BY size DESC").fetchall():
            with contextlib.suppress(StorageError):
                open_checkpoint(str(note), note_key)
                return str(note)
    return None


def _epoch_keys(
    connection: sqlite3.Connection, content: slot.SlotContent, log_id: bytes
) -> Iterator[EpochKey]:
    """Yield the keys in the keyring, then those of epochs opened since, each from its wrap.

    Raises sqlite3.Error.
    """
    kek, generation, tries = content.kek, content.generation, MOST_TRIES
    (last,) = connection.execute("SELECT coalesce(max(epoch), 0) FROM leaves").fetchone()
    epoch = 0
    for name, wrapped in _key_elements(connection):
        if name == KEYRING:
            with contextlib.suppress(StorageError):
                held = keyring.Keyring.opened(wrapped, kek, log_id, generation).epochs
                epoch = max((one.epoch for one in held), default=0)
                yield from held
            continue
        for number in range(epoch + 1, min(last, epoch + tries) + 1):  # almost always the first of them
            tries -= 1
            with contextlib.suppress(StorageError):
                yield keyring.unwrap_epoch(wrapped, number, kek, log_id, generation)
                epoch = number
                break


def _key_elements(connection: sqlite3.Connection) -> Iterator[tuple[str, bytes]]:
    """(name, wrapped) of all readable key material, in the log's order."""
    rows = connection.execute("SELECT sequence FROM leaves WHERE epoch = 0 ORDER BY sequence").fetchall()
    sql = "SELECT name, stored FROM elements WHERE sequence = ? AND name IN (?, ?)"
    for (sequence,) in rows:
        with contextlib.suppress(sqlite3.Error, TypeError, StorageError):
            for name, stored in connection.execute(sql, (sequence, KEYRING, WRAP)).fetchall():
                yield name, sealing.unframe(name, blob_of(stored)).content


def _for_department(
    entries: Iterable[EpochKey], keys: Sequence[DayKey], log_id: bytes, now_us: int
) -> Iterator[EpochKeyForDay]:
    """Yield each key sealed to a day, already or now; without day keys, unsealed ones are left out."""
    for entry in entries:
        if entry.day is not None and entry.day_key is not None:
            yield EpochKeyForDay(epoch=entry.epoch, day_key=entry.day_key, sealed=entry.day)
        elif entry.own is not None and keys:
            day = day_keys.key_for(keys, now_us)
            sealed = day_keys.seal_to_day(entry.own, day, log_id, entry.epoch)
            yield EpochKeyForDay(epoch=entry.epoch, day_key=day.key_id, sealed=sealed)
