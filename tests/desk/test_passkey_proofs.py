"""A fresh proof by passkey belongs to the one call that asked for it, and no other answer is a proof."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from desk_twins import MINUTE_US, PASSWORD, Department
from passkey_attacks import ATTACKS, Attack, registered
from passkey_twin import PasskeyTwin
from proof_twins import asked, browser, demand_once, demand_refused, export_of

from sync.department.desk.inquiry.forms import NothingForm
from sync.department.desk.people.passkeys import Options, PasskeyForm, begin_passkey, begin_proof
from sync.department.journal.inquiry_entries import Access
from sync.department.journal.person_entries import FreshProof
from sync.department.policy.refusals import DeskRefusal, FormError, FreshProofError, NotProvenError


def test_a_passkey_proves_and_its_entry_says_so(department: Department) -> None:
    form, twin = export_of(department), registered(department, "super")
    token = browser(department, "super")
    answer = twin.get(asked(department, token, form))
    proof = department.desk.logons.prove_passkey(token, answer)
    assert isinstance(proof.note, FreshProof)
    assert proof.note.credential_id == twin.credential_id
    department.call("hold/export", token, form)
    *_, last = department.desk.log.entries(kinds=(Access.KIND,))
    assert last.stamp.proven == f"passkey, entry {proof.sequence}"


def replayed(department: Department, token: str, twin: PasskeyTwin) -> str:
    answer = twin.get(asked(department, token))
    department.desk.logons.prove_passkey(token, answer)
    department.clock.step(6 * MINUTE_US)
    return answer


def of_another_session(department: Department, token: str, twin: PasskeyTwin) -> str:
    del token
    return twin.get(asked(department, browser(department, "super")))


def of_a_logon(department: Department, token: str, twin: PasskeyTwin) -> str:
    del token
    return twin.get(begin_passkey(department.desk, "super"))


@pytest.mark.parametrize("answer", [replayed, of_another_session, of_a_logon], ids=lambda one: one.__name__)
def test_an_answer_to_something_else_is_not_a_proof(
    department: Department, answer: Callable[[Department, str, PasskeyTwin], str]
) -> None:
    form, twin = export_of(department), registered(department, "super")
    token = browser(department, "super")
    made = answer(department, token, twin)
    with pytest.raises(NotProvenError):
        department.desk.logons.prove_passkey(token, made)
    demand_refused(department, token, form)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda one: one.__name__)
def test_a_forged_answer_of_a_passkey_is_not_a_proof(department: Department, attack: Attack) -> None:
    form, twin = export_of(department), registered(department, "super")
    token = browser(department, "super")
    made = attack(department, twin, lambda: asked(department, token, form))
    with pytest.raises(NotProvenError):
        department.desk.logons.prove_passkey(token, made)
    demand_refused(department, token, form)


def test_a_passkey_proves_the_call_that_asked_and_no_other(department: Department) -> None:
    """A thief with the session waits until its person touches the authenticator for another call."""
    form, twin = export_of(department), registered(department, "super")
    token = browser(department, "super")
    department.desk.logons.prove_passkey(token, twin.get(asked(department, token)))
    department.call("user/passkey-options", token, NothingForm())
    demand_refused(department, token, form)
    department.desk.logons.prove_passkey(token, twin.get(asked(department, token, form)))
    demand_once(department, token, form)


def test_each_of_two_tabs_proves_its_own_call(department: Department) -> None:
    """The tab that was refused first is proven last, and one proof does not affect the other."""
    form, twin = export_of(department), registered(department, "super")
    token, logons = browser(department, "super"), department.desk.logons
    with pytest.raises(FreshProofError) as first:
        department.call("hold/export", token, form)
    with pytest.raises(FreshProofError) as second:
        department.call("user/passkey-options", token, NothingForm())
    department.clock.step(31_000_000)
    logons.prove(token, PASSWORD, department.code("super"), proof=first.value.proof)
    logons.prove_passkey(token, twin.get(begin_proof(department.desk, token, second.value.proof)))
    department.call("user/passkey-options", token, NothingForm())
    demand_once(department, token, form)
    with pytest.raises(FormError, match="asked for this one"):
        begin_proof(department.desk, browser(department, "super"), first.value.proof)


def test_a_passkey_is_asked_for_nothing_before_a_call_asks(department: Department) -> None:
    registered(department, "super")
    token = browser(department, "super")
    with pytest.raises(FormError, match="no call of this session asked for a proof"):
        begin_proof(department.desk, token)


def test_a_stolen_session_registers_no_passkey_to_prove_with(department: Department) -> None:
    fresh = department.logon("super")
    asked = department.call("user/passkey-options", fresh, NothingForm())
    assert isinstance(asked, Options)
    token = browser(department, "super")
    response = PasskeyTwin(department.desk.logons.site.origin).create(asked.options)
    with pytest.raises(FreshProofError):
        department.call("user/passkey-options", token, NothingForm())
    with pytest.raises(DeskRefusal):  # and not with an answer for another session either
        department.call("user/passkey", token, PasskeyForm(name="mine", response=response))
    assert department.desk.book.signers.passkeys.get("super", ()) == ()
