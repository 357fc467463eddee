"""What an attacker may send in place of a passkey's answer, for any purpose."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import cbor2
from desk_twins import Department
from passkey_twin import PasskeyTwin, b64

from storage.times import MINUTE_US
from sync.department.desk.inquiry.forms import NothingForm
from sync.department.desk.people.passkeys import Options, PasskeyForm
from sync.department.journal.passkeys import PasskeySet, is_registered_by

Begin = Callable[[], str]  # asks the desk for a challenge; returns its options as JSON
Attack = Callable[[Department, PasskeyTwin, Begin], str]


def registered(department: Department, user: str) -> PasskeyTwin:
    """Register a passkey for the person."""
    token = department.logon(user)
    asked = department.call("user/passkey-options", token, NothingForm())
    assert isinstance(asked, Options)
    twin = PasskeyTwin(department.desk.logons.site.origin)
    department.call("user/passkey", token, PasskeyForm(name="key ring", response=twin.create(asked.options)))
    return twin


def at_another_site(_department: Department, twin: PasskeyTwin, begin: Begin) -> str:
    return replace(twin, origin="https://alpr.example.evil").get(begin())


def without_its_users_pin(_department: Department, twin: PasskeyTwin, begin: Begin) -> str:
    return replace(twin, verifies=False).get(begin())


def for_a_challenge_of_its_own(_department: Department, twin: PasskeyTwin, begin: Begin) -> str:
    return twin.get(json.dumps(json.loads(begin()) | {"challenge": b64(bytes(32))}))


def six_minutes_later(department: Department, twin: PasskeyTwin, begin: Begin) -> str:
    answer = twin.get(begin())
    department.clock.step(6 * MINUTE_US)
    return answer


def with_a_signature_of_another_key(_department: Department, twin: PasskeyTwin, begin: Begin) -> str:
    return PasskeyTwin(twin.origin, credential_id=twin.credential_id).get(begin())


def of_another_persons_passkey(department: Department, _twin: PasskeyTwin, begin: Begin) -> str:
    return registered(department, "chief").get(begin())


ATTACKS: tuple[Attack, ...] = (
    at_another_site,
    without_its_users_pin,
    for_a_challenge_of_its_own,
    six_minutes_later,
    with_a_signature_of_another_key,
    of_another_persons_passkey,
)


def encoded_otherwise(known: PasskeySet) -> tuple[PasskeySet, PasskeyForm]:
    """The same key under another id, with the fields of its COSE key in another order, and a registration
    answer that fits it."""
    key = cbor2.dumps(dict(reversed(cbor2.loads(known.public_key).items())))
    assert key != known.public_key
    made = replace(known, user="comm1", credential_id=b"another id 12345", public_key=key)
    place = len(made.credential_id).to_bytes(2, "big") + made.credential_id + key
    attestation = b64(place)
    answer = json.dumps({"response": {"attestationObject": attestation}})
    assert is_registered_by(answer, made)
    return made, PasskeyForm(name="key ring", response=answer)
