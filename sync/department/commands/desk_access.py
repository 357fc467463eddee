"""What every desk command shares: who asks, with which session, and how an answer is printed. No
command itself.

A session comes from DEPARTMENT_TOKEN (made by `department user login`), else a logon for this one command:
--user, the password from DEPARTMENT_PASSWORD or the terminal, the code from DEPARTMENT_CODE or the terminal.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import getpass
import json
import os
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from storage.checkpoint import NoteKey
from storage.errors import CheckpointError, RecordError
from sync.department.desk.context import Front
from sync.department.desk.json_forms import to_json, us_of
from sync.department.desk.operations import OPERATIONS
from sync.department.ground.home import DepartmentHome
from sync.department.journal.entries import Area, Ground, Query
from sync.department.journal.marking import WORDS, watching
from sync.department.server.open_desk import open_front
from sync.errors import ConfigError

DAY_US = 86_400_000_000
TOKEN, PASSWORD, CODE = "DEPARTMENT_TOKEN", "DEPARTMENT_PASSWORD", "DEPARTMENT_CODE"


def verbs(subparsers: Any, noun: str, about: str, example: str) -> Any:
    """A command with sub-verbs."""
    parser = subparsers.add_parser(noun, help=about, description=about, epilog=f"example: {example}")
    return parser.add_subparsers(dest="verb", metavar="VERB", required=True)


def verb(parent: Any, name: str, about: str, example: str, *, asks: bool = True) -> argparse.ArgumentParser:
    """One sub-verb; `asks`: it needs somebody's session."""
    parser: argparse.ArgumentParser = parent.add_parser(
        name, help=about, description=about, epilog=f"example: {example}"
    )
    if asks:
        parser.add_argument(
            "--user", dest="as_user", metavar="USER", help=f"who asks (unless {TOKEN} is set)"
        )
    return parser


def secret(variable: str, prompt: str) -> str:
    """A secret from the environment, else from the terminal. Raises ConfigError where it would be echoed."""
    value = os.environ.get(variable)
    if value is not None:
        return value
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)
            return getpass.getpass(f"{prompt}: ")
    except (getpass.GetPassWarning, EOFError):
        raise ConfigError(
            f"no terminal to type the {prompt} at", where=variable, cure=f"set {variable}"
        ) from None


@contextlib.contextmanager
def session(args: argparse.Namespace) -> Iterator[tuple[Front, str]]:
    """The desk of --home and a session at it; one made for this command ends with it."""
    front = open_front(DepartmentHome.open(args.home))
    try:
        token = os.environ.get(TOKEN, "")
        if token and not args.as_user:
            yield front, token
            return
        if not args.as_user:
            raise ConfigError("nobody asks", where="--user", cure=f"give --user, or set {TOKEN}")
        token = front.desk.logon(args.as_user, secret(PASSWORD, "password"), secret(CODE, "code"))
        try:
            yield front, token
        finally:
            front.desk.logoff(token)
    finally:
        front.close()


def call(args: argparse.Namespace, name: str, form: Any) -> Any:
    """Make one call of the table as --user. A list that no witness saw is marked on stderr."""
    with session(args) as (front, token), watching() as mark:
        answer = OPERATIONS[name].run(front, token, form)
    if mark.unwitnessed and isinstance(answer, tuple):
        print(f"department: {WORDS}", file=sys.stderr)
    return answer


def told(args: argparse.Namespace, facts: dict[str, Any], words: str, *, unwitnessed: bool = False) -> None:
    """Print what came of a call whose content went into a file: `facts` with --json, else `words`."""
    if args.json:
        print(json.dumps(to_json(facts | {"unwitnessed": unwitnessed})))
    else:
        print(words + (f"  {WORDS}" if unwitnessed else ""))


