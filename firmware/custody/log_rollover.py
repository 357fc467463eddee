"""Sets aside a log that the department refuses, that is damaged or whose time is wrong, and opens a new one.

The first of the two steps needs the old ledger open, the second needs it closed.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from firmware.custody.opening import slot_of
from hw.clock import Clock
from storage import files
from storage.errors import ExplainedError, StorageError
from storage.home import Home
from storage.ledger import Ledger
from sync.ledger_outbox import LedgerOutbox
from sync.membership import SyncFolder
from sync.rollover import demand_no_copy, keep_all_keys, keep_keys, roll_over


class Successor:
    """What is needed from the refused log to open the next one."""

    def __init__(self, ledger: Ledger, folder: SyncFolder, reason: str) -> None:
        """Raises LedgerError if this unit's logs are closed again and again because of a copy of the unit."""
        demand_no_copy(folder)
        self._folder, self.reason = folder, reason
        self.keep_keys(ledger)
        self._previous: str | None = None
        with contextlib.suppress(sqlite3.Error):  # a damaged ledger may not even have this
            self._previous = LedgerOutbox(ledger, folder.inbox).anchored_note()
        self._start = ledger.store.time.successor()

    def keep_keys(self, ledger: Ledger) -> None:
        """Keep the refused log's epoch keys for the department. Raises OSError.

        Call it again just before the ledger closes, since keys in memory are nowhere else.
        """
        ledger.store.reserve.spend_if_short()
        outbox = LedgerOutbox(ledger, self._folder.inbox)
        keep_keys(self._folder, outbox.log_id, outbox.sealed_keys())

    def open(self, home: Path, clock: Clock) -> Ledger:
        """Set the old log aside and open the new one. Raises LedgerError, SlotError, NotEnrolledError."""
        slot = slot_of(home)
        with contextlib.suppress(StorageError, sqlite3.Error):  # epochs opened since the log was refused
            keep_all_keys(Home(home), slot, clock, self._folder)
        return roll_over(
            home, slot, clock, self._folder,
            previous=self._previous, reason=self.reason, start=self._start,
        )  # fmt: skip


def why_not_kept(error: StorageError | sqlite3.Error | OSError) -> dict[str, str]:
    """Why keys could not be kept, and what to do, for an event."""
    if isinstance(error, ExplainedError):
        return {"reason": str(error)}  # includes the cure
    if files.is_full(error):
        return {"reason": str(error), "cure": "make room on the card"}
    if isinstance(error, PermissionError):
        return {"reason": str(error), "cure": "give this file back to the reader's user"}
    if isinstance(error, FileExistsError | IsADirectoryError | NotADirectoryError):
        return {"reason": str(error), "cure": "move away what is in its place"}
    return {"reason": str(error), "cure": "replace the card (dmesg names a failing one)"}
