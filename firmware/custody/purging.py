"""Purges in its own thread while the reader runs.

Promise: an error here becomes an event in the log and is retried; it never stops the reader.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading

import structlog

from firmware.threads import working
from hw.errors import HardwareError
from storage.errors import StorageError
from storage.ledger import Ledger

TEND_EVERY_S = 600.0  # the slot itself is written at most hourly


def purging(
    ledger: Ledger, log: structlog.typing.FilteringBoundLogger
) -> contextlib.AbstractContextManager[None]:
    """Purge what is due and anchor the log, now and hourly, even if nothing is read meanwhile."""

    def work(stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                receipt = ledger.tend()
            except (StorageError, HardwareError, OSError, sqlite3.Error) as error:
                log.warning("purge_failed", reason=str(error))
            except Exception as error:  # noqa: BLE001 - named, and tried again: a silent thread is a purge undone
                log.error("purge_failed", kind=type(error).__name__)  # noqa: TRY400
            else:
                if receipt is not None:
                    log.info("purged", receipt=receipt.sequence)
                if left := ledger.store.images_left:
                    log.warning("purge_failed", reason="; ".join(left[:3]))
            stop.wait(TEND_EVERY_S)

    return working("purge", work, join_s=10)
