"""`department user`: the first administrator, the roster, credentials, logins and locks."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from storage.errors import RecordError
from storage.times import now_us
from sync.command_frame import Common, noun
from sync.department.commands import client, desk_access, given_files
from sync.department.desk.desk import Desk
from sync.department.desk.inquiry.forms import NothingForm
from sync.department.desk.people import calls
from sync.department.desk.people.bulk import ImportForm, PersonLine
from sync.department.desk.people.new_secrets import NONE_WAITS, WRONG_CODE
from sync.department.desk.people.passkeys import PasskeyIdForm
from sync.department.desk.people.passwords import CURE, weakness_of
from sync.department.desk.people.qr import qr_text
from sync.department.desk.people.rules import parse_roles
from sync.department.desk.people.sheets import read_people
from sync.department.desk.whoami import logged_on
from sync.department.ground.home import DepartmentHome
from sync.department.journal.entries import Shift
from sync.department.policy.refusals import FormError
from sync.department.policy.roles import Role
from sync.department.server.open_desk import first_administrator, open_desk
from sync.errors import DONE, InvalidInputError

MUST_CHANGE = {
    "first-password": "another person made this password and its authenticator",
    "password-expired": "this password has expired",
}
REPLACES = (
    "this change makes a new one, shown once: scan it, and type a code of it after the new password; until "
    "then the old one is valid"
)
NONE = "none"  # typed to remove a shift or a key

user = noun(
    "user", "People of the desk: roster, credentials, sessions.", example="department user first chief"
)


class Roles(click.ParamType[tuple[Role, ...]]):
    """Roles by name, comma-separated."""

    name = "roles"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[Role, ...]:
        """Parse roles. Raises click.BadParameter naming the existing roles."""
        try:
            return value if isinstance(value, tuple) else parse_roles(value)
        except RecordError as error:
            self.fail(f"{error.what}: {error.cure}", param, ctx)


NEW_PASSWORD = "DEPARTMENT_NEW_PASSWORD"  # noqa: S105 - a name
ASKED_AGAIN = frozenset({"password", WRONG_CODE, NONE_WAITS})
TRIES = 5  # each refused one makes an entry
user_argument = click.argument("name_of_user", metavar="USER")


@user.verb("first", example="department user first chief")
@user_argument
@click.option("--name", default="", help="The person's name.")
def first(common: Common, *, name_of_user: str, name: str) -> int:
    """Make the desk and its first administrator, once."""
    home = DepartmentHome.open(common.home)
    return _hand_over(common, first_administrator(home, name_of_user, name or name_of_user))


@user.verb("login", example="department user login chief")
@user_argument
@click.option("--post", default="", help="A staffed post of the policy file, e.g. dispatch.")
@click.option(
    "--first-password",
    is_flag=True,
    help="Another person gave you this password: it has no key yet, and goes to the desk.",
)
def login(common: Common, *, name_of_user: str, post: str, first_password: bool) -> int:
    """Log in, and print a token for DEPARTMENT_TOKEN. The token holds the key that signs your calls."""
    password, code = desk_access.password_and_code()
    if client.configured():
        with client.RemoteDesk.of_environment() as remote:
            made = remote.logon(name_of_user, password, code, post=post, send_password=first_password)
    else:
        with _session_desk(common) as session_desk:
            made = logged_on(session_desk, session_desk.logons.logon(name_of_user, password, code, post=post))
    if made.must_change:
        print(
            f"department: {MUST_CHANGE[made.must_change]}: this token works only for `department user "
            "password`; then log in again",
            file=sys.stderr,
        )
    facts = {"token": made.token, "must_change": made.must_change}
    print(json.dumps(facts) if common.json else made.token)
    return DONE


@user.verb("logout", example="department user logout")
def logout(common: Common) -> int:
    """End the session of DEPARTMENT_TOKEN."""
    if client.configured():
        with client.RemoteDesk.of_environment() as remote:
            remote.logoff()
        return DONE
    with _session_desk(common) as session_desk:
        session_desk.logons.logoff(desk_access.secret(desk_access.TOKEN, "token"))
    return DONE


@user.verb("unlock", example="department user unlock")
def unlock(common: Common) -> int:
    """Unlock the session of DEPARTMENT_TOKEN."""
    if client.configured():
        with client.RemoteDesk.of_environment() as remote:
            remote.unlock(*desk_access.password_and_code())
        return DONE
    with _session_desk(common) as session_desk:
        token = desk_access.secret(desk_access.TOKEN, "token")
        session_desk.logons.unlock(token, *desk_access.password_and_code())
    return DONE


def _session_desk(common: Common) -> contextlib.closing[Desk]:
    return contextlib.closing(open_desk(DepartmentHome.open(common.home)))


@desk_access.desk_verb(user, "password", example="department user password --user comm1")
@click.option("--new-authenticator", is_flag=True, help="Also make a new authenticator secret.")
def password(terminal: desk_access.Terminal, *, new_authenticator: bool) -> int:
    """Set your own password, even an expired one. The authenticator stays unless you ask for a new one, or
    another person made it: the command then shows the new one and asks for a code of it; until that is right,
    nothing changes. If the new password is refused, the command asks again, five times in all, so that your
    code is used once."""
    old = desk_access.secret(desk_access.PASSWORD, "password")
    _demand_new(terminal.user or "", os.environ.get(NEW_PASSWORD))
    with desk_access.seat(terminal, send_password=True) as call:
        renews = new_authenticator or call("user/me", NothingForm()).replaces_authenticator
        if renews:
            why = "" if new_authenticator else "another person made your authenticator: "
            print(f"department: {why}{REPLACES}", file=sys.stderr)
        new, code, shown = "", "", not renews
        for left in reversed(range(TRIES)):
            if not shown:
                _show_authenticator(terminal.common, call("user/authenticator", NothingForm()))
                shown = True
            new = new or desk_access.secret(NEW_PASSWORD, "new password")
            code = desk_access.typed("code of the new authenticator") if renews else ""
            form = calls.PasswordForm(old=old, new=new, new_authenticator=new_authenticator, code=code)
            try:
                made = call("user/password", form)
            except FormError as refusal:
                weak = refusal.code == "password"
                if not left or refusal.code not in ASKED_AGAIN or (weak and NEW_PASSWORD in os.environ):
                    raise
                print(f"department: {refusal.what} ({refusal.cure or 'type another'})", file=sys.stderr)
                new = "" if weak else new
                shown = refusal.code != NONE_WAITS
            else:
                break
    if renews and not terminal.common.json:
        print("the new authenticator is in force: log in with its next code, not with the old one's")
        return DONE
    return _hand_over(terminal.common, made)


def _demand_new(user: str, new: str | None) -> None:
    """Refuse a missing new password before a code is used for it. Raises FormError."""
    weakness = weakness_of(new, user, "") if new else ""
    if weakness:
        raise FormError(f"the new password {weakness}", code="password", clause="CJIS IA-5", cure=CURE)


@desk_access.desk_verb(
    user, "set", example="department user set o1 --roles sworn-officer --why hired --user chief"
)
@user_argument
@click.option("--name", default="", help="The person's name.")
@click.option("--organization", default="", help="Default: unchanged; for a new person, the department.")
@click.option(
    "--roles", type=Roles(), default="", metavar="ROLE,...", help="Comma-separated: " + ", ".join(Role)
)
@click.option(
    "--shift",
    default="",
    metavar="HH:MM-HH:MM",
    help="Hours on duty, by the department's clock; none: no fixed hours.",
)
@click.option(
    "--ssh-key",
    "key_files",
    type=given_files.FILE,
    multiple=True,
    metavar="PUB",
    help="Public key file of the person, to authenticate at a unit. Repeatable; the files replace the old "
    "ones. none: no key.",
)
@desk_access.text("--why", "why", "hired, moved, left, ...")
@click.option("--remove", is_flag=True, help="Remove the person from the roster.")
@desk_access.time_option(
    "--ends",
    "ends_us",
    "When a designation expires. Default: as before; for a new one, the policy's longest.",
    default=-1,
)
@desk_access.second_person
def set_account(
    terminal: desk_access.Terminal,
    *,
    name_of_user: str,
    name: str,
    organization: str,
    roles: tuple[Role, ...],
    shift: str,
    key_files: tuple[Path, ...],
    why: str,
    remove: bool,
    ends_us: int,
    propose: bool,
    approval: int,
) -> int:
    """Add, change or remove a person. Omitted options do not change."""
    hours = None if shift in {"", NONE} else _shift(shift)
    with desk_access.seat(terminal) as call:
        people = call("training/list", NothingForm())
        known = next((one for one in people if one.user == name_of_user), None)
        keys = known.ssh_lines if known else ()
        if key_files:
            given = [path for path in key_files if str(path) != NONE]
            keys = tuple(given_files.public_key(path).line for path in given)
        if not shift and known and known.shift:
            hours = _shift(known.shift)
        if ends_us < 0 and known and Role.DESIGNEE in known.roles and known.designation_ends_us > now_us():
            ends_us = known.designation_ends_us  # a later end takes two people
        form = calls.AccountForm(
            user=name_of_user,
            name=name or (known.name if known else name_of_user),
            organisation=organization
            or (known.organisation if known else desk_access.policy_of(call).department),
            roles=roles if roles or known is None else known.roles,
            reason=why,
            shift=hours,
            active=not remove,
            ssh_keys=keys,
            ends_us=ends_us,
            propose=propose,
            approval=approval,
        )
        return terminal.show(call("user/set", form))


@desk_access.desk_verb(
    user, "credential", example="department user credential o1 --why 'lost phone' --user chief"
)
@user_argument
@desk_access.text("--why", "why", "The reason.")
@click.option(
    "--keep-authenticator",
    is_flag=True,
    help="The person lost only the password: keep the authenticator.",
)
@desk_access.second_person
def credential(
    terminal: desk_access.Terminal,
    *,
    name_of_user: str,
    why: str,
    keep_authenticator: bool,
    propose: bool,
    approval: int,
) -> int:
    """Give a person a new first password, and a new authenticator unless you keep the present one. The
    person's own first password change then makes another, because you saw this one."""
    form = calls.CredentialForm(
        user=name_of_user,
        reason=why,
        keep_authenticator=keep_authenticator,
        propose=propose,
        approval=approval,
    )
    return _hand_over(terminal.common, terminal.call("user/credential", form))


