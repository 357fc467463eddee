"""The tables, their migrations, and how the database is opened: WAL, synchronous=FULL, secure_delete.

Every table is leaves, bytes bound to a leaf by digest, or a cache that `verify` recomputes:

    leaves    the COSE_Sign1 leaves in order; `epoch` and `hash` are caches of what the leaf says
    nodes     hashes of complete subtrees of 256^n leaves, a cache
    elements  stored bytes of small elements, bound by the leaf's digest
    head      the newest signed checkpoint; anchors: those that the department co-signed
    state     the only mutable record, signed
"""

from __future__ import annotations

import contextlib
import errno
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from storage import database, files
from storage.errors import CONTINUE, DamagedError, LedgerError, NewerLedgerError, StoreFullError

if TYPE_CHECKING:
    import sqlite_utils

ROOM_TO_OPEN = 1 << 20
APPLICATION_ID = 0x414C5052  # "ALPR"
FORMAT = 2
DAMAGE_CURE = f"reader verify names the first bad record; {CONTINUE}"
_TABLES_1 = """
CREATE TABLE leaves (sequence INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, leaf BLOB NOT NULL,
    hash BLOB NOT NULL) STRICT;
CREATE INDEX leaves_by_epoch ON leaves (epoch, sequence);
CREATE TABLE nodes (level INTEGER NOT NULL, idx INTEGER NOT NULL, hash BLOB NOT NULL,
    PRIMARY KEY (level, idx)) STRICT, WITHOUT ROWID;
CREATE TABLE elements (sequence INTEGER NOT NULL, name TEXT NOT NULL, stored BLOB NOT NULL,
    PRIMARY KEY (sequence, name)) STRICT, WITHOUT ROWID;
CREATE TABLE head (id INTEGER PRIMARY KEY CHECK (id = 1), note TEXT NOT NULL) STRICT;
CREATE TABLE anchors (size INTEGER PRIMARY KEY, note TEXT NOT NULL) STRICT;
CREATE TABLE state (id INTEGER PRIMARY KEY CHECK (id = 1), body BLOB NOT NULL) STRICT;
"""


def _to_1(connection: sqlite3.Connection) -> None:
    for statement in filter(str.strip, _TABLES_1.split(";")):
        connection.execute(statement)


def _to_2(connection: sqlite3.Connection) -> None:
    """Store elements by rowid: then a text of 1.4 kB fits in its page instead of overflowing into another."""
    connection.execute(
        "CREATE TABLE elements_2 (sequence INTEGER NOT NULL, name TEXT NOT NULL, stored BLOB NOT NULL, "
        "PRIMARY KEY (sequence, name)) STRICT"
    )
    connection.execute(
        "INSERT INTO elements_2 SELECT sequence, name, stored FROM elements ORDER BY sequence, name"
    )
    connection.execute("DROP TABLE elements")
    connection.execute("ALTER TABLE elements_2 RENAME TO elements")


Step: TypeAlias = Callable[[sqlite3.Connection], None]
MIGRATIONS: tuple[Step, ...] = (_to_1, _to_2)
"""MIGRATIONS[n] brings format n to n + 1, inside one transaction."""


def connect(path: Path, *, readonly: bool = False) -> sqlite_utils.Database:
    """Open the database with custody's settings. Raises LedgerError."""
    try:
        return database.connect(path, "read" if readonly else "write")
    except (sqlite3.Error, UnicodeDecodeError) as error:  # UnicodeDecodeError: from a damaged schema
        if path.exists() and means_no_room(error, path.parent):
            raise no_room_to_open(path) from None
        what = f"cannot be opened: {error}"
        if (getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF) in database.DAMAGE:
            raise DamagedError(what, where=str(path), cure=DAMAGE_CURE) from None
        cure = database.failure_cure(error, path) if isinstance(error, sqlite3.Error) else ""
        raise LedgerError(what, where=str(path), cure=cure) from None


def means_no_room(error: BaseException, folder: Path) -> bool:
    """Whether an error in this folder means a full disk: if there is no room for its extra files, SQLite
    reports an I/O error, as where the card fails their write.
    """
    if isinstance(error, sqlite3.Error) and "I/O" in str(error):
        return shutil.disk_usage(folder).free < ROOM_TO_OPEN
    return files.is_full(error)


