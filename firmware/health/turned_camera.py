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
        """Whether it hung upside down with this rotation, when it was last seen. With another one it is
        another picture, and forgotten."""
        held = self._held()
        if held == self._facts(rotation):
            return True
        self._forget(held)
        return False

    def note(self, rotation: int, *, upside_down: bool) -> None:
        """Remember it, or forget it; a card that takes nothing is no reason to read less."""
        if not upside_down:
            self._forget(self._held())
            return
        with contextlib.suppress(OSError, StorageError):
            if Home(self._home).exists():  # after a factory reset nothing of the old unit comes back
                files.replace(self._home / FILE, json.dumps(self._facts(rotation)).encode())

    def _held(self) -> object:
        try:
            return json.loads(files.read_bounded(self._home / FILE, 4096))
        except (OSError, StorageError, ValueError, RecursionError):
            return None  # it is counted again

    def _forget(self, held: object) -> None:
        """Remove the file, unless it is about another camera of this home."""
        if isinstance(held, dict) and held.get("source") != self._source:
            return
        with contextlib.suppress(OSError):
            (self._home / FILE).unlink()

    def _facts(self, rotation: int) -> dict[str, object]:
        return {"rotation": rotation, "source": self._source}
