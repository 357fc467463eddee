"""A browser without scripts: keeps cookies, fills in the forms of pages, follows redirects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from html.parser import HTMLParser

import httpx
from desk_server import TRUST, serving
from desk_twins import GROUND, Department
from starlette.applications import Starlette
from waiting import PATIENCE_S

from sync.department.desk.api import routes as api_routes
from sync.department.desk.calling import Calling
from sync.department.desk.json_forms import to_json
from sync.department.ground.problem import HANDLERS, Unfailing
from sync.department.pages import app
from sync.department.pages.street_map import StreetMap

WHY: dict[str, str] = to_json(GROUND)  # the fields of a page for the reason


class _Forms(HTMLParser):
    """The forms of a page, as (action, {name: value}) with the values that an untouched form would send."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[tuple[str, dict[str, str]]] = []
        self._select = self._area = ""
        self.texts: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.append((tag, given))
        if tag == "form":
            self.forms.append((given.get("action", ""), {}))
        if not self.forms:
            return
        fields = self.forms[-1][1]
        name = given.get("name", "")
        if tag == "input" and name and given.get("type") not in {"checkbox", "radio", "file", "submit"}:
            fields[name] = given.get("value", "")
        elif tag == "input" and name and "checked" in given:
            fields[name] = given.get("value", "on")
        elif tag == "select":
            self._select = name
        elif tag == "textarea" and name:
            fields[name], self._area = "", name
        elif tag == "option" and self._select and ("selected" in given or self._select not in fields):
            fields[self._select] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = ""
        if tag == "textarea":
            self._area = ""

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self._area:
            self.forms[-1][1][self._area] += data.removeprefix("\n")


class Sheet:
    """A page as received; parsed when a test asks for its content."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self.status = answer.status_code
        self.html = answer.text

    @cached_property
    def _parsed(self) -> _Forms:
        parsed = _Forms()
        parsed.feed(self.html)
        return parsed

    @property
    def forms(self) -> list[tuple[str, dict[str, str]]]:
        return self._parsed.forms

    @property
    def tags(self) -> list[tuple[str, dict[str, str]]]:
        return self._parsed.tags

    @cached_property
    def text(self) -> str:
        return " ".join(" ".join(self._parsed.texts).split())

    @property
    def path(self) -> str:
        return self.answer.url.path

    def form(self, action: str) -> dict[str, str]:
        """The fields of the form that is sent to `action`."""
        found = [fields for known, fields in self.forms if known == action]
        assert found, f"no form to {action} among {[known for known, _ in self.forms]}"
        return dict(found[0])


class Reader:
    """One browser; it keeps Secure cookies even without TLS, on loopback."""

    def __init__(self, department: Department, base: str) -> None:
        self.department = department
        self.base = base
        self.cookies: dict[str, str] = {}
        self.user = ""
        self.client = httpx.Client(base_url=base, timeout=PATIENCE_S, trust_env=False, verify=TRUST)

    @classmethod
    @contextmanager
    def desk(
        cls, department: Department, street_map: StreetMap | None = None
    ) -> Iterator[Callable[[], Reader]]:
        """Run a server of this department. Yields a function that makes browsers for it."""
        calling = Calling(department.front)
        routes = [*api_routes(department.front, calling), *app.routes(calling, street_map=street_map)]
        made: list[Reader] = []
        with serving(Unfailing(Starlette(routes=routes, exception_handlers=HANDLERS))) as client:

            def make() -> Reader:
                made.append(cls(department, str(client.base_url).rstrip("/")))
                return made[-1]

            yield make
            for one in made:
                one.client.close()

    def ask(
        self, method: str, path: str, fields: Mapping[str, str | list[str]] | None = None, **headers: str
    ) -> httpx.Response:
        """Send a request with this browser's cookies, and keep those that the answer sets."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = self.client.request(method, path, data=fields, headers=sent)
        for line in answer.headers.get_list("set-cookie"):
            name, _, rest = line.partition("=")
            value = rest.partition(";")[0].strip('"')
            if "max-age=0" in line.lower():
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return answer

    def get(self, path: str) -> Sheet:
        """Fetch a page, following redirects."""
        answer = self.ask("GET", path)
        while answer.is_redirect:
            answer = self.ask("GET", answer.headers["location"])
        return Sheet(answer)

    def post(
        self, path: str, fields: Mapping[str, str | list[str]], *, proves: bool = True, **headers: str
    ) -> Sheet:
        """Send a form as the desk's own page does, and follow redirects. `proves`: make a proof if the desk
        asks for one, and send the form again."""
        sent = {"origin": self.base} | headers
        answer = self.ask("POST", path, fields, **sent)
        if proves and answer.status_code == 401 and 'action="/proof"' in answer.text and path != "/proof":
            assert self.prove(Sheet(answer)).status == 200
            answer = self.ask("POST", path, fields, **sent)
        return self.get(answer.headers["location"]) if answer.is_redirect else Sheet(answer)

    def file(self, path: str, fields: Mapping[str, str]) -> httpx.Response:
        """Send a form for which the desk asks for a proof and answers with a file."""
        asked = self.ask("POST", path, fields, origin=self.base)
        assert asked.status_code == 401, asked.text[:600]
        self.prove(Sheet(asked))
        return self.ask("POST", path, fields, origin=self.base)

    def prove(self, sheet: Sheet) -> Sheet:
        """Fill in the page for a fresh proof. The clock advances by the life of a code."""
        self.department.clock.step(31_000_000)
        password, code = self.department.secrets[self.user][0], self.department.code(self.user)
        return self.send(sheet, "/proof", password=password, code=code)

    def send(self, sheet: Sheet, action: str, **fields: str) -> Sheet:
        """Fill in the page's form to `action` and send it."""
        return self.post(action, sheet.form(action) | fields)

    def logon(self, user: str, **fields: str) -> Sheet:
        """Log in through the page. The clock advances by the life of a code."""
        self.department.clock.step(31_000_000)
        self.user = user
        password = self.department.secrets[user][0]
        given = {"user": user, "password": password, "code": self.department.code(user)} | fields
        return self.send(self.get("/logon"), "/logon", **given)
