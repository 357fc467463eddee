"""Alerts at the desk: list, show, transcribe, answer, CLETS, close (463.7). The hot list entry is shown last.

To look at the image and to open what a unit recorded are accesses under 463.5 (b). Each is in the log before
its answer leaves.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from storage.alert_life import (
    AlertEvent,
    AlertStep,
    Fit,
    Outcome,
    Wanted,
    compare,
    demand_step,
    typed_by,
    verdict_of,
)
from storage.errors import RecordError, RefusedError
from storage.leaf import IMAGES
from storage.plate_states import known_state
from storage.read_records import Alert
from sync.department.content.alert_records import open_records
from sync.department.content.reads import parse_name
from sync.department.desk.alerts.opening import access_of, gone, open_waiting
from sync.department.desk.alerts.rules import AlertRow
from sync.department.desk.alerts.sight import open_for, sees
from sync.department.desk.context import DeskContext
from sync.department.desk.desk import Caller, Desk, Plan
from sync.department.desk.inquiry.forms import Images, NothingForm
from sync.department.desk.inquiry.searching import open_reads
from sync.department.journal.alert_entries import AlertStepTaken, alert_words
from sync.department.journal.entries import Entry, LogRead
from sync.department.policy.refusals import DeskRefusal, FormError
from sync.department.policy.roles import Call
from sync.hot_lists.entry import ListEntry

CLAUSE = "463.7"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertForm:
    """One alert, by its name."""

    alert: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscribeForm:
    """Plate and state as the image shows them; `?` for a character that cannot be read."""

    alert: str
    plate: str = field(repr=False)
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerForm:
    """Whether the vehicle in the picture matches the entry: yes, no, cannot-tell."""

    alert: str
    fit: Fit


@dataclass(frozen=True, slots=True, kw_only=True)
class CletsForm:
    """The CLETS reference, or why it was not practicable."""

    alert: str
    practicable: bool
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseForm:
    """How the alert ended."""

    alert: str
    outcome: Outcome
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertLine:
    """One open alert as the list shows it, without its plate, entry or read.

    `sighting_of`: for a later sighting of the same vehicle, by another unit or at another visit, the oldest
    open alert of that entry; empty for the first sighting. `raised_us`: by the unit's clock. `since_us`: the
    same, but when the desk learned of the alert if the unit's time is later or more than a day earlier.
    `owes_clets`: confirmed, and no one has entered a CLETS reference since.
    """

    alert: str
    unit: str
    sighting_of: str
    says: str
    raised_us: int
    since_us: int
    sounded: bool
    silent: tuple[str, ...]
    stale: bool
    recalled: bool
    answer: str
    owes_clets: bool
    next: str
    overdue: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """The entry, and what was typed compared with it. The repr shows neither.

    `slots`: (character typed, character of the entry, whether they agree) for each place.
    """

    line: AlertLine
    slots: tuple[tuple[str, str, bool], ...] = field(repr=False)
    state: str
    make: str
    model: str
    color: str
    year: int | None
    plate_class: str
    reason: str = field(repr=False)
    case: str = field(repr=False)
    agency: str
    list_id: str
    source: str
    score: float
    threshold: float
    twin: bool
    disagrees: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Figures for the supervisor: (source, checked, rejected, silent) and (verifier, planted, caught)."""

    sources: tuple[tuple[str, int, int, bool], ...]
    verifiers: tuple[tuple[str, int, int], ...]
    cleared: int
    open: int
    overdue: int


def listed(front: DeskContext, token: str, form: NothingForm) -> tuple[AlertLine, ...]:  # noqa: ARG001
    """List the open alerts. This first opens what units recorded since the last call, which is an access."""
    desk = front.desk
    caller = open_waiting(front, token)
    if caller is None:
        caller, entry = _enter_list(desk, token)
        desk.covered(entry.sequence)
    with desk.looking():
        rows = open_for(desk, caller.user, caller.at_us)
    numbers = gone(front, rows)  # a long list takes a while to open
    rows = [_recalled(row, caller.at_us) if row.number in numbers else row for row in rows]
    with desk.looking():
        return tuple(_line(desk, row, caller.user, caller.at_us) for row in rows)


def _enter_list(desk: Desk, token: str) -> tuple[Caller, Entry]:
    def plan(caller: Caller) -> Plan[tuple[Caller, Entry]]:
        note = LogRead(elements="alerts", count=len(open_for(desk, caller.user, caller.at_us)))
        return [note], lambda made: (caller, made[0])

    return desk.act(token, Call.ALERT_LIST, plan)


