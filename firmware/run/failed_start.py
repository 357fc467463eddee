"""A run that cannot begin, or ends by an error: what is due is purged all the same.

The supervisor starts such a unit again and again. Its configuration may be unreadable for months, and its
receipts and its policy let content go meanwhile.
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
    """For `with`: an error that ends the block is raised once what is due was purged, if the ledger opens."""
    try:
        yield
    except HomeLockedError:
        raise  # the process that writes the home purges it
    except ENDS:
        with contextlib.suppress(*ENDS), open_ledger(home, clock=clock_of(None)) as ledger:
            receipt = ledger.tend()
            if receipt is not None:
                log.info("purged", receipt=receipt.sequence)
        raise
