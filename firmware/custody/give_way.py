"""The reader asks for its home: a console without a login then releases it.

The request is a mark in the home, stamped with CLOCK_BOOTTIME. A mark that is older than a start takes no
longer counts, so a reader that was killed while it waited closes no console.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from hw.clock import boottime_s
from storage import files
from storage.errors import LedgerError

NAME = "reader.waits"
LASTS_S = 15.0
MOST_BYTES = 32


@contextlib.contextmanager
def way_asked(home: Path) -> Iterator[None]:
    """Ask consoles without a login to release this home, for the length of the `with`."""
    mark = home / NAME
    with contextlib.suppress(OSError):  # a full disk: no console is asked
        fd = os.open(mark, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
        with os.fdopen(fd, "w", encoding="ascii") as file:
            file.write(repr(boottime_s()))  # unrounded: rounded up, it would be in the future
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # anything but our own mark does not count
            mark.unlink(missing_ok=True)


def is_way_asked(home: Path) -> bool:
    """Whether a reader waits for this home now."""
    try:
        age_s = boottime_s() - float(files.read_bounded(home / NAME, MOST_BYTES))
    except (OSError, ValueError, LedgerError):
        return False
    return 0 <= age_s <= LASTS_S
