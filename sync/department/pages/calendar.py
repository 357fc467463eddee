"""The calendar: what ends, whose it is, when, what to do, and the page where it is done (463.3 to 463.9)."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.responses import Response

from sync.department.desk.endings import OF_PEOPLE, PASSES, SEEN_WITH
from sync.department.desk.owed import Ending
from sync.department.pages.month import month_of
from sync.department.pages.paging import cut
from sync.department.pages.visit import Page, Visit
from sync.department.pages.wording import word_of
from sync.department.policy.refusals import FormError
from sync.department.policy.roles import Call


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewalPage:
    """A page where something that ends is renewed. `calls`: the calls that allow it there."""

    path: str
    title: str
    calls: tuple[Call, ...]


TRAINING = RenewalPage(path="/training", title="Training", calls=(Call.TRAINING_RECORD,))
GRANTS = RenewalPage(path="/grants", title="Grants", calls=(Call.GRANT_ISSUE,))
LISTS = RenewalPage(path="/hotlists", title="Hot lists", calls=(Call.DOCUMENT_SIGN,))
PLACES = {
    "training": TRAINING,
    "policy-training": TRAINING,
    "designation": RenewalPage(path="/people", title="People", calls=(Call.USER_MANAGE,)),
    "grant": GRANTS,
    "delegation": GRANTS,
    "hot-list": LISTS,
    "list-entry": LISTS,
    "recipients": LISTS,
    "held-year": RenewalPage(
        path="/holds", title="Holds and evidence", calls=(Call.HOLD_RELEASE, Call.HOLD_EXPORT)
    ),
    "unit-certificate": RenewalPage(path="/units", title="Units", calls=(Call.DOCUMENT_SIGN,)),
    "audit": RenewalPage(path="/audit", title="Audit", calls=(Call.AUDIT_RUN,)),
}
"""Kinds that a page renews. A password is its owner's; the rest is renewed by the server or by root keys."""
MOST_A_DAY = 8  # of one day's ends in the month; the table below shows all
OWN_PASSWORD = RenewalPage(path="/account/password", title="My account", calls=(Call.POLICY_READ,))


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarRow:
    """One line: what ends, and where this person renews it. `past`: it has ended and should not have."""

    ending: Ending
    place: RenewalPage | None
    past: bool
    soon: bool


def place_of(visit: Visit, one: Ending) -> RenewalPage | None:
    """The page where this person renews it, if there is one."""
    if one.kind == "password":
        return OWN_PASSWORD if one.about == visit.person.user else None
    place = PLACES.get(one.kind)
    return place if place is not None and any(visit.may(call) for call in place.calls) else None


def row_of(visit: Visit, one: Ending) -> CalendarRow:
    """A line of the calendar."""
    past = one.ends_us <= visit.now_us and one.kind not in PASSES
    days = visit.calling.front.desk.policy.people.notice_days
    return CalendarRow(
        ending=one, place=place_of(visit, one), past=past, soon=one.is_soon(visit.now_us, days)
    )


def _texts(row: CalendarRow) -> tuple[str, ...]:
    return (row.ending.about, row.ending.name, word_of(row.ending.kind))


async def show(visit: Visit) -> Response:
    """Show one month, and everything that ends by its date. Raises FormError."""
    found = await visit.call("calendar/list")
    asked = visit.request.query_params
    kinds = [(kind, word_of(kind)) for kind in SEEN_WITH if any(one.kind == kind for one in found)]
    kind = asked.get("kind", "")
    if kind and kind not in SEEN_WITH:
        raise FormError("kind: the calendar has no such kind", code="kind", clause="463.4", cure="choose one")
    shown = [one for one in found if kind in {"", one.kind}]
    return visit.page(
        "calendar.html",
        month=month_of(shown, asked.get("month", ""), visit.calling.front.desk.policy.zone, visit.now_us),
        rows=cut(visit, [row_of(visit, one) for one in shown], "dates", texts=_texts),
        kinds=kinds,
        kind=kind,
        of_people=OF_PEOPLE,
        most=MOST_A_DAY,
    )


PAGES = (Page(path="/calendar", show=show),)
