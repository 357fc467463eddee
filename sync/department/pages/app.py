"""The routes of the pages: the checks before a page, and the answer to a refused one.

The checks are, in this order: the form's origin, its size, its session's mark; then the page's own calls,
which check session, role and training as every call does. A refused form comes back as it was filled in, with
what was wrong, the clause and the cure. A form that meets a lock or asks for a fresh proof is kept on the
server and comes back, unsent, after the unlock or the proof.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace
from urllib.parse import parse_qsl

from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from sync.department.desk import whoami
from sync.department.desk.calling import Calling, error_answer
from sync.department.ground.http_body import Budget, read_body
from sync.department.ground.problem import not_found
from sync.department.ground.sparingly import Sparingly
from sync.department.pages import (
    accounts,
    alerts,
    asking,
    auditing,
    calendar,
    changing,
    emergencies,
    governing,
    helping,
    holding,
    home,
    logon,
    machines,
    mapping,
    paging,
    proving,
    searching,
    sharing,
    shield,
    sign_in,
    staffing,
    stepping,
    transparency,
)
from sync.department.pages.memory import Memory
from sync.department.pages.navigation import entries_for
from sync.department.pages.rendering import ASSETS, MAP_ASSETS, asset, asset_path
from sync.department.pages.street_map import StreetMap
from sync.department.pages.values import Values, values_of
from sync.department.pages.visit import Handler, Page, Visit
from sync.department.pages.wording import in_page_words
from sync.department.policy.refusals import FRESH_PROOF, FormError, NotProvenError

MAX_FIELDS = 50_000  # a long form has hundreds; each takes much more memory than its bytes
MAX_FORM_BYTES = 12 << 20  # an agency's letter, or a year of RMS numbers
MAX_LOGON_BYTES = 32 << 10  # without a session
MEMORY_BYTES = 48 << 20
SECONDS = 20.0
LOCKED = "session-locked"
SESSION_GONE = {"no-session", "session-over", "no-account"}
OWN_PASSWORD_FIRST = {"first-password", "password-expired"}
OWN_PATHS = ("/desk/", "/enrol/", "/v1/", "/health")
PAGES: tuple[Page, ...] = (
    *logon.PAGES,
    *home.PAGES,
    *searching.PAGES,
    *stepping.PAGES,
    *mapping.PAGES,
    *asking.PAGES,
    *emergencies.PAGES,
    *alerts.PAGES,
    *changing.PAGES,
    *sharing.PAGES,
    *holding.PAGES,
    *auditing.PAGES,
    *staffing.PAGES,
    *sign_in.PAGES,
    *machines.PAGES,
    *governing.PAGES,
    *calendar.PAGES,
    *transparency.PAGES,
    *accounts.PAGES,
    *proving.PAGES,
    *paging.PAGES,
    *helping.PAGES,
)


class _Elsewhere(BaseRoute):
    """Answers paths that no page has with a page. Those for programs keep their own form of error."""

    def __init__(self, answer: Callable[[Request], Awaitable[Response]]) -> None:
        self._route = Route("/{path:path}", answer, methods=["GET"])

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        path = str(scope.get("path", ""))
        if scope["type"] != "http" or path.startswith(OWN_PATHS):
            return Match.NONE, {}
        match, child = self._route.matches(scope)
        return (match, child) if match is Match.FULL else (Match.NONE, {})

    async def handle(self, scope: Scope, receive: object, send: object) -> None:
        await self._route.handle(scope, receive, send)  # type: ignore[arg-type]


def routes(
    calling: Calling | None, pages: tuple[Page, ...] = PAGES, street_map: StreetMap | None = None
) -> list[BaseRoute]:
    """The pages' routes. Without a desk, they say how to create one."""
    if calling is None:
        return [Route("/", _no_desk, methods=["GET"])]
    server = _Pages(calling, street_map)
    kinds = ASSETS | MAP_ASSETS
    return [
        *(Route(one.path, server.endpoint(one), methods=one.methods) for one in pages),
        *(Route(asset_path(name), _asset(name, kind), methods=["GET"]) for name, kind in kinds.items()),
        Route("/favicon.ico", _nothing, methods=["GET"]),
        _Elsewhere(server.endpoint(Page(path="", show=helping.missing, to_all=True))),
    ]


