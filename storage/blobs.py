"""Sealed images as files: written and synced before any record names them.

A blob is at blobs/<epoch>/<SHA-256 of its bytes>; one folder per epoch, so that a purge drops a folder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from storage import files
from storage.errors import LedgerError
from storage.sealing import Sealed

MAX_BLOB_BYTES = 64 << 20


class Blobs:
    """The blob folder of one home."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="sync")

    def close(self) -> None:
        """Let the syncing threads go."""
        self._pool.shutdown()

    def path(self, epoch: int, digest: bytes) -> Path:
        return self._epoch(epoch) / digest.hex()

    def _epoch(self, epoch: int) -> Path:
        return self.folder / f"{epoch:08d}"

    def put(self, epoch: int, elements: Iterable[Sealed]) -> None:
        """Store sealed images durably. On an OSError nothing of them stays."""
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
        """Take back what no record came to name."""
        files.remove(self._epoch(epoch) / element.digest.hex() for element in elements)

    def get(self, epoch: int, digest: bytes) -> bytes:
        """The stored bytes, matched to their name. Raises LedgerError."""
        path = self.path(epoch, digest)
        try:
            data = files.read_bounded(path, MAX_BLOB_BYTES)
        except FileNotFoundError:
            raise LedgerError("a sealed image is missing", where=str(path)) from None
        if hashlib.sha256(data).digest() != digest:
            raise LedgerError("a sealed image was altered", where=str(path))
        return data

    def names(self, epoch: int) -> set[str]:
        folder = self._epoch(epoch)
        return {path.name for path in folder.iterdir()} if folder.is_dir() else set()

    def epochs(self) -> Iterator[int]:
        """Epochs that have a folder; anything else in it is an error of the home."""
        for path in sorted(self.folder.iterdir()):
            if not (path.is_dir() and path.name.isdecimal() and len(path.name) == 8):
                raise LedgerError("does not belong among the blobs", where=str(path))
            yield int(path.name)

    def set_aside(self, epoch: int, names: set[str], into: Path) -> int:
        """Move blobs that no record names into another folder; an epoch's empty folder goes. How many."""
        folder = self._epoch(epoch)
        count = files.move_together(sorted(names), folder, into) if names else 0
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
            files.sync_dir(self.folder)
        return count

    def drop(self, epoch: int) -> int:
        """Remove an epoch's folder; how many blobs it held."""
        return files.remove_tree(self._epoch(epoch))
