"""Help, day and night, keys on and off, and the page for a path that no page has."""

from __future__ import annotations

from starlette.responses import Response

from sync.department.pages import shield
from sync.department.pages.navigation import entries_for
from sync.department.pages.visit import Page, Visit

TASTES = {"theme": {"day", "night"}, "keys": {"on", "off"}, "quiet": {"yes", "no"}}


async def show(visit: Visit) -> Response:
    """Keys, and where each clause's duty is done."""
    return visit.page("help.html", keys=[one for one in entries_for(visit.may) if one.key not in {"", "?"}])


async def look(visit: Visit) -> Response:
    """Keep a choice of taste in the browser."""
    answer = visit.to(shield.local_path(visit.values.get("from", "/")))
    for name, words in TASTES.items():
        if visit.values.get(name, "") in words:
            shield.set_taste(answer, name, visit.values[name])
    return answer


async def missing(visit: Visit) -> Response:
    """There is no such page."""
    return visit.page("missing.html", 404)


PAGES = (Page(path="/help", show=show, to_all=True), Page(path="/look", send=look, to_all=True))
