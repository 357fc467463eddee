"""What waits for a person: lists from the table, whose rows become the items of Home.

Each list is requested with the person's own session, and only if the person's roles may see it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from storage.times import HOUR_US
from sync.department.desk.endings import SEEN_WITH
from sync.department.desk.owed import Late, Overdue
from sync.department.desk.redress.rules import ABOUT, ANSWER_DAYS
from sync.department.desk.sharing.rules import is_late
from sync.department.pages.asking import asker_of
from sync.department.pages.calendar import place_of
from sync.department.pages.rendering import clock_of
from sync.department.pages.visit import Visit
from sync.department.pages.wording import act_of, done_of, in_local_time, word_of
from sync.department.policy.roles import Call

NOTICED = [kind for kind in SEEN_WITH if kind not in {"hot-list", "list-entry", "unit-certificate"}]
SHOWN_ANSWERS_US = 72 * HOUR_US


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeItem:
    """One thing that waits.

    `since_us`: since when, 0 if `what` says it; `what`: a line without a plate; `why`: the rule in words;
    `path`: the page where it is done; `late`: whether it is overdue; `now`: whether it comes before
    everything else.
    """

    since_us: int
    what: str
    why: str
    path: str
    late: bool = False
    now: bool = False


Rows: TypeAlias = Callable[[Visit, Any], Iterable[HomeItem]]


@dataclass(frozen=True, slots=True)
class Source:
    """A list from the table, and the items that its rows make. `call`: the call it takes; `form`: that call's
    form."""

    call: Call
    operation: str
    rows: Rows
    form: Mapping[str, Any] = field(default_factory=dict)


def _alerts(_visit: Visit, rows: Any) -> Iterable[HomeItem]:
    for one in rows:
        why = "463.7: an alert waits for a person"
        yield HomeItem(
            since_us=one.since_us,
            what=f"Alert of {one.unit}: {one.says}. Next: {word_of(one.next)}",
            why=f"{why}; silent: {', '.join(one.silent)}" if one.silent else why,
            path=f"/alerts/{one.alert}",
            late=one.overdue,
            now=not one.silent and not one.answer,
        )


def _queue(visit: Visit, rows: Any) -> Iterable[HomeItem]:
    for one in rows:
        if visit.person.user in {one.user, asker_of(visit, one)}:
            continue
        asks = "asks for a search" if one.kind == "request" else "proposes a search without a full plate"
        why = (
            "463.5 (c): searches are run by communications and the CCAT supervisor"
            if one.kind == "request"
            else "463.5 (a): a second person approves or refuses"
        )
        path = f"/queue?at={one.entry}#entry-{one.entry}"
        yield HomeItem(
            since_us=one.at_us, what=f"{one.user} {asks} under {one.ground.number}", why=why, path=path
        )


def _requests(visit: Visit, rows: Any) -> Iterable[HomeItem]:
    for one in rows:
        if one.state == "waiting":
            yield HomeItem(
                since_us=one.at_us,
                what=f"Your request under {one.ground.number} waits",
                why="463.5 (c): another person runs it",
                path="/ask",
            )
        elif visit.now_us - one.at_us < SHOWN_ANSWERS_US:
            yield HomeItem(
                since_us=one.at_us,
                what=f"Your request under {one.ground.number} was {one.state}",
                why="463.5 (a): the answer can be seen for the policy's hours",
                path="/ask",
            )


def _emergencies(visit: Visit, rows: Any) -> Iterable[HomeItem]:
    for one in rows:
        if one.user != visit.person.user:
            yield HomeItem(
                since_us=one.at_us,
                what=f"Emergency search of {one.user} under {one.number}",
                why="463.5 (a): a second person judges it afterwards",
                path="/emergencies",
                late=one.overdue,
            )


def _changes(visit: Visit, rows: Any) -> Iterable[HomeItem]:
    for one in rows:
        if visit.person.user not in {one.user, one.about}:
            yield HomeItem(
                since_us=one.at_us,
                what=f"{one.user} proposes: {act_of(one.call)} ({done_of(one.about)})",
                why="463.4: a second person approves or refuses",
                path="/changes",
            )


def _findings(visit: Visit, rows: Any) -> Iterable[HomeItem]:
    for one in rows:
        if not one.verdict and one.reviewer == visit.person.user:
            yield HomeItem(
                since_us=one.opened_us,
                what=f"Finding {one.finding}: {word_of(one.detector)}, about {one.about}",
                why="463.5 (c): assigned to you",
                path="/findings",
                late=visit.now_us >= one.due_us,
            )


def _shares(visit: Visit, rows: Any) -> Iterable[HomeItem]:
    wanted = {"asked": Call.SHARE_REVIEW, "reviewed": Call.SHARE_APPROVE, "approved": Call.SHARE_DELIVER}
    for one in rows:
        call = wanted.get(one.state)
        if call is not None and visit.may(call) and not (one.state == "approved" and one.delivered):
            yield HomeItem(
                since_us=one.at_us,
                what=f"Request of {one.agency}: {one.state}",
                why="463.6 (b): reviewed, approved, then delivered",
                path=f"/sharing/{one.request}",
                late=is_late(one.at_us, visit.now_us),
            )


def _holds(_visit: Visit, rows: Any) -> Iterable[HomeItem]:
    for one in rows:
        if one.state == "release asked":
            yield HomeItem(
                since_us=one.at_us,
                what=f"Hold {one.hold} under {one.number}: release requested",
                why="463.8: a second person releases",
                path="/holds",
            )


def _incidents(_visit: Visit, rows: Any) -> Iterable[HomeItem]:
    for one in rows:
        if one.state != "closed":
            yield HomeItem(
                since_us=one.at_us,
                what=f"Incident {one.incident} of {one.unit_name}: {word_of(one.kind)}",
                why="463.8: two people close it",
                path="/incidents",
            )


DONE_AT = {
    Late.ALERT: "/alerts",
    Late.APPROVER: "/people",
    Late.AUDIT: "/audit",
    Late.CLETS: "/alerts",
    Late.CLOCK: "/retention",
    Late.EMERGENCY: "/emergencies",
    Late.ENROLLMENT: "/units",
    Late.FILING: "/compliance",
    Late.FINDING: "/findings",
    Late.FORK: "/trust",
    Late.GRANT: "/grants",
    Late.HOLD: "/holds",
    Late.INCIDENT: "/incidents",
    Late.KEYS: "/trust",
    Late.PASSWORD: "/people",
    Late.PURGE: "/retention",
    Late.REDRESS: "/redress",
    Late.REVIEWER: "/compliance",
    Late.ROSTER: "/units",
    Late.SERVICE: "/trust",
    Late.SHARE: "/sharing",
    Late.SOURCE: "/hotlists",
    Late.STORE: "/compliance",
    Late.TRAINING: "/training",
    Late.UNIT: "/units",
    Late.UNOPENED: "/alerts",
    Late.WITNESS: "/trust",
}
"""Kinds of what is overdue, and the page to correct it."""


def _overdue(visit: Visit, rows: Any) -> Iterable[HomeItem]:
    """What is overdue at the department, a line for each kind, without what another source lists."""
    listed = {
        Late.SHARE: Call.SHARE_REVIEW,
        Late.INCIDENT: Call.INCIDENT_CLOSE,
        Late.REDRESS: Call.REDRESS_ANSWER,
        Late.EMERGENCY: Call.INQUIRY_APPROVE,
        Late.ALERT: Call.ALERT_LIST,
    }
    zone = visit.calling.front.desk.policy.zone
    kinds: dict[Late, list[Overdue]] = {}
    for one in rows:
        call = listed.get(one.kind)
        if call is None or not visit.may(call):
            kinds.setdefault(one.kind, []).append(one)
    for kind, found in kinds.items():
        first = in_local_time(found[0].what, zone)
        more = f", and {len(found) - 1} more" if len(found) > 1 else ""
        yield HomeItem(
            since_us=0,
            what=f"{first[:1].upper()}{first[1:]}{more}",
            why=f"{found[0].clause}: overdue at the department",
            path=DONE_AT[kind],
            late=True,
        )


def _endings(visit: Visit, rows: Any) -> Iterable[HomeItem]:
    """What ends within the days of notice: the person's own, and what their roles watch or renew."""
    desk = visit.calling.front.desk
    clock, days = clock_of(desk.policy.zone), desk.policy.people.notice_days
    for one in rows:
        if one.ends_us != 0 and not one.is_soon(visit.now_us, days):
            continue
        whose = "your own" if one.about == visit.person.user else one.name or one.about
        kind, place = word_of(one.kind), place_of(visit, one)
        ends = f"ends {clock(one.ends_us)[:16]}" if one.ends_us else "is due"
        yield HomeItem(
            since_us=min(one.ends_us, visit.now_us) or visit.now_us,
            what=f"{kind[:1].upper()}{kind[1:]}, {whose}: {ends}",
            why=f"{one.clause}: {one.cure}",
            path=place.path if place is not None else f"/calendar?kind={one.kind}",
        )


