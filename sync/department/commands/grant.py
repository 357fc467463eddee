"""`department grant`: maintenance grants for technicians and vendors, a designee's delegation, revocation.

If the department has a desk, the desk authenticates the person and enters the grant in its log. Before the
first administrator there is no desk, and the command key signs without one.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from storage.codec import from_bytes
from storage.counts import counted
from storage.envelope import split
from storage.errors import StorageError
from storage.grant_format import (
    COMMANDS,
    DEFAULT_LIFE_US,
    DESIGNEE_LIMIT_US,
    MAX_BYTES,
    REPAIR_COMMANDS,
    Bundle,
    Grant,
    GrantRole,
    check_reset_units,
    format_of,
    issue,
    latest_us,
)
from storage.times import HOUR_US, now_us, utc_text
from sync.command_frame import collected, noun
from sync.department.commands import desk_access, given_files
from sync.department.commands.out_files import new_file
from sync.department.desk.grants import calls
from sync.department.desk.grants.revoking import RevokeForm
from sync.department.desk.grants.signer import GrantOffice
from sync.department.ground.home import DepartmentHome, load_ed25519
from sync.department.ground.local_time import end_of_day_us
from sync.department.policy.named_files import command_key, signed_policy
from sync.department.server.server import Department
from sync.errors import DONE, InvalidInputError

_LENGTH = re.compile(r"(\d{1,4})([hd])")
_HOURS = {"h": 1, "d": 24}


ISSUE = (
    "department grant issue --person v.ito --role vendor --key v.pub --purpose 'repair: lens' "
    "--work-order WO-9 --unit car-12 --for 8h --out v.grant --user chief"
)

grant = noun(
    "grant",
    "Give a technician or vendor access to units' consoles; revoke; delegate. A technician's grant lasts up "
    "to 366 days and expires with the training; a vendor's lasts up to 14.",
    example=ISSUE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantOrder:
    """A grant as the command line describes it."""

    person: str
    organization: str
    role: str
    key: Path
    purpose: str
    work_order: str
    units: tuple[str, ...]
    commands: tuple[str, ...]
    length: str | None
    until: str | None
    destroy_up_to: int
    destroy_holds: tuple[int, ...]
    destroy_log: str
    propose: bool
    approval: int


order_options = collected(
    "order",
    GrantOrder,
    click.option("--person", required=True, help="User name of the holder."),
    click.option("--organization", default="the department", show_default=True, help="The holder's."),
    click.option("--role", required=True, type=click.Choice([str(role) for role in GrantRole])),
    click.option(
        "--key", required=True, type=given_files.FILE, metavar="PUB", help="The holder's SSH public key."
    ),
    click.option("--purpose", required=True, help="Maintenance or repair, and of what (463.3)."),
    click.option("--work-order", required=True, help="The number of the work order."),
    click.option("--unit", "units", required=True, multiple=True, help="Unit id or name; may repeat."),
    click.option(
        "--command",
        "commands",
        multiple=True,
        type=click.Choice(sorted(COMMANDS)),
        help="Default: only repair; factory-reset and update need a second person.",
    ),
    click.option("--for", "length", metavar="LENGTH", help="E.g. 8h, 14d, 365d."),
    click.option(
        "--until",
        metavar="DATE",
        help="End of training or roster entry, YYYY-MM-DD by the department's clock: the last valid day.",
    ),
    click.option(
        "--destroy-up-to",
        type=int,
        default=0,
        metavar="N",
        help="factory-reset: destroy unacknowledged records up to N.",
    ),
    click.option(
        "--destroy-hold",
        "destroy_holds",
        type=int,
        multiple=True,
        metavar="N",
        help="factory-reset: destroy this hold.",
    ),
    click.option(
        "--destroy-log",
        default="",
        metavar="DIGITS",
        help="factory-reset: only of this log, as the console shows it.",
    ),
    desk_access.second_person,
)


@desk_access.desk_verb(grant, "issue", example=ISSUE)
@order_options
@click.option(
    "--designee-key", type=given_files.FILE, metavar="FILE", help="Sign with this delegated key instead."
)
@click.option("--delegation", type=given_files.FILE, metavar="FILE", help="The delegation of that key.")
@desk_access.out_option("FILE", "File for the grant.")
def issue_grant(
    terminal: desk_access.Terminal,
    *,
    order: GrantOrder,
    designee_key: Path | None,
    delegation: Path | None,
    out: Path,
) -> int:
    """Sign a grant with the command key, or up to 4 hours of repair with --designee-key.

    factory-reset and update need a second person: --propose, then --approval.
    """
    at_desk = desk_access.has_desk(terminal.common)
    if (designee_key is None) != (delegation is None):
        raise InvalidInputError("--designee-key and --delegation belong together")
    if (order.propose or order.approval >= 0) and (designee_key is not None or not at_desk):
        raise InvalidInputError("--propose and --approval are for a grant that the desk issues")
    if designee_key is not None and delegation is not None:
        home = DepartmentHome.open(terminal.common.home)
        made = _sign(home, order, load_ed25519(designee_key), lent=given_files.read_bytes(delegation))
        with new_file(out) as file:
            if at_desk:
                terminal.call("grant/enter", calls.SignedForm(bundle=made.to_bytes()))
            file.fill(made.to_bytes())
    elif at_desk and order.propose:
        asked = _issue(terminal, order)
        return terminal.report({"proposal": asked.proposal}, desk_access.wait_words(asked.proposal))
    elif at_desk:
        with new_file(out) as file:
            answer = _issue(terminal, order)
            made = Bundle.parse(answer.bundle)
            file.fill(answer.bundle)
    else:
        home = DepartmentHome.open(terminal.common.home)
        with new_file(out) as file:
            made = _sign(home, order, command_key(home), lent=None)
            file.fill(made.to_bytes())
    return _report(terminal, made, out)


@contextlib.contextmanager
def _office(home: DepartmentHome) -> Iterator[GrantOffice]:
    with contextlib.closing(Department(home)) as department:
        yield GrantOffice(home, department.store)


def _issue(terminal: desk_access.Terminal, order: GrantOrder) -> calls.Granted:
    """The desk's answer. The last day ends on the clocks of the policy in force there."""
    with desk_access.seat(terminal) as call:
        to_us = -1
        if order.until is not None:
            to_us = _end_of(order.until, desk_access.policy_of(call).zone)
        answer: calls.Granted = call("grant/issue", _form(order, to_us))
        return answer