def show(front: DeskContext, token: str, form: AlertForm) -> Images:
    """Look at the images. This is an access, and nothing can be typed before it.

    The answer does not name the read, since the number of an old read would reveal a planted mismatch.
    """
    desk = front.desk
    _record(front, token, form.alert)

    def plan(caller: Caller) -> Plan[tuple[Entry, str]]:
        row = _row(front, caller, form.alert)
        parse_name(row.known.read)
        step = _step(caller, AlertEvent.VIEWED)
        _demand(row, step, Wanted(plate="", state=""))
        note = access_of("alert-image", alert_words("alert-image", row.number), (row.known.read,))
        taken = AlertStepTaken(alert=row.known.alert, unit="", step=step)
        return [note, taken], lambda made: (made[0], row.known.read)

    entry, read = desk.act(token, Call.ALERT_VERIFY, plan)
    front.bell.ring()
    try:
        opened, unwitnessed = open_reads(front, entry, Call.ALERT_VERIFY, (read,), IMAGES)
    except DeskRefusal as error:
        # the key service was replaced or has an older disk: open the record again
        if error.code == "other-alert":
            front.alert_facts.clear()
        raise
    parts = opened[0].elements
    return Images(
        access=entry.sequence,
        read="",
        patch=parts["patch"].content if "patch" in parts else b"",
        overview=parts["overview"].content if "overview" in parts else b"",
        unwitnessed=unwitnessed,
    )


def transcribe(front: DeskContext, token: str, form: TranscribeForm) -> Compared:
    """Type the plate and state that the image shows. The answer shows the entry, slot by slot."""
    record = _record(front, token, form.alert)
    try:
        state = known_state(form.state)
    except RecordError as error:
        raise FormError(error.what, code="state", clause=CLAUSE, cure=error.cure) from None
    fields = {"plate": form.plate, "state": state}
    return _taken(front, token, form.alert, AlertEvent.TRANSCRIBED, record, fields)


def answer(front: DeskContext, token: str, form: AnswerForm) -> Compared:
    """Say whether the vehicle matches. The answer is computed from what was typed."""
    record = _record(front, token, form.alert)
    return _taken(front, token, form.alert, AlertEvent.ANSWERED, record, {"fit": form.fit})


def clets(front: DeskContext, token: str, form: CletsForm) -> AlertLine:
    """Enter the CLETS reference of a confirmed alert."""
    fields = {"practicable": form.practicable, "text": form.text}
    return _taken(front, token, form.alert, AlertEvent.CLETS, None, fields).line


def close(front: DeskContext, token: str, form: CloseForm) -> AlertLine:
    """End an alert with its outcome."""
    fields = {"outcome": form.outcome, "text": form.text}
    return _taken(front, token, form.alert, AlertEvent.CLOSED, None, fields).line


def figures(front: DeskContext, token: str, form: NothingForm) -> Figures:  # noqa: ARG001
    """List sources by their share of rejected hits, and verifiers by their planted mismatches."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[Figures]:
        alerts, terms = desk.book.alerts.known_to(caller.user, caller.roles), desk.policy.alerts
        made = Figures(
            sources=tuple(
                (one.source, one.checked, one.rejected, one.muted(terms)) for one in alerts.sources()
            ),
            verifiers=tuple((one.user, one.planted, one.caught) for one in alerts.verifiers()),
            cleared=len(alerts.cleared()),
            open=len(alerts.open()),
            overdue=len(alerts.overdue(terms, caller.at_us)),
        )
        return [LogRead(elements="figures of alerts", count=len(made.sources))], lambda _entries: made

    return desk.act(token, Call.COMPLIANCE_READ, plan)


def _record(front: DeskContext, token: str, number: str) -> Alert | None:
    """What the unit recorded of an alert. If this process has not opened it yet, opening it is an access.

    For a planted mismatch, this is the record of the alert that its picture is from. None if there is no such
    alert, or it is from an older log.
    """
    desk = front.desk
    row = desk.book.alerts.find(number)
    if row is None:
        return None
    name, recorded = row.known.alert, row.known.record
    known = front.alert_facts.get(name)
    if known is not None or not recorded:
        return known
    found = front.alerts.named([recorded])

    def plan(caller: Caller) -> Plan[Entry]:
        _row(front, caller, name)
        if not found:
            raise FormError(
                "that alert is not here: it was purged, or never sent", code="no-alert", clause="463.8"
            )
        return [access_of("alert", alert_words("alert", row.number), (recorded,))], lambda made: made[0]

    entry = desk.act(token, Call.ALERT_VERIFY, plan)
    (record,) = open_records(front.door, desk.covered(entry.sequence), found)
    if not isinstance(record, Alert):
        raise FormError("that is not an alert", code="no-alert", clause=CLAUSE)
    front.alert_facts[name] = record
    return record


def _taken(  # noqa: PLR0917 - one step
    front: DeskContext, token: str, name: str, kind: AlertEvent, record: Alert | None, fields: dict[str, Any]
) -> Compared:
    """Take a step, and compute what follows from it."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[tuple[Entry, Compared]]:
        row = _row(front, caller, name)
        wanted = _wanted(row, record)
        step = _step(caller, kind, **fields)
        if kind is AlertEvent.ANSWERED and step.fit is not None:
            typed = typed_by(row.state, caller.user)
            if typed is None:
                raise DeskRefusal("type plate and state first", code="transcribe", clause=CLAUSE)
            step = _step(caller, kind, fit=step.fit, answer=verdict_of(typed, step.fit, wanted))
        _demand(row, step, wanted)
        after = AlertRow(row.known, row.state.after(step, caller.at_us), row.number)
        compared = _compared(desk, after, record, wanted, caller)
        return [AlertStepTaken(alert=row.known.alert, unit="", step=step)], lambda made: (made[0], compared)

    entry, compared = desk.act(token, Call.ALERT_VERIFY, plan)
    front.bell.ring()
    desk.covered(entry.sequence)
    if kind is AlertEvent.ANSWERED:
        front.offer_cleared()
    return compared


