"""Passkeys: registration by a signed call, login with a challenge bound to the session's key, refusals."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from desk_root import problems
from desk_twins import GROUND, PASSWORD, Department
from passkey_attacks import ATTACKS, Attack, registered
from passkey_twin import PasskeyTwin, b64

from sync.department.desk.inquiry.forms import Answer, NothingForm, RunForm
from sync.department.desk.people.calls import CredentialForm
from sync.department.desk.people.passkeys import (
    Options,
    PasskeyForm,
    PasskeyIdForm,
    PasskeyRow,
    begin_passkey,
    begin_proof,
    begin_unlock,
)
from sync.department.desk.sessions import digest_of
from sync.department.ground.person_key import secret_of
from sync.department.journal.entries import SessionEnded
from sync.department.journal.entry_base import Stamp
from sync.department.journal.passkeys import PasskeySet
from sync.department.journal.person_entries import FreshProof, SessionKeySet
from sync.department.policy.refusals import (
    DeskRefusal,
    FormError,
    FreshProofError,
    LockedError,
    NotProvenError,
    NotYetError,
)

Tokens = Callable[[str], str]


def origin(department: Department) -> str:
    return department.desk.logons.site.origin


def test_a_person_logs_on_with_a_passkey_and_searches(department: Department) -> None:
    twin = registered(department, "comm1")
    token = department.desk.logons.logon_passkey(twin.get(begin_passkey(department.desk, "comm1")))
    answer = department.call("inquiry/run", token, RunForm(query=department.plate("8XYZ123"), ground=GROUND))
    assert isinstance(answer, Answer)
    assert answer.count == 3
    rows = department.call("user/passkeys", token, NothingForm())
    assert rows == (PasskeyRow(name="key ring", credential_id=twin.credential_id, origin=origin(department)),)
    assert problems(department) == ()


def test_a_removed_passkey_and_one_from_before_a_reset_log_no_person_on(department: Department) -> None:
    first, second = registered(department, "comm1"), registered(department, "comm1")
    token = department.logon("comm1")
    department.call("user/remove-passkey", token, PasskeyIdForm(credential_id=first.credential_id))
    with pytest.raises(NotProvenError):
        department.desk.logons.logon_passkey(first.get(begin_passkey(department.desk, "comm1")))
    assert department.desk.logons.logon_passkey(second.get(begin_passkey(department.desk, "comm1")))
    chief = department.logon("chief")
    department.two_hands("user/credential", chief, CredentialForm(user="comm1", reason="lost the key ring"))
    with pytest.raises(NotProvenError):
        department.desk.logons.logon_passkey(second.get(begin_passkey(department.desk, "comm1")))
    assert problems(department) == ()


def of_another_person(department: Department, twin: PasskeyTwin) -> str:
    return twin.get(begin_passkey(department.desk, "disp1"))


def used_twice(department: Department, twin: PasskeyTwin) -> str:
    answer = twin.get(begin_passkey(department.desk, "comm1"))
    department.desk.logons.logon_passkey(answer)
    return answer


@pytest.mark.parametrize("answer", [of_another_person, used_twice], ids=lambda one: one.__name__)
def test_a_logon_with_the_answer_to_another_logon_is_refused(
    department: Department, answer: Callable[[Department, PasskeyTwin], str]
) -> None:
    twin = registered(department, "comm1")
    with pytest.raises(NotProvenError):
        department.desk.logons.logon_passkey(answer(department, twin))


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda one: one.__name__)
def test_a_forged_logon_with_a_passkey_is_refused(department: Department, attack: Attack) -> None:
    twin = registered(department, "comm1")
    made = attack(department, twin, lambda: begin_passkey(department.desk, "comm1"))
    with pytest.raises(NotProvenError):
        department.desk.logons.logon_passkey(made)


def test_root_uses_an_assertion_for_another_session_key(department: Department) -> None:
    """Root has a login's assertion and its own key, but the assertion is valid only for the other key."""
    twin = registered(department, "comm1")
    token = department.desk.logons.logon_passkey(twin.get(begin_passkey(department.desk, "comm1")))
    desk = department.desk
    (known,) = [
        one for one in desk.log.entries(kinds=(SessionKeySet.KIND,)) if one.stamp.session == digest_of(token)
    ]
    assert isinstance(known.note, SessionKeySet)
    department.desk.logons.logoff(token)
    entry = desk.log.append(
        replace(known.note, session=digest_of("root")),
        replace(known.stamp, at_us=max(department.clock(), desk.log.newest_us()), session=digest_of("root")),
    )
    (found,) = problems(department)
    assert found.startswith(f"entry {entry.sequence}: ")
    assert "the certificate was used before" in found


