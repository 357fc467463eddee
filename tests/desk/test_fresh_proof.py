"""Fresh proofs: an open session alone exports nothing; what counts as a proof, for which call, how long."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import httpx
import pytest
from desk_twins import DAY_US, GROUND, MINUTE_US, PASSWORD, Department
from proof_twins import browser, demand_once, demand_refused, export_of

from sync.department.desk.documents.local import LocalForm
from sync.department.desk.holds.calls import ExportForm
from sync.department.desk.inquiry.forms import NothingForm
from sync.department.desk.json_forms import to_json
from sync.department.desk.machine.unit_calls import RevokeUnitForm
from sync.department.desk.operations import OPERATIONS
from sync.department.desk.people.challenges import Challenges
from sync.department.desk.proofs import PROVEN_CALLS
from sync.department.journal.inquiry_entries import Access
from sync.department.journal.passkeys import ProvenUse
from sync.department.journal.person_entries import FreshProof
from sync.department.journal.proven_uses import DEMANDING
from sync.department.journal.signed_forms import ACTIONS
from sync.department.policy.refusals import (
    DeskRefusal,
    FormError,
    FreshProofError,
    LockedError,
    NotProvenError,
)

Prove = Callable[[Department, str], None]


def test_a_stolen_session_alone_cannot_export(department: Department) -> None:
    form = export_of(department)
    token = browser(department, "super")
    demand_refused(department, token, form)
    department.searched(token, department.reads[:1])  # a search needs no proof
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


def test_a_locked_session_takes_no_proof_and_its_unlock_does_not_count_as_one(department: Department) -> None:
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


def test_a_code_proves_the_call_that_asked_and_no_other(department: Department) -> None:
    """A thief with the session waits until its person types a code for another call."""
    form = export_of(department)
    token = browser(department, "super")
    department.prove("super", token, "user/passkey-options", NothingForm())
    demand_refused(department, token, form)
    department.prove("super", token, "hold/export", form)
    demand_once(department, token, form)


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


def test_an_older_command_is_named_and_locks_no_one_out(department: Department) -> None:
    """It signs its session, but a call's challenge is required."""
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
