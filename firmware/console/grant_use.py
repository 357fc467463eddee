"""How long each grant was used on a unit whose clock is not set: there its length counts in running time.

A file of the home, or memory. Written once a minute of use, so that pulling the power buys a minute at most.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from storage import files

KEPT = 64  # grants, the newest
WRITE_EVERY_S = 60.0


class GrantUse:
    """Seconds of use by grant id."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._used: dict[str, float] = {}
        self._unwritten_s = 0.0
        self._load()

    def used_s(self, grant_id: str) -> float:
        """How long it was used so far."""
        return self._used.get(grant_id, 0.0)

    def charge(self, grant_id: str, seconds: float, *, at_end: bool = False) -> None:
        """It was used for so much longer."""
        self._used[grant_id] = self._used.pop(grant_id, 0.0) + seconds
        self._used = dict(list(self._used.items())[-KEPT:])
        self._unwritten_s += seconds
        if at_end or self._unwritten_s >= WRITE_EVERY_S:
            self._unwritten_s = 0.0
            with contextlib.suppress(OSError):  # a full disk forgets at a restart; memory counts until then
                self._write()

    def _load(self) -> None:
        if self._path is None:
            return
        with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
            held = json.loads(self._path.read_text(encoding="ascii")[:16_384])
            self._used = {str(name): max(0.0, float(used)) for name, used in held.items()}

    def _write(self) -> None:
        if self._path is None:
            return
        used = {name: round(seconds, 1) for name, seconds in self._used.items()}
        files.replace(self._path, json.dumps(used).encode())
