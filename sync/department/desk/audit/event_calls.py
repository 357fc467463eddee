"""Events of the log at the desk: what a reviewer sees besides the accesses (463.5 (c))."""

from __future__ import annotations

from dataclasses import dataclass

from sync.department.desk.audit import events as event_rows
from sync.department.desk.audit.calls import FOREVER_US
from sync.department.desk.audit.events import EventRow
from sync.department.desk.audit.rules import demand_period, entries_of
from sync.department.desk.context import DeskContext
from sync.department.desk.desk import Caller, Plan
from sync.department.journal.entries import Entry, LogRead
from sync.department.policy.refusals import FormError
from sync.department.policy.roles import Call

MAX_EVENTS = 10_000
AT_ONCE = 500
LEAD = 64  # a second person's decision is entered shortly before what it was for


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsForm:
    """Which events to read: a period, a user who did it or whom it is about, a kind. What is empty selects
    all.

    `finding`: only those of that finding, for its reviewer; -1 for any.
    """

    since_us: int = 0
    until_us: int = FOREVER_US
    user: str = ""
    kind: str = ""
    before: int = -1
    limit: int = 1000
    finding: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """Events, the newest first. `next`: `before` of the next page, or -1."""

    rows: tuple[EventRow, ...]
    next: int


def events(front: DeskContext, token: str, form: EventsForm) -> Events:
    """List what no access shows: refusals, failed logins, accounts, resets, training, approvals (463.5
    (c))."""
    desk = front.desk
    only: set[int] = set()

    def plan(_caller: Caller) -> Plan[Entry]:
        if form.kind and form.kind not in event_rows.NAMES:
            cure = ", ".join(event_rows.NAMES)
            raise FormError("there is no such kind of event", code="kind", clause="463.5 (c)", cure=cure)
        demand_period(form.since_us, form.until_us)
        if not 0 < form.limit <= MAX_EVENTS:
            raise FormError(f"a page has 1 to {MAX_EVENTS} events", code="limit", clause="463.5 (c)")
        if form.finding >= 0:
            only.update(entries_of(desk.book.findings, form.finding))
        elements = f"events user={form.user} kind={form.kind}"
        elements += f" finding={form.finding}" if form.finding >= 0 else ""
        return [LogRead(elements=elements, count=-1)], lambda made: made[0]

    entry = desk.act(token, Call.AUDIT_READ, plan)
    desk.covered(entry.sequence)
    end = min(entry.sequence, form.before) if form.before >= 0 else entry.sequence
    first = min(only, default=end) if form.finding >= 0 else desk.log.size_at(form.since_us)
    rows: list[EventRow] = []
    while end > first and len(rows) <= form.limit:  # the newest first: a page opens no more than it shows
        start = max(first, end - AT_ONCE)
        read = event_rows.rows_of(desk.log.entries(max(0, start - LEAD), end, event_rows.EVENT_KINDS))
        rows += [
            one
            for one in reversed(read)
            if one.entry >= start
            and form.since_us <= one.at_us < form.until_us
            and form.user in {"", one.user, one.about, one.second}
            and form.kind in {"", one.kind}
            and (form.finding < 0 or one.entry in only)
        ]
        end = start
    page = rows[: form.limit]
    return Events(rows=tuple(page), next=page[-1].entry if len(rows) > len(page) else -1)
