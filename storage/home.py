"""Where custody lies on disk, and who may write there: one process, by an flock on the home's lock file.

HOME/store/ledger.sqlite3   leaves, small elements, caches      HOME/store/log.pub   the log's public key
HOME/store/blobs/           sealed images, a folder per epoch   HOME/store/slot.uri  which slot holds the KEK
HOME/store/door.sock        the writer's socket, 0600           HOME/store/lock      held by the writer
"""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from storage.checkpoint import NoteKey
from storage.errors import CheckpointError, HomeLockedError, LedgerError, NoHomeError


@dataclass(frozen=True, slots=True)
class Home:
    """The paths of one home."""

    root: Path

    @property
    def folder(self) -> Path:
        """The custody folder: HOME/store, or `root` itself where that was named."""
        inner = self.root / "store"
        return self.root if (self.root / "ledger.sqlite3").exists() and not inner.exists() else inner

    @property
    def database(self) -> Path:
        return self.folder / "ledger.sqlite3"

    @property
    def blobs(self) -> Path:
        return self.folder / "blobs"

    @property
    def public_key(self) -> Path:
        return self.folder / "log.pub"

    @property
    def slot_uri(self) -> Path:
        return self.folder / "slot.uri"

    @property
    def socket(self) -> Path:
        return self.folder / "door.sock"

    @property
    def people(self) -> Path:
        """Demo credentials; absent on an enrolled unit."""
        return self.folder / "demo-people"

    def exists(self) -> bool:
        return self.database.exists()

    def need(self) -> None:
        """Raises LedgerError where there is no ledger."""
        if not self.exists():
            raise NoHomeError("holds no ledger", where=str(self.root), cure="reader init makes one")

    def read_public_key(self) -> NoteKey:
        """The home's own word on its log key. Raises LedgerError."""
        try:
            return NoteKey.parse(self.public_key.read_text())
        except (OSError, ValueError, CheckpointError) as error:
            raise LedgerError(f"cannot be read: {error}", where=str(self.public_key)) from None


class HomeLock:
    """The right to write a home; gone with the process."""

    def __init__(self, home: Home) -> None:
        """Raises HomeLockedError where another process holds it."""
        path = home.folder / "lock"
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._descriptor)
            raise HomeLockedError(
                "another process writes this home",
                where=str(home.root),
                cure="ask it over its socket, or stop it",
            ) from None

    def release(self) -> None:
        os.close(self._descriptor)
