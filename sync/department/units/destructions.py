"""Destruction receipts of units that were reset: each is checked, kept once, and an incident.

The reset unit's log key signed it. It is accepted over any link and from a file, since the reset destroyed
the unit's certificate, and its name may have been revoked for reuse.
"""

from __future__ import annotations

import hashlib

import sqlalchemy as sa
from sqlalchemy import insert, select

from storage import leaf
from storage.checkpoint import open_checkpoint
from storage.counts import counted
from storage.errors import CheckpointError, SignatureError
from storage.record_base import KeyClass
from sync import messages
from sync.department.store import incidents, unit_logs
from sync.department.store.database import Store
from sync.department.store.tables import destructions, leaves
from sync.department.store.unit_logs import HeldLog
from sync.destruction import Destroyed, DestroyedHeld
from sync.errors import MessageError, refuse

RANGES_SHOWN = 20


def opened(data: bytes, log: HeldLog) -> Destroyed:
    """Open a receipt of this log. Raises RefusedByDepartmentError."""
    try:
        said = messages.open_message(Destroyed, data, log.public)
        head = open_checkpoint(said.checkpoint, log.note_key)
    except (SignatureError, MessageError, CheckpointError) as error:
        raise refuse("malformed", f"the destruction receipt is not valid: {error}") from None
    if said.log_id != log.log_id or said.unit_id != log.unit_id or head.size != said.size:
        raise refuse("malformed", "the destruction receipt belongs to another unit or log")
    return said


def take(store: Store, data: bytes, now_us: int) -> tuple[DestroyedHeld, Destroyed]:
    """Keep a receipt, once even if it comes twice. Raises RefusedByDepartmentError."""
    try:
        log_id = messages.claimed_log(Destroyed, data)
    except MessageError as error:
        raise refuse("malformed", str(error)) from None
    with store.write() as connection:
        log = unit_logs.find_log(connection, log_id)
        if log is None or log.closed_of is not None:
            raise refuse("malformed", "the destruction receipt names a log that is not known here")
        said = opened(data, log)
        before = connection.execute(
            select(destructions.c.message).where(destructions.c.log_no == log.log_no)
        ).scalar()
        if before is None:
            connection.execute(
                insert(destructions).values(log_no=log.log_no, message=data, received_us=now_us)
            )
            unit_logs.close_log(connection, log.log_no)
        another = before is not None and bytes(before) != data
        if before is None or another:
            incidents.record(
                connection,
                kind="reset-twice" if another else "reset",
                detail=_words(said, connection, log),
                unit_id=log.unit_id,
                log_id=log.log_id,
                now_us=now_us,
            )
    if another:
        raise refuse("malformed", "another destruction receipt of this log is kept: that is an incident")
    return DestroyedHeld(log_id=log_id, digest=hashlib.sha256(data).digest()), said


def _words(said: Destroyed, connection: sa.Connection, log: HeldLog) -> str:
    """Describe a receipt: its counts and record numbers, and what the store knows."""
    shown = ", ".join(f"{first} to {last}" for first, last in said.ranges[:RANGES_SHOWN])
    more = " and more" if len(said.ranges) > RANGES_SHOWN else ""
    parts = [
        f"factory reset {'under grant ' + said.grant_id if said.grant_id else 'without a grant'}",
        f"never delivered: {counted(said.undelivered, 'read')}"
        + (f" (records {shown}{more})" if shown else ""),
    ]
    if said.holds:
        parts.append(f"{counted(len(said.holds), 'hold')} went with it")
    lacking = _lacking(connection, log, said.size)
    parts.append(f"{min(log.frontier.size, said.size)} of {said.size} records are here")
    if lacking > said.undelivered:
        parts.append(f"but {lacking} reads lack content here: more than it says")
    if said.size < log.frontier.size:
        parts.append(f"but {log.frontier.size} were received before: more than it says it had")
    return "; ".join(parts)


def _lacking(connection: sa.Connection, log: HeldLog, size: int) -> int:
    """How many reads and hits are held here without all of their content."""
    query = select(leaves.c.leaf).where(
        leaves.c.log_no == log.log_no, leaves.c.sequence < size, leaves.c.missing > 0
    )
    classes = {KeyClass.READ, KeyClass.HIT}
    return sum(
        leaf.unchecked(bytes(data)).key_class in classes for data in connection.execute(query).scalars()
    )


def all_of(connection: sa.Connection, log: HeldLog) -> list[bytes]:
    """The receipt of a log, if any, for `verify`."""
    query = select(destructions.c.message).where(destructions.c.log_no == log.log_no)
    return [bytes(one) for one in connection.execute(query).scalars()]
