"""Case numbers compared with CAD and RMS: which lookups name a case that does not exist (463.5 (a)). No I/O.

The export is a CSV file with the numbers that CAD or RMS gave out. Numbers are compared in capitals, without
blanks and hyphens. A lookup is compared a day after it was made, so that there is time to enter the case.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from storage.counts import counted
from storage.times import DAY_US
from sync.department.desk.audit.look_up_detectors import Flag
from sync.department.desk.audit.rules import AlprRequest
from sync.department.desk.csv_table import CsvTable
from sync.department.journal.change_entries import CasesCompared
from sync.department.journal.entries import Entry, EntryOf, is_of
from sync.department.journal.entry_base import SYSTEM
from sync.department.policy.refusals import FormError

CLAUSE = "463.5 (a)"
GRACE_US = DAY_US
MAX_EXPORT_BYTES = 32 << 20
SEVERAL = 5  # of so many lookups, a correct export knows at least one
COLUMNS = ("number", "case_number", "case", "incident", "incident_number", "cad_number", "rms_number")
NAMED = f"the first line names a column {', '.join(COLUMNS[:-1])} or {COLUMNS[-1]}"
EXPORT = CsvTable("export", CLAUSE)


@dataclass(slots=True)
class Cases:
    """What the log says of comparisons: the newest result for each access.

    `left`: accesses that only their own person compared. `by_system`: unknown ones that the system's own
    export lacked.
    """

    last: EntryOf[CasesCompared] | None = None
    compared: int = 0
    known: int = 0
    unknown: dict[int, str] = field(default_factory=dict)
    left: set[int] = field(default_factory=set)
    by_system: set[int] = field(default_factory=set)

    def apply(self, entry: Entry) -> None:
        if is_of(entry, CasesCompared):
            self.last = entry
            if entry.stamp.user == SYSTEM:
                self.by_system |= set(entry.note.unknown)
            self.compared += entry.note.accesses
            self.known += entry.note.known + len(entry.note.found)
            for access in entry.note.found:
                self.unknown.pop(access, None)
                self.by_system.discard(access)
            self.left = set(entry.note.left)
            for at, access in enumerate(entry.note.unknown):
                self.unknown[access] = entry.note.users[at]

    def flags(self) -> Iterator[Flag]:
        """Each lookup whose number CAD and RMS do not have, by person."""
        by_person: dict[str, list[int]] = {}
        for access, user in self.unknown.items():
            by_person.setdefault(user, []).append(access)
        for user, accesses in by_person.items():
            yield Flag(
                detector="no_such_case",
                about=user,
                entries=tuple(sorted(accesses)),
                detail=f"{counted(len(accesses), 'lookup')} under numbers that CAD and RMS do not have",
            )


def number_key(number: str) -> str:
    """A number in the form in which it is compared."""
    return re.sub(r"[\s-]", "", number).upper()


def read_export(data: bytes) -> frozenset[str]:
    """The numbers of a CSV export, each as a `number_key`. Raises FormError."""
    if len(data) > MAX_EXPORT_BYTES:
        raise FormError(
            f"an export has at most {MAX_EXPORT_BYTES >> 20} MiB",
            code="csv",
            clause=CLAUSE,
            cure="export a shorter period, or only the column of numbers",
        )
    if not data.strip():
        raise EXPORT.wrong("the export is empty", f"export the numbers again; {NAMED}")
    names, lines = EXPORT.lines(data)
    columns = [at for at, name in enumerate(names) if name in COLUMNS]
    if not columns:
        raise EXPORT.wrong("the export's first line names no column of numbers", NAMED)
    found = {number_key(cells[at]) for _line, cells in lines for at in columns}
    return frozenset(found - {""})


def compare(
    requests: Iterable[AlprRequest],
    numbers: frozenset[str],
    source: bytes,
    *,
    before: Cases,
    since_us: int,
    now_us: int,
    by: str = "",
) -> CasesCompared:
    """Compare the lookups from `since_us` to a day ago, and those that an earlier export lacked, with an
    export.

    `by`: the person who compares, whose own lookups are left for the next comparison; empty for the system.
    Only the system's export can clear what the system's export lacked.

    Raises FormError for an export without numbers, and for a person's export that has none of several.
    """
    until_us = now_us - GRACE_US
    every = [one for one in requests if one.action != "answer"]
    fresh = [one for one in every if since_us <= one.at_us < until_us or one.entry in before.left]
    own = {one.entry for one in every if by and by in {one.username, one.on_behalf_of}}
    looked = [one for one in fresh if one.entry not in own]
    missing = [one for one in looked if number_key(one.number) not in numbers]
    settled = own | before.by_system if by else own
    again = [one for one in every if one.entry in before.unknown and one.entry not in settled]
    found = [one for one in again if number_key(one.number) in numbers]
    if not numbers and looked:
        raise FormError(
            "the export has no number", code="csv", clause=CLAUSE, cure="export all case and incident numbers"
        )
    if by and len(missing) == len(looked) >= SEVERAL and not found:
        raise FormError(
            f"the export has the number of none of {len(looked)} lookups: is it the right file?",
            code="csv",
            clause=CLAUSE,
            cure="give the export of all case and incident numbers, of CAD and of RMS",
        )
    return CasesCompared(
        from_us=since_us,
        to_us=max(since_us, until_us),
        accesses=len(looked),
        known=len(looked) - len(missing),
        unknown=tuple(one.entry for one in missing),
        users=tuple(one.on_behalf_of or one.username for one in missing),
        source=hashlib.sha256(source).digest(),
        found=tuple(one.entry for one in found),
        left=tuple(one.entry for one in fresh if one.entry in own),
    )
