"""The desk's HTTP API: the table of operations as POST /desk/NOUN/VERB, with a bearer token and JSON.

    POST /desk/session/logon    {"user", "password", "code", "post"?} -> {"token", "user", "roles", ...}
    POST /desk/session/unlock   {"password", "code"}
    POST /desk/session/logoff   {}
    POST /desk/NOUN/VERB        the operation's form -> its answer; once for each Idempotency-Key
    GET  /desk/alert/events     the alerts as they come, server-sent; Last-Event-ID goes on after it
    GET  /desk/openapi.json     all of it described; GET /desk/transparency.json: the public counts

A refusal answers 401, 403, 409, 422, 423 or 429 with problem details (`ground/problem.py`): "refused",
"clause", "what", "cure". Bodies have a limit and a clock; nothing is cached on the way; no message holds a
plate.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from storage.errors import RecordError, StorageError
from storage.times import now_us
from sync.department.desk.alerts.events import AlertEvents, EventStream, last_id_of
from sync.department.desk.context import Front
from sync.department.desk.idempotency import MadeOnce
from sync.department.desk.json_forms import read_form, to_json
from sync.department.desk.logon_forms import LoggedOn, LogonForm, UnlockForm
from sync.department.desk.operations import OPERATIONS
from sync.department.desk.public import public_routes
from sync.department.desk.whoami import logged_on
from sync.department.desk.words import demand_plain
from sync.department.ground.http_body import Budget, read_body
from sync.department.ground.problem import NO_STORE, problem, unforeseen
from sync.department.ground.sparingly import Sparingly
from sync.department.journal.marking import WORDS, watching
from sync.department.policy.refusals import DeskRefusal, FormError, NotProvenError, TooManyError
from sync.errors import RefusedByDepartmentError, SyncError

MAX_BODY_BYTES = 1 << 20
MEMORY_BYTES = 16 << 20
SECONDS = 20.0
THREADS = 6
LOGON_THREADS = 2  # each costs the memory of a password hash
LOGONS_WAITING = 64


def refusal_answer(error: DeskRefusal) -> Response:
    """The answer that says why not."""
    headers = {"www-authenticate": "Bearer"} if error.status == 401 else {}
    return problem(
        error.status, error.code, error.what, clause=error.clause, cure=error.cure, headers=headers
    )


def bearer(request: Request) -> str:
    """The token of a request. Raises NotProvenError."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise NotProvenError("no session with this token", code="no-session", clause="463.3", cure="log on")
    return token.strip()


def demand_turn(limiter: anyio.CapacityLimiter) -> None:
    """So many logons wait for their turn, and no more. Raises TooManyError."""
    if limiter.statistics().tasks_waiting >= LOGONS_WAITING:
        raise TooManyError("too many logons at once", code="too-many", clause="CJIS AC-7", cure="ask again")


async def _body(request: Request, budget: Budget) -> Any:
    with budget.taking() as add:
        data = await read_body(request, MAX_BODY_BYTES, SECONDS, add)
    try:
        value = json.loads(data or b"{}")
    except (ValueError, RecursionError):
        raise FormError("the body is no JSON", code="form", clause="463.5") from None
    if not isinstance(value, dict):
        raise FormError("the body is no object", code="form", clause="463.5")
    return value


def _alert_events(front: Front | None, events: Sparingly) -> BaseRoute:
    """The stream of alerts; refused as alert/list is."""
    followed = AlertEvents(front) if front is not None else None

    async def answer(request: Request) -> Response:
        if followed is None:
            return problem(503, "no-desk", "this department has no desk yet", cure="department user first")
        try:
            return EventStream(await followed.follow(bearer(request), last_id_of(request)))
        except DeskRefusal as error:
            events.tell(f"refused_{error.code}", clause=error.clause)
            return refusal_answer(error)
        except (SyncError, StorageError) as error:
            return unforeseen(error, events)

    return Route("/desk/alert/events", answer, methods=["GET"])


