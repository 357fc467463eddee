"""Requests for a search: ask, see the answer, see accesses in one's own name; the queue that runs them.

An officer or analyst asks, and communications or the CCAT supervisor run the search (463.5 (c)). A second
person agrees to a search without a full plate (463.5 (a)).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from starlette.responses import Response

from sync.department.pages import grounds
from sync.department.pages.looks import SearchLook, ground_value, query_value
from sync.department.pages.paging import cut
from sync.department.pages.searching import asked_of, keep_look, query_of, search_fields
from sync.department.pages.visit import Page, Visit
from sync.department.pages.wording import word_of
from sync.department.policy.refusals import FormError
from sync.department.policy.roles import Call


async def show(visit: Visit) -> Response:
    """Show the form of a request, and the person's requests."""
    rows = await visit.call("inquiry/requests")
    shown = cut(visit, rows, "requests", texts=_texts)
    return visit.page("ask.html", rows=shown, **grounds.carried(visit), **await search_fields(visit))


async def send(visit: Visit) -> Response:
    """Put a request into the queue."""
    ground = grounds.completed(visit, grounds.ground_of(visit.values))
    query, wrong = query_of(visit)
    made = await visit.call("inquiry/request", wrong, query=query, ground=ground)
    grounds.remember(visit, ground)
    visit.say(f"Request {made.entry} is in the queue. The answer will be on this page.")
    return visit.to("/ask")


async def answer(visit: Visit) -> Response:
    """Show the answer to the person's own request, as a separate access."""
    number = int(visit.request.path_params["number"])
    rows = await visit.call("inquiry/requests")
    row = next((one for one in rows if one.request == number), None)
    if row is None:
        raise FormError("that request is not yours", code="other-request", clause="463.5 (a)")
    found = await visit.call("inquiry/answer", request=number)
    look = SearchLook("answer", query_value(row.query), ground_value(row.ground), [found], number=number)
    return keep_look(visit, look)


async def mine(visit: Visit) -> Response:
    """Show what was accessed by the person or in their name, newest first."""
    rows = await visit.call("inquiry/mine")
    return visit.page("mine.html", rows=cut(visit, rows[::-1], "looks", texts=_look_texts))


async def dispute(visit: Visit) -> Response:
    """Dispute an access that the person did not make, or that has a mistake."""
    number = visit.values.number("entry")
    await visit.call("inquiry/dispute", entry=number, reason=visit.values.text("reason"))
    visit.say(f"Entry {number} is disputed: the next audit assigns it to a reviewer.")
    return visit.to(visit.same("/mine"))


async def queue(visit: Visit) -> Response:
    """Show requests that wait to be run, and proposals that wait for a second person."""
    rows = await visit.call("inquiry/queue")
    requests = [one for one in rows if one.kind == "request"]
    proposals = [one for one in rows if one.kind != "request"]
    mine = await visit.call("inquiry/proposals") if visit.may(Call.INQUIRY_RUN) else ()
    return visit.page(
        "queue.html",
        requests=cut(visit, requests, "requests", key=_entry, texts=_texts),
        proposals=cut(visit, proposals, "proposals", key=_entry, texts=_texts),
        wide=_is_wide,
        asked_by=lambda row: asker_of(visit, row),
        mine=cut(visit, mine, "mine", texts=_texts),
    )


def _entry(row: Any) -> int:
    return int(row.entry)


def _texts(row: Any) -> Iterator[str]:
    """The searchable texts of a request or proposal, never the plate."""
    yield from (str(getattr(row, name)) for name in ("entry", "request", "proposal") if hasattr(row, name))
    yield from (
        getattr(row, "user", ""),
        getattr(row, "state", ""),
        row.ground.number,
        row.ground.justification,
    )


def _look_texts(row: Any) -> Iterator[str]:
    yield from (str(row.entry), row.username, row.on_behalf_of, word_of(row.action), row.number)


def asker_of(visit: Visit, row: Any) -> str:
    """The person whose request a proposal answers; empty if none."""
    asked = visit.calling.front.desk.book.queue.asked.get(row.request)
    return asked.stamp.user if asked is not None else ""


def _is_wide(row: Any) -> bool:
    """Whether a request plainly needs a second person: no plate, or a part of one."""
    return not row.query.plate or bool(set(row.query.plate) & {"*", "?"})


async def take(visit: Visit) -> Response:
    """Run, propose or decline a request, or approve or refuse a proposal."""
    number, what = int(visit.request.path_params["number"]), visit.values.get("do", "")
    reason = visit.values.text("reason")
    if what == "run":
        found = await visit.call("inquiry/run", request=number)
        query, ground = asked_of(visit, number)
        return keep_look(visit, SearchLook("search", query, ground, [found]))
    if what == "propose":
        made = await visit.call("inquiry/propose", request=number)
        return visit.to(f"/search/proposed/{made.entry}")
    if what == "decline":
        await visit.call("inquiry/decline", request=number, reason=reason)
        visit.say(f"Request {number} is declined; the requester sees the reason.")
    elif what in {"approve", "refuse"}:
        await visit.call("inquiry/approve", proposal=number, granted=what == "approve", reason=reason)
        visit.say(f"Proposal {number}: {'approved' if what == 'approve' else 'refused'}.")
    else:
        raise FormError("choose what to do with it", code="do", clause="463.5 (b)")
    return visit.to(visit.same("/queue"))


PAGES = (
    Page(path="/ask", show=show, send=send),
    Page(path="/ask/{number:int}", send=answer, again=show),
    Page(path="/mine", show=mine, send=dispute),
    Page(path="/queue", show=queue),
    Page(path="/queue/{number:int}", send=take, again=queue),
)
