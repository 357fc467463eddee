"""Plates that a person found not to be an entry's: they raise no alert until the entry changes. Sealed."""

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
_FORM = 1  # in form 0, one person could clear the entry's own plate


class ClearedPlates:
    """HOME/hotlists/cleared: a set of `cleared_name` values. Thread-safe."""

    def __init__(self, folder: Path, key: bytes) -> None:
        """A file in an old form, or sealed by another log, counts as empty: too many alerts are safer."""
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
            # an unreadable file clears nothing: its plates raise alerts again, and the start does not fail
            return frozenset()
        return frozenset(bytes(one) for one in plain)
