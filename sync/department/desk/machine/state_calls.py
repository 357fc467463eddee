"""The state of units and of retention, shown at the desk (463.8)."""

from __future__ import annotations

from dataclasses import dataclass

from storage.times import DAY_US, day_text
from sync.department.desk.context import DeskContext, OfferedDocument, UnitRow
from sync.department.desk.desk import Caller, Desk, Plan
from sync.department.desk.inquiry.forms import NothingForm
from sync.department.journal.change_entries import DayCounted
from sync.department.journal.hold_entries import Purged
from sync.department.policy.roles import Call
from sync.department.policy.system_terms import purge_due_us


@dataclass(frozen=True, slots=True, kw_only=True)
class RetainedDay:
    """One day of receipt (YYYY-MM-DD, UTC). `due_us`: when its purge is due; `reads`: -1 before they are
    counted.

    `purged_us`: -1 while it is kept; `receipt`: SHA-256 of the signed purge receipt, or empty.
    """

    day: str
    due_us: int
    reads: int
    purged_us: int
    overdue: bool
    receipt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """What is purged when. `held_reads`: those under open holds, which outlive their day; `days`: oldest
    first."""

    keep_days: int
    held_reads: int
    open_holds: int
    days: tuple[RetainedDay, ...]


def units(front: DeskContext, token: str, form: NothingForm) -> tuple[UnitRow, ...]:  # noqa: ARG001
    """List each unit with its newest health report: numbers and fixed words, no place."""

    def plan(caller: Caller) -> Plan[tuple[UnitRow, ...]]:
        rows = tuple(front.state.units(caller.at_us))
        return [], lambda _entries: rows

    return front.desk.act(token, Call.COMPLIANCE_READ, plan)


def offered(front: DeskContext, token: str, form: NothingForm) -> tuple[OfferedDocument, ...]:  # noqa: ARG001
    """List the newest version of each configuration and update that units are offered, with its signed
    bytes."""

    def plan(_caller: Caller) -> Plan[tuple[OfferedDocument, ...]]:
        rows = tuple(front.state.offered())
        return [], lambda _entries: rows

    return front.desk.act(token, Call.COMPLIANCE_READ, plan)


def retention(front: DeskContext, token: str, form: NothingForm) -> Retention:  # noqa: ARG001
    """List when each day of receipt is purged, and the receipts of purged days."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[int]:
        return [], lambda _entries: caller.at_us

    now_us = desk.act(token, Call.COMPLIANCE_READ, plan)
    purged, counts = _purged(desk), _counted(desk)
    keep_days = desk.policy.retention.keep_days
    rows = []
    for one in front.state.days():
        name, due_us = day_text(one.day), purge_due_us(one.day, keep_days)
        gone = purged.get(name)
        rows.append(
            RetainedDay(
                day=name,
                due_us=due_us,
                reads=gone.reads if gone else counts.get(name, -1),
                purged_us=one.purged_us,
                overdue=one.purged_us < 0 and now_us >= due_us + DAY_US,
                receipt=gone.receipt.hex() if gone else "",
            )
        )
    with desk.looking() as book:
        held_reads, open_holds = len(book.holds.held_reads()), len(book.holds.open_holds())
    return Retention(
        keep_days=keep_days,
        held_reads=held_reads,
        open_holds=open_holds,
        days=tuple(rows),
    )


def _purged(desk: Desk) -> dict[str, Purged]:
    notes = (entry.note for entry in desk.log.entries(kinds=(Purged.KIND,)))
    return {note.day: note for note in notes if isinstance(note, Purged)}


def _counted(desk: Desk) -> dict[str, int]:
    notes = (entry.note for entry in desk.log.entries(kinds=(DayCounted.KIND,)))
    return {note.day: note.reads for note in notes if isinstance(note, DayCounted)}
