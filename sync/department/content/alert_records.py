"""Alerts and their steps as units recorded them: finds them in the store, opens them for logged accesses."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import sqlalchemy as sa
from sqlalchemy import select

from storage import leaf as leaves
from storage.codec import from_bytes
from storage.read_records import Alert, AlertStepped
from sync.department.content.key_door import Cover, KeyDoor, Row, read_name
from sync.department.content.reads import parse_name
from sync.department.store import tables
from sync.department.store.database import Store
from sync.department.store.joined_place import JoinedPlace
from sync.errors import MessageError
from sync.vouch import open_vouch

MOST = 2000  # records examined in one call
MANY = 500  # numbers named in one query
LATE = 1000  # numbers below the newest one that another server's transaction may still fill


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedRecord:
    """One alert or step, still sealed. `name`: LOG/number.

    `before_joining`: whether, by its place in the log, it was made before the unit joined the department;
    None while that is unknown. `vouched_us`: when the unit vouched for this log, by its own clock.
    """

    name: str
    kind: str
    unit: str
    before_joining: bool | None
    vouched_us: int
    log_id: bytes
    sequence: int
    day: int
    row: Row


class AlertRecords(Protocol):
    """The desk's source of alerts."""

    def waiting(self, known: Collection[str]) -> list[SealedRecord]:
        """Alerts and steps that the desk does not know, oldest first."""
        ...

    def named(self, names: Sequence[str]) -> list[SealedRecord]:
        """The records with these names that are in the store."""
        ...


def open_records(
    door: KeyDoor, cover: Cover, records: Sequence[SealedRecord]
) -> Iterator[Alert | AlertStepped]:
    """Open each record, in the given order. Raises StorageError, DeskRefusal."""
    for one in records:
        opened = door.open(cover, one.day, one.log_id, [one.row])[0]
        content = opened[leaves.ENTRY].content
        yield from_bytes(Alert, content) if one.kind == Alert.KIND else from_bytes(AlertStepped, content)


class StoreAlerts:
    """Alerts in the receiver's store. Repeated calls are cheap, since known records are not read again."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known_to = 0  # every record below this number is known at the desk
        self._known: frozenset[int] = frozenset()  # and these above it
        self._joined: dict[int, JoinedPlace] = {}  # by log number

    def waiting(self, known: Collection[str]) -> list[SealedRecord]:
        found: list[SealedRecord] = []
        number, seen = tables.alert_records.c.record_no, self._known
        knew: set[int] = set()
        with self._store.listing() as connection:
            newer = connection.scalars(select(number).where(number >= self._known_to).order_by(number))
            unknown = [one for one in newer if one not in seen]
            for first in range(0, len(unknown), MANY):
                where = number.in_(unknown[first : first + MANY])
                for one, record in self._rows(connection, where, known):
                    if record is None:
                        knew.add(one)
                    elif len(found) < MOST:
                        found.append(record)
                if len(found) == MOST:
                    break
        known_now = seen | knew
        if not found:
            self._known_to = max(self._known_to, max(known_now, default=0) - LATE)
        lowest = self._known_to
        self._known = frozenset(one for one in known_now if one >= lowest)  # replaced: threads share it
        return found

    def named(self, names: Sequence[str]) -> list[SealedRecord]:
        found: dict[str, SealedRecord] = {}
        with self._store.read() as connection:
            for name in names:
                log_id, sequence = parse_name(name)
                where = sa.and_(tables.logs.c.log_id == log_id, tables.alert_records.c.sequence == sequence)
                found |= {one.name: one for _, one in self._rows(connection, where) if one is not None}
        return [found[name] for name in names if name in found]

    def _rows(
        self, connection: sa.Connection, where: sa.ColumnElement[bool], known: Collection[str] = ()
    ) -> Iterator[tuple[int, SealedRecord | None]]:
        """(number, record) of the stored ones, in order of arrival; the record is None for a known one."""
        r, e, leaf, log = tables.alert_records.c, tables.elements.c, tables.leaves.c, tables.logs.c
        mine = sa.and_(e.day == r.day, e.log_no == r.log_no, e.sequence == r.sequence, e.name == leaves.ENTRY)
        early, origin = tables.alerts.c, tables.logs.alias("origin")
        query = (
            select(
                r.record_no,
                e.day,
                e.sequence,
                e.stored,
                leaf.leaf,
                early.leaf,
                log.log_id,
                tables.units.c.name,
                log.vouch,
                sa.func.coalesce(origin.c.log_no, r.log_no),
            )
            .join(tables.elements, mine)
            .join(tables.logs, log.log_no == r.log_no)
            .join(tables.units, tables.units.c.unit_id == log.unit_id)
            .join(tables.days, tables.days.c.day == e.day)
            .outerjoin(origin, origin.c.log_id == log.closed_of)
            .outerjoin(tables.leaves, sa.and_(leaf.log_no == r.log_no, leaf.sequence == r.sequence))
            .outerjoin(tables.alerts, sa.and_(early.log_no == r.log_no, early.sequence == r.sequence))
            .where(where, e.stored.is_not(None), tables.days.c.purge_started_us.is_(None))
            .order_by(r.record_no)
        )
        looked: set[int] = set()
        for row in connection.execute(query).all():
            number, day, sequence, stored, in_place, ahead, log_id, unit, vouch, origin_no = row
            data = in_place if in_place is not None else ahead
            if data is None:
                continue
            name = read_name(bytes(log_id), sequence)
            if name in known:
                yield number, None
                continue
            joined = self._joined.setdefault(origin_no, JoinedPlace())
            if origin_no not in looked:  # once per log: the transaction shows a single state of it
                joined.look(connection, origin_no)
                looked.add(origin_no)
            yield (
                number,
                SealedRecord(
                    name=name,
                    kind=leaves.unchecked(bytes(data)).kind,
                    unit=unit,
                    before_joining=joined.is_before(sequence),
                    vouched_us=_vouched_us(bytes(vouch)),
                    log_id=bytes(log_id),
                    sequence=sequence,
                    day=day,
                    row=Row(sequence, bytes(data), {leaves.ENTRY: bytes(stored)}),
                ),
            )


def _vouched_us(vouch: bytes) -> int:
    """When the unit key vouched for its log, by the unit's clock; 0 if unknown."""
    try:
        return open_vouch(vouch).at_us
    except MessageError:
        return 0
