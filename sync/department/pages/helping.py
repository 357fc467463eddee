"""Help, the display preferences (day or night, keys), and the page for unknown paths."""

from __future__ import annotations

from starlette.responses import Response

from sync.department.pages import shield
from sync.department.pages.navigation import entries_for
from sync.department.pages.visit import Page, Visit

TASTES = {"theme": {"day", "night"}, "keys": {"on", "off"}, "quiet": {"yes", "no"}}


async def show(visit: Visit) -> Response:
    """Show the keys, and the page for each clause's duty."""
    return visit.page("help.html", keys=[one for one in entries_for(visit.may) if one.key not in {"", "?"}])


async def look(visit: Visit) -> Response:
    """Keep a display preference in the browser."""
    answer = visit.to(shield.local_path(visit.values.get("from", "/")))
    for name, words in TASTES.items():
        if visit.values.get(name, "") in words:
            shield.set_taste(answer, name, visit.values[name])
    return answer


async def missing(visit: Visit) -> Response:
    """Answer that there is no such page."""
    return visit.page("missing.html", 404)


PAGES = (Page(path="/help", show=show, to_all=True), Page(path="/look", send=look, to_all=True))
