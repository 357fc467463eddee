"""The desk's public part: its description, the public counts, and requests from anyone."""

from __future__ import annotations

import functools
import json

import anyio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sync.department.desk.calling import problem_of
from sync.department.desk.context import DeskContext
from sync.department.desk.json_forms import read_form, read_json, to_json
from sync.department.desk.openapi import document
from sync.department.desk.redress.calls import RedressForm, ask
from sync.department.ground.http_body import Budget, read_body
from sync.department.ground.problem import NO_STORE
from sync.department.ground.sparingly import Sparingly

HEADERS = {"x-content-type-options": "nosniff", "cache-control": "public, max-age=3600"}


MAX_REDRESS_BYTES = 16 << 10
MEMORY_BYTES = 1 << 20
SECONDS = 20.0


@functools.cache
def _description() -> bytes:
    return json.dumps(document(), indent=1).encode()


def public_routes(front: DeskContext, events: Sparingly) -> list[BaseRoute]:
    """The routes GET /desk/openapi.json, GET /desk/transparency.json and POST /desk/redress.

    None needs a session. The first two are cheap; the third is small and rare.
    """
    budget, limiter = Budget(MEMORY_BYTES), anyio.CapacityLimiter(1)

    async def openapi(_request: Request) -> Response:
        return Response(_description(), media_type="application/json", headers=HEADERS)

    async def transparency(_request: Request) -> Response:
        newest = await anyio.to_thread.run_sync(front.public_counts.newest, front.desk)
        return Response(json.dumps(to_json(newest), indent=1), media_type="application/json", headers=HEADERS)

    async def redress(request: Request) -> Response:
        try:
            with budget.taking() as add:
                body = await read_body(request, MAX_REDRESS_BYTES, SECONDS, add)
            form = read_form(RedressForm, read_json(body))
            address = request.client.host if request.client else ""
            asked = await anyio.to_thread.run_sync(ask, front, address, form, limiter=limiter)
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception as error:  # noqa: BLE001 - answered in the one form
            return problem_of(error, events)
        return Response(json.dumps(to_json(asked)), media_type="application/json", headers=NO_STORE)

    return [
        Route("/desk/redress", redress, methods=["POST"]),
        Route("/desk/openapi.json", openapi, methods=["GET"]),
        Route("/desk/transparency.json", transparency, methods=["GET"]),
    ]
