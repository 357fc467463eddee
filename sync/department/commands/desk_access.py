"""Shared by every desk command: the person, the session, and the printing of an answer. Not a command.

A session comes from DEPARTMENT_TOKEN (made by `department user login`), else from a login for this one
command: --user, the password from DEPARTMENT_PASSWORD or the terminal, the code from DEPARTMENT_CODE or the
terminal. With DEPARTMENT_URL, the calls go to the desk there (`client.py`), and no home is opened.

Most verbs are one call of the operations table: `form_verb` makes such a verb from the fields of the call's
form. The others are functions under `desk_verb`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import getpass
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import click

from storage.errors import RecordError
from storage.times import DAY_US, MINUTE_US, iso_text, margin_text, now_us, parse_utc
from sync.command_frame import Common, Decorator, Noun, Verb, collected
from sync.department.commands import client
from sync.department.commands.given_files import FILE
from sync.department.desk.context import DeskContext
from sync.department.desk.inquiry.forms import NothingForm
from sync.department.desk.json_forms import to_json
from sync.department.desk.operations import OPERATIONS
from sync.department.ground.home import DepartmentHome
from sync.department.journal.inquiry_entries import Area, Ground, Query
from sync.department.journal.marking import WORDS, watching
from sync.department.policy.policy import Policy
from sync.department.policy.policy_file import parse_policy
from sync.department.policy.refusals import BUSY, FRESH_PROOF, NotProvenError, NotYetError
from sync.department.server import open_desk
from sync.department.server.open_desk import open_front
from sync.errors import DONE, InvalidInputError
from sync.plate_option import HELP, PLATE

TOKEN, PASSWORD, CODE = "DEPARTMENT_TOKEN", "DEPARTMENT_PASSWORD", "DEPARTMENT_CODE"
NO_USER = f"log in once: export {TOKEN}=$(department user login USER); or give --user USER"
NO_ENTRY = -1  # in an answer: there is no such entry
WARNING = "warning"  # a field of answers that is not shown where there is none
BUSY_S, BUSY_TRIES = 10.0, 60  # ten minutes, since other long lists may come before this one
EXAMPLE_TIME = "e.g. 2026-10-01T08:30:00Z, or 2026-10-01 for midnight UTC"


@dataclasses.dataclass(frozen=True, slots=True)
class Terminal:
    """One command of a person at the desk: the common options, and the user name if given."""

    common: Common
    user: str | None

    def call(self, name: str, form: Any) -> Any:
        """Make one call of the table. Says on stderr if no witness saw a list."""
        with seat(self) as call, watching() as mark:
            answer = call(name, form)
        if mark.unwitnessed and isinstance(answer, tuple):
            print(f"department: {WORDS}", file=sys.stderr)
        return answer

    def report(self, facts: dict[str, Any], words: str, *, unwitnessed: bool = False) -> int:
        """Print the result of a call whose content went into a file: `facts` with --json, else `words`."""
        if self.common.json:
            print(json.dumps(to_json(facts | {"unwitnessed": unwitnessed})))
        else:
            print(words + (f"  {WORDS}" if unwitnessed else ""))
        return DONE

    def wait(self, answer: Any) -> int:
        """Print the answer to a call that only proposed: its number, and the next command."""
        number = getattr(answer, "proposal", NO_ENTRY)
        if self.common.json or number == NO_ENTRY:
            return self.show(answer)
        print(wait_words(number))
        return DONE

    def show(self, answer: Any, columns: Sequence[str] = ()) -> int:
        """Print an answer: JSON lines with --json, else `columns` of each row, else name: value lines."""
        rows = list(answer) if isinstance(answer, tuple | list) else None
        if self.common.json:
            for row in rows if rows is not None else [answer]:
                print(json.dumps(to_json(row)))
        elif rows is not None:
            self.rows(rows, columns)
            print(f"{len(rows)} in all", file=sys.stderr)
        else:
            value = to_json(answer)
            for name in columns or value:
                if name != WARNING or value.get(name):
                    print(_lines(name, value.get(name)))
        return DONE

    def rows(self, rows: Sequence[Any], columns: Sequence[str] = ()) -> None:
        """Print `columns` of each row, one line per row."""
        for row in rows:
            value = to_json(row)
            print("  ".join(_cell(name, value.get(name)) for name in columns or value), flush=True)

    def table(self, rows: Sequence[Any], headings: Mapping[str, str]) -> int:
        """Print rows under a heading, in columns: field of the row -> its heading. JSON lines with --json."""
        if self.common.json or not rows:
            return self.show(tuple(rows))
        cells = [list(headings.values())]
        for row in rows:
            value = to_json(row)
            cells.append([_cell(name, value.get(name)) for name in headings])
        widths = [max(len(line[at]) for line in cells) for at in range(len(headings))]
        for line in cells:
            print("  ".join(one.ljust(width) for one, width in zip(line, widths, strict=True)).rstrip())
        print(f"{len(rows)} in all", file=sys.stderr)
        return DONE


as_user = click.option(
    "--user", "as_user", metavar="USER", help=f"Your user name; without it, {TOKEN} is used."
)


def desk_verb(noun: Noun, name: str, *, example: str) -> Callable[[Callable[..., int]], Verb]:
    """Make a function a verb of `noun` that needs a session and gets a `Terminal` (a decorator)."""

    def add(function: Callable[..., int]) -> Verb:
        def run(common: Common, *, as_user: str | None, **values: Any) -> int:
            return function(Terminal(common, as_user), **values)

        run.__doc__ = function.__doc__
        run.__dict__.update(function.__dict__)  # click keeps the options there
        return noun.verb(name, example=example)(as_user(run))

    return add


def form_verb(
    noun: Noun,
    name: str,
    call: str,
    about: str,
    *options: Decorator,
    example: str,
    columns: Sequence[str] | Mapping[str, str] = (),
    **fixed: Any,
) -> Verb:
    """Make a verb that is one call of the table: fill its form from `options` and `fixed`, show its answer.

    The options have the names of the form's fields. `columns`: what is shown of each row; a mapping gives the
    headings. Raises TypeError if a field gets no value.
    """

    def run(terminal: Terminal, **values: Any) -> int:
        form = OPERATIONS[call].form(**values, **fixed)
        answer = terminal.call(call, form)
        if getattr(form, "propose", False):
            return terminal.wait(answer)
        if isinstance(columns, Mapping):
            return terminal.table(tuple(answer), columns)
        return terminal.show(answer, columns)

    run.__doc__ = about
    made: Callable[..., int] = run
    for option in reversed(options):
        made = option(made)
    return desk_verb(noun, name, example=example)(made)


def secret(variable: str, prompt: str) -> str:
    """Read a secret from the environment, else from the terminal. Raises InvalidInputError if it would
    echo."""
    value = os.environ.get(variable)
    if value is not None:
        return value
    typed = _unechoed(prompt)
    if typed is None:
        raise InvalidInputError(
            f"no terminal to type the {prompt} at", where=variable, cure=f"set {variable}"
        )
    return typed


def typed(prompt: str) -> str:
    """Read a line from the terminal, else from standard input. Raises InvalidInputError.

    This is for what is only known after this command has shown something, such as a new authenticator's code.
    """
    line = _unechoed(prompt)
    line = sys.stdin.readline().strip() if line is None else line
    if not line:
        raise InvalidInputError(
            f"the {prompt} did not come",
            cure="type it, or let your program write it into this command's standard input",
        )
    return line


def _unechoed(prompt: str) -> str | None:
    """Read a line from the terminal without echo; None if there is no terminal or it would echo."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)
            return getpass.getpass(f"{prompt}: ")
    except (getpass.GetPassWarning, EOFError):
        return None


