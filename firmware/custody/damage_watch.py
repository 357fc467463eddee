"""Looks, in a thread, at a log that SQLite calls malformed while the unit reads: no frame waits for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from storage.damage import APART_S, is_confirmed
from storage.errors import DamagedError


class DamageWatch:
    """One look at a time; on_damage is called with what is wrong if a look confirms it."""

    def __init__(self, database: Path, on_damage: Callable[[str], None]) -> None:
        self._database, self._on_damage = database, on_damage
        self._lock, self._acting = threading.Lock(), threading.Lock()
        self._thread: threading.Thread | None = None
        self._looked_s: float | None = None
        self._ended = False

    def report(self, error: Exception) -> bool:
        """Begin a look at what an error calls damaged, unless one has just ended; returns whether a look, or
        what follows from it, is under way.
        """
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                return True
            if not isinstance(error, DamagedError) or self._ended:
                return False
            if self._looked_s is not None and time.monotonic() - self._looked_s < APART_S:
                return False
            self._thread = threading.Thread(target=self._look, args=(error,), name="damage", daemon=True)
            self._thread.start()
            return True

    def end(self) -> None:
        """Begin no more looks, and call nothing after one that is under way: the ledger closes."""
        with self._acting:
            self._ended = True

    def _look(self, error: DamagedError) -> None:
        confirmed = is_confirmed(error, self._database)
        self._looked_s = time.monotonic()
        with self._acting:  # not the lock of report(): what is done may take long, and needs the store's lock
            if confirmed and not self._ended:
                self._on_damage(str(error))
