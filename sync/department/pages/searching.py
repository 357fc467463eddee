"""Search, results and pictures; a search without a full plate takes a second person (463.2, 463.5)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from starlette.responses import Response

from storage.times import DAY_US, HOUR_US
from sync.department.desk.inquiry.rules import is_full
from sync.department.desk.inquiry.searching import MUCH
from sync.department.journal.inquiry_entries import SearchProposed
from sync.department.journal.query_rules import plate_of
from sync.department.pages import grounds, stepping
from sync.department.pages.looks import SearchLook, ground_value, plot_of, query_value
from sync.department.pages.paging import ROWS, cut
from sync.department.pages.visit import Page, Visit
from sync.department.policy.refusals import DeskRefusal, FormError, NotYetError

T = TypeVar("T")
RADIUS = "500"  # meters: the form's default

RANGES = (
    ("hours", "last 8 hours"),
    ("1", "last 24 hours"),
    ("7", "last 7 days"),
    ("30", "last 30 days"),
    ("365", "last 365 days"),
    ("given", "from and to, below"),
)


def query_of(visit: Visit) -> tuple[dict[str, Any], list[FormError]]:
    """The query as typed, in the calls' form, and every field of it that could not be read."""
    values, zone = visit.values, visit.calling.front.desk.policy.zone
    now_us = visit.now_us
    wrong: list[FormError] = []

    def read(work: Callable[[], T], otherwise: T, path: str) -> T:
        try:
            return work()
        except FormError as error:
            wrong.append(
                FormError(error.what, code=error.code, clause=error.clause, fields=(error.code, path))
            )
            return otherwise

    since_us, until_us, chosen = now_us - 8 * HOUR_US, now_us, values.get("range", "30")
    if chosen == "given":
        since_us = read(lambda: values.moment_us("since", zone, now_us), since_us, "query.since_us")
        if values.text("until"):
            until_us = read(lambda: values.moment_us("until", zone, now_us), now_us, "query.until_us")
    elif values.text("since") or values.text("until"):
        what = "under When, choose “from and to, below”, or leave both times empty"
        wrong.append(FormError(what, code="time", clause="463.5 (b) 2", fields=("range", "query.since_us")))
    elif chosen != "hours":
        days = read(lambda: values.number("range", 30), 30, "query.since_us")
        since_us = now_us - max(1, days) * DAY_US
    query: dict[str, Any] = {
        "plate": values.text("plate"),
        "since_us": since_us,
        "until_us": until_us,
        "unit": values.text("unit"),
    }
    if values.text("latitude") or values.text("longitude") or values.text("radius_m") not in {"", RADIUS}:
        query["area"] = {
            name: read(partial(values.decimal, name), 0.0, f"query.area.{name}")
            for name in ("latitude", "longitude", "radius_m")
        }
    return query, wrong


async def search_fields(visit: Visit, usual_range: str = "30", days_max: int = 0) -> dict[str, Any]:
    """What the fields of a search need. days_max: how many days this search may look back; 0 for any."""
    names = await visit.calling.in_thread(visit.calling.front.grants.unit_names)
    units = [(one, one) for one in sorted(set(names.values()))]  # revoked ones too: their reads are here
    ranges = [one for one in RANGES if not days_max or not one[0].isdigit() or int(one[0]) <= days_max]
    return {"ranges": ranges, "usual_range": usual_range, "unit_names": units, "radius": RADIUS}


OPENED_WITH = {"search": "inquiry/run", "emergency": "inquiry/break-glass", "answer": "inquiry/answer"}
"""Kinds of look, and the call that opened one: what is kept of it is for people who still have that call."""


async def show(visit: Visit) -> Response:
    """Show the form of a search."""
    await _demand_search(visit)
    return visit.page("search.html", estimate=None, **grounds.carried(visit), **await search_fields(visit))


async def _demand_search(visit: Visit) -> None:
    """Demand that the person may search; the search itself checks again. Raises DeskRefusal."""
    await visit.demand("inquiry/run")


async def send(visit: Visit) -> Response:
    """Run the search, say how much it would open, or propose it to a second person."""
    ground = grounds.completed(visit, grounds.ground_of(visit.values))
    query, wrong = query_of(visit)
    what = visit.values.get("do", "run")
    if what == "estimate":
        found = await visit.call("inquiry/estimate", wrong, query=query, ground=ground)
        return visit.page(
            "search.html", estimate=found, **grounds.carried(visit), **await search_fields(visit)
        )
    if what == "propose":
        found = await visit.call("inquiry/estimate", wrong, query=query, ground=ground)
        made = await visit.call("inquiry/propose", query=query, ground=ground)
        grounds.remember(visit, ground)
        visit.shelf.put(f"proposed/{made.entry}", found, visit.now_us)
        return visit.to(f"/search/proposed/{made.entry}")
    answer = await visit.call("inquiry/run", wrong, query=query, ground=ground)
    return keep_look(visit, SearchLook("search", query, ground, [answer]))


def keep_look(visit: Visit, look: SearchLook) -> Response:
    """Keep an answer for its session and go to its page."""
    grounds.remember(visit, look.ground)
    visit.shelf.put(f"look/{look.access}", look, visit.now_us, _size(look))
    return visit.to(f"/search/{look.access}")


def _size(look: SearchLook) -> int:
    pictures = sum(len(one.patch) + len(one.overview) for one in look.pictures.values())
    return 400 * (len(look.reads) + len(look.near)) + pictures


