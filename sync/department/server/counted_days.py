"""What the log says of each day of receipt, held against the store: how many reads came in, what was purged.

The store alone cannot say that reads are missing where rows, trees and receipts were taken out together, or
the database was set back; the entries about each day are witnessed. No I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from storage.errors import StorageError
from storage.times import DAY_US, day_text
from sync.department.journal.change_entries import DayCounted
from sync.department.journal.entries import Entry, RootSet
from sync.department.journal.hold_entries import Purged
from sync.department.policy.policy_file import parse_policy


@dataclass(slots=True)
class StoredDays:
    """By day of receipt (days since 1970): how many reads are here; SHA-256 of the receipt of its purge, or
    of nothing while that is under way."""

    reads: dict[int, int] = field(default_factory=dict)
    purged: dict[int, bytes] = field(default_factory=dict)


@dataclass(slots=True)
class CountedDays:
    """What the entries so far say, by day (YYYY-MM-DD). `keep_days`: the least that a policy has had."""

    counted: dict[str, int] = field(default_factory=dict)
    purged: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    keep_days: int = 366

    def apply(self, entry: Entry) -> None:
        """Take in an entry."""
        note = entry.note
        if isinstance(note, DayCounted):
            self.counted.setdefault(note.day, note.reads)
        elif isinstance(note, Purged):
            self.purged[note.day] = (note.receipt, entry.stamp.at_us)
        elif isinstance(note, RootSet):
            try:
                kept = parse_policy(note.policy_file).retention.keep_days
            except StorageError:
                return  # no policy of the root file: named elsewhere
            self.keep_days = min(self.keep_days, kept)

    def compare(self, stored: StoredDays, newest_us: int) -> tuple[list[str], list[str]]:
        """(what is wrong, what could not be checked). `newest_us`: of the log's newest entry."""
        wrong, unchecked = self._missing(stored), list[str]()
        for day, receipt in sorted(stored.purged.items()):
            text = day_text(day)
            said, entered_us = self.purged.get(text, (b"", newest_us))
            if entered_us < (day + 1 + self.keep_days) * DAY_US:
                wrong.append(
                    f"the day of receipt {text} was purged before its {self.keep_days} days were over"
                )
            elif not said:
                unchecked.append(f"the purge of {text}: its entry comes with the next daily run")
            elif said != receipt:
                wrong.append(f"the purge of {text}: the log has another receipt")
        return wrong, unchecked

    def _missing(self, stored: StoredDays) -> list[str]:
        gone: Mapping[str, bytes] = {day_text(day): receipt for day, receipt in stored.purged.items()}
        here = {day_text(day): reads for day, reads in stored.reads.items()}
        return [
            f"of the reads received on {day}, {reads:,} were counted and {here.get(day, 0):,} are here"
            for day, reads in sorted(self.counted.items())
            if day not in gone and here.get(day, 0) != reads
        ]
