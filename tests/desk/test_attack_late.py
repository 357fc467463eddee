"""Root enters a genuine signature that the desk refuses: after a no, too late, by the person it is about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from desk_forms import forms
from desk_root import Root, problems
from desk_twins import Department

from storage.times import HOUR_US, SECOND_US
from sync.department.content.followed_state import Followed, judge
from sync.department.desk.audit.calls import AuditCloseForm
from sync.department.desk.changes.calls import DecideForm
from sync.department.desk.documents.calls import SignForm
from sync.department.desk.inquiry.forms import InquiryDecideForm
from sync.department.journal.change_entries import ChangeDecided
from sync.department.journal.entries import AccountSet, FindingClosed, FindingOpened
from sync.department.journal.entry_base import Note, Stamp
from sync.department.journal.inquiry_entries import SearchApproved
from sync.department.journal.sharing_entries import ShareDecided
from sync.department.policy.refusals import DeskRefusal

BODY = b"[camera]\nexposure_us = 60\n"
Attack = Callable[[Root], tuple[Note, tuple[Stamp, bytes]]]


def a_yes_after_a_no(root: Root) -> tuple[Note, tuple[Stamp, bytes]]:
    """The desk asks no third person: a no is final."""
    department, form = root.department, SignForm(kind="configuration", body=BODY, reason="a better lens")
    proposed = department.call("document/sign", department.logon("super"), replace(form, propose=True))
    number = proposed.proposal  # type: ignore[attr-defined]
    no = DecideForm(proposal=number, granted=False, reason="known to me")
    department.call("change/approve", department.logon("chief"), no)
    by = root.signed("deputy", "change/approve", replace(no, granted=True))
    return ChangeDecided(proposal=number, granted=True, reason=no.reason), by


def a_yes_to_a_search_after_a_no(root: Root) -> tuple[Note, tuple[Stamp, bytes]]:
    department = root.department
    form = forms(department)["inquiry/propose"]
    proposed = department.call("inquiry/propose", department.logon("comm1"), form)
    no = InquiryDecideForm(proposal=proposed.entry, granted=False, reason="known to me")  # type: ignore[attr-defined]
    department.call("inquiry/approve", department.logon("super"), no)
    by = root.signed("super", "inquiry/approve", replace(no, granted=True))
    return SearchApproved(proposal=no.proposal, granted=True, reason=no.reason), by


def a_yes_to_a_change_that_ended(root: Root) -> tuple[Note, tuple[Stamp, bytes]]:
    department, form = root.department, SignForm(kind="configuration", body=BODY, reason="a better lens")
    proposed = department.call("document/sign", department.logon("super"), replace(form, propose=True))
    department.clock.step(department.desk.policy.inquiry.approval_hours * HOUR_US + SECOND_US)
    yes = DecideForm(proposal=proposed.proposal, granted=True, reason="known to me")  # type: ignore[attr-defined]
    note = ChangeDecided(proposal=yes.proposal, granted=True, reason=yes.reason)
    return note, root.signed("chief", "change/approve", yes)


def a_sharing_that_nobody_reviewed(root: Root) -> tuple[Note, tuple[Stamp, bytes]]:
    department = root.department
    asked = department.call("share/record", department.logon("super"), forms(department)["share/record"])
    yes = replace(forms(department)["share/decide"], request=asked.entry)  # type: ignore[attr-defined]
    note = ShareDecided(request=yes.request, approved=True, note=yes.note)
    return note, root.signed("chief", "share/decide", yes)


def a_finding_closed_by_whom_it_is_about(root: Root) -> tuple[Note, tuple[Stamp, bytes]]:
    opened = FindingOpened(
        detector="sample",
        about="reviewer1",
        accesses=(),
        reviewer="reviewer2",
        due_us=1 << 60,
        detail="drawn",
    )
    number = root.write(opened, root.stamp("system"))
    form = AuditCloseForm(finding=number, verdict="justified", note="I was right to do it")
    note = FindingClosed(finding=number, verdict=form.verdict, note=form.note)
    return note, root.signed("reviewer1", "audit/close", form)


def a_finding_closed_by_whom_its_entry_names(root: Root) -> tuple[Note, tuple[Stamp, bytes]]:
    named = root.department.desk.log.entries(kinds=(AccountSet.KIND,))
    account = next(one.sequence for one in named if getattr(one.note, "user", "") == "reviewer1")
    opened = FindingOpened(
        detector="one_hand",
        about="chief",
        accesses=(account,),
        reviewer="reviewer1",
        due_us=1 << 60,
        detail="made by one person alone",
    )
    number = root.write(opened, root.stamp("system"))
    form = AuditCloseForm(finding=number, verdict="justified", note="I was right to do it")
    with pytest.raises(DeskRefusal, match="a finding that names you"):
        root.department.call("audit/close", root.department.logon("reviewer1"), form)
    note = FindingClosed(finding=number, verdict=form.verdict, note=form.note)
    return note, root.signed("reviewer1", "audit/close", form)


def a_finding_about_entries_to_come(root: Root) -> tuple[Note, tuple[Stamp, bytes]]:
    """It names later entries of the person who judges it, for which no finding would open again."""
    opened = FindingOpened(
        detector="burst",
        about="chief",
        accesses=(root.log.size() + 1,),
        reviewer="reviewer1",
        due_us=1 << 60,
        detail="planted",
    )
    return opened, (root.stamp("system"), b"")


LATE: tuple[tuple[Attack, str], ...] = (
    (a_yes_after_a_no, "or one that does not wait"),
    (a_yes_to_a_search_after_a_no, "it decides a proposal that does not wait"),
    (a_yes_to_a_change_that_ended, "the proposal that it decides had expired"),
    (a_sharing_that_nobody_reviewed, "a request that no one reviewed"),
    (a_finding_closed_by_whom_it_is_about, "not open, or that is about that person"),
    (a_finding_closed_by_whom_its_entry_names, "a finding whose entries are that person's"),
    (a_finding_about_entries_to_come, "it names entries that did not exist yet"),
)


@pytest.mark.parametrize(("attack", "words"), LATE, ids=[attack.__name__ for attack, _ in LATE])
def test_a_signature_that_the_desk_would_refuse_counts_nowhere(
    department: Department, attack: Attack, words: str
) -> None:
    root = Root(department)
    note, (stamp, signed) = attack(root)
    entry = root.write(note, stamp, signed)
    named = [one for one in problems(department) if one.startswith(f"entry {entry}: {note.KIND}")]
    assert [one for one in named if words in one] == named != [], problems(department)
    known = Followed()
    for one in department.desk.log.entries():
        judge(known, one)
    assert words in known.judged[entry].reason
