"""The few file operations that must survive a power cut, with their syncs; all other code writes through
them.

The order is always: write the content, sync it, then sync the directory with its name. A file is complete
once its directory is synced; until then a power cut may leave it missing or torn, and start-up removes it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import functools
import os
import re
import shlex
import shutil
import sqlite3
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, wait
from pathlib import Path
from typing import BinaryIO

from storage.errors import LedgerError, NotOwnerError, NotPlainError, StoreFullError

MOST_MOVED = 9  # folders in the place of one file; more of them are left for a person to look at
PRIVATE_FILE, PRIVATE_DIR = 0o600, 0o700
_OF_CARD = {errno.EIO, errno.EUCLEAN, errno.EBADMSG}  # the last two: a damaged block of ext4's own
CARD_FAILS = "if it comes again, replace the card (dmesg names a failing one)"
# SQLITE_IOERR_SHMSIZE: no room for the index of the WAL
FULL_NAMES = frozenset({"SQLITE_FULL", "SQLITE_IOERR_SHMSIZE"})


def is_full(error: BaseException) -> bool:
    """Whether this error means a full disk, as the system or SQLite reports it."""
    if isinstance(error, OSError):
        return error.errno in {errno.ENOSPC, errno.EDQUOT}
    name = getattr(error, "sqlite_errorname", "")
    return isinstance(error, sqlite3.OperationalError) and (name in FULL_NAMES or "full" in str(error))


@contextlib.contextmanager
def name_full_disk(home: Path) -> Iterator[None]:
    """Turn a full disk into a StoreFullError, around work that leaves nothing half-done."""
    try:
        yield
    except (OSError, sqlite3.OperationalError) as error:
        if not is_full(error):
            raise
        raise StoreFullError(
            "the disk is full: nothing was stored",
            where=str(home),
            cure="sync, then purge, or fit a larger card",
        ) from error


def sync_file(descriptor: int) -> None:
    """Make a file's content durable."""
    os.fsync(descriptor)


