"""Compares what the log says of each day of receipt with the store: what came in, was given up, was purged.

The store alone cannot show that reads are missing if rows, trees and receipts were removed together or the
database was set back, nor that an incident is missing. The entries about each day are witnessed. No I/O.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from storage.counts import counted
from storage.errors import StorageError
from storage.times import DAY_US, day_number, day_text
from sync.department.journal.change_entries import DayCounted
from sync.department.journal.entries import Entry, RootSet
from sync.department.journal.hold_entries import Purged
from sync.department.journal.machine_entries import LostRows, StoreRestored
from sync.department.policy.policy_file import parse_policy
from sync.department.policy.system_terms import purge_due_us
from sync.department.store.dated_rows import DATED, EARLIEST, CountedRows, DayRows, summed
from sync.department.store.received import READ, ReceivedDay

ELEMENTS, GIVEN_UP, ROWS, LOG = "elements", "given up", "rows", "log"  # in entries of a restore


@dataclass(slots=True)
class StoredDays:
    """What the store has by day of receipt (days since 1970).

    This is the content that is here; the SHA-256 of its purge's receipt, or of nothing while the purge is
    under way; how many elements that receipt names; and, of a repeated purge, the SHA-256 of the first
    receipt. `rows`: the dated rows (None: not examined); `sizes`: how many records of each log are co-signed,
    by its number.
    """

    here: dict[int, ReceivedDay] = field(default_factory=dict)
    purged: dict[int, bytes] = field(default_factory=dict)
    elements_purged: dict[int, int] = field(default_factory=dict)
    repeats: dict[int, bytes] = field(default_factory=dict)
    rows: DayRows | None = None
    sizes: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class CountedDays:
    """What the entries so far say, by day (YYYY-MM-DD).

    `keep_days`: the least that any policy had; `rows`: (first day, last day, dated rows of these days);
    `sizes`: co-signed records of logs, by their numbers; `lost`: for a day and name, the least number of
    elements that came back after a restore lost them; `restored`: what restores lost, in words; `problems`:
    what is wrong with the entries themselves.
    """

    counted: dict[str, DayCounted] = field(default_factory=dict)
    purged: dict[str, tuple[bytes, int, int]] = field(default_factory=dict)
    keep_days: int = 366
    rows: list[tuple[int, int, tuple[CountedRows, ...]]] = field(default_factory=list)
    sizes: dict[int, int] = field(default_factory=dict)
    lost: dict[tuple[str, str], int] = field(default_factory=dict)
    restored: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def apply(self, entry: Entry) -> None:
        """Take in an entry."""
        note = entry.note
        if isinstance(note, DayCounted):
            self.counted.setdefault(note.day, note)
            self._take_rows(entry, note)
        elif isinstance(note, StoreRestored):
            self._take_restore(entry, note)
        elif isinstance(note, Purged):
            self.purged[note.day] = (note.receipt, entry.stamp.at_us, note.elements)
        elif isinstance(note, RootSet):
            try:
                kept = parse_policy(note.policy_file).retention.keep_days
            except StorageError:
                return  # not the root file's policy: reported elsewhere
            self.keep_days = min(self.keep_days, kept)

    def _take_rows(self, entry: Entry, note: DayCounted) -> None:
        """Take in rows of past days, each day once, so that root cannot count ahead or again."""
        if note.rows is None:
            return
        first = self.rows[-1][1] + 1 if self.rows else EARLIEST
        try:
            last = day_number(note.day)
        except StorageError:
            last = EARLIEST - 1
        if not first <= last < entry.stamp.at_us // DAY_US:
            what = f"{note.day} was not over, or had been counted before"
            self.problems.append(f"entry {entry.sequence}: day_counted: {what}")
            return
        self.rows.append((first, last, note.rows))
        for log, size in note.sizes:
            self.sizes[log] = max(size, self.sizes.get(log, 0))

    def _take_restore(self, entry: Entry, note: StoreRestored) -> None:
        """No longer expect what two people entered as lost. What was not counted cannot be lost."""
        for what, of, many, here, digest in note.lost:
            if not (0 <= here < many and self._lose(what, of, many, here, digest)):
                self.problems.append(
                    f"entry {entry.sequence}: store_restored: {what} {of}: was not counted so"
                )
        on = day_text(entry.stamp.at_us // DAY_US)
        some = counted(len(note.lost), "loss", "losses")
        self.restored.append(
            f"what the restore from the backup of {note.backup} lost, as two people entered on {on}: {some}"
        )

    def _lose(self, what: str, of: str, many: int, here: int, digest: bytes) -> bool:
        """Expect only `here` of what was counted. Returns False if it was not counted so."""
        day, _, name = of.partition(" ")
        said = self.counted.get(day)
        if what == ELEMENTS and said is not None and dict(said.elements).get(name) == many:
            self.lost[day, name] = min(here, self.lost.get((day, name), here))
            return True
        if what == GIVEN_UP and said is not None and said.given_up == many:
            self.counted[day] = replace(said, given_up=here)
            return True
        if what == LOG and of.isdecimal() and self.sizes.get(int(of)) == many:
            self.sizes[int(of)] = here
            return True
        for index, (first, last, rows) in enumerate(self.rows if what == ROWS else ()):
            for table, rows_counted, _ in rows:
                if of == f"{table} {first} {last}" and rows_counted == many:
                    left = [one for one in rows if one[0] != table]
                    left += [(table, here, digest)] if here else []
                    self.rows[index] = (first, last, tuple(sorted(left)))
                    return True
        return False

    def lacking(self, stored: StoredDays) -> tuple[LostRows, ...]:
        """What the store has less of than was counted, for the entry of its restore."""
        gone = {day_text(day) for day in stored.purged}
        here = {day_text(day): one for day, one in stored.here.items()}
        found: list[LostRows] = []
        for day, said in sorted(self.counted.items()):
            if day in gone:
                continue
            one = here.get(day)
            elements = dict(one.elements) if one else {}
            for name, many in said.elements:
                if elements.get(name, 0) < self.lost.get((day, name), many):
                    found.append((ELEMENTS, f"{day} {name}", many, elements.get(name, 0), b""))
            given_up = one.given_up if one else 0
            if given_up < said.given_up:
                found.append((GIVEN_UP, day, said.given_up, given_up, b""))
        for first, last, rows in self.rows if stored.rows is not None else ():
            now = {table: (many, digest) for table, many, digest in summed(stored.rows or {}, first, last)}
            for table, many, _ in rows:
                left, digest = now.get(table, (0, b""))
                if left < many:
                    found.append((ROWS, f"{table} {first} {last}", many, left, digest))
        for log, size in sorted(self.sizes.items()):
            if stored.sizes.get(log, 0) < size:
                found.append((LOG, str(log), size, stored.sizes.get(log, 0), b""))
        return tuple(found)

    def compare(self, stored: StoredDays, newest_us: int) -> tuple[list[str], list[str]]:
        """(what is wrong, what could not be checked). `newest_us`: the time of the log's newest entry."""
        wrong, unchecked = [*self.problems, *self._missing(stored)], list(self.restored)
        wrong += self._given_up(stored, newest_us)
        wrong += self._rows(stored)
        if self.counted and not self.rows and stored.rows is not None:
            what = "whether an incident, a receipt or a log of a unit was taken out of the store"
            unchecked.append(f"{what}: the log does not count them yet (the daily run does)")
        for day, receipt in sorted(stored.purged.items()):
            text = day_text(day)
            said, entered_us, _ = self.purged.get(text, (b"", newest_us, 0))
            first = stored.repeats.get(day)
            if first is not None and said != first:
                wrong.append(
                    f"the purge of {text} repeats an earlier purge whose receipt the log does not have"
                )
            elif entered_us < purge_due_us(day, self.keep_days):
                kept = counted(self.keep_days, "day")
                wrong.append(f"the day of receipt {text} was purged before its {kept} were over")
            elif first is not None:
                continue
            elif not said:
                unchecked.append(f"the purge of {text}: its entry comes with the next daily run")
            elif said != receipt:
                wrong.append(f"the purge of {text}: the log has another receipt")
        return wrong, unchecked

    def _missing(self, stored: StoredDays) -> Iterator[str]:
        gone = {day_text(day): day for day in stored.purged}
        here = {day_text(day): one for day, one in stored.here.items()}
        for day, said in sorted(self.counted.items()):
            received = f"received on {day}"
            if day in gone:
                many, purged = sum(n for _, n in said.elements), stored.elements_purged.get(gone[day])
                if gone[day] in stored.repeats and day in self.purged:
                    purged = self.purged[day][2]
                least = many - sum(n - self.lost.get((day, name), n) for name, n in said.elements)
                if said.elements and purged is not None and not least <= purged <= many:
                    yield f"of the elements {received}, {many:,} were counted and {purged:,} purged"
                continue
            found = here.get(day)
            reads, elements = (found.reads, dict(found.elements)) if found else (0, {})
            if not self.lost.get((day, READ), said.reads) <= reads <= said.reads:
                yield f"of the reads {received}, {said.reads:,} were counted and {reads:,} are here"
            for name, many in said.elements:
                least = self.lost.get((day, name), many)
                if name != READ and not least <= elements.get(name, 0) <= many:
                    yield (
                        f"of the elements {name} {received}, {many:,} were counted and "
                        f"{elements.get(name, 0):,} are here"
                    )

    def _rows(self, stored: StoredDays) -> Iterator[str]:
        """Check that the counted incidents, receipts and logs are here, and no others of those days."""
        if stored.rows is None:
            return
        for first, last, said in self.rows:
            counted_rows = {table: (rows, digest) for table, rows, digest in said}
            here = {table: (rows, digest) for table, rows, digest in summed(stored.rows, first, last)}
            for table in sorted(counted_rows.keys() | here.keys()):
                then, now = counted_rows.get(table, (0, b"")), here.get(table, (0, b""))
                words = DATED[table].words if table in DATED else table
                days = f"up to {day_text(last)}" if first == EARLIEST else _span(first, last)
                if then[0] != now[0]:
                    yield f"of the {words} {days}, {then[0]:,} were counted and {now[0]:,} are here"
                elif then != now:
                    yield f"the {words} {days} are not the ones that were counted"
        for log, size in sorted(self.sizes.items()):
            if stored.sizes.get(log, 0) < size:
                have = stored.sizes.get(log, 0)
                yield f"of log number {log}, {size:,} records were counted, and {have:,} are co-signed here"

    def _given_up(self, stored: StoredDays, newest_us: int) -> Iterator[str]:
        """Root can say in the store that anything never came right; a day that is over is counted."""
        if not any(said.given_up >= 0 for said in self.counted.values()):
            return  # from before these were counted
        days = {day_text(day): one.given_up for day, one in stored.here.items()}
        days = {day: 0 for day, said in self.counted.items() if said.given_up > 0} | days
        for day, given_up in sorted(days.items()):
            said = self.counted.get(day)
            known = said.given_up if said else 0 if day < day_text(newest_us // DAY_US - 1) else given_up
            if known not in {given_up, -1}:
                yield f"of the elements given up on {day}, {known:,} were counted and {given_up:,} are here"


def _span(first: int, last: int) -> str:
    """Days of receipt, in words."""
    return f"of {day_text(last)}" if first == last else f"of {day_text(first)} to {day_text(last)}"
