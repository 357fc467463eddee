"""Opens the store of a department, and brings its tables up to date."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event, select
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from sync.department.ground.home import SETTINGS_FILE, SQLITE_FILE, DepartmentHome
from sync.department.store import own_schema, tables, typed_rows
from sync.department.store.database import LOCK_SECONDS, Store
from sync.errors import HomeError, InvalidInputError, NewerError, StoreError

MIGRATIONS = Path(__file__).parent / "migrations"
MIGRATION_LOCK = 463_463  # our own advisory lock in the database


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
    """Keep the role's search path from shadowing system functions, and make commits synchronous."""
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
    """Open and migrate a store. Raises InvalidInputError for a bad URL, StoreError if it is unreachable."""
    try:
        parsed = sa.make_url(url)
        postgres = parsed.get_backend_name() == "postgresql"
        options: dict[str, Any] = {}
        if postgres:  # pre_ping: after a restart of the database, the pool's connections are closed
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
    event.listen(engine, "connect", store.note_file)
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
    """Open the store of a home, which has one from its founding.

    Raises HomeError if SQLite's file is gone or the database has none of its tables, since a new store would
    have no units and no reads. Also raises as `open_store`. Without `migrate`, nothing is written, and tables
    of an older version raise HomeError.
    """
    path = home.path / SQLITE_FILE
    here = path.exists() and (path.is_dir() or path.stat().st_size > 0)
    elsewhere = named_elsewhere(home)
    if not elsewhere and not here:
        what, cure = "the store is gone, or empty", "restore it from its backup, and its blobs with it"
        raise HomeError(what, where=str(path), cure=cure)
    if elsewhere and here:
        raise HomeError(
            "a store is here, and the settings name a database: one of the two is out of date",
            where=str(path),
            cure="to end a move that was interrupted, run department move with that database again; if that "
            f"database is the store and this file was left behind, move this file away; if this file is the "
            f"store, remove from {home.path / SETTINGS_FILE}: database what was put there by hand",
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
    """The database that the settings name beside the SQLite file here; empty if none, or that file."""
    named = home.settings.database
    with contextlib.suppress(ArgumentError):  # reported when it is opened
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


def demand_unused(store: Store) -> None:
    """Raises HomeError for a database that has a row of a department: two of them would share its tables."""
    with store.read() as connection:
        for name in set(sa.inspect(connection).get_table_names()) & set(tables.metadata.tables):
            if connection.execute(sa.select(sa.literal(1)).select_from(sa.table(name)).limit(1)).first():
                raise HomeError(
                    "the store of a department is in this database",
                    where="database",
                    cure="make an empty one, only for this department: createdb -O ROLE DATABASE; to "
                    "continue with that department, restore its home from its backup",
                )


def demand_newest(store: Store) -> None:
    """Raises HomeError for tables of an older version, NewerError for those of a newer one.

    If only the recorded version is wrong, the tables are checked all the same, and the check names that.
    """
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
    """The version written in the database, and a line if the tables are of another version."""
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
    """Bring the schema up to date; a current one takes no lock, since every command opens the store.

    Raises NewerError, or StoreError if the tables are current but another version is written there.
    """
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
    """Make the tables or bring them up to date, in this connection's transaction."""
    # imported here: alembic takes a third of a second, and nearly every start finds the newest schema
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    if connection.dialect.name == "postgresql":  # programs that start together take turns
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK:d})")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
