"""Checks which records the store lists as alerts, and hits that came before their leaf's turn.

The desk's list of alerts comes from a table that is not signed. Here the signed leaves decide which records
belong in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import TypeAlias

import sqlalchemy as sa
from sqlalchemy import select

from storage import leaf as leaves
from storage.errors import ExplainedError, StorageError
from storage.times import DAY_US
from sync import messages, parcels
from sync.department.store.tables import alert_records, alerts, days
from sync.department.store.unit_logs import HeldLog
from sync.department.units.arrival import ALERT_KINDS

Place: TypeAlias = tuple[int, int]
"""A record: the number of its log, and its own."""


class AlertTable:
    """The rows of `alert_records`, compared with the leaves of the elements that are here.

    `wrong`: called with a log, a record and what is wrong.
    """

    def __init__(self, connection: sa.Connection, wrong: Callable[[HeldLog, int, str], object]) -> None:
        self._connection, self._wrong = connection, wrong
        self._rows, self._ahead = dict[Place, int](), dict[Place, int]()
        self._read()

    def _read(self, place: Place | None = None) -> None:
        """Read all rows, or those of one record again."""
        rows = select(alert_records.c.log_no, alert_records.c.sequence, alert_records.c.day)
        early = select(alerts.c.log_no, alerts.c.sequence, alerts.c.received_us)
        if place is not None:
            self._rows.pop(place, None)
            self._ahead.pop(place, None)
            rows = rows.where(alert_records.c.log_no == place[0], alert_records.c.sequence == place[1])
            early = early.where(alerts.c.log_no == place[0], alerts.c.sequence == place[1])
        for log_no, sequence, day in self._connection.execute(rows):
            self._rows[log_no, sequence] = day
        for log_no, sequence, at_us in self._connection.execute(early):
            self._ahead[log_no, sequence] = at_us // DAY_US

    def element(self, log: HeldLog, leaf: leaves.Leaf, day: int) -> None:
        """Take in the entry of a record that is here."""
        if self._wrong_with(log, leaf, day):
            self._read((log.log_no, leaf.sequence))  # it came since, if the database shows it
            for what in self._wrong_with(log, leaf, day):
                self._wrong(log, leaf.sequence, what)

    def _wrong_with(self, log: HeldLog, leaf: leaves.Leaf, day: int) -> list[str]:
        place, found = (log.log_no, leaf.sequence), list[str]()
        if not 0 <= day - self._ahead.get(place, day) <= 1:
            found.append("arrived ahead of its turn, but not on the day recorded")
        row = self._rows.get(place)
        if leaf.kind in ALERT_KINDS and row is None:
            found.append("belongs to an alert, but is not listed as one: the desk does not show it")
        elif leaf.kind in ALERT_KINDS and row != day:
            found.append("its alert is listed under another day: the desk does not show it")
        elif leaf.kind not in ALERT_KINDS and row is not None:
            found.append("is listed as an alert, but is not one")
        return found


def ahead(
    connection: sa.Connection, log: HeldLog, wrong: Callable[[HeldLog, int, str], object]
) -> Iterator[tuple[leaves.Leaf, bytes, bool]]:
    """(leaf, its bytes, whether its content may be purged) of hits that came before their turn in the log."""
    a = alerts.c
    query = (
        select(a.sequence, a.leaf, a.received_us, a.parts).where(a.log_no == log.log_no).order_by(a.sequence)
    )
    purged = set(connection.execute(select(days.c.day).where(days.c.purged_us.is_not(None))).scalars())
    for sequence, data, received_us, parts in connection.execute(query).all():
        try:
            leaf = leaves.open_leaf(bytes(data), log.public)
        except StorageError as error:
            wrong(log, sequence, error.what)
            continue
        if (leaf.log_id, leaf.sequence) != (log.leaf_log_id, sequence):
            wrong(log, sequence, "out of place")
            continue
        is_over = received_us // DAY_US in purged
        what = "" if is_over and not parts else _wrong_with_parcel(bytes(parts), log, leaf)
        if what:
            wrong(log, sequence, what)
        yield leaf, bytes(data), is_over


def _wrong_with_parcel(data: bytes, log: HeldLog, leaf: leaves.Leaf) -> str:
    """Why a hit's parcel is not as its unit sent it; empty if it is."""
    try:
        header_bytes, body = parcels.split_parcel(data)
        header = messages.open_message(messages.ParcelHeader, header_bytes, log.public)
        for item, part in zip(header.items, parcels.cut_items(header.items, body), strict=True):
            mark = leaf.elements.get(item.name)
            if item.sequence != leaf.sequence or mark is None or hashlib.sha256(part).digest() != mark.digest:
                return "its parcel holds other content than its leaf names"
    except ExplainedError as error:
        return f"its parcel: {error.what}"
    return ""
