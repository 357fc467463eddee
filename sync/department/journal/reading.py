"""Opens a log's database for a check: leaves nothing beside a copy, and works on a read-only medium."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from storage import schema
from sync.errors import LackingError


@contextlib.contextmanager
def reading(path: Path, *, at_home: bool) -> Iterator[sqlite3.Connection]:
    """Open a database; all queries see it as it is at the first one. Raises sqlite3.Error, LackingError.

    `at_home`: a server may be writing it.
    """
    written = at_home and os.access(path.parent, os.W_OK)
    try:
        with schema.evidence(path, written=written) as db:
            db.conn.execute("BEGIN")
            yield db.conn
    except OSError as error:
        raise LackingError(error.strerror or str(error), where=str(path)) from None
