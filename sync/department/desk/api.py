"""The desk's HTTP API: the table of operations as POST /desk/NOUN/VERB, with a bearer token and JSON.

    POST /desk/session/begin    {"user"} -> {"department", "salt", "scheme", "now_us"}
    POST /desk/session/passkey  {"user"} -> {"options"}: the argument of navigator.credentials.get()
    POST /desk/session/logon    {"user", "password" or "certificate", "code"} or {"passkey"} -> {"token", ...}
    POST /desk/session/prove-passkey {"proof"} -> {"options"}; POST /desk/session/prove {"password" or
                                "certificate" and "nonce", "code", "proof"} or {"passkey"}: a fresh proof of
                                one call, which its refusal names as "proof"
    POST /desk/session/unlock-passkey {} -> {"options"}; POST /desk/session/unlock {"password" or
                                "certificate", "code"} or {"passkey"}: opens a locked session again
    POST /desk/session/logoff   {}
    POST /desk/NOUN/VERB        the operation's form -> its answer; once for each Idempotency-Key;
                                Statement: the caller's signature of call and form (base64)
    POST /desk/inquiry/stream   a search step by step, as newline-delimited JSON (`inquiry/stream.py`)
    GET  /desk/alert/events     live alerts, server-sent; Last-Event-ID resumes after it
    GET  /desk/openapi.json     all of it described; GET /desk/transparency.json: the public counts

A refusal answers 401, 403, 409, 422, 423 or 429 with problem details (`ground/problem.py`): "refused",
"clause", "what", "cure". Bodies have a size limit and a time limit, no answer may be cached, and no message
holds a plate.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from storage.codec import hints_of
from sync.department.desk import sessions
from sync.department.desk.alerts.events import EventStream, last_id_of
from sync.department.desk.calling import Calling, problem_of
from sync.department.desk.context import DeskContext
from sync.department.desk.inquiry.stream import SearchStream
from sync.department.desk.json_forms import read_form, read_json, to_json
from sync.department.desk.logon_forms import AskProofForm, BeginForm, LogonForm, ProveForm, UnlockForm
from sync.department.desk.operations import OPERATIONS
from sync.department.desk.public import public_routes
from sync.department.ground.http_body import Budget, read_body
from sync.department.ground.problem import NO_STORE, problem
from sync.department.ground.sparingly import Sparingly
from sync.department.journal.marking import WORDS, watching
from sync.department.journal.statements import offering
from sync.department.policy.refusals import FormError, NotProvenError

MAX_BODY_BYTES = 1 << 20
# with a session, for a form that has bytes: 12 MiB as base64, and the other fields
MAX_FILE_BYTES = (16 << 20) + (64 << 10)
MAX_MARKS = 50_000  # lists, objects and items in a body that large; a file is a single text
LOOP_BYTES = 64 << 10  # a body up to this size is read at once, a larger one in a thread
MEMORY_BYTES = 64 << 20
SECONDS = 20.0
STATEMENT = "statement"  # a header: the caller's signature of call and form


def bearer(request: Request) -> str:
    """The session token of a request. Raises NotProvenError."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise NotProvenError("no session with this token", code="no-session", clause="463.3", cure="log in")
    return token.strip()


def statement_of(request: Request) -> bytes:
    """The caller's signature of a call, or b"". Raises FormError."""
    try:
        return base64.b64decode(request.headers.get(STATEMENT, ""), validate=True)
    except (binascii.Error, ValueError):
        raise FormError("the Statement is not base64", code="form", clause="463.5 (b)") from None


def address_of(request: Request) -> str:
    """The address of a request, by which failed logins are counted."""
    return request.client.host if request.client else "?"


async def _body(
    request: Request, add: Callable[[int], None], desk: Calling, most: int = MAX_BODY_BYTES
) -> dict[str, Any]:
    """Read the object of a body. Many small values cost much more memory than their bytes: see MAX_MARKS."""
    data = await read_body(request, most, SECONDS, add)
    if len(data) > LOOP_BYTES:
        return await desk.reading(lambda: _read_object(data))
    return _read_object(data or b"{}")


def _read_object(data: bytes) -> dict[str, Any]:
    if len(data) > MAX_BODY_BYTES and sum(data.count(mark) for mark in (b"[", b"{", b",")) > MAX_MARKS:
        what = f"a body over 1 MiB has at most {MAX_MARKS:,} lists, objects and items"
        raise FormError(what, code="form", clause="463.5")
    value = read_json(data)
    if not isinstance(value, dict):
        raise FormError("the body is not an object", code="form", clause="463.5")
    return value


