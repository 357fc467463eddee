"""The home's reserve: disk space that is freed when the disk is full, so that purge, sync and console keep
working.

It is a file of zeros next to the store. The home's only writer removes it when disk space is short, before it
opens the database and before each transaction, and makes it again once there is room beyond the limit for
reads.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from storage import files

MB = 1 << 20
SIZE_BYTES = 4 * MB  # SQLite's own files take up to 1.6 MB, a record some kB
SHORT_BYTES = 2 * MB  # below: the reserve is freed


class Reserve:
    """The reserve of one home. Its failures are not errors: the home then has no reserve."""

    def __init__(self, root: Path) -> None:
        self._path = root / "reserve"

    def spend_if_short(self) -> None:
        """Free the space if the disk is nearly full."""
        with contextlib.suppress(OSError):
            if shutil.disk_usage(self._path.parent).free < SHORT_BYTES:
                self._path.unlink(missing_ok=True)

    def keep(self, *, beyond: int) -> None:
        """Take the space again if that leaves `beyond` bytes free."""
        with contextlib.suppress(OSError):
            if self._is_whole() or shutil.disk_usage(self._path.parent).free < SIZE_BYTES + beyond:
                return
            self._path.unlink(missing_ok=True)
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, files.PRIVATE_FILE)
            try:
                os.posix_fallocate(descriptor, 0, SIZE_BYTES)
            except OSError:
                self._path.unlink()
            finally:
                os.close(descriptor)

    def _is_whole(self) -> bool:
        try:
            return self._path.lstat().st_blocks * 512 >= SIZE_BYTES
        except FileNotFoundError:
            return False