def routes(front: Front | None) -> list[BaseRoute]:
    """The desk's routes; without a front (no desk yet) they answer 503."""
    budget = Budget(MEMORY_BYTES)
    limiter = anyio.CapacityLimiter(THREADS)
    logons = anyio.CapacityLimiter(LOGON_THREADS)
    events = Sparingly("department.desk")
    once = MadeOnce(front.desk.now_us if front is not None else now_us)

    def endpoint(work: Callable[[Request, Any, Front], Awaitable[Any]]) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:  # noqa: PLR0911 - one answer for each kind of error
            if front is None:
                return problem(
                    503, "no-desk", "this department has no desk yet", cure="department user first"
                )
            try:
                value = await _body(request, budget)
                with watching() as mark:
                    answered = to_json(await work(request, value, front))
                headers = NO_STORE | ({"X-Not-Witnessed": WORDS} if mark.unwitnessed else {})
                return JSONResponse(answered, 200, headers)
            except DeskRefusal as error:
                events.tell(f"refused_{error.code}", clause=error.clause)
                return refusal_answer(error)
            except RefusedByDepartmentError as error:
                return problem(
                    {"too-large": 413, "too-slow": 408}.get(error.code, 503), error.code, error.what
                )
            except RecordError as error:
                return refusal_answer(FormError(str(error), code="form", clause="463.5"))
            except (SyncError, StorageError) as error:
                return unforeseen(error, events)
            except ClientDisconnect:
                return Response(status_code=400)
            except Exception as error:  # noqa: BLE001 - a full disk, an absent database: answered in the one form
                return unforeseen(error, events)

        return answer

    async def logon(request: Request, value: Any, desk_front: Front) -> Any:
        form = read_form(LogonForm, value)
        demand_plain(form, "LogonForm")
        address = request.client.host if request.client else "?"

        def work() -> LoggedOn:
            desk = desk_front.desk
            return logged_on(
                desk, desk.logon(form.user, form.password, form.code, post=form.post, address=address)
            )

        demand_turn(logons)
        return await anyio.to_thread.run_sync(work, limiter=logons)

    async def unlock(request: Request, value: Any, desk_front: Front) -> Any:
        form, token = read_form(UnlockForm, value), bearer(request)
        demand_plain(form, "UnlockForm")
        address = request.client.host if request.client else "?"

        def work() -> None:
            desk_front.desk.unlock(token, form.password, form.code, address=address)

        demand_turn(logons)
        await anyio.to_thread.run_sync(work, limiter=logons)
        return {}

    async def logoff(request: Request, _value: Any, desk_front: Front) -> Any:
        await anyio.to_thread.run_sync(desk_front.desk.logoff, bearer(request), limiter=limiter)
        desk_front.bell.ring()
        return {}

    async def operation(request: Request, value: Any, desk_front: Front) -> Any:
        token = bearer(request)
        name = f"{request.path_params['noun']}/{request.path_params['verb']}"
        known = OPERATIONS.get(name)
        if known is None:
            raise FormError("there is no such call", code="no-call", clause="463.5")
        form = read_form(known.form, value)
        key = request.headers.get("idempotency-key", "")
        body = json.dumps(value, sort_keys=True).encode()

        def work() -> Any:
            return once.run(key, token, name, body, lambda: known.run(desk_front, token, form))

        return await anyio.to_thread.run_sync(work, limiter=limiter)

    return [
        Route("/desk/session/logon", endpoint(logon), methods=["POST"]),
        Route("/desk/session/unlock", endpoint(unlock), methods=["POST"]),
        Route("/desk/session/logoff", endpoint(logoff), methods=["POST"]),
        Route("/desk/{noun}/{verb}", endpoint(operation), methods=["POST"]),
        _alert_events(front, events),
        *(public_routes(front) if front is not None else ()),
    ]
