"""Compares a closed log's folder, brought from a unit, with what was received of it, and takes it in."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import sqlalchemy as sa

from storage.errors import NoHomeError, StorageError
from sync.closed_delivery import Parcel, cut, header_of, portions
from sync.closed_parcels import ClosedHeld
from sync.department.server.server import Department
from sync.department.store import closed_records, unit_logs
from sync.department.store.database import Store
from sync.department.units import documents
from sync.errors import InvalidInputError, RefusedByDepartmentError
from sync.handover import DOCUMENT, BadRecord, HandedRecord, Handover, open_handover

AT_ONCE = 200
PARCEL_BYTES = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """Counts of records, without their content.

    verified: signed by the log's key, in their place. bad: not so. received: the department has the same
    record with at least its content. lacking: the department lacks the record or some of its content, which
    the folder has. contradicting: the department has another record in that place. lost: content that is
    missing or altered in the folder, including what the unit purged. keys: sealed epoch keys in the folder.
    """

    log: str
    unit: str
    verified: int
    bad: int
    received: int
    lacking: int
    contradicting: int
    lost: int
    keys: int


def examine_closed_log(store: Store, folder: Path) -> Examined:
    """Compare a folder `sync/old/LOG` of a unit with the store. Read-only. Raises InvalidInputError."""
    with _opened(folder) as handover, store.read() as connection:
        log = _log_of(connection, handover, folder)
        counts = dict.fromkeys(("verified", "bad", "received", "lacking", "contradicting", "lost"), 0)
        for some in _portions(handover.records()):
            _count(connection, log, some, counts)
        return Examined(log=handover.log_id.hex()[:16], unit=log.unit_id, keys=len(handover.keys), **counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenIn:
    """Counts of records.

    held: whole; lacking: with content that did not open; bad: not verified. notified: whether the unit is
    offered the message that ends its alarm.
    """

    held: int
    lacking: int
    bad: int
    notified: bool


def outline(store: Store, folder: Path) -> tuple[bytes, int, bytes]:
    """(the log's id, how many records verify, SHA-256 over their leaves) of a folder.

    Raises InvalidInputError.
    """
    digest, count = hashlib.sha256(), 0
    with _opened(folder) as handover:
        with store.read() as connection:
            _log_of(connection, handover, folder)
        for one in handover.records():
            if isinstance(one, HandedRecord):
                digest.update(hashlib.sha256(one.leaf).digest())
                count += 1
        return handover.log_id, count, digest.digest()


def take_in(department: Department, folder: Path) -> TakenIn:
    """Take in everything in a folder that verifies; notify the unit. Raises InvalidInputError, StoreError."""
    arrival = department.receiver.closed_arrival
    bad = held_whole = lacking = 0
    with _opened(folder) as handover:
        with department.store.read() as connection:
            log = _log_of(connection, handover, folder)
        keys = {key.epoch: key for key in handover.keys}

        def sound() -> Iterator[HandedRecord]:
            nonlocal bad
            for one in handover.records():
                if isinstance(one, BadRecord):
                    bad += 1
                else:
                    yield one

        def give(parcel: Parcel) -> ClosedHeld:
            header = header_of(log.log_id, handover.log_id, parcel, keys)
            return arrival.take(log.unit_id, header, parcel.parts)

        for some in portions(sound()):
            offer = Parcel(tuple(one.leaf for one in some))
            wanted = set(give(offer).lacking)
            for parcel in cut((one for one in some if one.sequence in wanted), PARCEL_BYTES):
                give(parcel)
            left = give(offer).lacking if wanted else ()
            lacking += len(left)
            held_whole += len(some) - len(left)
        notified = not lacking and _notify_unit(department, log, handover.log_id)
    return TakenIn(held=held_whole, lacking=lacking, bad=bad, notified=notified)


def _log_of(connection: sa.Connection, handover: Handover, folder: Path) -> unit_logs.HeldLog:
    """The folder's log as it is held here. Raises InvalidInputError.

    Its key here checks the records even if the folder's own copy of the key is lost.
    """
    log = unit_logs.find_log(connection, handover.log_id)
    if log is None:
        raise InvalidInputError("is the log of no unit of this department", where=str(folder))
    handover.public = log.public
    return log


def _notify_unit(department: Department, log: unit_logs.HeldLog, log_id: bytes) -> bool:
    home = department.home
    if not (home.path / "command.key").exists():
        return False
    name = f"{DOCUMENT}/{log_id.hex()[:16]}"
    documents.send(
        *(home, department.store, name, log_id, department.time(), log.unit_id), said=department.said
    )
    return True


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[Handover]:
    """Raises InvalidInputError."""
    try:
        with open_handover(folder) as handover:
            yield handover
    except NoHomeError:
        raise InvalidInputError(
            "holds no closed log", where=str(folder), cure="name HOME/sync/old/LOG of the unit, copied whole"
        ) from None
    except (StorageError, OSError, sqlite3.Error) as error:
        raise InvalidInputError(f"cannot be read as a closed log: {error}", where=str(folder)) from None
    except RefusedByDepartmentError as error:
        raise InvalidInputError(f"was refused: {error.what}", where=str(folder)) from None


def _portions(
    records: Iterator[HandedRecord | BadRecord],
) -> Iterator[list[HandedRecord | BadRecord]]:
    while some := list(islice(records, AT_ONCE)):
        yield some


def _count(
    connection: sa.Connection,
    log: unit_logs.HeldLog,
    some: list[HandedRecord | BadRecord],
    counts: dict[str, int],
) -> None:
    sequences = [one.sequence for one in some if isinstance(one, HandedRecord)]
    numbers = (log.log_no, *(one.log_no for one in closed_records.beside(connection, log.log_id)))
    places = [
        (unit_logs.missing_of(connection, one, sequences), unit_logs.names_held(connection, one, sequences))
        for one in numbers
    ]
    for one in some:
        if isinstance(one, BadRecord):
            counts["bad"] += 1
            continue
        counts["verified"] += 1
        counts["lost"] += len(one.lost)
        at = next((two for two in places if two[0].get(one.sequence, (b"", 0))[0] == one.leaf), None)
        if at is None and one.sequence in places[0][0]:
            counts["contradicting"] += 1
        elif at is None or (
            at[0][one.sequence][1] and any((one.sequence, name) not in at[1] for name, _ in one.elements)
        ):
            counts["lacking"] += 1
        else:
            counts["received"] += 1
