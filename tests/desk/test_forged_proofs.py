"""Root has the key of a session, and opens nothing by entries that it writes, backdates or repeats."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from desk_root import Root, problems
from desk_twins import MINUTE_US, Department
from passkey_attacks import registered
from proof_twins import asked, browser, export_of

from sync.department.desk.holds.calls import ExportForm, _access
from sync.department.desk.inquiry.forms import NothingForm
from sync.department.desk.sessions import digest_of
from sync.department.ground.person_key import read_token
from sync.department.journal.hold_entries import HoldPlaced
from sync.department.journal.passkeys import proof_of
from sync.department.journal.person_entries import FreshProof
from sync.department.journal.statements import form_bytes, sign_call
from sync.department.policy.refusals import DeskRefusal


@pytest.mark.parametrize("minutes", [0, 61])
def test_an_authenticators_answer_proves_one_time(department: Department, minutes: int) -> None:
    """Root enters the same answer again, but it does not permit a second call."""
    form, twin, root = export_of(department), registered(department, "super"), Root(department)
    token = browser(department, "super")
    made = department.desk.logons.prove_passkey(token, twin.get(asked(department, token, form)))
    department.call("hold/export", token, form)
    department.clock.step(minutes * MINUTE_US)
    again = root.write(made.note, root.stamp("super", digest_of(token)))
    demand_named(department, root, token, form, f"passkey, entry {again}", "asked for another call")
    assert any(f"entry {again}:" in one and "made before" in one for one in problems(department))


def demand_named(
    department: Department, root: Root, token: str, form: ExportForm, proven: str, why: str
) -> None:
    """Assert that root's export with the session's key opens nothing, and that `verify` names it."""
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
    """Root has the key of a browser's session and waits until its person is away. A form that claims only to
    propose does not turn the act into a proposal.
    """
    form, root = replace(export_of(department), propose=propose), Root(department)
    token = browser(department, "super")
    department.clock.step(15 * MINUTE_US)
    demand_named(department, root, token, form, "", "super made no proof for it")


@pytest.mark.parametrize(("late_us", "opens"), [(25 * MINUTE_US, True), (25 * MINUTE_US + 1, False)])
def test_an_export_that_root_dates_back_to_the_logon_opens_nothing(
    department: Department, late_us: int, *, opens: bool
) -> None:
    """The key service uses its own clock and allows the department's to differ by ten minutes."""
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
    cover, why = department.desk.covered(export), "its person made no proof for it, and logged in too long"
    with contextlib.nullcontext() if opens else pytest.raises(DeskRefusal, match=why):
        department.front.door.open_held(cover, held.access, stored.log_id, [stored.row])


def test_an_export_begun_in_time_is_carried_on_for_as_long_as_any_access(department: Department) -> None:
    """Within an hour of its entry, and only for what the entry names."""
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
    """Root names the code's proof much later, and a second time."""
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
    """Root has the session's key and the authenticator's answer for another call."""
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
