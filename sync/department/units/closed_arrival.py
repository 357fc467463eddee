"""Takes the records of a closed log: each by its own signature, in its place or beside it.

They come by the unit's sync or from a folder on the bench; their content is taken like any other. A record
that differs from the one received in its place is kept too and is an incident: one of them is from a copied
card.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from storage.errors import EnvelopeError, RecordError
from storage.leaf import Leaf, open_leaf
from sync import messages
from sync.closed_parcels import ClosedHeader, ClosedHeld, digest_of
from sync.department.store import closed_records, incidents, unit_logs
from sync.department.store.database import Store
from sync.department.store.unit_logs import HeldLog
from sync.department.units.arrival import Arrival
from sync.errors import refuse


class ClosedArrival:
    """Takes handovers for one store. Thread-safe."""

    def __init__(self, store: Store, arrival: Arrival, now_us: Callable[[], int]) -> None:
        self._store, self._arrival, self._now_us = store, arrival, now_us
        self._guard = threading.Lock()

    def take(self, unit_id: str, header: ClosedHeader, parts: Sequence[bytes]) -> ClosedHeld:
        """Take records; they are durable when this returns. Raises RefusedByDepartmentError."""
        with self._guard:
            with self._store.read() as connection:
                log = unit_logs.find_log(connection, header.closed)
            if log is None or log.closed_of is not None or log.unit_id != unit_id:
                raise refuse("malformed", "no log of this unit has that name")
            if log.state != unit_logs.CLOSED:
                raise refuse("malformed", "that log is open: sync it as usual")
            opened = _opened(header, log)
            if {item.sequence for item in header.items} - opened.keys():
                raise refuse("malformed", "an element of a record that is not named")
            placed = self._placed(log, header, opened)
            bad: list[messages.Bad] = []
            for home in {one.log_no: one for one in placed.values()}.values():
                mine = [at for at, item in enumerate(header.items) if placed[item.sequence] == home]
                if mine:
                    items = tuple(header.items[at] for at in mine)
                    parcel = messages.ParcelHeader(log_id=home.log_id, keys=header.keys, items=items)
                    bad += self._arrival.take(home, parcel, [parts[at] for at in mine])[1]
            return self._answer(header, opened, placed, bad)

    def _placed(self, log: HeldLog, header: ClosedHeader, opened: dict[int, Leaf]) -> dict[int, HeldLog]:
        found = {
            sequence: (data, len(messages.traveling(opened[sequence])))
            for sequence, data in zip(opened, header.leaves, strict=True)
        }
        with self._store.write() as connection:
            placed, contradicting = closed_records.place(self._store, connection, log, found, self._now_us())
            if contradicting:
                incidents.record(
                    connection,
                    kind="contradiction",
                    detail="a closed log holds other records than were received in their place",
                    unit_id=log.unit_id,
                    log_id=log.log_id,
                    now_us=self._now_us(),
                )
        return placed

    def _answer(
        self,
        header: ClosedHeader,
        opened: dict[int, Leaf],
        placed: dict[int, HeldLog],
        bad: list[messages.Bad],
    ) -> ClosedHeld:
        lacking: list[int] = []
        with self._store.read() as connection:
            for home in {one.log_no: one for one in placed.values()}.values():
                mine = [sequence for sequence, one in placed.items() if one.log_no == home.log_no]
                there = unit_logs.missing_of(connection, home.log_no, mine)
                lacking += [sequence for sequence in mine if there[sequence][1]]
        return ClosedHeld(
            log_id=header.log_id,
            closed=header.closed,
            first=min(opened),
            last=max(opened),
            digest=digest_of(header.leaves),
            lacking=tuple(sorted(lacking)),
            bad=tuple(bad),
            at_us=self._now_us(),
        )


def _opened(header: ClosedHeader, log: HeldLog) -> dict[int, Leaf]:
    """sequence -> leaf, rising, each signed by the closed log's key. Raises RefusedByDepartmentError."""
    opened: dict[int, Leaf] = {}
    before = -1
    for data in header.leaves:
        try:
            leaf = open_leaf(data, log.public)
        except (EnvelopeError, RecordError) as error:
            raise refuse("malformed", f"a record of the closed log: {error.what}") from None
        if leaf.log_id != log.log_id or leaf.sequence <= before:
            raise refuse("malformed", "records of a closed log come in order, each of that log")
        opened[leaf.sequence] = leaf
        before = leaf.sequence
    return opened
