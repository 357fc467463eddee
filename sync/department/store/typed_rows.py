"""Finds rows with values that do not fit their columns: SQLite keeps any type and size in any column.

A person who edits the file by hand can put text where a number belongs, bytes that are not UTF-8, a key of
one byte, or a day beyond the calendar. Reading such a row fails and hides the rows beside it. So these rows
are looked for first and left out.
"""

from __future__ import annotations

import functools
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping

import sqlalchemy as sa
import structlog
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.dialects.sqlite.base import SQLiteDialect

from storage.counts import counted
from storage.times import DAY_US
from sync.department.store import own_schema
from sync.department.store.tables import elements, leaves, metadata, receipts, tokens

log_events = structlog.get_logger("department.store")
NAMED = 20  # rows of a table that are named with their columns; the others are counted
LAST_DAY = 2_932_896  # 9999-12-31, in days since 1970
AGAIN_S = 60.0  # the small tables are checked again after this
LARGE = frozenset({elements, leaves, receipts, tokens})
CURE = "department verify names all of it; restore the store from its backup, or correct the row by hand"
_WIDEST = 1 << 63
_UTF8 = "alpr_is_text"
_NOT_PLAIN = "*[^ -~]*"


def on_connect(connection: sqlite3.Connection) -> None:
    """Register the function that the conditions use with a connection to SQLite."""
    connection.create_function(_UTF8, 1, _is_text, deterministic=True)


def _is_text(data: bytes) -> bool:
    try:
        return "\0" not in data.decode()
    except UnicodeDecodeError:
        return False


def odd(column: sa.Column[object], *, sqlite: bool) -> ColumnElement[bool]:
    """Whether a row's value does not fit this column; never NULL. PostgreSQL checks types itself."""
    wrong = list(_of_type(column, sqlite=sqlite))
    kind = column.type
    if isinstance(kind, sa.Integer):
        low, high = _range(column)
        wrong.append(sa.not_(column.between(low, high)))
    elif isinstance(kind, sa.LargeBinary) and kind.length:
        wrong.append(func.length(column) != kind.length)
    elif isinstance(kind, sa.String) and kind.length:
        wrong.append(func.length(column) > kind.length)
    if column.nullable:
        return sa.and_(column.is_not(None), sa.or_(*wrong)) if wrong else sa.false()
    return sa.or_(column.is_(None), *wrong)


def _of_type(column: sa.Column[object], *, sqlite: bool) -> Iterator[ColumnElement[bool]]:
    if not sqlite:
        return
    yield func.typeof(column) != _sqlite_type(column)
    if isinstance(column.type, sa.String):
        data = sa.cast(column, sa.LargeBinary)
        # plain ASCII without a NUL, which is nearly everything, costs no call
        asked = sa.or_(column.op("GLOB")(_NOT_PLAIN), func.length(column) != func.length(data))
        yield sa.case((asked, sa.not_(sa.Function(_UTF8, data, type_=sa.Boolean))), else_=sa.false())


def _sqlite_type(column: sa.Column[object]) -> str:
    if isinstance(column.type, sa.Integer):
        return "integer"
    return "blob" if isinstance(column.type, sa.LargeBinary) else "text"


def _range(column: sa.Column[object]) -> tuple[int, int]:
    """The range of a column's numbers. A count, a place in a log and a time are never negative."""
    if column.name.endswith("_us"):
        return 0, (LAST_DAY + 1) * DAY_US - 1
    if column.name == "day":
        return 0, LAST_DAY
    if isinstance(column.type, sa.SmallInteger):
        return 0, (1 << 15) - 1
    return 0, _WIDEST - 1 if isinstance(column.type, sa.BigInteger) else (1 << 31) - 1


@functools.cache
def fits(table: sa.Table, *, sqlite: bool) -> ColumnElement[bool]:
    """Whether every value of a row fits its column.

    Every search uses it, so it is built only once, as text, which saves binding a hundred numbers each time.
    """
    asked = sa.not_(sa.or_(*(odd(one, sqlite=sqlite) for one in table.columns)))
    return sa.literal_column(f"({_in_words(asked, sqlite=sqlite)})", sa.Boolean())


def fits_in(connection: sa.Connection, table: sa.Table) -> ColumnElement[bool]:
    """As `fits`, for this connection's database."""
    return fits(table, sqlite=connection.dialect.name == "sqlite")