def _redress(visit: Visit, rows: Any) -> Iterable[HomeItem]:
    for one in rows:
        if not one.outcome:
            yield HomeItem(
                since_us=one.at_us,
                what=f"Request {one.request} of the public: {ABOUT.get(one.about, one.about)}",
                why=f"463.4: the department answers within {ANSWER_DAYS} days",
                path="/redress",
                late=visit.now_us >= one.due_us,
            )


def _own_searches(visit: Visit, rows: Any) -> Iterable[HomeItem]:
    for one in rows:
        if one.state == "approved":
            yield HomeItem(
                since_us=one.at_us,
                what=f"Your search under {one.ground.number} was approved: run it",
                why="463.5 (a): a second person approved; the approval is valid once, for the policy's hours",
                path=f"/search/proposed/{one.proposal}",
            )
        elif one.state == "refused" and visit.now_us - one.at_us < SHOWN_ANSWERS_US:
            yield HomeItem(
                since_us=one.at_us,
                what=f"Your search under {one.ground.number} was refused by {one.second}",
                why="463.5 (a): a second person refused",
                path="/queue#mine",
            )


def _own_changes(_visit: Visit, rows: Any) -> Iterable[HomeItem]:
    for one in rows:
        if one.state == "approved":
            yield HomeItem(
                since_us=one.at_us,
                what=f"Your proposal {one.proposal} was agreed to: {act_of(one.call)} ({done_of(one.about)})",
                why="463.4: carry it out; the approval is valid once, for the policy's hours",
                path=f"/changes?at={one.proposal}#mine-{one.proposal}",
            )


SOURCES = (
    Source(Call.ALERT_LIST, "alert/list", _alerts),
    Source(Call.INQUIRY_APPROVE, "inquiry/emergencies", _emergencies),
    Source(Call.INQUIRY_QUEUE, "inquiry/queue", _queue),
    Source(Call.INQUIRY_RUN, "inquiry/proposals", _own_searches),
    Source(Call.INQUIRY_ANSWER, "inquiry/requests", _requests),
    Source(Call.CHANGE_APPROVE, "change/list", _changes),
    Source(Call.POLICY_READ, "change/mine", _own_changes),
    Source(Call.REDRESS_ANSWER, "redress/list", _redress),
    Source(Call.AUDIT_REVIEW, "audit/findings", _findings),
    Source(Call.SHARE_READ, "share/list", _shares),
    Source(Call.HOLD_RELEASE, "hold/list", _holds),
    Source(Call.INCIDENT_CLOSE, "incident/list", _incidents),
    Source(Call.COMPLIANCE_READ, "compliance/overdue", _overdue, {"filings": False}),
    Source(Call.POLICY_READ, "calendar/list", _endings, {"kinds": NOTICED}),
)
