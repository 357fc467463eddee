"""Reading the access log: which entries a filter keeps, and the lines for the records management system."""

from __future__ import annotations

from dataclasses import replace

import pytest

from storage import audit
from storage.audit import AuditLine, UnitAuditFilter
from storage.audit_records import UnitAccess
from storage.errors import RecordError
from storage.record_base import ClockState

LINE = AuditLine(
    sequence=9, at_us=0, elements="plate=7XKR219", user="o.lee", role="ccat", organisation="Monrovia PD",
    purpose="investigation", case_number="26-0815", action="query", outcome="allowed", shown=0, demo=False,
)  # fmt: skip
ENTRY = UnitAccess(
    action="query", at_us=50, clock_state=ClockState.DISCIPLINED, user="o.lee", role="ccat",
    organisation="Monrovia PD", purpose="investigation", case_number="26-0815",
    elements="plate=7XK?219 since=1970-01-01", allowed=True, refusal=None, proof="password", demo=False,
)  # fmt: skip
ALL = UnitAuditFilter(since_us=50, until_us=51, user=None, purpose=None, plate=None)


def test_a_line_has_the_columns_of_the_form() -> None:
    row = dict(zip(audit.COLUMNS, LINE.row(), strict=True))
    assert row == {
        "Classification": "ALPR Request", "Date and time": "1970-01-01 00:00:00.000 UTC",
        "Data elements": "plate=7XKR219", "Username": "o.lee", "Role": "ccat", "Organization": "Monrovia PD",
        "Purpose": "investigation", "Case number": "26-0815", "Action": "query", "Outcome": "allowed",
        "Records shown": "0", "Log record": "9", "Demo": "",
    }  # fmt: skip
    assert replace(LINE, shown=None, demo=True).row()[-3:] == ("", "9", "demo")


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@a", "'@a"),
        ("\t1", "'\t1"),
        ("1=1", "1=1"),
        ("", ""),
    ],
)
def test_no_cell_starts_a_formula(cell: str, written: str) -> None:
    head, line = audit.as_csv([replace(LINE, user=cell)]).split("\r\n", 1)
    assert head.split(",") == list(audit.COLUMNS)
    assert line.split(",")[3] == written


@pytest.mark.parametrize(
    ("changes", "plate", "kept"),
    [
        ({}, None, True), ({"since_us": 51}, None, False), ({"until_us": 50}, None, False),
        ({"user": "o.lee"}, None, True), ({"user": "o"}, None, False),
        ({"purpose": "investigation"}, None, True), ({"purpose": "lead"}, None, False),
        ({}, "7XKR219", True), ({}, "7XK1219", True), ({}, "7XKR218", False), ({}, "7XKR21", False),
        ({"user": "o"}, "7XKR219", False),
    ],
)  # fmt: skip
def test_a_filter_keeps_the_entries_of_its_time_user_purpose_and_plate(
    changes: dict[str, object], plate: str | None, kept: bool
) -> None:
    assert audit._wanted(ENTRY, replace(ALL, **changes), plate) is kept  # type: ignore[arg-type]


def test_a_period_that_runs_backward_is_refused() -> None:
    replace(ALL, until_us=50).check()
    with pytest.raises(RecordError, match="since, until: must run forward"):
        replace(ALL, until_us=49).check()
