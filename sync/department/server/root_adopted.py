"""Holds the home's root file against the one that the log adopted: it alone names keys, witnesses, policy.

An older root file is signed too. Put back, it would drop a key service's key, a witness or a stricter policy
that two offices signed, so no desk opens with it, nothing is purged by it, and `verify` names it.
"""

from __future__ import annotations

from collections.abc import Iterator

from storage.errors import EnvelopeError, RecordError
from sync.department.desk.desk import Desk
from sync.department.desk.owed import Late, Overdue
from sync.department.ground.home import DepartmentHome
from sync.errors import HomeError
from sync.root_file import Root, describe

CURE = "restore the adopted version from its backup, or adopt an office's copy again: department keys adopt"
AGAIN = "restore it from its backup, or take the copy that an office keeps"


def root_in(home: DepartmentHome) -> Root:
    """The root of the home's file, as it says of itself. Raises HomeError."""
    try:
        return describe(home.root_file.read_bytes())[0]
    except FileNotFoundError:
        raise HomeError("the root file is not there", where=str(home.root_file), cure=AGAIN) from None
    except (EnvelopeError, RecordError) as error:
        what = error.what if error.cure else f"the root file is damaged, or was cut: {error.what}"
        raise HomeError(what, where=str(home.root_file), cure=error.cure or AGAIN) from None


def unlike(here: Root, version: int, digest: bytes) -> str:
    """How the root file here differs from the one of that version that the log adopted; empty if not."""
    if here.digest() == digest:
        return ""
    if here.version == version:
        return f"the root file is another version {version} than the one that the log adopted"
    return f"the root file is version {here.version}, and the log adopted version {version}"


def demand_adopted(home: DepartmentHome, desk: Desk) -> None:
    """Raises HomeError where the home's root file is not the adopted one."""
    desk.refresh()  # another process may have adopted one
    if what := unlike(root_in(home), desk.root.version, desk.root.digest()):
        raise HomeError(what, where=str(home.root_file), cure=CURE)


def overdue_root(home: DepartmentHome, desk: Desk) -> Iterator[Overdue]:
    """A line of the compliance list while the file is not the adopted one."""
    try:
        demand_adopted(home, desk)
    except HomeError as error:
        yield Overdue(kind=Late.KEYS, clause="463.5", what=f"{home.root_file}: {error.what}: {error.cure}")
