"""A signed form may hold any value in any field: one that a rule cannot read is a finding. No I/O.

The log is append-only. An error that no rule names would end the key service and `verify` at that entry for
good.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from storage.errors import NewerLedgerError, StorageError
from sync.department.journal.statements import said_in
from sync.department.journal.unsigned import UnsignedError
from sync.errors import NewerError

UNREADABLE = (StorageError, TypeError, ValueError, LookupError, AttributeError, ArithmeticError)


@contextmanager
def unread_is_unsigned(signed: bytes) -> Iterator[None]:
    """Raises UnsignedError for what a rule cannot read. `signed`: the entry's signed call, if any. Raises
    NewerError."""
    try:
        yield
    except (UnsignedError, NewerError, NewerLedgerError):
        raise
    except UNREADABLE:
        raise UnsignedError(f"the {'signed form' if signed else 'entry'} is malformed") from None


def form_of(signed: bytes) -> dict[str, Any]:
    """The fields of an entry's signed call, which no rule need have judged; none without a call, or of one
    that cannot be read. Such an entry is a finding of `verify`."""
    try:
        return said_in(signed).fields() if signed else {}
    except UNREADABLE:
        return {}
