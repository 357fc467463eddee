"""What the desk gives to anybody: its description and the public counts, over HTTP GET."""

from __future__ import annotations

import functools
import json

import anyio
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sync.department.desk.context import Front
from sync.department.desk.json_forms import to_json
from sync.department.desk.openapi import document
from sync.department.desk.transparency.calls import PublicCounts

HEADERS = {"x-content-type-options": "nosniff", "cache-control": "public, max-age=3600"}


@functools.cache
def _description() -> bytes:
    return json.dumps(document(), indent=1).encode()


def public_routes(front: Front) -> list[BaseRoute]:
    """GET /desk/openapi.json and GET /desk/transparency.json. Neither needs a session; both are cheap."""
    counts = PublicCounts(front.desk)

    async def openapi(_request: Request) -> Response:
        return Response(_description(), media_type="application/json", headers=HEADERS)

    async def transparency(_request: Request) -> Response:
        newest = await anyio.to_thread.run_sync(counts.newest)
        return Response(json.dumps(to_json(newest), indent=1), media_type="application/json", headers=HEADERS)

    return [
        Route("/desk/openapi.json", openapi, methods=["GET"]),
        Route("/desk/transparency.json", transparency, methods=["GET"]),
    ]
