"""Maintenance grants at the desk: the administrator issues them, enters those signed elsewhere, lists them
(463.3).

The entry comes first and is co-signed; only then is the grant signed and handed over. A grant that can
destroy a unit's reads or replace its software first needs a second person; a repair grant does not. A vendor
must be on the roster as a vendor. Other holders are trained personnel on the roster, and the grant ends with
their training.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from storage.codec import omitted, to_bytes
from storage.errors import StorageError
from storage.grant_format import (
    COMMANDS,
    LIMIT_US,
    REPAIR_COMMANDS,
    TWO_PERSON_COMMANDS,
    Grant,
    GrantRole,
    check_reset_units,
    format_of,
    latest_us,
    takes_two_people,
)
from storage.ssh_signature import SshPublicKey, SshSignatureError
from storage.times import DAY_US, HOUR_US, iso_text
from sync.department.desk.changes import rules as changes
from sync.department.desk.context import DeskContext
from sync.department.desk.desk import Caller, Desk, Plan
from sync.department.desk.grants.revoking import demand_not_taken_back
from sync.department.desk.grants.signer import SIGNER
from sync.department.desk.inquiry.forms import Entered, NothingForm, first_entered
from sync.department.desk.people import training
from sync.department.desk.people.on_roster import demand_active
from sync.department.journal.change_entries import ChangeProposed
from sync.department.journal.entries import AccountSet, Entry
from sync.department.journal.office_entries import GrantDelegated, GrantIssued
from sync.department.journal.statements import WHOLE_BYTES
from sync.department.policy.policy import Policy
from sync.department.policy.refusals import DeskRefusal, FormError, demand, refuse_each
from sync.department.policy.roles import Call, Role
from sync.errors import InvalidInputError

CLAUSE = "463.3"
PURPOSES = ("maintenance", "repair")
MAX_TEXT = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantForm:
    """Who is let in, with which key, what for, where, for how long.

    `commands`: if empty, only repair; `hours`: from the moment of issue, by default the usual time of the
    role; `to_us`: the latest end, -1 for none. `destroy_log`: the first digits of the id of the only log that
    a reset may end, as the console shows them. `propose`: only ask for a second person; `approval`: the
    approved proposal, or -1.
    """

    person: str
    organisation: str
    role: GrantRole
    holder_key: str
    purpose: str
    work_order: str
    units: tuple[str, ...]
    commands: tuple[str, ...] = ()
    hours: int | None = None
    to_us: int = -1
    destroy_up_to: int = 0
    destroy_holds: tuple[int, ...] = ()
    destroy_log: str = omitted("")
    propose: bool = False
    approval: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedForm:
    """A grant file to enter, which a designee signed with their delegated key."""

    bundle: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class LendForm:
    """A designee who may sign repair grants for some days."""

    designee: str
    days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """A grant as it is handed over: its entry, its id, when it ends, the file.

    `proposal`: set, without anything else, if the call only asked for a second person.
    """

    entry: int
    grant_id: str
    to_us: int
    commands: tuple[str, ...]
    bundle: bytes = field(repr=False)
    proposal: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Lent:
    """A delegation and the designee's new raw key, handed over once. The repr shows neither."""

    entry: int
    delegation: bytes = field(repr=False)
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantRow:
    """One grant with its state: in force, ended or revoked."""

    entry: int
    grant_id: str
    person: str
    role: str
    units: tuple[str, ...]
    unit_names: tuple[str, ...]
    commands: tuple[str, ...]
    purpose: str
    work_order: str
    from_us: int
    to_us: int
    signer: str
    state: str


def _holder(line: str) -> bytes:
    try:
        return SshPublicKey.from_line(line).blob
    except SshSignatureError as error:
        raise FormError(
            error.what, code="ssh-key", clause=CLAUSE, cure=error.cure, fields=("holder_key",)
        ) from None


def check_purpose(purpose: str) -> None:
    """Demand maintenance or repair as the purpose (463.3). Raises FormError.

    The first word is the purpose; what follows a colon names the object: "repair: rear camera".
    """
    if purpose.partition(":")[0].strip().lower() not in PURPOSES:
        raise FormError(
            "access is granted only for maintenance and repair",
            code="grant-purpose",
            clause=CLAUSE,
            fields=("purpose",),
            cure="start the purpose with " + " or ".join(PURPOSES) + ", e.g. repair: rear camera",
        )


