"""The store, read and written in transactions, on SQLite or PostgreSQL. SQLAlchemy Core.

SQLite runs in WAL mode with synchronous=FULL and secure_delete, and every write is in BEGIN IMMEDIATE. On
PostgreSQL, bulk rows use COPY, and a day's partitions are made on first use and dropped by a purge.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from sync.department.store import own_schema, tables, typed_rows
from sync.department.store.database_errors import away
from sync.errors import StoreAwayError, StoreError

PARTITION_LOCK_MS = 3000  # how long all others may wait behind a partition that is made or dropped
LOCK_SECONDS = 30


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
        # COPY bypasses SQLAlchemy; an SQLite error here would be from another database
        self._driver_errors = (engine.dialect.loaded_dbapi.Error,) if self.postgres else ()
        # SQLite polls for its lock every 100 ms, so threads of this process first take turns
        self._turn = None if self.postgres else threading.Lock()

    @contextlib.contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction that is durable when the block ends.

        Raises StoreError if it cannot be, or if something planted in the database would act in it.
        """
        try:
            with self._in_turn(), self.engine.begin() as connection:
                self._demand_there()
                self._demand_own_now(connection)
                yield connection
        except (TypeError, ValueError, OverflowError) as error:
            raise self._odd_value() from error
        except (SQLAlchemyError, *self._driver_errors) as error:
            self._days.clear()  # a store that was restored while the server runs lacks partitions
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
        """Raises StoreError if SQLite's file was moved or replaced while open: writes to it would be lost."""
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

    def note_file(self, _connection: object, _record: object) -> None:
        self._file = self._file or self._file_there()

    @contextlib.contextmanager
    def read(self, **options: Any) -> Iterator[sa.Connection]:
        """A transaction that only reads. Raises StoreError if it cannot, or for a value of the wrong type."""
        try:
            with self.engine.connect().execution_options(reading=True, **options) as connection:
                yield connection
        except (TypeError, ValueError, OverflowError) as error:
            raise self._odd_value() from error
        except SQLAlchemyError as error:
            raise away(error, "the store cannot be read now", self.where) from None

    def let_others(self, connection: sa.Connection) -> None:
        """Between two steps of a long read, let go of PostgreSQL's locks: a purge and a new day wait for it.

        SQLite's readers stop no one, and see to the end what was there when they began.
        """
        if self.postgres:
            connection.commit()

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[sa.Connection]:
        """As `read`, for a long check: on either database, all queries up to `let_others` see one state."""
        options = {"isolation_level": "REPEATABLE READ"} if self.postgres else {}
        with self.read(**options) as connection:
            yield connection

    @contextlib.contextmanager
    def listing(self) -> Iterator[sa.Connection]:
        """A transaction for listing rows.

        Rows with values of the wrong type are left out and reported (`odd_rows`), so that one of them does
        not hide the others.
        """
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
        """The error for a value that does not fit its column."""
        return StoreError(
            "the store has a value that does not fit its column", where=self.where, cure=typed_rows.CURE
        )

    # --- planted objects -------------------------------------------------------------------------------

    def planted(self) -> tuple[str, ...]:
        """A line for each database object that this program did not make."""
        with self.read() as connection:
            return own_schema.examined(connection).wrong

    def absent(self, connection: sa.Connection) -> frozenset[str]:
        """Tables that cannot be read as ours; checked again whenever the schema changes."""
        now = own_schema.mark(connection)
        if self._absent_at[0] != now:
            self._absent_at = now, own_schema.examined(connection).absent
        return self._absent_at[1]

    def others(self) -> tuple[str, ...]:
        """A line for each way in which other database roles can change rows here."""
        with self.read() as connection:
            return tuple(own_schema.others(connection))

    def demand_own(self) -> None:
        """Raises StoreError if a trigger, view, index or table is not as this program makes it."""
        _refuse_planted(self.planted(), self.where)

    def watch(self) -> None:
        """From now on, check this before each write after a change of the schema.

        A trigger would act with this program's rights.
        """
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
        """On PostgreSQL, make the partitions of a day of receipt if they are missing.

        Each is made first and attached then: CREATE TABLE ... PARTITION OF waits for every open read of the
        table, be it a backup of hours.
        """
        if self.postgres:
            self._wait_briefly(connection)
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(463)")
            for table in tables.PARTITIONED:
                part = f"{table.name}_{day:d}"
                there = connection.execute(sa.select(sa.func.to_regclass(part))).scalar_one()
                if there is None:
                    connection.exec_driver_sql(f"CREATE TABLE {part} (LIKE {table.name} INCLUDING ALL)")
                    connection.exec_driver_sql(
                        f"ALTER TABLE {table.name} ATTACH PARTITION {part} FOR VALUES IN ({day:d})"
                    )

    @staticmethod
    def _wait_briefly(connection: sa.Connection) -> None:
        """Let the rest of a transaction wait only briefly for locks.

        Dropping a partition waits for each open read of its table, be it a backup of hours, and every other
        read and write of the table waits behind it.
        """
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {PARTITION_LOCK_MS:d}")

    def drop_day(self, connection: sa.Connection, day: int) -> None:
        """Remove all rows of a day of receipt from the partitioned tables."""
        self._days.discard(day)
        if self.postgres:
            self._wait_briefly(connection)
        for table in tables.PARTITIONED:
            if self.postgres:
                connection.exec_driver_sql(f"DROP TABLE IF EXISTS {table.name}_{day:d}")
            else:
                connection.execute(sa.delete(table).where(table.c.day == day))

    def shrink(self, wait_s: float = LOCK_SECONDS) -> bool:
        """After a purge, write SQLite's WAL back and truncate it, so that no old page stays in it.

        Returns False if a reader, such as a check that takes hours, still needs an old page after wait_s.
        Writers wait that long, too.
        """
        if self.postgres:
            return True
        raw = self.engine.raw_connection()
        cursor = raw.cursor()
        try:
            cursor.execute(f"PRAGMA busy_timeout = {round(wait_s * 1000):d}")
            busy = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        finally:
            cursor.execute(f"PRAGMA busy_timeout = {LOCK_SECONDS * 1000:d}")
            raw.close()
        return not busy

    # --- bulk ------------------------------------------------------------------------------------------

    def add_rows(self, connection: sa.Connection, table: sa.Table, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert many rows, given in the table's column order; by COPY if the database supports it."""
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
        raise StoreError(f"{wrong[0]}{more}: nothing more is written", where=where, cure=own_schema.CURE)


def newest_in(store: Store) -> int:
    """The newest time in the store, UTC us, or 0; a clock before it is wrong. Ignores invalid values."""
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
        absent = store.absent(connection)  # a view in their place may be endless
        for one in (one for one in columns if one.table.name not in absent):
            newest = select(sa.func.max(one)).where(sa.not_(typed_rows.odd(one, sqlite=sqlite)))
            found.append(connection.execute(newest).scalar())
    return max((int(one) for one in found if one is not None), default=0)
