"""Finds the day of receipt under which the access log counted what a restored store lacks and a unit sends
again.

A read's year begins with its first receipt (463.8). The log counts, day by day, how many elements of each
name came in and how long each unit's log then was. So a record that was co-signed by some day and is missing
from that day or a later one belongs there.
"""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

from storage import files
from storage.times import day_number
from sync.department.desk.desk import Desk
from sync.department.journal.change_entries import DayCounted
from sync.department.journal.machine_entries import StoreRestored
from sync.department.server.counted_days import ELEMENTS
from sync.department.store import dated_rows
from sync.department.store.database import Store
from sync.department.store.received import received_days
from sync.department.units.arrival import PURGED


class CountedBefore:
    """What one server's store lacks of the counted days. Thread-safe."""

    def __init__(self, store: Store, desk: Desk, mark: Path) -> None:
        """Look up the counts. mark: a file that exists while a restored store lacks content."""
        self._store, self._desk = store, desk
        self._mark = mark
        if self._is_older():
            files.replace(mark, b"")  # survives a restart, since a unit's records come before their content
        self._older = mark.exists()
        self._guard = threading.Lock()
        self._seen = -1  # how many days were counted at the last look
        self._grown: list[tuple[int, dict[int, int]]] = []
        self._lacking: dict[int, Counter[str]] = {}
        self._given: dict[tuple[int, int, str], int] = {}  # a unit sends again what could not be stored

    def day_of(self, log_no: int, sequence: int, name: str) -> int | None:
        """The day of receipt of an element that arrives now; PURGED if that day is purged, None for today.

        An element that gets a day counts as here, once however often it arrives. Raises StoreError,
        StorageError.
        """
        if not self._older:
            return None
        with self._guard:
            with self._desk.looking() as book:
                if sequence >= book.log_sizes.get(log_no, 0):
                    return None  # it was not co-signed by a counted day
                counted_days = len(book.counted_days)
                purged = {day_number(day) for day in book.purged_days}
            if counted_days != self._seen:
                self._look()
                self._seen = counted_days
                if not self._lacking:
                    self._mark.unlink(missing_ok=True)
                    self._older = False
            if (day := self._given.get((log_no, sequence, name))) is not None:
                return PURGED if day in purged else day
            known = (day for day, sizes in self._grown if sizes.get(log_no, 0) > sequence)
            first = next(known, None)
            lacking = (day for day, names in sorted(self._lacking.items()) if names[name] > 0)
            day = next((day for day in lacking if first is not None and day >= first), None)
            if day is None:
                return None
            self._lacking[day][name] -= 1
            self._given[log_no, sequence, name] = day
            return PURGED if day in purged else day

    def _is_older(self) -> bool:
        """Whether a unit's log is shorter here than it was, as in a restored store before units sync."""
        with self._desk.looking() as book:
            known = dict(book.log_sizes)
        with self._store.listing() as connection:
            here = dated_rows.sizes(connection)
        return any(here.get(log, 0) < size for log, size in known.items())

    def _look(self) -> None:
        """Take in the log's counts, and how much of them is here."""
        self._grown, said = [], dict[int, Counter[str]]()
        self._given.clear()  # the store itself shows what came
        for entry in self._desk.log.entries(kinds=(DayCounted.KIND, StoreRestored.KIND)):
            note = entry.note
            if isinstance(note, StoreRestored):
                for what, of, _, left, _ in note.lost:
                    day, _, name = of.partition(" ")
                    if what == ELEMENTS and day_number(day) in said:
                        said[day_number(day)][name] = left  # given up as lost
            elif isinstance(note, DayCounted):
                self._grown.append((day_number(note.day), dict(note.sizes)))
                said.setdefault(day_number(note.day), Counter(dict(note.elements)))
        self._grown.sort(key=lambda one: one[0])
        with self._store.listing() as connection:
            here = {one.day: Counter(dict(one.elements)) for one in received_days(connection)}
        self._lacking = {
            day: lacks for day, names in said.items() if (lacks := names - here.get(day, Counter()))
        }
