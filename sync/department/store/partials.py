"""Elements that arrive in pieces: one file per log, synced, and sealed as they came from the unit.

A log has only one at a time, which the next one replaces, so that what a unit can leave here is bounded.
"""

from __future__ import annotations

import os
from pathlib import Path

from storage import files
from storage.leaf import ELEMENT_NAME
from storage.times import DAY_US
from sync.errors import MessageError
from sync.pieces import PieceHeader


class Partials:
    """Pieces in a folder of the department's home. The caller admits one message of a log at a time."""

    def __init__(self, folder: Path, *, makes: bool = True) -> None:
        """`makes`: make the folder if it is missing; False for programs that only read."""
        self._folder = folder
        if makes:
            folder.mkdir(mode=files.PRIVATE_DIR, parents=True, exist_ok=True)

    def _path(self, log_no: int, header: PieceHeader) -> Path:
        if not ELEMENT_NAME.fullmatch(header.name):
            raise MessageError("is not the name of an element", where="piece.name")
        return self._folder / f"{log_no:d}-{header.sequence:d}-{header.name}-{header.total:d}"

    def add(self, log_no: int, header: PieceHeader, data: memoryview) -> int:
        """Append the new part of a piece, synced; returns how many bytes are held.

        A piece that would leave a gap is not kept.
        """
        if len(data) != header.length:
            raise MessageError("the length in the header is not that of the body", where="piece")
        path = self._path(log_no, header)
        held = path.stat().st_size if path.exists() else 0
        new = data[held - header.offset :] if header.offset <= held < header.offset + header.length else b""
        if not new:
            return held
        if not held:
            self.drop(log_no)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, files.PRIVATE_FILE)
        try:
            view = memoryview(new)
            while view:
                view = view[os.write(descriptor, view) :]
            files.sync_file(descriptor)
        finally:
            os.close(descriptor)
        if not held:
            files.sync_dir(self._folder)
        return held + len(new)

    def whole(self, log_no: int, header: PieceHeader) -> bytes:
        """The whole element as it came."""
        return self._path(log_no, header).read_bytes()

    def drop(self, log_no: int) -> None:
        """Remove the pieces of this log."""
        files.remove(self._folder.glob(f"{log_no:d}-*"))

    def drop_older(self, days: int, now_us: int) -> int:
        """Remove pieces without a successor for this many days; returns how many."""
        limit = (now_us - days * DAY_US) / 1e6
        return files.remove(path for path in self._folder.iterdir() if path.stat().st_mtime < limit)
