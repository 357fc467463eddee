"""The key service's own log: a line of JSON for each use of a key, written durably before the use."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path

from storage import files


class UseLog:
    """Appends whole lines. Thread-safe."""

    def __init__(self, path: Path) -> None:
        """Open or make the log. Raises OSError."""
        self._guard = threading.Lock()  # not the keys' lock, under which some lines are written
        self._file = path.open("a+b", buffering=0)
        self._torn = False  # whether the log ends in the middle of a line
        path.chmod(files.PRIVATE_FILE)
        if self._file.tell():
            self._file.seek(-1, os.SEEK_END)
            self._torn = self._file.read(1) != b"\n"

    def write(self, facts: Mapping[str, object]) -> None:
        """Append a line, after ending one that was cut. Raises OSError."""
        line = json.dumps(facts, sort_keys=True).encode() + b"\n"
        with self._guard:
            data, done = b"\n" + line if self._torn else line, 0
            while done < len(data):  # an almost full disk may take only a part, which only the count shows
                done += self._file.write(data[done:])
                self._torn = done > 0 and data[done - 1 : done] != b"\n"
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()
