"""Purges what is due even if a run cannot begin or ends with an error.

The supervisor starts such a unit again and again. Its configuration may be unreadable for months, and
meanwhile content becomes due by its policy and its receipts.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import structlog

from detector.errors import DetectorError
from firmware.custody.opening import open_ledger
from firmware.run.field_parts import clock_of
from hw.errors import HardwareError
from storage.errors import ExplainedError, HomeLockedError

ENDS = (ExplainedError, HardwareError, DetectorError, OSError, sqlite3.Error)


@contextlib.contextmanager
def purging_anyway(home: Path, log: structlog.typing.FilteringBoundLogger) -> Iterator[None]:
    """A context manager: if its block raises, what is due is purged first, provided that the ledger opens."""
    try:
        yield
    except HomeLockedError:
        raise  # the process that holds the home purges it
    except ENDS:
        with contextlib.suppress(*ENDS), open_ledger(home, clock=clock_of(None)) as ledger:
            receipt = ledger.tend()
            if receipt is not None:
                log.info("purged", receipt=receipt.sequence)
        raise
