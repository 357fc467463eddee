"""Filing ALPR Requests in the RMS: one by one, by case, or as the RMS exported its numbers (463.5 (b))."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable

from storage.text_end import is_open
from sync.department.desk.audit.rules import NOT_FILED, AlprRequest
from sync.department.desk.context import DeskContext
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
from sync.department.desk.people.sheets import OPEN_CURE
from sync.department.journal.entries import Filed
from sync.department.policy.refusals import FormError, refuse_lines
from sync.department.policy.roles import Call

CLAUSE = "463.5 (b)"
RMS_NUMBER = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ./#-]{1,38}[A-Za-z0-9]")
MAX_FILINGS = 2_000  # as many as one signed call has room for


def check_rms_number(text: str) -> str:
    """An RMS number without blanks around it. Raises FormError."""
    number = text.strip()
    if not RMS_NUMBER.fullmatch(number) or not any(one.isdigit() for one in number):
        raise FormError(
            "an RMS number has 3 to 40 letters, digits, . / # -, one digit at least",
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
    rows = _not_filed(front)
    return _enter(front, token, [Filing(number=form.number, rms_number=form.rms_number)], rows)


def file_many(front: DeskContext, token: str, form: FileManyForm) -> FiledMany:
    """Enter RMS numbers of an import: all lines, or none if one is wrong."""
    return _enter(front, token, form.filings, _not_filed(front))


def _not_filed(front: DeskContext) -> list[AlprRequest]:
    requests = front.requests.of(front.desk.log)  # before the transaction: it may be long
    return [one for one in requests if one.rms_number == NOT_FILED]


def _enter(front: DeskContext, token: str, filings: Iterable[Filing], rows: list[AlprRequest]) -> FiledMany:
    desk, lines = front.desk, list(filings)

    def plan(caller: Caller) -> Plan[FiledMany]:
        shown = [*shown_to(desk, caller, rows)]
        if not 0 < len(lines) <= MAX_FILINGS:
            what = f"an import has 1 to {MAX_FILINGS} lines, and this one has {len(lines)}"
            cure = "import a long file in parts, and one line of each case"
            raise FormError(what, code="filings", clause=CLAUSE, cure=cure)
        numbers: dict[int, str] = {}
        for at, one in enumerate(lines, 1):
            if (one.access >= 0) == bool(one.number):
                raise FormError(
                    f"line {at}: names either an access or a case number", code="filings", clause=CLAUSE
                )
            found = [row.entry for row in shown if row.number == one.number] if one.number else [one.access]
            if not found:
                raise FormError(
                    f"line {at}: no access under that number waits for filing",
                    code="no-access",
                    clause=CLAUSE,
                )
            for access in found:
                demand_shown(desk, caller, access)
                numbers[access] = check_rms_number(one.rms_number)  # the last line counts
        (access, number), *more = numbers.items()
        note = Filed(access=access, rms_number=number, more=tuple(more))
        return [note], lambda _made: FiledMany(filed=len(numbers))

    return desk.act(token, Call.RMS_FILE, plan)


def read_filings(text: str) -> tuple[Filing, ...]:
    """The lines of a CSV export of the RMS: `rms_number` and `access` or `number`. Raises FormError."""
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    named = set(reader.fieldnames or ())
    if "rms_number" not in named or not named & {"access", "number", "entry"}:
        raise FormError(
            "the first line must name the columns rms_number and access (or number)",
            code="csv",
            clause=CLAUSE,
            cure="name them so in the RMS's export, separated by commas",
        )
    if is_open(text):
        what = "the file's last line has no line's end: was it cut?"
        raise FormError(what, code="csv", clause=CLAUSE, cure=OPEN_CURE)
    found, wrong = [], []
    for at, row in enumerate(reader, 2):
        access = (row.get("access") or row.get("entry") or "").strip()
        if access and not re.fullmatch(r"[0-9]{1,15}", access):
            what, cure = f"line {at}: access is not a number", "it is the entry's number in the list to file"
            wrong.append(FormError(what, code="csv", clause=CLAUSE, cure=cure))
            continue
        number = (row.get("number") or "").strip() if not access else ""
        found.append(
            Filing(
                access=int(access) if access else -1,
                number=number,
                rms_number=(row.get("rms_number") or "").strip(),
            )
        )
    refuse_lines(wrong)
    return tuple(found)
