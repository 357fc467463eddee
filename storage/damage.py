"""Decides whether a database that SQLite called malformed is damaged, by a look at all of it.

SQLite calls it so, too, where a read of the card fails (SQLITE_IOERR_CORRUPTFS), be it for a moment. A look
costs seconds per 300 MB, so its callers hold no lock and keep no frame waiting. What it finds in the content
is damage. If the card does not let it end, that is counted in a file beside the database, so that a restart
forgets nothing: the fourth such look in a row is damage. Starts that the card ended count in the same way.
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
MOST_FAILED = 4  # looks, or starts, in a row that the card ended
APART_S = 15  # between two looks that count; a run that stores nothing ends after a minute
STARTS_APART_S = 60  # between two starts that count: a card may be away for a minute, and then be sound
FORGOTTEN_S = 86_400  # after which one no longer counts
LOOKS, STARTS = ".looks", ".starts"
COUNTS = (LOOKS, STARTS)  # the ends of the names of the counts beside the database
MOST_BYTES = 1024
_ERROR_CODE = re.compile(r"failed to get page [0-9]+$|error code=([0-9]{1,9})$")
_LINE = re.compile(r"([0-9]{1,20}) ([0-9]{1,20}) ([0-9]{1,12}) ([0-9]{1,12})")


@dataclass(frozen=True, slots=True)
class _Failed:
    """A look or a start that the card ended: of which file (0: it did not give that), in which start of the
    machine, and when (s).
    """

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


_KEPT: dict[Path, list[_Failed]] = {}  # by the counts' files, since a failing card may take none


@dataclass(frozen=True, slots=True)
class _Count:
    """What the card ended, in a row, counted in a file beside the database."""

    database: Path
    ending: str
    apart_s: int

    @property
    def path(self) -> Path:
        return self.database.with_name(self.database.name + self.ending)

    def add(self, inode: int) -> tuple[bool, bool]:
        """Count one more; whether there are MOST_FAILED within a day, so far apart, and whether the file took
        the count.
        """
        now = _Failed.now(inode)
        known = _KEPT.get(self.path) or self._read()
        kept = [
            one
            for one in known
            if (one.inode == inode or 0 in {one.inode, inode}) and 0 <= one.age_s(now) < FORGOTTEN_S
        ][-MOST_FAILED:]
        if not kept or kept[-1].boot != now.boot or kept[-1].age_s(now) >= self.apart_s:
            kept.append(now)
        _KEPT[self.path] = kept
        lines = (f"{one.inode} {one.boot} {one.running_s} {one.clock_s}\n" for one in kept)
        try:
            files.replace(self.path, "".join(lines).encode())
        except (OSError, StorageError):
            return len(kept) >= MOST_FAILED, False
        return len(kept) >= MOST_FAILED, True

    def forget(self) -> None:
        """Begin again: the card is well."""
        _KEPT.pop(self.path, None)
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)

    def _read(self) -> Iterator[_Failed]:
        """What was counted, the oldest first; none if it cannot be read."""
        with contextlib.suppress(OSError, StorageError, ValueError):
            for line in files.read_bounded(self.path, MOST_BYTES).decode("ascii").splitlines():
                if (found := _LINE.fullmatch(line)) is not None:
                    yield _Failed(*map(int, found.groups()))


class FailedStarts:
    """The starts in a row in which the card did not let a log open."""

    def __init__(self, database: Path) -> None:
        self._count = _Count(database, STARTS, STARTS_APART_S)

    def add(self) -> tuple[bool, bool]:
        """Count one more; whether the log is to be given up for it, and whether the file took the count.

        Where it did not, the next start would not know of this one: try again in this one until the first
        answer is yes.
        """
        try:
            inode = self._count.database.stat().st_ino
        except OSError:
            inode = 0
        return self._count.add(inode)

    def forget(self) -> None:
        """Begin again: the log is open."""
        self._count.forget()


def is_confirmed(error: StorageError, path: Path) -> bool:
    """Whether an error means that the content of the database is damaged.

    What SQLite did not cause, and a table or column that is not there, is the content's; what only passes,
    such as a lock or a file that the card does not give, says nothing of it; anything else needs a look at
    all of it.
    """
    causes = causes_of(error)
    if any(map(files.is_of_card, causes)):
        return False
    code = next(filter(None, map(primary_code, causes)), 0)
    if code in {0, sqlite3.SQLITE_ERROR}:
        return True
    return code not in OF_NO_CONTENT and is_damaged(path)


def settled(error: Raised) -> Raised | CardFailedError:
    """The error that a person sees: one of the card in place of a damage that a look does not confirm."""
    if not isinstance(error, DamagedError) or is_confirmed(error, Path(error.where)):
        return error
    return card_error(error, Path(error.where))


def card_error(error: BaseException, path: Path, *, then: str = "try again") -> CardFailedError:
    """The error of the card that a person sees in place of one that names a database damaged.

    then: what comes next, as a part of the cure.
    """
    what, cure = "the card did not give a page of the log", files.CARD_FAILS
    for one in causes_of(error):
        if isinstance(one, sqlite3.Error) and primary_code(one) not in {0, *DAMAGE, sqlite3.SQLITE_IOERR}:
            what, cure = f"cannot be used: {one}", failure_cure(one, path)
    return CardFailedError(what, where=str(path), cure=f"{then}; {cure}")


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
        return code in DAMAGE or (code == sqlite3.SQLITE_IOERR and _looks(path).add(inode)[0])
    if said == "ok":
        _looks(path).forget()
        return False
    found = _ERROR_CODE.search(said)
    if found is None or (found[1] and int(found[1]) not in OF_THE_CARD):
        return True
    return _looks(path).add(inode)[0]


def _looks(path: Path) -> _Count:
    """The looks in a row that the card ended."""
    return _Count(path, LOOKS, APART_S)
