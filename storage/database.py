"""Opens our SQLite files, all in the same way: durable, and guarded against damaged pages.

Built on sqlite-utils: the rest of the room uses its `Database.atomic`, which nests by savepoints, and its row
and schema calls. Its migrations are not used, since they keep a table in the file, and here every table must
be bound to a signature.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from storage import files
from storage.errors import CONTINUE, DamagedError

if TYPE_CHECKING:
    import sqlite_utils

MOST_BYTES = 64 << 20  # of one row: a larger one is not our record
DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
MODES = {
    "write": "mode=rwc",
    "read": "mode=ro",
    "immutable": "mode=ro&immutable=1",
}


def blob_of(value: object) -> bytes:
    """A row's value as bytes. Raises TypeError.

    A forged or damaged file may hold an integer there, and bytes(integer) would allocate that much memory.
    """
    if not isinstance(value, bytes):
        raise TypeError("is not a blob")
    return value


def primary_code(error: BaseException) -> int:
    """The primary result code of an error of SQLite; 0 for another error, or one of Python's own."""
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


@contextlib.contextmanager
def naming_damage(path: Path) -> Iterator[None]:
    """Turn SQLite's report of a damaged page into a DamagedError about the database `path`.

    An I/O error of the card stays as it is: it may pass. The report, too, may come from a failed read: before
    a log is given up for it, `storage.damage` looks at all of it.
    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        if primary_code(error) not in DAMAGE:
            raise
        raise DamagedError(f"is damaged: {error}", where=str(path), cure=CONTINUE) from error


def failure_cure(error: sqlite3.Error, path: Path) -> str:
    """What to do if SQLite cannot use an undamaged file; a lock, for example, is not the card's fault."""
    if primary_code(error) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return (
            f"a database shell or a backup holds it: sudo fuser -v {shlex.quote(str(path))} names the program"
        )
    return files.CARD_FAILS


def demand_plain_tables(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a database with anything that acts by itself. Raises DamagedError, sqlite3.Error.

    A view in place of a table can keep readers busy forever, and a trigger acts with the writer's rights. A
    unique index, or a table that resolves conflicts, can make rows disappear as they are written. Our tables
    have none of these.
    """
    for what, query in _ACTING.items():
        if connection.execute(query).fetchone()[0]:
            raise DamagedError(
                f"tables differ from what this program makes: it holds {what}", where=str(path)
            )


_ACTING = {
    "a view or a trigger": "SELECT count(*) FROM sqlite_master WHERE type NOT IN ('table', 'index')",
    "a table that drops rows, or is not one of SQLite's own": "SELECT count(*) FROM sqlite_master WHERE "
    "instr(upper(sql), 'CONFLICT') OR (type = 'table' AND rootpage = 0)",
    "a unique index": "SELECT count(*) FROM sqlite_master m JOIN pragma_index_list(m.name) i "
    "WHERE m.type = 'table' AND i.\"unique\" AND i.origin = 'c'",
}


def connect(path: Path, mode: str = "write") -> sqlite_utils.Database:
    """Open a database in one of MODES. Raises sqlite3.Error; LedgerError if it is not a plain file.

    A writer gets WAL, `synchronous=FULL` and `secure_delete`. "read" reads while another process may write.
    "immutable" reads a file without a writer and ignores its write-ahead log: it takes no lock and creates no
    file, so it works on read-only media.
    """
    import sqlite_utils  # noqa: PLC0415 - loads NumPy where it is installed: only for who opens a database

    files.demand_plain(path, *(path.with_name(path.name + end) for end in ("-wal", "-shm", "-journal")))
    connection = sqlite3.connect(
        f"file:{quote(os.fsencode(path))}?{MODES[mode]}",
        uri=True,
        check_same_thread=False,
        timeout=10,
        cached_statements=64,
    )
    try:
        database = sqlite_utils.Database(connection, execute_plugins=False)
        connection.execute("PRAGMA cell_size_check=ON")
        connection.execute("PRAGMA temp_store=MEMORY")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MOST_BYTES)
        if mode == "write":
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA secure_delete=ON")
            connection.execute("PRAGMA wal_autocheckpoint=400")
    except BaseException:
        connection.close()
        raise
    return database
