"""Whether a department ever had a desk, by what a desk leaves outside of its access log.

Who removes the log (or a disk that lost it) must not get a department without a desk, where no change asks
for a person, nor a second log, which would look as if no look-up was ever made. So each thing that only a
desk leaves is a trace: other files of HOME/desk, what the root file can name only by a desk's ceremony, holds
and tree heads at the key service, exported packages, a roster with people at the units. A new department has
none of them. Root can remove them all: what the witness and the offices keep is out of its reach.
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
    """Whether there is an access log, and not an empty file in its place."""
    path = home.path / FOLDER / DATABASE
    return path.is_file() and path.stat().st_size > 0


def demand_no_desk(home: DepartmentHome, store: Store | None = None) -> None:
    """Raises HomeError where a department without an access log had one. Raises as the opening of a store."""
    trace = trace_of_desk(home, store)
    if trace:
        raise HomeError(
            f"the access log is gone, or empty, and this department had a desk: {trace}",
            where=str(home.path / FOLDER / DATABASE),
            cure=f"restore it from its backup, with {FOLDER}/{KEYS}; what is here is evidence: keep a copy",
        )


def trace_of_desk(home: DepartmentHome, store: Store | None = None) -> str:
    """The first trace of a desk, in words; empty without one. `store`: the home's, where it is open."""
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
    """A root file is replaced by a ceremony of the desk alone; one that does not parse is named elsewhere."""
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
    with contextlib.suppress(sqlite3.Error, StorageError):  # a damaged list is named by who opens it
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
    """A desk sends units its people; before it there is one roster, an empty one."""
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
    """One that does not answer says nothing: no unit joins, and no day is opened, without it either."""
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
