"""The keys with which people sign: a session's key stays on its machine, and logins reveal no account."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from desk_root import PLATE, problems
from desk_server import serving
from desk_twins import GROUND, PASSWORD, Department
from starlette.applications import Starlette

from sync.department.commands.client import RemoteDesk
from sync.department.desk.api import routes
from sync.department.desk.inquiry.forms import RunForm
from sync.department.desk.people import keys
from sync.department.desk.people.calls import CredentialForm, HandedOver
from sync.department.desk.people.passkeys import begin_passkey
from sync.department.desk.people.rules import one_time_password
from sync.department.ground.person_key import derive_key, new_salt, read_token, secret_of
from sync.department.journal.entries import AccountSet, CredentialSet
from sync.department.journal.passkeys import PasskeySet
from sync.department.journal.person_entries import PersonKeySet
from sync.department.policy.policy_file import policy_digest
from sync.department.policy.refusals import NotProvenError, NotYetError
from sync.department.policy.roles import Role
from sync.department.server.open_desk import adopt_root


def test_the_sessions_key_never_goes_to_a_desk_elsewhere(
    department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root at the server sees no password and no key of a command, only a signature of this call."""
    sent: list[tuple[str, dict[str, str], bytes]] = []
    with serving(Starlette(routes=routes(department.front))) as server:
        department.clock.step(31_000_000)
        with RemoteDesk(str(server.base_url)) as desk:
            made = desk._client.post

            def noted(url: str, **values: Any) -> Any:
                answer = made(url, **values)
                sent.append((url, dict(values["headers"]), answer.request.content))
                return answer

            monkeypatch.setattr(desk._client, "post", noted)
            token = desk.logon("comm1", PASSWORD, department.code("comm1")).token
            answer = desk.call("inquiry/run", RunForm(query=department.plate(PLATE), ground=GROUND))
        assert answer.count == 3
        with RemoteDesk(str(server.base_url), token) as again:  # DEPARTMENT_TOKEN of the next command
            assert again.call("inquiry/run", RunForm(query=department.plate(PLATE), ground=GROUND)).count == 3
        seed = token.removeprefix(secret_of(token))
        assert len(seed) > 80
        for _, headers, body in sent:
            assert PASSWORD.encode() not in body
            assert seed[1:20] not in " ".join(headers.values())
        assert problems(department) == ()
        with RemoteDesk(str(server.base_url), secret_of(token)) as bare:  # what root sees cannot sign
            with pytest.raises(NotYetError) as refused:
                bare.call("inquiry/run", RunForm(query=department.plate(PLATE), ground=GROUND))
            assert refused.value.code == "unsigned"


def test_a_first_password_is_not_sent_unless_it_is_said_to_be_one(department: Department) -> None:
    """Otherwise a server that denies every key would get the password."""
    chief = department.logon("chief")
    given = department.two_hands("user/credential", chief, CredentialForm(user="comm1", reason="lost phone"))
    assert isinstance(given, HandedOver)
    from desk_twins import secret_of as totp_of

    department.secrets["comm1"] = (given.password, totp_of(given))
    app = Starlette(routes=routes(department.front))
    with serving(app) as server, RemoteDesk(str(server.base_url)) as desk:
        department.clock.step(31_000_000)
        with pytest.raises(NotProvenError):
            desk.logon("comm1", given.password, department.code("comm1"))
        department.clock.step(31_000_000)
        made = desk.logon("comm1", given.password, department.code("comm1"), send_password=True)
        assert made.must_change == "first-password"


def test_a_person_without_a_key_looks_like_any_other(department: Department) -> None:
    desk = department.desk
    first, again = desk.logons.begin("nobody-here"), desk.logons.begin("nobody-here")
    assert (first.salt, first.scheme) == (again.salt, again.scheme)
    assert desk.logons.begin("somebody-else").salt != first.salt
    assert desk.logons.begin("comm1").scheme == first.scheme
    assert len(desk.logons.begin("comm1").salt) == len(first.salt)


NAMES = [f"nobody-{number}" for number in range(60)]


