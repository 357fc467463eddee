"""Sealed images as files: written and synced before any record names them.

A blob is at blobs/<epoch>/<SHA-256 of its bytes>; one folder per epoch, so that a purge drops a folder.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from storage import files
from storage.errors import CardFailedError, LedgerError, NotPlainError, ShutError
from storage.sealing import Sealed

MAX_BLOB_BYTES = 64 << 20


def make_folder(folder: Path) -> None:
    """Make the folder of all epochs if it is missing; `verify` names the images that were in it.

    Raises NotPlainError if it is neither a folder nor a link to one; OSError.
    """
    if os.path.lexists(folder) and not folder.is_dir():
        raise NotPlainError(
            "is not a folder, nor a link to one",
            where=str(folder),
            cure="mount its target, or move it away: the next start makes the folder again",
        )
    files.make_dir(folder)


class Blobs:
    """The blob folder of one home."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="sync")

    def close(self) -> None:
        """Stop the threads that sync files."""
        self._pool.shutdown()

    def path(self, epoch: int, digest: bytes) -> Path:
        return self._epoch(epoch) / digest.hex()

    def leads_elsewhere(self, epoch: int) -> bool:
        """Whether an epoch's folder is a link; then its images are at the link's target."""
        try:
            return self._epoch(epoch).is_symlink()
        except OSError:  # the folder of all epochs is closed: reported when this one is removed
            return False

    def _epoch(self, epoch: int) -> Path:
        return self.folder / f"{epoch:08d}"

    def put(self, epoch: int, elements: Iterable[Sealed]) -> None:
        """Store sealed images durably. An OSError leaves none of them behind."""
        folder = self._epoch(epoch)
        written: list[Path] = []
        try:
            files.make_dir(folder)
            new = [(folder / element.digest.hex(), element.stored) for element in elements]
            written = [path for path, _ in new]
            files.write_at_once(new, folder, self._pool)
        except OSError:
            files.remove(written)
            raise

    def discard(self, epoch: int, elements: Iterable[Sealed]) -> None:
        """Remove images that no record names."""
        files.remove(self._epoch(epoch) / element.digest.hex() for element in elements)

    def get(self, epoch: int, digest: bytes) -> bytes:
        """The stored bytes, checked against their name. Raises ShutError, CardFailedError, LedgerError."""
        path = self.path(epoch, digest)
        try:
            data = files.read_bounded(path, MAX_BLOB_BYTES)
        except FileNotFoundError:
            raise LedgerError("a sealed image is missing", where=str(path)) from None
        except OSError as error:  # a failing card, or root's file: it may become readable again
            why = error.strerror or type(error).__name__
            kind = ShutError if isinstance(error, PermissionError) else CardFailedError
            raise kind(f"a sealed image cannot be read: {why}", where=str(path)) from None
        if hashlib.sha256(data).digest() != digest:
            raise LedgerError("a sealed image was altered", where=str(path))
        return data

    def names(self, epoch: int) -> set[str]:
        folder = self._epoch(epoch)
        return {path.name for path in folder.iterdir()} if folder.is_dir() else set()

    def epochs(self) -> Iterator[int]:
        """Epochs that have a folder."""
        return (int(path.name) for path in self._entries() if _is_epoch(path))

    def foreign(self) -> list[str]:
        """Names in the blob folder that belong to no epoch; no image of a record is in them."""
        return [path.name for path in self._entries() if not _is_epoch(path)]

    def _entries(self) -> list[Path]:
        return sorted(self.folder.iterdir())

    def set_aside(self, epoch: int, names: set[str], into: Path) -> int:
        """Move blobs that no record names into another folder, and remove the epoch's folder if it is empty.

        Returns how many were moved.
        """
        folder = self._epoch(epoch)
        count = files.move_together(sorted(names), folder, into) if names else 0
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
            files.sync_dir(self.folder)
        return count

    def drop(self, epoch: int) -> int:
        """Remove an epoch's folder (of a link, only the link); returns how many blobs. Raises OSError."""
        if os.path.lexists(self.folder) and not self.folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "is not a folder, nor a link to one", str(self.folder))
        return files.remove_tree(self._epoch(epoch))


def _is_epoch(path: Path) -> bool:
    return path.name.isdecimal() and len(path.name) == 8 and path.is_dir() and not path.is_symlink()
