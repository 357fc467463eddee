"""A dispatcher's commands at a remote desk: over HTTPS with a token, without access to the home."""

from __future__ import annotations

import io
import shlex
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from desk_forms import forms
from desk_root import problems
from desk_server import serving
from desk_twins import COURSE, GROUND, HOUR_US, PASSWORD, Department
from starlette.applications import Starlette

from storage.times import iso_text
from sync.department.cli import PROGRAM, main
from sync.department.commands import client as clients
from sync.department.commands.client import RemoteDesk, read_answer
from sync.department.commands.desk_access import proving
from sync.department.desk.api import routes
from sync.department.desk.inquiry.forms import Answer, NothingForm, RunForm
from sync.department.desk.operations import OPERATIONS
from sync.department.desk.people.passkeys import Options
from sync.department.ground.person_key import read_token
from sync.department.journal.inquiry_entries import Access
from sync.department.journal.marking import watching
from sync.department.journal.statements import offering, sign_call
from sync.department.policy.refusals import (
    DeskRefusal,
    FormError,
    FreshProofError,
    LockedError,
    NotProvenError,
    NotYetError,
)
from sync.department.policy.roles import Role
from sync.errors import InvalidInputError, KeyServiceAwayError, KeyServiceError, LinkError, StoreAwayError
from tests.test_odd_command_lines import verbs

Tokens = Callable[[str], str]


@pytest.fixture
def url(department: Department) -> Iterator[str]:
    with serving(Starlette(routes=routes(department.front))) as client:
        yield str(client.base_url)


def session(department: Department, url: str, user: str, *, proves: bool = True) -> RemoteDesk:
    department.clock.step(31_000_000)
    desk = RemoteDesk(url)
    assert desk.logon(user, PASSWORD, department.code(user), proves=proves).user == user
    return desk


def test_a_command_asks_for_the_fresh_proof_and_the_password_stays_here(
    department: Department, url: str
) -> None:
    with session(department, url, "super", proves=False) as desk:
        asked: list[str] = []

        def prove(name: str, form: object, password: str, code: str) -> object:
            asked.append(password)
            return desk.prove(name, form, password, code)

        with pytest.raises(FreshProofError):
            desk.call("user/passkey-options", NothingForm())
        department.clock.step(31_000_000)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DEPARTMENT_PASSWORD", PASSWORD)
            patch.setenv("DEPARTMENT_CODE", department.code("super"))
            call = proving(desk.call, prove)
            assert isinstance(call("user/passkey-options", NothingForm()), Options)
            assert isinstance(call("user/passkey-options", NothingForm()), Options)
        assert asked == [PASSWORD]


def test_a_search_over_the_wire_is_the_search_at_the_desk(department: Department, url: str) -> None:
    with session(department, url, "comm1") as desk:
        form = RunForm(query=department.plate("8XYZ123"), ground=GROUND)
        answer = desk.call("inquiry/run", form)
        assert isinstance(answer, Answer)
        assert (answer.count, {one.plate for one in answer.reads}) == (3, {"8XYZ123"})
        assert answer.reads[0].position is not None
        (row,) = desk.call("inquiry/mine", NothingForm())
        assert (row.entry, row.username) == (answer.access, "comm1")
        desk.logoff()
        with pytest.raises(NotProvenError):
            desk.call("inquiry/mine", NothingForm())


def test_every_call_answers_or_refuses_over_the_wire_as_it_does_here(
    department: Department, url: str, tokens: Tokens
) -> None:
    """So the client knows every form, answer and refusal in the table."""
    compared = 0
    with session(department, url, "super") as desk:
        for name, form in forms(department).items():
            try:
                answer: object = type(desk.call(name, form))
            except DeskRefusal as refused:
                answer = (type(refused), refused.code, refused.clause)
            try:
                here: object = type(OPERATIONS[name].run(department.front, tokens("super"), form))
            except DeskRefusal as refused:
                here = (type(refused), refused.code, refused.clause)
            if not isinstance(answer, tuple) and isinstance(here, tuple):
                assert here[1] in DONE_ONCE, name
            else:
                assert answer == here, name
            compared += 1
    assert compared == len(OPERATIONS)


def test_refusals_keep_their_kind_code_clause_and_cure(department: Department, url: str) -> None:
    with session(department, url, "comm1") as desk:
        bad = RunForm(query=department.plate("8XYZ123"), ground=replace(GROUND, purpose="curiosity"))
        with pytest.raises(FormError) as refused:
            desk.call("inquiry/run", bad)
        assert (refused.value.code, refused.value.clause) == ("purpose", "463.2")
        assert "investigation" in refused.value.cure
        wide = RunForm(query=department.plate("8XYZ*"), ground=GROUND)
        with pytest.raises(NotYetError):
            desk.call("inquiry/run", wide)
        department.clock.step(31 * 60_000_000)
        with pytest.raises(LockedError):
            desk.call("inquiry/mine", NothingForm())
        desk.unlock(PASSWORD, department.code("comm1"))
        assert desk.call("inquiry/mine", NothingForm()) == ()