async def _no_desk(_request: Request) -> Response:
    words = (
        "<!doctype html><title>No desk yet</title><p>This department has no desk yet: department user first"
    )
    return HTMLResponse(words, 503, shield.headers_of(shield.new_nonce()))


def _pairs(data: bytes) -> list[tuple[str, str]]:
    """The fields of a form without a file. Raises ValueError for other bytes, or too many fields."""
    text = data.decode()
    return parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), max_num_fields=MAX_FIELDS)


async def _nothing(_request: Request) -> Response:
    return Response(status_code=204)


def _demand_session(visit: Visit, *, sent: bool) -> None:
    if visit.who is None:
        ended = "your session has ended" if visit.token else "log in first"
        what = "your session has ended, and this form was not carried out" if sent else ended
        raise NotProvenError(what, code="no-session", clause="463.3", cure="log in")


def _page_above(visit: Visit) -> tuple[str, str] | None:
    """The page of the menu that the address is under, as (path, title): where a person finds the rest."""
    path = visit.request.url.path
    menu = entries_for(visit.may) if visit.who is not None else ()
    return next(
        ((one.path, one.title) for one in menu if one.path != "/" and path.startswith(f"{one.path}/")), None
    )


def _form_path(visit: Visit) -> str:
    """The page that a sent form is on."""
    here = visit.request.url.path
    return shield.local_path(visit.values.get("from", here), here)


def _asset(name: str, kind: str) -> Callable[[Request], Awaitable[Response]]:
    async def answer(_request: Request) -> Response:
        kept = {"cache-control": "public, max-age=31536000, immutable", "x-content-type-options": "nosniff"}
        return Response(asset(name), media_type=kind, headers=kept)

    return answer


