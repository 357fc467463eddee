"""Calls about units and the store: let a unit join, revoke it, purge what is due, bring a closed log.

Each is entered before it is carried out (463.4, 463.8).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import structlog

from sync.department.desk.context import DeskContext, PurgedDay, UnitRow
from sync.department.desk.desk import Caller, Plan
from sync.department.desk.inquiry.forms import Entered, NothingForm
from sync.department.desk.words import demand_words
from sync.department.ground.unit_names import alike
from sync.department.journal.machine_entries import (
    ClosedLogBrought,
    PurgeAsked,
    ResetHanded,
    UnitCodeIssued,
    UnitRevoked,
)
from sync.department.policy.refusals import FormError
from sync.department.policy.roles import Call
from sync.errors import InvalidInputError, RefusedByDepartmentError

CLAUSE = "463.4"
MAX_NAME = 64
log_events = structlog.get_logger("department.desk")


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitForm:
    """A new unit, by the name that it will have, or a unit whose certificate ended, by its name."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeUnitForm:
    """A unit to revoke, by name or id, and the reason."""

    unit: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BringForm:
    """A closed log that was brought on its unit's card: its id in hex, how much of it verifies, and the
    reason."""

    log: str
    records: int
    digest: bytes
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitCode:
    """The one-time code with which a unit of this name joins, and for how many hours it is valid."""

    entry: int
    name: str
    code: str = field(repr=False)
    hours: int


def issue_code(front: DeskContext, token: str, form: UnitForm) -> UnitCode:
    """Make the code with which a new unit joins, or a unit whose certificate ended comes back.

    No other unit can use the latter. The entry comes first.
    """

    def plan(caller: Caller) -> Plan[int]:
        if not 1 <= len(form.name) <= MAX_NAME or not form.name.isprintable():
            what = f"a unit's name has 1 to {MAX_NAME} printable characters"
            raise FormError(what, code="unit-name", clause=CLAUSE)
        found = front.state.units(caller.at_us)
        enrolled = [one.name for one in found]
        if any(one.name == form.name and not _is_cut_off(one, caller.at_us) for one in found):
            raise FormError(
                "a unit of that name is enrolled",
                code="unit-name",
                clause=CLAUSE,
                cure="revoke it first, or choose another",
            )
        if same := alike(form.name, enrolled):
            raise FormError(
                f"a unit named {same} is enrolled, and people would confuse the two",
                code="unit-name",
                clause=CLAUSE,
                cure="revoke it first, or choose a name that differs in more than case, spaces and symbols",
            )
        return [UnitCodeIssued(name=form.name, digest=code.digest())], lambda made: made[0].sequence

    code = front.new_code()
    entry = front.desk.act(token, Call.DOCUMENT_SIGN, plan)
    try:
        hours = front.let_join(form.name, code)
    except InvalidInputError as error:
        raise FormError(error.what, code="unit-name", clause=CLAUSE, cure=error.cure) from None
    front.desk.try_cover(entry)
    return UnitCode(entry=entry, name=form.name, code=code.text(), hours=hours)


def _is_cut_off(unit: UnitRow, at_us: int) -> bool:
    """Whether a unit can no longer sync, because its certificate ended while it was off."""
    return unit.reset_us < 0 and 0 <= unit.certificate_ends_us <= at_us


def revoke(front: DeskContext, token: str, form: RevokeUnitForm) -> Entered:
    """Take a unit out of service. The entry comes first."""

    def plan(caller: Caller) -> Plan[int]:
        demand_words(form.reason, "say why", code="reason", clause=CLAUSE)
        enrolled = front.state.units(caller.at_us)
        if not any(form.unit in {one.name, one.unit} for one in enrolled):
            meant = alike(form.unit, [one.name for one in enrolled])
            raise FormError(
                "no enrolled unit has that name or id",
                code="unit",
                clause=CLAUSE,
                cure=f"did you mean {meant}?" if meant else "department enroll --list",
            )
        return [UnitRevoked(unit=form.unit, reason=form.reason)], lambda made: made[0].sequence

    entry = front.desk.act(token, Call.DOCUMENT_SIGN, plan)
    try:
        front.shut_out(form.unit, form.reason)
    except InvalidInputError as error:
        raise FormError(error.what, code="unit", clause=CLAUSE) from None
    front.desk.try_cover(entry)
    return Entered(entry=entry)


def repeat_revocations(front: DeskContext) -> list[str]:
    """Revoke again, in the store, units whose newest entry in the log is a revocation. Returns their names.

    The server does so at its start and daily, because a store restored from a backup lacks the revocations.
    """
    units = front.state.joined()
    with front.desk.looking() as book:
        back = [one for one in units if not one.revoked and book.joined.ended(one)]
    for one in back:
        front.shut_out(one.unit_id, "the log revoked it, and the store had taken it back")
        cure = "was the store restored from a backup?"
        log_events.warning("unit_revoked_again", unit=one.unit_id, cure=cure)
    return [one.name for one in back]


def purge(front: DeskContext, token: str, form: NothingForm) -> tuple[PurgedDay, ...]:  # noqa: ARG001
    """Purge what is due now, as the daily run does. The entry comes first."""

    def plan(_caller: Caller) -> Plan[int]:
        return [PurgeAsked()], lambda made: made[0].sequence

    entry = front.desk.act(token, Call.CHANGE_APPROVE, plan)
    done = tuple(front.purge())
    front.desk.try_cover(entry)
    return done


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetForm:
    """The destruction receipt, as bytes, that a unit printed when it was reset."""

    receipt: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetTaken:
    """What a receipt says. `undelivered`: how many reads the department never received."""

    entry: int
    unit: str
    undelivered: int
    records: int


def hand_reset(front: DeskContext, token: str, form: ResetForm) -> ResetTaken:
    """Hand in the destruction receipt of a unit that could not send it. The entry comes first."""

    def plan(_caller: Caller) -> Plan[int]:
        digest = hashlib.sha256(form.receipt).digest()
        return [ResetHanded(digest=digest)], lambda made: made[0].sequence

    entry = front.desk.act(token, Call.INCIDENT_CLOSE, plan)
    try:
        unit, undelivered, records = front.take_reset(form.receipt)
    except RefusedByDepartmentError as error:
        raise FormError(error.what, code="reset-receipt", clause="463.8") from None
    front.desk.try_cover(entry)
    return ResetTaken(entry=entry, unit=unit, undelivered=undelivered, records=records)


def bring(front: DeskContext, token: str, form: BringForm) -> Entered:
    """Enter that a closed log is taken in from its unit's card, before it is taken in."""

    def plan(_caller: Caller) -> Plan[int]:
        demand_words(form.reason, "say where the card comes from", code="reason", clause="463.8")
        if len(form.log) != 64 or len(form.digest) != 32 or form.records < 0:
            raise FormError("names no log", code="closed-log", clause="463.8")
        note = ClosedLogBrought(log=form.log, records=form.records, digest=form.digest, reason=form.reason)
        return [note], lambda made: made[0].sequence

    entry = front.desk.act(token, Call.INCIDENT_CLOSE, plan)
    front.desk.try_cover(entry)
    return Entered(entry=entry)