def sync_dir(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def keep_name(path: Path) -> None:
    """Make a new folder's own name durable, if we may read the folder above, which is not ours."""
    with contextlib.suppress(PermissionError):
        sync_dir(path.absolute().parent)


def make_dir(path: Path) -> None:
    """Create a private directory durably; it may already exist."""
    _make_dir(path, lambda: sync_dir(path.parent))


def make_dirs(path: Path) -> None:
    """Create a private directory and its missing parents durably, even below a folder closed to us."""
    for folder in reversed([path, *path.parents]):
        _make_dir(folder, functools.partial(keep_name, folder))


def _make_dir(path: Path, keep: Callable[[], None]) -> None:
    if path.is_dir():
        return
    try:
        path.mkdir(mode=PRIVATE_DIR)
    except FileExistsError:
        if not path.is_dir():
            raise
        keep()  # another start made it at the same time
        return
    try:
        keep()
    except OSError:
        with contextlib.suppress(OSError):
            path.rmdir()  # otherwise the next call would take it for durable
        raise


def write_new(path: Path, data: bytes, *, lasts: bool = True) -> None:
    """Write a file under a new name; its content is synced if it `lasts`. The caller syncs the directory."""
    with contextlib.ExitStack() as opened:
        descriptor = _create(path, data, opened)
        if lasts:
            sync_file(descriptor)


def _create(path: Path, data: bytes, opened: contextlib.ExitStack) -> int:
    """Write a new file that stays open as long as `opened`; returns its descriptor."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
    opened.callback(os.close, descriptor)
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
    return descriptor


def write_together(files: Sequence[tuple[Path, bytes]], folder: Path, pool: Executor) -> None:
    """Write new files in one folder; contents and names are durable on return.

    Their syncs run in parallel: a journaling file system then needs one commit for all of them.
    """
    with contextlib.ExitStack() as opened:
        descriptors = [_create(path, data, opened) for path, data in files]
        waiting = [pool.submit(sync_file, descriptor) for descriptor in descriptors]
        try:
            sync_dir(folder)
        finally:
            wait(waiting)
        for one in waiting:
            one.result()


def replace_together(files: Sequence[tuple[Path, bytes]], folder: Path, pool: Executor) -> None:
    """Like `write_together`, but each file is replaced whole or not at all."""
    beside = [(path.with_name(path.name + ".new"), data) for path, data in files]
    with _alone(folder):
        for path, _ in beside:
            clear_place(path)
        write_together(beside, folder, pool)
        for (path, _), (new, _) in zip(files, beside, strict=True):
            new.replace(path)
        sync_dir(folder)


def write_at_once(files: Sequence[tuple[Path, bytes]], folder: Path, pool: Executor) -> None:
    """Like `write_together`, but with one sync for all files if the system has syncfs(2).

    Linux reports write errors from it since 5.8; on an older kernel each file is synced. The contents are
    flushed first, so that syncfs needs one journal commit instead of two.
    """
    if not _SYNCFS:
        write_together(files, folder, pool)
        return
    with contextlib.ExitStack() as opened:
        descriptors = []
        for path, data in files:
            descriptors.append(_create(path, data, opened))
            write_out(descriptors[-1], wait=False)
        for descriptor in descriptors:
            write_out(descriptor, wait=True)
        whole = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        opened.callback(os.close, whole)
        sync_system(whole)


def write_out(descriptor: int, *, wait: bool) -> None:
    """Start writing a file's content to the card (sync_file_range(2)), with no promise that it lasts.

    Raises OSError for a failed write; a file system without this call is not an error.
    """
    if not _LIBC.sync_file_range(descriptor, _WHOLE, _WHOLE, _WAITED if wait else _BEGUN):
        return
    number = ctypes.get_errno()
    if number in {errno.EIO, errno.ENOSPC, errno.EDQUOT}:
        raise OSError(number, os.strerror(number))


def sync_system(descriptor: int) -> None:
    """Make everything in this descriptor's file system durable. Raises OSError."""
    if _LIBC.syncfs(descriptor):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _kernel_is(least: tuple[int, int]) -> bool:
    found = re.match(r"(\d+)\.(\d+)", os.uname().release)
    return sys.platform == "linux" and found is not None and (int(found[1]), int(found[2])) >= least


_LIBC = ctypes.CDLL(None, use_errno=True)
_SYNCFS = _kernel_is((5, 8)) and hasattr(_LIBC, "syncfs") and hasattr(_LIBC, "sync_file_range")
_WHOLE = ctypes.c_int64(0)
_BEGUN, _WAITED = 2, 1 | 2 | 4  # SYNC_FILE_RANGE_WRITE; and _WAIT_BEFORE, _WAIT_AFTER


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one thread of one process at a time replace files in this folder, since two would write the same
    draft. A crash releases it.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def clear_place(path: Path) -> Path | None:
    """Free the place of a file without content: removes what is there, but moves a folder with content aside.

    Returns the folder's new path; None if nothing was moved. Raises OSError.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError:
        if not path.is_dir():
            raise
        with contextlib.suppress(OSError):
            path.rmdir()
            return None
        beside = (path.with_name(f"{path.name}.moved-{number}") for number in range(1, MOST_MOVED + 1))
        aside = next((one for one in beside if not os.path.lexists(one)), None)
        if aside is None:
            raise
        path.rename(aside)
        return aside
    return None


def try_lock(descriptor: int, *, where: Path) -> bool:
    """Take the flock(2) of an open file until it is closed; False if another process holds it.

    Raises OSError if the file system has no such lock, or, like NFS, none for a file open only for reading.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # the latter on NFS
        return False
    except OSError as error:
        raise OSError(error.errno, f"cannot be locked: {error.strerror}", str(where)) from None
    return True


def is_locked(path: Path) -> bool:
    """Whether a process holds an flock(2) of the file at this path, which this user may not open.

    Compares only the inode in /proc/locks, proc(5): some file systems have another device there than in
    stat(2). SQLite's locks (POSIX) do not count. Without such a list it counts as held. Raises OSError.
    """
    listed = _flocks()
    return listed is None or any(one.endswith(f":{path.lstat().st_ino}") for one in listed)


def is_seen_locked(path: Path) -> bool:
    """The same by inode and device; False if the system does not report it. Raises OSError."""
    facts = path.lstat()
    device = f"{os.major(facts.st_dev):02x}:{os.minor(facts.st_dev):02x}"
    return f"{device}:{facts.st_ino}" in (_flocks() or ())


def _flocks() -> list[str] | None:
    """The files with an flock(2), as MAJOR:MINOR:INODE; None if the system has no such list."""
    try:
        rows = [line.split() for line in Path("/proc/locks").read_text(encoding="ascii").splitlines()]
    except OSError:
        return None
    return [word for row in rows if "FLOCK" in row for word in row if word.count(":") == 2]


@contextlib.contextmanager
def turn(path: Path) -> Iterator[None]:
    """Hold this lock file against other threads and processes. A crash releases it."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def replace(path: Path, data: bytes, *, lasts: bool = True) -> None:
    """Replace a file's content, whole or not at all.

    Without `lasts` nothing is synced, and a power cut may leave the file empty; that spares the card for
    files that no start depends on.
    """
    with _alone(path.parent):
        _replace(path, data, lasts=lasts)


def write_first(path: Path, data: bytes) -> None:
    """Like `replace`, but only if the file is missing or empty: of two writers, the first one's content
    stays.

    Durable on return in both cases, since the first writer may have ended before its last sync.
    """
    with _alone(path.parent):
        if path.exists() and path.stat().st_size:
            sync_dir(path.parent)
        else:
            _replace(path, data, lasts=True)


def _replace(path: Path, data: bytes, *, lasts: bool) -> None:
    beside = path.with_name(path.name + ".new")
    clear_place(beside)
    try:
        write_new(beside, data, lasts=lasts)
        beside.replace(path)
    except OSError:  # on a full disk, the draft would take the last room
        beside.unlink(missing_ok=True)
        raise
    if lasts:
        sync_dir(path.parent)


def open_evidence(path: Path, *, follow: bool = False) -> BinaryIO:
    """Open a file from outside, which must not block this program or redirect it.

    follow: a person named the file, so links are followed, and pipes from a shell under /dev are read. Raises
    LedgerError for a link, pipe, socket or device; OSError.
    """
    if follow and (path == Path("/dev/stdin") or path.parent == Path("/dev/fd")):
        return path.open("rb")
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO}:  # a link; a socket
            raise NotPlainError("is not a plain file", where=str(path)) from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotPlainError("is not a plain file", where=str(path))
    return os.fdopen(descriptor, "rb")


def demand_plain(*paths: Path) -> None:
    """Check that whatever exists at these paths is a plain file. Raises LedgerError."""
    for path in paths:
        with contextlib.suppress(OSError):
            mode = path.lstat().st_mode
            if not stat.S_ISREG(mode):
                cure = "put the file itself there, not a link to it; the home's folder may be a link"
                if not stat.S_ISLNK(mode):
                    cure = "move it away, and put the file back"
                raise NotPlainError("is not a plain file", where=str(path), cure=cure)


def demand_own(*paths: Path, home: Path, written: bool = False) -> None:
    """Check that whatever exists at these paths is a plain file that this user can read, and write if
    `written`.

    Another user's file is not damage, and nothing replaces it. Raises NotPlainError, NotOwnerError.
    """
    demand_plain(*paths)
    for path in paths:
        if not os.path.lexists(path):
            continue
        # a failed card, which the caller reports
        writes = written and not os.statvfs(path).f_flag & os.ST_RDONLY
        if not os.access(path, os.R_OK | os.W_OK if writes else os.R_OK):
            raise NotOwnerError(
                f"may not be read{' and written' if writes else ''} by this user",
                where=str(path),
                cure=own_cure(path, home=home),
            )


def demand_own_folder(path: Path, *, home: Path) -> None:
    """Check that this user can create and remove files in this folder of a home. Raises NotOwnerError.

    A read-only file system, as a failed card becomes, passes: the caller reports that.
    """
    if os.access(path, os.R_OK | os.W_OK | os.X_OK) or os.statvfs(path).f_flag & os.ST_RDONLY:
        return
    raise NotOwnerError(
        "this user may not make files in this folder",
        where=str(path),
        cure=own_cure(path, home=home, is_folder=True),
    )


def own_cure(path: Path, *, home: Path, is_folder: bool = False) -> str:
    """The commands that return a part of a home to the home's user."""
    owner, part = shlex.quote(str(home)), shlex.quote(str(path))
    return f"sudo chown --reference={owner} {part} && sudo chmod {700 if is_folder else 600} {part}"


def read_named(file: BinaryIO, path: Path, size: int) -> bytes:
    """The same as `read`; an OSError names the file, which the system does only where it opens one."""
    try:
        return file.read(size)
    except OSError as error:
        error.filename = str(path)
        raise


def is_of_card(error: BaseException) -> bool:
    """Whether the card failed a read or a write: CARD_FAILS says what to do, and the file may be whole."""
    return isinstance(error, OSError) and error.errno in _OF_CARD


def read_bounded(path: Path, limit: int) -> bytes:
    """Read a file of at most `limit` bytes. Raises OSError; LedgerError for a longer or no plain file."""
    with open_evidence(path) as file:
        data = read_named(file, path, limit + 1)
    if len(data) > limit:
        raise LedgerError(f"is larger than {limit} bytes", where=str(path))
    return data


def move_together(names: Iterable[str], folder: Path, into: Path) -> int:
    """Move files to another folder durably; returns how many. Files moved before an interruption are fine."""
    make_dirs(into)
    count = 0
    for name in names:
        try:
            (folder / name).replace(into / name)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _carry_over(folder / name, into / name)
        count += 1
    sync_dir(into)
    sync_dir(into.parent)
    sync_dir(folder)
    return count


def _carry_over(path: Path, to: Path) -> None:
    beside = to.with_name(to.name + ".new")
    beside.unlink(missing_ok=True)
    with open_evidence(path) as source, beside.open("xb") as target:
        shutil.copyfileobj(source, target)
        target.flush()
        sync_file(target.fileno())
    beside.chmod(PRIVATE_FILE)
    beside.replace(to)
    sync_dir(to.parent)
    path.unlink()


def remove_tree(path: Path) -> int:
    """Remove a directory durably; returns how many files it had, 0 if it is missing.

    Of a link, only the link is removed. Raises the first OSError after removing everything that it can.
    """
    if path.is_symlink():
        path.unlink()
        sync_dir(path.parent)
        return 0
    if not path.is_dir():
        return 0
    count, failed = 0, None
    for one in list(path.iterdir()):
        try:
            if one.is_dir() and not one.is_symlink():  # made by a person or a damaged file system
                count += remove_tree(one)
            else:
                count += remove([one])
        except OSError as error:
            failed = failed or error
    if failed is not None:
        raise failed
    path.rmdir()
    sync_dir(path.parent)
    return count


def erase(path: Path) -> None:
    """Overwrite and remove a file durably; it may be missing. A flash cell may keep it. Raises OSError."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.pwrite(descriptor, bytes(os.fstat(descriptor).st_size), 0)
        sync_file(descriptor)
    finally:
        os.close(descriptor)
    path.unlink()
    sync_dir(path.parent)


def remove(paths: Iterable[Path]) -> int:
    """Remove files; the caller syncs the directory."""
    removed = list(paths)
    for path in removed:
        path.unlink(missing_ok=True)
    return len(removed)
