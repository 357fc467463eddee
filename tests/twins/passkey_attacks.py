"""What an attacker may send in place of a passkey's answer, whatever the answer is for."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

from desk_twins import Department
from passkey_twin import PasskeyTwin, b64

from storage.times import MINUTE_US
from sync.department.desk.inquiry.forms import NothingForm
from sync.department.desk.people.passkeys import Options, PasskeyForm

Begin = Callable[[], str]  # asks the desk for a challenge; its options as JSON
Attack = Callable[[Department, PasskeyTwin, Begin], str]


def registered(department: Department, user: str) -> PasskeyTwin:
    """A passkey of that person."""
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
