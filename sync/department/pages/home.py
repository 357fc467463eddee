"""Home: what waits for the person, oldest first, and why each item is there."""

from __future__ import annotations

from starlette.responses import Response

from sync.department.pages.paging import cut
from sync.department.pages.visit import Page, Visit
from sync.department.pages.waiting import SOURCES, HomeItem


def _texts(item: HomeItem) -> tuple[str, ...]:
    return (item.what, item.why)


async def show(visit: Visit) -> Response:
    """Show everything that waits for this person."""
    await visit.demand("policy/read")
    if visit.person.must_change:
        return visit.to("/account/password")
    found: list[HomeItem] = []
    for source in SOURCES:
        if visit.may(source.call):
            found.extend(source.rows(visit, await visit.call(source.operation, **source.form)))
    found.sort(key=lambda one: (not one.now, not one.late, one.since_us))
    return visit.page("home.html", items=cut(visit, found, "waits", texts=_texts), closed=visit.shut)


PAGES = (Page(path="/", show=show),)
