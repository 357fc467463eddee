"""A year of reads in a department's PostgreSQL store, written by bulk COPY, for measuring lookups.

Every row has its real width: leaf, sealed text, sealed place, and the two rows that point at an image in a
pack. The reads to be found are real: sealed to a day key, opened and re-sealed by the key service. The others
are random bytes, which is what sealed content looks like to a database.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from custody_twins import make_read

from storage import codec, sealing
from storage.day_keys import seal_to_day
from storage.leaf import Leaf, Mark, log_id_of, unchecked
from storage.read_records import Read, ReadPlace, ReadText
from storage.record_base import KeyClass
from storage.sealing import Opened
from storage.times import DAY_US
from sync.department.content.key_door import Cover, MatchedRead, Row
from sync.department.content.key_service import LocalKeyService
from sync.department.content.query_match import matches
from sync.department.content.search_tokens import StoredElement
from sync.department.journal.inquiry_entries import Query
from sync.department.store import tables, unit_logs
from sync.department.store.database import Store

DAYS, LOGS, SOUGHT, TIMES = 365, 50, 300, 4
POOL_BYTES = 64 << 20
NAMES = ("text", "place", "patch", "overview")
HEAD, TAIL = b"PGCOPY\n\xff\r\n\x00" + bytes(8), b"\xff\xff"  # PostgreSQL's binary COPY, version 1


@dataclass(frozen=True, kw_only=True)
class Genuine:
    """A read that can be found and opened."""

    day: int
    log: int
    plate: str
    leaf: bytes = field(repr=False)
    text: bytes = field(repr=False)
    place: bytes = field(repr=False)
    token: bytes = field(repr=False)


def plate_of(number: int) -> str:
    return f"7SEEK{number:03d}"


class OpenDoor:
    """The key service as the guard uses it, but without its check of an access entry, to measure speed."""

    def __init__(self, keys: LocalKeyService) -> None:
        self._keys = keys

    def tokens(self, cover: Cover, query: Query, days: Sequence[int]) -> dict[int, tuple[bytes, ...]]:
        return self._keys.tokens("bench", query.plate, days)

    def match(
        self, cover: Cover, query: Query, day: int, log_id: bytes, rows: Sequence[Row]
    ) -> list[MatchedRead]:
        wanted = [one for row in rows for one in row.wanted(("text", "place"))]
        opened = self._keys.open_stored("bench", day, log_id, wanted)
        found = []
        for at, row in enumerate(rows):
            text = codec.from_bytes(ReadText, opened[2 * at].content)
            place = codec.from_bytes(ReadPlace, opened[2 * at + 1].content)
            if matches(query, text, place):
                found.append(MatchedRead(row.sequence, text, place))
        return found

    def open(self, cover: Cover, day: int, log_id: bytes, rows: Sequence[Row]) -> list[dict[str, Opened]]:
        raise NotImplementedError


class Year:
    """Makes the year day by day; `sought`: the plates that can be looked up."""

    def __init__(
        self, store: Store, keys: LocalKeyService, first_day: int, reads: int, seed: int = 1
    ) -> None:
        self._store, self._keys, self.first_day = store, keys, first_day
        self._a_log = max(1, reads // DAYS // LOGS)
        self._random, self._noise = random.Random(seed), np.random.default_rng(seed)
        self._pool = np.frombuffer(self._noise.bytes(POOL_BYTES), np.uint8)
        self._private = [Ed25519PrivateKey.generate() for _ in range(LOGS)]
        self._log_ids = [log_id_of(key.public_key()) for key in self._private]
        self._next = [0] * LOGS
        self.reads = 0
        self._where: dict[int, list[tuple[int, str]]] = {}
        for number in range(SOUGHT):
            for _ in range(TIMES):
                day = self._random.randrange(DAYS)
                self._where.setdefault(day, []).append((self._random.randrange(LOGS), plate_of(number)))
        self._enter_logs()

    def _enter_logs(self) -> None:
        with self._store.write() as connection:
            for at, key in enumerate(self._private):
                name = f"unit {at}"
                row = {"unit_id": f"{at:032x}", "name": name, "identity": b"", "enrolled_us": 0}
                connection.execute(sa.insert(tables.units).values(**row))
                unit_logs.add_log(
                    connection,
                    log_id=self._log_ids[at],
                    unit_id=f"{at:032x}",
                    public=key.public_key().public_bytes_raw(),
                    vouch=b"",
                    now_us=0,
                )
            rows = connection.execute(sa.select(tables.logs.c.log_id, tables.logs.c.log_no)).all()
        numbers = {bytes(row[0]): row[1] for row in rows}
        self._log_nos = [numbers[one] for one in self._log_ids]

    def add_day(self, offset: int) -> None:
        """All reads of one day of receipt, in one transaction, the real ones among them."""
        day = self.first_day + offset
        self._store.open_day(day)
        genuine = [
            self._genuine(day, log, plate, offset * 1000 + at)
            for at, (log, plate) in enumerate(self._where.get(offset, []))
        ]
        if not genuine:
            genuine = [self._genuine(day, 0, "7NEVER00", offset * 1000)]
        widths = {name: len(getattr(genuine[0], name)) for name in ("leaf", "text", "place")}
        with self._store.write() as connection:
            driver = connection.connection.driver_connection
            assert driver is not None
            # emptied in the transaction that fills them, so that PostgreSQL needs no write-ahead log for them
            connection.exec_driver_sql(f"TRUNCATE elements_{day:d}, tokens_{day:d}")
            made = [self._filler(log, widths, day) for log in range(LOGS)]
            for table, at in (("leaves", 0), (f"elements_{day:d}", 1), (f"tokens_{day:d}", 2)):
                with (
                    driver.cursor() as cursor,
                    cursor.copy(f"COPY {table} FROM STDIN (FORMAT binary)") as copy,
                ):
                    copy.write(HEAD)
                    for one in made:
                        copy.write(one[at])
                    copy.write(TAIL)
            for log in range(LOGS):
                self._next[log] += self._a_log
            self.reads += self._a_log * LOGS
            for read in genuine:
                self._keep(connection, read)

    def _genuine(self, day: int, log: int, plate: str, epoch: int) -> Genuine:
        sequence = self._sequence_of(log, epoch)
        log_id, key = self._log_ids[log], sealing.new_key()
        day_key = self._keys.issue_day_keys(day, 1)[0]
        read = make_read(day * DAY_US + 3_600_000_000, plate, demo=False)
        stored, marks = [], {}
        for name, content in (
            ("text", codec.to_bytes(read.text_part())),
            ("place", codec.to_bytes(read.place_part())),
            ("patch", b""),
            ("overview", b""),
        ):
            sealed = sealing.seal(key, log_id, sequence, sealing.fresh(name, content))
            marks[name] = Mark(sealed.commitment, sealed.digest)
            stored.append((name, sealed.stored))
        leaf = Leaf(
            log_id=log_id,
            kind=Read.KIND,
            sequence=sequence,
            epoch=epoch,
            key_class=KeyClass.READ,
            elements=marks,
        ).sign(self._private[log])
        sealed_key = (day_key.key_id, seal_to_day(key, day_key, log_id, epoch))
        public = self._private[log].public_key().public_bytes_raw()
        arrived = [StoredElement(leaf, *one) for one in stored[:2]]
        kept = self._keys.open_and_reseal(day, public, {epoch: sealed_key}, arrived)
        assert kept[0].token is not None
        return Genuine(
            day=day,
            log=log,
            plate=plate,
            leaf=leaf,
            text=kept[0].stored,
            place=kept[1].stored,
            token=kept[0].token,
        )

    def _sequence_of(self, log: int, epoch: int) -> int:
        """The sequence number of a real read, beyond all others and unique."""
        return (1 << 40) + epoch * 1000 + log

    def _keep(self, connection: sa.Connection, one: Genuine) -> None:
        leaf = unchecked(one.leaf)
        log_no = self._log_nos[one.log]
        self._store.add_rows(connection, tables.leaves, [(log_no, leaf.sequence, one.leaf, 0)])
        new = [
            unit_logs.NewElement(
                sequence=leaf.sequence, name="text", form=1, stored=one.text, token=one.token
            ),
            unit_logs.NewElement(sequence=leaf.sequence, name="place", form=1, stored=one.place),
        ]
        unit_logs.add_elements(self._store, connection, log_no, one.day, new)
        self.reads += 1

    def _filler(self, log: int, widths: dict[str, int], day: int) -> tuple[bytes, bytes, bytes]:
        """The (leaves, elements, tokens) of one log's reads on a day, as binary COPY."""
        count, log_no = self._a_log, self._log_nos[log]
        numbers = np.arange(self._next[log], self._next[log] + count, dtype=np.int64)
        leaf = {
            "log_no": log_no,
            "sequence": numbers,
            "leaf": self._bytes(count, widths["leaf"]),
            "missing": 0,
        }
        elements = []
        for name in NAMES:
            row: dict[str, Any] = {"day": day, "log_no": log_no, "sequence": numbers}
            row |= {"name": name, "form": 1}
            if name in widths:
                row |= {
                    "stored": self._bytes(count, widths[name]),
                    "pack": None,
                    "offset": None,
                    "length": None,
                }
            else:
                row |= {"stored": None, "pack": "a" * 64, "offset": numbers, "length": 9000}
            elements.append(row)
        tokens = {
            "day": day,
            "token": np.frombuffer(self._noise.bytes(16 * count), np.uint8).reshape(count, 16),
            "log_no": log_no,
            "sequence": numbers,
        }
        return (
            binary(tables.leaves, count, [leaf]),
            binary(tables.elements, count, elements),
            binary(tables.tokens, count, [tokens]),
        )

    def _bytes(self, count: int, width: int) -> Any:
        start = self._random.randrange(len(self._pool) - count * width)
        return self._pool[start : start + count * width].reshape(count, width)


