"""Finds the place in a unit's log at which it joined this department. Its clock, maybe years off, is no help.

The record that a unit makes when it joins is in its log, in the clear. Everything before it was made by a
unit without a department.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import select

from storage import leaf as leaf_format
from storage import sealing
from storage.codec import from_bytes
from storage.errors import StorageError
from storage.log_records import FileInForce
from storage.standing import ENROLLMENT
from storage.times import DAY_US
from sync.department.store.tables import alerts, days, elements, leaves, logs
from sync.department.store.unit_logs import FORM_OPEN

AT_ONCE = 1000
_KIND = FileInForce.KIND.encode()


@dataclass(slots=True)
class JoinedPlace:
    """What is known about one log so far.

    `at`: the record of its joining; `looked_to`: there is none before this one; `purged`: a day of receipt on
    which the log was held is purged.
    """

    at: int | None = None
    looked_to: int = 0
    purged: bool = False

    def look(self, connection: sa.Connection, log_no: int) -> None:
        """Update from what the store now holds of this log."""
        if self.at is None:
            self._look(connection, log_no)
        self.purged = self.purged or _purged_since_held(connection, log_no)

    def is_before(self, sequence: int) -> bool | None:
        """Whether a record is from before its unit joined; None while that is unknown.

        If a day of receipt was purged while the log was held, the record of the joining may be gone too; what
        still comes of such a log is from after it.
        """
        if self.purged:
            return False
        if self.at is not None:
            return sequence < self.at
        return False if self.looked_to >= sequence else None

    def _look(self, connection: sa.Connection, log_no: int) -> None:
        table = leaves.c
        while True:
            query = select(table.sequence, table.leaf, table.missing).where(
                table.log_no == log_no, table.sequence >= self.looked_to
            )
            rows = connection.execute(query.order_by(table.sequence).limit(AT_ONCE)).all()
            for sequence, data, missing in rows:
                if sequence != self.looked_to:
                    return self._look_ahead(connection, log_no)
                if _KIND in bytes(data):
                    record = _record(connection, log_no, sequence, bytes(data))
                    if record is not None and record.name == ENROLLMENT:
                        self.at = sequence
                        return None
                    if record is None and missing:
                        return self._look_ahead(connection, log_no)
                self.looked_to = sequence + 1
            if len(rows) < AT_ONCE:
                return self._look_ahead(connection, log_no)

    def _look_ahead(self, connection: sa.Connection, log_no: int) -> None:
        """Look among the alerts, with which the unit may have sent it ahead of its turn."""
        query = select(alerts.c.sequence, alerts.c.leaf).where(alerts.c.log_no == log_no)
        for sequence, data in connection.execute(query.order_by(alerts.c.sequence)).all():
            if _KIND in bytes(data):
                record = _record(connection, log_no, sequence, bytes(data))
                if record is not None and record.name == ENROLLMENT:
                    self.at = sequence
                    return


def _record(connection: sa.Connection, log_no: int, sequence: int, data: bytes) -> FileInForce | None:
    """The record of a leaf; None if it is of another kind or its content is not here."""
    leaf = leaf_format.unchecked(data)
    mark = leaf.elements.get(leaf_format.ENTRY)
    if leaf.kind != FileInForce.KIND or mark is None:
        return None
    e = elements.c
    stored = connection.execute(
        select(e.stored)
        .join(days, days.c.day == e.day)
        .where(
            e.log_no == log_no,
            e.sequence == sequence,
            e.name == leaf_format.ENTRY,
            e.form == FORM_OPEN,
            e.stored.is_not(None),
        )
    ).scalar()
    if stored is None:
        return None
    try:
        opened = sealing.read_open(leaf_format.ENTRY, sequence, bytes(stored), mark.commitment)
        return from_bytes(FileInForce, opened.content)
    except StorageError:
        return None


def _purged_since_held(connection: sa.Connection, log_no: int) -> bool:
    """Whether a day of receipt on which this log was held was purged."""
    opened_us = connection.execute(select(logs.c.opened_us).where(logs.c.log_no == log_no)).scalar_one()
    purged = select(days.c.day).where(
        days.c.day >= int(opened_us) // DAY_US, days.c.purge_started_us.is_not(None)
    )
    return connection.execute(purged.limit(1)).first() is not None
