"""Enters every document that is offered to units: so that one that was signed past the desk shows.

Units record what they take into force, by name, version and digest, and deliver these records; `verify`
compares them with these entries (`unit_reports.py`).
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from typing import ParamSpec, TypeAlias, TypeVar

import sqlalchemy as sa
from sqlalchemy import select

from storage import envelope
from storage.errors import StorageError
from storage.standing import DOCUMENTS, MAX_DOCUMENT_BYTES
from sync.department.desk.desk import Desk
from sync.department.desk.documents.sent import place_of
from sync.department.ground.home import DepartmentHome
from sync.department.journal.machine_entries import DocumentSent
from sync.department.server.following import signing_of
from sync.department.store.database import Store
from sync.department.store.tables import documents
from sync.department.units.list_seal import SEALED, unsealing

OfferedNow: TypeAlias = tuple[str, str, int, bytes]
"""A document as units are offered it: name, unit or empty, version, digest."""
P = ParamSpec("P")
T = TypeVar("T")


SHUT = bytes(32)
"""For the digest of a document that does not open here: no unit takes it."""


def digest_in_force(name: str, message: bytes) -> bytes:
    """What a unit records of a document. Raises EnvelopeError."""
    said = envelope.split(message, limit=MAX_DOCUMENT_BYTES)[1] if name in DOCUMENTS else message
    return hashlib.sha256(said).digest()


def out(
    connection: sa.Connection, signed: Callable[[str, bytes], bytes] = lambda _name, stored: stored
) -> list[OfferedNow]:
    """Every document that units are offered. `signed`: gives one as it was signed; without it a sealed list
    has no digest."""
    d = documents.c
    found = []
    rows = select(d.name, d.unit_id, d.version, d.message).execution_options(yield_per=1)  # some are large
    for name, unit, version, message in connection.execute(rows):
        try:
            plain = signed(name, bytes(message))
            digest = b"" if plain.startswith(SEALED) else digest_in_force(name, plain)
        except StorageError:
            digest = SHUT  # as it is entered
        found.append((name, unit, version, digest))
    return sorted(found)


def entering(home: DepartmentHome, desk: Desk, store: Store, work: Callable[P, T]) -> Callable[P, T]:
    """The same, and then an entry of what units are offered by it."""

    @functools.wraps(work)
    def made(*arguments: P.args, **named: P.kwargs) -> T:
        answer = work(*arguments, **named)
        enter(home, desk, store)
        return answer

    return made


def enter(home: DepartmentHome, desk: Desk, store: Store) -> int:
    """Enter what is offered and not in the log yet; how many documents."""
    table, signed = documents.c, unsealing(home)
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