def _form(order: GrantOrder, to_us: int) -> calls.GrantForm:
    return calls.GrantForm(
        person=order.person,
        organisation=order.organization,
        role=GrantRole(order.role),
        holder_key=given_files.public_key(order.key).line,
        purpose=order.purpose,
        work_order=order.work_order,
        units=order.units,
        commands=order.commands,
        hours=_hours(order.length) if order.length else None,
        to_us=to_us,
        destroy_up_to=order.destroy_up_to,
        destroy_holds=order.destroy_holds,
        destroy_log=order.destroy_log,
        propose=order.propose,
        approval=order.approval,
    )


def _sign(home: DepartmentHome, order: GrantOrder, key: Ed25519PrivateKey, *, lent: bytes | None) -> Bundle:
    """Sign here: as a designee under the delegation `lent`, or with the command key if there is no desk yet.

    Raises FormError for a purpose that the desk would not enter, and for an impossible grant.
    """
    calls.check_purpose(order.purpose)
    role, at_us = GrantRole(order.role), now_us()
    usual = (DEFAULT_LIFE_US[role] if lent is None else DESIGNEE_LIMIT_US) // HOUR_US
    with _office(home) as office:
        units = office.unit_ids(list(order.units))
    signed = Grant(
        format=format_of(order.destroy_log),
        grant_id=secrets.token_hex(16),
        person=order.person,
        organisation=order.organization,
        role=role,
        holder_key=given_files.public_key(order.key).blob,
        purpose=order.purpose,
        work_order=order.work_order,
        units=units,
        commands=tuple(sorted(set(order.commands or REPAIR_COMMANDS))),
        issued_us=at_us,
        from_us=at_us,
        to_us=latest_us(role, at_us, _hours(order.length) if order.length else usual, _last_us(home, order)),
        destroy_up_to=order.destroy_up_to,
        destroy_holds=order.destroy_holds,
        destroy_log=order.destroy_log,
    )
    try:
        check_reset_units(signed)
        return issue(signed, key) if lent is None else issue(signed, key, delegation=lent)
    except StorageError as error:
        raise calls.refused_by_form(error) from None


def _last_us(home: DepartmentHome, order: GrantOrder) -> int:
    """The end of the last day named, or -1."""
    if order.until is None:
        return -1
    return _end_of(order.until, signed_policy(home).zone)