async def proposed(visit: Visit) -> Response:
    """Show an own proposal: what it would open and, once it is approved, the button that runs it."""
    await _demand_search(visit)
    number = int(visit.request.path_params["number"])
    made = visit.calling.front.desk.book.queue.proposed.get(number)
    if made is None or not isinstance(made.note, SearchProposed):
        raise FormError(
            "there is no such proposal", code="no-proposal", clause="463.5 (a)", cure="open it from Queue"
        )
    if made.stamp.user != visit.person.user:
        raise DeskRefusal(
            "that proposal was made by another person",
            code="other-search",
            clause="463.5 (a)",
            cure="under Queue you approve or refuse it",
        )
    found = visit.shelf.get(f"proposed/{number}", visit.now_us)
    return visit.page("proposed.html", number=number, asked=made.note, estimate=found)


async def run_proposed(visit: Visit) -> Response:
    """Run what a second person agreed to."""
    number = int(visit.request.path_params["number"])
    return await run_waiting(visit, number, proposal=number)


async def run_waiting(visit: Visit, number: int, **how: int) -> Response:
    """Run the search of a proposal or request, step by step if it opens many reads.

    `how`: the field of inquiry/run that names it.
    """
    try:
        answer = await visit.call("inquiry/run", **how)
    except NotYetError as refusal:
        if refusal.code != MUCH:
            raise
        query, ground = asked_of(visit, number)
        return await stepping.begin(visit, query, ground, **how)
    query, ground = asked_of(visit, number)
    return keep_look(visit, SearchLook("search", query, ground, [answer]))


def asked_of(visit: Visit, number: int) -> tuple[dict[str, Any], dict[str, str]]:
    """(query, ground) of a proposal or request whose search this session just ran."""
    queue = visit.calling.front.desk.book.queue
    note: Any = (queue.proposed.get(number) or queue.asked[number]).note
    return query_value(note.query), ground_value(note.ground)


async def results(visit: Visit) -> Response:
    """Show the results of this session's search."""
    look = await _look(visit)
    visit.unwitnessed = visit.unwitnessed or look.unwitnessed
    policy = visit.calling.front.desk.policy
    plate = plate_of(str(look.query.get("plate", "")))
    reads, near = cut(visit, look.reads, "reads"), cut(visit, look.near, "near")
    near_from = len(look.reads) + near.first
    rows = [(at, one, False) for at, one in enumerate(reads.rows, reads.first)]
    rows += [(at, one, True) for at, one in enumerate(near.rows, near_from)]
    return visit.page(
        "results.html",
        look=look,
        reads=reads,
        near=near,
        near_from=near_from,
        plot=plot_of(rows, policy.unit.no_read_zones),
        full=is_full(policy, plate),
        plate=plate,
        purpose=policy.purpose(look.ground.get("purpose", "")),
    )


async def _look(visit: Visit) -> SearchLook:
    """The look that the address names.

    Raises FormError if this session does not have it, and DeskRefusal if it is locked or its person could not
    open it now.
    """
    await visit.demand("policy/read")
    number = int(visit.request.path_params["number"])
    look = visit.shelf.get(f"look/{number}", visit.now_us)
    if not isinstance(look, SearchLook):
        stepping.demand_own_access(visit, number)
        raise FormError(
            "this answer is no longer kept",
            code="old-search",
            clause="463.5 (b)",
            cure="search again: an answer is kept for an hour, for the session that asked, "
            "and not over a restart of the server",
        )
    await visit.demand(OPENED_WITH[look.kind])
    return look


async def more(visit: Visit) -> Response:
    """Open the next part of the answer, starting from its first page.

    The form names the part, so that what is already open is shown and not opened again.
    """
    look = await _look(visit)
    part = max(1, visit.values.number("part"))
    after = look.answers[-1].next
    if part == len(look.answers) and after:
        look.take(part, await visit.call("inquiry/more", access=look.access, after=after))
    before = sum(len(one.reads) for one in look.answers[:part])
    return visit.to(f"/search/{look.access}?page-reads={before // ROWS + 1}#reads")


async def picture(visit: Visit) -> Response:
    """Open the pictures of one read, as a separate access under the look's ground."""
    look = await _look(visit)
    index = look.place(visit.values.number("row"), visit.values.text("read"))
    read = look.at(index)
    if read is None:
        raise FormError("there is no such row", code="row", clause="463.5 (b)")
    if look.kind == "answer":
        images = await visit.call("inquiry/answer-image", request=look.number, read=read.read)
    else:
        images = await visit.call(
            "inquiry/image", read=read.read, access=look.access, ground=dict(look.ground)
        )
    look.pictures[read.read] = images
    visit.shelf.put(f"look/{look.access}", look, visit.now_us, _size(look))
    return visit.to(visit.same(f"/search/{look.access}") + f"#row-{index}")


async def image(visit: Visit) -> Response:
    """Answer with one opened picture, for the page that opened it."""
    look = await _look(visit)
    read = look.at(int(visit.request.path_params["row"]))
    images = look.pictures.get(read.read) if read is not None else None
    if images is None:
        raise FormError("that picture was not opened here", code="row", clause="463.5 (b)")
    data = images.patch if visit.request.path_params["part"] == "patch" else images.overview
    return visit.picture(data)


PAGES = (
    Page(path="/search", show=show, send=send),
    Page(path="/search/proposed/{number:int}", show=proposed, send=run_proposed),
    Page(path="/search/{number:int}", show=results),
    Page(path="/search/{number:int}/more", send=more, again=results),
    Page(path="/search/{number:int}/picture", send=picture, again=results),
    Page(path="/search/{number:int}/picture/{row:int}/{part}", show=image),
)
