"""Two people's decisions on the server's clock and on a backlog of purges (463.8)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from storage.errors import RecordError
from storage.times import DAY_US, parse_utc
from sync.department.desk.context import DeskContext
from sync.department.desk.desk import Caller, Plan
from sync.department.desk.inquiry.forms import Entered, first_entered
from sync.department.desk.words import demand_words
from sync.department.ground.department_time import Doubt, span_text
from sync.department.journal.change_entries import ChangeProposed
from sync.department.journal.entries import Entry
from sync.department.journal.machine_entries import ClockConfirmed, PurgeAllowed
from sync.department.policy.refusals import FormError, NotYetError
from sync.department.policy.roles import Call

CLAUSE = "463.8"
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockForm:
    """A statement that the server's clock is right. `day`: today's date (YYYY-MM-DD, UTC), from another
    source.

    `propose` asks for a second person; `approval` is the approved proposal.
    """

    day: str
    reason: str
    propose: bool = False
    approval: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeForm:
    """Permission to purge the days of receipt up to `through` (YYYY-MM-DD) at once."""

    through: str
    reason: str
    propose: bool = False
    approval: int = -1


def confirm_clock(front: DeskContext, token: str, form: ClockForm) -> Entered:
    """Trust the server's clock, when two people say that it is right."""
    desk, time = front.desk, front.time
    desk.demand(token, Call.CHANGE_APPROVE)
    desk.ask_time()  # a command beside the server does not know yet what put the clock in doubt

    def plan(caller: Caller) -> Plan[tuple[Entry, bool]]:
        doubt: Doubt | None = time.doubt() if time is not None else None
        if doubt is None:
            raise NotYetError("the clock is not in doubt", code="no-doubt", clause=CLAUSE)
        day = day_of(form.day, "ClockForm.day")
        demand_words(form.reason, "say how you know", code="reason", clause=CLAUSE)
        if abs(doubt.wall_us // DAY_US - day) > 1:
            raise FormError("the server's clock shows another day", code="other-day", clause=CLAUSE)
        off = f"{span_text(doubt.by_us)} {doubt.direction} the confirmed time"
        summary = f"the clock is {off}, and it is {form.day}"
        second = desk.second_person(caller, "clock/confirm", form, about=form.day, summary=summary)
        if isinstance(second, ChangeProposed):
            return [second], lambda made: (made[0], False)
        note = ClockConfirmed(wall_us=doubt.wall_us, held_us=doubt.held_us, reason=form.reason)
        return [note, *second], lambda made: (made[0], True)

    entry, confirmed = desk.act(token, Call.CHANGE_APPROVE, plan)
    if confirmed and time is not None and isinstance(entry.note, ClockConfirmed):
        time.accept(entry.note.wall_us)
    return Entered(entry=entry.sequence)


def allow_purge(front: DeskContext, token: str, form: PurgeForm) -> Entered:
    """Let the next daily run purge a backlog, when two people agree."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[Entered]:
        through = day_of(form.through, "PurgeForm.through")
        demand_words(form.reason, "say why it waited", code="reason", clause=CLAUSE)
        due = caller.at_us // DAY_US - 1 - desk.policy.retention.keep_days
        if through > due:
            raise FormError("that day has not been kept for its year", code="not-due", clause=CLAUSE)
        summary = f"days of receipt up to {form.through} are purged at once"
        second = desk.second_person(caller, "backlog/allow", form, about=form.through, summary=summary)
        if isinstance(second, ChangeProposed):
            return [second], first_entered
        return [PurgeAllowed(through=through, reason=form.reason), *second], first_entered

    return desk.act(token, Call.CHANGE_APPROVE, plan)


def day_of(text: str, where: str) -> int:
    """Days since 1970 of YYYY-MM-DD. Raises FormError."""
    try:
        if _DAY.fullmatch(text):
            return parse_utc(text, assume_utc=True) // DAY_US
    except RecordError:
        pass
    raise FormError(f"{where}: is not a day (YYYY-MM-DD)", code="form", clause=CLAUSE)
