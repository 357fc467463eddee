"""A fresh proof: an open session alone takes nothing away; what counts as a proof, for whom, how long."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from desk_root import Root, problems
from desk_twins import DAY_US, GROUND, MINUTE_US, PASSWORD, Department
from passkey_attacks import ATTACKS, Attack, registered
from passkey_twin import PasskeyTwin

from sync.department.desk.documents.local import LocalForm
from sync.department.desk.holds.calls import ExportForm, _access
from sync.department.desk.inquiry.forms import NothingForm
from sync.department.desk.json_forms import to_json
from sync.department.desk.machine.unit_calls import RevokeUnitForm
from sync.department.desk.operations import OPERATIONS
from sync.department.desk.people.challenges import Challenges
from sync.department.desk.people.passkeys import (
    Options,
    PasskeyForm,
    begin_passkey,
    begin_proof,
)
from sync.department.desk.proofs import PROVEN_CALLS
from sync.department.desk.sessions import digest_of
from sync.department.ground.person_key import read_token
from sync.department.journal.entries import Refused
from sync.department.journal.hold_entries import HoldPlaced
from sync.department.journal.inquiry_entries import Access
from sync.department.journal.passkeys import ProvenUse, proof_of
from sync.department.journal.person_entries import FreshProof
from sync.department.journal.proven_uses import DEMANDING
from sync.department.journal.signed_forms import ACTIONS
from sync.department.journal.statements import form_bytes, sign_call
from sync.department.policy.refusals import (
    DeskRefusal,
    FormError,
    FreshProofError,
    LockedError,
    NotProvenError,
)

Prove = Callable[[Department, str], None]


def browser(department: Department, user: str) -> str:
    """A session as a browser opens one: its logon is not a fresh proof."""
    return department.logon(user, proves=False)


def export_of(department: Department) -> ExportForm:
    """The export of a hold that `super` placed on a search of their own."""
    token = department.logon("super")
    return ExportForm(hold=department.held(token), medium="USB 1", ground=GROUND)


def accesses(department: Department, action: str) -> list[Access]:
    notes = [one.note for one in department.desk.log.entries(kinds=(Access.KIND,))]
    return [one for one in notes if isinstance(one, Access) and one.action == action]


def demand_refused(department: Department, token: str, form: ExportForm) -> None:
    """Asked for a proof, entered as a refusal, and nothing was opened."""
    with pytest.raises(FreshProofError) as refused:
        department.call("hold/export", token, form)
    assert (refused.value.status, refused.value.code) == (401, "fresh-proof")
    assert accesses(department, "export") == []
    *_, last = department.desk.log.entries(kinds=(Refused.KIND,))
    assert isinstance(last.note, Refused)
    assert (last.note.call, last.note.code) == ("hold.export", "fresh-proof")


def asked(department: Department, token: str, form: ExportForm | None = None) -> str:
    """The options of a proof with a passkey, once a call was refused for the lack of one."""
    name, given = ("hold/export", form) if form else ("user/passkey-options", NothingForm())
    with pytest.raises(FreshProofError):
        department.call(name, token, given)
    return begin_proof(department.desk, token)


def test_a_stolen_session_alone_cannot_export(department: Department) -> None:
    form = export_of(department)
    token = browser(department, "super")
    demand_refused(department, token, form)
    department.searched(token, department.reads[:1])  # what needs no proof is as before
    demand_refused(department, token, form)


def test_the_entry_says_by_what_it_was_proven(department: Department) -> None:
    form = export_of(department)
    token = browser(department, "super")
    department.prove("super", token, "hold/export", form)
    department.call("hold/export", token, form)
    (proof,) = department.desk.log.entries(kinds=(FreshProof.KIND,))
    export = [
        one
        for one in department.desk.log.entries(kinds=(Access.KIND,))
        if isinstance(one.note, Access) and one.note.action == "export"
    ]
    assert [one.stamp.proven for one in export] == [f"password and code, entry {proof.sequence}"]


def test_a_proof_ends_with_the_minutes_of_the_policy(department: Department) -> None:
    form = export_of(department)
    token = browser(department, "super")
    department.prove("super", token, "hold/export", form)
    minutes = department.desk.policy.sessions.proof_minutes
    department.clock.step(minutes * MINUTE_US)
    department.prove("super", token, "hold/export", form)
    department.clock.step(minutes * MINUTE_US - 1)
    department.call("hold/export", token, form)


def test_a_proof_is_of_one_session(department: Department) -> None:
    form = export_of(department)
    mine, stolen = browser(department, "super"), browser(department, "super")
    department.prove("super", mine, "hold/export", form)
    demand_refused(department, stolen, form)


def test_a_locked_session_takes_no_proof_and_its_unlock_is_none(department: Department) -> None:
    form = export_of(department)
    token = browser(department, "super")
    demand_refused(department, token, form)
    department.desk.logons.logoff(token, lock=True)
    department.clock.step(31_000_000)
    with pytest.raises(LockedError):
        department.desk.logons.prove(token, PASSWORD, department.code("super"))
    department.desk.logons.unlock(token, PASSWORD, department.code("super"))
    demand_refused(department, token, form)


def test_a_clock_that_is_set_back_makes_no_proof_fresh(department: Department) -> None:
    form = export_of(department)
    token = browser(department, "super")
    department.prove("super", token, "hold/export", form)
    department.clock.step(6 * MINUTE_US)
    demand_refused(department, token, form)
    department.clock.step(-6 * MINUTE_US)
    with pytest.raises(FreshProofError):
        department.call("hold/export", token, form)


def with_the_code_of_the_logon(department: Department, token: str) -> None:
    department.desk.logons.prove(token, PASSWORD, department.code("super"))


def with_a_code_twice(department: Department, token: str) -> None:
    department.clock.step(31_000_000)
    other = department.logon("super", proves=False)
    department.desk.logons.logoff(other)
    department.desk.logons.prove(token, PASSWORD, department.code("super"))


def with_a_wrong_password(department: Department, token: str) -> None:
    department.clock.step(31_000_000)
    department.desk.logons.prove(token, "correct horse 464", department.code("super"))


def without_a_password(department: Department, token: str) -> None:
    department.clock.step(31_000_000)
    department.desk.logons.prove(token, "", department.code("super"))


def with_another_persons_code(department: Department, token: str) -> None:
    department.clock.step(31_000_000)
    department.desk.logons.prove(token, PASSWORD, department.code("chief"))


def with_digits_of_another_alphabet(department: Department, token: str) -> None:
    department.clock.step(31_000_000)
    code = department.code("super").translate({48 + digit: 0x660 + digit for digit in range(10)})
    department.desk.logons.prove(token, PASSWORD, code)


@pytest.mark.parametrize(
    "prove",
    [
        with_the_code_of_the_logon,
        with_a_code_twice,
        with_a_wrong_password,
        without_a_password,
        with_another_persons_code,
        with_digits_of_another_alphabet,
    ],
    ids=lambda one: one.__name__,
)
def test_a_proof_is_refused_and_proves_nothing(department: Department, prove: Prove) -> None:
    form = export_of(department)
    token = browser(department, "super")
    demand_refused(department, token, form)
    with pytest.raises(NotProvenError):
        prove(department, token)
    demand_refused(department, token, form)


def test_a_code_that_proved_opens_no_session_after_it(department: Department) -> None:
    token = browser(department, "super")
    department.prove("super", token, "user/passkey-options", NothingForm())
    with pytest.raises(NotProvenError):
        department.desk.logons.logon("super", PASSWORD, department.code("super"))


def test_wrong_proofs_lock_out_as_wrong_logons_do(department: Department) -> None:
    token = browser(department, "super")
    with pytest.raises(FreshProofError):
        department.call("user/passkey-options", token, NothingForm())
    for _ in range(department.desk.policy.sessions.attempts):
        with pytest.raises(NotProvenError):
            department.desk.logons.prove(token, "wrong horse 463", "000000")
    with pytest.raises(LockedError):
        department.prove("super", token, "user/passkey-options", NothingForm())


# passkeys -------------------------------------------------------------------------------------------------


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
def test_an_answer_to_something_else_is_no_proof(
    department: Department, answer: Callable[[Department, str, PasskeyTwin], str]
) -> None:
    form, twin = export_of(department), registered(department, "super")
    token = browser(department, "super")
    made = answer(department, token, twin)
    with pytest.raises(NotProvenError):
        department.desk.logons.prove_passkey(token, made)
    demand_refused(department, token, form)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda one: one.__name__)
def test_a_forged_answer_of_a_passkey_is_no_proof(department: Department, attack: Attack) -> None:
    form, twin = export_of(department), registered(department, "super")
    token = browser(department, "super")
    made = attack(department, twin, lambda: asked(department, token, form))
    with pytest.raises(NotProvenError):
        department.desk.logons.prove_passkey(token, made)
    demand_refused(department, token, form)


def test_a_passkey_proves_the_call_that_asked_and_no_other(department: Department) -> None:
    """The thief of the session waits until its person touches the authenticator for something else."""
    form, twin = export_of(department), registered(department, "super")
    token = browser(department, "super")
    department.desk.logons.prove_passkey(token, twin.get(asked(department, token)))
    department.call("user/passkey-options", token, NothingForm())
    demand_refused(department, token, form)
    department.desk.logons.prove_passkey(token, twin.get(asked(department, token, form)))
    demand_once(department, token, form)


def demand_once(department: Department, token: str, form: ExportForm) -> None:
    """What was proven is made once, and nothing else is."""
    with pytest.raises(FreshProofError, match="is of another call"):
        department.call("hold/export", token, replace(form, medium="the thief's own USB"))
    department.call("hold/export", token, form)
    with pytest.raises(FreshProofError):
        department.call("hold/export", token, form)
    assert len(accesses(department, "export")) == 1


def test_a_code_proves_the_call_that_asked_and_no_other(department: Department) -> None:
    """The thief of the session waits until its person types a code for something else."""
    form = export_of(department)
    token = browser(department, "super")
    department.prove("super", token, "user/passkey-options", NothingForm())
    demand_refused(department, token, form)
    department.prove("super", token, "hold/export", form)
    demand_once(department, token, form)


def test_each_of_two_tabs_proves_its_own_call(department: Department) -> None:
    """The tab that was refused first is proven last, and one proof leaves the other as it is."""
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


def test_a_session_with_many_refused_calls_pushes_out_its_own_alone() -> None:
    made = Challenges()
    made.ask(b"mine", ProvenUse(use="hold/export", form=bytes(32)))
    for number in range(600):
        made.ask(b"busy", ProvenUse(use="hold/export", form=number.to_bytes(32, "big")))
    assert made.asked(b"mine").form == bytes(32)
    assert made.asked(b"busy").form == (599).to_bytes(32, "big")
    kept = [ProvenUse(use="hold/export", form=number.to_bytes(32, "big")).name for number in (592, 591)]
    assert made.asked(b"busy", kept[0]).form == (592).to_bytes(32, "big")
    with pytest.raises(FormError):
        made.asked(b"busy", kept[1])


def test_a_passkey_is_asked_for_nothing_before_a_call_asks(department: Department) -> None:
    registered(department, "super")
    token = browser(department, "super")
    with pytest.raises(FormError, match="no call of this session asked for a proof"):
        begin_proof(department.desk, token)


@pytest.mark.parametrize("minutes", [0, 61])
def test_an_authenticators_answer_proves_one_time(department: Department, minutes: int) -> None:
    """Root enters the same answer again: the call cannot be made a second time with it."""
    form, twin, root = export_of(department), registered(department, "super"), Root(department)
    token = browser(department, "super")
    made = department.desk.logons.prove_passkey(token, twin.get(asked(department, token, form)))
    department.call("hold/export", token, form)
    department.clock.step(minutes * MINUTE_US)
    again = root.write(made.note, root.stamp("super", digest_of(token)))
    demand_named(department, root, token, form, f"passkey, entry {again}", "asked for another call")
    assert any(f"entry {again}:" in one and "made before" in one for one in problems(department))


def test_a_command_of_before_is_named_and_locks_no_one_out(department: Department) -> None:
    """It signs for its session, where a call's challenge is asked for."""
    form, token, logons = export_of(department), department.logon("super"), department.desk.logons
    department.clock.step(20 * MINUTE_US)
    with pytest.raises(FreshProofError):
        department.call("hold/export", token, form)
    size = department.desk.log.size()
    for _ in range(6):
        with pytest.raises(FormError, match="older than the department's server") as refused:
            logons.prove(token, "", department.code("super"), certificate=b"one for a session")
        assert refused.value.code == "old-command"
    assert department.desk.log.size() == size
    logons.prove(token, PASSWORD, department.code("super"))
    department.call("hold/export", token, form)


