"""Emergency search: one person searches now, a second person judges it afterwards (463.5 (a))."""

from __future__ import annotations

from starlette.responses import Response

from sync.department.pages import grounds
from sync.department.pages.looks import SearchLook
from sync.department.pages.paging import cut
from sync.department.pages.searching import keep_look, query_of, search_fields
from sync.department.pages.visit import Page, Visit
from sync.department.policy.refusals import FormError


async def show(visit: Visit) -> Response:
    """Show the form of an emergency search."""
    await visit.demand("inquiry/break-glass")
    terms = visit.calling.front.desk.policy.break_glass
    return visit.page(
        "emergency.html",
        terms=terms,
        **grounds.carried(visit),
        **await search_fields(visit, "7" if terms.days_max >= 7 else "1", terms.days_max),
    )


async def send(visit: Visit) -> Response:
    """Run an emergency search. Its access, the danger and a finding are in the log before a key is used."""
    ground = grounds.ground_of(visit.values) | {"number_kind": "cad"}
    query, wrong = query_of(visit)
    danger = visit.values.text("danger")
    answer = await visit.call("inquiry/break-glass", wrong, query=query, ground=ground, danger=danger)
    visit.say("This emergency search waits for a second person's judgment, and a finding is open.")
    return keep_look(visit, SearchLook("emergency", query, ground, [answer]))


async def waiting(visit: Visit) -> Response:
    """Show emergency searches that wait for a second person."""
    rows = await visit.call("inquiry/emergencies")
    return visit.page("emergencies.html", rows=cut(visit, rows, "emergencies"))


async def judge(visit: Visit) -> Response:
    """Judge an emergency search as its second person."""
    number, word = visit.values.number("access"), visit.values.get("justified", "")
    if word not in {"yes", "no"}:
        raise FormError("say whether it was justified", code="justified", clause="463.5 (a)")
    await visit.call(
        "inquiry/judge", access=number, justified=word == "yes", reason=visit.values.text("reason")
    )
    visit.say(f"Emergency search {number} is judged.")
    return visit.to(visit.same("/emergencies"))


PAGES = (
    Page(path="/emergency", show=show, send=send),
    Page(path="/emergencies", show=waiting, send=judge),
)
