"""Handles signed forms with malformed fields: a form that a rule cannot read is a finding. No I/O.

A signed form may have any value in any field, and the log is append-only. An unforeseen error would stop the
key service and `verify` at that entry for good.
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
    """Turns errors of a rule that cannot read a form into UnsignedError. Raises NewerError.

    `signed`: the entry's signed call, if any.
    """
    try:
        yield
    except (UnsignedError, NewerError, NewerLedgerError):
        raise
    except UNREADABLE:
        raise UnsignedError(f"the {'signed form' if signed else 'entry'} is malformed") from None


def form_of(signed: bytes) -> dict[str, Any]:
    """The fields of an entry's signed call, maybe not judged by any rule.

    Empty without a call, or if it cannot be read; such an entry is a finding of `verify`.
    """
    try:
        return said_in(signed).fields() if signed else {}
    except UNREADABLE:
        return {}
