"""The rules of the door, each alone: who is refused, under which clause, and where the limit is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from storage import access, ssh_signature
from storage.access import NONCE_US, Nonces, Proof, Request
from storage.errors import RefusedError
from storage.policy import TRAINING_TOPICS, CustodyPolicy
from storage.roster import Roster, RosterPerson, password_verifier
from storage.ssh_signature import SshPublicKey
from storage.times import DAY_US

NOW_US = 1_780_000_000_000_000
KEY, OLD_KEY = (Ed25519PrivateKey.from_private_bytes(bytes([at]) * 32) for at in (1, 2))
PERSON = RosterPerson(
    user="r.diaz", roles=("ccat-supervisor", "administrator", "vendor"), organisation="Monrovia PD",
    ssh_keys=(SshPublicKey.of(OLD_KEY).blob, SshPublicKey.of(KEY).blob), password=None,
    trained_us=NOW_US, topics=TRAINING_TOPICS, trainer="c.lee", revoked=False,
)  # fmt: skip
QUERY = Request(
    action="query", user="r.diaz", role="ccat-supervisor", purpose="investigation", case_number="26-0815",
    subject="any plate",
)  # fmt: skip
POLICY = CustodyPolicy(local_query=True)
AUDIT = {"action": "audit", "purpose": "", "case_number": ""}
HOLDER = {"role": "administrator"}
YEAR_US = 365 * DAY_US


def ask(request_: dict[str, str], policy: dict[str, Any], person: dict[str, Any], *, enrolled: bool) -> None:
    """Run a unit's checks in order."""
    asked, terms = replace(QUERY, **request_), replace(POLICY, **policy)
    access.demand_here(asked, terms, enrolled=enrolled)
    access.permit(replace(PERSON, **person), asked, terms, now_us=NOW_US)


@pytest.mark.parametrize(
    ("request_", "policy", "person", "enrolled"),
    [
        pytest.param({}, {}, {}, True, id="a lookup that the policy switched on"),
        pytest.param({}, {"local_query": False}, {}, False, id="a lookup on a unit of no department"),
        pytest.param(AUDIT, {"local_query": False}, {}, True, id="the access log, always"),
        pytest.param(HOLDER | {"action": "hold"}, {}, {}, True, id="a hold"),
        pytest.param(HOLDER | {"action": "release"}, {}, {}, True, id="a release"),
        pytest.param(HOLDER | {"action": "export"}, {}, {}, True, id="an export"),
        pytest.param(
            {}, {}, {"trained_us": NOW_US - YEAR_US + 1}, True, id="the last moment of the training"
        ),
        pytest.param({}, {}, {"topics": (*TRAINING_TOPICS, "first-aid")}, True, id="more topics than asked"),
        pytest.param({}, {"training_days": 30}, {}, True, id="a shorter year of training"),
    ],
)
def test_what_a_proven_person_may_do(
    request_: dict[str, str], policy: dict[str, Any], person: dict[str, Any], enrolled: bool
) -> None:
    ask(request_, policy, person, enrolled=enrolled)


@pytest.mark.parametrize(
    ("request_", "policy", "person", "error", "clause"),
    [
        ({}, {}, {"revoked": True}, "access was revoked", "463.3"),
        ({"role": "ccat"}, {}, {}, "gives this user no role 'ccat'", "463.3"),
        ({"role": "chief"}, {}, {"roles": ("chief",)}, "gives this user no role 'chief'", "463.3"),
        ({"role": "vendor"}, {"inquiry_roles": ("vendor",)}, {}, "maintenance and repair only", "463.3"),
        ({}, {"local_query": False}, {}, "lets it answer no lookup itself", "463.5 (c)"),
        (HOLDER, {}, {}, "'administrator' may not query; ccat-supervisor, communications may", "463.5 (c)"),
        ({"action": "audit"}, {"audit_roles": ("reviewer",)}, {}, "may not audit; reviewer may", "463.5 (c)"),
        ({"action": "hold"}, {"hold_roles": ("administrator",)}, {}, "not hold; administrator may", "463.8"),
        ({"action": "release"}, {"hold_roles": ("designee",)}, {}, "not release; designee may", "463.8"),
        ({"action": "export"}, {"hold_roles": ("designee",)}, {}, "not export; designee may", "463.8"),
        ({"action": "plan"}, {}, {}, "may not plan;  may", "463.3"),
        ({}, {}, {"topics": TRAINING_TOPICS[1:]}, "does not cover every topic", "463.9"),
        (AUDIT, {}, {"topics": ()}, "does not cover every topic", "463.9"),
        ({}, {}, {"trained_us": NOW_US - YEAR_US}, "training is not current", "463.9"),
        ({}, {}, {"trained_us": NOW_US + 1}, "this unit's clock is before its date", "463.9"),
        (AUDIT, {}, {"trained_us": NOW_US + 1}, "training is not current", "463.9"),
        ({}, {"training_days": 30}, {"trained_us": NOW_US - 30 * DAY_US}, "is not current", "463.9"),
        ({"purpose": ""}, {}, {}, "needs a purpose: one of investigation, wanted-person, ", "463.2"),
        ({"case_number": "0"}, {}, {}, "needs a basis with its number", "463.5 .a."),
        ({"case_number": "investigation"}, {}, {}, "needs a basis with its number", "463.5 .a."),
        (HOLDER | {"action": "hold", "case_number": ""}, {}, {}, "needs a basis", "463.5 .a."),
    ],
)
def test_what_a_proven_person_is_refused(
    request_: dict[str, str], policy: dict[str, Any], person: dict[str, Any], error: str, clause: str
) -> None:
    with pytest.raises(RefusedError, match=error) as refused:
        ask(request_, policy, person, enrolled=True)
    assert refused.value.clause == clause.replace(".a.", "(a)")


