"""The page of a large search: first how much and how long, then part by part, until done or cancelled.

Without scripts, the person sends a form for each part. With scripts, the page sends them one after the other
and shows how far the search has come. What was found so far is a page of results like any other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response

from sync.department.content.reads import FoundRead
from sync.department.desk.inquiry.forms import Answer, BegunSearch, Step, StoppedSearch
from sync.department.desk.json_forms import to_json
from sync.department.journal.inquiry_entries import Access
from sync.department.pages import grounds
from sync.department.pages.looks import SearchLook
from sync.department.pages.rendering import clock_of
from sync.department.pages.visit import Page, Visit
from sync.department.policy.refusals import DeskRefusal, FormError

BYTES_OF_READ = 400


@dataclass(slots=True)
class Stepped:
    """A search under way as one session sees it."""

    begun: BegunSearch
    query: Mapping[str, Any] = field(repr=False)
    ground: Mapping[str, str] = field(repr=False)
    reads: list[FoundRead] = field(default_factory=list, repr=False)
    opened: int = 0
    parts: int = 0
    after: str = ""
    done: bool = False
    cancelled: bool = False
    unwitnessed: bool = False

    def take(self, part: int, step: Step) -> None:
        """Add what part number `part` (from 0) found, unless it is here from a form sent twice or another
        tab."""
        if part != self.parts:
            return
        self.parts += 1
        self.reads += step.reads
        self.opened, self.after = step.opened, step.after
        self.done, self.cancelled = not step.after, step.cancelled
        self.unwitnessed = self.unwitnessed or step.unwitnessed

    def look(self) -> SearchLook:
        """What was found so far, for the page of results."""
        answer = Answer(
            access=self.begun.access,
            count=len(self.reads),
            reads=tuple(sorted(self.reads, key=lambda one: (-one.first_us, one.read))),
            unwitnessed=self.unwitnessed,
            days_left_out=self.begun.days_left_out,
        )
        look = SearchLook("search", self.query, self.ground, [answer], cancelled=self.cancelled)
        look.opened, look.of = self.opened, self.begun.reads
        return look


async def begin(visit: Visit, query: Mapping[str, Any], ground: Mapping[str, str], **how: Any) -> Response:
    """Begin a search that was refused because it opens much, and go to its page. `how`: as for
    inquiry/begin."""
    begun: BegunSearch = await visit.call("inquiry/begin", **how)
    grounds.remember(visit, dict(ground))
    search = Stepped(begun, query, ground, unwitnessed=begun.unwitnessed)
    visit.shelf.put(_name(begun.access), search, visit.now_us)
    return visit.to(f"/search/{begun.access}/steps")


def _name(access: int) -> str:
    return f"steps/{access}"


async def show(visit: Visit) -> Response:
    """Show how much the search opens and how far it has come."""
    search = await _search(visit)
    visit.unwitnessed = visit.unwitnessed or search.unwitnessed
    return visit.page("steps.html", search=search)


async def _search(visit: Visit) -> Stepped:
    await visit.demand("inquiry/run")
    number = int(visit.request.path_params["number"])
    found = visit.shelf.get(_name(number), visit.now_us)
    if not isinstance(found, Stepped):
        demand_own_access(visit, number)
        raise FormError(
            "this search is no longer kept",
            code="old-search",
            clause="463.5 (b)",
            cure="search again: a search is kept for an hour, for the session that asked, "
            "and not over a restart of the server",
        )
    return found


def demand_own_access(visit: Visit, number: int) -> None:
    """Refuse the search of another person. Raises DeskRefusal."""
    log = visit.calling.front.desk.log
    entry = log.entry(number) if 0 <= number < log.size() else None
    if entry is not None and isinstance(entry.note, Access) and entry.stamp.user != visit.person.user:
        raise DeskRefusal(
            "that search was made by another person",
            code="other-search",
            clause="463.5 (b)",
            cure="an answer is for the person who searched: make your own search",
        )


async def send(visit: Visit) -> Response:
    """Open the next part, or cancel the search."""
    search = await _search(visit)
    access = search.begun.access
    if visit.values.get("do") == "stop":
        ended: StoppedSearch = await visit.call("inquiry/stop", access=access)
        search.done, search.cancelled = True, ended.opened < ended.of
        search.opened = ended.opened
    elif not search.done and visit.values.number("part", search.parts) == search.parts:
        await _step(visit, search)
    _keep(visit, search)
    return visit.to(f"/search/{access}" if search.done else f"/search/{access}/steps")


async def send_by_script(visit: Visit) -> Response:
    """Open the next part for the page's script, and answer with the progress and the rows that were found."""
    search = await _search(visit)
    before = len(search.reads)
    if not search.done:
        await _step(visit, search)
        _keep(visit, search)
    clock = clock_of(visit.calling.front.desk.policy.zone)
    lines = [f"{clock(one.first_us)}  {one.plate}  {one.unit}" for one in search.reads[before:]]
    facts = {
        "opened": search.opened,
        "of": search.begun.reads,
        "found": len(search.reads),
        "done": search.done,
        "lines": lines,
    }
    return visit.data(json.dumps(facts))


async def _step(visit: Visit, search: Stepped) -> None:
    query, part = to_json(search.begun.query), search.parts
    if query["area"] is None:
        del query["area"]
    step: Step = await visit.call("inquiry/step", access=search.begun.access, query=query, after=search.after)
    search.take(part, step)


def _keep(visit: Visit, search: Stepped) -> None:
    size = BYTES_OF_READ * len(search.reads)
    visit.shelf.put(_name(search.begun.access), search, visit.now_us, size)
    name, look = f"look/{search.begun.access}", search.look()
    known = visit.shelf.get(name, visit.now_us)
    if isinstance(known, SearchLook):
        look.pictures = known.pictures
    visit.shelf.put(name, look, visit.now_us, size)


PAGES = (
    Page(path="/search/{number:int}/steps", show=show, send=send),
    Page(path="/search/{number:int}/steps/next", send=send_by_script, again=show),
)
