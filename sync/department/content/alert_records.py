"""Alerts and their steps as units recorded them: found in the store, opened for a logged access."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import sqlalchemy as sa
from sqlalchemy import select

from storage import leaf as leaves
from storage.codec import from_bytes
from storage.read_records import Alert, AlertStepped
from sync.department.content.key_guard import Cover, KeyDoor, Row, read_name
from sync.department.store import tables as t
from sync.department.store.database import Store

KINDS = frozenset({Alert.KIND, AlertStepped.KIND})
MOST = 2000  # records looked at in one call


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedRecord:
    """One alert or step, still sealed. `name`: LOG/number."""

    name: str
    kind: str
    unit: str
    log_id: bytes
    sequence: int
    day: int
    row: Row


class AlertRecords(Protocol):
    """Where the desk finds alerts."""

    def waiting(self, known: Collection[str]) -> list[SealedRecord]:
        """Alerts and steps that the desk does not know yet, the oldest first."""
        ...

    def named(self, names: Sequence[str]) -> list[SealedRecord]:
        """Records by their names; those that are held."""
        ...

    def newest(self) -> int:
        """A number that rises when a record comes; says nothing else."""
        ...


def open_records(
    door: KeyDoor, cover: Cover, records: Sequence[SealedRecord]
) -> Iterator[Alert | AlertStepped]:
    """Each record in clear, in their order. Raises StorageError, DeskRefusal."""
    for one in records:
        opened = door.open(cover, one.day, one.log_id, [one.row])[0]
        content = opened[leaves.ENTRY].content
        yield from_bytes(Alert, content) if one.kind == Alert.KIND else from_bytes(AlertStepped, content)


class StoreAlerts:
    """Alerts of the receiver's store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def waiting(self, known: Collection[str]) -> list[SealedRecord]:
        with self._store.read() as connection:
            rows = self._rows(connection, None)
            return [one for one in rows if one.name not in known][:MOST]

    def named(self, names: Sequence[str]) -> list[SealedRecord]:
        wanted = set(names)
        with self._store.read() as connection:
            found = {one.name: one for one in self._rows(connection, wanted)}
        return [found[name] for name in names if name in found]

    def newest(self) -> int:
        e = t.elements.c
        with self._store.read() as connection:
            counted = select(sa.func.count(), sa.func.coalesce(sa.func.sum(e.sequence), 0)).where(
                e.name == leaves.ENTRY
            )
            count, total = connection.execute(counted).one()
        return int(count) + int(total)

    @staticmethod
    def _rows(connection: sa.Connection, wanted: Collection[str] | None) -> list[SealedRecord]:
        e, leaf, log = t.elements.c, t.leaves.c, t.logs.c
        query = (
            select(e.day, e.sequence, e.stored, leaf.leaf, log.log_id, t.units.c.name)
            .join(t.leaves, sa.and_(leaf.log_no == e.log_no, leaf.sequence == e.sequence))
            .join(t.logs, log.log_no == e.log_no)
            .join(t.units, t.units.c.unit_id == log.unit_id)
            .join(t.days, t.days.c.day == e.day)
            .where(e.name == leaves.ENTRY, e.stored.is_not(None), t.days.c.purge_started_us.is_(None))
            .order_by(e.day, e.log_no, e.sequence)
        )
        found = []
        for day, sequence, stored, data, log_id, unit in connection.execute(query):
            parsed = leaves.unchecked(bytes(data))
            name = read_name(bytes(log_id), sequence)
            if parsed.kind not in KINDS or (wanted is not None and name not in wanted):
                continue
            mark = parsed.elements[leaves.ENTRY].commitment
            found.append(
                SealedRecord(
                    name=name,
                    kind=parsed.kind,
                    unit=unit,
                    log_id=bytes(log_id),
                    sequence=sequence,
                    day=day,
                    row=Row(sequence, {leaves.ENTRY: (bytes(stored), mark)}),
                )
            )
        return found
