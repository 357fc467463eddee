"""The ASGI factories: one application for units (behind client certificates), one for the front door.

Bodies are read with a limit, a clock and a budget, so that an oversized or silent client costs a bounded
amount of memory and time. Work runs in threads; the loop only moves bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator

import anyio
import structlog
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sync import messages as m
from sync.department.enrol import Enrolment
from sync.department.receiver import Receiver, refuse
from sync.errors import RefusedByDepartmentError
from sync.health import Health

log_events = structlog.get_logger("department.app")

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
LEAST_BYTES_PER_S = 500  # a client that drips slower than a bad GPRS line is cut off
MEMORY_BYTES = 128 << 20  # all request bodies together
LIMITS = {
    "hello": m.Hello.LIMIT,
    "leaves": m.LeafBatch.LIMIT,
    "parcel": m.MAX_PARCEL_BYTES + 4,
    "alert": m.MAX_PARCEL_BYTES + 4,
    "piece": m.MAX_PARCEL_BYTES + 4,
    "receipt": m.ReceiptWanted.LIMIT,
    "document": m.DocumentWanted.LIMIT,
    "health": Health.LIMIT,
    "new-log": m.MAX_SMALL_BYTES,
    "renew": m.MAX_SMALL_BYTES,
}


class Budget:
    """Bytes that all requests together may hold in memory. Used from the event loop alone."""

    def __init__(self, limit: int = MEMORY_BYTES) -> None:
        self._limit, self._held = limit, 0

    @contextlib.contextmanager
    def taking(self) -> Iterator[Callable[[int], None]]:
        """A function that counts bytes in; they are given back at the end. Raises a refusal."""
        mine = 0

        def add(count: int) -> None:
            nonlocal mine
            if self._held + count > self._limit:
                raise refuse("busy", "the server's memory for requests is full: try again later")
            self._held += count
            mine += count

        try:
            yield add
        finally:
            self._held -= mine


async def read_body(request: Request, limit: int, seconds: float, add: Callable[[int], None]) -> bytes:
    """The whole body. Raises a refusal: too large, too slow, busy.

    Two clocks: no silence of over `seconds`, and on the whole at least LEAST_BYTES_PER_S after that.
    """
    said = request.headers.get("content-length", "")
    if said.isdecimal() and int(said) > limit:
        raise refuse("too-large", f"{said} bytes where {limit} are allowed")
    pieces: list[bytes] = []
    total = 0
    stream = request.stream()
    loop = asyncio.get_running_loop()
    started = loop.time()
    while True:
        until = min(loop.time() + seconds, started + seconds + total / LEAST_BYTES_PER_S)
        try:
            async with asyncio.timeout_at(until):
                piece = await anext(stream, None)
        except TimeoutError:
            raise refuse("too-slow", f"nothing came for {seconds:g} s, or too little for long") from None
        if piece is None:
            return b"".join(pieces)
        total += len(piece)
        if total > limit:
            raise refuse("too-large", f"over {limit} bytes")
        add(len(piece))
        pieces.append(piece)


Answer = Callable[[str, bytes], bytes]


def _endpoint(
    answer: Answer, refusal: Callable[[RefusedByDepartmentError], bytes], budget: Budget, seconds: float
) -> Callable[[Request], Awaitable[Response]]:
    limiter = anyio.CapacityLimiter(THREADS)

    async def endpoint(request: Request) -> Response:
        name = request.path_params["name"]
        try:
            with budget.taking() as add:
                limit = LIMITS.get(name, m.MAX_SMALL_BYTES)
                body = await read_body(request, limit, seconds, add)
                data = await anyio.to_thread.run_sync(answer, name, body, limiter=limiter)
            return Response(data, media_type=m.CONTENT_TYPE)
        except RefusedByDepartmentError as error:
            log_events.info("refused", message=name, code=error.code)
            status = STATUS.get(error.code, CONFLICT)
            headers = {"connection": "close"} if error.code in {"too-large", "too-slow", "busy"} else {}
            return Response(refusal(error), status, headers, media_type=m.CONTENT_TYPE)
        except ClientDisconnect:
            return Response(status_code=400)

    return endpoint


def unit_app(receiver: Receiver, enrolment: Enrolment, *, seconds: float = 60) -> Starlette:
    """What units reach: POST /v1/NAME with CBOR. The server in front asks for a client certificate."""
    budget = Budget()

    def answer(name: str, body: bytes) -> bytes:
        if name == "challenge":
            return receiver.challenge()
        if name in {"new-log", "renew"}:
            return enrolment.answer(name, body)
        return receiver.answer(name, body)

    routes = [Route("/v1/{name}", _endpoint(answer, receiver.refusal, budget, seconds), methods=["POST"])]
    return Starlette(routes=routes)


def front_app(
    receiver: Receiver, enrolment: Enrolment, desk: list[BaseRoute], *, seconds: float = 60
) -> Starlette:
    """What anyone can reach over TLS: enrolment with a one-time code, and the desk's own routes."""
    budget = Budget(8 << 20)

    async def root(_request: Request) -> Response:
        return Response(enrolment.root_file(), media_type=m.CONTENT_TYPE)

    async def authority(_request: Request) -> Response:
        return Response(enrolment.authority_file(), media_type="application/pkix-cert")

    async def health(_request: Request) -> Response:
        return Response(b"ok\n", media_type="text/plain")

    enrol = _endpoint(enrolment.answer, receiver.refusal, budget, seconds)
    routes: list[BaseRoute] = [
        Route("/enrol/root", root, methods=["GET"]),
        Route("/enrol/authority", authority, methods=["GET"]),
        Route("/health", health, methods=["GET"]),
        Route("/enrol/{name}", enrol, methods=["POST"]),
        *desk,
    ]
    return Starlette(routes=routes)
