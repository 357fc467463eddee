"""The form of every error over HTTP: problem details (RFC 9457), application/problem+json.

    {"type", "title", "status", "detail", "refused", "clause", "what", "cure"}

`refused` is one word for programs. `Unfailing` wraps an application: an unforeseen error (a full disk, a
missing database) becomes an answer of this form and one event a minute, never a traceback.
"""

from __future__ import annotations

import traceback
from http import HTTPStatus
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from storage import files
from storage.errors import causes_of
from sync.department.ground.sparingly import MAX_CAUSES, Sparingly, kinds_behind

MEDIA_TYPE = "application/problem+json"
NO_STORE = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
FULL = "full"
AGAIN_S = 60
DISK_FULL = "53100"  # PostgreSQL's disk_full


def problem(
    status: int,
    code: str,
    what: str,
    *,
    clause: str = "",
    cure: str = "",
    headers: dict[str, str] | None = None,
    more: dict[str, str] | None = None,
    after_s: int = AGAIN_S,
) -> Response:
    """A refusal or an error. `more`: members for this code only; `after_s`: see `retry_headers`."""
    body = {
        "type": f"urn:alpr-reader:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": what,
        "refused": code,
        "clause": clause,
        "what": what,
        "cure": cure,
        **(more or {}),
    }
    return JSONResponse(
        body, status, NO_STORE | retry_headers(status, after_s) | (headers or {}), media_type=MEDIA_TYPE
    )


def retry_headers(status: int, after_s: int = AGAIN_S) -> dict[str, str]:
    """Retry-After (RFC 9110, 10.2.3), in seconds, for a status that is temporary."""
    return {"retry-after": str(after_s)} if status in {429, 503} else {}


def words_of_unforeseen(error: BaseException, events: Sparingly) -> tuple[int, str, str, str]:
    """(status, code, what, cure) for an unforeseen error.

    Its message may hold content, so only its type and those of its causes are logged.
    """
    events.report("answer_failed", kind=type(error).__name__, place=_place(error), cause=kinds_behind(error))
    if _is_full(error):
        return 507, FULL, "the server's disk is full", "make room there, then ask again"
    what = f"the server cannot answer now: {type(error).__name__}"
    return 503, "unavailable", what, "try again; if it happens again, see the server's events"


def _is_full(error: BaseException) -> bool:
    """Whether a full disk caused the error, according to the system, SQLite or PostgreSQL."""
    behind = causes_of(error)[:MAX_CAUSES]
    return any(files.is_full(one) or getattr(one, "sqlstate", "") == DISK_FULL for one in behind)


def unforeseen(error: BaseException, events: Sparingly) -> Response:
    """The answer to an unforeseen error."""
    status, code, what, cure = words_of_unforeseen(error, events)
    return problem(status, code, what, cure=cure)


def _place(error: BaseException) -> str:
    """The module and line that raised the error: enough to find it, without content."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""


async def not_found(_request: Request, error: Exception) -> Response:
    """Give Starlette's own refusals (no such path, wrong method) the same form."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    allowed = error.headers if isinstance(error, HTTPException) and error.headers else {}
    what = "there is no such path" if status == 404 else "not with this method"
    return problem(status, "no-call", what, headers=dict(allowed))


HANDLERS: dict[Any, Any] = {404: not_found, 405: not_found}


def exact(app: Starlette) -> Starlette:
    """Make an application answer only at its exact paths.

    Otherwise Starlette redirects between paths with and without a final slash, on any host that a request
    names.
    """
    app.router.redirect_slashes = False
    return app


class Unfailing:
    """Wraps an application so that it always answers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._events = Sparingly("department.http")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def sent(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, sent)
        except Exception as error:  # noqa: BLE001 - every error is answered in the same form
            answer = unforeseen(error, self._events)
            if scope["type"] == "http" and not started:
                await answer(scope, receive, send)


class Paced:
    """An application that answers at most so many requests at once, and says with each answer that will be
    another one later when to ask again. For every door: an answer for units and other servers has no form of
    its own for that."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app, self._most, self._running = app, most, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=list(message.get("headers", ())))
                for name, value in retry_headers(message["status"]).items():
                    headers.setdefault(name, value)
                message = {**message, "headers": headers.raw}
            await send(message)

        if scope["type"] == "http" and self._running >= self._most:
            busy = problem(503, "busy", "too many requests at once", headers={"connection": "close"})
            await busy(scope, receive, send)
            return
        self._running += 1
        try:
            await self._app(scope, receive, sent)
        finally:
            self._running -= 1
