"""A stranger on the vehicle's network cannot lock officers out or fill the log or the memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from car_page import UNIT, Car
from hypothesis import given
from hypothesis import strategies as st

from firmware.alerts import sessions
from firmware.alerts.logon_guard import REMEMBERED, LogonGuard
from firmware.alerts.sessions import NAME_LENGTH, subject_of
from firmware.custody.asking import proof_of
from storage import access, codec
from storage.audit_records import UnitAccess
from storage.errors import RefusedError
from storage.roster import password_verifier
from storage.times import MINUTE_US
from sync.logon_pace import A_MINUTE, BURST
from sync.networks import network_of

PASSWORD = "correct horse battery 7"  # noqa: S105


def request(user: str = "demo-officer", role: str = "sworn-officer") -> access.Request:
    return access.Request(
        action="alerts",
        user=user,
        role=role,
        purpose="alerts",
        case_number="",
        subject=subject_of(UNIT),
    )


def body(asked: access.Request, proof: access.Proof | None) -> dict[str, Any]:
    plain: dict[str, Any] = {"request": codec.to_plain(asked)}
    return plain | ({} if proof is None else {"proof": codec.to_plain(proof)})


def refused(car: Car, asked: access.Request, proof: access.Proof | None, address: str = "10.0.0.9") -> str:
    with pytest.raises(RefusedError) as error:
        car.sessions.log_on(body(asked, proof), address)
    return error.value.what


def by_key(car: Car) -> access.Proof:
    return proof_of(car.ledger.store.home.root, request(), None, car.sessions.challenge())


def by_password(car: Car, password: str) -> access.Proof:
    nonce = bytes(car.sessions.challenge()["nonce"])
    return access.Proof(nonce=nonce, signature=None, password=password)


def entries(car: Car, before: int) -> list[UnitAccess]:
    records = [car.ledger.store.record(number) for number in range(before, car.ledger.store.log.size())]
    return [one for one in records if isinstance(one, UnitAccess)]


def test_logons_without_a_proof_cost_an_officer_nothing(car: Car) -> None:
    for address in ("10.0.0.9", "10.0.0.10"):
        for _ in range(12):
            assert "does not prove" in refused(car, request(), None, address)
    assert car.sessions.log_on(body(request(), by_key(car)), "10.0.0.9")


@pytest.mark.one_python
def test_wrong_passwords_lock_the_name_for_their_address_alone_and_never_the_key(car: Car) -> None:
    roster = car.ledger.standing.roster
    given = password_verifier(PASSWORD, bytes(range(16)))
    people = tuple(
        replace(one, password=given) if one.user == "demo-officer" else one for one in roster.people
    )
    car.ledger.standing.roster = replace(roster, people=people)
    for _ in range(5):
        assert "does not prove" in refused(car, request(), by_password(car, "guess"))
    assert "locked" in refused(car, request(), by_password(car, PASSWORD))
    assert car.sessions.log_on(body(request(), by_password(car, PASSWORD)), "10.0.0.10")
    assert car.sessions.log_on(body(request(), by_key(car)), "10.0.0.9")
    car.time.run(16 * MINUTE_US)
    assert car.sessions.log_on(body(request(), by_password(car, PASSWORD)), "10.0.0.9")


@pytest.mark.one_python
def test_before_the_roster_came_a_bad_credential_gets_no_answer_and_no_lockout(car: Car) -> None:
    roster = car.ledger.standing.roster
    given = password_verifier(PASSWORD, bytes(range(16)))
    car.ledger.standing.roster = replace(roster, people=())
    for _ in range(6):
        assert "roster is not on this unit yet" in refused(car, request(), by_password(car, PASSWORD))
    people = tuple(replace(one, password=given) for one in roster.people)
    car.ledger.standing.roster = replace(roster, people=people)
    assert car.sessions.log_on(body(request(), by_password(car, PASSWORD)), "10.0.0.9")


def test_a_flood_of_refusals_is_one_entry_a_minute_and_name_with_their_number(car: Car) -> None:
    before = car.ledger.store.log.size()
    for number in range(40):
        refused(car, request(user=f"{number}" * 60, role="\x1b[2J" + "y" * 190), None, f"10.0.1.{number}")
        refused(car, request(), None, f"10.0.2.{number}")
    first = entries(car, before)
    assert [(one.allowed, one.user) for one in first] == [(False, "0" * 60), (False, "demo-officer")]
    assert first[0].role == ""
    car.time.run(MINUTE_US)
    assert car.sessions.log_on(body(request(), by_key(car)), "10.0.0.1")
    late = entries(car, before)[2:]
    assert [one.elements.partition(",")[2].strip() for one in late] == ["39 refused", "39 refused", ""]
    assert all(len(one.user) <= NAME_LENGTH for one in late)
    assert late[-1].allowed


def entered(car: Car, user: str, role: str) -> str:
    """Log in a minute later. Returns the new session."""
    asked = request(user, role)
    proof = proof_of(car.ledger.store.home.root, asked, None, car.sessions.challenge())
    token = car.sessions.redeem(car.sessions.log_on(body(asked, proof), "10.0.0.1"))
    car.time.run(MINUTE_US)
    return token


def lasting(car: Car, tokens: list[str]) -> list[bool]:
    lasts = []
    for token in tokens:
        try:
            car.sessions.find(token)
        except RefusedError:
            lasts.append(False)
        else:
            lasts.append(True)
    return lasts


def test_who_logs_on_again_and_again_ends_their_own_sessions_and_no_other(car: Car) -> None:
    colleague = entered(car, "demo-supervisor", "ccat-supervisor")
    own = [entered(car, "demo-officer", "sworn-officer") for _ in range(3)]
    assert lasting(car, own[:1]) == [True]  # an open page
    own += [entered(car, "demo-officer", "sworn-officer") for _ in range(2)]
    assert lasting(car, own) == [True, False, False, True, True]
    assert lasting(car, [colleague]) == [True]


def test_the_session_longest_unused_gives_its_place_where_the_unit_holds_no_more(
    car: Car, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "MOST_SESSIONS", 3)
    first = [entered(car, "demo-officer", "sworn-officer") for _ in range(2)]
    first.append(entered(car, "demo-supervisor", "ccat-supervisor"))
    assert lasting(car, first[:1]) == [True]
    late = entered(car, "demo-supervisor", "ccat-supervisor")
    assert lasting(car, [*first, late]) == [True, False, True, True]


def test_an_address_has_a_pace_and_an_officer_at_another_one_does_not_wait(car: Car) -> None:
    for _ in range(BURST):
        assert "does not prove" in refused(car, request("nobody"), None, "fe80::1%wlan0")
    assert "too many logins" in refused(car, request("nobody"), None, "fe80::2")
    assert car.sessions.log_on(body(request(), by_key(car)), "10.0.0.1")
    car.time.run(MINUTE_US // A_MINUTE + 1)
    assert "does not prove" in refused(car, request("nobody"), None, "fe80::3")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("10.0.0.1", "10.0.0.2", False),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("fe80::1%eth0", "fe80::2%wlan0", True),
        ("", "", True),
    ],
)
def test_a_host_is_an_ipv4_address_or_the_first_half_of_an_ipv6_one(one: str, other: str, same: bool) -> None:
    assert (network_of(one) == network_of(other)) is same


def test_what_is_remembered_of_strangers_is_bounded() -> None:
    guard = LogonGuard()
    for number in range(REMEMBERED + 50):
        address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        guard.demand_pace(address, number)
        guard.note_wrong_password(address, "demo-officer", number)
    assert len(guard._pace._left) == len(guard._wrong) == REMEMBERED


@given(ages=st.lists(st.integers(0, 4 * MINUTE_US), max_size=12))
def test_a_challenge_is_good_once_within_two_minutes_and_leaves_nothing_behind(ages: list[int]) -> None:
    nonces, now_us = access.Nonces(), 10 * MINUTE_US
    for age_us in ages:
        nonce = nonces.give(now_us - age_us)
        fresh = age_us < access.NONCE_US - 1000
        assert nonces.is_fresh(nonce, now_us) is fresh or access.NONCE_US - 1000 <= age_us < access.NONCE_US
        assert not nonces.is_fresh(nonce[:-1] + bytes([nonce[-1] ^ 1]), now_us)
        assert not nonces.is_fresh(nonce[:15], now_us)
        assert not access.Nonces().is_fresh(nonce, now_us)
        if nonces.take(nonce, now_us):
            assert not nonces.take(nonce, now_us)
    assert len(nonces._used) <= len(ages)
    nonces.use(b"new", now_us + access.NONCE_US)
    assert len(nonces._used) == 1


def test_a_challenge_from_the_future_is_refused() -> None:
    nonces = access.Nonces()
    assert not nonces.is_fresh(nonces.give(10 * MINUTE_US), 9 * MINUTE_US)
