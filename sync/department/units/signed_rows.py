"""Checks that rows of offered documents are as the command key signed them, including the version.

Otherwise a person who can write to the store could offer a version that none can follow, and units would no
longer get a roster or policy. Such a row is removed before the next document of its name is made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, TypeVar

import sqlalchemy as sa
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy import delete, select

from storage import codec, envelope
from storage.errors import StorageError
from storage.times import DAY_US, SECOND_US
from sync.department.store.tables import documents
from sync.department.units.list_seal import SEALED
from sync.documents import context_of
from sync.messages import MAX_DOCUMENT_BYTES

log_events = structlog.get_logger("department.documents")
T = TypeVar("T")
Row: TypeAlias = tuple[str, str, int]
"""Name, unit or empty, version."""
Signed: TypeAlias = Callable[[str, bytes], bytes]
"""Gives a document of the store, by its name, as it was signed (`list_seal.unsealing`)."""


def public_of(command: Ed25519PrivateKey) -> bytes:
    return command.public_key().public_bytes_raw()


def as_stored(_name: str, stored: bytes) -> bytes:
    """Returns the bytes unchanged: the store keeps all documents but lists as signed."""
    return stored


def parsed(message: bytes, kind: type[T]) -> T:
    """The content of an offered document, without a check of its signature. Raises StorageError."""
    return codec.from_bytes(
        kind, envelope.split(message, limit=MAX_DOCUMENT_BYTES)[1], limit=MAX_DOCUMENT_BYTES
    )


def is_signed(row: Row, message: bytes, command: bytes) -> bool:
    """Whether this is the document that the row says. `command`: the public half of the command key."""
    name, unit_id, version = row
    public = Ed25519PublicKey.from_public_bytes(command)
    try:
        said = envelope.open_signed(message, public, context=context_of(name), limit=MAX_DOCUMENT_BYTES)
        plain = envelope.decode(said, limit=MAX_DOCUMENT_BYTES)
    except StorageError:
        return False
    if not isinstance(plain, dict):
        return False
    whose = plain.get("unit_id", "") in {"", unit_id}
    return whose and (plain.get("name", name), plain.get("version")) == (name, version)


def is_ours(row: Row, stored: bytes, signed: Signed, command: bytes, now_us: int) -> bool:
    """Whether a row is signed; for a list that does not open, whether its version (seconds) is plausible."""
    try:
        return is_signed(row, signed(row[0], stored), command)
    except (StorageError, OSError):
        return stored.startswith(SEALED) and row[2] <= (now_us + DAY_US) // SECOND_US


def drop_unsigned(  # noqa: PLR0917 - one row
    connection: sa.Connection,
    name: str,
    unit_id: str,
    command: bytes,
    now_us: int,
    signed: Signed = as_stored,
) -> None:
    """Remove, with an event, a row that the command key did not sign, before its successor is made."""
    where = (documents.c.name == name) & (documents.c.unit_id == unit_id)
    row = connection.execute(select(documents.c.version, documents.c.message).where(where)).first()
    if row is None or is_ours((name, unit_id, row.version), bytes(row.message), signed, command, now_us):
        return
    log_events.error("unsigned_document_removed", document=name, unit=unit_id, version=row.version)
    connection.execute(delete(documents).where(where))
