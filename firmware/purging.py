"""The purge, in a thread of its own beside the reading.

Promise: trouble here is an event in the log and a later try; it never stops the reading.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import structlog

from hw.errors import HardwareError
from storage.errors import StorageError
from storage.ledger import Ledger

PURGE_EVERY_S = 3600.0  # the slot is written at most hourly
JOIN_S = 10.0


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

    stop = threading.Event()
    thread = threading.Thread(target=work, args=(stop,), name="purge", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(JOIN_S)