@desk_access.desk_verb(
    user, "import", example="department user import people.csv --why hired --propose --user chief"
)
@click.argument("people", type=given_files.FILE, metavar="CSV")
@desk_access.text("--why", "why", "The reason.")
@desk_access.second_person
def import_people(
    terminal: desk_access.Terminal, *, people: Path, why: str, propose: bool, approval: int
) -> int:
    """Add a list of people: columns user, name, roles. Prints a first password for each."""
    lines = tuple(
        PersonLine(user=name, name=full, roles=roles)
        for name, full, roles in read_people(given_files.read_bytes(people))
    )
    form = ImportForm(people=lines, reason=why, propose=propose, approval=approval)
    made = terminal.call("user/import", form)
    if made.proposal >= 0:
        return terminal.show(made, ("proposal",))
    if terminal.common.json:
        for one in made.people:
            print(json.dumps(_facts(one)))
        return DONE
    return terminal.show(made.people, ("user", "password", "totp_uri"))


desk_access.form_verb(
    user,
    "hand-over",
    "user/hand-over",
    "Hand over the office of administrator (463.4) to another person.",
    click.argument("user", metavar="USER"),
    desk_access.text("--why", "reason", "The reason."),
    desk_access.second_person,
    example="department user hand-over deputy --why 'new division commander' --propose --user chief",
)
desk_access.form_verb(
    user,
    "lift-lockout",
    "user/lift-lockout",
    "Lift a lockout.",
    click.argument("user", metavar="USER"),
    desk_access.text("--why", "reason", "The reason."),
    example="department user lift-lockout o1 --why 'forgot it' --user chief",
)
desk_access.form_verb(
    user,
    "list",
    "training/list",
    "List people and their training.",
    example="department user list --user super",
    columns={
        "user": "user",
        "name": "name",
        "roles": "roles",
        "active": "active",
        "shift": "shift",
        "training": "training",
        "training_ends_us": "training ends",
        "ssh_keys": "SSH keys",
    },
)
desk_access.form_verb(
    user,
    "me",
    "user/me",
    "Show whose session this is, in which roles, when it ends, and whether a new password makes a new "
    "authenticator.",
    example="department user me --user super",
)
desk_access.form_verb(
    user,
    "passkeys",
    "user/passkeys",
    "List your own passkeys. A new one is registered in a browser, under My account.",
    example="department user passkeys --user super",
    columns={"name": "name", "credential_id": "id", "origin": "registered at"},
)


