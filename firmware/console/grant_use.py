"""How long each grant was used on a unit whose clock is not set: there its length counts in running time.

A file of the home, or memory. It is written a minute ahead, from the login on, and corrected at the end of a
session: pulling the power costs up to a minute, and never buys one.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from storage import files

KEPT = 64  # grants, the newest
AHEAD_S = 60.0


class GrantUse:
    """Seconds of use by grant id."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._used: dict[str, float] = {}
        self._load()
        self._written = dict(self._used)

    def used_s(self, grant_id: str) -> float:
        """How long it was used so far."""
        return self._used.get(grant_id, 0.0)

    def charge(self, grant_id: str, seconds: float, *, at_end: bool = False) -> None:
        """It was used for so much longer; 0 seconds begin a session."""
        used = self._used.pop(grant_id, 0.0) + seconds
        self._used = dict([*self._used.items(), (grant_id, used)][-KEPT:])
        if at_end or used >= self._written.get(grant_id, 0.0):
            with contextlib.suppress(OSError):  # a full disk forgets at a restart; memory counts until then
                self._write(self._used | ({} if at_end else {grant_id: used + AHEAD_S}))

    def _load(self) -> None:
        if self._path is None:
            return
        with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
            held = json.loads(self._path.read_text(encoding="ascii")[:16_384])
            self._used = {str(name): max(0.0, float(used)) for name, used in held.items()}

    def _write(self, used: dict[str, float]) -> None:
        if self._path is not None:
            made = {name: round(seconds, 1) for name, seconds in used.items()}
            files.replace(self._path, json.dumps(made).encode())
        self._written = used
