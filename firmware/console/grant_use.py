"""How long each grant was used on a unit whose clock is not set: its length then counts in running time.

Kept in a file of the home, or in memory. From the login on, the file is written a minute ahead, and corrected
at the end of the session: cutting the power can cost a minute, but never gain one. For a grant that the file
does not name, the log's sessions count, so removing the file gains nothing.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from firmware.console.maintenance import KeptOutput
from storage import files
from storage.audit_records import MaintenanceLine
from storage.errors import StorageError
from storage.ledger import Ledger
from storage.record_base import KeyClass
from storage.store import UnitStore

KEPT = 64  # newest grants
AHEAD_S = 60.0
SHORT_LINE = 2048  # bytes: shorter records contain hardly any output, and there are many of them
UNREADABLE = (StorageError, sqlite3.Error, TypeError, ValueError, OverflowError)  # purged, or a damaged card


class GrantUse:
    """Seconds of use by grant id. Thread-safe: all consoles of a process share it."""

    def __init__(
        self,
        path: Path | None = None,
        logged_s: Callable[[str], float] = lambda _grant: 0.0,
        kept_output: KeptOutput | None = None,
    ) -> None:
        """logged_s: the use of a grant by the log; called once for each grant that the file does not name."""
        self._path, self._logged_s = path, logged_s
        self._used: dict[str, float] = {}
        self._lock = threading.RLock()
        self.kept_output = kept_output or KeptOutput()
        self._load()
        self._written = dict(self._used)

    def used_s(self, grant_id: str) -> float:
        """The seconds for which the grant was used so far."""
        with self._lock:
            if grant_id not in self._used:
                self._used[grant_id] = self._logged_s(grant_id)
            return self._used[grant_id]

    def charge(self, grant_id: str, seconds: float, *, at_end: bool = False) -> None:
        """Add seconds of use; 0 begins a session."""
        with self._lock:
            used = self.used_s(grant_id) + seconds
            del self._used[grant_id]
            self._used = dict([*self._used.items(), (grant_id, used)][-KEPT:])
            if at_end or used >= self._written.get(grant_id, 0.0):
                # on a full disk, the count is only in memory
                with contextlib.suppress(OSError):
                    self._write(self._used | ({} if at_end else {grant_id: used + AHEAD_S}))

    def _load(self) -> None:
        if self._path is None:
            return
        damaged = (ValueError, TypeError, AttributeError, RecursionError)
        with contextlib.suppress(OSError, StorageError, *damaged):
            held = json.loads(files.read_bounded(self._path, 16_384))
            self._used = {str(name): max(0.0, float(used)) for name, used in held.items()}

    def _write(self, used: dict[str, float]) -> None:
        if self._path is not None:
            made = {name: round(seconds, 1) for name, seconds in used.items()}
            files.replace(self._path, json.dumps(made).encode())
        self._written = used


def grant_use(home: Path, ledger: Ledger) -> GrantUse:
    """The use of grants in a home, backed by its log."""
    kept = KeptOutput(partial(logged_bytes, ledger))
    return GrantUse(home / "console.grants", partial(logged_s, ledger), kept)


def logged_s(ledger: Ledger, grant_id: str) -> float:
    """The length of a grant's sessions in the log (s), each from its first line to its last.

    Unreadable lines do not count: one damaged page must not lock everyone out.
    """
    spans = dict[str, tuple[int, int]]()
    with ledger.store.lock:
        for line in _lines(ledger.store):
            if line.grant == grant_id:
                first_us, _ = spans.get(line.session, (line.at_us, 0))
                spans[line.session] = (first_us, max(first_us, line.at_us))
    return sum(last_us - first_us for first_us, last_us in spans.values()) / 1e6


def logged_bytes(ledger: Ledger, grant_id: str) -> int:
    """How much output of a grant the log keeps (bytes), in records longer than SHORT_LINE."""
    with ledger.store.lock:
        lines = _lines(ledger.store, over_bytes=SHORT_LINE)
        return sum(len(line.output) for line in lines if line.grant == grant_id)


def _lines(store: UnitStore, *, over_bytes: int = 0) -> Iterator[MaintenanceLine]:
    """The readable maintenance lines of the log."""
    for epoch in [one.epoch for one in store.book.epochs.values() if one.key_class is KeyClass.AUDIT]:
        sequences: list[int] = []
        with contextlib.suppress(*UNREADABLE):
            sequences = store.sequences(epoch, over_bytes=over_bytes)
        for sequence in sequences:
            line = _line(store, sequence)
            if line is not None:
                yield line


def _line(store: UnitStore, sequence: int) -> MaintenanceLine | None:
    """A maintenance line; None for any other record and for an unreadable one."""
    with contextlib.suppress(*UNREADABLE):
        if store.leaf(sequence).kind == MaintenanceLine.KIND:
            record = store.record(sequence)
            return record if isinstance(record, MaintenanceLine) else None
    return None