def odd_rows(connection: sa.Connection, table: sa.Table) -> Iterator[str]:
    """A line for each row that does not fit: its table, key and columns, but never their values."""
    columns, keys = list(table.columns), list(table.primary_key.columns)
    found = 0
    for row in connection.exec_driver_sql(_query(table, sqlite=connection.dialect.name == "sqlite")):
        found += 1
        if found <= NAMED:
            names = [one.name for one, is_odd in zip(columns, row, strict=False) if is_odd]
            key = ", ".join(
                f"{one.name} {_shown(value)}"
                for one, value in zip(keys, row[len(columns) :], strict=True)
                if value is not None
            )
            where = f"the row of {key}" if key else "a row"
            hold = "hold values" if names[1:] else "holds a value"
            yield f"{table.name}: {where}: its {' and '.join(names)} {hold} of the wrong type or size"
    if found > NAMED:
        yield f"{table.name}: {counted(found - NAMED, 'more row')} with values of the wrong type or size"


@functools.cache
def _query(table: sa.Table, *, sqlite: bool) -> str:
    """The query for a table's odd rows: for each column whether it is odd, then the key values that fit.

    It is cached, since building it takes longer than reading a small table.
    """
    asked = {one.name: odd(one, sqlite=sqlite) for one in table.columns}
    seen = [sa.case((asked[one.name], sa.null()), else_=one) for one in table.primary_key.columns]
    query = select(*asked.values(), *seen).where(sa.or_(*asked.values()))
    return _in_words(query, sqlite=sqlite)


def _in_words(asked: sa.ClauseElement, *, sqlite: bool) -> str:
    """The SQL text of a clause, with the names and numbers of our own tables."""
    dialect = SQLiteDialect() if sqlite else PGDialect()  # type: ignore[no-untyped-call]
    return str(asked.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))


def _shown(value: object) -> str:
    """The text of a key value that fits its column."""
    if isinstance(value, (bytes, memoryview)):
        return bytes(value).hex()[:16]
    text = str(value)
    return text if text.isascii() and text.isprintable() and text else ascii(text)


def leave_out(connection: sa.Connection, table: sa.Table) -> None:
    """Replace a table by a temporary view of the rows that fit until the transaction ends."""
    sqlite = connection.dialect.name == "sqlite"
    place = "main" if sqlite else str(connection.exec_driver_sql(_PG_SCHEMA, (table.name,)).scalar_one())
    where = str(fits(table, sqlite=sqlite))
    connection.exec_driver_sql(
        f"CREATE TEMPORARY VIEW {table.name} AS "  # noqa: S608 - names and numbers of our own tables
        f"SELECT * FROM {place}.{table.name} WHERE {where}"
    )


_PG_SCHEMA = "SELECT relnamespace::regnamespace::text FROM pg_class WHERE oid = to_regclass(%s)"


class OddRows:
    """The odd rows of a store's tables, except the LARGE ones, and the unreadable tables.

    They are looked for again after AGAIN_S.
    """

    def __init__(self) -> None:
        self._found: Mapping[sa.Table, list[str]] = {}
        self._absent: frozenset[str] = frozenset()
        self._at = -AGAIN_S
        self._looking = threading.Lock()

    def lines(self, connection: sa.Connection) -> list[str]:
        """A line for each odd row."""
        return [line for some in self._now(connection).values() for line in some]

    def leave_out(self, connection: sa.Connection) -> None:
        """Leave out the odd rows for the rest of this transaction."""
        for table in self._now(connection):
            leave_out(connection, table)
        for name in self._absent:
            own_schema.stand_in(connection, metadata.tables[name])

    def _now(self, connection: sa.Connection) -> Mapping[sa.Table, list[str]]:
        with self._looking:
            if time.monotonic() - self._at >= AGAIN_S:
                self._absent = own_schema.examined(connection).absent
                small = (
                    one
                    for one in metadata.tables.values()
                    if one not in LARGE and one.name not in self._absent
                )
                looked = {table: list(odd_rows(connection, table)) for table in small}
                known = {line for some in self._found.values() for line in some}
                self._found, self._at = {one: some for one, some in looked.items() if some}, time.monotonic()
                for line in sorted({line for some in self._found.values() for line in some} - known):
                    log_events.error("row_left_out", what=line, cure=CURE)
            return self._found
