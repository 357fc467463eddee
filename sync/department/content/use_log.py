"""The key service's own log: a line of JSON for each use of a key, durable before the key is used."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path

from storage import files


class UseLog:
    """Appends whole lines. Threads may write at the same time."""

    def __init__(self, path: Path) -> None:
        """Open the log, or make it. Raises OSError."""
        self._guard = threading.Lock()  # not the keys': some lines are written under that
        self._file = path.open("a+b", buffering=0)
        self._torn = False  # the log ends within a line
        path.chmod(files.PRIVATE_FILE)
        if self._file.tell():
            self._file.seek(-1, os.SEEK_END)
            self._torn = self._file.read(1) != b"\n"

    def write(self, facts: Mapping[str, object]) -> None:
        """Append a line; one that was cut before is ended first. Raises OSError."""
        line = json.dumps(facts, sort_keys=True).encode() + b"\n"
        with self._guard:
            data, done = b"\n" + line if self._torn else line, 0
            while done < len(data):  # an almost full disk takes a part, and says so by the count alone
                done += self._file.write(data[done:])
                self._torn = done > 0 and data[done - 1 : done] != b"\n"
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()
