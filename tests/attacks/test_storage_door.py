"""Requests without purpose, training, role or proof are refused, and are in the log."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from custody_twins import PLATE, Department, Reopen, SteppedTime, add_reads, ask_signed, check, query_body
from flipped import flip

from storage import access, codec, search, ssh_signature
from storage.audit import AuditLine, UnitAuditFilter, as_csv, read_lines
from storage.audit_records import UnitAccess, UnitAccessEnded
from storage.door import Door, audit_subject, hold_subject, subject_of
from storage.errors import RefusedError, StorageError
from storage.ledger import Ledger
from storage.policy import TRAINING_TOPICS, CustodyPolicy
from storage.roster import Roster, RosterPerson, password_verifier
from storage.ssh_signature import SshPublicKey
from storage.standing import POLICY, ROSTER
from storage.times import DAY_US

EVERYTHING = UnitAuditFilter(since_us=0, until_us=1 << 62, user=None, purpose=None, plate=None)


def entries(ledger: Ledger) -> list[AuditLine]:
    return read_lines(ledger.store, EVERYTHING)


def change_person(ledger: Ledger, user: str, **changes: object) -> None:
    roster = ledger.standing.roster
    people = tuple(replace(one, **changes) if one.user == user else one for one in roster.people)  # type: ignore[arg-type]
    ledger.standing.roster = replace(roster, people=people)


def test_a_look_up_is_in_the_log_before_its_answer(ledger: Ledger, door: Door, time: SteppedTime) -> None:
    sequence = add_reads(ledger, time, 1)[0]
    answer = door.answer("query", query_body(door, ledger))
    assert [one["text"] for one in answer["reads"]] == [PLATE]
    entry, result = ledger.store.record(answer["entry"]), ledger.store.record(answer["entry"] + 1)
    assert isinstance(entry, UnitAccess)
    assert isinstance(result, UnitAccessEnded)
    assert (entry.user, entry.purpose, entry.case_number) == (
        "demo-supervisor",
        "investigation",
        "26-0815",
    )
    assert f"plate={PLATE}" in entry.elements
    assert entry.demo
    assert result.records == (sequence,)


@pytest.mark.parametrize("purpose", ["5", "Crime Analysis", " CRIME_analysis "])
def test_the_log_has_a_purpose_by_its_id_however_it_was_typed(
    ledger: Ledger, door: Door, time: SteppedTime, purpose: str
) -> None:
    add_reads(ledger, time, 1)
    entry = ledger.store.record(door.answer("query", query_body(door, ledger, purpose=purpose))["entry"])
    assert isinstance(entry, UnitAccess)
    assert entry.purpose == "crime-analysis"


def test_a_look_up_whose_entry_cannot_be_written_is_not_answered(
    ledger: Ledger, door: Door, time: SteppedTime
) -> None:
    add_reads(ledger, time, 1)
    body = query_body(door, ledger)
    ledger.store.db.conn.execute(
        "CREATE TEMP TRIGGER no BEFORE INSERT ON main.leaves BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    with pytest.raises(sqlite3.IntegrityError, match=r"^no$"):
        door.answer("query", body)
    ledger.store.db.conn.execute("DROP TRIGGER no")


@pytest.mark.parametrize(
    ("changes", "clause"),
    [
        pytest.param({"purpose": ""}, "463.2", id="without a purpose"),
        pytest.param({"purpose": "curiosity"}, "463.2", id="for a purpose that is not in 463.2"),
        pytest.param({"case_number": " "}, "463.5 (a)", id="without a case"),
        pytest.param({"user": "demo-officer", "role": "sworn-officer"}, "463.5 (c)", id="as an officer"),
        pytest.param({"user": "demo-analyst", "role": "ccat"}, "463.5 (c)", id="as an analyst"),
        pytest.param({"user": "demo-vendor", "role": "vendor"}, "463.3", id="as a vendor"),
        pytest.param({"user": "demo-admin", "role": "administrator"}, "463.5 (c)", id="as the administrator"),
        pytest.param({"user": "demo-officer", "role": "ccat-supervisor"}, "463.3", id="in another's role"),
        pytest.param({"user": "nobody"}, "463.3", id="as a user who is not on the roster"),
    ],
)
def test_a_look_up_without_the_right_is_refused_with_its_clause_and_logged(
    ledger: Ledger, door: Door, time: SteppedTime, changes: dict[str, str], clause: str
) -> None:
    add_reads(ledger, time, 1)
    with pytest.raises(RefusedError) as refusal:
        door.answer("query", query_body(door, ledger, **changes))
    assert refusal.value.clause == clause
    [line] = entries(ledger)
    assert line.outcome.startswith("refused: " + clause)
    assert line.shown is None


def test_expired_or_partial_training_and_revocation_refuse(
    ledger: Ledger, door: Door, time: SteppedTime
) -> None:
    add_reads(ledger, time, 1)
    user = "demo-supervisor"
    trained_us = time.now().us - 365 * DAY_US - 1
    for change, clause in (
        ({"trained_us": trained_us}, "463.9"),
        ({"topics": ("equipment",)}, "463.9"),
        ({"trained_us": time.now().us + DAY_US}, "463.9"),
        ({"revoked": True}, "463.3"),
    ):
        before = ledger.standing.roster
        change_person(ledger, user, **change)
        with pytest.raises(RefusedError) as refusal:
            door.answer("query", query_body(door, ledger))
        assert refusal.value.clause == clause
        ledger.standing.roster = before


def break_proof(how: str) -> Callable[[dict[str, Any], Door, Ledger], dict[str, Any]]:
    def change(body: dict[str, Any], door: Door, ledger: Ledger) -> dict[str, Any]:
        proof = dict(body["proof"])
        if how == "none":
            return body | {"proof": None}
        if how == "flipped":
            proof["signature"] = flip(proof["signature"])
        if how == "another's":
            proof = query_body(door, ledger, user="demo-dispatcher", role="communications")["proof"]
        if how == "another request's":
            proof = query_body(door, ledger, plate="ABC123")["proof"]
        if how == "invented nonce":
            proof["nonce"] = bytes(16)
        if how == "empty password":
            proof = {"nonce": proof["nonce"], "signature": None, "password": ""}
        return body | {"proof": proof}

    return change


@pytest.mark.parametrize(
    "how", ["none", "flipped", "another's", "another request's", "invented nonce", "empty password"]
)
def test_a_typed_name_without_its_credential_is_refused(
    ledger: Ledger, door: Door, time: SteppedTime, how: str
) -> None:
    add_reads(ledger, time, 1)
    body = break_proof(how)(query_body(door, ledger), door, ledger)
    with pytest.raises(RefusedError, match="does not prove"):
        door.answer("query", body)
    assert entries(ledger)[-1].outcome.startswith("refused")


def test_a_proof_serves_once_and_not_after_two_minutes(ledger: Ledger, door: Door, time: SteppedTime) -> None:
    add_reads(ledger, time, 1)
    body = query_body(door, ledger)
    door.answer("query", body)
    with pytest.raises(RefusedError):
        door.answer("query", body)
    body = query_body(door, ledger)
    time.run(121_000_000)
    with pytest.raises(RefusedError):
        door.answer("query", body)


def test_what_is_searched_is_what_was_signed(ledger: Ledger, door: Door, time: SteppedTime) -> None:
    add_reads(ledger, time, 1)
    body = query_body(door, ledger, plate="ABC123")
    wider = search.UnitQuery(plate=None, since_us=0, until_us=(1 << 62) - 1)
    with pytest.raises(RefusedError, match="something else"):
        door.answer("query", body | {"query": codec.to_plain(wider)})
    assert subject_of(wider).startswith("any plate")
    with pytest.raises(RefusedError, match="something else"):
        door.answer("query", query_body(door, ledger) | {"images": True})
    assert [line.outcome[:7] for line in entries(ledger)] == ["refused", "refused"]


def test_five_failed_logons_lock_out_for_fifteen_minutes_even_the_right_key(
    ledger: Ledger, door: Door, time: SteppedTime
) -> None:
    add_reads(ledger, time, 1)
    for _ in range(5):
        with pytest.raises(RefusedError, match="does not prove"):
            door.answer("query", query_body(door, ledger) | {"proof": None})
    with pytest.raises(RefusedError, match="locked: five"):
        door.answer("query", query_body(door, ledger))
    time.run(16 * 60 * 1_000_000)
    assert door.answer("query", query_body(door, ledger))["reads"]


def test_a_password_proves_as_well(ledger: Ledger, door: Door, time: SteppedTime) -> None:
    add_reads(ledger, time, 1)
    change_person(ledger, "demo-supervisor", password=password_verifier("a long one"), ssh_keys=())
    body = query_body(door, ledger)
    nonce = body["proof"]["nonce"]
    right = {"nonce": nonce, "signature": None, "password": "a long one"}
    assert door.answer("query", body | {"proof": right})["reads"]
    wrong = right | {"nonce": door.answer("challenge", {})["nonce"], "password": "another one"}
    with pytest.raises(RefusedError):
        door.answer("query", body | {"proof": wrong})


def test_a_hold_on_another_ground_is_refused_and_changes_nothing(
    ledger: Ledger, door: Door, time: SteppedTime
) -> None:
    sequence = add_reads(ledger, time, 1)[0]
    order = ((sequence,), "curiosity", "Court", "1")
    body = ask_signed(door, ledger, "demo-admin", "administrator", "hold", hold_subject(*order))
    fields = {"records": [sequence], "ground": order[1], "authority": order[2], "number": order[3]}
    with pytest.raises(RefusedError, match="grounds"):
        door.answer("hold", body | fields)
    assert not ledger.store.book.resealed
    assert entries(ledger)[-1].outcome.startswith("refused: 463.8")


def test_the_access_log_is_filtered_by_user_and_plate_and_leaves_as_the_rms_form(
    ledger: Ledger, door: Door, time: SteppedTime
) -> None:
    add_reads(ledger, time, 1)
    door.answer("query", query_body(door, ledger))
    door.answer(
        "query", query_body(door, ledger, plate="ABC123", user="demo-dispatcher", role="communications")
    )
    wanted = replace(EVERYTHING, plate="7xkr 219")
    body = ask_signed(
        door, ledger, "demo-reviewer", "reviewer", "audit", f"access log {audit_subject(wanted)}"
    )
    answer = door.answer("audit", body | {"filter": codec.to_plain(wanted)})
    lines = [codec.from_plain(AuditLine, one) for one in answer["lines"]]
    assert [line.user for line in lines] == ["demo-supervisor"]
    assert lines[0].shown == 1
    text = as_csv(lines)
    for word in ("ALPR Request", f"plate={PLATE}", "demo-supervisor", "investigation", "demo", "26-0815"):
        assert word in text
    assert [one.user for one in read_lines(ledger.store, replace(EVERYTHING, user="demo-dispatcher"))] == [
        "demo-dispatcher"
    ]
    assert [one.user for one in read_lines(ledger.store, replace(EVERYTHING, purpose="crime-analysis"))] == []
    assert [one.user for one in read_lines(ledger.store, replace(EVERYTHING, until_us=1))] == []
    door.answer("query", query_body(door, ledger, plate="7X?R21?"))
    searched = read_lines(ledger.store, replace(EVERYTHING, plate=PLATE))
    assert [one.action for one in searched] == ["query", "audit", "query"]
    assert entries(ledger)[-2].action == "audit"  # the audit is an entry too


def test_an_unreadable_slot_matches_and_says_so(ledger: Ledger, door: Door, time: SteppedTime) -> None:
    add_reads(ledger, time, 1, text="7XK?219")
    add_reads(ledger, time, 1, text="7XKR218")
    answer = door.answer("query", query_body(door, ledger))
    assert [(one["text"], one["exact"]) for one in answer["reads"]] == [("7XK?219", False)]
    both = door.answer("query", query_body(door, ledger, plate="7XKR21?"))
    assert len(both["reads"]) == 2


def test_the_log_with_all_its_accesses_verifies(ledger: Ledger, door: Door, time: SteppedTime) -> None:
    add_reads(ledger, time, 2)
    door.answer("query", query_body(door, ledger))
    assert check(ledger.store.home.root, ledger.store.slot).ok


# -- an enrolled unit, its roster synced -------------------------------------------------------------


class Officer:
    """A supervisor of an enrolled unit's department, with her own key."""

    def __init__(self, trained_us: int) -> None:
        self.key = Ed25519PrivateKey.generate()
        self.person = RosterPerson(
            user="r.diaz",
            roles=("ccat-supervisor",),
            organisation="Monrovia PD",
            ssh_keys=(SshPublicKey.of(self.key).blob,),
            password=None,
            trained_us=trained_us,
            topics=TRAINING_TOPICS,
            trainer="c.lee",
            revoked=False,
        )

    def ask(self, door: Door) -> dict[str, Any]:
        query = search.UnitQuery(plate=PLATE, since_us=0, until_us=(1 << 62) - 1)
        request = access.Request(
            action="query",
            user="r.diaz",
            role="ccat-supervisor",
            purpose="investigation",
            case_number="26-0815",
            subject=subject_of(query),
        )
        given = door.answer("challenge", {})
        message = access.challenge(given["log_id"], given["nonce"], request)
        signature = ssh_signature.sign(message, self.key, namespace=access.NAMESPACE)
        proof = access.Proof(nonce=given["nonce"], signature=signature, password=None)
        body = {"request": codec.to_plain(request), "proof": codec.to_plain(proof)}
        return door.answer("query", body | {"query": codec.to_plain(query)})