@desk_access.desk_verb(
    user, "remove-passkey", example="department user remove-passkey '3q2+7w==' --user super"
)
@click.argument("identity", metavar="ID")
def remove_passkey(terminal: desk_access.Terminal, *, identity: str) -> int:
    """Remove a passkey of your own, by its id as `department user passkeys` lists it."""
    try:
        raw = base64.b64decode(identity, validate=True)
    except ValueError:
        raise InvalidInputError(
            "is not the id of a passkey", where="ID", cure="department user passkeys"
        ) from None
    return terminal.show(terminal.call("user/remove-passkey", PasskeyIdForm(credential_id=raw)))


def _shift(text: str) -> Shift:
    try:
        return Shift.parse(text)
    except RecordError:
        raise InvalidInputError(
            "must be HH:MM-HH:MM", where="--shift", cure="e.g. 22:00-06:00, or none"
        ) from None


def _show_authenticator(common: Common, given: calls.HandedOver) -> None:
    if common.json:
        print(json.dumps({"user": given.user, "totp_uri": given.totp_uri}), flush=True)
    else:
        print(qr_text(given.totp_uri))
        print(f"authenticator: {given.totp_uri}", flush=True)


def _facts(given: calls.HandedOver) -> dict[str, str]:
    return {"user": given.user, "password": given.password, "totp_uri": given.totp_uri}


def _hand_over(common: Common, given: calls.HandedOver) -> int:
    if common.json:
        print(json.dumps(_facts(given) | {"proposal": given.entry}))
        return DONE
    if given.entry >= 0:
        print(desk_access.wait_words(given.entry))
        return DONE
    if given.password:
        print(f"first password of {given.user}, shown once: {given.password}")
    if given.totp_uri:
        _show_authenticator(common, given)
        if given.password:
            print("both are for the first login: the person's own password makes a new authenticator")
    else:
        print("the authenticator is unchanged")
    return DONE