def test_root_registers_a_passkey_in_another_persons_name(department: Department) -> None:
    desk = department.desk
    token = department.logon("comm1")
    note = PasskeySet(
        user="comm1",
        name="x",
        credential_id=bytes(16),
        public_key=hashlib.sha256(b"x").digest(),
        rp_id=desk.logons.site.rp_id,
        origin=desk.logons.site.origin,
        active=True,
    )
    stamp = Stamp(
        at_us=desk.log.newest_us(),
        user="comm1",
        role="communications",
        organisation="Monrovia PD",
        session=digest_of(token),
        demo=False,
    )
    entry = desk.log.append(note, stamp)
    (found,) = problems(department)
    assert found == f"entry {entry.sequence}: passkey comm1 in the name of comm1: it has no signature"


def test_an_authenticator_of_one_person_makes_no_passkey_for_another(department: Department) -> None:
    """Otherwise a person with two accounts could be their own second person."""
    twin, token = registered(department, "comm1"), department.logon("super")
    asked = department.call("user/passkey-options", token, NothingForm())
    excluded = {one["id"] for one in json.loads(asked.options)["excludeCredentials"]}  # type: ignore[attr-defined]
    assert excluded == {b64(twin.credential_id)}
    form = PasskeyForm(name="key ring", response=twin.create(asked.options))  # type: ignore[attr-defined]
    with pytest.raises(FormError, match="another person's"):
        department.call("user/passkey", token, form)


def test_an_invalid_answer_is_refused_with_words(department: Department, tokens: Tokens) -> None:
    token = tokens("comm1")
    for response in ("", "{}", "[1]", "x" * 20_000, json.dumps({"id": "a", "rawId": "a", "response": {}})):
        with pytest.raises(FormError) as refused:
            department.call("user/passkey", token, PasskeyForm(name="key ring", response=response))
        assert refused.value.code == "passkey"
        with pytest.raises((DeskRefusal, FormError)):
            department.desk.logons.logon_passkey(response)
    asked = department.call("user/passkey-options", token, NothingForm())
    assert isinstance(asked, Options)
    other = tokens("disp1")
    answer = PasskeyTwin(origin(department)).create(asked.options)
    with pytest.raises(FormError):  # another session's challenge
        department.call("user/passkey", other, PasskeyForm(name="key ring", response=answer))
    with pytest.raises(NotYetError) as unsigned:  # the session's key does not sign
        department.call("user/passkey", secret_of(token), PasskeyForm(name="key ring", response=answer))
    assert unsigned.value.code == "unsigned"


def test_an_unknown_name_gets_options_that_stay_alike(department: Department) -> None:
    first, again = (json.loads(begin_passkey(department.desk, "nobody")) for _ in range(2))
    assert first["allowCredentials"] == again["allowCredentials"]
    assert first["challenge"] != again["challenge"]
    registered(department, "comm1")
    assert json.loads(begin_passkey(department.desk, "comm1")).keys() == first.keys()


# an unlock --------------------------------------------------------------------------------------------------


def locked(department: Department, user: str) -> str:
    """A session that its person locked."""
    token = department.logon(user, proves=False)
    department.desk.logons.logoff(token, lock=True)
    return token


def demand_locked(department: Department, token: str) -> None:
    with pytest.raises(LockedError):
        department.call("inquiry/mine", token, NothingForm())


