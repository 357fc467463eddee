"""The state of a proposal follows from the entries alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from desk_root import problems
from desk_twins import Department

from storage.times import HOUR_US
from sync.department.desk.audit.detector_inputs import _judges
from sync.department.desk.changes.calls import Decided, DecideForm
from sync.department.desk.changes.rules import ChangeStates, state_of
from sync.department.desk.documents.calls import Signed, SignForm
from sync.department.desk.inquiry.forms import NothingForm
from sync.department.desk.people.calls import CredentialForm, HandedOver
from sync.department.journal.change_entries import ChangeDecided, ChangeProposed, ChangeUsed
from sync.department.journal.entries import Entry, EntryOf
from sync.department.journal.entry_base import Note, Stamp
from sync.department.policy.refusals import DeskRefusal, NotYetError

PROPOSED_US = 1_000 * HOUR_US


def entry(sequence: int, at_us: int, note: Note) -> Entry:
    stamp = Stamp(at_us=at_us, user="chief", role="administrator", organisation="", session=b"", demo=True)
    return EntryOf(sequence, stamp, note)


@pytest.mark.parametrize(
    ("decided_h", "granted", "used", "now_h", "expected"),
    [
        pytest.param(None, True, False, 0.5, "waiting", id="no decision yet"),
        pytest.param(None, True, False, 1.5, "out of date", id="no decision in time"),
        pytest.param(0.9, True, False, 1.5, "approved", id="hours count from the decision"),
        pytest.param(0.9, True, False, 2.0, "out of date", id="approved, and never carried out"),
        pytest.param(0.9, False, False, 2.0, "refused", id="a refusal does not end"),
        pytest.param(0.9, True, True, 2.0, "made", id="carried out"),
    ],
)
def test_the_hours_of_an_approval_count_from_the_decision(
    department: Department, decided_h: float | None, granted: bool, used: bool, now_h: float, expected: str
) -> None:
    """`decided_h`, `now_h`: time after the proposal, as a multiple of an approval's life."""
    policy, changes = department.desk.policy, ChangeStates()
    span = policy.inquiry.approval_hours * HOUR_US
    proposed = entry(4, PROPOSED_US, ChangeProposed(call="account", about="comm1", digest=b"", summary=""))
    changes.apply(proposed)
    if decided_h is not None:
        decision = ChangeDecided(proposal=4, granted=granted, reason="")
        changes.apply(entry(5, PROPOSED_US + round(decided_h * span), decision))
    if used:
        changes.apply(entry(6, PROPOSED_US + span, ChangeUsed(proposal=4, about="comm1", second="super")))
    assert state_of(policy, changes, proposed, PROPOSED_US + round(now_h * span)) == expected


def test_the_same_change_waits_once(department: Department) -> None:
    chief = department.logon("chief")
    form = CredentialForm(user="comm1", reason="lost phone", propose=True)
    first = department.call("user/credential", chief, form)
    assert isinstance(first, HandedOver)
    with pytest.raises(NotYetError, match=f"proposal {first.entry} waits for a second person") as refused:
        department.call("user/credential", chief, form)
    assert refused.value.code == "proposed"
    other = department.call("user/credential", chief, replace(form, reason="lost password"))
    assert isinstance(other, HandedOver)
    assert other.entry > first.entry
    decision = DecideForm(proposal=first.entry, granted=True, reason="called back")
    department.call("change/approve", department.logon("super"), decision)
    again = department.call("user/credential", chief, form)  # decided, so another person may be asked
    assert isinstance(again, HandedOver)
    assert again.entry > other.entry


def test_every_own_proposal_is_listed_the_newest_first(department: Department) -> None:
    chief, made = department.logon("chief"), []
    for number in range(103):
        form = SignForm(
            kind="configuration", body=f"[camera]\nfps = {number}\n".encode(), reason="lens", propose=True
        )
        signed = department.call("document/sign", chief, form)
        assert isinstance(signed, Signed)
        made.append(signed.proposal)
    found = department.call("change/mine", chief, NothingForm())
    assert isinstance(found, tuple)
    assert [one.proposal for one in found][:103] == made[::-1]


def test_who_proposed_it_takes_it_back_and_never_approves_it(department: Department) -> None:
    chief = department.logon("chief")
    asked = department.call(
        "user/credential", chief, CredentialForm(user="comm1", reason="lost phone", propose=True)
    )
    assert isinstance(asked, HandedOver)
    own = DecideForm(proposal=asked.entry, granted=False, reason="the wrong person")
    with pytest.raises(DeskRefusal, match="another person"):
        department.call("change/approve", chief, replace(own, granted=True))
    gone = department.call("change/approve", chief, own)
    assert isinstance(gone, Decided)
    assert (gone.proposal, gone.granted, gone.call, gone.about) == (
        asked.entry, False, "user/credential", "comm1",
    )  # fmt: skip
    with pytest.raises(NotYetError, match="chief refused that proposal already"):
        department.call("change/approve", department.logon("super"), replace(own, granted=True))
    assert problems(department) == ()


def test_who_takes_an_own_proposal_back_decided_nothing_for_another(department: Department) -> None:
    deputy = department.logon("deputy")
    form = SignForm(kind="configuration", body=b"[camera]\nfps = 9\n", reason="lens", propose=True)
    signed = department.call("document/sign", deputy, form)
    assert isinstance(signed, Signed)
    own = DecideForm(proposal=signed.proposal, granted=False, reason="the wrong lens")
    department.call("change/approve", deputy, own)
    assert "deputy" not in _judges(department.desk.book)


@pytest.mark.parametrize(("granted", "did"), [(True, "approved"), (False, "refused")])
def test_who_decides_second_is_shown_who_decided_first_and_how(
    department: Department, granted: bool, did: str
) -> None:
    form = CredentialForm(user="comm1", reason="lost phone", propose=True)
    asked = department.call("user/credential", department.logon("chief"), form)
    assert isinstance(asked, HandedOver)
    decision = DecideForm(proposal=asked.entry, granted=granted, reason="known to me")
    department.call("change/approve", department.logon("super"), decision)
    for other in (True, False):
        late = DecideForm(proposal=asked.entry, granted=other, reason="known to me")
        with pytest.raises(NotYetError, match=f"super {did} that proposal already") as refused:
            department.call("change/approve", department.logon("deputy"), late)
        assert refused.value.cure
