"""What can still be had of a log that its unit no longer believes: epoch keys, for the department alone,
and the newest checkpoint that it co-signed. Reads only; opens no content.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from storage import day_keys, opening, schema, slot
from storage.checkpoint import open_checkpoint
from storage.day_keys import DayKey, EpochKeyForDay
from storage.errors import StorageError
from storage.home import Home
from storage.keyring import EpochKey
from storage.leaf import log_id_of
from storage.log import LogReader
from storage.store import read_book


@dataclass(frozen=True, slots=True, kw_only=True)
class Salvage:
    """keys: each openable by the department alone; previous: the newest co-signed checkpoint, if any."""

    log_id: bytes
    keys: tuple[EpochKeyForDay, ...]
    previous: str | None


def salvage(home: Home, effaceable: slot.EffaceableSlot, keys: Sequence[DayKey], *, now_us: int) -> Salvage:
    """Read a home that `reopen` refuses. Keys that the slot no longer opens are left out: they were purged.

    Raises LedgerError if not even the public key can be read.
    """
    note_key = home.read_public_key()
    log_id = log_id_of(note_key.public)
    found: list[EpochKeyForDay] = []
    previous: str | None = None
    database = schema.connect(home.database, readonly=True)
    try:
        for (note,) in database.conn.execute("SELECT note FROM anchors ORDER BY size DESC").fetchall():
            with contextlib.suppress(StorageError):
                open_checkpoint(str(note), note_key)
                previous = str(note)
                break
        with contextlib.suppress(StorageError):
            book = read_book(database, LogReader(database), note_key.public)
            ring = opening.read_ring(database, book, slot.load_slot(effaceable))
            found = list(_for_department(ring.epochs, keys, log_id, now_us))
    finally:
        database.close()
    return Salvage(log_id=log_id, keys=tuple(found), previous=previous)


def _for_department(
    entries: Iterable[EpochKey], keys: Sequence[DayKey], log_id: bytes, now_us: int
) -> Iterable[EpochKeyForDay]:
    """Each key sealed to a day: already, or now; without day keys unsealed ones are left out."""
    for entry in entries:
        if entry.day is not None and entry.day_key is not None:
            yield EpochKeyForDay(epoch=entry.epoch, day_key=entry.day_key, sealed=entry.day)
        elif entry.own is not None and keys:
            day = day_keys.key_for(keys, now_us)
            sealed = day_keys.seal_to_day(entry.own, day, log_id, entry.epoch)
            yield EpochKeyForDay(epoch=entry.epoch, day_key=day.key_id, sealed=sealed)