def test_a_passkey_opens_a_locked_session_and_proves_no_call(department: Department) -> None:
    twin, desk = registered(department, "super"), department.desk
    token = locked(department, "super")
    demand_locked(department, token)
    desk.logons.unlock_passkey(token, twin.get(begin_unlock(desk, token)))
    department.call("inquiry/mine", token, NothingForm())
    *_, proof, opened = desk.log.entries(kinds=(FreshProof.KIND, SessionEnded.KIND))
    assert isinstance(proof.note, FreshProof)
    assert proof.note.credential_id == twin.credential_id
    assert isinstance(opened.note, SessionEnded)
    assert (opened.note.how, opened.note.totp_step) == ("unlocked", -1)
    with pytest.raises(FreshProofError):
        department.call("user/passkey-options", token, NothingForm())
    assert problems(department) == ()


def test_a_code_is_good_after_an_unlock_by_passkey_and_used_after_one_by_code(department: Department) -> None:
    """The unlock by passkey uses no code and makes no earlier code valid again."""
    twin, desk = registered(department, "super"), department.desk
    token = locked(department, "super")
    used = department.code("super")
    desk.logons.unlock_passkey(token, twin.get(begin_unlock(desk, token)))
    desk.logons.logoff(token, lock=True)
    with pytest.raises(NotProvenError):
        desk.logons.unlock(token, PASSWORD, used)
    department.clock.step(31_000_000)
    desk.logons.unlock(token, PASSWORD, department.code("super"))


def unlock_twice(department: Department, token: str, twin: PasskeyTwin) -> str:
    answer = twin.get(begin_unlock(department.desk, token))
    department.desk.logons.unlock_passkey(token, answer)
    department.desk.logons.logoff(token, lock=True)
    return answer


def unlock_of_another_session(department: Department, token: str, twin: PasskeyTwin) -> str:
    del token
    return twin.get(begin_unlock(department.desk, locked(department, "super")))


def unlock_with_a_proof(department: Department, token: str, twin: PasskeyTwin) -> str:
    """Try to unlock with a proof that was begun before the lock."""
    department.desk.logons.unlock_passkey(token, twin.get(begin_unlock(department.desk, token)))
    with pytest.raises(FreshProofError):
        department.call("user/passkey-options", token, NothingForm())
    answer = twin.get(begin_proof(department.desk, token))
    department.desk.logons.logoff(token, lock=True)
    return answer


def unlock_with_a_logon(department: Department, token: str, twin: PasskeyTwin) -> str:
    del token
    return twin.get(begin_passkey(department.desk, "super"))


@pytest.mark.parametrize(
    "answer",
    [unlock_twice, unlock_of_another_session, unlock_with_a_proof, unlock_with_a_logon],
    ids=lambda one: one.__name__,
)
def test_an_unlock_with_an_answer_to_something_else_is_refused_and_the_session_stays_locked(
    department: Department, answer: Callable[[Department, str, PasskeyTwin], str]
) -> None:
    twin = registered(department, "super")
    token = locked(department, "super")
    made = answer(department, token, twin)
    with pytest.raises(NotProvenError):
        department.desk.logons.unlock_passkey(token, made)
    demand_locked(department, token)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda one: one.__name__)
def test_a_forged_unlock_is_refused_and_the_session_stays_locked(
    department: Department, attack: Attack
) -> None:
    twin = registered(department, "super")
    token = locked(department, "super")
    made = attack(department, twin, lambda: begin_unlock(department.desk, token))
    with pytest.raises(NotProvenError):
        department.desk.logons.unlock_passkey(token, made)
    demand_locked(department, token)


def test_without_a_passkey_an_unlock_says_what_else_opens_it(department: Department) -> None:
    token = locked(department, "super")
    with pytest.raises(FormError) as refused:
        begin_unlock(department.desk, token)
    assert "password and code" in refused.value.cure


def test_an_unlock_proves_nothing_for_an_open_session(department: Department) -> None:
    """The answer for an unlock is not a fresh proof for a call."""
    twin, desk = registered(department, "super"), department.desk
    token = locked(department, "super")
    kept = twin.get(begin_unlock(desk, token))
    desk.logons.unlock_passkey(token, twin.get(begin_unlock(desk, token)))
    with pytest.raises(NotProvenError):
        desk.logons.prove_passkey(token, kept)
