"""One request for a page: who asks, what was typed, the calls that it makes, the answer."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import urlencode

import anyio
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from storage.picture_format import picture_format
from sync.department.desk.calling import Calling, ErrorAnswer, known_operation
from sync.department.desk.grants.rules import demand_grant
from sync.department.desk.idempotency import UNDER_WAY
from sync.department.desk.logon_forms import LoggedOn
from sync.department.desk.people.training import demand_current
from sync.department.ground.problem import retry_headers
from sync.department.journal.marking import WORDS, watching
from sync.department.pages import rendering, shield
from sync.department.pages.foot import foot_of
from sync.department.pages.memory import Draft, Memory, Shelf
from sync.department.pages.navigation import entries_for
from sync.department.pages.street_map import StreetMap
from sync.department.pages.values import Values
from sync.department.pages.wording import elements_of, in_local_time, title_of
from sync.department.pages.zones import zones_text
from sync.department.policy.refusals import DeskRefusal, FormError, NotYetError
from sync.department.policy.roles import CALLS, Call, Role

TWIN_TRIES = 100
TWIN_WAITS_S = 0.2


@dataclass(slots=True)
class Visit:
    """One request. `who`: the session's person, None without one; `refusal`: why the form came back;
    `called`: whether a call was made; `files_lost`: the names of a restored form's files, to choose again."""

    request: Request
    calling: Calling
    memory: Memory
    nonce: str
    token: str = field(default="", repr=False)
    who: LoggedOn | None = None
    values: Values = field(default_factory=Values)
    refusal: ErrorAnswer | None = None
    restored: bool = False
    files_lost: tuple[str, ...] = ()
    unwitnessed: bool = False
    street_map: StreetMap | None = None
    called: bool = False

    # who asks ---------------------------------------------------------------------------------------------

    @property
    def person(self) -> LoggedOn:
        """The session's person. Only for pages that need one."""
        if self.who is None:
            raise RuntimeError("a page that needs a session was shown without one")
        return self.who

    @property
    def shelf(self) -> Shelf:
        """What this session's pages keep in memory."""
        return self.memory.shelf(self.session, self.person.user)

    @property
    def session(self) -> str:
        """The session's name in memory, which is never its token."""
        return shield.mark_of(self.token)

    def may(self, call: Call) -> bool:
        """Whether the person can now make a call, for what a page offers. The call itself decides again."""
        return call in self._held() and (self.shut is None or call not in self._shut_calls())

    def _held(self) -> set[Call]:
        """The calls of the person's roles."""
        if self.who is None:
            return set()
        grants = self.calling.front.desk.policy.grants
        return {call for role in self.who.roles for call in grants.get(Role(role), frozenset())}

    @property
    def shut(self) -> DeskRefusal | None:
        """The refusal that blocks part of the person's calls: no current training, or a vendor without a
        grant."""
        if self.who is None or not self._shut_calls() & self._held():
            return None
        desk, user, now_us = self.calling.front.desk, self.who.user, self.now_us
        try:
            if Role.VENDOR in self.who.roles:
                demand_grant(desk.book.grants, user, now_us)
            else:
                held = tuple(Role(one) for one in self.who.roles)
                demand_current(desk.policy, desk.book.trainings, user, now_us, held=held)
        except DeskRefusal as refusal:
            return refusal
        return None

    def _shut_calls(self) -> set[Call]:
        """The calls that a lack of training, or of a vendor's grant, blocks for this person."""
        if self.who is not None and Role.VENDOR in self.who.roles:
            return set(Call) - {Call.POLICY_READ}
        return {call for call, rule in CALLS.items() if rule.touches_data}

    @property
    def turned(self) -> dict[str, str]:
        """Which page of which list is shown, and the name of the text to find, from the form or else the
        address."""
        source = self.values or self.request.query_params
        return {name: source[name] for name in source if name.startswith(("page-", "find-"))}

    def sought(self, name: str) -> str:
        """The text to find in the list `name`. The address only has a random name for it."""
        kept = self.turned.get(f"find-{name}", "")
        return self.shelf.find_of(kept) if kept else ""

    def same(self, path: str) -> str:
        """The path, with the same pages of its lists."""
        return f"{path}?{urlencode(self.turned)}" if self.turned else path

    # calls ------------------------------------------------------------------------------------------------

    async def call(self, name: str, wrong: Sequence[FormError] = (), /, **value: Any) -> Any:
        """Make one call of the table with this visit's session. Raises DeskRefusal and the call's errors.

        `wrong`: the fields that could not be read.
        """
        key, typed = self.once()
        with watching() as mark:
            for tries_left in range(TWIN_TRIES)[::-1]:
                try:
                    answer = await self.calling.operation(name, self.token, value, key, typed, wrong)
                    self.called = True
                    break
                except NotYetError as refusal:
                    if refusal.code != UNDER_WAY or not tries_left:
                        raise
                await anyio.sleep(TWIN_WAITS_S)  # the browser shows the second answer to a form sent twice
        self.unwitnessed = self.unwitnessed or mark.unwitnessed
        return answer

    def once(self) -> tuple[str, bytes]:
        """(the key by which this form's call is made once, what was typed)."""
        typed, once = self.values.digest(), self.values.get("once", "")
        return once and hashlib.sha256(once.encode("utf-8", "replace") + typed).hexdigest(), typed

    async def demand(self, name: str) -> None:
        """Check session, role and training as the call `name` would, without making it. Raises
        DeskRefusal."""
        call = known_operation(name).call
        desk = self.calling.front.desk
        await self.calling.in_thread(lambda: desk.demand(self.token, call))

    def say(self, words: str) -> None:
        """Keep a message for this session's next page, with its times by the department's clocks."""
        self.shelf.notices.append(in_local_time(words, self.calling.front.desk.policy.zone))

    def keep_draft(self, user: str, path: str) -> bool:
        """Keep what was typed for a person, as the form of a page. Returns whether there was anything."""
        draft = self._draft(path)
        if not draft.files and not any(value for _, value in draft.pairs):
            return False
        self.memory.keep_draft(user, draft)
        return True

    def renew_draft(self, path: str) -> None:
        """Keep what was typed last, if this session's page has a form that came back."""
        self.memory.renew_draft(self._draft(path, shown=self.session), self.person.user)

    def _draft(self, path: str, shown: str = "") -> Draft:
        return Draft(path, self.values.kept(), self.now_us, self.values.file_names, shown)

    @property
    def now_us(self) -> int:
        """The department's time."""
        return self.calling.front.desk.now_us()

    # answers ----------------------------------------------------------------------------------------------

    def page(self, template: str, status: int = 200, **context: Any) -> Response:
        """Answer with a page. A refused form comes back with the refusal's status."""
        desk = self.calling.front.desk
        tastes = shield.tastes_of(self.request)
        notices: list[str] = []
        if self.who is not None:
            notices, self.shelf.notices[:] = list(self.shelf.notices), []
        now_us = self.now_us
        base: dict[str, Any] = {
            "department": desk.policy.department,
            "zone": desk.policy.time_zone,
            "who": self.who,
            "menu": entries_for(self.may),
            "follows": self.who is not None and not self.who.must_change and self.may(Call.ALERT_LIST),
            "path": self.request.url.path,
            "turned": self.turned,
            "mark": shield.mark_of(self.token) if self.token else "",
            "once": shield.new_nonce(),
            "nonce": self.nonce,
            "style": rendering.asset_path("desk.css"),
            "script": rendering.asset_path("desk.js"),
            "street_map": self.street_map,
            "zones": zones_text(desk.policy.unit.no_read_zones),
            "map_assets": [(rendering.asset_path(name), kind) for name, kind in rendering.MAP_ASSETS.items()],
            "tastes": tastes,
            "values": self.values,
            "refusal": self.refusal,
            "restored": self.restored,
            "files_lost": self.files_lost,
            "notices": notices,
            "not_witnessed": WORDS if self.unwitnessed else "",
            "foot": foot_of(self.calling.front, now_us),
            "now_us": now_us,
            "clock": rendering.clock_of(desk.policy.zone),
            "elements_of": lambda text: elements_of(text, desk.policy.zone),
            "local": lambda text: in_local_time(text, desk.policy.zone),
            "ago": lambda at_us: rendering.ago(at_us, now_us),
            "may": lambda name: self.may(Call(name)),
            "title_of": lambda role: title_of(desk.policy, role),
        }
        if self.refusal is not None and status == 200:
            status = self.refusal.status
        text = rendering.render(template, base | context)
        again = {} if self.refusal is None else retry_headers(status, self.refusal.after_s)
        return HTMLResponse(text, status, shield.headers_of(self.nonce) | again)

    def picture(self, data: bytes) -> Response:
        """Answer with a picture, JPEG or PNG, for a page of this session."""
        return Response(
            data, media_type=f"image/{picture_format(data)}", headers=shield.headers_of(self.nonce)
        )

    def data(self, text: str) -> Response:
        """Answer with JSON for the page's own script."""
        return Response(text, media_type="application/json", headers=shield.headers_of(self.nonce))

    def to(self, path: str) -> Response:
        """Redirect to another page, which the browser requests with GET."""
        return RedirectResponse(path, 303, shield.headers_of(self.nonce))


Handler: TypeAlias = Callable[[Visit], Awaitable[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page. `show`: answers GET; `send`: takes its form; `again`: shows a refused form, by default
    `show`.

    `to_all`: whether it needs no session; `asks`: whether the address has fields that a person fills in, so
    that a refused one is shown again with them.
    """

    path: str
    show: Handler | None = None
    send: Handler | None = None
    again: Handler | None = None
    to_all: bool = False
    asks: bool = False

    @property
    def methods(self) -> list[str]:
        """The HTTP methods that it answers."""
        return [*(["GET"] if self.show else []), *(["POST"] if self.send else [])]