def test_no_scheme_reveals_who_has_an_account_after_the_cost_changed(department: Department) -> None:
    desk = department.desk
    text = desk.policy_document.decode().replace("version = 2\n", "version = 3\n", 1)
    document = text.replace("argon2_passes = 2", "argon2_passes = 3").encode()
    root = department.new_root(policy_version=3, policy_digest=policy_digest(document))
    adopt_root(department.home, desk, root, document)
    users = sorted(desk.book.signers.keys)

    def schemes(names: list[str]) -> set[str]:
        return {desk.logons.begin(one).scheme for one in names}

    assert schemes(NAMES) == schemes(users)
    assert "t=2" in "".join(schemes(users))
    before = {one: desk.logons.begin(one).salt for one in NAMES}
    department.renew_password("comm1")
    assert schemes(NAMES) == schemes(users)
    assert len(schemes(users)) == 2
    changed = [one for one in NAMES if desk.logons.begin(one).salt != before[one]]
    assert 0 < len(changed) < len(NAMES) / 2  # as one person's salt did
    assert {desk.logons.begin(one).scheme for one in changed} == {desk.logons.begin("comm1").scheme}
    with pytest.raises(NotProvenError):
        desk.logons.logon("nobody-1", PASSWORD, "000000")


def test_a_wrong_name_costs_what_an_account_costs(
    department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unknown name's password is hashed with the costs of existing accounts, not of today's policy."""
    asked = []

    def noted(password: str, salt: bytes, scheme: str, **names: Any) -> Any:
        asked.append(scheme)
        return derive_key(password, salt, scheme, **names)

    monkeypatch.setattr(keys, "derive_key", noted)
    for name in ("nobody-1", "comm1"):
        with pytest.raises(NotProvenError):
            department.desk.logons.logon(name, PASSWORD + "x", "000000")
    assert len(asked) == 2
    assert asked[0] == asked[1] == department.desk.logons.begin("comm1").scheme


def test_no_list_of_passkeys_reveals_who_has_one(department: Department) -> None:
    desk = department.desk

    def lengths(user: str) -> tuple[int, ...]:
        options = json.loads(begin_passkey(desk, user))
        return tuple(len(one["id"]) for one in options["allowCredentials"])

    without = lengths("comm1")
    assert {lengths(one) for one in NAMES} == {without}
    key = PasskeySet(
        user="comm1", name="key", credential_id=bytes(64), public_key=b"", rp_id="", origin="", active=True
    )
    desk.book.signers.passkeys["comm1"] = (key, replace(key, credential_id=bytes(20)))
    assert {lengths(one) for one in NAMES} == {lengths("comm1"), without}
    assert begin_passkey(desk, NAMES[0]) != begin_passkey(desk, NAMES[1])


def test_an_account_from_before_there_were_keys_gets_one_at_its_logon(department: Department) -> None:
    """An older log has credentials without keys: the first login enters one, and the reviewer sees it."""
    desk = department.desk
    desk.book.signers.keys.clear()  # the state of a log that never had a key
    desk.book.signers.ever.clear()
    token = department.logon("comm1")
    note = desk.log.entry(desk.log.size() - 2).note
    assert isinstance(note, PersonKeySet)
    assert (note.user, note.proof) == ("comm1", b"")
    assert desk.book.signers.keys["comm1"] == note
    assert read_token(token).key is not None


def test_a_change_of_the_roster_is_signed_by_who_made_it(department: Department) -> None:
    chief = department.logon("chief")
    department.add_person(chief, "officer2", (Role.OFFICER,))
    entries = department.desk.log.entries(kinds=(AccountSet.KIND, CredentialSet.KIND))
    made = [one for one in entries if getattr(one.note, "user", "") == "officer2"]
    assert [bool(one.signed) for one in made] == [True, True, False]  # the last: their own password
    assert problems(department) == ()


def test_salts_and_first_passwords_are_never_twice_the_same() -> None:
    """As the program draws them: for the time of a test, the functions that call these draw in turn."""
    assert len({new_salt() for _ in range(100)} | {one_time_password() for _ in range(100)}) == 200