def _check_hours(form: GrantForm) -> None:
    """Refuse more hours than a grant of this role can last. Raises FormError."""
    most = LIMIT_US[form.role] // HOUR_US
    if form.hours is not None and not 1 <= form.hours <= most:
        raise FormError(
            f"GrantForm.hours: a {form.role}'s grant lasts 1 to {most} hours",
            code="hours",
            clause=CLAUSE,
            cure="give whole hours, or leave it empty for the role's usual length",
        )


def _check_end(to_us: int, now_us: int) -> None:
    demand(to_us == -1 or to_us > now_us, "GrantForm.to_us: has passed", code="to_us", clause=CLAUSE)


def _check_text(form: GrantForm, name: str) -> None:
    """Refuse a text that a grant cannot hold. Raises FormError."""
    fits = 1 <= len(getattr(form, name)) <= MAX_TEXT
    demand(fits, f"GrantForm.{name}: has 1 to {MAX_TEXT} characters", code=name, clause=CLAUSE)


def _check_log(form: GrantForm) -> None:
    """Demand the log that the form's records and holds are in, since their numbers belong to one log. Raises
    FormError."""
    names = form.destroy_up_to > 0 or form.destroy_holds
    if "factory-reset" in form.commands and names and not form.destroy_log:
        raise FormError(
            "GrantForm.destroy_log: name the log of the records and holds to destroy",
            code="destroy_log",
            clause=CLAUSE,
            cure="give the log's first digits, as the unit's console shows them when it refuses the reset",
        )


def _whose_log(front: DeskContext, form: GrantForm, units: tuple[str, ...]) -> str:
    """What a second person reads about the log that a reset may end; empty without a reset.

    If a unit opened a log and has not synced since, no department knows that log. Raises FormError for a log
    of another unit.
    """
    if not form.destroy_log:
        return ""
    owners = {unit for log, unit, _ in front.state.unit_logs() if log.startswith(form.destroy_log)}
    if owners - set(units):
        raise FormError(
            "GrantForm.destroy_log: that log is of another unit",
            code="destroy_log",
            clause=CLAUSE,
            cure="take its first digits from the console of the unit that is to be reset",
        )
    known = "" if owners else ", which no unit has delivered here: compare it with the unit's console"
    return f"ends log {form.destroy_log} alone{known}"


def check_grant(_policy: Policy, form: GrantForm, now_us: int) -> None:
    """Check the form of a grant. Raises FormError naming each wrong field."""
    unknown = "GrantForm.commands: names no console command"
    refuse_each(
        *(partial(_check_text, form, name) for name in ("organisation", "work_order")),
        lambda: _holder(form.holder_key),
        lambda: check_purpose(form.purpose),
        lambda: demand(form.units, "GrantForm.units: name at least one", code="units", clause=CLAUSE),
        lambda: demand(set(form.commands) <= COMMANDS, unknown, code="commands", clause=CLAUSE),
        lambda: _check_hours(form),
        lambda: _check_end(form.to_us, now_us),
        lambda: _check_log(form),
    )


def _account_of(desk: Desk, person: str, role: GrantRole) -> AccountSet:
    """The account of a grant's holder. Raises FormError."""
    cure = "the administrator enters the person first, under People, a vendor's people too"
    account = demand_active(desk.book.roster.accounts, person, clause=CLAUSE, cure=cure, fields=("person",))
    if (Role.VENDOR in account.roles) != (role is GrantRole.VENDOR):
        raise FormError(
            "a vendor gets a vendor's grant; other people get a technician's",
            code="grant-role",
            clause=CLAUSE,
            fields=("role",),
        )
    return account


def _demand_own_key(desk: Desk, person: str, key: bytes, *fields: str) -> None:
    """Refuse the key of another person who agreed to the grant or gave it. Raises FormError.

    No one may use a grant under another name.
    """
    accounts = desk.book.roster.accounts.values()
    owners = [one.user for one in accounts if one.active and key in one.ssh_keys]
    if owners and person not in owners:
        raise FormError(
            f"that SSH key is {owners[0]}'s",
            code="ssh-key",
            clause=CLAUSE,
            cure="give the public key of the person who gets in",
            fields=fields,
        )


