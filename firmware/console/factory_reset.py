"""A factory reset of a home: the keys first, then everything else, while other threads may still write there.

Promise: from the first step on nothing on the card can be opened, and what comes after it is done to its end.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from pathlib import Path

from firmware.console.errors import UnitRefusedError
from hw.errors import SlotFailedError
from storage.slot import SLOT_BYTES
from storage.store import Store

TRIES = 5
WAIT_S = 0.2


def destroy_keys(store: Store) -> None:
    """Clear the slot, and the keys in memory. Raises UnitRefusedError. Under the store's lock."""
    slot = store.slot
    slot.write(bytes(SLOT_BYTES))
    if slot.read() != bytes(SLOT_BYTES):
        raise UnitRefusedError(f"{slot.uri} did not take the reset: destroy the unit's card and chip")
    # This process still has the key in memory, and anchors hourly: it must not write it back.
    store.slot = _ClearedSlot(slot.uri)
    store.live.clear()


def clear_home(home: Path) -> list[str]:
    """Empty the folder; the names of what would not go. A running reader may put a file there, or take one
    away, at any moment, so that one look is not enough.
    """
    left: list[str] = []
    for _ in range(TRIES):
        for path in sorted(home.iterdir()):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                with contextlib.suppress(OSError):
                    path.unlink()
        left = sorted(path.name for path in home.iterdir())
        if not left:
            break
        time.sleep(WAIT_S)
    return left


class _ClearedSlot:
    """Stands where the slot was: holds nothing, takes nothing."""

    promise = "cleared by a factory reset"

    def __init__(self, uri: str) -> None:
        self.uri = uri

    def read(self) -> bytes | None:
        """See SecureSlot.read."""
        return None

    def write(self, content: bytes) -> None:
        """See SecureSlot.write."""
        raise SlotFailedError(f"{self.uri}: the unit was reset ({len(content)} bytes refused): restart it")
