"""The keys with which people sign: a session's key stays on its machine, and no account is told by its
logon."""

from __future__ import annotations

from typing import Any

import pytest
from desk_root import PLATE, problems
from desk_server import serving
from desk_twins import GROUND, PASSWORD, Department
from starlette.applications import Starlette

from sync.department.commands.client import RemoteDesk
from sync.department.desk.api import routes
from sync.department.desk.inquiry.forms import RunForm
from sync.department.desk.people.calls import CredentialForm, HandedOver
from sync.department.ground.person_key import read_token, secret_of
from sync.department.journal.entries import AccountSet, CredentialSet
from sync.department.journal.person_entries import PersonKeySet
from sync.department.policy.refusals import NotProvenError, NotYetError
from sync.department.policy.roles import Role


def test_the_sessions_key_never_goes_to_a_desk_elsewhere(
    department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What root at the server sees of a command: no password, no key, a signature of this call alone."""
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
        with RemoteDesk(str(server.base_url), secret_of(token)) as bare:  # what root sees opens nothing
            with pytest.raises(NotYetError) as refused:
                bare.call("inquiry/run", RunForm(query=department.plate(PLATE), ground=GROUND))
            assert refused.value.code == "unsigned"


def test_a_first_password_is_not_sent_unless_it_is_said_to_be_one(department: Department) -> None:
    """A server that answers no to every key does not get the password that way."""
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


def test_who_has_no_key_is_not_told_apart(department: Department) -> None:
    desk = department.desk
    first, again = desk.logons.begin("nobody-here"), desk.logons.begin("nobody-here")
    assert (first.salt, first.scheme) == (again.salt, again.scheme)
    assert desk.logons.begin("somebody-else").salt != first.salt
    assert desk.logons.begin("comm1").scheme == first.scheme
    assert len(desk.logons.begin("comm1").salt) == len(first.salt)


def test_an_account_from_before_there_were_keys_gets_one_at_its_logon(department: Department) -> None:
    """An older log has credentials and no keys: the first logon enters one, and the reviewer sees it."""
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
    assert [bool(one.signed) for one in made] == [True, True, False]  # the last one: their own password
    assert problems(department) == ()
