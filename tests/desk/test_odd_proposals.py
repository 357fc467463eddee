"""A proposal with odd recipients in its signed form, which only root can enter, breaks no call."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from desk_asking import code_of
from desk_forms import forms
from desk_root import Root, account_form, problems
from desk_twins import Department

from storage.ssh_signature import SshPublicKey
from sync.department.desk.changes.calls import ChangeRow, DecideForm, ShowForm, ShownProposal
from sync.department.desk.inquiry.forms import NothingForm
from sync.department.journal.change_entries import ChangeProposed
from sync.department.journal.statements import form_fields, proposal_digest
from sync.department.policy.roles import Role


def seen_by(department: Department, user: str) -> set[int]:
    """The waiting proposals that this person may know of."""
    rows = department.call("change/list", department.logon(user), NothingForm())
    assert isinstance(rows, tuple)
    assert all(isinstance(one, ChangeRow) for one in rows)
    return {one.proposal for one in rows}


ODD: tuple[Any, ...] = (5, True, "deputy", ["deputy", 5], {"deputy": 1}, b"deputy", None)


def test_odd_recipients_name_no_person_and_what_waits_is_listed(department: Department) -> None:
    """A text is not a list of one-letter names. Administrators and the proposer see it, to refuse it."""
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


def test_the_second_person_sees_the_new_name_and_each_ssh_key(department: Department) -> None:
    """Otherwise an administrator could add their own key in a change described as a new shift, and be that
    person at every unit.
    """
    held, key = (SshPublicKey.of(Ed25519PrivateKey.from_private_bytes(bytes([at] * 32))) for at in range(2))
    account = department.desk.book.roster.accounts["comm1"]
    department.two_hands("user/set", department.logon("chief"), account_form(account, ssh_keys=(held.line,)))
    known = department.desk.book.roster.accounts["comm1"]
    lines = (held.line, key.line)
    form = account_form(known, name="Somebody Else", ssh_keys=lines, propose=True)
    department.call("user/set", department.logon("chief"), form)
    (number,) = seen_by(department, "super")
    shown = department.call("change/show", department.logon("super"), ShowForm(proposal=number))
    assert isinstance(shown, ShownProposal)
    assert shown.summary == (
        f"comm1, Somebody Else: communications; SSH key {held.fingerprint}; new SSH key {key.fingerprint}; "
        f"as discussed; its name is {known.name} now"
    )
    assert problems(department) == ()


def test_the_second_person_reads_titles_of_the_policy_instead_of_codes(department: Department) -> None:
    """The second person decides on a ground, a role or a category by what it means."""
    policy, made = department.desk.policy, forms(department)
    account = department.desk.book.roster.accounts["comm1"]
    hold = replace(made["hold/place"], accesses=(), propose=True)
    proposals = {
        "hold/place": ("super", hold),
        "hotlist/add": ("super", replace(made["hotlist/add"], propose=True)),
        "user/set": ("chief", account_form(account, roles=(Role.REVIEWER,), reason="moved", propose=True)),
    }
    said: dict[str, dict[str, str]] = {}
    for call, (user, form) in proposals.items():
        department.call(call, department.logon(user), form)
        (number,) = seen_by(department, "deputy")
        shown = department.call("change/show", department.logon("deputy"), ShowForm(proposal=number))
        assert isinstance(shown, ShownProposal)
        said[call] = dict(shown.fields)
        no = DecideForm(proposal=number, granted=False, reason="not today")
        department.call("change/approve", department.logon("deputy"), no)
    ground = policy.hold_ground(hold.hold_ground)
    purpose = policy.purpose(hold.ground.purpose)
    category = policy.alerts.category(made["hotlist/add"].category)
    assert ground is not None
    assert purpose is not None
    assert category is not None
    assert said["hold/place"]["hold_ground"] == ground.text != hold.hold_ground
    assert f"Purpose: {purpose.text}; " in said["hold/place"]["ground"]
    assert "Basis: criminal investigation; " in said["hold/place"]["ground"]
    assert said["hotlist/add"]["category"] == category.says
    assert said["user/set"]["roles"] == policy.title(Role.REVIEWER)
