"""Plates that a person found not to be an entry's: no second alert for it until it changes. Sealed."""

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
_FORM = 1  # form 0 cleared the entry's own plate on one person's word


class ClearedPlates:
    """HOME/hotlists/cleared: each a `cleared_name`. Thread-safe."""

    def __init__(self, folder: Path, key: bytes) -> None:
        """What another log sealed, or an older form, counts as empty: an alert too many, not one too few."""
        self._path, self._key, self._lock = folder / NAME, key, threading.Lock()
        self._all = self._load()

    @property
    def all(self) -> frozenset[bytes]:
        """All cleared plates."""
        return self._all

    def add(self, name: bytes) -> None:
        """Clear a plate for an entry. Raises OSError."""
        with self._lock:
            if name in self._all or len(self._all) >= MOST:
                return
            kept = self._all | {name}
            files.make_dir(self._path.parent)
            files.replace(self._path, seal(self._key, NAME, _FORM, encode(sorted(kept))))
            self._all = kept

    def _load(self) -> frozenset[bytes]:
        try:
            sealed = files.read_bounded(self._path, MAX_BYTES)
            plain = decode(unseal(self._key, NAME, _FORM, sealed), limit=MAX_BYTES)
        except (OSError, SealError, StorageError):
            # an unreadable file clears nothing: its plates alert again, and no start fails for it
            return frozenset()
        return frozenset(bytes(one) for one in plain)
