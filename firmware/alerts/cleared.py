"""Plates that a person found not to be an entry's: no second alert until the entry changes. Sealed."""

from __future__ import annotations

import threading
from pathlib import Path

from storage import files
from storage.envelope import decode, encode
from storage.errors import SealError, StorageError
from storage.hot_list_file import seal, unseal

NAME = "cleared"
MAX_BYTES = 16 << 20
MOST = 200_000

Cleared = frozenset[tuple[str, bytes]]


class ClearedPlates:
    """HOME/hotlists/cleared: (folded plate, SHA-256 of the entry). Thread-safe."""

    def __init__(self, folder: Path, key: bytes) -> None:
        """What another log sealed counts as empty: an alert too many, never one too few."""
        self._path, self._key, self._lock = folder / NAME, key, threading.Lock()
        self._all: Cleared = self._load()

    @property
    def all(self) -> Cleared:
        """Everything that is cleared."""
        return self._all

    def add(self, form: str, entry: bytes) -> None:
        """Clear a plate for an entry. Raises OSError."""
        self.take({(form, entry)})

    def take(self, pairs: frozenset[tuple[str, bytes]] | set[tuple[str, bytes]]) -> None:
        """Clear several, e.g. those that the department sent. Raises OSError."""
        with self._lock:
            merged = self._all | pairs
            if merged == self._all:
                return
            kept = frozenset(sorted(merged)[-MOST:])
            files.make_dir(self._path.parent)
            plain = encode([[form, entry] for form, entry in sorted(kept)])
            files.replace(self._path, seal(self._key, NAME, 0, plain))
            self._all = kept

    def _load(self) -> Cleared:
        try:
            plain = decode(unseal(self._key, NAME, 0, self._path.read_bytes()), limit=MAX_BYTES)
        except (FileNotFoundError, SealError, StorageError):
            return frozenset()
        return frozenset((str(form), bytes(entry)) for form, entry in plain)
