"""A proposal whose signed form names odd recipients, as only root enters it: it ends no call of the desk."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from desk_asking import code_of
from desk_forms import forms
from desk_root import Root
from desk_twins import Department

from sync.department.desk.changes.calls import ChangeRow, ShowForm
from sync.department.desk.inquiry.forms import NothingForm
from sync.department.journal.change_entries import ChangeProposed
from sync.department.journal.statements import form_fields, proposal_digest


def seen_by(department: Department, user: str) -> set[int]:
    """The proposals that wait and that this person may know of."""
    rows = department.call("change/list", department.logon(user), NothingForm())
    assert isinstance(rows, tuple)
    assert all(isinstance(one, ChangeRow) for one in rows)
    return {one.proposal for one in rows}


ODD: tuple[Any, ...] = (5, True, "deputy", ["deputy", 5], {"deputy": 1}, b"deputy", None)


def test_odd_recipients_name_no_person_and_what_waits_is_listed(department: Department) -> None:
    """Text is no list of names, one letter each. Administrators and the proposer know of it, to refuse it."""
    root, call, numbers = Root(department), "hotlist/add", set[int]()
    for odd in ODD:
        form = {**form_fields(replace(forms(department)[call], propose=True)), "recipients": odd}
        stamp, signed = root.signed("super", call, form)
        digest = proposal_digest(call, form)
        note = ChangeProposed(call=call, about="hot-list/local", digest=digest, summary="one more")
        numbers.add(root.write(note, stamp, signed))
    assert [seen_by(department, user) & numbers for user in ("chief", "super", "deputy")] == [
        numbers, numbers, set(),
    ]  # fmt: skip
    chief, deputy = department.logon("chief"), department.logon("deputy")
    for number in numbers:
        department.call("change/show", chief, ShowForm(proposal=number))
        assert code_of(department, "change/show", deputy, ShowForm(proposal=number)) == "no-proposal"