def demand_named(
    department: Department, root: Root, token: str, form: ExportForm, proven: str, why: str
) -> None:
    """An export that root writes with the session's key opens nothing, and `verify` names it."""
    key = read_token(token).key
    assert key is not None
    held = department.desk.book.holds.placed[form.hold].note
    assert isinstance(held, HoldPlaced)
    access = _access("export", form.ground, held.reads, held.number, -1)
    stamp = replace(root.stamp("super", digest_of(token)), proven=proven)
    signed = sign_call(key, department.desk.log.log_id, "super", "hold/export", form, stamp.at_us)
    export = root.write(access, stamp, signed)
    (stored, *_) = department.front.vault.stored(held.access)
    with pytest.raises(DeskRefusal, match=why):
        department.front.door.open_held(
            department.desk.covered(export), held.access, stored.log_id, [stored.row]
        )
    assert any(f"entry {export}:" in one and why in one for one in problems(department))


@pytest.mark.parametrize("propose", [False, True, 1])
def test_the_key_of_a_session_exports_nothing_without_its_person(
    department: Department, propose: Any
) -> None:
    """Root has the key of a browser's session, and waits for its person to go; a form that says that it only
    proposes makes the act itself no proposal."""
    form, root = replace(export_of(department), propose=propose), Root(department)
    token = browser(department, "super")
    department.clock.step(15 * MINUTE_US)
    demand_named(department, root, token, form, "", "super made no proof for it")


