"""Finds reads in the store by token, day and name, and passes their ciphertext to the key service's door.

It searches whole days of receipt, from the first day on which a read of the searched time can have arrived,
but none whose year is over (463.8), even if its destruction waits for two people. A hold may still be placed
by name on a read of such a day: existing evidence is not destroyed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy import select

from storage import merkle, tlog_proof
from storage.times import DAY_US
from sync.department.content.key_door import Cover, KeyDoor, Row
from sync.department.content.reads import (
    FoundRead,
    OpenedRead,
    Part,
    ResultPage,
    StoredRead,
    found_read,
    page_of,
    parse_name,
)
from sync.department.journal.inquiry_entries import Query
from sync.department.policy.refusals import FormError
from sync.department.store import tables, typed_rows, unit_logs
from sync.department.store.blobs import PackStore
from sync.department.store.database import Store
from sync.department.store.received import ReceivedDay, received_days

BATCH = 500
SEARCHED = ("text", "place")


class StoreReads:
    """Reads of the receiver's store."""

    def __init__(self, store: Store, packs: PackStore, first_day: Callable[[], int] = lambda: 0) -> None:
        """`first_day`: gives the oldest day of receipt (days since 1970) whose year is not over."""
        self._store, self._packs, self._first_day = store, packs, first_day
        self._proofs: dict[int, _Proofs] = {}

    def knows_unit(self, name: str) -> bool:
        with self._store.read() as connection:
            found = connection.execute(
                select(tables.units.c.unit_id).where(tables.units.c.name == name).limit(1)
            )
            return found.first() is not None

    def received(self) -> list[ReceivedDay]:
        with self._store.read() as connection:
            return received_days(connection)

    def extent(self, query: Query) -> tuple[int, int]:
        e = tables.elements.c
        with self._store.read() as connection:
            days = _days(connection, query, self._first_day())
            wanted = (
                select(sa.func.count()).select_from(tables.elements).where(e.day.in_(days), e.name == "text")
            )
            if query.unit:
                wanted = wanted.where(e.log_no.in_(_logs_of(query.unit)))
            return len(days), int(connection.execute(wanted).scalar_one())

    def days_left_out(self, query: Query) -> int:
        d = tables.days.c
        here = select(sa.func.count()).select_from(tables.days).where(d.purged_us.is_(None))
        here = here.where(d.day >= query.since_us // DAY_US)
        here = here.where((d.day < self._first_day()) | d.purge_started_us.is_not(None))  # not in `_days`
        with self._store.read() as connection:
            return int(connection.execute(here).scalar_one())

    def find(self, door: KeyDoor, cover: Cover, query: Query, limit: int, after: str = "") -> ResultPage:
        with self._store.listing() as connection:
            days = _days(connection, query, self._first_day())
            units = self._units(connection)
            exact = bool(query.plate) and not set(query.plate) & {"*", "?"}
            tokens = door.tokens(cover, query, days) if exact else {}
            if exact:
                batches = self._rows(connection, unit_logs.reads_by_token(connection, tokens))
            else:  # one day at a time: a year's names would fill the memory
                batches = (
                    one for day in days for one in self._rows(connection, self._named(connection, day))
                )
            found: list[FoundRead] = []
            for day, log_no, rows in batches:
                if log_no not in units:
                    continue  # verify reports a log that is missing or does not match
                log_id, unit, _, closed = units[log_no]
                if query.unit and query.unit != unit:
                    continue
                plate = query.plate if exact else ""
                found += [
                    found_read(log_id, unit, one, plate, closed_log=closed, day=day)
                    for one in door.match(cover, query, day, log_id, rows)
                ]
            shut = len(_days_of_texts(connection, [day for day in days if exact and day not in tokens]))
        return replace(page_of(found, limit, after), days_shut=shut)

    def part(self, query: Query, after: str, limit: int) -> Part:
        e, last = tables.elements.c, _place(after)
        named: list[tuple[int, int, int]] = []
        with self._store.read() as connection:
            for day in _days(connection, query, self._first_day())[::-1]:
                if last is not None and day > last[0]:
                    continue
                wanted = _texts(connection, day)
                if query.unit:
                    wanted = wanted.where(e.log_no.in_(_logs_of(query.unit)))
                if last is not None and day == last[0]:
                    wanted = wanted.where(sa.tuple_(e.log_no, e.sequence) > sa.tuple_(*last[1:]))
                wanted = wanted.order_by(e.log_no, e.sequence).limit(limit + 1 - len(named))
                named += [(row[0], row[1], row[2]) for row in connection.execute(wanted)]
                if len(named) > limit:
                    break
        shown = tuple(named[:limit])
        return Part(named=shown, after=":".join(map(str, shown[-1])) if len(named) > limit else "")

    def match(
        self, door: KeyDoor, cover: Cover, query: Query, part: Part, going_on: Callable[[], bool]
    ) -> tuple[int, list[FoundRead]]:
        opened, found = 0, list[FoundRead]()
        with self._store.listing() as connection:
            units = self._units(connection)
            for day, log_no, rows in self._rows(connection, part.named):
                if not going_on():
                    break
                if log_no not in units:
                    continue
                log_id, unit, _, closed = units[log_no]
                found += [
                    found_read(log_id, unit, one, "", closed_log=closed, day=day)
                    for one in door.match(cover, query, day, log_id, rows)
                ]
                opened += len(rows)
        return opened, found

    def _units(self, connection: sa.Connection) -> dict[int, tuple[bytes, str, bytes, bool]]:
        """log number -> (log id, unit's name, public key, whether it holds records of a closed log)."""
        log = tables.logs.c
        query = select(log.log_no, log.log_id, tables.units.c.name, log.public, log.closed_of).join(
            tables.units, tables.units.c.unit_id == log.unit_id
        )
        return {
            row[0]: (bytes(row[1]), row[2], bytes(row[3]), row[4] is not None)
            for row in connection.execute(query)
        }

    @staticmethod
    def _named(connection: sa.Connection, day: int) -> list[tuple[int, int, int]]:
        """(day, log number, record) of every read of a day of receipt."""
        return [(row[0], row[1], row[2]) for row in connection.execute(_texts(connection, day))]

    def _rows(
        self, connection: sa.Connection, named: Iterable[tuple[int, int, int]]
    ) -> Iterator[tuple[int, int, list[Row]]]:
        """(day, log number, stored texts and places) of these reads, in batches."""
        by_log: dict[tuple[int, int], list[int]] = {}
        for day, log_no, sequence in named:
            by_log.setdefault((day, log_no), []).append(sequence)
        for (day, log_no), numbers in sorted(by_log.items()):
            numbers.sort()
            for at in range(0, len(numbers), BATCH):
                rows = self._elements(connection, day, log_no, numbers[at : at + BATCH], SEARCHED)
                whole = [row for row in rows.values() if set(SEARCHED) <= set(row.elements)]
                if whole:
                    yield day, log_no, whole

    def _elements(
        self,
        connection: sa.Connection,
        day: int,
        log_no: int,
        numbers: Sequence[int],
        names: Sequence[str],
    ) -> dict[int, Row]:
        """The rows of these records by sequence."""
        e, leaf = tables.elements.c, tables.leaves.c
        query = (
            select(e.sequence, e.name, e.stored, e.pack, e.offset, e.length, leaf.leaf)
            .join(tables.leaves, sa.and_(leaf.log_no == e.log_no, leaf.sequence == e.sequence))
            .where(e.day == day, e.log_no == log_no, e.sequence.in_(numbers), e.name.in_(names))
            .where(*(typed_rows.fits_in(connection, one) for one in (tables.elements, tables.leaves)))
            .order_by(e.sequence)
        )
        rows: dict[int, Row] = {}
        for sequence, name, stored, pack, offset, length, data in connection.execute(query):
            row = rows.setdefault(sequence, Row(sequence, bytes(data), {}))
            row.elements[name] = bytes(stored) if pack is None else self._packs.get(day, pack, offset, length)
        return rows

    def _proof(self, connection: sa.Connection, log_no: int, sequence: int) -> str:
        """The C2SP tlog-proof of a record under the unit's newest co-signed checkpoint; empty without one."""
        query = select(tables.logs.c.cosigned, tables.logs.c.cosigned_size).where(
            tables.logs.c.log_no == log_no
        )
        note, size = connection.execute(query).one()
        if note is None or sequence >= size:
            return ""
        known = self._proofs.get(log_no)
        if known is None or known.checkpoint != note:
            rows = connection.execute(
                select(tables.leaves.c.leaf)
                .where(tables.leaves.c.log_no == log_no, tables.leaves.c.sequence < size)
                .order_by(tables.leaves.c.sequence)
            )
            levels = [[merkle.leaf_hash(bytes(row[0])) for row in rows]]
            while len(levels[-1]) > 1:
                levels.append(merkle.level_above(levels[-1]))
            known = self._proofs[log_no] = _Proofs(note, levels)
        tree = known.levels
        path = merkle.inclusion_proof(sequence, size, lambda level, at: tree[level][at])
        return tlog_proof.write(sequence, path, note)

    def open(
        self, door: KeyDoor, cover: Cover, names: Sequence[str], elements: Sequence[str]
    ) -> list[OpenedRead]:
        return [
            one.opened(door.open(cover, day, one.log_id, [one.row])[0], day)
            for day, one in self._located(names, elements, self._first_day())
        ]

    def hold(
        self, door: KeyDoor, cover: Cover, names: Sequence[str], elements: Sequence[str]
    ) -> list[StoredRead]:
        return [
            one.under(door.hold(cover, day, one.log_id, [one.row])[0])
            for day, one in self._located(names, elements)
        ]

    def days_of(self, names: Sequence[str]) -> tuple[int, ...]:
        with self._store.read() as connection:
            by_id = {log_id: log_no for log_no, (log_id, *_) in self._units(connection).items()}
            return tuple(_day_of(connection, by_id, name) for name in names)

    def _located(
        self, names: Sequence[str], elements: Sequence[str], first_day: int = 0
    ) -> Iterator[tuple[int, StoredRead]]:
        """Named reads with their day of receipt. Raises FormError if one is missing or before `first_day`."""
        with self._store.read() as connection:
            units = self._units(connection)
            by_id = {log_id: log_no for log_no, (log_id, *_) in units.items()}
            for name in names:
                log_id, sequence = parse_name(name)
                day = _day_of(connection, by_id, name, first_day)
                log_no = by_id[log_id]
                _, unit, public, _ = units[log_no]
                row = self._elements(connection, day, log_no, [sequence], list(elements))[sequence]
                yield (
                    day,
                    StoredRead(
                        read=name,
                        unit=unit,
                        log_id=log_id,
                        leaf=row.leaf,
                        public=public,
                        proof=self._proof(connection, log_no, sequence),
                        row=row,
                    ),
                )


@dataclass(slots=True)
class _Proofs:
    """The levels of a log's tree up to its newest co-signed checkpoint, kept for the next proof."""

    checkpoint: str = ""
    levels: list[list[bytes]] = field(default_factory=list)


def _texts(connection: sa.Connection, day: int) -> sa.Select[Any]:
    """(day, log number, record) of the reads of a day of receipt."""
    e = tables.elements.c
    here = e.day == day, e.name == "text", typed_rows.fits_in(connection, tables.elements)
    return select(e.day, e.log_no, e.sequence).where(*here)


def _days_of_texts(connection: sa.Connection, days: Sequence[int]) -> list[int]:
    """The days among these from which there are still reads."""
    e = tables.elements.c
    asked = select(e.day).distinct().where(e.day.in_(days), e.name == "text")
    return list(connection.execute(asked).scalars()) if days else []


def _days(connection: sa.Connection, query: Query, first_day: int) -> list[int]:
    """The days of receipt on which a read of the searched time can have arrived, unless purged or over."""
    first_day = max(first_day, query.since_us // DAY_US)
    asked = select(tables.days.c.day).where(
        tables.days.c.day >= first_day,
        tables.days.c.purge_started_us.is_(None),
    )
    return list(connection.execute(asked.order_by(tables.days.c.day)).scalars())


def _logs_of(unit: str) -> sa.Select[tuple[int]]:
    """The logs of the unit with this name."""
    named = select(tables.logs.c.log_no).join(tables.units, tables.units.c.unit_id == tables.logs.c.unit_id)
    return named.where(tables.units.c.name == unit)


def _place(after: str) -> tuple[int, int, int] | None:
    """Parse the place where a part ended. Raises FormError if it is malformed."""
    if not after:
        return None
    if not re.fullmatch(r"[0-9]{1,9}(:[0-9]{1,15}){2}", after):
        raise FormError("that is not a cursor of this search", code="cursor", clause="463.5 (b) 2")
    day, log_no, sequence = (int(one) for one in after.split(":"))
    return day, log_no, sequence


def _day_of(connection: sa.Connection, by_id: Mapping[bytes, int], name: str, first_day: int = 0) -> int:
    """The day of receipt of a read. `by_id`: log id to number.

    Raises FormError if the read is missing or before `first_day`.
    """
    log_id, sequence = parse_name(name)
    e, d = tables.elements.c, tables.days.c
    day = connection.execute(
        select(e.day)
        .join(tables.days, d.day == e.day)
        .where(
            e.log_no == by_id.get(log_id, -1),
            e.sequence == sequence,
            e.name == "text",
            d.purge_started_us.is_(None),
        )
    ).scalar()
    if day is None:
        raise FormError(
            "there is no such read here: it was purged, or never sent",
            code="no-read",
            clause="463.8",
            cure="take its reference from an answer, under the read's picture",
            fields=("reads",),
        )
    if day < first_day:
        raise FormError(
            "the year of that read is over: it waits for its destruction",
            code="over",
            clause="463.8",
            cure="if it is evidence, place a hold on it by its name, with a second person",
            fields=("reads",),
        )
    return int(day)