def _end(desk: Desk, person: str, role: GrantRole, now_us: int, to_us: int) -> int:
    """When the grant ends: no later than its holder's training, except for a vendor. Raises DeskRefusal."""
    if Role.VENDOR in _account_of(desk, person, role).roles:
        return to_us
    training.demand_current(desk.policy, desk.book.trainings, person, now_us, who=f"{person} has")
    return min(to_us, training.ends_us(desk.policy, desk.book.trainings.newest[person]))


def _note(grant: Grant, signer: str) -> GrantIssued:
    return GrantIssued(
        grant_id=grant.grant_id,
        person=grant.person,
        organisation=grant.organisation,
        role=str(grant.role),
        holder=grant.holder.fingerprint,
        purpose=grant.purpose,
        work_order=grant.work_order,
        units=grant.units,
        commands=grant.commands,
        from_us=grant.from_us,
        to_us=grant.to_us,
        digest=hashlib.sha256(to_bytes(grant)).digest(),
        signer=signer,
    )


def issue(front: DeskContext, token: str, form: GrantForm) -> Granted:
    """Issue a grant."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[tuple[Entry, Grant | None]]:
        now = caller.at_us
        refuse_each(
            lambda: _account_of(desk, form.person, form.role),
            lambda: check_grant(desk.policy, form, now),
            lambda: _units(front, form.units),
            lambda: _demand_own_key(desk, form.person, _holder(form.holder_key), "holder_key"),
        )
        ends_us = latest_us(form.role, now, form.hours, form.to_us)
        grant = Grant(
            format=format_of(form.destroy_log),
            grant_id=secrets.token_hex(16),
            person=form.person,
            organisation=form.organisation,
            role=form.role,
            holder_key=_holder(form.holder_key),
            purpose=form.purpose,
            work_order=form.work_order,
            units=_units(front, form.units),
            commands=tuple(sorted(set(form.commands or REPAIR_COMMANDS))),
            issued_us=now,
            from_us=now,
            to_us=_end(desk, form.person, form.role, now, ends_us),
            destroy_up_to=form.destroy_up_to,
            destroy_holds=form.destroy_holds,
            destroy_log=form.destroy_log,
        )
        try:
            grant.check()
            check_reset_units(grant)
        except StorageError as error:
            raise refused_by_form(error) from None
        demand_not_taken_back(desk, grant)
        summary = _summary(grant, front.grants.unit_names(), _whose_log(front, form, grant.units))
        needed = takes_two_people(grant.commands)
        second = desk.second_person(
            caller, "grant/issue", form, about=form.person, summary=summary, needed=needed
        )
        if isinstance(second, ChangeProposed):
            return [second], lambda made: (made[0], None)
        return [*second, _note(grant, SIGNER)], lambda made: (made[-1], grant)

    entry, grant = desk.act(token, Call.GRANT_ISSUE, plan)
    if grant is None:
        return Granted(entry=-1, grant_id="", to_us=-1, commands=(), bundle=b"", proposal=entry.sequence)
    desk.covered(entry.sequence)
    return Granted(
        entry=entry.sequence,
        grant_id=grant.grant_id,
        to_us=grant.to_us,
        commands=grant.commands,
        bundle=front.grants.sign(grant).to_bytes(),
    )


def _summary(grant: Grant, names: Mapping[str, str], ends: str) -> str:
    """What the second person agrees to. `names`: unit id to name; `ends`: the log that a reset may end."""
    units = [names.get(one, one) for one in grant.units]
    holds = ", ".join(str(hold) for hold in grant.destroy_holds[:20])
    parts = (
        f"{grant.role} {grant.person} ({grant.organisation}) at {', '.join(units[:20])}",
        f"until {iso_text(grant.to_us, to='second')}",
        f"commands: {' '.join(grant.commands)}",
        f"destroys records up to {grant.destroy_up_to} that were not delivered"
        if grant.destroy_up_to
        else "",
        f"destroys holds: {holds}" if holds else "",
        ends,
        f"key {grant.holder.fingerprint}",
        f"{grant.purpose}; {grant.work_order}",
    )
    return "; ".join(part for part in parts if part)


def refused_by_form(error: StorageError) -> FormError:
    """The refusal of an impossible grant, naming the field of the form."""
    name = error.where.removeprefix("Grant.")
    if name not in GrantForm.__dataclass_fields__:
        return FormError(str(error), code="grant", clause=CLAUSE, cure=error.cure)
    return FormError(f"GrantForm.{name}: {error.what}", code=name, clause=CLAUSE, cure=error.cure)


def _units(front: DeskContext, names: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return front.grants.unit_ids(names)
    except InvalidInputError as error:
        raise FormError(error.what, code="unit", clause=CLAUSE, cure=error.cure, fields=("units",)) from None


def enter(front: DeskContext, token: str, form: SignedForm) -> Entered:
    """Enter a grant that a designee signed at night."""
    desk = front.desk

    def plan(_caller: Caller) -> Plan[Entered]:
        demand(
            len(form.bundle) <= WHOLE_BYTES,
            f"a grant's file has at most {WHOLE_BYTES} bytes",
            code="bundle",
            clause=CLAUSE,
            cure="give a grant for fewer units or commands",
        )
        try:
            grant, signer = front.grants.opened(form.bundle)
        except StorageError as error:
            raise refused_by_form(error) from None
        check_purpose(grant.purpose)
        _demand_repair(grant)
        _demand_own_key(desk, grant.person, grant.holder_key, "bundle")
        if grant.grant_id in desk.book.grants.issued:
            raise FormError("that grant is in the log", code="entered", clause=CLAUSE)
        return [_note(grant, signer)], first_entered

    return desk.act(token, Call.GRANT_ENTER, plan)


def _demand_repair(grant: Grant) -> None:
    """Demand a repair grant: one that takes two people is issued at the desk, before it is signed. Raises
    DeskRefusal."""
    if takes_two_people(grant.commands):
        grave = sorted(TWO_PERSON_COMMANDS.intersection(grant.commands))
        raise DeskRefusal(
            f"{' and '.join(grave)} take two people, and this grant was signed without the second",
            code="second-person",
            clause=changes.CLAUSE,
            cure="the administrator proposes it at the desk, under Grants",
        )


def lend(front: DeskContext, token: str, form: LendForm) -> Lent:
    """Let a designee sign grants of up to four hours of repair."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[tuple[Entry, bytes, bytes]]:
        account = desk.book.roster.accounts.get(form.designee)
        roles = desk.book.roster.roles_of(form.designee, caller.at_us)
        if account is None or Role.DESIGNEE not in roles:
            raise FormError("that person is not a designee on the roster", code="no-such-user", clause=CLAUSE)
        ends_us = desk.book.roster.designations.get(form.designee, caller.at_us + 366 * DAY_US)
        most = min(366, (ends_us - caller.at_us) // DAY_US)
        if not 1 <= form.days <= most:
            raise FormError(
                f"a delegation lasts 1 day at least, and {most} at most: the designation ends then",
                code="days",
                clause=CLAUSE,
            )
        made, signed, key = front.grants.lend(form.designee, form.days, caller.at_us)
        note = GrantDelegated(
            designee=made.designee, public_key=made.public_key, from_us=made.from_us, to_us=made.to_us
        )
        return [note], lambda entries: (entries[0], signed, key)

    entry, signed, key = desk.act(token, Call.GRANT_ISSUE, plan)
    desk.covered(entry.sequence)
    return Lent(entry=entry.sequence, delegation=signed, key=key)


def listed(front: DeskContext, token: str, form: NothingForm) -> tuple[GrantRow, ...]:  # noqa: ARG001
    """List all grants, newest first."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[tuple[GrantRow, ...]]:
        grants, names = desk.book.grants, front.grants.unit_names()
        rows = [
            GrantRow(
                entry=entry.sequence,
                grant_id=note.grant_id,
                person=note.person,
                role=note.role,
                units=note.units,
                unit_names=tuple(names.get(unit, unit) for unit in note.units),
                commands=note.commands,
                purpose=note.purpose,
                work_order=note.work_order,
                from_us=note.from_us,
                to_us=note.to_us,
                signer=note.signer,
                state="in force"
                if grants.in_force(note, caller.at_us)
                else "ended"
                if caller.at_us >= note.to_us
                else "revoked",
            )
            for entry in grants.issued.values()
            for note in (entry.note,)
        ]
        return [], lambda _entries: tuple(reversed(rows))

    return desk.act(token, Call.GRANT_READ, plan)