def test_an_enrolled_unit_answers_only_where_the_signed_policy_switches_look_ups_on(
    ledger: Ledger, door: Door, time: SteppedTime
) -> None:
    department, officer = Department(), Officer(time.now().us)
    department.enroll(ledger)
    department.send(ledger, ROSTER, Roster(version=1, demo=False, people=(officer.person,)))
    add_reads(ledger, time, 1)
    for asks in (officer, Officer(time.now().us)):  # the same answer, whatever their key
        with pytest.raises(RefusedError, match="answer no lookup itself") as refusal:
            asks.ask(door)
        assert refusal.value.clause == "463.5 (c)"
        assert "department inquiry run" in refusal.value.cure
    assert entries(ledger)[-1].outcome.startswith("refused: 463.5 (c)")
    department.send(ledger, POLICY, CustodyPolicy(version=2, organisation="Monrovia PD", local_query=True))
    assert ledger.status().local_query
    answer = officer.ask(door)
    assert [one["text"] for one in answer["reads"]] == [PLATE]
    assert not answer["demo"]
    assert (entries(ledger)[-1].organisation, entries(ledger)[-1].demo) == ("Monrovia PD", False)


def test_training_that_ran_out_and_revocation_come_with_the_synced_roster(
    ledger: Ledger, door: Door, time: SteppedTime, reopen: Reopen
) -> None:
    department, officer = Department(), Officer(time.now().us)
    department.enroll(ledger, local_query=True)
    department.send(ledger, ROSTER, Roster(version=1, demo=False, people=(officer.person,)))
    add_reads(ledger, time, 1)
    assert officer.ask(door)["reads"]
    for _ in range(365):
        time.run(DAY_US)
        ledger.store.time.now()
    with pytest.raises(RefusedError, match="training is not current"):
        officer.ask(door)
    trained = replace(officer.person, trained_us=time.now().us)
    department.send(ledger, ROSTER, Roster(version=2, demo=False, people=(trained,)))
    officer.ask(door)
    revoked = replace(trained, revoked=True)
    department.send(ledger, ROSTER, Roster(version=3, demo=False, people=(revoked,)))
    with pytest.raises(StorageError, match="not newer"):
        department.send(ledger, ROSTER, Roster(version=2, demo=False, people=(trained,)))
    ledger.close()
    with pytest.raises(RefusedError, match="revoked"):
        officer.ask(Door(reopen(), boot=time.boot))