def _report(terminal: desk_access.Terminal, bundle: Bundle, out: Path) -> int:
    made = from_bytes(Grant, split(bundle.grant, limit=MAX_BYTES)[1], limit=MAX_BYTES)
    ends = utc_text(made.to_us, to="minute")
    if terminal.common.json:
        facts = {"grant": made.grant_id, "person": made.person, "ends": ends, "file": str(out)}
        print(json.dumps(facts | {"digest": bundle.digest.hex()}))
        return DONE
    print(f"grant {made.grant_id} for {made.person} ({made.role}) until {ends}")
    print(f"commands: {' '.join(made.commands)}")
    print(f"written to {out}; the holder runs: reader grant --grant {out.name} --key KEY CHALLENGE")
    return DONE


@desk_access.desk_verb(
    grant,
    "delegate",
    example="department grant delegate --designee deputy --key-out deputy.key --out deputy.lent --user chief",
)
@click.option("--designee", required=True, help="User name.")
@click.option("--days", type=int, default=30, show_default=True, help="For how long.")
@click.option("--key-out", required=True, type=given_files.FILE, metavar="FILE", help="The new key, 0600.")
@desk_access.out_option("FILE", "The delegation.")
def delegate(terminal: desk_access.Terminal, *, designee: str, days: int, key_out: Path, out: Path) -> int:
    """Let a designee sign repair grants."""
    with new_file(key_out) as key_file, new_file(out) as file:
        if desk_access.has_desk(terminal.common):
            lent = terminal.call("grant/lend", calls.LendForm(designee=designee, days=days))
            signed, key = lent.delegation, lent.key
        else:
            with _office(DepartmentHome.open(terminal.common.home)) as office:
                _, signed, key = office.lend(designee, days, now_us())
        key_file.fill(key)
        file.fill(signed)
    if terminal.common.json:
        print(json.dumps({"designee": designee, "days": days, "key": str(key_out), "file": str(out)}))
        return DONE
    print(f"{designee} may sign repair grants of up to 4 hours for {counted(days, 'day')}, with {key_out}")
    return DONE


@desk_access.desk_verb(grant, "revoke", example="department grant revoke t.okafor --why left --user chief")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@desk_access.text("--why", "why", "The reason, for the record.", required=False)
def revoke(terminal: desk_access.Terminal, *, names: tuple[str, ...], why: str) -> int:
    """Revoke grants permanently: a revoked person or key gets no new one.

    NAME is a grant id, a person, or SHA256:... of a key.
    """
    if desk_access.has_desk(terminal.common):
        revoked = terminal.call("grant/revoke", RevokeForm(names=names, reason=why))
        if terminal.common.json:
            return terminal.show(revoked)
        none = " (none in the log: is the name right?)" if not revoked.ended else ""
        print(f"grants revoked: {revoked.ended}{none}")
        count = revoked.names
    else:
        with _office(DepartmentHome.open(terminal.common.home)) as office:
            count = office.revoke(list(names), now_us())
    print(f"on the revocation list now: {counted(count, 'name')}; units get it with their next sync")
    return DONE


desk_access.form_verb(
    grant,
    "list",
    "grant/list",
    "List grants, newest first.",
    example="department grant list --user chief",
    columns=("grant_id", "person", "role", "unit_names", "work_order", "to_us", "signer", "state"),
)


@desk_access.desk_verb(grant, "enter", example="department grant enter night.grant --user deputy")
@click.argument("file", type=given_files.FILE)
def enter(terminal: desk_access.Terminal, *, file: Path) -> int:
    """Enter a grant that a designee signed with --designee-key elsewhere."""
    return terminal.show(terminal.call("grant/enter", calls.SignedForm(bundle=given_files.read_bytes(file))))


def _hours(text: str) -> int:
    match = _LENGTH.fullmatch(text)
    if match is None:
        raise InvalidInputError(f"{text} is not a length: write hours or days, e.g. 8h or 14d", where="--for")
    hours = int(match[1]) * _HOURS[match[2]]
    if hours == 0:
        raise InvalidInputError(f"{text} is too short: a grant lasts at least an hour", where="--for")
    return hours


def _end_of(day: str, zone: tzinfo) -> int:
    try:
        moment = datetime.strptime(day, "%Y-%m-%d")
    except ValueError:
        raise InvalidInputError(f"{day} is not a day: write YYYY-MM-DD", where="--until") from None
    return end_of_day_us(moment, zone)
