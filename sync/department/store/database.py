"""The store: opened, migrated and written in transactions, on SQLite or PostgreSQL. SQLAlchemy Core.

SQLite runs in WAL mode with synchronous=FULL and secure_delete, every write in BEGIN IMMEDIATE; on
PostgreSQL bulk rows go by COPY and the day's partitions are made on first use and dropped by a purge.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event, insert, select
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    DBAPIError,
    IntegrityError,
    NoSuchModuleError,
    OperationalError,
    SQLAlchemyError,
)

from storage import files
from sync.department.ground.home import SETTINGS_FILE, SQLITE_FILE, DepartmentHome
from sync.department.store import own_schema, tables, typed_rows
from sync.errors import (
    ROOM,
    DatabaseFullError,
    HomeError,
    InvalidInputError,
    NewerError,
    StoreAwayError,
    StoreError,
)

MIGRATIONS = Path(__file__).parent / "migrations"
MIGRATION_LOCK = 463_463  # a number of our own among the advisory locks of a database
LOCK_SECONDS = 30
DISK_FULL = "53100"  # PostgreSQL's code
_REFUSED = "wait while it starts; else compare database, role, password (~/.pgpass), limits and pg_hba.conf"
_PRIMARY = "name the primary, not a standby, or set default_transaction_read_only off"
# the words of both databases; what takes no writing now is away: nothing is wrong with what it holds
_REFUSED_WRITES = (
    ("permission denied for schema", StoreError, "the role must own it: createdb -O ROLE DATABASE"),
    ("read-only transaction", StoreAwayError, _PRIMARY),
    (
        "attempt to write a readonly database",
        StoreAwayError,
        "is that file yours to write, its disk not read-only?",
    ),
)
_DAMAGED = ("malformed", "file is not a database")  # SQLite's words


class Store:
    """One open store. `read` and `write` give a connection inside a transaction."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self.postgres = engine.dialect.name == "postgresql"
        self.where = "database" if self.postgres else str(engine.url.database)
        self._days: set[int] = set()
        self._looked_at: str | None = None
        self._absent_at: tuple[str, frozenset[str]] = "", frozenset()
        self._odd = typed_rows.OddRows()
        self._file: tuple[int, int] | None = None
        # COPY goes to the driver past SQLAlchemy; an error of SQLite's here would be another database's
        self._driver_errors = (engine.dialect.loaded_dbapi.Error,) if self.postgres else ()
        # SQLite polls for its lock, 100 ms at a time: threads of this process take turns before they ask
        self._turn = None if self.postgres else threading.Lock()

    @contextlib.contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction that is durable when the block ends. Raises StoreError when it cannot be, or where
        something was planted in the database that would act in it."""
        try:
            with self._in_turn(), self.engine.begin() as connection:
                self._demand_there()
                self._demand_own_now(connection)
                yield connection
        except (TypeError, ValueError, OverflowError) as error:
            raise self._odd_value() from error
        except (SQLAlchemyError, *self._driver_errors) as error:
            self._days.clear()  # a store that was restored under a running server lacks partitions
            raise away(error, "the store cannot be written now", self.where) from None

    @contextlib.contextmanager
    def _in_turn(self) -> Iterator[None]:
        if self._turn is None:
            yield
            return
        if not self._turn.acquire(timeout=LOCK_SECONDS):
            raise StoreError("the store cannot be written now: it is locked", where="database")
        try:
            yield
        finally:
            self._turn.release()

    def _demand_there(self) -> None:
        """Raises StoreError where SQLite's file was moved or replaced under this program: what is written
        into the one that it holds open is in no store."""
        if self._file != self._file_there():
            what = (
                "the store was moved or replaced while this program had it open: nothing is written into it"
            )
            raise StoreAwayError(what, where=self.where, cure="start this program again")

    def _file_there(self) -> tuple[int, int] | None:
        try:
            there = None if self.postgres else os.stat(self.where)  # noqa: PTH116 - a look at each write
        except OSError:
            there = None
        return None if there is None else (there.st_dev, there.st_ino)

    def _note_file(self, _connection: object, _record: object) -> None:
        self._file = self._file or self._file_there()

    @contextlib.contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A transaction that only reads. Raises StoreError where it cannot, or came upon what no such column
        holds."""
        try:
            with self.engine.connect().execution_options(reading=True) as connection:
                yield connection
        except (TypeError, ValueError, OverflowError) as error:
            raise self._odd_value() from error
        except SQLAlchemyError as error:
            raise away(error, "the store cannot be read now", self.where) from None

    @contextlib.contextmanager
    def listing(self) -> Iterator[sa.Connection]:
        """A transaction that lists: rows that hold what no such column holds are left out, and reported
        (`odd_rows`), so that one of them does not take the others from the list."""
        with self.read() as connection:
            self._odd.leave_out(connection)
            yield connection

    def odd_rows(self) -> list[str]:
        """A line for each row that `listing` leaves out."""
        with self.read() as connection:
            return self._odd.lines(connection)

    def close(self) -> None:
        self.engine.dispose()

    def _odd_value(self) -> StoreError:
        """A value that no driver or caller could take for one of its column."""
        return StoreError(
            "the store holds a value that is none of its column", where=self.where, cure=typed_rows.CURE
        )

    # --- what acts in it -------------------------------------------------------------------------------

    def planted(self) -> tuple[str, ...]:
        """A line for each object in the database that this program did not make."""
        with self.read() as connection:
            return own_schema.examined(connection).wrong

    def absent(self, connection: sa.Connection) -> frozenset[str]:
        """Tables that cannot be read as ours; looked for again where the schema is another than before."""
        now = own_schema.mark(connection)
        if self._absent_at[0] != now:
            self._absent_at = now, own_schema.examined(connection).absent
        return self._absent_at[1]

    def others(self) -> tuple[str, ...]:
        """A line for each way in which other database roles can change rows here."""
        with self.read() as connection:
            return tuple(own_schema.others(connection))

    def demand_own(self) -> None:
        """Raises StoreError if a trigger, view, index or table differs from what this program makes."""
        _refuse_planted(self.planted(), self.where)

    def watch(self) -> None:
        """From now on check the same before a write whenever the schema changed: a trigger would act with
        this program's rights."""
        self._looked_at = ""

    def _demand_own_now(self, connection: sa.Connection) -> None:
        if self._looked_at is None:
            return
        now = own_schema.mark(connection)
        if now != self._looked_at:
            _refuse_planted(own_schema.examined(connection).wrong, self.where)
            self._looked_at = now

    # --- days and partitions ---------------------------------------------------------------------------

    def open_day(self, day: int) -> None:
        """Prepare a day of receipt: its row and, on PostgreSQL, its partitions."""
        if day in self._days:
            return
        with self.write() as connection:
            row = connection.execute(
                select(tables.days.c.purge_started_us).where(tables.days.c.day == day)
            ).first()
            if row is None:
                with contextlib.suppress(IntegrityError), connection.begin_nested():
                    connection.execute(insert(tables.days).values(day=day))
            elif row[0] is not None:
                raise StoreError(f"day of receipt {day} was purged: the clock is wrong")
            self.add_partitions(connection, day)
        self._days.add(day)

    def add_partitions(self, connection: sa.Connection, day: int) -> None:
        """On PostgreSQL, the partitions of a day of receipt, unless they are there."""
        if self.postgres:
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(463)")
            for table in tables.PARTITIONED:
                connection.exec_driver_sql(
                    f"CREATE TABLE IF NOT EXISTS {table.name}_{day:d} "
                    f"PARTITION OF {table.name} FOR VALUES IN ({day:d})"
                )

    def drop_day(self, connection: sa.Connection, day: int) -> None:
        """Remove every row of a day of receipt from the partitioned tables."""
        self._days.discard(day)
        for table in tables.PARTITIONED:
            if self.postgres:
                connection.exec_driver_sql(f"DROP TABLE IF EXISTS {table.name}_{day:d}")
            else:
                connection.execute(sa.delete(table).where(table.c.day == day))

    def shrink(self) -> None:
        """After a purge: write SQLite's log back and truncate it, so that no old page stays in it."""
        if not self.postgres:
            raw = self.engine.raw_connection()
            try:
                raw.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
            finally:
                raw.close()

    # --- bulk ------------------------------------------------------------------------------------------

    def add_rows(self, connection: sa.Connection, table: sa.Table, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert many rows, given in the table's column order; COPY where the database knows it."""
        if not rows:
            return
        names = [column.name for column in table.columns][: len(rows[0])]
        if self.postgres:
            columns = ", ".join(f'"{name}"' for name in names)
            driver = connection.connection.driver_connection
            with (
                driver.cursor() as cursor,  # type: ignore[union-attr]
                cursor.copy(f"COPY {table.name} ({columns}) FROM STDIN") as copy,
            ):
                for row in rows:
                    copy.write_row(row)
            return
        marks = ", ".join("?" * len(names))
        quoted = ", ".join(f'"{name}"' for name in names)
        connection.exec_driver_sql(
            f"INSERT INTO {table.name} ({quoted}) VALUES ({marks})",  # noqa: S608 - names from our own tables
            list(rows),
        )


def _refuse_planted(wrong: Sequence[str], where: str) -> None:
    if wrong:
        more = f", and {len(wrong) - 1} more" if wrong[1:] else ""
        raise StoreError(f"{wrong[0]}{more}: nothing is written by it", where=where, cure=own_schema.CURE)


def newest_in(store: Store) -> int:
    """The newest time in the store, UTC us, or 0; a clock before it is wrong. Values that are no time are
    ignored."""
    t = tables
    columns = (
        t.units.c.seen_us,
        t.units.c.enrolled_us,
        t.receipts.c.at_us,
        t.incidents.c.at_us,
        t.documents.c.at_us,
        t.unit_health.c.received_us,
        t.alerts.c.received_us,
        t.days.c.purged_us,
    )
    sqlite = not store.postgres
    found = []
    with store.read() as connection:
        absent = store.absent(connection)  # a view in their place may have no end
        for one in (one for one in columns if one.table.name not in absent):
            newest = select(sa.func.max(one)).where(sa.not_(typed_rows.odd(one, sqlite=sqlite)))
            found.append(connection.execute(newest).scalar())
    return max((int(one) for one in found if one is not None), default=0)


def _cause(error: Exception) -> str:
    """The driver's own words, without the statement and its values."""
    origin = getattr(error, "orig", None) if isinstance(error, SQLAlchemyError) else error
    return str(origin).splitlines()[0][:200] if origin is not None and str(origin) else type(error).__name__


def away(error: Exception, what: str, where: str) -> StoreError:
    """A database that did not take the connection is something that this machine lacks."""
    cause = _cause(error)
    if cause.startswith("Could not decode"):  # the rest of the driver's words is the text itself
        return StoreError(f"{what}: a text in it is not UTF-8", where=where, cure=typed_rows.CURE)
    for words, kind, cure in _REFUSED_WRITES:
        if words in cause:
            return kind(f"{what}: {cause}", where=where, cure=cure)
    origin = error.orig if isinstance(error, DBAPIError) else error  # of COPY, the driver's own
    if origin is not None and (files.is_full(origin) or getattr(origin, "sqlstate", "") == DISK_FULL):
        return DatabaseFullError(f"{what}: the disk is full", where=where, cure=ROOM)
    lost = isinstance(error, DBAPIError) and error.connection_invalidated
    if lost or (isinstance(error, OperationalError) and error.statement is None):
        cure = "is that file there, and yours to write?"
        if where == "database":
            cure = _REFUSED if "FATAL" in cause else "is the database running?"
        return StoreAwayError(f"{what}: {cause}", where=where, cure=cure)
    if isinstance(error, DatabaseError) and any(word in cause for word in _DAMAGED):
        cure = "restore it from its backup, and its blobs with it; then: department verify"
        return StoreError(f"the store is damaged: {cause}", where=where, cure=cure)
    return StoreError(f"{what}: {cause}")


def _on_sqlite_connect(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun below, not by the driver
    typed_rows.on_connect(connection)
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "secure_delete=ON",
        "foreign_keys=ON",
        "wal_autocheckpoint=4000",
        f"busy_timeout={LOCK_SECONDS * 1000}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _on_postgres_connect(connection: Any, _record: object) -> None:
    """A path that was set for the role puts no function before the system's own, and what is committed is on
    the disk before it counts as committed."""
    with connection.cursor() as cursor:
        path = cursor.execute("SHOW search_path").fetchone()[0]
        left = ", ".join(one for one in map(str.strip, path.split(",")) if one.strip('"') != "pg_catalog")
        if left != path:
            cursor.execute("SELECT pg_catalog.set_config('search_path', %s, false)", (left,))
        if cursor.execute("SHOW synchronous_commit").fetchone()[0] == "off":
            cursor.execute("SET synchronous_commit = on")
    connection.commit()


def _on_sqlite_begin(connection: sa.Connection) -> None:
    reading = connection.get_execution_options().get("reading", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def open_store(url: str, *, migrate: bool = True) -> Store:
    """Open and migrate. Raises InvalidInputError for a bad URL, StoreError when the database is silent."""
    try:
        parsed = sa.make_url(url)
        postgres = parsed.get_backend_name() == "postgresql"
        options: dict[str, Any] = {}
        if postgres:  # pre_ping: after the database's restart, what the pool kept is a closed connection
            options = {"pool_size": 8, "max_overflow": 24, "pool_pre_ping": True}
        engine = sa.create_engine(parsed, hide_parameters=True, **options)
    except (ArgumentError, NoSuchModuleError) as error:
        raise InvalidInputError(f"is not a database URL: {error}", where="database") from None
    except ModuleNotFoundError as error:
        raise InvalidInputError(
            f"{error.name} is not installed", where="database", cure="pip install 'alpr-reader[postgres]'"
        ) from None
    if not postgres:
        if parsed.get_backend_name() != "sqlite":
            raise InvalidInputError("must be SQLite or PostgreSQL", where="database")
        event.listen(engine, "connect", _on_sqlite_connect)
        event.listen(engine, "begin", _on_sqlite_begin)
    else:
        event.listen(engine, "connect", _on_postgres_connect)
    store = Store(engine)
    event.listen(engine, "connect", store._note_file)
    if migrate:
        try:
            _migrate(store)
            store.watch()
        except BaseException:
            store.close()
            raise
    if not postgres and parsed.database and migrate:
        Path(parsed.database).chmod(0o600)
    return store


def open_store_of(home: DepartmentHome, *, migrate: bool = True) -> Store:
    """The store of a home, which has one since it was founded.

    Raises HomeError where SQLite's file is gone, or the database has no table of it: a new one would know no
    unit and no read. Raises as `open_store`. Without `migrate` nothing is written: HomeError where the tables
    are of an earlier version.
    """
    path = home.path / SQLITE_FILE
    here = path.exists() and (path.is_dir() or path.stat().st_size > 0)
    elsewhere = named_elsewhere(home)
    if not elsewhere and not here:
        what, cure = "the store is gone, or empty", "restore it from its backup, and its blobs with it"
        raise HomeError(what, where=str(path), cure=cure)
    if elsewhere and here:
        raise HomeError(
            "a store is here, and the settings name a database: one of the two would be set back",
            where=str(path),
            cure="department move with that database ends a move that was interrupted; if that database is "
            f"the store, and this file was left behind, move this file away; if this file is the store, take "
            f"out of the setting {home.path / SETTINGS_FILE}: database what was put there by hand",
        )
    if elsewhere:
        with contextlib.closing(open_store(home.database_url, migrate=False)) as there:
            _demand_tables(home, there)
    store = open_store(home.database_url, migrate=migrate)
    if migrate:
        return store
    try:
        demand_newest(store)
    except BaseException:
        store.close()
        raise
    return store


def named_elsewhere(home: DepartmentHome) -> str:
    """The database that the settings name beside SQLite's file here; empty where they name that, or none."""
    named = home.settings.database
    with contextlib.suppress(ArgumentError):  # who opens it says so
        url = sa.make_url(named)
        if url.get_backend_name() == "sqlite" and url.database:
            own = (home.path / SQLITE_FILE).resolve()
            return "" if Path(url.database).resolve() == own else named
    return named


def _demand_tables(home: DepartmentHome, store: Store) -> None:
    with store.read() as connection:
        names = set(sa.inspect(connection).get_table_names())
    if not names & set(tables.metadata.tables):
        raise HomeError(
            "the store is gone: the database that is named there has no table of a department",
            where=f"{home.path / SETTINGS_FILE}: database",
            cure="set database as it was, or restore the database from its backup; department move takes a "
            "store from SQLite to PostgreSQL",
        )


def demand_newest(store: Store) -> None:
    """Tables of another version that is written there than theirs are checked, and that is named."""
    found, misnamed = _revision(store)
    if found > tables.REVISION and store.planted() != (misnamed,):
        raise _newer(found)
    if found != tables.REVISION and not misnamed:
        raise HomeError(
            f"the store's tables are of version {found or '(none)'}, and those of these programs are "
            f"{tables.REVISION}: a check changes nothing",
            where=store.where,
            cure="the server brings them up to date at its start: department serve; then check again",
        )


def _revision(store: Store) -> tuple[str, str]:
    """(the version that is written in the database, that the tables are of another)."""
    found, misnamed = "", ""
    with store.read() as connection:
        if sa.inspect(connection).has_table(tables.revision.name):
            found = str(connection.execute(select(tables.revision.c.version_num)).scalar() or "")
        if found != tables.REVISION:
            misnamed = own_schema.examined(connection).misnamed
    return found, misnamed


def _newer(found: str) -> NewerError:
    return NewerError(f"the database has tables {found}, and this version knows {tables.REVISION}")


def _migrate(store: Store) -> None:
    """Bring the schema up to date. One that is takes no lock: every command opens the store. Raises
    NewerError, StoreError where the tables are new, and another version is written there."""
    found, misnamed = _revision(store)
    if found == tables.REVISION:
        return
    if found > tables.REVISION:
        raise _newer(found)
    if misnamed:
        raise StoreError(misnamed, where=store.where, cure=own_schema.CURE)
    with store.write() as connection:
        upgrade(connection)


def upgrade(connection: sa.Connection) -> None:
    """Make the tables, or bring them up to date, in the transaction of this connection."""
    # here and not above: alembic is a third of a second, and nearly every start finds the newest schema
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    if connection.dialect.name == "postgresql":  # programs that start together go one after another
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK:d})")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
