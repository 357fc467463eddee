"""The ASGI factories: one application for units (behind client certificates), one for the front door.

Bodies are read with limits on size, time and memory, so that an oversized or silent client costs little. Work
runs in threads; the loop only moves bytes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import anyio
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from sync import messages
from sync.department.ground.http_body import Budget, read_body
from sync.department.ground.problem import HANDLERS, Unfailing, exact
from sync.department.ground.sparingly import Sparingly, kinds_behind
from sync.department.units.enrollment import Enrollment
from sync.department.units.receiver import Receiver
from sync.errors import RefusedByDepartmentError, refuse
from sync.health import HealthMessage

STATUS = {
    "malformed": 400,
    "too-large": 413,
    "too-slow": 408,
    "busy": 503,
    "unavailable": 503,
    "unknown-log": 403,
    "signature": 403,
    "revoked": 403,
    "code": 403,
}
CONFLICT = 409
THREADS = 8
LIMITS = {
    "hello": messages.Hello.LIMIT,
    "leaves": messages.LeafBatch.LIMIT,
    "parcel": messages.MAX_PARCEL_BYTES + 4,
    "alert": messages.MAX_PARCEL_BYTES + 4,
    "piece": messages.MAX_PARCEL_BYTES + 4,
    "closed": messages.MAX_PARCEL_BYTES + 4,
    "destroyed": messages.MAX_SMALL_BYTES,
    "receipt": messages.ReceiptWanted.LIMIT,
    "document": messages.DocumentWanted.LIMIT,
    "health": HealthMessage.LIMIT,
    "new-log": messages.MAX_SMALL_BYTES,
    "renew": messages.MAX_SMALL_BYTES,
}
KNOWN = LIMITS.keys() | {"challenge", "unit"}
"""Messages that an event may name: any other name is what a stranger sent."""

Answer = Callable[[str, bytes], bytes]


def _endpoint(
    answer: Answer,
    refusal: Callable[[RefusedByDepartmentError], bytes],
    budget: Budget,
    seconds: float,
    limits: Mapping[str, int],
) -> Callable[[Request], Awaitable[Response]]:
    limiter = anyio.CapacityLimiter(THREADS)
    events = Sparingly("department.app")

    async def endpoint(request: Request) -> Response:
        name = request.path_params["name"]
        try:
            with budget.taking() as add:
                limit = limits.get(name, messages.MAX_SMALL_BYTES)
                body = await read_body(request, limit, seconds, add)
                data = await anyio.to_thread.run_sync(answer, name, body, limiter=limiter)
            return Response(data, media_type=messages.CONTENT_TYPE)
        except RefusedByDepartmentError as error:
            events.report(f"refused_{error.code}", message=name if name in KNOWN else "")
            status = STATUS.get(error.code, CONFLICT)
            headers = {"connection": "close"} if error.code in {"too-large", "too-slow", "busy"} else {}
            return Response(refusal(error), status, headers, media_type=messages.CONTENT_TYPE)
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception as error:  # noqa: BLE001 - e.g. a full disk or a missing database: a signed refusal
            said = name if name in KNOWN else ""
            events.report("cannot_answer", message=said, kind=type(error).__name__, cause=kinds_behind(error))
            no = refuse("unavailable", "the department cannot answer now: keep everything, try later")
            return Response(refusal(no), STATUS["unavailable"], media_type=messages.CONTENT_TYPE)

    return endpoint


def unit_app(receiver: Receiver, enrollment: Enrollment, *, seconds: float = 60) -> ASGIApp:
    """The application for units: POST /v1/NAME with CBOR. The server requires a client certificate."""
    budget = Budget()

    def answer(name: str, body: bytes) -> bytes:
        if name == "challenge":
            return receiver.challenge()
        if name in {"new-log", "renew"}:
            return enrollment.answer(name, body)
        return receiver.answer(name, body)

    routes = [
        Route("/v1/{name}", _endpoint(answer, receiver.refusal, budget, seconds, LIMITS), methods=["POST"])
    ]
    return Unfailing(exact(Starlette(routes=routes, exception_handlers=HANDLERS)))


def front_app(
    receiver: Receiver, enrollment: Enrollment, desk: list[BaseRoute], *, seconds: float = 60
) -> ASGIApp:
    """The application for anyone over TLS: enrollment with a one-time code, and the desk's routes."""
    budget = Budget(8 << 20)

    async def root(_request: Request) -> Response:
        return Response(enrollment.root_file(), media_type=messages.CONTENT_TYPE)

    async def authority(_request: Request) -> Response:
        return Response(enrollment.authority_file(), media_type="application/pkix-cert")

    async def health(_request: Request) -> Response:
        return Response(b"ok\n", media_type="text/plain")

    enroll = _endpoint(enrollment.answer, receiver.refusal, budget, seconds, {})
    routes: list[BaseRoute] = [
        Route("/enrol/root", root, methods=["GET"]),
        Route("/enrol/authority", authority, methods=["GET"]),
        Route("/health", health, methods=["GET"]),
        Route("/enrol/{name}", enroll, methods=["POST"]),
        *desk,
    ]
    return Unfailing(exact(Starlette(routes=routes, exception_handlers=HANDLERS)))
