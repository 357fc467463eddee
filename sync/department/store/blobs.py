"""Packs of sealed images by day of receipt: one file per parcel, synced before any row names it.

A pack is at blobs/<day>/<SHA-256 of its bytes>. Rows name pack, offset and length; a purge drops the
day's folder. `open_packs` gives the folder or the S3-compatible store that the settings name.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from storage import files
from sync.department.ground.home import DepartmentHome
from sync.errors import StoreError

_DAY = re.compile(r"0|[1-9][0-9]{0,5}")  # as `put` writes it, up to the last day that a date can name


def day_of(name: str) -> int | None:
    """The day in the name of a folder of packs; None for a folder that is not ours."""
    return int(name) if _DAY.fullmatch(name) else None


class PackStore(Protocol):
    """Where packs are kept."""

    def put(self, day: int, pieces: Sequence[bytes]) -> str:
        """Store one pack durably; returns its name."""

    def get(self, day: int, pack: str, offset: int, length: int) -> bytes:
        """A piece of a pack. Raises StoreError if it is missing."""

    def names(self, day: int) -> set[str]:
        """The names of a day's packs."""

    def days(self) -> set[int]:
        """The days that have packs. Names that are not a day are ignored."""

    def remove(self, day: int, packs: set[str]) -> None:
        """Remove packs that no row names."""

    def drop(self, day: int) -> int:
        """Remove a whole day; returns how many packs it had."""


class FolderPacks:
    """Packs in a folder of the local file system."""

    def __init__(self, folder: Path, *, makes: bool = True) -> None:
        """`makes`: make the folder if it is missing; False for programs that only read."""
        self._folder = folder
        self._lasting = set[int]()  # days whose folder this process has synced
        if makes and not folder.is_dir():
            folder.mkdir(mode=files.PRIVATE_DIR, parents=True, exist_ok=True)
            files.keep_name(folder)

    def _day(self, day: int) -> Path:
        return self._folder / str(day)

    def put(self, day: int, pieces: Sequence[bytes]) -> str:
        data = b"".join(pieces)
        name = hashlib.sha256(data).hexdigest()
        folder = self._day(day)
        files.make_dir(folder)
        if day not in self._lasting:  # an earlier process may have made the folder without syncing it
            files.sync_dir(self._folder)
            self._lasting.add(day)
        files.replace(folder / name, data)
        return name

    def get(self, day: int, pack: str, offset: int, length: int) -> bytes:
        path = self._day(day) / pack
        try:
            with path.open("rb") as file:
                # check the size first: a row may name an offset beyond the file, or beyond any file
                inside = 0 <= offset <= offset + length <= os.fstat(file.fileno()).st_size
                file.seek(offset if inside else 0)
                data = file.read(length if inside else 0)
        except FileNotFoundError:
            raise StoreError("a pack of images is missing", where=str(path)) from None
        if not inside or len(data) != length:
            raise StoreError("a pack of images is cut short", where=str(path))
        return data

    def names(self, day: int) -> set[str]:
        folder = self._day(day)
        return {path.name for path in folder.iterdir()} if folder.is_dir() else set()

    def days(self) -> set[int]:
        here = self._folder.iterdir() if self._folder.is_dir() else ()
        found = (day_of(path.name) for path in here if path.is_dir())
        return {day for day in found if day is not None}

    def remove(self, day: int, packs: set[str]) -> None:
        if packs:
            files.remove(self._day(day) / name for name in packs)
            files.sync_dir(self._day(day))

    def drop(self, day: int) -> int:
        return files.remove_tree(self._day(day))


def open_packs(home: DepartmentHome, *, makes: bool = True) -> PackStore:
    """Open this home's packs. `makes`: as for FolderPacks. Raises InvalidInputError."""
    chosen = home.settings.blobs_folder
    if chosen.startswith("s3:"):
        from sync.department.store.blobs_s3 import open_s3  # noqa: PLC0415 - a driver, with its own library

        return open_s3(chosen, home.settings.blobs_endpoint)
    return FolderPacks(home.blobs, makes=makes)