@pytest.mark.parametrize(("late_us", "opens"), [(25 * MINUTE_US, True), (25 * MINUTE_US + 1, False)])
def test_an_export_that_root_dates_back_to_the_logon_opens_nothing(
    department: Department, late_us: int, *, opens: bool
) -> None:
    """The key service goes by its own clock, and grants ten minutes between it and the department's."""
    form, root = export_of(department), Root(department)
    token = browser(department, "super")
    key, stamp = read_token(token).key, root.stamp("super", digest_of(token))
    assert key is not None
    held = department.desk.book.holds.placed[form.hold].note
    assert isinstance(held, HoldPlaced)
    opened_us = department.desk.book.signers.sessions[digest_of(token)].from_us
    department.clock.us = opened_us + late_us
    signed = sign_call(key, department.desk.log.log_id, "super", "hold/export", form, stamp.at_us)
    export = root.write(_access("export", form.ground, held.reads, held.number, -1), stamp, signed)
    (stored, *_) = department.front.vault.stored(held.access)
    cover, why = department.desk.covered(export), "its person made no proof for it, and logged on too long"
    with contextlib.nullcontext() if opens else pytest.raises(DeskRefusal, match=why):
        department.front.door.open_held(cover, held.access, stored.log_id, [stored.row])


def test_an_export_begun_in_time_is_carried_on_for_as_long_as_any_access(department: Department) -> None:
    """Within the hour of its entry, for just what the entry names."""
    form, root = export_of(department), Root(department)
    token = browser(department, "super")
    key, stamp = read_token(token).key, root.stamp("super", digest_of(token))
    assert key is not None
    held = department.desk.book.holds.placed[form.hold].note
    assert isinstance(held, HoldPlaced)
    signed = sign_call(key, department.desk.log.log_id, "super", "hold/export", form, stamp.at_us)
    export = root.write(_access("export", form.ground, held.reads, held.number, -1), stamp, signed)
    (stored, *_) = department.front.vault.stored(held.access)
    cover = department.desk.covered(export)
    for minutes in (14, 30, 15):
        department.clock.step(minutes * MINUTE_US)
        assert department.front.door.open_held(cover, held.access, stored.log_id, [stored.row])
    department.clock.step(2 * MINUTE_US)
    with pytest.raises(DeskRefusal, match="more than an hour old"):
        department.front.door.open_held(cover, held.access, stored.log_id, [stored.row])


