"""What of a home its unit may not use: files that root left there, and what is of another kind than its own.

A start gives its user back what is that user's own and shut by its mode; the rest is named in the health
report and its event, with its cure, and the unit does what it can without it. Only what the unit itself makes
is named: a person may have put a picture there.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from shlex import quote

from storage import files

LOOK_AGAIN_S = 300.0
FOLDERS = ("store", "store/blobs", "store/strays", "sync", "sync/inbox", "sync/old", "hotlists", "destroyed")
INNER = ("store/blobs", "store/strays")  # their folders, an epoch each, are the unit's own, too
DATABASE = "ledger.sqlite3"
FILES: Mapping[str, tuple[str, ...]] = {
    "": ("config.toml", "habit.json", "console.lockout", "console.grants", "reset-begun"),
    "store": (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", "lock", "log.pub", "slot", "slot.uri",
              "book.snapshot"),
    "sync": ("member.cbor", "unit.key", "unit.chip", "tls.key", "tls.sealed", "tls.pem", "status.json",
             "configuration.taken", "configuration.trial"),
    "sync/inbox": ("*.cbor",),
    "hotlists": ("*.list", "cleared"),
}  # fmt: skip
IN_PLACE = frozenset({DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", "lock", "slot"})  # never replaced whole
MAY_BE_LINK = frozenset({"config.toml"})


@dataclass(frozen=True, slots=True)
class _Part:
    """A file or folder that is there. `mode`: what its user needs of it."""

    path: Path
    is_folder: bool

    @property
    def mode(self) -> int:
        if self.is_folder:
            return 0o700
        return 0o600 if self.path.name in IN_PLACE else 0o400


def _parts(home: Path) -> Iterator[_Part]:
    """What is there of a home; each folder before what is in it."""
    yield _Part(home, is_folder=True)
    for folder in ("", *FOLDERS):
        path = home / folder
        if folder:
            if not os.path.lexists(path):
                continue
            yield _Part(path, is_folder=True)
        for name in _names(path):
            if folder in INNER:
                yield _Part(path / name, is_folder=True)
            elif any(fnmatch(name, pattern) for pattern in FILES.get(folder, ())):
                yield _Part(path / name, is_folder=False)


def _names(folder: Path) -> list[str]:
    try:
        return sorted(one.name for one in folder.iterdir())
    except OSError:  # shut, or no folder: that itself is named
        return []


def open_to_owner(home: Path) -> list[str]:
    """Give this user back what is its own in a home, and shut by its mode; which parts that were."""
    opened = []
    for part in _parts(home):
        with contextlib.suppress(OSError):
            facts = part.path.lstat()
            is_kind = stat.S_ISDIR if part.is_folder else stat.S_ISREG
            if facts.st_uid == os.geteuid() and is_kind(facts.st_mode) and part.mode & ~facts.st_mode:
                part.path.chmod(stat.S_IMODE(facts.st_mode) | part.mode)
                opened.append(str(part.path.relative_to(home)))
    return opened


def shut_parts(home: Path) -> list[str]:
    """What this user may not use of a home, or cannot: a line each, with what to do."""
    return [line for part in _parts(home) if (line := _wrong_with(part, home))]


def _wrong_with(part: _Part, home: Path) -> str:
    path = part.path
    try:
        may_be_link = part.is_folder or path.name in MAY_BE_LINK
        mode = (path.stat() if may_be_link else path.lstat()).st_mode
    except FileNotFoundError:
        if not os.path.lexists(path):  # removed meanwhile, as a list that was replaced
            return ""
        return f"{path}: is a link that leads nowhere (mount what it leads to, or remove it)"
    except OSError as error:
        return f"{path}: {error.strerror} (look at it as root: sudo ls -la {path.parent})"
    if part.is_folder != stat.S_ISDIR(mode) or not (part.is_folder or stat.S_ISREG(mode)):
        kind = "a folder" if part.is_folder else "a plain file"
        return f"{path}: is not {kind} (move it away: sudo mv {quote(str(path))} {quote(f'{path}.moved')})"
    needed = os.R_OK | (os.W_OK if part.mode & 0o200 else 0) | (os.X_OK if part.mode & 0o100 else 0)
    if os.access(path, needed) or not os.path.lexists(path) or _is_read_only(path):
        return ""
    return f"{path}: is shut to this unit ({files.own_cure(path, home=home, is_folder=part.is_folder)})"


def _is_read_only(path: Path) -> bool:
    """Whether its card is: it failed, which others name."""
    try:
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    except OSError:
        return False


class ShutParts:
    """The same for a running reader, looked for again every few minutes: there may be a thousand folders."""

    def __init__(self, home: Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._home, self._monotonic = home, monotonic
        self._found: tuple[str, ...] = ()
        self._looked_s: float | None = None

    def look(self) -> tuple[str, ...]:
        """What was found last."""
        now_s = self._monotonic()
        if self._looked_s is None or now_s - self._looked_s >= LOOK_AGAIN_S:
            self._looked_s, self._found = now_s, tuple(shut_parts(self._home))
        return self._found