def no_room_to_open(path: Path) -> StoreFullError:
    """The error for a full disk whose reserve is also used up."""
    cure = "remove what is not the reader's, or copy the whole home to a larger card"
    return StoreFullError("no room to open the ledger", where=str(path), cure=cure)


@contextlib.contextmanager
def evidence(path: Path, *, written: bool) -> Iterator[sqlite_utils.Database]:
    """The database for a check that changes no files. Raises sqlite3.Error, OSError, DamagedError.

    `written`: a process writes it now; then it is read alongside. Else it is read as it is or, if it has a
    write-ahead log (after a power cut), as a private copy, since SQLite would remove that log.
    """
    wal = path.with_name(path.name + "-wal")
    with contextlib.ExitStack() as stack:
        mode = "read" if written else "immutable"
        if not written and wal.exists() and wal.stat().st_size:
            try:
                private = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="verify-")))
            except OSError as error:
                raise OSError(errno.ENOSPC, f"no temporary folder for a private copy: {error}") from None
            need = path.stat().st_size + wal.stat().st_size
            if shutil.disk_usage(private).free < need + ROOM_TO_OPEN:
                what = (
                    f"no room in {private.parent} for a copy of {need >> 20} MB: set TMPDIR to a larger disk"
                )
                raise OSError(errno.ENOSPC, what)
            for one in (path, wal):
                shutil.copyfile(one, private / one.name)
            path, mode = private / path.name, "write"
        db = database.connect(path, mode)
        stack.callback(db.close)
        database.demand_plain_tables(db.conn, path)
        yield db


def found(db: sqlite_utils.Database, path: Path) -> int:
    """The format of an existing database. Raises LedgerError for a foreign or newer one."""
    try:
        application = db.execute("PRAGMA application_id").fetchone()[0]
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.Error as error:
        raise DamagedError(f"is damaged: {error}", where=str(path), cure=DAMAGE_CURE) from None
    if application != APPLICATION_ID:
        raise LedgerError("is not a reader's ledger", where=str(path))
    if version > FORMAT:
        raise NewerLedgerError(f"has format {version}, this program knows {FORMAT}", where=str(path))
    return version


def migrate(
    db: sqlite_utils.Database, version: int, *, to: int = FORMAT, steps: tuple[Step, ...] = MIGRATIONS
) -> None:
    """Migrate a database to another format, one transaction per step, so that an interruption is harmless.

    When this returns, what a step removed is also gone from the write-ahead log.
    """
    for step in range(version, to):
        with db.atomic():
            steps[step](db.conn)
            db.conn.execute(f"PRAGMA application_id={APPLICATION_ID}")
            db.conn.execute(f"PRAGMA user_version={step + 1}")
    if 0 < version < to:
        db.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def expected_schema(version: int) -> set[tuple[str, str]]:
    """(name, SQL) of every object in a database of this format."""
    import sqlite_utils  # noqa: PLC0415 - as in `database.connect`

    empty = sqlite_utils.Database(memory=True)
    migrate(empty, 0, to=version)
    objects = schema_of(empty)
    empty.close()
    return objects


def demand_own(db: sqlite_utils.Database, version: int, path: Path) -> None:
    """Check that tables and indexes are exactly those that this program makes. Raises DamagedError.

    A planted trigger would act on stored data with the reader's own rights.
    """
    try:
        same = schema_of(db) == expected_schema(version)
    except sqlite3.Error as error:
        raise DamagedError(f"is damaged: {error}", where=str(path)) from None
    if not same:
        raise DamagedError(
            "its tables are not those that this program makes: they were altered",
            where=str(path),
            cure=DAMAGE_CURE,
        )


def schema_of(db: sqlite_utils.Database) -> set[tuple[str, str]]:
    """(name, SQL) of every object in the database."""
    rows = db.execute("SELECT name, sql FROM sqlite_master").fetchall()
    return {(str(name), str(sql)) for name, sql in rows}
