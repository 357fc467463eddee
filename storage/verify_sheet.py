"""Checks what a unit's package says in its head and on its cover sheet against its records. No I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from storage import codec, cover_sheet, evidence
from storage.audit_records import UnitAccess
from storage.checkpoint import NoteKey
from storage.errors import PackageError
from storage.evidence import UnitPackageHead
from storage.findings import UnitReport, caught
from storage.leaf import ENTRY, Leaf
from storage.records import RECORDS
from storage.sealing import Opened
from storage.times import HOUR_US

OpenedRecord: TypeAlias = tuple[Leaf, dict[str, Opened]]
SHEETS = ("cover.txt", "cover.html")
TEXT = "text"
UPDATE = "update it, and check again"
FACTS = frozenset({"misread rate of this unit", "misreads to be expected"})
ACCESS_LINE = re.compile(r"record \d{1,18}: [-0-9:. ]{10,30} UTC  [a-z_-]{1,40}(  [a-z0-9._-]{1,64}){0,2}")


def check(
    head: UnitPackageHead,
    key: NoteKey,
    shown: Mapping[int, OpenedRecord],
    sheets: Mapping[str, bytes],
    report: UnitReport,
) -> None:
    """Check that head and sheets agree with the records, which are already verified. `sheets`: by SHEETS."""
    with caught(report, "package.cose"):
        _demand_logged(head, shown)
    with caught(report, "cover.txt"):
        _sheet(head, key, shown, sheets, report)


def _demand_logged(head: UnitPackageHead, shown: Mapping[int, OpenedRecord]) -> None:
    """Check that the head's number, hold, records and withheld elements are those in the export's log entry.

    Raises PackageError.
    """
    said = [head.number, *(value for _, value in head.facts)]
    if not all(map(evidence.is_line, said)) or not {label for label, _ in head.facts} <= FACTS:
        raise PackageError("says something that no unit writes")
    if not set(head.withheld) <= set(evidence.ELEMENTS):
        raise PackageError("withholds something that no record has")
    if TEXT in head.withheld:
        return  # reported with the accesses
    wanted = evidence.export_subject(
        () if head.hold is not None else head.records, head.hold, head.number, head.withheld
    )
    for sequence in head.accesses:
        leaf, opened = shown[sequence]
        entry = codec.from_bytes(RECORDS[leaf.kind], opened[ENTRY].content)
        if (
            isinstance(entry, UnitAccess)
            and (entry.allowed, entry.elements, entry.demo) == (True, wanted, head.demo)
            and set(entry.records) == set(head.records)
            and 0 <= head.created_us - entry.at_us < HOUR_US
        ):
            return
    raise PackageError("no entry of the log is of this export: its number, hold, records or time are others")


def _sheet(
    head: UnitPackageHead,
    key: NoteKey,
    shown: Mapping[int, OpenedRecord],
    sheets: Mapping[str, bytes],
    report: UnitReport,
) -> None:
    """Make the cover sheet again with the wording of its version, and compare.

    A difference is a finding. Before the wording had versions, several were in use: then a different sheet is
    not checked, and the report says so, since the holder of the log key could claim that case.
    """
    if head.sheet > cover_sheet.VERSION:
        report.add("cover.txt", f"is worded by a later version of this program: {UPDATE}")
        return
    lines = {}
    for sequence in head.accesses:
        leaf, opened = shown[sequence]
        if ENTRY in opened:
            entry = codec.from_bytes(RECORDS[leaf.kind], opened[ENTRY].content)
            lines[sequence] = evidence.access_line(sequence, entry)
    if len(lines) < len(head.accesses):  # entries name the plate, so they are withheld with the text
        said = _said_of_accesses(sheets["cover.txt"].decode(), head.accesses)
        lines = dict(zip(head.accesses, said, strict=True)) | lines
        report.notes.append(
            "not checked: the package's number, and what cover.txt and cover.html say of each access: "
            "its entry is withheld with the text"
        )
    _compare(
        sheets,
        head.sheet,
        report,
        cover_sheet.Story(
            unit=key.name,
            number=head.number,
            sentence=evidence.SENTENCE,
            demo=head.demo,
            created_us=head.created_us,
            withheld=head.withheld,
            facts=dict(head.facts),
            records={one: shown[one][1] for one in head.records},
            accesses=[lines[one] for one in head.accesses],
        ),
    )
    report.notes.append("time and figures of the package are the unit's own words, on no record")


def _compare(sheets: Mapping[str, bytes], version: int, report: UnitReport, story: cover_sheet.Story) -> None:
    """Check that a unit makes both sheets from this, in the wording of this version, or of any if it is 0."""
    versions = [version] if version else list(range(1, cover_sheet.VERSION + 1))
    stories = [replace(story, version=one) for one in versions]
    for name, make in (("cover.txt", cover_sheet.as_text), ("cover.html", cover_sheet.as_html)):
        if sheets[name] in {make(one).encode() for one in stories}:
            continue
        if version:
            report.add(name, "contradicts the records")
        else:
            report.unchecked.append(
                f"{name} is not what this version makes of the records; what the unit signed is "
                "in the text, the place and the pictures beside each leaf.cose"
            )


def _said_of_accesses(text: str, sequences: Sequence[int]) -> list[str]:
    """The sheet's lines about accesses; checks that each is about its own entry. Raises PackageError."""
    part = text.rpartition(f"\n{cover_sheet.ACCESSES}\n")[2].partition("\n\n")[0]
    lines = [line.removeprefix("  ") for line in part.split("\n")]
    named = [f"record {sequence}: " for sequence in sequences]
    if len(lines) != len(named) or any(
        not line.startswith(name) for line, name in zip(lines, named, strict=True)
    ):
        raise PackageError("lists other accesses than the package has", where="cover.txt")
    if not all(map(ACCESS_LINE.fullmatch, lines)):
        raise PackageError("says more of an access than a unit does", where="cover.txt")
    return lines