def password_and_code() -> tuple[str, str]:
    """The password and code of a login, an unlock or a fresh proof. Raises as `secret`."""
    return secret(PASSWORD, "password"), secret(CODE, "code")


def has_desk(common: Common) -> bool:
    """Whether a change is a person's call to a desk: a remote one, or that of this home."""
    return client.configured() or open_desk.has_desk(DepartmentHome.open(common.home))


@contextlib.contextmanager
def session(terminal: Terminal) -> Iterator[tuple[DeskContext, str]]:
    """Open the home's desk and a session at it. A session made for this command ends with it.

    Raises InvalidInputError if DEPARTMENT_URL names a remote desk.
    """
    if client.configured():
        raise InvalidInputError(
            "this command works only on the department's own machine",
            where=client.URL,
            cure=f"run it there, without {client.URL}",
        )
    home, token = DepartmentHome.open(terminal.common.home), os.environ.get(TOKEN, "")
    if not (token or terminal.user) and open_desk.has_desk(home):  # opening reports a missing desk
        raise InvalidInputError("no user is given", where="--user", cure=NO_USER)
    front = open_front(home)
    try:
        if not terminal.user:
            yield front, token
            return
        token = front.desk.logons.logon(terminal.user, *password_and_code(), proves=True)
        try:
            yield front, token
        finally:
            front.desk.logons.logoff(token)
    finally:
        front.close()


