"""Tiles of the department's own street map, for a person who is logged in."""

from __future__ import annotations

from starlette.responses import Response

from sync.department.pages import shield
from sync.department.pages.street_map import MapError
from sync.department.pages.visit import Page, Visit
from sync.department.policy.refusals import FormError


async def tile(visit: Visit) -> Response:
    """Answer with one tile; 404 if the department has no map, 204 for a tile outside of it."""
    street_map = visit.street_map
    if street_map is None:
        return visit.page("missing.html", 404)
    zoom, x, y = (int(visit.request.path_params[name]) for name in ("zoom", "x", "y"))
    try:
        data = await visit.calling.in_thread(lambda: street_map.tile(zoom, x, y))
    except MapError as error:
        raise FormError(str(error), code="map", clause="463.5") from None
    headers = shield.headers_of(visit.nonce)
    if data is None:
        return Response(status_code=204, headers=headers)
    if street_map.encoding:
        headers["content-encoding"] = street_map.encoding
    return Response(data, media_type=street_map.media, headers=headers)


PAGES = (Page(path="/map/{zoom:int}/{x:int}/{y:int}", show=tile),)