def test_a_code_typed_once_exports_once(department: Department) -> None:
    """Root names the code's proof, long after and a second time."""
    form, root = export_of(department), Root(department)
    token = browser(department, "super")
    department.prove("super", token, "hold/export", form)
    (proof,) = department.desk.log.entries(kinds=(FreshProof.KIND,))
    department.call("hold/export", token, form)
    proven = f"password and code, entry {proof.sequence}"
    demand_named(department, root, token, form, proven, "the proof was used before")


@pytest.mark.parametrize("signed", [True, False], ids=["for-another-call", "by-nothing"])
def test_a_proof_by_code_that_root_writes_proves_nothing(department: Department, *, signed: bool) -> None:
    form, root = export_of(department), Root(department)
    token = browser(department, "super")
    department.prove("super", token, "user/passkey-options", NothingForm())
    (made,) = department.desk.log.entries(kinds=(FreshProof.KIND,))
    assert isinstance(made.note, FreshProof)
    use = proof_of("hold/export", form_bytes(form))
    forged = replace(made.note, use=use.use, form=use.form)
    forged = forged if signed else replace(forged, certificate=b"", once=0)
    department.clock.step(15 * MINUTE_US)
    proof = root.write(forged, root.stamp("super", digest_of(token)))
    proven = f"password and code, entry {proof}"
    demand_named(department, root, token, form, proven, "super made no proof for it")
    assert any(f"entry {proof}:" in one for one in problems(department))


