"""Writes HOME/sync/status.json, on which no start depends, and says where it cannot be written.

A person who asks for a sync waits for the outcome in it.
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

import structlog

from storage import files
from storage.errors import StorageError
from sync.errors import SyncError

log_events = structlog.get_logger("uplink")
REPLACED = {errno.EACCES, errno.ENXIO, errno.ELOOP, errno.EISDIR, errno.ENOENT}
"""Another user's file, a pipe, a link, a folder, or nothing: the reader puts its own in its place."""
_UNWRITTEN: dict[Path, str] = {}  # why it could not be written last, to say it once


def write(path: Path, data: bytes) -> None:
    """Write the file, without fsync: a power cut may lose it. An event says why it could not be written."""
    try:
        _write(path, data)
    except (OSError, StorageError) as error:
        if _UNWRITTEN.get(path) != str(error):
            _UNWRITTEN[path] = str(error)
            log_events.warning("sync_status_not_written", reason=str(error))
    else:
        _UNWRITTEN.pop(path, None)


def _write(path: Path, data: bytes) -> None:
    try:
        files.replace(path, data, lasts=False)
    except OSError as error:
        if files.is_full(error):
            _write_over(path, data)
        elif path.is_dir():
            files.clear_place(path)
            files.replace(path, data, lasts=False)
        else:
            raise


def _write_over(path: Path, data: bytes) -> None:
    """Write into the room of the old file, since a full disk has no other. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "wb", buffering=0) as file:
        file.write(data)
        file.truncate()


def demand(path: Path) -> None:
    """Check that the file can be written, before a person waits for what will be in it. Raises SyncError."""
    try:
        _probe(path.with_name(f"{path.name}.probe"))
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC))
        except OSError as error:
            if error.errno not in REPLACED:
                raise
    except OSError as error:
        cure = f"give {path.parent} back to the reader's user; lsattr shows a file that may not change"
        if error.errno == errno.EROFS:
            cure = "a failing card is often made read-only: dmesg names it; replace the card"
        elif files.is_of_card(error):
            cure = files.CARD_FAILS
        raise SyncError(
            f"cannot be written, so no outcome can be shown: {error.strerror or type(error).__name__}",
            where=str(path),
            cure=cure,
        ) from None


def _probe(beside: Path) -> None:
    """Write a file in the same folder. Raises OSError, but not for a full disk: see `_write_over`."""
    try:
        files.replace(beside, b"\n", lasts=False)
    except OSError as error:
        if not files.is_full(error):
            raise
    with contextlib.suppress(FileNotFoundError):
        beside.unlink()
