"""A department's store, moved from SQLite to an empty PostgreSQL database. The server is stopped meanwhile.

One transaction makes the tables, copies every row and compares what was written with what was read. Then the
setting `database` names PostgreSQL: from that write on it is the store. Last, SQLite's file gets another
name; while both are there, nothing opens either (`open_store_of`), and the same command again ends the move.
No entry of the access log says it: `verify` holds every table against the log, wherever the store is.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from storage import files
from storage.counts import counted
from sync.department.ground.home import KEPT_FILE, SETTINGS_FILE, SQLITE_FILE, DepartmentHome
from sync.department.ground.settings import with_database
from sync.department.store import own_schema, tables, typed_rows
from sync.department.store.database import Store
from sync.department.store.database_errors import away
from sync.department.store.opening import demand_newest, named_elsewhere, open_store, upgrade
from sync.errors import HomeError, InvalidInputError, StoreError

AT_ONCE = 64  # rows: the sealed parts of an alert are megabytes
ONE_WAY = "department move moves what is in SQLite here, once"
EMPTY_ONE = "make an empty one, for this department alone: createdb -O ROLE DATABASE"


@dataclass(frozen=True, slots=True)
class Moved:
    """What was moved. `kept`: SQLite's file, as it was."""

    tables: int
    rows: int
    kept: Path


@dataclass(slots=True)
class RowSum:
    """How many rows, and the sum of their digests: the same for the same rows in any order."""

    rows: int = 0
    over: int = 0

    def add(self, rows: Sequence[Sequence[Any]]) -> None:
        """Take in more rows."""
        for row in rows:
            digest = hashlib.sha256(repr(tuple(row)).encode()).digest()
            self.over = (self.over + int.from_bytes(digest, "big")) % (1 << 256)
        self.rows += len(rows)


def move_store(home: DepartmentHome, url: str, say: Callable[[str], None]) -> Moved:
    """Move the store of `home` to the database of `url`, or end a move that was interrupted. `say` is given a
    line for each table.

    Raises HomeError where a server runs or the store is none that can be moved, InvalidInputError for a URL
    of no such database, StoreError where a row is none of its table, the two differ, or either cannot be read
    or written: then nothing was moved.
    """
    path = home.path / SQLITE_FILE
    _demand_here(home, path, url)
    settings = with_database(home.path / SETTINGS_FILE, url)
    with contextlib.ExitStack() as held:
        held.enter_context(home.locked())
        target = held.enter_context(contextlib.closing(open_store(url, migrate=False)))
        if not target.postgres:
            cure = "postgresql+psycopg://USER@HOST/DATABASE"
            raise InvalidInputError("must be PostgreSQL", where="--database", cure=cure)
        source = held.enter_context(contextlib.closing(open_store(f"sqlite:///{path}", migrate=False)))
        demand_newest(source)
        source.demand_own()
        source.shrink()
        with source.write() as reading:  # who waits for this lock finds the file gone
            _demand_plain(source, reading)
            with target.write() as writing:
                rows = _copied_or_compared(source, reading, target, writing, say)
            files.replace(home.path / SETTINGS_FILE, settings)
            kept = _set_aside(path)
    _clear_beside(path, kept)
    return Moved(len(tables.metadata.tables), rows, kept)


def _demand_here(home: DepartmentHome, path: Path, url: str) -> None:
    """Raises HomeError for a store that is not SQLite's here, and for a name that is taken."""
    named, here = named_elsewhere(home), path.is_file() and path.stat().st_size > 0
    if named and (named != url or not here):
        what = "the store is in a database already" if not here else "another database is named there"
        raise HomeError(what, where=f"{home.path / SETTINGS_FILE}: database", cure=ONE_WAY)
    if not here:
        cure = "restore it from its backup, and its blobs with it"
        raise HomeError("the store is gone, or empty", where=str(path), cure=cure)
    kept = path.with_name(KEPT_FILE)
    if kept.exists():
        what, cure = "an earlier store is here, under the name that this one would get", "move it away"
        raise HomeError(what, where=str(kept), cure=cure)


def _demand_plain(source: Store, reading: sa.Connection) -> None:
    """Raises StoreError for a row that PostgreSQL would not hold as it is."""
    for table in tables.metadata.sorted_tables:
        for line in typed_rows.odd_rows(reading, table):
            raise StoreError(f"{line}: nothing was moved", where=source.where, cure=typed_rows.CURE)


def _copied_or_compared(
    source: Store, reading: sa.Connection, target: Store, writing: sa.Connection, say: Callable[[str], None]
) -> int:
    """How many rows both have. They are copied into a database without tables, else only compared. Raises
    StoreError."""
    known = {*tables.metadata.tables, tables.revision.name}
    copies = not known & set(sa.inspect(writing).get_table_names())
    if copies:
        upgrade(writing)
        for day in _days(reading):
            target.add_partitions(writing, day)
    if wrong := own_schema.examined(writing).wrong:
        raise StoreError(f"{wrong[0]}: nothing was moved", where="--database", cure=EMPTY_ONE)
    rows = 0
    for table in tables.metadata.sorted_tables:
        read, written = RowSum(), RowSum()
        for some in _read(source, reading, table):
            read.add(some)
            if copies:
                target.add_rows(writing, table, some)
        if copies:
            _set_sequence(writing, table)
        for some in _rows(writing, table):
            written.add(some)
        if read != written:
            what = f"table {table.name}: {read.rows:,} rows here, {written.rows:,} there, and not the same"
            raise StoreError(f"{what}: nothing was moved", where="--database", cure=EMPTY_ONE)
        if read.rows:
            say(f"{table.name}: {counted(read.rows, 'row')}")
        rows += read.rows
    return rows


def _days(connection: sa.Connection) -> list[int]:
    """The days of receipt that hold something."""
    asked = sa.union(*(sa.select(one.c.day) for one in tables.PARTITIONED))
    return sorted(map(int, connection.scalars(asked)))


def _rows(connection: sa.Connection, table: sa.Table) -> Iterator[Sequence[sa.Row[Any]]]:
    yield from connection.execute(sa.select(table).execution_options(yield_per=AT_ONCE)).partitions()


def _read(source: Store, connection: sa.Connection, table: sa.Table) -> Iterator[Sequence[sa.Row[Any]]]:
    """What is in the source. Raises StoreError in its name, not the other's."""
    try:
        yield from _rows(connection, table)
    except SQLAlchemyError as error:
        raise away(error, "the store cannot be read", source.where) from None


def _set_sequence(connection: sa.Connection, table: sa.Table) -> None:
    """The next number that the database gives follows the last that SQLite gave."""
    column = table.autoincrement_column
    if column is not None:
        last = sa.select(sa.func.max(column)).scalar_subquery()
        name = sa.func.pg_get_serial_sequence(table.name, column.name)
        connection.execute(sa.select(sa.func.setval(name, last)).where(last.is_not(None)))


def _set_aside(path: Path) -> Path:
    """Give SQLite's file its other name."""
    kept = path.with_name(KEPT_FILE)
    path.rename(kept)
    files.sync_dir(path.parent)
    return kept


def _clear_beside(path: Path, kept: Path) -> None:
    """What SQLite kept beside the file: its log has the other name too if it holds anything."""
    log = path.with_name(f"{path.name}-wal")
    if log.exists() and log.stat().st_size:
        log.rename(kept.with_name(f"{kept.name}-wal"))
    for one in (log, path.with_name(f"{path.name}-shm")):
        one.unlink(missing_ok=True)
