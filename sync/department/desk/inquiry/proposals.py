"""A person's own searches without a full plate: whether a second person agreed, until when (463.5 (a))."""

from __future__ import annotations

from dataclasses import dataclass

from storage.times import HOUR_US
from sync.department.desk.context import DeskContext
from sync.department.desk.desk import Caller, Desk, Plan
from sync.department.desk.inquiry.forms import NothingForm
from sync.department.desk.inquiry.rules import can_be_run
from sync.department.desk.people.on_roster import is_here
from sync.department.journal.entries import Entry
from sync.department.journal.inquiry_entries import Ground, Query, SearchProposed
from sync.department.policy.roles import Call


@dataclass(frozen=True, slots=True, kw_only=True)
class MyProposal:
    """A search of yours that takes a second person. `state`: waiting, approved, refused, run, out of date.

    `second`, `reason`: who decided, and why; `until_us`: until when an approval can be used, else -1.
    """

    proposal: int
    at_us: int
    state: str
    query: Query
    ground: Ground
    second: str
    reason: str
    until_us: int


def proposals(front: DeskContext, token: str, form: NothingForm) -> tuple[MyProposal, ...]:  # noqa: ARG001
    """List your searches that take a second person, newest first: waiting, approved, refused, run."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[tuple[MyProposal, ...]]:
        rows = [
            _row(desk, entry, entry.note, caller.at_us)
            for entry in desk.book.queue.proposed.values()
            if entry.stamp.user == caller.user
        ]
        return [], lambda _entries: tuple(reversed(rows))

    return desk.act(token, Call.INQUIRY_RUN, plan)


def _row(desk: Desk, entry: Entry, note: SearchProposed, now_us: int) -> MyProposal:
    queue, roster = desk.book.queue, desk.book.roster
    decision = queue.decided.get(entry.sequence)
    said = decision.note if decision is not None else None
    until_us = (
        decision.stamp.at_us + desk.policy.inquiry.approval_hours * HOUR_US
        if decision is not None and decision.note.granted
        else -1
    )
    if said is None:
        state = "waiting" if can_be_run(roster, entry, now_us) else "out of date"
    elif not said.granted:
        state = "refused"
    elif entry.sequence in queue.used:
        state = "run"
    else:
        state = "approved" if is_here(roster, entry) and now_us <= until_us else "out of date"
    return MyProposal(
        proposal=entry.sequence,
        at_us=entry.stamp.at_us,
        state=state,
        query=note.query,
        ground=note.ground,
        second=decision.stamp.user if decision is not None else "",
        reason=said.reason if said is not None else "",
        until_us=until_us,
    )
