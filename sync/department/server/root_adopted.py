"""Compares the home's root file with the one that the log adopted, which alone names keys, witnesses and
policy.

An older root file is signed too. If it were put back, it would drop a key service's key, a witness or a
stricter policy that two offices signed. So no desk opens with it, nothing is purged by it, and `verify` names
it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sync.department.desk.desk import Desk
from sync.department.desk.owed import Late, Overdue
from sync.department.ground.home import DepartmentHome
from sync.department.policy.named_files import command_key, root_in, signed_policy
from sync.department.units.authority import Authority
from sync.errors import HomeError
from sync.root_file import Root

CURE = "restore the adopted version from its backup, or adopt an office's copy again: department keys adopt"


def unlike(here: Root, version: int, digest: bytes) -> str:
    """How the root file here differs from the one with this version and digest; empty if it does not."""
    if here.digest() == digest:
        return ""
    if here.version == version:
        return f"the root file is another version {version} than the one that the log adopted"
    return f"the root file is version {here.version}, and the log adopted version {version}"


def demand_adopted(home: DepartmentHome, desk: Desk) -> None:
    """Refuse a home whose root file is not the adopted one. Raises HomeError."""
    desk.refresh()  # another process may have adopted one
    if what := unlike(root_in(home), desk.root.version, desk.root.digest()):
        raise HomeError(what, where=str(home.root_file), cure=CURE)


def demand_named(home: DepartmentHome, root: Root) -> None:
    """Refuse a CA or a command key that the root file does not name. Raises HomeError.

    Only the root file changes keys. The command key may be missing here, on the administrator's token.
    """
    named = root.other("ca")
    if named not in {None, Authority.open(home.authority).public_der()}:
        raise HomeError(
            "the ca key here is not the one that the root file names",
            where=str(home.authority),
            cure="restore it from its backup; keys change only by a new root file",
        )
    if (home.path / "command.key").exists():
        command_key(home, root)


def overdue_root(home: DepartmentHome, desk: Desk) -> Iterator[Overdue]:
    """Lines of the compliance list for each file here that is not the one that the log's root file names."""
    checks: tuple[Callable[[], object], ...] = (
        lambda: demand_adopted(home, desk),
        lambda: signed_policy(home, desk.root),
        lambda: demand_named(home, desk.root),
    )
    for check in checks:
        try:
            check()
        except HomeError as error:
            yield Overdue(kind=Late.KEYS, clause="463.5", what=f"{error.where}: {error.what}: {error.cure}")
        except OSError as error:
            what = f"{error.filename}: cannot be read: {type(error).__name__}"
            yield Overdue(kind=Late.KEYS, clause="463.5", what=what)
