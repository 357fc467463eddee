"""Changes at the desk: list what waits for a second person, and be that person (463.4)."""

from __future__ import annotations

from dataclasses import dataclass, field

from sync.department.desk.changes import rules
from sync.department.desk.context import DeskContext
from sync.department.desk.desk import Caller, Desk, Plan
from sync.department.desk.inquiry.forms import Entered, NothingForm
from sync.department.desk.words import demand_words
from sync.department.journal.change_entries import ChangeDecided, ChangeProposed
from sync.department.journal.entries import Entry
from sync.department.policy.roles import Call

MINE_SHOWN = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class DecideForm:
    """The second person's word on a proposed change, and why."""

    proposal: int
    granted: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRow:
    """A change that waits. `call`: what will be called; `about`: the user, hold or document it changes."""

    proposal: int
    at_us: int
    user: str
    call: str
    about: str
    summary: str = field(repr=False)


def listed(front: DeskContext, token: str, form: NothingForm) -> tuple[ChangeRow, ...]:  # noqa: ARG001
    """Changes that wait for a second person, the oldest first."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[tuple[ChangeRow, ...]]:
        rows = tuple(
            ChangeRow(
                proposal=entry.sequence,
                at_us=entry.stamp.at_us,
                user=entry.stamp.user,
                call=entry.note.call,
                about=entry.note.about,
                summary=entry.note.summary,
            )
            for entry in desk.book.changes.waiting(desk.policy, caller.at_us)
            if isinstance(entry.note, ChangeProposed)
        )
        return [], lambda _entries: rows

    return desk.act(token, Call.CHANGE_APPROVE, plan)


@dataclass(frozen=True, slots=True, kw_only=True)
class MyChange:
    """A change that the caller proposed. `state`: waiting, approved, refused, made, out of date.

    `second`: who decided; `reason`: why.
    """

    proposal: int
    at_us: int
    call: str
    about: str
    summary: str = field(repr=False)
    state: str
    second: str
    reason: str


def mine(front: DeskContext, token: str, form: NothingForm) -> tuple[MyChange, ...]:  # noqa: ARG001
    """What the caller proposed, the newest first, and how far each came."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[tuple[MyChange, ...]]:
        known = desk.book.changes
        rows = [
            _my_change(desk, entry, caller.at_us)
            for entry in known.proposed.values()
            if entry.stamp.user == caller.user
        ]
        return [], lambda _entries: tuple(rows[::-1][:MINE_SHOWN])

    return desk.act(token, Call.POLICY_READ, plan)


def _my_change(desk: Desk, entry: Entry, now_us: int) -> MyChange:
    note, decided = entry.note, desk.book.changes.decided.get(entry.sequence)
    if not isinstance(note, ChangeProposed):
        raise TypeError("a proposal is an entry of its kind")
    decision = decided.note if decided is not None and isinstance(decided.note, ChangeDecided) else None
    return MyChange(
        proposal=entry.sequence,
        at_us=entry.stamp.at_us,
        call=note.call,
        about=note.about,
        summary=note.summary,
        state=rules.state_of(desk.policy, desk.book.changes, entry, now_us),
        second=decided.stamp.user if decided is not None else "",
        reason=decision.reason if decision is not None else "",
    )


def decide(front: DeskContext, token: str, form: DecideForm) -> Entered:
    """The second person's yes or no."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[Entered]:
        rules.to_decide(desk.policy, desk.book.changes, form.proposal, caller.user, caller.at_us)
        demand_words(form.reason, "say why", code="reason", clause=rules.CLAUSE)
        note = ChangeDecided(proposal=form.proposal, granted=form.granted, reason=form.reason)
        return [note], lambda made: Entered(entry=made[0].sequence)

    return desk.act(token, Call.CHANGE_APPROVE, plan)