class _Pages:
    """What all pages of one server share."""

    def __init__(self, calling: Calling, street_map: StreetMap | None) -> None:
        self._calling = calling
        self._map = street_map
        self._memory = Memory(calling.front.desk.now_us)
        self._budget = Budget(MEMORY_BYTES)
        self._events = Sparingly("department.pages")

    def endpoint(self, page: Page) -> Callable[[Request], Awaitable[Response]]:
        """Make the function that answers a page's requests."""

        async def answer(request: Request) -> Response:
            visit = Visit(request, self._calling, self._memory, shield.new_nonce(), shield.token_of(request))
            visit.street_map = self._map
            sent = request.method == "POST"
            try:
                await self._find_person(visit)
                if sent:
                    shield.demand_own(request)
                    is_known = bool(self._owner(visit))  # an ended session's form is kept too
                    if not (is_known or page.to_all):
                        _demand_session(visit, sent=True)
                    visit.values = await self._form(request, MAX_FORM_BYTES if is_known else MAX_LOGON_BYTES)
                    if visit.who is not None:
                        shield.demand_mark(visit.token, visit.values.get("mark", ""))
                elif visit.who is not None:
                    self._restore(visit)
                if not page.to_all:
                    _demand_session(visit, sent=sent)
                handler = page.send if sent else page.show
                if handler is None:
                    return await not_found(request, RuntimeError())
                return await self._answered(handler, visit, sent=sent)
            except ClientDisconnect:
                return Response(status_code=400)
            except Exception as error:  # noqa: BLE001 - every error is answered by a page
                return await self._refused(page, visit, error, sent=sent)

        return answer

    async def _answered(self, handler: Handler, visit: Visit, *, sent: bool) -> Response:
        """Let a page answer. A form that came back earlier is then done, unless this page has it now."""
        answer = await handler(visit)
        if visit.who is not None and (visit.called if sent else not visit.restored):
            self._memory.end_draft(visit.who.user, _form_path(visit), visit.session)
        return answer

    async def _find_person(self, visit: Visit) -> None:
        if not visit.token:
            return
        desk = self._calling.front.desk
        with contextlib.suppress(NotProvenError):
            visit.who = await self._calling.in_thread(lambda: whoami.logged_on(desk, visit.token))
        if visit.who is not None and not visit.who.must_change and not shield.signs(visit.token):
            visit.who = None  # its calls would not be proven to be its person's: log in again

    async def _form(self, request: Request, limit: int) -> Values:
        """Read the fields of a body. Raises FormError, RefusedByDepartmentError."""
        with self._budget.taking() as add:
            data = await read_body(request, limit, SECONDS, add)
            kind = request.headers.get("content-type", "").partition(";")[0].strip()
            if kind == "multipart/form-data":
                try:
                    parser = MultiPartParser(request.headers, _pieces(data))
                    parser.spool_max_size = len(data) + 1  # in memory: a temporary file would be plain text
                    parsed = await parser.parse()
                except (MultiPartException, KeyError):
                    raise FormError("the form is malformed", code="form", clause="463.5") from None
                try:
                    return await values_of(parsed.multi_items())
                finally:
                    await parsed.close()
            try:
                pairs = await self._calling.reading(lambda: _pairs(data))
            except ValueError:
                raise FormError("the form is malformed", code="form", clause="463.5") from None
            return await values_of(pairs)

    @staticmethod
    def _restore(visit: Visit) -> None:
        """Fill in this page's form that was kept at a lock."""
        draft = visit.memory.take_draft(visit.person.user, visit.request.url.path, visit.session)
        if draft is not None:
            visit.values, visit.restored, visit.files_lost = Values(draft.pairs), True, draft.files

    async def _refused(  # noqa: PLR0911 - one case per kind
        self, page: Page, visit: Visit, error: Exception, *, sent: bool
    ) -> Response:
        visit.refusal = in_page_words(error_answer(error, self._events))
        if visit.refusal.code in SESSION_GONE or visit.restored:
            self._memory.return_drafts(self._owner(visit), visit.session)
        if visit.refusal.code == LOCKED:
            self._keep_draft(visit)
            visit.refusal = None
            return await logon.locked(visit)
        if visit.refusal.code == FRESH_PROOF:
            self._keep_draft(visit)
            refusal, visit.refusal = visit.refusal, None
            return await proving.show(visit, refusal)
        if visit.refusal.code in SESSION_GONE:
            if self._keep_draft(visit) and sent:
                done = "may have been carried out in part" if visit.called else "was not carried out"
                what = f"{visit.refusal.what.partition(',')[0]}, and this form {done}"
                cure = "log in as the same person: it comes back as you left it"
                cure += ", without its file" if visit.values.file_names else ""
                cure += "; look first at what was done" if visit.called else ""
                visit.refusal = replace(visit.refusal, what=what, cure=cure)
            status, visit.who = visit.refusal.status, None
            if not visit.token and not sent:
                visit.refusal = None  # a first visit is not a mistake
            return await logon.show(visit, status)
        if visit.refusal.code in OWN_PASSWORD_FIRST:
            return await accounts.must_change(visit)
        again: Handler | None = page.again or page.show
        if not (sent or (page.asks and isinstance(error, FormError))):
            again = None
        why_not = ""
        if again is not None:
            if sent and visit.who is not None:
                visit.renew_draft(_form_path(visit))
            try:
                return await again(visit)
            except Exception as second:  # noqa: BLE001 - the form cannot be shown: only the refusal is
                said = in_page_words(error_answer(second, self._events))
                if said.code in SESSION_GONE | {LOCKED}:
                    return await self._refused(page, visit, second, sent=sent)  # this keeps what was typed
                why_not = said.what if said.what != visit.refusal.what else ""
        typed = visit.values.shown() if sent else ()
        return visit.page("refused.html", sent=sent, back=_page_above(visit), why_not=why_not, typed=typed)

    @staticmethod
    def _owner(visit: Visit) -> str:
        """The user who made the request, or whose ended session it names."""
        return visit.who.user if visit.who else visit.memory.owner(visit.session) if visit.token else ""

    def _keep_draft(self, visit: Visit) -> bool:
        """Keep what was typed for its person. Returns whether there was anything."""
        user, here = self._owner(visit), visit.request.url.path
        if not user or here == paging.FIND_PATH or visit.restored:  # a restored form is kept already
            return False
        return visit.keep_draft(user, _form_path(visit))


async def _pieces(data: bytes) -> AsyncGenerator[bytes, None]:
    yield data