def proving(
    call: Callable[[str, Any], Any], prove: Callable[[str, Any, str, str], Any]
) -> Callable[[str, Any], Any]:
    """Wrap `call`: if it needs a fresh proof, ask for one and call again; if the desk is busy, retry."""

    def made(name: str, form: Any) -> Any:
        try:
            return patient(name, form)
        except NotProvenError as refusal:
            if refusal.code != FRESH_PROOF:
                raise
            print(f"department: {refusal.what}", file=sys.stderr)
        prove(name, form, *password_and_code())
        return patient(name, form)

    def patient(name: str, form: Any) -> Any:
        for left in reversed(range(BUSY_TRIES)):
            try:
                return call(name, form)
            except NotYetError as refusal:
                if refusal.code != BUSY or not left:
                    raise
                if left == BUSY_TRIES - 1:
                    print(f"department: {refusal.what}; waiting", file=sys.stderr)
                time.sleep(BUSY_S)
        raise AssertionError

    return made


@contextlib.contextmanager
def seat(terminal: Terminal, *, send_password: bool = False) -> Iterator[Callable[[str, Any], Any]]:
    """Log in to the home's desk, or to that of DEPARTMENT_URL, and yield the function that makes calls there.

    With DEPARTMENT_URL, no home is opened: the token or the login for this command is enough.
    `send_password`: see `RemoteDesk.logon`.
    """
    if not client.configured():
        with session(terminal) as (front, token):
            logons = front.desk.logons

            def call_here(name: str, form: Any) -> Any:
                return OPERATIONS[name].run(front, token, form)

            def prove_here(_name: str, _form: Any, password: str, code: str) -> Any:
                return logons.prove(token, password, code)  # proves the last refused call

            yield proving(call_here, prove_here)
        return
    with client.RemoteDesk.of_environment() as remote:
        if terminal.user:
            remote.logon(terminal.user, *password_and_code(), send_password=send_password, proves=True)
        elif not os.environ.get(TOKEN):
            raise InvalidInputError("no user is given", where="--user", cure=NO_USER)
        try:
            yield proving(remote.call, remote.prove)
        finally:
            if terminal.user:
                remote.logoff()


def policy_of(call: Callable[[str, Any], Any]) -> Policy:
    """The current policy of the desk to which the calls go."""
    return parse_policy(call("policy/read", NothingForm()).document)


def _lines(name: str, value: Any) -> str:
    """A field of an answer for people to read. (name, value) pairs get a line each."""
    if isinstance(value, list) and value and all(isinstance(one, list) and len(one) == 2 for one in value):
        return "\n  ".join((f"{name}:", *(f"{said}: {_set_in(text)}" for said, text in value)))
    return f"{name}: {_cell(name, value)}"


def _set_in(text: str) -> str:
    """A text of several lines, indented, without control characters."""
    lines = text.splitlines()
    return "\n    ".join(one if one.isprintable() else ascii(one)[1:-1] for one in lines) or "-"


def _cell(name: str, value: Any) -> str:
    if name.endswith("_min") and isinstance(value, int):
        return f"{value} min" if value > 0 else "-"
    if name.endswith("_error_us") and isinstance(value, int):
        return f"±{margin_text(value).replace(' ', '')}"  # a cell has no space
    if name.endswith("_us") and isinstance(value, int):
        return iso_text(value, to="minute") if value > 0 else "-"
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, list):
        return ",".join(str(one) for one in value) or "-"
    return "-" if value in {None, "", NO_ENTRY} else str(value)


