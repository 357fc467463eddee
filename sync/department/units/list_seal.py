"""The key that seals the department's hot lists and their documents in the store.

A part of a list, or a change to it, holds plates, including those of covert entries. The database may be on
another machine, and its backups anywhere; the key is a 0600 file in HOME. Units get the documents as signed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import func, select, update

from storage import files
from storage.errors import StorageError
from storage.hot_list_file import seal, unseal
from sync.department.ground.home import DepartmentHome
from sync.department.store.database import Store
from sync.department.store.tables import documents
from sync.hot_lists.document import DELTA, HEAD, PART
from sync.hot_lists.held import lists_folder

KEY_FILE = "hotlists.key"
SEALED = b"alpr-department sealed list\n"  # no signed document begins like this
_HOLDING_PLATES = (f"{PART}/", f"{DELTA}/")


def list_key_of(home: DepartmentHome, *, first: bool = False) -> bytes:
    """The key that seals lists at the department. `first`: make it if no list is kept yet.

    Raises StorageError if it is missing or is not a key.
    """
    path: Path = home.path / KEY_FILE
    if not path.exists():
        folder = lists_folder(home.path)
        if not first or any(folder.glob("*.list")):
            raise StorageError("is gone: no list that it sealed opens", where=str(path), cure=_cure(folder))
        files.write_first(path, os.urandom(32))
    elif first:
        files.sync_dir(path.parent)  # its writer may have ended before doing so
    key = path.read_bytes()
    if len(key) != 32:
        raise StorageError("has 32 bytes", where=str(path), cure=_cure(lists_folder(home.path)))
    return key


def _cure(folder: Path) -> str:
    return (
        f"restore it from the backup; if it is lost for good, move {folder} away and send each list again: "
        "department hotlist push"
    )


def sealed(home: DepartmentHome, name: str, message: bytes) -> bytes:
    """A document as the store keeps it: sealed if it holds plates. Raises StorageError, OSError."""
    if not name.startswith(_HOLDING_PLATES):
        return message
    return SEALED + seal(list_key_of(home, first=True), _label(name), 0, message)


def list_of(name: str) -> str:
    """The id of a document's list; empty for other documents."""
    kind, _, rest = name.partition("/")
    return rest.partition(".")[0] if kind in {HEAD, PART, DELTA} else ""


def unsealing(home: DepartmentHome) -> Callable[[str, bytes], bytes]:
    """Maps a document's name and stored bytes to its signed bytes; raises StorageError, OSError."""

    def signed(name: str, stored: bytes) -> bytes:
        if not stored.startswith(SEALED):
            return stored
        return unseal(list_key_of(home), _label(name), 0, stored[len(SEALED) :])

    return signed


def seal_stored(home: DepartmentHome, store: Store) -> int:
    """Seal documents that an older version kept in the clear; returns how many.

    Raises StoreError, StorageError.
    """
    table = documents.c
    done = 0
    with store.write() as connection:
        held = func.substr(table.message, 1, len(SEALED)) != SEALED
        for kind in _HOLDING_PLATES:
            clear = connection.execute(
                select(table.name, table.unit_id, table.message).where(table.name.startswith(kind), held)
            ).all()
            for name, unit_id, message in clear:
                where = (table.name == name) & (table.unit_id == unit_id)
                connection.execute(
                    update(documents).where(where).values(message=sealed(home, name, bytes(message)))
                )
            done += len(clear)
    if done:
        store.shrink()
    return done


def _label(name: str) -> str:
    return f"offered {name}"