def by_another_call(_department: Department, proof: FreshProof) -> FreshProof:
    return replace(proof, use="hold/export", form=hashlib.sha256(b"another form").digest())


def by_no_answer(_department: Department, proof: FreshProof) -> FreshProof:
    return replace(proof, response="")


def by_another_nonce(_department: Department, proof: FreshProof) -> FreshProof:
    return replace(proof, nonce=bytes(16))


@pytest.mark.parametrize(
    "forge", [by_another_call, by_no_answer, by_another_nonce], ids=lambda one: one.__name__
)
def test_a_proof_that_root_writes_itself_opens_nothing_and_is_named(
    department: Department, forge: Callable[[Department, FreshProof], FreshProof]
) -> None:
    """Root has the session's key and an answer of the authenticator, to another call."""
    form, twin, root = export_of(department), registered(department, "super"), Root(department)
    token = browser(department, "super")
    made = department.desk.logons.prove_passkey(token, twin.get(asked(department, token)))
    assert isinstance(made.note, FreshProof)
    key = read_token(token).key
    assert key is not None
    assert problems(department) == ()
    stamp = root.stamp("super", digest_of(token))
    proof = root.write(forge(department, made.note), stamp)
    held = department.desk.book.holds.placed[form.hold].note
    assert isinstance(held, HoldPlaced)
    access = _access("export", form.ground, held.reads, held.number, -1)
    signed = sign_call(key, department.desk.log.log_id, "super", "hold/export", form, stamp.at_us)
    export = root.write(access, replace(stamp, proven=f"passkey, entry {proof}"), signed)
    front = department.front
    (first, *_) = front.vault.stored(held.access)
    with pytest.raises(DeskRefusal, match="the passkey was asked for another call"):
        front.door.open_held(department.desk.covered(export), held.access, first.log_id, [first.row])
    named = problems(department)
    assert any(f"entry {proof}:" in one for one in named)
    assert any(f"entry {export}:" in one and "asked for another call" in one for one in named)


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


# which calls ----------------------------------------------------------------------------------------------


