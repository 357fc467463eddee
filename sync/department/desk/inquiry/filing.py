"""Filing of ALPR Requests in the RMS: one by one, by case, or from an export of RMS numbers (463.5 (b))."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace

from sync.department.desk.audit.rules import NOT_FILED, AlprRequest
from sync.department.desk.context import DeskContext
from sync.department.desk.csv_table import CsvTable
from sync.department.desk.desk import Caller, Plan
from sync.department.desk.inquiry.alert_looks import demand_shown, shown_to
from sync.department.desk.inquiry.forms import (
    Entered,
    FileCaseForm,
    FiledMany,
    FileForm,
    FileManyForm,
    Filing,
    first_entered,
)
from sync.department.journal.access_log import AccessLog
from sync.department.journal.entries import Filed
from sync.department.policy.refusals import FormError, demand, refuse_lines
from sync.department.policy.roles import Call

CLAUSE = "463.5 (b)"
RMS_NUMBER = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ./#-]{1,38}[A-Za-z0-9]")
MAX_FILINGS = 2_000  # as many as one signed call has room for
CUT_CURE = "import a long file in parts, each with the first line of column names"
COLUMNS = ("rms_number", "access", "entry", "number")
EXPORT = CsvTable("export", CLAUSE)


def check_rms_number(text: str) -> str:
    """Return an RMS number without blanks around it. Raises FormError."""
    number = text.strip()
    if not RMS_NUMBER.fullmatch(number) or not any(one.isdigit() for one in number):
        raise FormError(
            "an RMS number has 3 to 40 letters, digits, . / # -, with at least one digit",
            code="rms-number",
            clause=CLAUSE,
        )
    return number


def file(front: DeskContext, token: str, form: FileForm) -> Entered:
    """Enter the RMS number under which an access was filed as an ALPR Request."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[Entered]:
        demand_shown(desk, caller, form.access)
        return [Filed(access=form.access, rms_number=check_rms_number(form.rms_number))], first_entered

    return desk.act(token, Call.RMS_FILE, plan)


def file_case(front: DeskContext, token: str, form: FileCaseForm) -> FiledMany:
    """Enter one RMS number for all accesses of a case that have none yet."""
    return _enter(front, token, [Filing(number=form.number, rms_number=form.rms_number)], again=False)


def file_many(front: DeskContext, token: str, form: FileManyForm) -> FiledMany:
    """Enter RMS numbers of an import: all lines, or none if one is wrong.

    A line that names a case is for its accesses without a number. If all of them already have this number,
    from an earlier part of the file, nothing is entered for the line.
    """
    return _enter(front, token, form.filings, again=True)


def _enter(front: DeskContext, token: str, filings: Iterable[Filing], *, again: bool) -> FiledMany:
    """Enter RMS numbers. `again`: whether a case that already has its number may be named."""
    desk, lines = front.desk, list(filings)
    size = desk.log.size()
    rows = front.requests.of(desk.log, size)  # before the transaction, since this may take long

    def plan(caller: Caller) -> Plan[FiledMany]:
        if not 0 < len(lines) <= MAX_FILINGS:
            what = f"an import has 1 to {MAX_FILINGS} lines; this one has {len(lines)}"
            raise FormError(what, code="filings", clause=CLAUSE, cure=CUT_CURE)
        known = _Known(shown_to(desk, caller, _filed_since(desk.log, size, rows)), again=again)
        numbers: dict[int, str] = {}
        wrong: dict[str, FormError] = {}  # keyed by text, since a case may be on many lines
        for at, one in enumerate(lines, 1):
            try:
                rms_number = check_rms_number(one.rms_number)
                demand(
                    (one.access >= 0) != bool(one.number),
                    "names either an access or a case number",
                    code="filings",
                    clause=CLAUSE,
                )
                found = known.of_case(one.number, rms_number) if one.number else known.one(one.access)
                numbers.update(dict.fromkeys(found, rms_number))  # the last line counts
            except FormError as error:
                what = f"{_place(at, one)}: {error.what}"
                wrong[what] = FormError(what, code=error.code, clause=CLAUSE, cure=error.cure)
        refuse_lines(tuple(wrong.values()))
        if not numbers:
            return [], lambda _made: FiledMany(filed=0)
        (access, number), *more = numbers.items()
        note = Filed(access=access, rms_number=number, more=tuple(more))
        return [note], lambda _made: FiledMany(filed=len(numbers))

    return desk.act(token, Call.RMS_FILE, plan)