@pytest.mark.parametrize(
    ("role", "person", "error"),
    [
        ("ccat-supervisor", {}, None),
        ("ccat-supervisor", {"trained_us": NOW_US + 1}, "training is not current"),
        ("ccat-supervisor", {"revoked": True}, "access was revoked"),
        ("dispatcher", {}, "gives this user no role"),
        ("administrator", {}, "'administrator' may not see alerts"),
        ("vendor", {}, "'vendor' may not see alerts"),
    ],
)
def test_who_may_work_on_alerts(role: str, person: dict[str, Any], error: str | None) -> None:
    def permit() -> None:
        access.permit_alerts(replace(PERSON, **person), role, POLICY, now_us=NOW_US)

    if error is None:
        permit()
    else:
        with pytest.raises(RefusedError, match=error):
            permit()


@pytest.mark.parametrize(
    ("ground", "authority", "number", "error"),
    [
        ("discovery", "Court", "1", None),
        ("curiosity", "Court", "1", "one of the grounds evidence-criminal, evidence-civil, "),
        ("discovery", " ", "1", "needs an authority and its number"),
        ("discovery", "Court", " ", "needs an authority and its number"),
    ],
)
def test_a_hold_has_a_ground_an_authority_and_its_number(
    ground: str, authority: str, number: str, error: str | None
) -> None:
    if error is None:
        access.demand_ground(POLICY, ground, authority, number)
    else:
        with pytest.raises(RefusedError, match=error):
            access.demand_ground(POLICY, ground, authority, number)


def typed(password: str | None) -> Proof:
    return Proof(nonce=b"nonce", signature=None, password=password)


def signed(key: Ed25519PrivateKey, request: Request = QUERY, *, log_id: bytes = b"log") -> Proof:
    message = access.challenge(log_id, b"nonce", request)
    signature = ssh_signature.sign(message, key, namespace=access.NAMESPACE)
    return Proof(nonce=b"nonce", signature=signature, password=None)


@pytest.mark.thorough_rows
@pytest.mark.parametrize(
    ("proof", "user", "fresh", "locked", "error"),
    [
        pytest.param(signed(KEY), "r.diaz", True, False, None, id="her second key"),
        pytest.param(signed(OLD_KEY), "r.diaz", True, False, None, id="her first key"),
        pytest.param(typed("a long one"), "p", True, False, None, id="a password"),
        pytest.param(typed("another"), "p", True, False, "see the roster", id="another password"),
        pytest.param(signed(KEY), "r.diaz", True, True, "locked: five", id="locked"),
        pytest.param(signed(KEY), "r.diaz", False, False, "give a credential", id="a used challenge"),
        pytest.param(None, "r.diaz", True, False, "give a credential", id="nothing"),
        pytest.param(signed(KEY), "nobody", True, False, "see the roster", id="an unknown user"),
        pytest.param(signed(KEY, log_id=b"x"), "r.diaz", True, False, "see the roster", id="another unit's"),
        pytest.param(signed(KEY), "p", True, False, "see the roster", id="a key of another user"),
        pytest.param(typed(None), "r.diaz", True, False, "see the roster", id="an empty proof"),
    ],
)
def test_a_person_is_proven_by_her_own_credential_alone(
    proof: Proof | None, user: str, fresh: bool, locked: bool, error: str | None
) -> None:
    other = replace(PERSON, user="p", ssh_keys=(), password=password_verifier("a long one"))
    roster = Roster(version=1, demo=False, people=(PERSON, other))
    asked = replace(QUERY, user=user)
    if error is None:
        person = access.prove(roster, asked, proof, log_id=b"log", fresh=fresh, locked=locked)
        assert person.user == user
        return
    with pytest.raises(RefusedError) as refused:
        access.prove(roster, asked, proof, log_id=b"log", fresh=fresh, locked=locked)
    assert error in f"{refused.value.what} {refused.value.cure}"


def test_no_two_challenges_of_one_millisecond_are_the_same() -> None:
    """Otherwise, of two officers at the same moment, the second would seem to replay the first's."""
    nonces = Nonces()
    assert len({nonces.give(1_000_000) for _ in range(5000)}) == 5000


def test_a_challenge_is_fresh_for_two_minutes_here_and_once() -> None:
    nonces, given_us = Nonces(), 1_000_000
    nonce = nonces.give(given_us)
    assert not nonces.is_fresh(nonce, given_us - 1)
    assert not Nonces().is_fresh(nonce, given_us)
    assert not nonces.is_fresh(nonce[:15], given_us)
    assert not nonces.is_fresh(nonce + b"\0", given_us)
    assert not nonces.is_fresh(bytes([nonce[0] ^ 1]) + nonce[1:], given_us)
    assert not nonces.is_fresh(nonce, given_us + NONCE_US)
    assert nonces.is_fresh(nonce, given_us + NONCE_US - 1)
    assert nonces.take(nonce, given_us + 5)
    assert not nonces.take(nonce, given_us + 6)
    other = nonces.give(given_us + NONCE_US - 2)
    assert nonces.take(other, given_us + NONCE_US)  # only older used challenges are forgotten
    assert not nonces.take(nonce, given_us + NONCE_US - 1)


@pytest.mark.parametrize(
    ("typed", "role"),
    [
        ("Officer", "sworn-officer"),
        (" SUPERVISOR ", "ccat-supervisor"),
        ("CCAT Supervisor", "ccat-supervisor"),
        ("sworn_officer", "sworn-officer"),
        ("analyst", "ccat"),
        ("chief", "chief"),
    ],
)
def test_a_role_is_understood_in_plain_words(typed: str, role: str) -> None:
    assert access.normal_role(typed) == role
