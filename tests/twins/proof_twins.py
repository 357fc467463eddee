"""An export that needs a fresh proof: refused with only an open session, and made exactly once with one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from desk_twins import GROUND, Department

from sync.department.desk.holds.calls import ExportForm
from sync.department.desk.inquiry.forms import NothingForm
from sync.department.desk.people.passkeys import begin_proof
from sync.department.journal.entries import Refused
from sync.department.journal.inquiry_entries import Access
from sync.department.policy.refusals import FreshProofError


def browser(department: Department, user: str) -> str:
    """A session like a browser's: its login is not a fresh proof."""
    return department.logon(user, proves=False)


def export_of(department: Department) -> ExportForm:
    """The form for an export of a hold that `super` placed on the result of their own search."""
    token = department.logon("super")
    return ExportForm(hold=department.held(token), medium="USB 1", ground=GROUND)


def accesses(department: Department, action: str) -> list[Access]:
    notes = [one.note for one in department.desk.log.entries(kinds=(Access.KIND,))]
    return [one for one in notes if isinstance(one, Access) and one.action == action]


def demand_refused(department: Department, token: str, form: ExportForm) -> None:
    """Assert that the call asks for a proof, logs a refusal and opens nothing."""
    with pytest.raises(FreshProofError) as refused:
        department.call("hold/export", token, form)
    assert (refused.value.status, refused.value.code) == (401, "fresh-proof")
    assert accesses(department, "export") == []
    *_, last = department.desk.log.entries(kinds=(Refused.KIND,))
    assert isinstance(last.note, Refused)
    assert (last.note.call, last.note.code) == ("hold.export", "fresh-proof")


def asked(department: Department, token: str, form: ExportForm | None = None) -> str:
    """The options for a proof with a passkey, after a call was refused for lack of a proof."""
    name, given = ("hold/export", form) if form else ("user/passkey-options", NothingForm())
    with pytest.raises(FreshProofError):
        department.call(name, token, given)
    return begin_proof(department.desk, token)


def demand_once(department: Department, token: str, form: ExportForm) -> None:
    """Assert that a proof permits the proven call once and nothing else."""
    with pytest.raises(FreshProofError, match="is of another call"):
        department.call("hold/export", token, replace(form, medium="the thief's own USB"))
    department.call("hold/export", token, form)
    with pytest.raises(FreshProofError):
        department.call("hold/export", token, form)
    assert len(accesses(department, "export")) == 1
