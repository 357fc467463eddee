"""Case numbers of lookups are compared with the exports of CAD and RMS."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from desk_asking import look_up
from desk_twins import Department
from hypothesis import given
from hypothesis import strategies as st

from storage.times import HOUR_US
from sync.department.desk.audit.calls import AuditCloseForm, look_daily
from sync.department.desk.audit.case_calls import AuditCompared, CompareForm, compare_daily
from sync.department.desk.audit.cases import number_key, read_export
from sync.department.desk.inquiry.forms import DisputeForm, FileForm, NothingForm
from sync.department.desk.transparency.counts import counted
from sync.department.policy.refusals import FormError
from sync.department.server import daily

Tokens = Callable[[str], str]


def test_look_ups_whose_case_does_not_exist_are_findings_and_counted(
    department: Department, tokens: Tokens
) -> None:
    look_up(department, tokens("comm1"))
    invented = [look_up(department, tokens("comm1"), f"26-99{n}999") for n in range(2)]
    department.clock.step(25 * HOUR_US)
    fresh = look_up(department, department.logon("disp1"), "26-777777")  # its case may appear tomorrow
    export = b"Case_Number,opened\n26 001234,2026-09-01\n26-555555,\n"
    made = department.call("audit/compare", department.logon("super"), CompareForm(export=export))
    assert isinstance(made, AuditCompared)
    assert (made.accesses, made.known, made.unknown) == (3, 1, tuple(invented))
    look_daily(department.front)
    found = [
        entry.note
        for entry in department.desk.book.findings.opened.values()
        if getattr(entry.note, "detector", "") == "no_such_case"
    ]
    assert [(one.about, one.accesses) for one in found] == [("comm1", tuple(invented))]
    assert fresh not in made.unknown
    department.desk.try_cover(department.desk.log.size() - 1)
    assert counted(department.desk).case_numbers.share == pytest.approx(1 / 3)
    again = department.call("audit/compare", department.logon("super"), CompareForm(export=export))
    assert isinstance(again, AuditCompared)
    assert again.accesses == 0  # each lookup is compared with CAD once


def test_a_mistyped_number_is_reported_by_its_person_and_settled_by_a_reviewer(
    department: Department, tokens: Tokens
) -> None:
    mistyped = look_up(department, tokens("comm1"), "26-001243")
    reason = "mistyped: the case is 26-001234"
    department.call("inquiry/dispute", tokens("comm1"), DisputeForm(entry=mistyped, reason=reason))
    department.call("inquiry/file", tokens("comm1"), FileForm(access=mistyped, rms_number="RMS-26-1234"))
    look_daily(department.front)
    found = department.call("audit/findings", tokens("reviewer1"), NothingForm())
    assert isinstance(found, tuple)
    (one,) = (one for one in found if one.detector == "disputed")
    assert (one.about, one.reviewer, one.reason) == ("comm1", "reviewer1", reason)
    close = AuditCloseForm(finding=one.finding, verdict="justified", note="case 26-001234 is of that day")
    department.call("audit/close", tokens("reviewer1"), close)
    row = next(row for row in department.front.requests.of(department.desk.log) if row.entry == mistyped)
    assert (row.number, row.rms_number) == ("26-001243", "RMS-26-1234")


def test_a_mistyped_correction_is_corrected_by_its_person_before_and_after_its_finding_is_closed(
    department: Department, tokens: Tokens
) -> None:
    def correct(reason: str) -> None:
        department.call("inquiry/dispute", tokens("comm1"), DisputeForm(entry=mistyped, reason=reason))
        look_daily(department.front)

    def shown() -> list[tuple[str, str]]:
        found = department.call("audit/findings", tokens("reviewer1"), NothingForm())
        assert isinstance(found, tuple)
        return [(one.reason, one.verdict) for one in found if one.detector == "disputed"]

    mistyped = look_up(department, tokens("comm1"), "26-001243")
    first, second, third = (f"mistyped: the case is 26-00123{digit}" for digit in "345")
    correct(first)
    correct(second)
    assert shown() == [(f"{first}; {second}", "")]
    found = department.call("audit/findings", tokens("reviewer1"), NothingForm())
    (one,) = (one for one in found if one.detector == "disputed")  # type: ignore[attr-defined]
    close = AuditCloseForm(finding=one.finding, verdict="justified", note="that case is of that day")
    department.call("audit/close", tokens("reviewer1"), close)
    correct(third)
    assert shown() == [(f"{first}; {second}; {third}", ""), (f"{first}; {second}", "justified")]


def test_an_export_in_the_drop_folder_is_taken_daily_and_set_aside(
    department: Department, tokens: Tokens
) -> None:
    look_up(department, tokens("comm1"))
    department.clock.step(25 * HOUR_US)
    folder = department.front.exports
    assert daily.compare_cases(department.front, folder) == 0
    folder.mkdir()
    dropped(folder / "cad.csv", b"number\n26-001234\n")
    dropped(folder / "wrong.csv", b"\xff\xfe\x00")
    assert daily.compare_cases(department.front, folder) == 1
    assert {path.name for path in folder.iterdir()} == {"cad.csv.done", "wrong.csv.refused"}
    assert department.desk.book.cases.known == 1


def dropped(path: Path, data: bytes, *, at_s: int = 1) -> None:
    """Drop an export that was written a while ago."""
    path.write_bytes(data)
    os.utime(path, (at_s, at_s))


def test_the_exports_of_cad_and_rms_are_one_and_nothing_else_in_the_folder_stops_the_run(
    department: Department, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in ("26-001234", "26-777777"):
        look_up(department, tokens("comm1"), number)
    department.clock.step(25 * HOUR_US)
    folder = department.front.exports
    folder.mkdir()
    dropped(folder / "cad.csv", b"incident\n26-777777\n")
    dropped(folder / "rms.csv", b"case_number\n26-001234\n")
    (folder / "2025.csv").mkdir()
    os.mkfifo(folder / "pipe.csv")
    (folder / "link.csv").symlink_to("/dev/zero")
    (folder / "half.csv").write_text("number\n26-00")  # CAD is still writing it
    left = {"2025.csv", "pipe.csv", "link.csv", "half.csv"}
    later: list[str] = []
    monkeypatch.setattr(
        "sync.department.desk.audit.calls.look_daily", lambda _front: later.append("detectors")
    )
    monkeypatch.setattr("sync.department.desk.holds.calls.finish", lambda _front: 1 // 0)
    daily.run(department.front, NoPurges())  # type: ignore[arg-type]
    assert later == ["detectors"]
    assert {path.name for path in folder.iterdir()} == {"cad.csv.done", "rms.csv.done", *left}
    assert (department.desk.book.cases.known, department.desk.book.cases.unknown) == (2, {})


class NoPurges:
    """A store that has purged nothing."""

    def receipts(self) -> list[tuple[int, bytes]]:
        return []


def compared(department: Department, user: str, export: bytes) -> AuditCompared:
    made = department.call("audit/compare", department.logon(user), CompareForm(export=export))
    assert isinstance(made, AuditCompared)
    return made


def test_no_person_vouches_for_a_case_of_their_own(department: Department, tokens: Tokens) -> None:
    """The supervisor may search and compare: an invented export would contain the invented case."""
    mine = look_up(department, tokens("super"), "26-998877")
    other = look_up(department, tokens("comm1"), "26-998878")
    department.clock.step(25 * HOUR_US)
    made = compared(department, "super", b"number\n26-998877\n26-998878\n")
    assert (made.accesses, made.known) == (1, 1)
    assert department.desk.book.cases.left == {mine}
    made = compared(department, "chief", b"number\n26-001234\n")
    assert (made.unknown, department.desk.book.cases.left) == ((mine,), set())
    compared(department, "super", b"number\n26-998877\n")  # nor does this take it back
    assert set(department.desk.book.cases.unknown) == {mine}
    assert other not in department.desk.book.cases.unknown


def test_the_right_export_takes_back_what_a_wrong_one_said(department: Department, tokens: Tokens) -> None:
    asked = [look_up(department, tokens("comm1"), f"26-00{1000 + number}") for number in range(5)]
    department.clock.step(25 * HOUR_US)
    with pytest.raises(FormError, match="is it the right file"):
        compared(department, "super", b"number\n26-555555\n")
    assert compared(department, "super", b"number\n26-001000\n").unknown == tuple(asked[1:])
    right = b"number\n" + b"".join(b"26-00%d\n" % (1000 + number) for number in range(1, 4))
    assert compared(department, "chief", right).accesses == 0
    assert department.desk.book.cases.unknown == {asked[4]: "comm1"}
    department.desk.try_cover(department.desk.log.size() - 1)
    assert counted(department.desk).case_numbers.share == pytest.approx(4 / 5)


def by_system(department: Department, export: bytes) -> int:
    return compare_daily(department.front, [export])


def test_what_the_systems_export_lacked_no_person_finds_again(department: Department, tokens: Tokens) -> None:
    """Otherwise a supervisor could clear a friend with a handmade file."""
    invented = look_up(department, tokens("comm1"), "26-998877")
    look_up(department, tokens("disp1"))
    department.clock.step(25 * HOUR_US)
    assert by_system(department, b"number\n26-001234\n") == 2
    compared(department, "super", b"number\n26-998877\n")
    assert department.desk.book.cases.unknown == {invented: "comm1"}
    by_system(department, b"number\n26-998877\n26-001234\n")  # the case was entered late
    assert department.desk.book.cases.unknown == {}


def test_the_system_names_look_ups_that_are_all_under_invented_numbers(
    department: Department, tokens: Tokens
) -> None:
    invented = [look_up(department, tokens("comm1"), f"26-99000{number}") for number in range(6)]
    department.clock.step(25 * HOUR_US)
    with pytest.raises(FormError, match="has no number"):
        by_system(department, b"number\n")
    assert by_system(department, b"number\n26-001234\n") == 6
    assert sorted(department.desk.book.cases.unknown) == invented


def test_an_export_of_a_machine_whose_clock_is_ahead_is_taken(department: Department, tokens: Tokens) -> None:
    look_up(department, tokens("comm1"))
    department.clock.step(25 * HOUR_US)
    folder = department.front.exports
    folder.mkdir()
    dropped(folder / "cad.csv", b"number\n26-001234\n", at_s=1 << 32)
    assert daily.compare_cases(department.front, folder) == 1


@pytest.mark.parametrize("export", [b"", b"a,b\n1,2\n", b"\xff\xff", b"number"])
def test_what_is_not_an_export_is_refused_or_holds_no_number(export: bytes) -> None:
    if export == b"number":
        assert read_export(export) == frozenset()
        return
    with pytest.raises(FormError) as refused:
        read_export(export)
    assert refused.value.cure.rstrip(": ") == refused.value.cure != ""


@given(st.text("0123456789ABCabc- ", min_size=1, max_size=12))
def test_numbers_are_compared_however_they_are_written(number: str) -> None:
    assert number_key(number.lower()) == number_key(number.upper()) == number_key(f" {number}-")