def test_every_call_that_takes_content_away_asks_for_a_proof() -> None:
    takes = {name for name, actions in ACTIONS.items() if actions & {"hold", "export", "delivery"}}
    grants = {name for name in OPERATIONS if name.startswith("grant/")} - {"grant/list", "grant/revoke"}
    assert takes | grants <= DEMANDING <= set(PROVEN_CALLS) <= set(OPERATIONS)


def test_a_covert_entry_asks_for_a_proof_and_so_does_the_yes_to_it(department: Department) -> None:
    chief, deputy = browser(department, "chief"), browser(department, "deputy")
    form = LocalForm(
        plate="7ABC123",
        category="stolen-vehicle",
        case="26-001234",
        reason="surveillance of a warehouse",
        until_us=department.clock.us + DAY_US,
        recipients=("disp1",),
    )
    proposed = department.call("hotlist/add", chief, replace(form, propose=True))
    yes = {"proposal": proposed.proposal, "reason": "known to me"}  # type: ignore[attr-defined]
    decide = OPERATIONS["change/approve"].form
    with pytest.raises(FreshProofError):
        department.call("change/approve", deputy, decide(granted=True, **yes))
    department.prove("deputy", deputy, "change/approve", decide(granted=True, **yes))
    department.call("change/approve", deputy, decide(granted=True, **yes))
    agreed = replace(form, approval=yes["proposal"])
    with pytest.raises(FreshProofError):
        department.call("hotlist/add", chief, agreed)
    assert not any(one.plate == "7ABC123" for one in department.front.list_entries("local"))
    department.prove("chief", chief, "hotlist/add", agreed)
    department.call("hotlist/add", chief, agreed)
    assert [one.recipients for one in department.front.list_entries("local")] == [("disp1",)]


def test_an_open_session_alone_takes_no_unit_out_of_service(department: Department) -> None:
    token, form = browser(department, "chief"), RevokeUnitForm(unit="car-7", reason="stolen from the yard")
    names = [one.name for one in department.front.state.units(department.clock.us)]
    assert "car-7" in names
    with pytest.raises(FreshProofError):
        department.call("unit/revoke", token, form)
    assert [one.name for one in department.front.state.units(department.clock.us)] == names
    department.prove("chief", token, "unit/revoke", form)
    department.call("unit/revoke", token, form)
    assert "car-7" not in [one.name for one in department.front.state.units(department.clock.us)]


def test_what_is_refused_anyway_asks_for_no_proof(department: Department) -> None:
    token = browser(department, "super")
    with pytest.raises(DeskRefusal) as refused:
        department.call("hold/export", token, ExportForm(hold=99, medium="USB 1", ground=GROUND))
    assert refused.value.code == "no-hold"


# over HTTP ------------------------------------------------------------------------------------------------


def test_over_http_the_refusal_names_the_proof_and_the_proof_opens_the_call(
    department: Department, client: httpx.Client
) -> None:
    form = to_json(export_of(department))
    department.clock.step(31_000_000)
    asked = {"user": "super", "password": PASSWORD, "code": department.code("super")}
    token = client.post("/desk/session/logon", json=asked).json()["token"]
    headers = {"authorization": f"Bearer {token}"}
    refused = client.post("/desk/hold/export", json=form, headers=headers)
    assert refused.status_code == 401
    assert refused.json()["type"] == "urn:alpr-reader:problem:fresh-proof"
    assert "insufficient_user_authentication" in refused.headers["www-authenticate"]
    department.clock.step(31_000_000)
    proof = {"password": PASSWORD, "code": department.code("super")}
    proven = client.post("/desk/session/prove", json=proof, headers=headers)
    assert (proven.status_code, proven.json()["how"]) == (200, "code")
    assert client.post("/desk/session/prove", json=proof, headers=headers).status_code == 401
    assert client.post("/desk/hold/export", json=form, headers=headers).status_code == 200
    assert client.post("/desk/session/prove", json=proof).status_code == 401
    assert client.post("/desk/session/prove-passkey", json={}, headers=headers).status_code == 422
