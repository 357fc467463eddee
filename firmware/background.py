"""What runs beside the reading, in threads of their own: the uplink of an enrolled unit, and the purge.

Promise: trouble here is an event in the log and a later try; it never stops the reading.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import structlog

from hw.errors import HardwareError
from storage.errors import StorageError
from storage.ledger import Ledger
from sync.ledger_outbox import LedgerOutbox
from sync.membership import SyncFolder
from sync.runner import Runner
from sync.schedule import Schedule

PURGE_EVERY_S = 3600.0  # the slot is written at most hourly
JOIN_S = 10.0  # a conversation ends between two parcels


@contextlib.contextmanager
def uplink(ledger: Ledger, home: Path) -> Iterator[None]:
    """Speaks to the department by its schedule while the `with` runs, on a unit that is enrolled."""
    folder = SyncFolder.of(home)
    if not folder.is_member():
        yield
        return
    runner = Runner(LedgerOutbox(ledger, folder.inbox), folder, Schedule())
    with _thread("uplink", runner.run):
        yield


@contextlib.contextmanager
def purging(ledger: Ledger, log: structlog.typing.FilteringBoundLogger) -> Iterator[None]:
    """Purges what is due, now and every hour, while the `with` runs."""

    def work(stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                receipt = ledger.apply_retention(by="schedule")
            except (StorageError, HardwareError, OSError) as error:
                log.warning("purge_failed", reason=str(error))
            else:
                if receipt is not None:
                    log.info("purged", receipt=receipt.sequence)
            stop.wait(PURGE_EVERY_S)

    with _thread("purge", work):
        yield


@contextlib.contextmanager
def _thread(name: str, work: Callable[[threading.Event], None]) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=work, args=(stop,), name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(JOIN_S)
