"""What a department owes, and what ends soon: what `compliance` prints and mails say."""

from __future__ import annotations

from dataclasses import dataclass

from sync.department.desk import compliance, notices
from sync.department.desk.audit import rules as audit
from sync.department.desk.compliance import Overdue
from sync.department.desk.context import Front
from sync.department.desk.endings import Ending
from sync.department.ground.department_time import span_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is overdue, and what ends soon."""

    overdue: tuple[Overdue, ...]
    ending: tuple[Ending, ...]

    def lines(self) -> list[str]:
        """The same for people, a line each."""
        return [
            *(f"OVERDUE {one.kind:9} {one.clause:10} {one.what}" for one in self.overdue),
            *(f"SOON    {one.kind:9} {one.clause:10} {one.what}" for one in self.ending),
        ]


def standing(front: Front) -> Standing:
    """The state of the department now, by its own time."""
    desk = front.desk
    desk.refresh()
    now_us = desk.now_us()
    requests = audit.requests_of(desk.log.entries(kinds=audit.ACCESS_KINDS))
    found = compliance.overdue(desk.policy, desk.book, requests, now_us)
    found += compliance.from_store(front.overdue_from_store(now_us))
    found += compliance.open_incidents(
        ((one.number, one.kind, one.at_us) for one in front.incidents.listed()), desk.book, now_us
    )
    doubt = front.time.doubt() if front.time is not None else None
    if doubt is not None:
        what = (
            f"the server's clock is {span_text(doubt.by_us)} {doubt.direction} of the confirmed time: "
            "purges wait; set it, or two people confirm it (clock/confirm)"
        )
        found.append(Overdue(kind="clock", clause="463.8", what=what))
    ending = notices.ending(desk.policy, desk.book, now_us, front.ending())
    return Standing(overdue=tuple(found), ending=tuple(ending))
