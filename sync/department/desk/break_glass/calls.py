"""Breaking glass at the desk: search now, judge afterwards, list what waits to be judged (463.5 (a))."""

from __future__ import annotations

from dataclasses import dataclass, field

from storage.times import DAY_US
from sync.department.desk.audit.rules import reviewer_for
from sync.department.desk.break_glass import rules
from sync.department.desk.context import DeskContext
from sync.department.desk.desk import Caller, Desk, Plan
from sync.department.desk.inquiry.forms import Answer, Entered, NothingForm, first_entered
from sync.department.desk.inquiry.rules import check_ask
from sync.department.desk.inquiry.searching import carry_out, check_search, search_entry, tidy
from sync.department.journal.change_entries import GlassBroken, GlassJudged
from sync.department.journal.entries import Entry, EntryOf, FindingOpened, LogRead
from sync.department.journal.entry_base import Note
from sync.department.journal.inquiry_entries import Ground, Query
from sync.department.policy.policy import Policy
from sync.department.policy.refusals import NotYetError, refuse_each
from sync.department.policy.roles import Call

DETECTOR = "break_glass"
DETAIL = "emergency search on one person's word"


@dataclass(frozen=True, slots=True, kw_only=True)
class GlassForm:
    """A search to run now, on your word alone. `danger`: whose life is in danger, and how."""

    query: Query
    ground: Ground
    danger: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeForm:
    """The second person's decision on an emergency search. `access`: its access entry."""

    access: int
    justified: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GlassRow:
    """An emergency search that waits for a second person; the repr shows no plate."""

    access: int
    at_us: int
    user: str
    due_us: int
    overdue: bool
    number: str
    purpose: str
    danger: str = field(repr=False)
    justification: str = field(repr=False)
    elements: str = field(repr=False)


def check_form(policy: Policy, form: GlassForm, now_us: int) -> None:
    """Check what the policy asks of an emergency search. Raises FormError naming each wrong field."""
    refuse_each(
        lambda: check_ask(policy, form.query, form.ground, now_us),
        lambda: rules.check_emergency(policy, form.ground, form.danger),
    )


def break_glass(front: DeskContext, token: str, form: GlassForm) -> Answer:
    """Run an emergency search. Its access, the danger and a finding are in the log before a key is used."""
    desk, query = front.desk, tidy(form.query)

    def plan(caller: Caller) -> Plan[Entry]:
        check_form(desk.policy, form, caller.at_us)
        check_search(front, caller, query, form.ground, -1)
        due_us = rules.check_break(
            desk.policy,
            desk.book.glass,
            query,
            form.ground,
            form.danger,
            user=caller.user,
            now_us=caller.at_us,
        )
        access = desk.log.size()
        notes: list[Note] = [
            search_entry(query, form.ground),
            GlassBroken(access=access, danger=form.danger, due_us=due_us),
            *_finding(desk, caller, access),
        ]
        return notes, lambda made: made[0]

    entry = desk.act(token, Call.INQUIRY_BREAK_GLASS, plan)
    return carry_out(front, entry, query)


def _finding(desk: Desk, caller: Caller, access: int) -> list[FindingOpened]:
    """The finding that every emergency search opens. If there is no reviewer, the daily detectors open it
    later."""
    try:
        reviewer = reviewer_for(desk.book.roster, {}, {caller.user})
    except NotYetError:
        return []
    return [
        FindingOpened(
            detector=DETECTOR,
            about=caller.user,
            accesses=(access,),
            reviewer=reviewer,
            due_us=caller.at_us + desk.policy.audit.finding_due_days * DAY_US,
            detail=DETAIL,
        )
    ]


def judge(front: DeskContext, token: str, form: JudgeForm) -> Entered:
    """Judge an emergency search afterwards, as its second person."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[Entered]:
        rules.to_judge(desk.book.glass, form.access, caller.user, form.reason)
        note = GlassJudged(access=form.access, justified=form.justified, reason=form.reason)
        return [note], first_entered

    return desk.act(token, Call.INQUIRY_APPROVE, plan)


def listed(front: DeskContext, token: str, form: NothingForm) -> tuple[GlassRow, ...]:  # noqa: ARG001
    """List emergency searches that wait for a second person, oldest first."""
    desk = front.desk

    def look(caller: Caller) -> tuple[LogRead, tuple[GlassRow, ...]]:
        rows = tuple(_row(desk, entry, caller.at_us) for entry in desk.book.glass.waiting())
        return LogRead(elements="emergency searches", count=len(rows)), rows

    return desk.show(token, Call.INQUIRY_APPROVE, look)


def _row(desk: Desk, entry: EntryOf[GlassBroken], now_us: int) -> GlassRow:
    note = entry.note
    access = desk.access(note.access)
    return GlassRow(
        access=note.access,
        at_us=entry.stamp.at_us,
        user=entry.stamp.user,
        due_us=note.due_us,
        overdue=now_us >= note.due_us,
        number=access.ground.number,
        purpose=access.ground.purpose,
        danger=note.danger,
        justification=access.ground.justification,
        elements=access.elements,
    )
