"""Checks which records the store lists as alerts, and hits that came before their leaf's turn.

The desk's list of alerts comes from a table that is not signed. Here the signed leaves decide which records
belong in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import sqlalchemy as sa
from sqlalchemy import select

from storage import leaf as leaves
from storage.errors import ExplainedError, StorageError
from storage.times import DAY_US
from sync import messages, parcels
from sync.department.store.tables import alert_records, alerts, days
from sync.department.store.unit_logs import HeldLog
from sync.department.units.arrival import ALERT_KINDS


class AlertTable:
    """The rows of `alert_records`, compared with the leaves of the elements that are here.

    `wrong`: called with a log, a record and what is wrong.
    """

    def __init__(self, connection: sa.Connection, wrong: Callable[[HeldLog, int, str], object]) -> None:
        self._wrong = wrong
        r = alert_records.c
        self._rows = {
            (log_no, sequence): day
            for log_no, sequence, day in connection.execute(select(r.log_no, r.sequence, r.day))
        }
        a = alerts.c
        self._ahead = {
            (log_no, sequence): at_us // DAY_US
            for log_no, sequence, at_us in connection.execute(select(a.log_no, a.sequence, a.received_us))
        }

    def element(self, log: HeldLog, leaf: leaves.Leaf, day: int) -> None:
        """Take in the entry of a record that is here."""
        if not 0 <= day - self._ahead.get((log.log_no, leaf.sequence), day) <= 1:
            self._wrong(log, leaf.sequence, "arrived ahead of its turn, but not on the day recorded")
        row = self._rows.get((log.log_no, leaf.sequence))
        if leaf.kind in ALERT_KINDS and row is None:
            self._wrong(
                log, leaf.sequence, "belongs to an alert, but is not listed as one: the desk does not show it"
            )
        elif leaf.kind in ALERT_KINDS and row != day:
            self._wrong(
                log, leaf.sequence, "its alert is listed under another day: the desk does not show it"
            )
        elif leaf.kind not in ALERT_KINDS and row is not None:
            self._wrong(log, leaf.sequence, "is listed as an alert, but is not one")


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
