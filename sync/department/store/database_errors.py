"""Explains a database error: is the database down, full, damaged, or not writable for us?"""

from __future__ import annotations

from sqlalchemy.exc import DatabaseError, DBAPIError, OperationalError, SQLAlchemyError

from storage import files
from sync.department.store import typed_rows
from sync.errors import ROOM, DatabaseFullError, StoreAwayError, StoreError

DISK_FULL = "53100"  # PostgreSQL's code
_REFUSED = "wait while it starts; else compare database, role, password (~/.pgpass), limits and pg_hba.conf"
_PRIMARY = "name the primary, not a standby, or set default_transaction_read_only off"
# messages of both databases; one that cannot be written now counts as away: its content is in order
_REFUSED_WRITES = (
    ("permission denied for schema", StoreError, "the role must own it: createdb -O ROLE DATABASE"),
    ("read-only transaction", StoreAwayError, _PRIMARY),
    (
        "attempt to write a readonly database",
        StoreAwayError,
        "is that file yours to write, its disk not read-only?",
    ),
    (
        "lock timeout",
        StoreAwayError,
        "a backup or another long read holds a table (pg_stat_activity): let it end",
    ),
)
_DAMAGED = ("malformed", "file is not a database")  # SQLite's words


def _cause(error: Exception) -> str:
    """The driver's own message, without the statement and its values."""
    origin = getattr(error, "orig", None) if isinstance(error, SQLAlchemyError) else error
    return str(origin).splitlines()[0][:200] if origin is not None and str(origin) else type(error).__name__


def away(error: Exception, what: str, where: str) -> StoreError:
    """The error for a database error; a refused connection means that this machine lacks a database."""
    cause = _cause(error)
    if cause.startswith("Could not decode"):  # the rest of the driver's message is the text itself
        return StoreError(f"{what}: a text in it is not UTF-8", where=where, cure=typed_rows.CURE)
    for words, kind, cure in _REFUSED_WRITES:
        if words in cause:
            return kind(f"{what}: {cause}", where=where, cure=cure)
    origin = error.orig if isinstance(error, DBAPIError) else error  # of COPY, the driver's own
    if origin is not None and (files.is_full(origin) or getattr(origin, "sqlstate", "") == DISK_FULL):
        return DatabaseFullError(f"{what}: the disk is full", where=where, cure=ROOM)
    lost = isinstance(error, DBAPIError) and error.connection_invalidated
    if lost or (isinstance(error, OperationalError) and error.statement is None):
        cure = "is that file there, and yours to write?"
        if where == "database":
            cure = _REFUSED if "FATAL" in cause else "is the database running?"
        return StoreAwayError(f"{what}: {cause}", where=where, cure=cure)
    if isinstance(error, DatabaseError) and any(word in cause for word in _DAMAGED):
        cure = "if dmesg names no disk that fails: restore it from its backup, and its blobs with it; then: "
        cure += "department verify"
        return StoreError(f"the store is damaged: {cause}", where=where, cure=cure)
    return StoreError(f"{what}: {cause}")
