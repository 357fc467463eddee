"""Incidents at the desk: list them, and close each with two people's statements (463.8).

A unit's log that contradicts its past was closed when that was noticed. Here two people state what had
happened. Their statements are entries, which the store's table only repeats.
"""

from __future__ import annotations

from dataclasses import dataclass

from sync.department.desk.context import DeskContext
from sync.department.desk.desk import Caller, Plan
from sync.department.desk.grants import rules
from sync.department.desk.inquiry.forms import NothingForm
from sync.department.journal.office_entries import IncidentSettled
from sync.department.policy.refusals import FormError
from sync.department.policy.roles import Call
from sync.department.store.incidents import StoredIncident


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleForm:
    """An incident as the list showed it (number, kind, unit and time), and what was found out about it."""

    incident: int
    kind: str
    unit: str = ""
    opened_us: int
    finding: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settling:
    """One person's statement: its entry, and whether it closed the incident."""

    entry: int
    closed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentRow:
    """An incident with its state. `state`: open, waits for a second person, closed."""

    incident: int
    at_us: int
    unit: str
    unit_name: str
    kind: str
    detail: str
    times: int
    state: str
    first_by: str
    second_by: str
    finding: str


def listed(front: DeskContext, token: str, form: NothingForm) -> tuple[IncidentRow, ...]:  # noqa: ARG001
    """List all incidents, open ones first."""
    desk = front.desk

    def plan(_caller: Caller) -> Plan[tuple[IncidentRow, ...]]:
        rows = [_row(front, one) for one in front.incidents.listed()]
        rows.sort(key=lambda one: (one.state == "closed", one.incident))
        return [], lambda _entries: tuple(rows)

    return desk.act(token, Call.INCIDENT_READ, plan)


def _row(front: DeskContext, one: StoredIncident) -> IncidentRow:
    book = front.desk.book
    first, second = book.settled.words(one, book.signers.second)
    state = "closed" if second else "waits for a second person" if first else "open"
    return IncidentRow(
        incident=one.number,
        at_us=one.at_us,
        unit=one.unit_id or "",
        unit_name=one.unit_name,
        kind=one.kind,
        detail=one.detail,
        times=one.times,
        state=state,
        first_by=first.stamp.user if first else "",
        second_by=second.stamp.user if second else "",
        finding="; ".join(word.note.finding for word in (first, second) if word is not None),
    )


def close(front: DeskContext, token: str, form: SettleForm) -> Settling:
    """State that an incident is settled. When a second person states that too, it is closed."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[Settling]:
        known = next((one for one in front.incidents.listed() if one.number == form.incident), None)
        if known is None:
            raise FormError("there is no such incident", code="no-incident", clause="463.8")
        if (form.kind, form.unit, form.opened_us) != (known.kind, known.unit_id or "", known.at_us):
            raise FormError(
                "that number belongs to another incident",
                code="other-incident",
                clause="463.8",
                cure="list the incidents again",
            )
        people = desk.book.signers.second
        second = rules.to_settle(desk.book.settled, known, people, caller.user, form.finding)
        note = IncidentSettled(
            incident=form.incident,
            kind=known.kind,
            unit=known.unit_id or "",
            opened_us=known.at_us,
            finding=form.finding,
            second=second,
        )
        return [note], lambda made: Settling(entry=made[0].sequence, closed=second)

    made = desk.act(token, Call.INCIDENT_CLOSE, plan)
    desk.try_cover(made.entry)
    repeat(front)
    return made


def repeat(front: DeskContext) -> None:
    """Copy closed incidents from the log into the store, after each closing and daily. Raises StoreError."""
    book = front.desk.book
    for one in front.incidents.listed():
        first, second = book.settled.words(one, book.signers.second)
        if first is not None and second is not None and one.closed_us is None:
            front.incidents.settle(one.number, first.stamp.user, second.stamp.user, second.stamp.at_us)
