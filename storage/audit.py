"""Reads the access log: who asked for what, when and why, in the form "ALPR Request" of 463.5 (b)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from storage import holds
from storage.audit_records import UnitAccess, UnitAccessEnded
from storage.errors import RecordError
from storage.plate_text import normal_plate
from storage.search import matches
from storage.spreadsheet import csv_of
from storage.store import UnitStore
from storage.times import utc_text

COLUMNS = (
    "Classification",
    "Date and time",
    "Data elements",
    "Username",
    "Role",
    "Organization",
    "Purpose",
    "Case number",
    "Action",
    "Outcome",
    "Records shown",
    "Log record",
    "Demo",
)
SEARCHED = re.compile(r"\bplate=([A-Z0-9?]{1,16})(?![A-Z0-9?])")


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitAuditFilter:
    """Which entries to read: a period, a user, a purpose, a plate that was searched for."""

    since_us: int
    until_us: int
    user: str | None
    purpose: str | None
    plate: str | None = field(repr=False)

    def check(self) -> None:
        """Raise RecordError for a period that does not run forward."""
        if not self.since_us <= self.until_us:
            raise RecordError("must run forward", where="since, until")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLine:
    """One access entry and its result. `shown`: number of records; None if refused or interrupted."""

    sequence: int
    at_us: int
    elements: str = field(repr=False)
    user: str
    role: str
    organisation: str
    purpose: str
    case_number: str
    action: str
    outcome: str
    shown: int | None
    demo: bool

    def row(self) -> tuple[str, ...]:
        """The line in the RMS form."""
        return (
            "ALPR Request",
            utc_text(self.at_us),
            self.elements,
            self.user,
            self.role,
            self.organisation,
            self.purpose,
            self.case_number,
            self.action,
            self.outcome,
            "" if self.shown is None else str(self.shown),
            str(self.sequence),
            "demo" if self.demo else "",
        )


def read_lines(store: UnitStore, wanted: UnitAuditFilter) -> list[AuditLine]:
    """All entries that match, oldest first; refused requests are entries too."""
    plate = None if wanted.plate is None else normal_plate(wanted.plate)
    shown: dict[int, int] = {}
    entries: list[tuple[int, UnitAccess]] = []
    for sequence in holds.audit_sequences(store):
        record = store.record(sequence)
        if isinstance(record, UnitAccessEnded):
            shown[record.access] = len(record.records)
        elif isinstance(record, UnitAccess) and _wanted(record, wanted, plate):
            entries.append((sequence, record))
    return [
        AuditLine(
            sequence=sequence,
            at_us=one.at_us,
            elements=one.elements,
            user=one.user,
            role=one.role,
            organisation=one.organisation,
            purpose=one.purpose,
            case_number=one.case_number,
            action=one.action,
            outcome="allowed" if one.allowed else f"refused: {one.refusal}",
            shown=shown.get(sequence),
            demo=one.demo,
        )
        for sequence, one in entries
    ]


def _wanted(record: UnitAccess, wanted: UnitAuditFilter, plate: str | None) -> bool:
    if not wanted.since_us <= record.at_us < wanted.until_us:
        return False
    if wanted.user is not None and record.user != wanted.user:
        return False
    if wanted.purpose is not None and record.purpose != wanted.purpose:
        return False
    # a search by a pattern that matches the plate is a search for it
    return plate is None or any(matches(one, plate)[0] for one in SEARCHED.findall(record.elements))


def as_csv(lines: list[AuditLine]) -> str:
    """The entries as CSV (RFC 4180) for the records management system. Cells cannot start a formula."""
    return csv_of(COLUMNS, (line.row() for line in lines))
