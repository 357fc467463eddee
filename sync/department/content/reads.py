"""Reads in the department's store, as the desk finds and opens them. Sees ciphertext; the door has the keys.

Whole days of receipt are asked, from the first day on which a read of the time asked for can have arrived.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import sqlalchemy as sa
from sqlalchemy import select

from storage import leaf as leaves
from storage import merkle, tlog_proof
from storage.codec import from_bytes
from storage.read_records import Position, ReadPlace, ReadText
from storage.sealing import Opened
from storage.times import DAY_US
from sync.department.content import likeness
from sync.department.content.key_guard import Cover, KeyDoor, Match, Row, read_name
from sync.department.journal.entries import Query
from sync.department.policy.refusals import FormError
from sync.department.store import tables as t
from sync.department.store import unit_logs as held
from sync.department.store.blobs import PackStore
from sync.department.store.database import Store

BATCH = 500
NEAREST = 0.999  # a near read never passes for the plate itself
SEARCHED = ("text", "place")


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedRead:
    """A read with its elements, and what proves it: the unit's signed leaf, its log's public key, the
    proof."""

    read: str
    unit: str
    log_id: bytes
    sequence: int
    leaf: bytes
    public: bytes
    proof: str
    elements: dict[str, Opened]
    closed_log: bool = False  # it came after its log was closed


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRead:
    """One result of a search, as it is answered. The repr shows no plate.

    `jurisdiction`: the state on the plate; `time_error_us`, `clock`: how sure the unit was of the time;
    `local_time`: `first_us` on the department's clocks; `fit`: 1 for the plate asked for, less for near ones.
    """

    read: str
    plate: str = field(repr=False)
    confidence: float
    jurisdiction: str | None
    first_us: int
    last_us: int
    time_error_us: int
    clock: str
    local_time: str
    fit: float
    position: Position | None
    direction: str
    lane: int | None
    unit: str
    camera: str
    demo: bool
    closed_log: bool = False  # it came after its log was closed: its signature holds, its place is unproven

    @classmethod
    def of(cls, one: OpenedRead, plate: str = "") -> FoundRead:
        """The same of a read that was opened by name; `plate`: what was searched, for its fit. Raises
        StorageError kinds."""
        return _found(
            one.log_id,
            one.unit,
            Match(
                one.sequence,
                from_bytes(ReadText, one.elements["text"].content),
                from_bytes(ReadPlace, one.elements["place"].content),
            ),
            "" if set(plate) & {"*", "?"} else plate,
            closed_log=one.closed_log,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Reads that a search found, the newest first, and those near its plate, never mixed.

    `count`, `near_count`: all of them; `reads` and `near` together hold at most the page's limit; `next`: the
    cursor of the page after this one, or empty.
    """

    count: int
    near_count: int
    reads: tuple[FoundRead, ...]
    near: tuple[FoundRead, ...]
    next: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRead:
    """The same still sealed: `row` holds its elements under the key of its day, or of a hold."""

    read: str
    unit: str
    log_id: bytes
    leaf: bytes
    public: bytes
    proof: str
    row: Row

    def under(self, stored: dict[str, bytes]) -> StoredRead:
        """This read with its elements sealed under another key."""
        marks = {name: mark for name, (_, mark) in self.row.elements.items()}
        row = Row(self.row.sequence, {name: (data, marks[name]) for name, data in stored.items()})
        return replace(self, row=row)

    def opened(self, elements: dict[str, Opened]) -> OpenedRead:
        """This read with its elements in clear."""
        return OpenedRead(
            read=self.read,
            unit=self.unit,
            log_id=self.log_id,
            sequence=self.row.sequence,
            leaf=self.leaf,
            public=self.public,
            proof=self.proof,
            elements=elements,
            closed_log=leaves.unchecked(self.leaf).log_id != self.log_id,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The next reads of a search, by name alone: (day of receipt, log number, record), the newest day first.

    `after`: the place that the part after this one begins at, or empty.
    """

    named: tuple[tuple[int, int, int], ...]
    after: str


class Reads(Protocol):
    """Where the desk finds reads."""

    def knows_unit(self, name: str) -> bool:
        """Whether a unit was ever enrolled under this name."""
        ...

    def find(self, door: KeyDoor, cover: Cover, query: Query, limit: int, after: str = "") -> Page:
        """At most `limit` matches, the newest first, after those up to a cursor."""
        ...

    def received(self) -> list[tuple[int, int]]:
        """(day of receipt, reads) of every day that was not purged."""
        ...

    def extent(self, query: Query) -> tuple[int, int]:
        """(days, reads) that a search would open. No key is used."""
        ...

    def part(self, query: Query, after: str, limit: int) -> Part:
        """The next reads that a search without a plate of its own opens. No key is used. Raises FormError."""
        ...

    def match(
        self, door: KeyDoor, cover: Cover, query: Query, part: Part, going_on: Callable[[], bool]
    ) -> tuple[int, list[FoundRead]]:
        """Open the reads of a part, until it must stop: (how many were opened, those that match)."""
        ...

    def open(
        self, door: KeyDoor, cover: Cover, names: Sequence[str], elements: Sequence[str]
    ) -> list[OpenedRead]:
        """Open reads by name. Raises FormError for one that is not held."""
        ...

    def hold(
        self, door: KeyDoor, cover: Cover, names: Sequence[str], elements: Sequence[str]
    ) -> list[StoredRead]:
        """Reads by name, sealed under the key of the hold that the entry shown is of. Raises FormError."""
        ...


class StoreReads:
    """Reads of the receiver's store."""

    def __init__(self, store: Store, packs: PackStore) -> None:
        self._store, self._packs = store, packs
        self._proofs: dict[int, _Proofs] = {}

    def knows_unit(self, name: str) -> bool:
        with self._store.read() as connection:
            found = connection.execute(select(t.units.c.unit_id).where(t.units.c.name == name).limit(1))
            return found.first() is not None

    def received(self) -> list[tuple[int, int]]:
        e = t.elements.c
        counts = select(e.day, sa.func.count()).where(e.name == "text").group_by(e.day).order_by(e.day)
        with self._store.read() as connection:
            return [(int(day), int(reads)) for day, reads in connection.execute(counts)]

    def extent(self, query: Query) -> tuple[int, int]:
        e = t.elements.c
        with self._store.read() as connection:
            days = _days(connection, query)
            wanted = select(sa.func.count()).select_from(t.elements).where(e.day.in_(days), e.name == "text")
            if query.unit:
                wanted = wanted.where(e.log_no.in_(_logs_of(query.unit)))
            return len(days), int(connection.execute(wanted).scalar_one())

    def find(self, door: KeyDoor, cover: Cover, query: Query, limit: int, after: str = "") -> Page:
        with self._store.read() as connection:
            days = _days(connection, query)
            units = self._units(connection)
            exact = bool(query.plate) and not set(query.plate) & {"*", "?"}
            tokens = door.tokens(cover, query, days) if exact else {}
            if exact:
                batches = self._rows(connection, held.reads_by_token(connection, tokens))
            else:  # a day at a time: a year's names would fill the memory
                batches = (
                    one for day in days for one in self._rows(connection, self._named(connection, day))
                )
            found: list[FoundRead] = []
            for day, log_no, rows in batches:
                log_id, unit, _, closed = units[log_no]
                if query.unit and query.unit != unit:
                    continue
                plate = query.plate if exact else ""
                found += [
                    _found(log_id, unit, one, plate, closed_log=closed)
                    for one in door.match(cover, query, day, log_id, rows)
                ]
        return page_of(found, limit, after)

    def part(self, query: Query, after: str, limit: int) -> Part:
        e, last = t.elements.c, _place(after)
        named: list[tuple[int, int, int]] = []
        with self._store.read() as connection:
            for day in _days(connection, query)[::-1]:
                if last is not None and day > last[0]:
                    continue
                wanted = select(e.day, e.log_no, e.sequence).where(e.day == day, e.name == "text")
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
        with self._store.read() as connection:
            units = self._units(connection)
            for day, log_no, rows in self._rows(connection, part.named):
                if not going_on():
                    break
                log_id, unit, _, closed = units[log_no]
                found += [
                    _found(log_id, unit, one, "", closed_log=closed)
                    for one in door.match(cover, query, day, log_id, rows)
                ]
                opened += len(rows)
        return opened, found

    def _units(self, connection: sa.Connection) -> dict[int, tuple[bytes, str, bytes, bool]]:
        """log number -> (log id, unit's name, public key, whether it holds what came of a closed log)."""
        log = t.logs.c
        query = select(log.log_no, log.log_id, t.units.c.name, log.public, log.closed_of).join(
            t.units, t.units.c.unit_id == log.unit_id
        )
        return {
            row[0]: (bytes(row[1]), row[2], bytes(row[3]), row[4] is not None)
            for row in connection.execute(query)
        }

    @staticmethod
    def _named(connection: sa.Connection, day: int) -> list[tuple[int, int, int]]:
        """(day, log number, record) of every read of a day of receipt."""
        e = t.elements.c
        query = select(e.day, e.log_no, e.sequence).where(e.day == day, e.name == "text")
        return [(row[0], row[1], row[2]) for row in connection.execute(query)]

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
                whole = [row for row, _ in rows.values() if set(SEARCHED) <= set(row.elements)]
                if whole:
                    yield day, log_no, whole

    def _elements(
        self,
        connection: sa.Connection,
        day: int,
        log_no: int,
        numbers: Sequence[int],
        names: Sequence[str],
    ) -> dict[int, tuple[Row, bytes]]:
        """sequence -> (row, leaf)."""
        e, leaf = t.elements.c, t.leaves.c
        query = (
            select(e.sequence, e.name, e.stored, e.pack, e.offset, e.length, leaf.leaf)
            .join(t.leaves, sa.and_(leaf.log_no == e.log_no, leaf.sequence == e.sequence))
            .where(e.day == day, e.log_no == log_no, e.sequence.in_(numbers), e.name.in_(names))
            .order_by(e.sequence)
        )
        rows: dict[int, tuple[Row, bytes]] = {}
        for sequence, name, stored, pack, offset, length, data in connection.execute(query):
            row, _ = rows.setdefault(sequence, (Row(sequence, {}), bytes(data)))
            content = bytes(stored) if pack is None else self._packs.get(day, pack, offset, length)
            row.elements[name] = (content, leaves.unchecked(bytes(data)).elements[name].commitment)
        return rows

    def _proof(self, connection: sa.Connection, log_no: int, sequence: int) -> str:
        """The C2SP tlog-proof of a record under the unit's newest co-signed checkpoint, or empty
        before one."""
        query = select(t.logs.c.cosigned, t.logs.c.cosigned_size).where(t.logs.c.log_no == log_no)
        note, size = connection.execute(query).one()
        if note is None or sequence >= size:
            return ""
        known = self._proofs.get(log_no)
        if known is None or known.checkpoint != note:
            rows = connection.execute(
                select(t.leaves.c.leaf)
                .where(t.leaves.c.log_no == log_no, t.leaves.c.sequence < size)
                .order_by(t.leaves.c.sequence)
            )
            levels = [[merkle.leaf_hash(bytes(row[0])) for row in rows]]
            while len(levels[-1]) > 1:
                below = levels[-1]
                levels.append(
                    [merkle.node_hash(below[at], below[at + 1]) for at in range(0, len(below) - 1, 2)]
                )
            known = self._proofs[log_no] = _Proofs(note, levels)
        tree = known.levels
        path = merkle.inclusion_proof(sequence, size, lambda level, at: tree[level][at])
        return tlog_proof.write(sequence, path, note)

    def open(
        self, door: KeyDoor, cover: Cover, names: Sequence[str], elements: Sequence[str]
    ) -> list[OpenedRead]:
        return [
            one.opened(door.open(cover, day, one.log_id, [one.row])[0])
            for day, one in self._located(names, elements)
        ]

    def hold(
        self, door: KeyDoor, cover: Cover, names: Sequence[str], elements: Sequence[str]
    ) -> list[StoredRead]:
        return [
            one.under(door.hold(cover, day, one.log_id, [one.row])[0])
            for day, one in self._located(names, elements)
        ]

    def _located(self, names: Sequence[str], elements: Sequence[str]) -> Iterator[tuple[int, StoredRead]]:
        """Each read by name with its day of receipt. Raises FormError for one that is not held."""
        with self._store.read() as connection:
            units = self._units(connection)
            by_id = {log_id: (log_no, unit, public) for log_no, (log_id, unit, public, _) in units.items()}
            for name in names:
                log_id, sequence = parse_name(name)
                if log_id not in by_id:
                    raise FormError("no such read is held", code="no-read", clause="463.5 (b) 2")
                log_no, unit, public = by_id[log_id]
                day = connection.execute(
                    select(t.elements.c.day)
                    .join(t.days, t.days.c.day == t.elements.c.day)
                    .where(
                        t.elements.c.log_no == log_no,
                        t.elements.c.sequence == sequence,
                        t.elements.c.name == "text",
                        t.days.c.purge_started_us.is_(None),
                    )
                ).scalar()
                if day is None:
                    raise FormError(
                        "no such read is held: purged, or never sent", code="no-read", clause="463.8"
                    )
                row, leaf = self._elements(connection, day, log_no, [sequence], list(elements))[sequence]
                yield (
                    day,
                    StoredRead(
                        read=name,
                        unit=unit,
                        log_id=log_id,
                        leaf=leaf,
                        public=public,
                        proof=self._proof(connection, log_no, sequence),
                        row=row,
                    ),
                )


@dataclass(slots=True)
class _Proofs:
    """Levels of one log's tree, as far as its newest co-signed checkpoint, kept for the next proof."""

    checkpoint: str = ""
    levels: list[list[bytes]] = field(default_factory=list)


def parse_name(name: str) -> tuple[bytes, int]:
    """(log id, sequence) of a read's name. Raises FormError."""
    log, _, number = name.partition("/")
    try:
        log_id, sequence = bytes.fromhex(log), int(number)
    except ValueError:
        log_id, sequence = b"", -1
    if len(log_id) != 32 or sequence < 0 or read_name(log_id, sequence) != name:
        raise FormError("a read is named by its log and number", code="read-name", clause="463.5 (b) 2")
    return log_id, sequence


def _days(connection: sa.Connection, query: Query) -> list[int]:
    """Days of receipt on which a read of the time asked for can have arrived, unless purged."""
    asked = select(t.days.c.day).where(
        t.days.c.day >= query.since_us // DAY_US, t.days.c.purge_started_us.is_(None)
    )
    return list(connection.execute(asked.order_by(t.days.c.day)).scalars())


def _logs_of(unit: str) -> sa.Select[tuple[int]]:
    """The logs of a unit by name."""
    named = select(t.logs.c.log_no).join(t.units, t.units.c.unit_id == t.logs.c.unit_id)
    return named.where(t.units.c.name == unit)


def _place(after: str) -> tuple[int, int, int] | None:
    """Where a part ended. Raises FormError for what no part gave."""
    if not after:
        return None
    if not re.fullmatch(r"[0-9]{1,9}(:[0-9]{1,15}){2}", after):
        raise FormError("that is no place of this search", code="cursor", clause="463.5 (b) 2")
    day, log_no, sequence = (int(one) for one in after.split(":"))
    return day, log_no, sequence


def cursor_of(one: FoundRead) -> str:
    """Where a page ended."""
    return f"{one.first_us}:{one.read}"


def page_of(found: Iterable[FoundRead], limit: int, after: str) -> Page:
    """A page of matches, the newest first. Raises FormError for a cursor that none of the answers gave."""
    ordered = sorted(found, key=lambda one: (-one.first_us, one.read))
    rest = ordered
    if after:
        time, _, read = after.partition(":")
        if not re.fullmatch(r"[0-9]{1,19}", time):
            raise FormError("that is no cursor of an answer", code="cursor", clause="463.5 (b) 2")
        rest = [one for one in ordered if (-one.first_us, one.read) > (-int(time), read)]
    shown = rest[:limit]
    return Page(
        count=sum(one.fit == 1.0 for one in ordered),
        near_count=sum(one.fit < 1.0 for one in ordered),
        reads=tuple(one for one in shown if one.fit == 1.0),
        near=tuple(one for one in shown if one.fit < 1.0),
        next=cursor_of(shown[-1]) if len(rest) > len(shown) and shown else "",
    )


def _found(log_id: bytes, unit: str, one: Match, plate: str, *, closed_log: bool) -> FoundRead:
    return FoundRead(
        read=read_name(log_id, one.sequence),
        plate=one.text.text,
        confidence=one.text.confidence,
        jurisdiction=one.text.jurisdiction,
        first_us=one.place.first_us,
        last_us=one.place.last_us,
        time_error_us=one.place.time_error_us,
        clock=str(one.place.clock_state),
        local_time="",
        fit=min(likeness.fit(plate, one.text), NEAREST) if plate not in {"", one.text.text} else 1.0,
        position=one.place.position,
        direction=one.place.direction,
        lane=one.place.lane,
        unit=unit,
        camera=one.place.camera,
        demo=one.text.demo,
        closed_log=closed_log,
    )
