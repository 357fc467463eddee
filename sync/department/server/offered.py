"""Enters every document that is offered to units, so that one signed without the desk is noticed.

Units record what they put in force, by name, version and digest, and deliver these records. `verify` compares
them with these entries (`unit_reports.py`).
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeAlias, TypeVar

import sqlalchemy as sa
import structlog
from sqlalchemy import select

from storage import envelope
from storage.errors import StorageError
from storage.standing import DOCUMENTS, MAX_DOCUMENT_BYTES
from sync.department.desk.desk import Desk
from sync.department.desk.documents.sent import place_of
from sync.department.desk.owed import Late, Overdue
from sync.department.ground.home import DepartmentHome
from sync.department.journal.machine_entries import DocumentSent
from sync.department.policy.named_files import COMMAND
from sync.department.server.following import signing_of
from sync.department.store.database import Store
from sync.department.store.tables import documents
from sync.department.units.list_seal import SEALED, unsealing
from sync.department.units.signed_rows import Row, Signed, as_stored, drop_unsigned, is_ours, is_signed

OfferedNow: TypeAlias = tuple[str, str, int, bytes]
"""A document as units are offered it: name, unit or empty, version, digest."""
log_events = structlog.get_logger("department.documents")
P = ParamSpec("P")
T = TypeVar("T")


SHUT = bytes(32)
"""For the digest of a document that does not open here: no unit takes it."""


def digest_in_force(name: str, message: bytes) -> bytes:
    """The digest that a unit records for a document. Raises EnvelopeError."""
    said = envelope.split(message, limit=MAX_DOCUMENT_BYTES)[1] if name in DOCUMENTS else message
    return hashlib.sha256(said).digest()


UNSIGNED = b"\xff" * 32
"""For the digest of a document that the command key did not sign as the store has it."""


def out(
    connection: sa.Connection, signed: Signed = as_stored, command: bytes | None = None
) -> list[OfferedNow]:
    """Every document that units are offered.

    `signed`: returns a document as it was signed; without it, a sealed list has no digest. `command`: the
    public key that signs documents, if the root file names it.
    """
    d = documents.c
    found = []
    rows = select(d.name, d.unit_id, d.version, d.message).execution_options(yield_per=1)  # some are large
    for name, unit, version, message in connection.execute(rows):
        try:
            plain = signed(name, bytes(message))
            digest = b"" if plain.startswith(SEALED) else digest_in_force(name, plain)
            if digest and command is not None and not is_signed((name, unit, version), plain, command):
                digest = UNSIGNED
        except StorageError:
            is_list = bytes(message).startswith(SEALED)
            digest = SHUT if is_list or command is None else UNSIGNED  # the digest in a list's entry
        found.append((name, unit, version, digest))
    return sorted(found)


def unsigned(home: DepartmentHome, desk: Desk, store: Store) -> list[Row]:
    """Documents that are newer than the log's and not signed by the command key: forged rows."""
    table, signed, command = documents.c, unsealing(home), desk.root.other(COMMAND)
    with desk.looking() as book:
        newest = dict(book.sent.newest)
    found = []
    with store.listing() as connection:
        rows = connection.execute(select(table.name, table.unit_id, table.version)).all()
        for name, unit, version in sorted(rows):
            if command is None or version <= newest.get(place_of(name, unit), -1):
                continue
            where = (table.name == name) & (table.unit_id == unit)
            message = bytes(connection.execute(select(table.message).where(where)).scalar() or b"")
            if not is_ours((name, unit, version), message, signed, command, desk.now_us()):
                found.append((name, unit, version))
    return found


def drop_all_unsigned(home: DepartmentHome, desk: Desk, store: Store) -> None:
    """Remove forged rows, so that what follows from the home and the log is offered again."""
    command = desk.root.other(COMMAND)
    for name, unit, _ in unsigned(home, desk, store) if command is not None else ():
        with store.write() as connection:
            drop_unsigned(connection, name, unit, command or b"", desk.now_us(), unsealing(home))


def overdue_unsigned(home: DepartmentHome, desk: Desk, store: Store) -> Iterator[Overdue]:
    """Lines of the compliance list while units are offered forged rows."""
    for name, unit, version in unsigned(home, desk, store):
        whose = f"unit {unit[:16]} is" if unit else "units are"
        what = (
            f"{whose} offered {name}, version {version}, which the command key did not sign: find out who can"
        )
        what += " write to the store; the daily run removes it"
        yield Overdue(kind=Late.STORE, clause="463.5", what=what)


def entering(home: DepartmentHome, desk: Desk, store: Store, work: Callable[P, T]) -> Callable[P, T]:
    """Wrap `work`: afterwards, what units are then offered is entered."""

    @functools.wraps(work)
    def made(*arguments: P.args, **named: P.kwargs) -> T:
        answer = work(*arguments, **named)
        enter(home, desk, store)
        return answer

    return made


def enter(home: DepartmentHome, desk: Desk, store: Store) -> int:
    """Enter offered documents that are not in the log yet; return how many.

    What the command key did not sign is not entered, since its version would be above all later ones.
    """
    table, signed, command = documents.c, unsealing(home), desk.root.other(COMMAND)
    with desk.log.writing():
        desk.refresh()
        newest = desk.book.sent.newest
        with store.listing() as connection:
            rows = connection.execute(select(table.name, table.unit_id, table.version)).all()
            fresh = [row for row in sorted(rows) if newest.get(place_of(row[0], row[1]), -1) < row[2]]
            notes = []
            for name, unit, version in fresh:
                where = (table.name == name) & (table.unit_id == unit) & (table.version == version)
                message = bytes(connection.execute(select(table.message).where(where)).scalar() or b"")
                row = (name, unit, version)
                if command and not is_ours(row, message, signed, command, desk.now_us()):
                    log_events.error("unsigned_document_offered", document=name, unit=unit, version=version)
                    continue
                try:
                    digest = digest_in_force(name, signed(name, message))
                except StorageError:
                    digest = SHUT
                notes.append(
                    DocumentSent(
                        name=name,
                        version=version,
                        unit=unit,
                        digest=digest,
                        baseline=not newest,
                        signing=signing_of(name, message),
                    )
                )
        desk.system(*notes)
    return len(notes)