def test_an_answer_that_no_witness_saw_is_marked_here_too(department: Department, url: str) -> None:
    with session(department, url, "comm1") as desk:
        department.witness.away = True
        with watching() as mark:
            desk.call("inquiry/mine", NothingForm())
        assert mark.unwitnessed


@pytest.mark.parametrize(
    "url",
    [
        "",
        "desk.example",
        "http://desk.example:8464",
        "ftp://desk.example",
        "https://",
        "https://x/path",
        "file:///x",
    ],
)
def test_an_invalid_address_and_one_that_would_send_a_token_in_clear_are_refused(url: str) -> None:
    with pytest.raises(InvalidInputError):
        RemoteDesk(url, "token")


def test_a_desk_that_does_not_answer_or_answers_nonsense_is_reported_in_one_line(url: str) -> None:
    with RemoteDesk("http://127.0.0.1:1") as away, pytest.raises(LinkError, match="does not answer"):
        away.logon("comm1", PASSWORD, "123456")
    wrong: tuple[Any, ...] = ({"entry": "x"}, {"entry": 1, "more": 2}, [], 7, None)
    for value in wrong:
        with pytest.raises(LinkError):
            read_answer(Answer, value)


def test_a_search_that_the_key_service_did_not_answer_is_one_entry_however_often_it_is_sent(
    department: Department, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second entry with the same signature would open nothing, and `verify` would name it forever."""

    def away(*_asked: object) -> None:
        raise KeyServiceError("no answer: ConnectError", where="key service")

    form, log = RunForm(query=department.plate("8XYZ123"), ground=GROUND), department.desk.log
    with session(department, url, "comm1") as desk, monkeypatch.context() as broken:
        broken.setattr(department.front.door, "tokens", away)
        with pytest.raises(LinkError, match="key service: no answer: ConnectError"):
            desk.call("inquiry/run", form)
    entries = [one for one in log.entries() if isinstance(one.note, Access)]
    token = department.logon("comm1")
    given = read_token(token)
    assert given.key is not None
    statement = sign_call(given.key, log.log_id, "comm1", "inquiry/run", form, department.clock.us)
    codes = []
    for restarted in (False, False, True):
        if restarted:
            department.desk.read_again()
        with monkeypatch.context() as broken, offering(statement):
            broken.setattr(department.front.door, "tokens", away)
            with pytest.raises((KeyServiceError, DeskRefusal)) as stopped:
                department.call("inquiry/run", token, form)
        codes.append(getattr(stopped.value, "code", ""))
    assert codes == ["", "sent-before", "sent-before"]
    assert len([one for one in log.entries() if isinstance(one.note, Access)]) == len(entries) + 1 == 2
    answer = department.call("inquiry/run", token, form)  # made again, this is another call
    assert isinstance(answer, Answer)
    assert problems(department) == ()


@pytest.mark.thorough_rows(every=3)
@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (
            KeyServiceAwayError("no answer", where="key service https://k:1", cure="compare keys.remote"),
            ("key service https://k:1: no answer", "compare keys.remote", "send it again"),
        ),
        (
            StoreAwayError("cannot be read", where="database db.internal", cure="is the database running?"),
            ("the department's database does not answer", "is the database running?"),
        ),
    ],
    ids=["key service", "database"],
)
@pytest.mark.parametrize(
    "words",
    [
        ("inquiry", "queue"),
        ("inquiry", "answer", "41"),
        ("retention", "list"),
        ("audit", "run"),
        ("incident", "list"),
    ],
    ids=" ".join,
)
def test_what_the_desk_lacks_ends_every_command_with_status_3_and_what_to_do(
    department: Department,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    kind: Exception,
    said: tuple[str, ...],
    words: tuple[str, ...],
) -> None:
    """Status 1 means that a check found something wrong."""
    monkeypatch.setenv(clients.URL, url)
    with session(department, url, "super") as desk:
        monkeypatch.setenv(clients.TOKEN, desk._token.text())

        def away(*_asked: object) -> None:
            raise kind

        monkeypatch.setattr("sync.department.desk.operations.Operation.run", away)
        status = main(list(words))
    line = capsys.readouterr().err.splitlines()[-1]
    assert (status, [one for one in said if one not in line]) == (3, []), line
    assert "db.internal" not in line


def test_the_environment_names_the_desk(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.delenv(clients.URL, raising=False)
    assert not clients.configured()
    monkeypatch.setenv(clients.URL, url)
    monkeypatch.setenv(clients.TOKEN, "not a token")
    assert clients.configured()
    with RemoteDesk.of_environment() as desk, pytest.raises(NotProvenError):
        desk.call("inquiry/mine", NothingForm())
    monkeypatch.setenv(clients.CA, "/nonexistent/ca.pem")
    with pytest.raises(InvalidInputError):
        RemoteDesk.of_environment()


def test_accounts_and_training_are_set_at_the_server_without_its_home(
    department: Department,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """`user set` keeps what is not given; `training record` adds the policy in force."""
    monkeypatch.setenv("DEPARTMENT_HOME", str(tmp_path / "out of reach"))
    monkeypatch.setenv(clients.URL, url)

    def typed(user: str, *words: str) -> int:
        with session(department, url, user) as desk:
            monkeypatch.setenv(clients.TOKEN, desk._token.text())
        status = main(list(words))
        said = capsys.readouterr()
        assert status in {0, 1}, said.err
        return status

    assert typed("chief", "user", "set", "vendor1", "--shift", "08:00-16:00", "--why", "moved") == 0
    account = department.desk.book.roster.accounts["vendor1"]
    assert (account.name, account.roles, account.reason) == ("Vendor1", (Role.VENDOR,), "moved")
    assert account.shift is not None
    assert typed("chief", "user", "set", "vendor1", "--why", "again") == 0
    assert department.desk.book.roster.accounts["vendor1"].shift == account.shift
    held = iso_text(department.clock.us - HOUR_US, to="second")
    words = ("training", "record", "comm1", "--trainer", "super", "--course", COURSE, "--held", held)
    assert typed("super", *words) == 0
    done = department.desk.book.trainings.newest["comm1"]
    assert (done.trainer, done.policy_version) == ("super", department.desk.policy.version)
    assert typed("comm1", "user", "set", "vendor1", "--why", "mine") == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("user", "set", "o1", "--roles", "king", "--why", "x"), "one of sworn-officer, dispatcher"),
        (("init", "--host", "https://alpr.example.gov:8463"), "only the name"),
        (("init", "--host", "localhost", "--name", "P" * 101), "1 to 100 printable characters"),
        (("init", "--host", "two words"), "is not a host name or address"),
        (("init", "--host", "-x.example"), "is not a host name or address"),
        (("init", "--host", ""), "is not a host name or address"),
    ],
)
def test_what_is_neither_a_role_nor_a_host_is_misuse_and_leaves_nothing(
    words: tuple[str, ...],
    says: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("DEPARTMENT_HOME", str(tmp_path / "home"))
    assert main(list(words)) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "home").exists()


AT_THE_MACHINE = {  # ceremonies, services, and commands that read the machine's files
    ("init",), ("serve",), ("verify",), ("purge",), ("health",), ("controls",), ("clauses",), ("api",),
    ("user", "first"), ("incident", "examine"), ("incident", "import"), ("move",),
}  # fmt: skip
DONE_ONCE = {  # can be done only once
    "no-access", "known-user", "second-person", "disputed", "proposed", "recorded", "on-list",
}  # fmt: skip


def commands_elsewhere() -> list[tuple[tuple[str, ...], str]]:
    """Yield (words, example) for each command that a person types at their own laptop."""
    found = [(words, verb.example) for words, verb in verbs(PROGRAM) if words not in AT_THE_MACHINE]
    return [(words, example) for words, example in found if words[0] not in {"keys", "witness"}]


def test_no_command_of_a_person_asks_for_the_home_where_the_desk_is_elsewhere(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    away = tmp_path / "out of reach"
    for name, value in {
        "DEPARTMENT_HOME": str(away), clients.URL: "http://127.0.0.1:1", clients.TOKEN: "",
        "DEPARTMENT_PASSWORD": PASSWORD, "DEPARTMENT_CODE": "123456", "DEPARTMENT_NEW_PASSWORD": PASSWORD,
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    asked = 0
    for words, example in commands_elsewhere():
        line = [one for one in shlex.split(example.splitlines()[0])[1:] if not one.startswith("/srv/")]
        line = [one for one in line if one != "--home"]
        for before, name in pairwise(["", *line]):
            if "." in name and "/" not in name and "out" not in before:
                Path(name).write_bytes(b"x")
        main(line)
        said = capsys.readouterr().err
        assert str(away) not in said, words
        asked += "does not answer" in said
    assert asked > 80
    for line in (["health"], ["enroll", "--list"], ["verify"]):  # these must not found another home
        assert main(line) == 2
        said = capsys.readouterr().err
        assert ("own machine: run it there" in said, "init" in said) == (True, False)
