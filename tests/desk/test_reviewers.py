"""A sole administrator cannot end the review by acting against the reviewer (463.5 (c))."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from desk_asking import code_of
from desk_root import Root
from desk_twins import CAD, GROUND, Department

from storage.times import DAY_US, HOUR_US
from sync.department.desk.audit.calls import AuditCloseForm, Finding, look_daily
from sync.department.desk.break_glass.calls import GlassForm
from sync.department.desk.due import OverdueForm
from sync.department.desk.inquiry.forms import NothingForm, RunForm
from sync.department.desk.people.calls import AccountForm
from sync.department.journal.entries import (
    BY_OWN_HAND,
    NEWEST_FORM,
    AccessLogOpened,
    FindingClosed,
    FindingOpened,
)
from sync.department.policy.roles import Role
from sync.department.server.folded_log import FoldedLog

Tokens = Callable[[str], str]
REMOVED = AccountForm(
    user="reviewer1", name="R", organisation="PD", roles=(Role.REVIEWER,), reason="left", active=False
)


def misused(department: Department, user: str = "comm1") -> int:
    """The finding about five searches for one plate."""
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
    """If they were removed at the start, there is no finding about that, and no other finding is lost."""
    department.call("user/set", department.logon("chief"), REMOVED)
    assert look_daily(department.front) == []
    token = department.logon("comm1")
    for _ in range(5):
        run = RunForm(query=department.plate("8XYZ123"), ground=GROUND)
        department.call("inquiry/run", token, run)
    (number,) = look_daily(department.front)
    note = department.desk.log.entry(number).note
    assert isinstance(note, FindingOpened)
    assert note.reviewer == "chief"  # not involved, and no reviewer was removed for this
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


def named(department: Department, form: int = NEWEST_FORM) -> list[str]:
    """What `verify` says about findings, in a log of that form."""
    folded = FoldedLog(())
    first, *others = department.desk.log.entries()
    assert isinstance(first.note, AccessLogOpened)
    for entry in (replace(first, note=replace(first.note, signs=form)), *others):
        folded.judge(entry)
    return folded.problems


def opened(department: Department, **changes: Any) -> FindingOpened:
    """A finding as the desk would open it, except for these changes."""
    note = FindingOpened(
        detector="burst",
        about="comm1",
        accesses=(1, 2),
        reviewer="reviewer1",
        due_us=department.clock.us + department.desk.policy.audit.finding_due_days * DAY_US,
        detail="",
    )
    return replace(note, **changes)


def test_verify_assigns_each_finding_as_the_desk_does(department: Department) -> None:
    chief, trainer = department.logon("chief"), department.logon("super")
    department.add_person(chief, "reviewer2", (Role.REVIEWER,))
    department.train(trainer, "reviewer2", "super")
    glass = GlassForm(
        query=replace(department.plate("8XYZ*"), since_us=department.clock.us - HOUR_US),
        ground=CAD,
        danger="a child is in the car",
    )
    number = misused(department)
    department.call("inquiry/break-glass", department.logon("disp1"), glass)
    reviewer = department.desk.book.findings.opened[number].note.reviewer
    department.call("audit/close", department.logon(reviewer), closing(number))
    department.call("inquiry/break-glass", department.logon("disp1"), glass)
    department.call("user/set", chief, REMOVED)
    look_daily(department.front)
    assert len(department.desk.book.findings.opened) > 3
    assert named(department) == []


WRONG: dict[str, dict[str, Any]] = {
    "assign it to another reviewer": {"reviewer": "chief"},
    "it is due later than the policy says": {"due_us": 1 << 52},
}


@pytest.mark.parametrize("words", WRONG)
def test_a_finding_that_root_gives_to_an_accomplice_is_named(department: Department, words: str) -> None:
    root = Root(department)
    root.write(opened(department), root.stamp("system"))
    assert named(department) == []
    entry = root.write(opened(department, **WRONG[words]), root.stamp("system"))
    (one,) = named(department)
    assert one.startswith(f"entry {entry}: finding: ")
    assert words in one
    assert named(department, BY_OWN_HAND) == []


def test_a_finding_that_another_reviewer_closes_past_the_desk_is_named(department: Department) -> None:
    root = Root(department)
    number = root.write(opened(department), root.stamp("system"))
    department.add_person(department.logon("chief"), "reviewer2", (Role.REVIEWER,))
    department.train(department.logon("super"), "reviewer2", "super")
    form = closing(number)
    note = FindingClosed(finding=number, verdict=form.verdict, note=form.note)
    entry = root.write(note, *root.signed("reviewer2", "audit/close", form))
    wrong = named(department)
    assert f"entry {entry}: finding_closed: that finding is assigned to another reviewer" in wrong
    assert any(f"entry {number}: finding: no detector opens one" in one for one in wrong)
