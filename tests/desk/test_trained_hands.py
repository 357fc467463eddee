"""Root at the desk with an untrained accomplice: the key service and `verify` check training too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from desk_forms import forms
from desk_root import Root, problems
from desk_twins import GROUND, Department

from sync.department.desk.changes.calls import DecideForm
from sync.department.desk.holds.calls import AskReleaseForm
from sync.department.desk.inquiry.forms import InquiryDecideForm, ProposeForm
from sync.department.journal.change_entries import ChangeDecided
from sync.department.journal.entries import BOUND_WHOLE, AccessLogOpened
from sync.department.journal.entry_base import Note
from sync.department.journal.hold_entries import ReleaseAsked
from sync.department.journal.inquiry_entries import SearchApproved
from sync.department.journal.signed_log import SignedLog
from sync.department.journal.signers import SIGNER_KINDS
from sync.department.policy.roles import Role

SECOND, REASON = "super2", "it is in order"
Word = tuple[str, object, Note]  # the call, its form, and the entry that root makes of it


@pytest.fixture
def root(department: Department) -> Root:
    department.add_person(department.logon("chief"), SECOND, (Role.CCAT_SUPERVISOR,))
    return Root(department)


def a_yes(root: Root, name: str = "hotlist/add", *, granted: bool = True) -> Word:
    """Approve a change that the supervisor proposed."""
    asks = replace(forms(root.department)[name], propose=True)
    root.department.call(name, root.department.logon("super"), asks)
    number = list(root.department.desk.book.changes.proposed)[-1]
    form = DecideForm(proposal=number, granted=granted, reason=REASON)
    return "change/approve", form, ChangeDecided(proposal=number, granted=granted, reason=REASON)


def a_yes_to_a_search(root: Root) -> Word:
    department = root.department
    form = ProposeForm(query=department.plate("8XYZ*"), ground=GROUND)
    number = int(department.call("inquiry/propose", department.logon("super"), form).entry)  # type: ignore[attr-defined]
    yes = InquiryDecideForm(proposal=number, granted=True, reason=REASON)
    return "inquiry/approve", yes, SearchApproved(proposal=number, granted=True, reason=REASON)


def a_word_on_a_hold(root: Root) -> Word:
    department = root.department
    hold = department.held(department.logon("super"), department.reads[:1])
    form = AskReleaseForm(hold=hold, reason="it was placed on another car")
    return "hold/ask-release", form, ReleaseAsked(hold=hold, evidence_item="", reason=form.reason)


@pytest.mark.parametrize("makes", [a_yes, a_yes_to_a_search, a_word_on_a_hold])
def test_a_signed_word_about_plates_or_reads_counts_only_of_a_trained_person(
    root: Root, makes: Callable[[Root], Word]
) -> None:
    call, form, note = makes(root)
    stamp, signed = root.signed(SECOND, call, form)
    root.write(note, stamp, signed)
    (problem,) = problems(root.department)
    assert f"no signed training of {SECOND} is current" in problem
    older = SignedLog()
    for entry in root.log.entries():
        first = entry.note
        if isinstance(first, AccessLogOpened):
            older.judge(replace(entry, note=replace(first, signs=BOUND_WHOLE)))
        elif first.KIND in SIGNER_KINDS:
            older.judge(entry)  # by the rules when that log began


def test_a_no_and_a_word_about_no_plate_take_no_training(root: Root) -> None:
    department = root.department
    for call, form, note in (a_yes(root, granted=False), a_yes(root, "backlog/allow")):
        stamp, signed = root.signed(SECOND, call, form)
        root.write(note, stamp, signed)
    assert problems(department) == ()


def test_a_trained_person_says_the_same(root: Root) -> None:
    department = root.department
    department.train(department.logon("chief"), SECOND, "super")
    for call, form, note in (a_yes(root), a_yes_to_a_search(root), a_word_on_a_hold(root)):
        stamp, signed = root.signed(SECOND, call, form)
        root.write(note, stamp, signed)
    assert problems(department) == ()