def _may_send_file(request: Request, desk: Calling) -> bool:
    """Whether a known session calls an operation whose form has bytes. Its rights are checked later."""
    known = OPERATIONS.get(_name_of(request))
    if known is None or bytes not in hints_of(known.form).values():
        return False
    try:
        sessions.find(desk.front.desk.book.sessions, bearer(request))
    except NotProvenError:
        return False
    return True


async def _begin(request: Request, value: Any, desk: Calling) -> Any:
    return await desk.begin(read_form(BeginForm, value), address_of(request))


async def _passkey(request: Request, value: Any, desk: Calling) -> Any:
    return await desk.begin_passkey(read_form(BeginForm, value), address_of(request))


async def _logon(request: Request, value: Any, desk: Calling) -> Any:
    return await desk.logon(read_form(LogonForm, value), address_of(request))


async def _unlock(request: Request, value: Any, desk: Calling) -> Any:
    form, token = read_form(UnlockForm, value), bearer(request)
    await desk.unlock(token, form, address_of(request))
    return {}


async def _unlock_passkey(request: Request, _value: Any, desk: Calling) -> Any:
    return await desk.begin_unlock(bearer(request))


async def _prove_passkey(request: Request, value: Any, desk: Calling) -> Any:
    return await desk.begin_proof(bearer(request), read_form(AskProofForm, value).proof)


async def _prove(request: Request, value: Any, desk: Calling) -> Any:
    return await desk.prove(bearer(request), read_form(ProveForm, value), address_of(request))


async def _logoff(request: Request, _value: Any, desk: Calling) -> Any:
    await desk.logoff(bearer(request))
    return {}


def _name_of(request: Request) -> str:
    return f"{request.path_params['noun']}/{request.path_params['verb']}"


async def _operation(request: Request, value: Any, desk: Calling) -> Any:
    token, name = bearer(request), _name_of(request)
    key = request.headers.get("idempotency-key", "")
    with offering(statement_of(request)):
        return await desk.operation(name, token, value, key)


SESSION = {
    "begin": _begin,
    "passkey": _passkey,
    "logon": _logon,
    "prove-passkey": _prove_passkey,
    "prove": _prove,
    "unlock-passkey": _unlock_passkey,
    "unlock": _unlock,
    "logoff": _logoff,
}


def routes(front: DeskContext | None, shared: Calling | None = None) -> list[BaseRoute]:
    """The desk's routes; without a front (no desk yet) they answer 503. `shared`: the pages' `Calling`."""
    calling = shared if shared is not None or front is None else Calling(front)
    budget = Budget(MEMORY_BYTES)
    events = Sparingly("department.desk")

    def answering(work: Callable[[Request, Calling], Awaitable[Response]]) -> Callable[[Request], Any]:
        """Answer 503 while there is no desk, and every error in one form."""

        async def answer(request: Request) -> Response:
            if calling is None:
                return problem(
                    503, "no-desk", "this department has no desk yet", cure="department user first"
                )
            try:
                return await work(request, calling)
            except ClientDisconnect:
                return Response(status_code=400)
            except Exception as error:  # noqa: BLE001 - a full disk, an absent database: answered in the one form
                return problem_of(error, events)

        return answer

    def endpoint(
        work: Callable[[Request, Any, Calling], Awaitable[Any]], *, files: bool = False
    ) -> Callable[[Request], Any]:
        async def answer(request: Request, desk: Calling) -> Response:
            most = MAX_FILE_BYTES if files and _may_send_file(request, desk) else MAX_BODY_BYTES
            # what was read of a body is kept until the answer
            with budget.taking() as add, watching() as mark:
                value = await _body(request, add, desk, most)
                answered = to_json(await work(request, value, desk))
            headers = NO_STORE | ({"X-Not-Witnessed": WORDS} if mark.unwitnessed else {})
            return JSONResponse(answered, 200, headers)

        return answering(answer)

    async def stream(request: Request, desk: Calling) -> Response:
        with budget.taking() as add:
            value, token = await _body(request, add, desk), bearer(request)
            with offering(statement_of(request)):
                begun = await desk.operation("inquiry/begin", token, value)
        return SearchStream(desk, token, begun, events)

    async def follow(request: Request, desk: Calling) -> Response:
        """Answer with the stream of alerts. Refused as alert/list is."""
        return EventStream(await desk.alert_events.follow(bearer(request), last_id_of(request)))

    return [
        *(Route(f"/desk/session/{name}", endpoint(work), methods=["POST"]) for name, work in SESSION.items()),
        Route("/desk/inquiry/stream", answering(stream), methods=["POST"]),
        Route("/desk/{noun}/{verb}", endpoint(_operation, files=True), methods=["POST"]),
        Route("/desk/alert/events", answering(follow), methods=["GET"]),
        *(public_routes(calling.front, events) if calling is not None else ()),
    ]
