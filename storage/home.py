"""Where custody is on disk, and who may write there: one process, by an flock on the home's lock file and on
its database, so that removing or replacing the lock file does not admit a second writer.

HOME/store/ledger.sqlite3   leaves, small elements, caches      HOME/store/log.pub   the log's public key
HOME/store/blobs/           sealed images, a folder per epoch   HOME/store/slot.uri  which slot holds the KEK
HOME/store/door.sock        the writer's socket, 0600           HOME/store/lock      held by the writer
HOME/store/strays/          sealed images without a record      HOME/store/demo-people/  until enrolled
HOME/store/book.snapshot    the facts of the open records, for a fast start
HOME/store/ledger.sqlite3.looks     the looks at all of the database that the card did not let end
HOME/store/ledger.sqlite3.starts    the starts in a row that the card ended
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from storage import files, slot
from storage.checkpoint import NoteKey
from storage.errors import (
    CONTINUE,
    CheckpointError,
    DamagedError,
    HomeLockedError,
    LedgerError,
    NoHomeError,
    NotOwnerError,
    NotPlainError,
)

MAX_LINE_BYTES = 4096  # of a file that holds one line
USUAL_SLOT = "slot"  # the file in which a home without a chip keeps its key-encryption key
LOCK_CURE = "move it away while no reader runs: it holds nothing, and the next start makes it again"
SLOT_CURE = (
    "write its one line again: file:slot, or tpm:INDEX in a unit with a chip (tpm2_getcap handles-nv-index "
    "lists each INDEX)"
)


@dataclass(frozen=True, slots=True)
class Home:
    """The paths of one home."""

    root: Path

    @property
    def folder(self) -> Path:
        """The custody folder: HOME/store, or `root` itself if that is the folder."""
        inner = self.root / "store"
        return self.root if (self.root / "ledger.sqlite3").exists() and not inner.exists() else inner

    @property
    def database(self) -> Path:
        return self.folder / "ledger.sqlite3"

    @property
    def blobs(self) -> Path:
        return self.folder / "blobs"

    @property
    def book_snapshot(self) -> Path:
        return self.folder / "book.snapshot"

    @property
    def public_key(self) -> Path:
        return self.folder / "log.pub"

    @property
    def slot_uri(self) -> Path:
        return self.folder / "slot.uri"

    @property
    def socket(self) -> Path:
        return self.folder / "door.sock"

    @property
    def strays(self) -> Path:
        """Sealed images that no record names, set aside at a start: a folder per epoch and log size."""
        return self.folder / "strays"

    @property
    def people(self) -> Path:
        """Demo credentials; absent on an enrolled unit."""
        return self.folder / "demo-people"

    def exists(self) -> bool:
        """Whether a ledger is here, or a link in its place, whose target may just not be mounted.

        Raises OSError if the card does not say: a ledger that counts as gone is replaced.
        """
        try:
            os.lstat(self.database)
        except OSError as error:
            if files.is_of_card(error) or error.errno == errno.ENOMEM:
                raise
            return False
        return True

    def is_rest(self) -> bool:
        """Whether sealed images are here without their ledger, because a damaged card lost its file."""
        return not self.exists() and self.blobs.is_dir() and any(self.blobs.iterdir())

    def need(self) -> None:
        """Raise LedgerError if there is no ledger."""
        if self.is_rest():
            raise DamagedError(
                "is gone, and sealed images of it are here",
                where=str(self.database),
                cure=CONTINUE,
            )
        if not self.exists():
            raise NoHomeError(
                "no unit is here", where=str(self.root), cure="check --home; `reader init` makes a new unit"
            )

    def demand_own(self) -> None:
        """Check that the ledger's files are this user's. Raises NotPlainError, NotOwnerError."""
        name = self.database.name
        database = [self.database.with_name(f"{name}{end}") for end in ("", "-wal", "-shm")]
        files.demand_own_folder(self.folder, home=self.root)
        files.demand_own(*database, home=self.root, written=True)

    def read_slot_uri(self) -> str:
        """The URI of the slot with the key-encryption key. Raises NotOwnerError, LedgerError."""
        try:
            files.demand_own(self.slot_uri, home=self.root)
            uri = files.read_bounded(self.slot_uri, MAX_LINE_BYTES).decode().strip()
        except OSError as error:
            what = f"cannot be read: {error.strerror or error}"
            first = "" if self.folder.is_dir() else f"make the folder {self.folder} again, and then "
            if first and os.path.lexists(self.folder):
                first = (
                    f"{self.folder} is not a folder, nor a link to one: mount it, or move it away; {first}"
                )
            cure = files.CARD_FAILS if files.is_of_card(error) else first + SLOT_CURE
            raise LedgerError(what, where=str(self.slot_uri), cure=cure) from None
        except NotOwnerError:
            raise
        except LedgerError as error:  # not a plain file, or far too large
            raise LedgerError(error.what, where=str(self.slot_uri), cure=SLOT_CURE) from None
        except ValueError:
            raise LedgerError("is not text", where=str(self.slot_uri), cure=SLOT_CURE) from None
        if not uri:
            raise LedgerError("is empty", where=str(self.slot_uri), cure=SLOT_CURE)
        return uri

    def file_slots(self) -> list[str]:
        """The names of files here that may be a file slot or its draft; the usual one first."""
        try:
            return self._file_slots()
        except OSError:
            return []

    def _file_slots(self) -> list[str]:
        """See `file_slots`. Raises OSError if the folder cannot be listed."""
        names = [one.name for one in self.folder.iterdir() if _may_be_slot(one)]
        return sorted(names, key=lambda name: (name != USUAL_SLOT, name))

    def erase_file_slots(self) -> None:
        """Destroy the key-encryption key of a log that was set aside, if it was in a file, and its drafts: no
        purge would ever reach them. A key in a chip is replaced by the next log's. Raises OSError after
        trying all.

        Ignores slot.uri: that line may be missing or truncated, or name another file.
        """
        if not self.folder.is_dir():
            return
        with contextlib.ExitStack() as tried:
            for name in self._file_slots():
                tried.callback(files.erase, self.folder / name)

    def is_written(self) -> bool:
        """Whether any process holds the home's lock now."""
        try:
            descriptor = os.open(self.folder / "lock", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return self._is_database_held()
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(descriptor)
        return self._is_database_held()

    def _is_database_held(self) -> bool:
        """Whether a process holds the database, by the system's list of locks: opening and closing the file
        would end SQLite's own locks in this process.
        """
        try:
            return files.is_seen_locked(self.database)
        except OSError:
            return False

    def read_public_key(self) -> NoteKey:
        """The log key in the home's log.pub. Raises NotOwnerError, NotPlainError, LedgerError."""
        files.demand_own(self.public_key, home=self.root)
        try:
            return NoteKey.parse(files.read_bounded(self.public_key, MAX_LINE_BYTES).decode())
        except (OSError, ValueError, CheckpointError) as error:
            raise LedgerError(f"cannot be read: {error}", where=str(self.public_key)) from None


def _may_be_slot(path: Path) -> bool:
    """Whether this is a plain file with a slot's name, size or first bytes; by name only if unreadable."""
    usual = path.name in {USUAL_SLOT, f"{USUAL_SLOT}.new"}
    try:
        if path.is_symlink() or not path.is_file():
            return False
        if usual or path.stat().st_size == slot.SLOT_BYTES:
            return True
        with path.open("rb") as file:
            return file.read(len(slot.MAGIC)) == slot.MAGIC
    except OSError:
        return usual


def need_own(root: Path) -> None:
    """Raise NotOwnerError for root in another user's folder: the unit could not start again."""
    owner = root.stat().st_uid
    if os.geteuid() == 0 and owner != 0:
        name = owner_of(root)
        raise NotOwnerError(
            f"belongs to {name}, and root would leave files that {name} cannot open",
            where=str(root),
            cure=f"sudo -u {name} reader ...",
        )


def owner_of(path: Path) -> str:
    """The name of a path's owner, or the number if it has none. Raises OSError."""
    uid = path.stat().st_uid
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"#{uid}"  # sudo's form


def _held(home: Home) -> HomeLockedError:
    cure = "reader status shows a reader that runs; systemctl stop alpr-reader ends its service"
    return HomeLockedError("another process writes this home", where=str(home.root), cure=cure)


class HomeLock:
    """The right to write a home; it ends with the process.

    The database is locked too: if a person removes the lock file of a running reader, the next process makes
    a new one, but the database is still the same. SQLite's own locks (POSIX) are independent of flock(2).
    """

    def __init__(self, home: Home) -> None:
        """Raises HomeLockedError if another process holds it, NotOwnerError."""
        path = home.folder / "lock"
        try:
            files.demand_own(path, home=home.root, written=True)
        except NotPlainError as error:
            raise NotPlainError(error.what, where=error.where, cure=LOCK_CURE) from None
        except NotOwnerError:
            if files.is_locked(path):  # root took it from a running reader, which still holds it
                raise _held(home) from None
            raise
        self._held = [os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)]
        try:
            _lock(self._held[0], path, home)
            self.take(home.database, home)
            need_own(home.root)
        except BaseException:
            self.release()
            raise

    def take(self, database: Path, home: Home) -> None:
        """Also lock this home's database if it exists and this user may open it.

        Release it after SQLite's own connection: closing a descriptor of the file earlier would end SQLite's
        locks. Raises HomeLockedError.
        """
        try:
            descriptor = os.open(database, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
        except OSError:  # missing, a link, or another user's: reported when it is opened
            return
        self._held.append(descriptor)
        try:
            _lock(descriptor, database, home)
        except OSError:  # NFS has no lock for a file open only for reading: the lock file counts
            return

    def release(self) -> None:
        while self._held:
            os.close(self._held.pop())


def _lock(descriptor: int, path: Path, home: Home) -> None:
    """Lock a file. Raises HomeLockedError if another process holds it, OSError like try_lock."""
    if not files.try_lock(descriptor, where=path):
        raise _held(home)


def renew_lock(home: Home) -> bool:
    """Remove a lock file that this user cannot lock (root's, or another kind of file); returns whether there
    was one. The next opening makes a new one.

    A lock file that a process holds stays, and so does one in another user's folder. Raises OSError.
    """
    path = home.folder / "lock"
    try:
        files.demand_own(path, home=home.root, written=True)
    except (NotPlainError, NotOwnerError):
        if files.is_locked(path) or home.is_written():
            return False
        files.clear_place(path)
        return True
    return False
