"""What a sole administrator can do to a reviewer: nothing that ends the review (463.5 (c))."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from desk_asking import code_of
from desk_twins import GROUND, Department

from sync.department.desk.audit.calls import AuditCloseForm, Finding, look_daily
from sync.department.desk.due import OverdueForm
from sync.department.desk.inquiry.forms import NothingForm, RunForm
from sync.department.desk.people.calls import AccountForm
from sync.department.journal.entries import FindingOpened
from sync.department.policy.roles import Role

Tokens = Callable[[str], str]
REMOVED = AccountForm(
    user="reviewer1", name="R", organisation="PD", roles=(Role.REVIEWER,), reason="left", active=False
)


def misused(department: Department, user: str = "comm1") -> int:
    """The finding of five searches for one plate."""
    token = department.logon(user)
    for _ in range(5):
        run = RunForm(query=department.plate("8XYZ123"), ground=GROUND)
        department.call("inquiry/run", token, run)
    (number,) = look_daily(department.front)
    return number


def closing(number: int) -> AuditCloseForm:
    return AuditCloseForm(finding=number, verdict="justified", note="a colleague of mine")


def shown(department: Department, user: str) -> dict[int, Finding]:
    rows: Any = department.call("audit/findings", department.logon(user), NothingForm())
    return {one.finding: one for one in rows}


def said(department: Department) -> list[str]:
    rows: Any = department.call("compliance/overdue", department.logon("super"), OverdueForm())
    return [one.what for one in rows if one.kind == "reviewer"]


def test_a_reviewer_who_is_removed_while_findings_wait_is_a_finding_itself(department: Department) -> None:
    number = misused(department)
    assert said(department) == []
    department.call("user/set", department.logon("chief"), REMOVED)
    (about,) = look_daily(department.front)
    note = department.desk.log.entry(about).note
    assert isinstance(note, FindingOpened)
    assert (note.detector, note.about, note.reviewer) == ("no_reviewer", "chief", "")
    (line,) = said(department)
    assert line.startswith(f"2 findings have no reviewer, the first is {number}")
    for one in (number, about):
        assert code_of(department, "audit/close", department.logon("chief"), closing(one)) == "own-finding"
    chief = department.logon("chief")
    department.add_person(chief, "reviewer2", (Role.REVIEWER,))
    department.train(department.logon("super"), "reviewer2", "super")
    assert {shown(department, "reviewer2")[one].reviewer for one in (number, about)} == {""}
    for one in (number, about):
        department.call("audit/close", department.logon("reviewer2"), closing(one))
    assert said(department) == []
    assert look_daily(department.front) == []


def test_without_any_reviewer_findings_are_opened_and_wait(department: Department) -> None:
    """Removed before anything happened: no finding of the removal, and none of the rest is lost."""
    department.call("user/set", department.logon("chief"), REMOVED)
    assert look_daily(department.front) == []
    token = department.logon("comm1")
    for _ in range(5):
        run = RunForm(query=department.plate("8XYZ123"), ground=GROUND)
        department.call("inquiry/run", token, run)
    (number,) = look_daily(department.front)
    note = department.desk.log.entry(number).note
    assert isinstance(note, FindingOpened)
    assert note.reviewer == "chief"  # not concerned, and no person's reviewer was removed for it
    department.call("audit/close", department.logon("chief"), closing(number))


def test_a_finding_whose_reviewer_stays_is_that_persons_alone(department: Department) -> None:
    number = misused(department)
    chief = department.logon("chief")
    department.add_person(chief, "reviewer2", (Role.REVIEWER,))
    department.train(department.logon("super"), "reviewer2", "super")
    other = department.logon("reviewer2")
    assert code_of(department, "audit/close", other, closing(number)) == "other-reviewer"


def test_a_person_named_in_a_finding_does_not_take_it_over(department: Department) -> None:
    number = misused(department)
    department.call("user/set", department.logon("chief"), REMOVED)
    department.two_hands(
        "user/set",
        department.logon("chief"),
        AccountForm(user="comm1", name="C", organisation="PD", roles=(Role.REVIEWER,), reason="moved"),
    )
    assert code_of(department, "audit/close", department.logon("comm1"), closing(number)) == "own-finding"