def _row(front: DeskContext, caller: Caller, name: str) -> AlertRow:
    row = front.desk.book.alerts.find(name)
    if row is None or not sees(front.desk, row, caller.user, caller.at_us):
        raise FormError("there is no such alert", code="no-alert", clause=CLAUSE, cure="list them again")
    return _recalled(row, caller.at_us) if gone(front, [row]) else row


def newest_line(front: DeskContext, name: str, user: str) -> AlertLine | None:
    """The current state of an alert that a session has on its page; None once it has ended or its person may
    not see it.

    This makes no entry, because the session's own look at the alert has one.
    """
    desk = front.desk
    now_us = desk.now_us()
    with desk.looking() as book:
        row = book.alerts.find(name)
        if row is None or row.state.closed or not sees(desk, row, user, now_us):
            return None
    row = _recalled(row, now_us) if gone(front, [row]) else row
    with desk.looking():
        return _line(desk, row, user, now_us)


def _recalled(row: AlertRow, at_us: int) -> AlertRow:
    """The row of an alert whose list no longer has its entry, before a sync brings the unit's own recall."""
    recalled = AlertStep(step=AlertEvent.RECALLED, user="", role="system", at_us=at_us)
    return AlertRow(row.known, row.state.after(recalled), row.number, row.hidden_from)


def _step(caller: Caller, kind: AlertEvent, **fields: Any) -> AlertStep:
    return AlertStep(step=kind, user=caller.user, role=caller.role.value, at_us=caller.at_us, **fields)


def _demand(row: AlertRow, step: AlertStep, wanted: Wanted) -> None:
    try:
        demand_step(row.state, step, wanted)
    except RefusedError as error:
        raise DeskRefusal(error.what, code="alert-step", clause=CLAUSE, cure=error.cure) from None


def _wanted(row: AlertRow, record: Alert | None) -> Wanted:
    known = row.known
    entry = None if record is None else ListEntry.from_bytes(record.entry)
    state = known.planted_state if entry is None else entry.state
    plate = "" if entry is None else entry.plate
    return Wanted(
        plate=known.planted_plate or plate,
        state=state,
        requester=known.requester,
        approver="" if entry is None else entry.approver,
        planted=row.planted,
    )


def _compared(desk: Desk, row: AlertRow, record: Alert | None, wanted: Wanted, caller: Caller) -> Compared:
    typed = typed_by(row.state, caller.user)
    slots = () if typed is None or not wanted.plate else compare(typed.plate, wanted.plate)
    entry = None if record is None else ListEntry.from_bytes(record.entry)
    return Compared(
        line=_line(desk, row, caller.user, caller.at_us),
        slots=tuple((one.typed, one.wanted, one.agrees) for one in slots),
        state=wanted.state,
        make=entry.make if entry else "",
        model=entry.model if entry else "",
        color=entry.color if entry else "",
        year=entry.year if entry else None,
        plate_class=entry.plate_class if entry else "",
        reason=entry.reason if entry else "",
        case=entry.case if entry else "",
        agency=entry.agency if entry else "",
        list_id=row.known.list_id,
        source=row.known.source,
        score=record.score if record else 0.0,
        threshold=desk.policy.alerts.sound_score,
        twin=record.twin and not set(wanted.plate).isdisjoint("0O1I") if record else False,
        disagrees=record.disagrees if record else (),
    )


def _line(desk: Desk, row: AlertRow, user: str, now_us: int) -> AlertLine:
    terms, known = desk.policy.alerts, row.known
    category = terms.category(known.category)
    return AlertLine(
        alert=str(row.number),
        unit=known.unit,
        sighting_of=desk.book.alerts.first_of(row, user),
        says=category.says if category is not None else known.category,
        raised_us=known.raised_us,
        since_us=row.since_us,
        sounded=not known.silent,
        silent=known.silent,
        stale=known.stale,
        recalled=row.state.recalled,
        answer="" if row.state.answer is None else row.state.answer.value,
        owes_clets=row.state.owes_clets,
        next=row.state.next_step(now_us, terms.clets_minutes),
        overdue=row.state.overdue(now_us, terms.outcome_hours),
    )
