"""Decides whether a database that SQLite called malformed is damaged, by a look at all of it.

SQLite calls it so, too, where a read of the card fails (SQLITE_IOERR_CORRUPTFS), be it for a moment. A look
costs seconds per 300 MB, so its callers hold no lock and keep no frame waiting. What it finds in the content
is damage. If the card does not let it end, that is counted in a file beside the database, so that a restart
forgets nothing: the fourth such look in a row is damage.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from storage import files
from storage.clock_trust import boot_id, boottime_us
from storage.database import DAMAGE, failure_cure, primary_code
from storage.department_word import boot_number
from storage.errors import CardFailedError, DamagedError, StorageError, causes_of

Raised = TypeVar("Raised", bound=Exception)
LOOK = "PRAGMA integrity_check(1)"  # quick_check passes over an index without its rows
OF_NO_CONTENT = frozenset(  # a lock, a missing right, no room or no memory
    {
        sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL, sqlite3.SQLITE_NOMEM,
    }
)  # fmt: skip
OF_THE_CARD = frozenset({sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_CORRUPTFS})
MOST_FAILED = 4  # looks in a row that the card ended
APART_S = 15  # between two that count; a run that stores nothing ends after a minute
FORGOTTEN_S = 86_400  # after which one no longer counts
ENDING = ".looks"
MOST_BYTES = 1024
_ERROR_CODE = re.compile(r"failed to get page [0-9]+$|error code=([0-9]{1,9})$")
_LINE = re.compile(r"([0-9]{1,20}) ([0-9]{1,20}) ([0-9]{1,12}) ([0-9]{1,12})")


@dataclass(frozen=True, slots=True)
class _Failed:
    """A look that the card ended: of which file, in which start of the machine, and when (s)."""

    inode: int
    boot: int
    running_s: int
    clock_s: int

    @classmethod
    def now(cls, inode: int) -> _Failed:
        return cls(inode, boot_number(boot_id()), boottime_us() // 1_000_000, max(0, int(time.time())))

    def age_s(self, now: _Failed) -> int:
        """Its age, which no step of the clock changes within one start of the machine."""
        if self.boot == now.boot:
            return now.running_s - self.running_s
        return abs(now.clock_s - self.clock_s)


_KEPT: dict[Path, list[_Failed]] = {}  # also here, since a failing card may take no file


def is_confirmed(error: StorageError, path: Path) -> bool:
    """Whether an error means that the content of the database is damaged.

    What SQLite did not cause, and a table or column that is not there, is the content's; what only passes,
    such as a lock, says nothing of it; anything else needs a look at all of it.
    """
    code = next(filter(None, map(primary_code, causes_of(error))), 0)
    if code in {0, sqlite3.SQLITE_ERROR}:
        return True
    return code not in OF_NO_CONTENT and is_damaged(path)


def settled(error: Raised) -> Raised | CardFailedError:
    """The error that a person sees: one of the card in place of a damage that a look does not confirm."""
    if not isinstance(error, DamagedError) or is_confirmed(error, Path(error.where)):
        return error
    what, cure = "the card did not give a page of the log", f"try again; {files.CARD_FAILS}"
    for one in causes_of(error):
        if isinstance(one, sqlite3.Error) and primary_code(one) not in {0, *DAMAGE, sqlite3.SQLITE_IOERR}:
            what, cure = f"cannot be used: {one}", failure_cure(one, Path(error.where))
    return CardFailedError(what, where=error.where, cure=cure)


def is_damaged(path: Path) -> bool:
    """Whether a database that SQLite called malformed is, by a look at all of it on its own connection."""
    uri = f"file:{quote(os.fsencode(path))}?mode=ro"
    try:
        inode = path.stat().st_ino
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=10)) as connection:
            said = str(connection.execute(LOOK).fetchone()[0])
    except OSError:
        return False
    except sqlite3.Error as error:
        code = primary_code(error)
        return code in DAMAGE or (code == sqlite3.SQLITE_IOERR and _fails_again(path, inode))
    if said == "ok":
        _KEPT.pop(path, None)
        with contextlib.suppress(OSError):
            _beside(path).unlink(missing_ok=True)
        return False
    found = _ERROR_CODE.search(said)
    if found is None or (found[1] and int(found[1]) not in OF_THE_CARD):
        return True
    return _fails_again(path, inode)


def _fails_again(path: Path, inode: int) -> bool:
    """Count one more look that the card ended; whether there were MOST_FAILED within a day, so far apart."""
    now = _Failed.now(inode)
    known = _KEPT.get(path) or _failed(path)
    kept = [one for one in known if one.inode == inode and 0 <= one.age_s(now) < FORGOTTEN_S][-MOST_FAILED:]
    if not kept or kept[-1].boot != now.boot or kept[-1].age_s(now) >= APART_S:
        kept.append(now)
    _KEPT[path] = kept
    lines = (f"{one.inode} {one.boot} {one.running_s} {one.clock_s}\n" for one in kept)
    with contextlib.suppress(OSError, StorageError):
        files.replace(_beside(path), "".join(lines).encode())
    return len(kept) >= MOST_FAILED


def _failed(path: Path) -> Iterator[_Failed]:
    """The counted looks, the oldest first; none if they cannot be read."""
    with contextlib.suppress(OSError, StorageError, ValueError):
        for line in files.read_bounded(_beside(path), MOST_BYTES).decode("ascii").splitlines():
            if (found := _LINE.fullmatch(line)) is not None:
                yield _Failed(*map(int, found.groups()))


def _beside(path: Path) -> Path:
    return path.with_name(path.name + ENDING)