def show(args: argparse.Namespace, answer: Any, columns: Sequence[str] = ()) -> None:
    """Print an answer: JSON lines with --json, else `columns` of each row, else name: value lines."""
    rows = list(answer) if isinstance(answer, tuple | list) else None
    if args.json:
        for row in rows if rows is not None else [answer]:
            print(json.dumps(to_json(row)))
        return
    if rows is not None:
        for row in rows:
            value = to_json(row)
            print("  ".join(_cell(name, value.get(name)) for name in columns or value))
        print(f"{len(rows)} in all", file=sys.stderr)
        return
    value = to_json(answer)
    for name in columns or value:
        print(f"{name}: {_cell(name, value.get(name))}")


def _cell(name: str, value: Any) -> str:
    if name.endswith("_us") and isinstance(value, int):
        return f"{datetime.fromtimestamp(value / 1e6, UTC):%Y-%m-%dT%H:%MZ}" if value > 0 else "-"
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, list):
        return ",".join(str(one) for one in value) or "-"
    return "-" if value in {None, ""} else str(value)


def add_ground(parser: argparse.ArgumentParser) -> None:
    """Purpose, basis, number, justification."""
    parser.add_argument("--purpose", default="", help="one of the purposes of 463.2, e.g. investigation")
    parser.add_argument("--basis", default="criminal-investigation", help="463.5 (a); or civil-action, ...")
    parser.add_argument("--case", default="", help="the case number")
    parser.add_argument("--cad", default="", help="instead: a CAD incident number (full plates only)")
    parser.add_argument(
        "--action", default="", help="instead: the number of a civil or administrative action"
    )
    parser.add_argument("--why", default="", help="the justification, in words")


def ground_of(args: argparse.Namespace) -> Ground:
    """The ground of the arguments; what is missing the desk refuses by its clause."""
    number, kind = next(
        (
            (value, kind)
            for value, kind in ((args.case, "case"), (args.cad, "cad"), (args.action, "action"))
            if value
        ),
        ("", "case"),
    )
    return Ground(
        purpose=args.purpose, basis=args.basis, number=number, number_kind=kind, justification=args.why
    )


def add_query(parser: argparse.ArgumentParser) -> None:
    """Plate, time, place, unit."""
    parser.add_argument("--plate", default="", help="exact, or with * and ? (then a second person is needed)")
    parser.add_argument("--since", default="", metavar="TIME", help="ISO 8601, UTC; default: 30 days ago")
    parser.add_argument("--until", default="", metavar="TIME", help="ISO 8601, UTC; default: now")
    parser.add_argument("--area", default="", metavar="LAT,LON,METRES", help="a place and a radius")
    parser.add_argument("--unit", default="", help="one unit by name")


def query_of(args: argparse.Namespace) -> Query:
    """The query of the arguments. Times are whole minutes, so that two people type the same search alike."""
    now = time.time_ns() // 60_000_000_000 * 60_000_000
    since = time_of(args.since, "--since") if args.since else now - 30 * DAY_US
    until = time_of(args.until, "--until") if args.until else now + 60_000_000
    area = None
    if args.area:
        try:
            latitude, longitude, radius = (float(part) for part in args.area.split(","))
        except ValueError:
            raise ConfigError("must be LAT,LON,METRES", where="--area") from None
        area = Area(latitude=latitude, longitude=longitude, radius_m=radius)
    return Query(plate=args.plate, since_us=since, until_us=until, area=area, unit=args.unit)


def time_of(text: str, where: str) -> int:
    """UTC microseconds of a time that was typed. Raises ConfigError."""
    try:
        return us_of(text, where)
    except RecordError as error:
        raise ConfigError(
            error.what, where=where, cure="e.g. 2026-10-01T08:30:00Z, or 2026-10-01 for midnight UTC"
        ) from None


def key_of(text: str, where: str) -> NoteKey:
    """A log's or a witness's public key that was typed. Raises ConfigError."""
    try:
        return NoteKey.parse(text)
    except CheckpointError as error:
        raise ConfigError(error.what, where=where) from None


def period_of(args: argparse.Namespace) -> tuple[int, int]:
    """(since, until) of --since and --until, or (-1, -1)."""
    since = time_of(args.since, "--since") if args.since else -1
    return since, time_of(args.until, "--until") if args.until else -1


def read_bytes(path: Path) -> bytes:
    """A file of the command line. Raises ConfigError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where=str(path)) from None


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
