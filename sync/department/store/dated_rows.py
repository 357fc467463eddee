"""Counts and digests of dated, append-only rows by day, so that the log can record which rows there are.

Nothing that units sign proves that an incident, a receipt or a log exists at all. The daily run enters the
counts of such rows by day into the witnessed log; `verify` recomputes the digests. Columns that change later
(how often an incident came, which unit used a code) are left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy import select

from storage import envelope
from storage.times import DAY_US
from sync.department.store.tables import certificates, codes, destructions, incidents, logs, receipts

AT_ONCE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class DatedTable:
    """One table. `at`: when a row came; `kept`: columns that never change; `words`: what the rows are."""

    words: str
    at: sa.Column[Any]
    kept: tuple[sa.Column[Any], ...]


def _all_but(table: sa.Table, *changing: str) -> tuple[sa.Column[Any], ...]:
    return tuple(one for one in table.columns if one.name not in changing)


DATED: Mapping[str, DatedTable] = {
    "certificates": DatedTable(
        words="certificates of units", at=certificates.c.issued_us, kept=_all_but(certificates)
    ),
    "codes": DatedTable(
        words="enrollment codes",
        at=codes.c.issued_us,
        kept=_all_but(codes, "expires_us", "used_us", "unit_id"),
    ),
    "destructions": DatedTable(
        words="receipts of reset units", at=destructions.c.received_us, kept=_all_but(destructions)
    ),
    "incidents": DatedTable(
        words="incidents",
        at=incidents.c.at_us,
        kept=_all_but(incidents, "times", "closed_us", "closed_by", "second_by"),
    ),
    "logs": DatedTable(
        words="logs of units",
        at=logs.c.opened_us,
        kept=_all_but(logs, "state", "size", "peaks", "cosigned", "cosigned_size"),
    ),
    "receipts": DatedTable(
        words="receipts given to units", at=receipts.c.at_us, kept=_all_but(receipts)
    ),
}  # fmt: skip
"""By the table's name, which the entries of the log use."""


CountedRows: TypeAlias = tuple[str, int, bytes]
"""Rows of one table: its name, how many, and SHA-256 over all of them."""
DayRows: TypeAlias = Mapping[str, Mapping[int, tuple[int, bytes]]]
"""How many rows, and SHA-256 over them, by table and by day (days since 1970, UTC)."""
EARLIEST = -(1 << 40)
"""A day before every row."""


def by_day(connection: sa.Connection, first: int = EARLIEST) -> DayRows:
    """Counts and digests of the rows of each table, from a day on."""
    return {name: dict(_days(connection, name, first)) for name in DATED}


def _days(connection: sa.Connection, name: str, first: int) -> Iterator[tuple[int, tuple[int, bytes]]]:
    one = DATED[name]
    key = tuple(one.at.table.primary_key.columns)
    query = (
        select(one.at, *one.kept)
        .where(one.at >= max(first * DAY_US, -(1 << 63)))
        .order_by(one.at, *key)
        .execution_options(yield_per=AT_ONCE)
    )
    day, rows, over = EARLIEST, 0, hashlib.sha256()
    for at_us, *values in connection.execute(query):
        if at_us // DAY_US != day:
            if rows:
                yield day, (rows, over.digest())
            day, rows, over = at_us // DAY_US, 0, hashlib.sha256()
        rows += 1
        plain = [bytes(one) if isinstance(one, (bytes, memoryview)) else one for one in values]
        over.update(hashlib.sha256(envelope.encode(plain)).digest())
    if rows:
        yield day, (rows, over.digest())


def summed(found: DayRows, first: int, last: int) -> tuple[CountedRows, ...]:
    """Sums up the rows from day `first` to day `last` by table, without tables that have none."""
    made: list[CountedRows] = []
    for name, days in sorted(found.items()):
        some = [(day, one) for day, one in sorted(days.items()) if first <= day <= last]
        if some:
            said = [[day, *one] for day, one in some]
            digest = hashlib.sha256(envelope.encode(said)).digest()
            made.append((name, sum(rows for _, (rows, _) in some), digest))
    return tuple(made)


def sizes(connection: sa.Connection) -> dict[int, int]:
    """How many records of each log this department has co-signed, by log number."""
    return {row[0]: row[1] for row in connection.execute(select(logs.c.log_no, logs.c.cosigned_size))}