def binary(table: sa.Table, count: int, rows: list[dict[str, Any]]) -> bytes:
    """Each of `rows` `count` times, in PostgreSQL's binary COPY format; its arrays have `count` values."""
    layout: list[tuple[Any, ...]] = []
    values: list[tuple[str, Any]] = []

    def put(name: str, kind: Any, value: Any) -> None:
        layout.append((name, kind) if not isinstance(kind, tuple) else (name, *kind))
        values.append((name, value))

    for number, row in enumerate(rows):
        put(f"{number}.fields", ">i2", len(table.columns))
        for column in table.columns:
            name, value = f"{number}.{column.name}", row[column.name]
            if value is None:
                put(f"{name}.length", ">i4", -1)
                continue
            if isinstance(column.type, sa.LargeBinary):
                kind: Any = (np.uint8, (value.shape[1],))
                width = value.shape[1]
            elif isinstance(column.type, sa.String):
                width, kind, value = len(value), f"S{len(value)}", value.encode()
            else:
                widths: dict[type, int] = {sa.BigInteger: 8, sa.SmallInteger: 2}
                width = widths.get(type(column.type), 4)
                kind = f">i{width}"
            put(f"{name}.length", ">i4", width)
            put(name, kind, value)
    made = np.empty(count, dtype=np.dtype(layout))
    for name, value in values:
        made[name] = value
    return made.tobytes()
