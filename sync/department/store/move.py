"""Moves a department's store from SQLite to an empty PostgreSQL database, while the server is stopped.

One transaction makes the tables, copies every row and compares what was written with what was read. Then the
setting `database` is changed to PostgreSQL, which from then on is the store. Last, SQLite's file is renamed.
While both are in place, neither is opened (`open_store_of`), and the same command completes the move. The
access log has no entry about it, since `verify` compares every table with the log, wherever the store is.
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
EMPTY_ONE = "make an empty one, only for this department: createdb -O ROLE DATABASE"


@dataclass(frozen=True, slots=True)
class Moved:
    """What was moved. `kept`: the unchanged SQLite file."""

    tables: int
    rows: int
    kept: Path


@dataclass(slots=True)
class RowSum:
    """How many rows, and the sum of their digests, which does not depend on their order."""

    rows: int = 0
    over: int = 0

    def add(self, rows: Sequence[Sequence[Any]]) -> None:
        """Add rows."""
        for row in rows:
            digest = hashlib.sha256(repr(tuple(row)).encode()).digest()
            self.over = (self.over + int.from_bytes(digest, "big")) % (1 << 256)
        self.rows += len(rows)


def move_store(home: DepartmentHome, url: str, say: Callable[[str], None]) -> Moved:
    """Move the store of `home` to the database at `url`, or complete an interrupted move.

    `say` is called with a line for each table. Raises HomeError if a server runs or the store cannot be
    moved, InvalidInputError if the URL is not of a suitable database, and StoreError if a row does not fit
    its table, the two stores differ, or one cannot be read or written; then nothing was moved.
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
        with source.write() as reading:  # programs that wait for this lock will find the file gone
            _demand_plain(source, reading)
            with target.write() as writing:
                rows = _copied_or_compared(source, reading, target, writing, say)
            files.replace(home.path / SETTINGS_FILE, settings)
            kept = _set_aside(path)
    _clear_beside(path, kept)
    return Moved(len(tables.metadata.tables), rows, kept)


def _demand_here(home: DepartmentHome, path: Path, url: str) -> None:
    """Raises HomeError if the store is not SQLite in this home, or if a name is taken."""
    named, here = named_elsewhere(home), path.is_file() and path.stat().st_size > 0
    if named and (named != url or not here):
        what = "the store is in a database already" if not here else "another database is named there"
        raise HomeError(what, where=f"{home.path / SETTINGS_FILE}: database", cure=ONE_WAY)
    if not here:
        cure = "restore it from its backup, and its blobs with it"
        raise HomeError("the store is gone, or empty", where=str(path), cure=cure)
    kept = path.with_name(KEPT_FILE)
    if kept.exists():
        what, cure = "an earlier store already has the name that this one would get", "move it away"
        raise HomeError(what, where=str(kept), cure=cure)


def _demand_plain(source: Store, reading: sa.Connection) -> None:
    """Raises StoreError for a row that PostgreSQL could not hold unchanged."""
    for table in tables.metadata.sorted_tables:
        for line in typed_rows.odd_rows(reading, table):
            raise StoreError(f"{line}: nothing was moved", where=source.where, cure=typed_rows.CURE)


def _copied_or_compared(
    source: Store, reading: sa.Connection, target: Store, writing: sa.Connection, say: Callable[[str], None]
) -> int:
    """Copy the rows into a database without tables, else only compare them; returns how many there are.

    Raises StoreError.
    """
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
            what = f"table {table.name}: {read.rows:,} rows here, {written.rows:,} there, and they differ"
            raise StoreError(f"{what}: nothing was moved", where="--database", cure=EMPTY_ONE)
        if read.rows:
            say(f"{table.name}: {counted(read.rows, 'row')}")
        rows += read.rows
    return rows


def _days(connection: sa.Connection) -> list[int]:
    """The days of receipt that are not empty."""
    asked = sa.union(*(sa.select(one.c.day) for one in tables.PARTITIONED))
    return sorted(map(int, connection.scalars(asked)))


def _rows(connection: sa.Connection, table: sa.Table) -> Iterator[Sequence[sa.Row[Any]]]:
    yield from connection.execute(sa.select(table).execution_options(yield_per=AT_ONCE)).partitions()


def _read(source: Store, connection: sa.Connection, table: sa.Table) -> Iterator[Sequence[sa.Row[Any]]]:
    """Read a table of the source. Raises StoreError naming the source, not the target."""
    try:
        yield from _rows(connection, table)
    except SQLAlchemyError as error:
        raise away(error, "the store cannot be read", source.where) from None


def _set_sequence(connection: sa.Connection, table: sa.Table) -> None:
    """Let the database's next number follow the last that SQLite gave."""
    column = table.autoincrement_column
    if column is not None:
        last = sa.select(sa.func.max(column)).scalar_subquery()
        name = sa.func.pg_get_serial_sequence(table.name, column.name)
        connection.execute(sa.select(sa.func.setval(name, last)).where(last.is_not(None)))


def _set_aside(path: Path) -> Path:
    """Rename SQLite's file."""
    kept = path.with_name(KEPT_FILE)
    path.rename(kept)
    files.sync_dir(path.parent)
    return kept


def _clear_beside(path: Path, kept: Path) -> None:
    """Remove SQLite's side files; a WAL with content is renamed like the database."""
    log = path.with_name(f"{path.name}-wal")
    if log.exists() and log.stat().st_size:
        log.rename(kept.with_name(f"{kept.name}-wal"))
    for one in (log, path.with_name(f"{path.name}-shm")):
        one.unlink(missing_ok=True)
