"""Remembers over a restart that a camera hangs upside down: that alone, no count that grows with vehicles.

Promise: a file in the home only while it is so, of the rotation and the source that it was seen with.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from storage import files
from storage.errors import StorageError
from storage.home import Home

FILE = "turned.json"


class TurnedCamera:
    """What one home remembers of the camera that it reads with."""

    def __init__(self, home: Path, source: str) -> None:
        """source: the camera's name, without a password."""
        self._home, self._source = home, source

    def is_known(self, rotation: int) -> bool:
        """Whether it hung upside down with this rotation, when it was last seen."""
        try:
            held = json.loads(files.read_bounded(self._home / FILE, 4096))
        except (OSError, StorageError, ValueError, RecursionError):
            return False  # it is counted again
        return bool(held == self._facts(rotation))

    def note(self, rotation: int, *, upside_down: bool) -> None:
        """Remember it, or forget it; a card that takes nothing is no reason to read less."""
        path = self._home / FILE
        with contextlib.suppress(OSError, StorageError):
            if not upside_down:
                path.unlink(missing_ok=True)
            elif Home(self._home).exists():  # after a factory reset nothing of the old unit comes back
                files.replace(path, json.dumps(self._facts(rotation)).encode())

    def _facts(self, rotation: int) -> dict[str, object]:
        return {"rotation": rotation, "source": self._source}
