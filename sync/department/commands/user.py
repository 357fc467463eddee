"""`department user`: the first administrator, the roster, credentials, logons and locks."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

from storage.errors import RecordError
from storage.ssh_signature import SshPublicKey
from sync.department.commands import desk_access as desk
from sync.department.desk.inquiry.calls import NothingForm
from sync.department.desk.operations import OPERATIONS
from sync.department.desk.people import calls as forms
from sync.department.desk.people.rules import parse_roles
from sync.department.ground.home import DepartmentHome
from sync.department.journal.entries import AccountSet, Shift
from sync.department.policy.roles import Role
from sync.department.server.open_desk import first_administrator, open_desk
from sync.errors import ConfigError

_SHIFT = re.compile(r"(\d\d):([0-5]\d)-(\d\d):([0-5]\d)")
NONE = "none"  # typed where a shift or a key shall go


def add_parser(subparsers: Any) -> None:
    """The arguments."""
    parent = desk.verbs(
        subparsers, "user", "people of the desk: roster, credentials, sessions", "department user first chief"
    )
    one = desk.verb(
        parent,
        "first",
        "make the desk and its first administrator, once",
        "department user first chief",
        asks=False,
    )
    one.add_argument("name_of_user", metavar="USER")
    one.add_argument("--name", default="", help="the person's name")
    one = desk.verb(
        parent,
        "login",
        "log on; prints a token for DEPARTMENT_TOKEN",
        "department user login chief",
        asks=False,
    )
    one.add_argument("name_of_user", metavar="USER")
    one.add_argument("--post", default="", help="a staffed post of the policy file, e.g. dispatch")
    desk.verb(parent, "logout", "end the session of DEPARTMENT_TOKEN", "department user logout", asks=False)
    desk.verb(
        parent, "unlock", "open the locked session of DEPARTMENT_TOKEN", "department user unlock", asks=False
    )
    one = desk.verb(parent, "password", "set your own password and authenticator", "department user password")
    one = desk.verb(
        parent,
        "set",
        "add, change or remove a person; what is not given stays as it is",
        "department user set o1 --roles sworn-officer --why hired --user chief",
    )
    one.add_argument("name_of_user", metavar="USER")
    one.add_argument("--name", default="", help="the person's name")
    one.add_argument("--organisation", default="", help="default: as it is, else the department")
    one.add_argument("--roles", default="", help="comma-separated: " + ", ".join(Role))
    one.add_argument(
        "--shift",
        default="",
        metavar="HH:MM-HH:MM",
        help="hours on duty, the department's clock; none: no fixed ones",
    )
    one.add_argument(
        "--ssh-key",
        type=Path,
        action="append",
        default=[],
        metavar="PUB",
        help="public key file with which he proves himself at a unit; more than once for several, which "
        "take the place of all before; none: no key",
    )
    one.add_argument("--why", required=True, help="hired, moved, left, ...")
    one.add_argument("--remove", action="store_true", help="no longer on the roster")
    for name, about in (
        ("credential", "a new first password and authenticator"),
        ("lift-lockout", "lift a lock-out"),
    ):
        one = desk.verb(parent, name, about, f"department user {name} o1 --why 'lost phone' --user chief")
        one.add_argument("name_of_user", metavar="USER")
        one.add_argument("--why", required=True)
    desk.verb(parent, "list", "people and their training", "department user list --user super")


def _shift(text: str) -> Shift:
    match = _SHIFT.fullmatch(text)
    start, end = (
        (int(match[1]) * 60 + int(match[2]), int(match[3]) * 60 + int(match[4])) if match else (-1, 0)
    )
    shift = Shift(start_min=start, end_min=end or 1440)
    try:
        shift.check()
    except RecordError:
        raise ConfigError("must be HH:MM-HH:MM", where="--shift", cure="e.g. 22:00-06:00, or none") from None
    return shift


def _account(args: argparse.Namespace, known: AccountSet | None, department: str) -> forms.AccountForm:
    """The account as it shall stand: what the arguments do not say stays as it is."""
    keys = tuple(SshPublicKey(blob).line for blob in known.ssh_keys) if known else ()
    if args.ssh_key:
        given = [path for path in args.ssh_key if str(path) != NONE]
        keys = tuple(desk.read_bytes(path).decode(errors="replace") for path in given)
    shift = known.shift if known else None
    if args.shift:
        shift = None if args.shift == NONE else _shift(args.shift)
    return forms.AccountForm(
        user=args.name_of_user,
        name=args.name or (known.name if known else args.name_of_user),
        organisation=args.organisation or (known.organisation if known else department),
        roles=parse_roles(args.roles) if args.roles or known is None else known.roles,
        reason=args.why,
        shift=shift,
        active=not args.remove,
        ssh_keys=keys,
    )


def _hand_over(args: argparse.Namespace, given: forms.HandedOver) -> None:
    if args.json:
        print(json.dumps({"user": given.user, "password": given.password, "totp_uri": given.totp_uri}))
        return
    if given.password:
        print(f"first password of {given.user}, shown once: {given.password}")
    print(f"authenticator: {given.totp_uri}")


def run(args: argparse.Namespace) -> int:
    """Make the call."""
    verb = args.verb
    if verb == "first":
        home = DepartmentHome.open(args.home)
        _hand_over(args, first_administrator(home, args.name_of_user, args.name or args.name_of_user))
        return 0
    if verb in {"login", "logout", "unlock"}:
        return _session(args)
    if verb == "password":
        old = desk.secret(desk.PASSWORD, "password")
        with desk.session(args) as (front, token):
            form = forms.PasswordForm(old=old, new=desk.secret("DEPARTMENT_NEW_PASSWORD", "new password"))
            _hand_over(args, OPERATIONS["user/password"].run(front, token, form))
        return 0
    if verb == "list":
        columns = ("user", "name", "roles", "active", "shift", "training", "training_ends_us", "ssh_keys")
        desk.show(args, desk.call(args, "training/list", NothingForm()), columns)
        return 0
    if verb == "set":
        with desk.session(args) as (front, token):
            known = front.desk.book.roster.accounts.get(args.name_of_user)
            account = _account(args, known, front.desk.policy.department)
            desk.show(args, OPERATIONS["user/set"].run(front, token, account))
        return 0
    answer = desk.call(args, f"user/{verb}", forms.UserForm(user=args.name_of_user, reason=args.why))
    if verb == "credential":
        _hand_over(args, answer)
    else:
        desk.show(args, answer)
    return 0


def _session(args: argparse.Namespace) -> int:
    session_desk = open_desk(DepartmentHome.open(args.home))
    try:
        if args.verb == "login":
            password, code = desk.secret(desk.PASSWORD, "password"), desk.secret(desk.CODE, "code")
            token = session_desk.logon(args.name_of_user, password, code, post=args.post)
            print(json.dumps({"token": token}) if args.json else token)
        elif args.verb == "logout":
            session_desk.logoff(desk.secret(desk.TOKEN, "token"))
        else:
            token = desk.secret(desk.TOKEN, "token")
            session_desk.unlock(token, desk.secret(desk.PASSWORD, "password"), desk.secret(desk.CODE, "code"))
    finally:
        session_desk.close()
    return 0
