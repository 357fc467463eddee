"""What the store has of each day of receipt, and what it has less of than the access log counted."""

from __future__ import annotations

import contextlib
import hashlib

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import select

from storage.errors import ExplainedError
from sync import messages
from sync.department.desk.desk import Desk
from sync.department.journal.change_entries import DayCounted
from sync.department.journal.hold_entries import Purged
from sync.department.journal.machine_entries import LostRows, StoreRestored
from sync.department.server.counted_days import CountedDays, StoredDays
from sync.department.server.retention import RepeatedPurge
from sync.department.store import dated_rows
from sync.department.store.database import Store
from sync.department.store.received import received_days
from sync.department.store.tables import days

KINDS = (DayCounted.KIND, Purged.KIND, StoreRestored.KIND)


def stored_days(connection: sa.Connection, department: Ed25519PublicKey) -> StoredDays:
    """What the store has of each day. department: the public key of the department's log, for receipts."""
    found = StoredDays(here={one.day: one for one in received_days(connection)})
    gone = select(days.c.day, days.c.receipt).where(days.c.purge_started_us.is_not(None))
    for day, receipt in connection.execute(gone):
        signed = bytes(receipt or b"")
        found.purged[day] = hashlib.sha256(signed).digest()
        with contextlib.suppress(ExplainedError):  # `verify` names it with the purges
            found.repeats[day] = messages.open_message(RepeatedPurge, signed, department).first
    found.rows, found.sizes = dated_rows.by_day(connection), dated_rows.sizes(connection)
    return found


def lacking(store: Store, desk: Desk) -> tuple[LostRows, ...]:
    """What the store has less of than the log counted. Raises StoreError, StorageError."""
    counted = CountedDays()
    for entry in desk.log.entries(kinds=KINDS):
        counted.apply(entry)
    with store.listing() as connection:
        return counted.lacking(stored_days(connection, desk.log.public))
