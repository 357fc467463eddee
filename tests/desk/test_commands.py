"""The desk's `department` commands, as people type them, on a real home."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pyotp
import pytest
from desk_terminal import NEW, Terminal

from storage.times import MINUTE_US
from sync.command_frame import Common, Noun, Verb
from sync.department.cli import PROGRAM, main
from sync.department.commands import desk_access
from sync.department.desk.changes.calls import ShownProposal
from sync.department.desk.operations import OPERATIONS
from sync.department.desk.people import new_secrets
from sync.department.policy.clauses import clause_rows

GROUND = ["--purpose", "investigation", "--case", "26-001234", "--why", "hit and run on Myrtle Avenue"]


def _an_officers_request_is_answered(terminal: Terminal) -> None:
    officer = terminal.session("o1")
    asked = terminal.given("inquiry", "request", "--plate", "8XYZ999", *GROUND)["entry"]
    assert terminal.type("inquiry", "answer", str(asked))[0] == 1  # no answer yet
    terminal.session("comm1")
    status, out, _ = terminal.type("inquiry", "queue")
    assert status == 0
    for part in ("o1", "8XYZ999", "investigation", "case 26-001234", "hit and run on Myrtle Avenue"):
        assert part in out
    answered = terminal.given("inquiry", "run", "--request", str(asked))
    assert answered["count"] == 0
    assert terminal.type("inquiry", "queue")[1] == ""
    terminal.resume(officer)
    assert "0 results" in terminal.type("inquiry", "answer", str(asked))[1]
    status, out, _ = terminal.type("inquiry", "mine")
    assert (status, "o1" in out) == (0, True)


def test_a_new_authenticator_is_announced_before_the_new_password_is_asked(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = terminal.given("user", "first", "chief")
    terminal.keep(given, given["password"])
    monkeypatch.delenv("DEPARTMENT_NEW_PASSWORD", raising=False)
    terminal.session("chief")
    status, _, err = terminal.type("user", "password")  # no new password is typed: nothing changes
    assert (status, "another person made your authenticator" in err) == (2, True)
    assert err.index("shown once") < err.index("DEPARTMENT_NEW_PASSWORD")
    typed = iter(("password2607", "short", "correct horse 463"))  # refused, refused, accepted: in one session
    codes = 0

    def answer(prompt: str) -> str:
        nonlocal codes
        if prompt.startswith("new password"):
            return next(typed)
        codes += 1
        # the fourth is too late: another authenticator is shown, and its code requested
        monkeypatch.setattr(new_secrets, "WAITS_US", -1 if codes == 4 else 30 * MINUTE_US)
        if codes in {1, 5}:
            return terminal.type_new_code(prompt)
        return "000000" if codes == 3 else terminal.new_code()  # a good password with a wrong code

    monkeypatch.setattr("getpass.getpass", answer)
    terminal.given("user", "password")
    assert codes == 5
    assert terminal.renewed["totp_uri"] != given["totp_uri"]
    monkeypatch.setenv("DEPARTMENT_PASSWORD", "correct horse 463")
    monkeypatch.setenv("DEPARTMENT_CODE", terminal.new_code())
    monkeypatch.delenv("DEPARTMENT_TOKEN")
    monkeypatch.setenv("DEPARTMENT_NEW_PASSWORD", "password2607")
    status, _, err = terminal.type("user", "password", "--user", "chief")
    assert (status, "is a common password" in err) == (1, True)
    monkeypatch.setenv("DEPARTMENT_NEW_PASSWORD", "another horse 463")
    status, out, err = terminal.type("user", "password", "--user", "chief")  # the refused call used no code
    assert (status, err) == (0, "")
    assert "the authenticator is unchanged" in out


def test_what_is_refused_again_and_again_is_not_asked_for_endlessly(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that writes the same line forever cannot fill the log."""
    given = terminal.given("user", "first", "chief")
    terminal.keep(given, given["password"])
    terminal.session("chief")
    monkeypatch.delenv("DEPARTMENT_NEW_PASSWORD", raising=False)
    typed = iter(["password2607"] * 20)
    monkeypatch.setattr("getpass.getpass", lambda _prompt: next(typed))
    status, _, err = terminal.type("user", "password")
    assert (status, err.count("is a common password"), len(list(typed))) == (1, 5, 10)


