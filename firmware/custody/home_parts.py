"""Parts of a home that its unit cannot use: root owns them, or they are the wrong kind of file.

A start corrects the mode of files that belong to the home's user. The health report and its event name the
others with their cures, and the unit does what it can without them. Only names that the unit itself gives are
shown: a person may have put a picture there that is named after a plate.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from storage import files

LOOK_AGAIN_S = 300.0
FOLDERS = ("store", "store/blobs", "store/strays", "sync", "sync/inbox", "sync/old", "hotlists", "destroyed")
INNER = {  # the unit also names their folders: for an epoch, or for an epoch at a log size
    "store/blobs": re.compile(r"[0-9]{8}"),
    "store/strays": re.compile(r"[0-9]{8}-[0-9]{1,12}"),
}
DATABASE = "ledger.sqlite3"
FILES: Mapping[str, tuple[str, ...]] = {
    "": ("config.toml", "habit.json", "turned.json", "console.lockout", "console.grants", "reset-begun"),
    "store": (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", "lock", "log.pub", "slot", "slot.uri",
              "book.snapshot", f"{DATABASE}.looks", f"{DATABASE}.starts"),
    "sync": ("member.cbor", "unit.key", "unit.chip", "tls.key", "tls.sealed", "tls.pem", "status.json",
             "configuration.taken", "configuration.trial"),
    "sync/inbox": ("policy.cbor", "roster.cbor", "day-keys.cbor", "configuration.cbor"),
    "hotlists": ("cleared",),
}  # fmt: skip
SUFFIXES = {"sync/inbox": (".cbor",), "hotlists": (".list", ".need")}  # others may choose their names
IN_PLACE = frozenset({DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", "lock", "slot"})  # never replaced
MAY_BE_LINK = frozenset({"config.toml"})


@dataclass(frozen=True, slots=True)
class _Part:
    """An existing file or folder. `mode`: the rights that its user needs. `within`: what is shown in place of
    its name, if a person may have chosen that.
    """

    path: Path
    is_folder: bool
    within: str = ""

    def is_kind(self, mode: int) -> bool:
        """Whether this mode is of the right kind of file."""
        return stat.S_ISDIR(mode) if self.is_folder else stat.S_ISREG(mode)

    @property
    def mode(self) -> int:
        if self.is_folder:
            return 0o700
        return 0o600 if self.path.name in IN_PLACE else 0o400


def _parts(home: Path) -> Iterator[_Part]:
    """Yield the existing parts of a home, each folder before its content."""
    yield _Part(home, is_folder=True)
    for folder in ("", *FOLDERS):
        path = home / folder
        if folder:
            if not os.path.lexists(path):
                continue
            yield _Part(path, is_folder=True)
        for name in _names(path):
            if folder in INNER:
                own = INNER[folder].fullmatch(name)
                yield _Part(path / name, is_folder=True, within="" if own else folder)
            elif name in FILES.get(folder, ()):
                yield _Part(path / name, is_folder=False)
            elif name.endswith(SUFFIXES.get(folder, ())):
                yield _Part(path / name, is_folder=False, within=folder)


def _names(folder: Path) -> list[str]:
    try:
        return sorted(one.name for one in folder.iterdir())
    except OSError:  # closed, or not a folder: it is named itself
        return []


def open_to_owner(home: Path) -> list[str]:
    """Correct the modes of this user's files in a home that are closed to it; returns these parts."""
    opened = []
    for part in _parts(home):
        if part.within and part.is_folder:  # a person made it
            continue
        with contextlib.suppress(OSError):
            facts = part.path.lstat()
            if facts.st_uid == os.geteuid() and part.is_kind(facts.st_mode) and part.mode & ~facts.st_mode:
                part.path.chmod(stat.S_IMODE(facts.st_mode) | part.mode)
                opened.append(str(part.path.relative_to(home)))
    return opened


def shut_parts(home: Path) -> list[str]:
    """A line for each part of a home that this user cannot use, with its cure."""
    found = [line for part in _parts(home) if (line := _wrong_with(part, home))]
    return list(dict.fromkeys(found))  # files without a name share a line per folder


def _wrong_with(part: _Part, home: Path) -> str:
    """What is wrong with a part, or empty; nothing is if a purge or sync removes it meanwhile."""
    try:
        mode = part.path.lstat().st_mode
        return _wrong_within(part, home, mode) if part.within else _wrong_with_own(part, home, mode)
    except FileNotFoundError:
        return ""
    except OSError as error:
        shown, folder = part.path.parent if part.within else part.path, quote(str(part.path.parent))
        return f"{shown}: {error.strerror} (look at it as root: sudo ls -la {folder})"


def _wrong_with_own(part: _Part, home: Path, mode: int) -> str:
    """What is wrong with a part that the unit named. Raises OSError."""
    path = part.path
    if stat.S_ISLNK(mode) and (part.is_folder or path.name in MAY_BE_LINK):
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:
            return f"{path}: is a link to nothing (mount its target, or remove it)"
    if not part.is_kind(mode):
        kind = "a folder" if part.is_folder else "a plain file"
        return f"{path}: is not {kind} (move it away: sudo mv {quote(str(path))} {quote(f'{path}.moved')})"
    if _is_open(part):
        return ""
    return (
        f"{path}: cannot be opened by this unit ({files.own_cure(path, home=home, is_folder=part.is_folder)})"
    )


def _wrong_within(part: _Part, home: Path, mode: int) -> str:
    """What is wrong with a part whose name a person may have chosen; names its folder. Raises OSError."""
    folder, quoted = part.path.parent, quote(str(part.path.parent))
    if not part.is_kind(mode):
        look = f"look at it as root: sudo ls -la {quoted}"
        return f"{folder}: a file of another kind is in {part.within} ({look})"
    if part.is_folder or _is_open(part):
        return ""
    chown = f"sudo chown -R --reference={quote(str(home))} {quoted}"
    return f"{folder}: a file in it cannot be opened by this unit ({chown} && sudo chmod -R u+rwX {quoted})"


def _is_open(part: _Part) -> bool:
    """Whether this user has the rights that a unit needs; also true if the card fails, which others report.
    Raises OSError.
    """
    needed = os.R_OK | (os.W_OK if part.mode & 0o200 else 0) | (os.X_OK if part.mode & 0o100 else 0)
    return os.access(part.path, needed) or bool(os.statvfs(part.path).f_flag & os.ST_RDONLY)


class ShutParts:
    """`shut_parts` for a running reader, renewed only every few minutes: there may be a thousand folders."""

    def __init__(self, home: Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._home, self._monotonic = home, monotonic
        self._found: tuple[str, ...] = ()
        self._looked_s: float | None = None

    def look(self) -> tuple[str, ...]:
        """The newest result."""
        now_s = self._monotonic()
        if self._looked_s is None or now_s - self._looked_s >= LOOK_AGAIN_S:
            self._looked_s, self._found = now_s, tuple(shut_parts(self._home))
        return self._found