class Time(click.ParamType[int]):
    """UTC microseconds of an ISO 8601 time."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Raises click.BadParameter."""
        try:
            return value if isinstance(value, int) else parse_utc(value)
        except RecordError as error:
            self.fail(f"{error.what} ({EXAMPLE_TIME})", param, ctx)


def entry(field: str, metavar: str = "ENTRY") -> Decorator:
    """The argument that names an entry of the log."""
    return click.argument(field, type=int, metavar=metavar)


def text(option: str, field: str, help_text: str, *, required: bool = True) -> Decorator:
    """The option for a text field, empty if left out."""
    if required:
        return click.option(option, field, required=True, help=help_text)
    return click.option(option, field, default="", help=help_text)


def second_person(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a call that may need a second person."""
    function = click.option(
        "--approval",
        type=int,
        default=-1,
        metavar="ENTRY",
        help="The proposal, once approved.",
    )(function)
    return click.option(
        "--propose",
        is_flag=True,
        help="Ask a second person: prints the proposal's number and changes nothing.",
    )(function)


def time_option(option: str, field: str, help_text: str, *, default: int | None = None) -> Decorator:
    """The option for a time, which is required if there is no default."""
    return click.option(
        option, field, type=Time(), metavar="TIME", default=default, required=default is None, help=help_text
    )


def out_option(metavar: str, help_text: str = "A new file.") -> Decorator:
    """The option for the file that receives what leaves the desk."""
    return click.option("--out", type=FILE, required=True, metavar=metavar, help=help_text)


def _ground_of(*, purpose: str, basis: str, case: str, cad: str, action: str, why: str) -> Ground:
    """The ground from the options. The desk refuses a missing part with its clause."""
    given = [one for one in ((case, "case"), (cad, "cad"), (action, "action")) if one[0]]
    if len(given) > 1:
        cure = "give the one that the search is for"
        raise InvalidInputError("more than one number", where="--case, --cad, --action", cure=cure)
    number, kind = given[0] if given else ("", "case")
    return Ground(purpose=purpose, basis=basis, number=number, number_kind=kind, justification=why)


ground = collected(
    "ground",
    _ground_of,
    click.option("--purpose", default="", help="A purpose of 463.2, e.g. investigation."),
    click.option(
        "--basis", default="criminal-investigation", show_default=True, help="463.5 (a); or civil-action, ..."
    ),
    click.option("--case", default="", help="The case number."),
    click.option("--cad", default="", help="Instead: a CAD incident number (full plates only)."),
    click.option("--action", default="", help="Instead: the number of a civil or administrative action."),
    click.option("--why", default="", help="The justification, in words."),
)


def _query_of(*, plate: str, since_us: int, until_us: int, area: Area | None, unit: str) -> Query:
    """The query from the options. Times are whole minutes, so that two people's searches compare equal."""
    now = now_us() // MINUTE_US * MINUTE_US
    return Query(
        plate=plate,
        since_us=now - 30 * DAY_US if since_us < 0 else since_us,
        until_us=now + MINUTE_US if until_us < 0 else until_us,
        area=area,
        unit=unit,
    )


class _AreaType(click.ParamType[Area]):
    name = "area"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Area:
        """Raises click.BadParameter."""
        try:
            latitude, longitude, radius = (float(part) for part in str(value).split(","))
        except ValueError:
            self.fail("must be LAT,LON,METERS", param, ctx)
        return Area(latitude=latitude, longitude=longitude, radius_m=radius)


query = collected(
    "query",
    _query_of,
    click.option(
        "--plate",
        type=PLATE,
        default="",
        help=f"Exact, or with * and ? (which needs a second person). {HELP}",
    ),
    time_option("--since", "since_us", "ISO 8601, UTC. Default: 30 days ago.", default=-1),
    time_option("--until", "until_us", "ISO 8601, UTC. Default: now.", default=-1),
    click.option(
        "--area", type=_AreaType(), default=None, metavar="LAT,LON,METERS", help="A place and a radius."
    ),
    click.option("--unit", default="", help="One unit by name."),
)


def wait_words(proposal: int) -> str:
    """The next command for a proposal, as the person types it."""
    return (
        f"proposal {proposal}; another person: department change approve {proposal} --why REASON; "
        f"then repeat this command with --approval {proposal}"
    )