@pytest.mark.one_python
def test_a_program_writes_the_code_of_a_new_authenticator_into_the_input(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No setting could hold the code: each call shows another authenticator."""

    def no_terminal(_prompt: str) -> str:
        raise EOFError

    class Program:
        answers = iter(("", "000000", "right"))

        def readline(self) -> str:
            line = next(self.answers)
            return f"{terminal.type_new_code('')}\n" if line == "right" else line

    given = terminal.given("user", "first", "chief")
    terminal.keep(given, given["password"])
    terminal.session("chief")
    monkeypatch.setenv("DEPARTMENT_NEW_PASSWORD", NEW)
    monkeypatch.setattr("getpass.getpass", no_terminal)
    monkeypatch.setattr("sys.stdin", Program())
    status, _, err = terminal.type("user", "password")
    assert (status, "standard input" in err) == (2, True)
    assert terminal.type("--json", "user", "password")[0] == 0


def test_a_proposal_is_shown_a_line_for_each_field_and_each_line_of_a_file(
    capsys: pytest.CaptureFixture[str],
) -> None:
    fields = (("body", "LIC,LIS\n7ABC123,CA\x1b[2J\n"), ("agency", ""))
    made = ShownProposal(proposal=-1, at_us=0, user="chief", call="c", summary="s", fields=fields)
    assert desk_access.Terminal(Common(Path()), None).show(made) == 0
    out = capsys.readouterr().out
    assert "proposal: -\n" in out
    assert out.endswith("fields:\n  body: LIC,LIS\n    7ABC123,CA\\x1b[2J\n  agency: -\n")


def test_from_an_empty_folder_to_a_witnessed_look_up(terminal: Terminal, tmp_path: Path) -> None:
    terminal.own_password(terminal.given("user", "first", "chief"))
    assert terminal.type("user", "first", "chief2")[0] == 2
    terminal.session("chief")
    for user, role in (
        ("super", "ccat-supervisor"),
        ("comm1", "communications"),
        ("o1", "sworn-officer"),
    ):
        why = ["--why", "hired"]
        assert terminal.type("user", "set", user, "--roles", role, "--shift", "08:00-16:00", *why)[0] == 0
        given = terminal.given("user", "credential", user, *why)
        terminal.keep(given, given["password"])
    course = ["--course", "ALPR-463"]
    assert terminal.type("training", "record", "super", "--trainer", "chief", *course)[0] == 0
    for user in ("super", "comm1", "o1"):
        terminal.own_password(
            {
                "user": user,
                "password": terminal.secrets[user][0],
                "totp_uri": pyotp.TOTP(terminal.secrets[user][1]).provisioning_uri(),
            }
        )
    terminal.session("super")
    for user in ("comm1", "o1"):
        assert json.loads(
            terminal.type("--json", "training", "record", user, "--trainer", "super", *course)[1]
        )
    terminal.session("comm1")
    search = ["inquiry", "run", "--plate", "7ABC123", *GROUND]
    status, _, err = terminal.type(*search)
    assert (status, "no witness" in err) == (1, True)

    folder = str(tmp_path / "witness")
    key = terminal.type("witness", "init", "--name", "attorney.example/w1", "--folder", folder)[1].strip()
    log_key = terminal.type("witness", "log-key")[1].strip()
    assert terminal.type("witness", "add-log", log_key, "--folder", folder)[0] == 0
    draft = str(tmp_path / "next.root")
    assert (
        terminal.type("keys", "draft", "--out", draft, "--witness", key, "--witness-url", f"folder:{folder}")[
            0
        ]
        == 0
    )
    assert terminal.signs(draft, str(terminal.home / "root-keys" / "spare.key"))
    assert terminal.type("keys", "adopt", draft)[0] == 1
    assert terminal.signs(draft, str(terminal.home / "root-keys" / "administrator.key"))
    assert terminal.type("keys", "adopt", draft)[0] == 0

    status, out, err = terminal.type(*search)
    assert (status, "0 results" in out) == (0, True), err
    assert terminal.type("inquiry", "run", "--plate", "7ABC*", *GROUND)[0] == 1
    assert (
        terminal.type("inquiry", "run", "--plate", "7ABC123", "--case", "26-001234", "--why", "x" * 12)[0]
        == 1
    )
    terminal.session("super")
    status, out, _ = terminal.type("audit", "list", "--csv")
    assert (status, out.count("ALPR Request")) == (0, 2)
    assert terminal.type("audit", "run")[0] == 1  # there is always a sample
    assert terminal.type("compliance")[0] == 1  # the administrator was never trained
    assert terminal.type("training", "record", "chief", "--trainer", "super", *course)[0] == 0
    status, out, _ = terminal.type("compliance")
    assert (status, out) == (0, "nothing is overdue\n")
    assert terminal.type("verify")[0] == 0

    copy, home_log = tmp_path / "copy", terminal.home / "desk"
    copy.mkdir()
    (copy / "access-log.sqlite").write_bytes((home_log / "access-log.sqlite").read_bytes())
    for rest in home_log.glob("access-log.sqlite-*"):
        (copy / rest.name).write_bytes(rest.read_bytes())
    stranger = ["verify", "--log", str(copy), "--key", log_key, "--witness-key", key]
    assert terminal.type(*stranger, "--witness-url", f"folder:{folder}")[0] == 0
    status, out, _ = terminal.type(*stranger, "--witness-url", "")
    assert (status, "WRONG" in out, "not checked: 0 of 1 witness gave" in out) == (3, False, True)
    assert "the access log verifies" not in out
    _an_officers_request_is_answered(terminal)
    _what_was_taken_out_of_the_home_is_missed(terminal)


def _what_was_taken_out_of_the_home_is_missed(terminal: Terminal) -> None:
    """A missing log would accuse no one; nor would a policy file that no office signed."""
    for name, words in (
        ("desk/access-log.sqlite", "the access log is not here, and this department had a desk: "),
        ("policy.toml", f"{terminal.home / 'policy.toml'}: the policy file is gone (restore it "),
    ):
        kept = (terminal.home / name).rename(terminal.home / "kept")
        status, out, _ = terminal.type("verify")
        kept.rename(terminal.home / name)
        assert (status, f"WRONG {words}" in out) == (1, True), out
    assert terminal.type("verify")[0] == 0


def test_init_makes_three_keys_and_says_where_each_goes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    assert main(["init", "--home", str(home)]) == 0
    said = capsys.readouterr().out
    for name, office in (
        ("administrator", "the administrator"),
        ("outside-office", "an office outside the department"),
        ("spare", "a third office"),
    ):
        path = home / "root-keys" / f"{name}.key"
        assert f"{path}  ->  {office}" in said
        assert (path.stat().st_size, path.stat().st_mode & 0o777) == (32, 0o600)
    assert "delete it here" in said
    assert main(["init", "--home", str(home)]) == 2


def test_clauses_and_controls_print_their_tables(terminal: Terminal) -> None:
    status, out, _ = terminal.type("--json", "clauses")
    assert status == 0
    assert len(out.splitlines()) == len(clause_rows())
    shown = terminal.type("clauses")[1]
    assert "463.7" in shown
    assert "not enforced" not in shown
    terminal.given("user", "first", "chief")
    status, out, _ = terminal.type("controls")
    assert status == 0
    assert "root on this machine can read content without a trace" in out
    assert "approved algorithms" in out


def test_a_desk_command_without_a_user_is_misuse(terminal: Terminal) -> None:
    assert terminal.type("inquiry", "queue")[0] == 2  # no desk yet
    terminal.given("user", "first", "chief")
    status, _, err = terminal.type("inquiry", "queue")
    assert (status, "--user USER" in err, "$(department user login USER)" in err) == (2, True, True)


@pytest.mark.parametrize(
    "verb",
    [
        "user",
        "training",
        "inquiry",
        "audit",
        "share",
        "hold",
        "grant",
        "incident",
        "purge",
        "compliance",
        "clauses",
        "controls",
        "keys",
        "witness",
    ],
)
def test_every_help_ends_in_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--help"]) == 0
    assert "example: department" in capsys.readouterr().out


def _commands(command: click.Command, path: str) -> Iterator[tuple[str, Verb | Noun]]:
    """Yield every command of a program, with the words that lead to it."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert isinstance(below, Verb | Noun)
            yield f"{path} {name}", below
            yield from _commands(below, f"{path} {name}")


EXAMPLES = [("department", PROGRAM.example)]
EXAMPLES += [(path, command.example) for path, command in _commands(PROGRAM, "department")]


@pytest.mark.parametrize(("path", "example"), [pytest.param(*one, id=one[0]) for one in EXAMPLES])
def test_every_example_can_be_typed_as_printed(path: str, example: str) -> None:
    words = shlex.split(example.partition(" > ")[0])
    assert words[0] == "department"
    assert len(path.split()) == 1 or words[1] == path.split()[1]
    command: click.Command = PROGRAM
    context = PROGRAM.make_context("department", words[1:])
    while isinstance(command, click.Group):
        name, below, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        assert below is not None
        command, context = below, below.make_context(name, rest, parent=context)


def test_the_examples_are_of_the_whole_program() -> None:
    assert len(EXAMPLES) >= 60


OTHER_WORDS = {
    "incident/bring": ("incident", "import"),
    "user/authenticator": ("user", "password"),
    "incident/reset": ("incident", "receipt"),
    "retention/purge": ("purge",),
    "unit/enroll": ("enroll",),
    "unit/revoke": ("enroll",),
    "audit/read": ("audit", "list"),
    "share/decide": ("share", "approve"),
    "grant/lend": ("grant", "delegate"),
    "compliance/overdue": ("compliance",),
    "policy/read": ("keys", "policy"),
    "document/list": ("send",),
    "document/sign": ("send",),
    "compliance/endings": ("compliance",),
    "transparency/read": ("audit", "public"),
    "unit/list": ("health",),
    "inquiry/begin": ("inquiry", "run"),
    "inquiry/step": ("inquiry", "run"),
    "retention/read": ("retention", "list"),
}


# No command: an authenticator answers only a browser (`/account`).
ON_A_PAGE = {"user/passkey-options", "user/passkey"}


@pytest.mark.parametrize("name", sorted(OPERATIONS.keys() - ON_A_PAGE))
def test_every_call_is_a_command_too_with_its_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*OTHER_WORDS.get(name, tuple(name.split("/"))), "--help"]) == 0
    said = capsys.readouterr().out
    assert "example: department" in said
    assert "--help" not in said.partition("example:")[2]


def test_the_current_policy_is_printed_and_an_unsigned_one_is_not(terminal: Terminal) -> None:
    status, out, _ = terminal.type("keys", "policy")
    assert (status, out) == (0, (terminal.home / "policy.toml").read_text())
    (terminal.home / "policy.toml").write_text(out.replace("attempts = 5", "attempts = 4"))
    status, out, err = terminal.type("keys", "policy")
    assert (status, out, "not the policy file" in err) == (2, "", True)


def test_a_command_without_a_person_ends_before_it_opens_the_desk(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal.given("user", "first", "chief")
    monkeypatch.setattr(desk_access, "open_front", lambda _home: pytest.fail("opened the desk"))
    status, _, err = terminal.type("inquiry", "mine")
    assert (status, "no user is given" in err, "--user USER" in err) == (2, True, True)
