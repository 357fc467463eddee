"""Whether a department ever had a desk, judged by what a desk leaves outside its access log.

If the log was removed or a disk lost it, there must be neither a department without a desk, where changes
need no person, nor a second log, which would look as if no lookup had ever been made. So everything that
only a desk leaves is a trace: other files in HOME/desk, what only a desk's ceremony puts into the root file,
holds and tree heads at the key service, exported packages, a roster with people at the units. A new
department has none of them. Root can remove them all, but not what the witness and the offices keep.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from storage import codec, envelope
from storage.errors import StorageError
from storage.roster import Roster
from sync.department.content.key_remote import address_of, remote
from sync.department.content.opened_list import DATABASE as OPENED_DATABASE
from sync.department.content.opened_list import HEAD, MAX_LINE_BYTES, OpenedLine
from sync.department.desk.log_state import FOLDER
from sync.department.ground.home import DepartmentHome
from sync.department.journal.access_log import DATABASE, KEYS
from sync.department.journal.reading import reading
from sync.department.policy.named_files import root_in
from sync.department.store.database import Store
from sync.department.store.opening import open_store_of
from sync.department.units import documents
from sync.department.units.signed_rows import parsed
from sync.errors import HomeError, KeyServiceError
from sync.root_file import KEY_SERVICE

EXPORTS = "case-exports"


def log_is_here(home: DepartmentHome) -> bool:
    """Whether there is an access log that is not an empty file."""
    path = home.path / FOLDER / DATABASE
    return path.is_file() and path.stat().st_size > 0


def demand_no_desk(home: DepartmentHome, store: Store | None = None) -> None:
    """Refuse a department that had an access log and lacks it now. Raises HomeError, and as opening a store
    does."""
    trace = trace_of_desk(home, store)
    if trace:
        raise HomeError(
            f"the access log is gone, or empty, and this department had a desk: {trace}",
            where=str(home.path / FOLDER / DATABASE),
            cure=f"restore it from its backup, with {FOLDER}/{KEYS}; what is here is evidence: keep a copy",
        )


def trace_of_desk(home: DepartmentHome, store: Store | None = None) -> str:
    """The first trace of a desk, in words; empty if there is none. `store`: the home's, if it is open."""
    for look in (_beside_log, _in_root_file, _at_keys, _left_in_home):
        found = look(home)
        if found:
            return found
    return _in_store(home, store) or _at_service_elsewhere(home)


def _beside_log(home: DepartmentHome) -> str:
    folder = home.path / FOLDER
    others = sorted(one for one in folder.glob("*") if one != folder / DATABASE)
    return f"{others[0].relative_to(home.path)} is here" if others else ""


def _in_root_file(home: DepartmentHome) -> str:
    """A trace in the root file, which only a desk's ceremony replaces. An unreadable one is reported
    elsewhere."""
    try:
        root = root_in(home)
    except (OSError, HomeError):
        return ""
    if root.witnesses or root.public_witnesses:
        return "the root file names a witness"
    if root.other(KEY_SERVICE) is not None:
        return "the root file names a key service"
    return f"the root file is version {root.version}" if root.version > 1 else ""


def _at_keys(home: DepartmentHome) -> str:
    if _has_files(home.keys / "hold"):
        return "the key service has keys of holds"
    path = home.keys / OPENED_DATABASE
    with contextlib.suppress(sqlite3.Error, StorageError):  # a damaged list is reported when it is opened
        if path.is_file() and path.stat().st_size:
            with reading(path, at_home=True) as db:
                if db.execute("SELECT 1 FROM heads LIMIT 1").fetchone():
                    return f"the key service's list ({path.name}) has tree heads of its log"
    return ""


def _left_in_home(home: DepartmentHome) -> str:
    for folder, what in ((home.path / EXPORTS, "exported packages"), (home.evidence, "an authority")):
        if _has_files(folder):
            return f"{folder.name}/ has {what}"
    return ""


def _in_store(home: DepartmentHome, store: Store | None) -> str:
    """A trace in the store: a desk sends units its people, and without a desk the only roster is empty."""
    with contextlib.ExitStack() as closing:
        if store is None:
            store = open_store_of(home)
            closing.callback(store.close)
        with store.read() as connection:
            version, message = documents.out(connection, "roster")
    if version > 1 or (message and _has_people(message)):
        return "units are offered a roster of its people"
    return ""


def _has_people(message: bytes) -> bool:
    try:
        return bool(parsed(message, Roster).people)
    except StorageError:
        return False  # `verify` names a document that no one signed


def _at_service_elsewhere(home: DepartmentHome) -> str:
    """A trace at a key service elsewhere.

    If it does not answer, there is none; without it no unit joins and no day is opened anyway.
    """
    address = address_of(home)
    if address is None:
        return ""
    service = remote(address, approved=home.fips)[0]
    try:
        lines = service.lines_from(0)
    except KeyServiceError:
        return ""
    finally:
        service.close()
    return "the key service's list has tree heads of its log" if any(map(_is_head, lines)) else ""


def _is_head(line: bytes) -> bool:
    try:
        payload = envelope.split(line, limit=MAX_LINE_BYTES)[1]
        return codec.from_bytes(OpenedLine, payload).kind == HEAD
    except StorageError:
        return False


def _has_files(folder: Path) -> bool:
    return any(one.is_file() for one in folder.rglob("*"))