def _filed_since(log: AccessLog, size: int, rows: Iterable[AlprRequest]) -> Iterator[AlprRequest]:
    """The same rows with the numbers from entries after the first `size`.

    Another person may file the same accesses at the same time.
    """
    notes = (entry.note for entry in log.entries(size, kinds=(Filed.KIND,)))
    since = {access: rms for note in notes if isinstance(note, Filed) for access, rms in note.numbers()}
    for row in rows:
        yield replace(row, rms_number=since[row.entry]) if row.entry in since else row


def _place(at: int, one: Filing) -> str:
    """The name of a line in a refusal, since its number in a file is not known here."""
    if one.number:
        return f"case {one.number}"
    return f"access {one.access}" if one.access >= 0 else f"number {at} of the filings"


class _Known:
    """The accesses that a person may file."""

    def __init__(self, shown: Iterable[AlprRequest], *, again: bool) -> None:
        self._again = again
        self._entries: set[int] = set()
        self._rows: dict[str, list[AlprRequest]] = defaultdict(list)
        for row in shown:
            self._entries.add(row.entry)
            self._rows[row.number].append(row)

    def one(self, access: int) -> list[int]:
        """The given access. Raises FormError, the same for an access that the person may not see."""
        demand(access in self._entries, "there is no such access", code="no-access", clause=CLAUSE)
        return [access]

    def of_case(self, number: str, rms_number: str) -> list[int]:
        """The accesses of a case without an RMS number. Raises FormError if there are none.

        It raises nothing for a case whose accesses all have just this number.
        """
        rows = self._rows.get(number, [])
        found = [row.entry for row in rows if row.rms_number == NOT_FILED]
        if not found and not (self._again and any(row.rms_number == rms_number for row in rows)):
            what = "all of its accesses are filed already" if rows else "no access is under that number"
            cure = "name the access itself to change its number" if rows else ""
            raise FormError(what, code="no-access", clause=CLAUSE, cure=cure)
        return found


def read_filings(data: bytes) -> tuple[Filing, ...]:
    """The lines of a CSV export of the RMS: `rms_number` and `access` or `number`. Raises FormError."""
    names, lines = EXPORT.lines(data, *COLUMNS)
    if "rms_number" not in names or not set(names) & set(COLUMNS[1:]):
        raise EXPORT.wrong(
            "the first line must name the columns rms_number and access (or number)",
            "name them so in the RMS's export, separated by commas",
        )
    EXPORT.demand_whole(data, names, *COLUMNS)
    found, wrong = [], []
    for at, cells in lines:
        row = dict(zip(names, cells, strict=True))
        access = row.get("access") or row.get("entry") or ""
        number, rms_number = row.get("number", ""), row["rms_number"]
        try:
            check_rms_number(rms_number)
            if access and not re.fullmatch(r"[0-9]{1,15}", access):
                cure = "it is the entry's number in the list to file"
                raise EXPORT.wrong("access is not a number", cure)
            if not access and not number:
                raise EXPORT.wrong("names neither an access nor a case number", "fill in one of them")
        except FormError as error:
            wrong.append(EXPORT.wrong(f"line {at}: {error.what}", error.cure))
            continue
        found.append(
            Filing(
                access=int(access) if access else -1,
                number="" if access else number,
                rms_number=rms_number,
            )
        )
    refuse_lines(wrong)
    if not 0 < len(found) <= MAX_FILINGS:
        what = f"the export has {len(found):,} lines; it may have 1 to {MAX_FILINGS:,}"
        raise EXPORT.wrong(what, CUT_CURE)
    return tuple(found)
