"""Every page as every role, with hostile texts in every field: worded refusals, escaped, never cached."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape

import pytest
from desk_cars import Car
from desk_twins import PEOPLE, Department
from page_barriers import barriers
from page_reader import Reader, Sheet

from sync.department.desk.operations import OPERATIONS
from sync.department.pages import app, rendering
from sync.department.pages.navigation import LAST, MENU
from sync.department.pages.visit import Page
from sync.department.policy.roles import Role

Browser = Callable[[], Reader]
OPEN = {"/logon", "/help", "/transparency", "/redress/paper", "/transparency/policy.toml"}
STREAMS = {"/alerts/events"}
NUMBERED = re.compile(r"\{(\w+)(:int)?\}")
COUNT_BESIDE_A_PLURAL = re.compile(
    r"\{\{ [\w.\[\]() |]+ \}\} (days|reads|hours|minutes|entries|people|seconds)\b"
)
HOSTILE = (
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "</textarea></title><svg/onload=alert(1)>",
    "javascript:alert(1)",
)


def address(page: Page) -> str:
    """A page's path with its placeholders filled in."""
    return NUMBERED.sub(lambda found: "0" if found[2] else "patch", page.path)


SHOWN = [one for one in app.PAGES if one.show is not None and one.path not in STREAMS]
SENT = [one for one in app.PAGES if one.send is not None]


def check_headers(sheet: Sheet) -> None:
    """Check the headers that every page has, and what it offers to people who cannot see it."""
    if sheet.html.startswith("<!doctype"):
        assert barriers(sheet.html) == [], sheet.path
    headers = sheet.answer.headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    policy = headers["content-security-policy"]
    nonce = re.search(r"'nonce-([\w-]{20,})'", policy)
    assert nonce is not None
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for tag, given in sheet.tags:
        assert tag not in {"style", "iframe", "object", "embed", "base"}
        assert tag != "script" or given["nonce"] == nonce[1]
        for name, value in given.items():
            assert not name.startswith("on"), (tag, name)
            assert name != "style", (tag, value)
            local = value.startswith(("/", "#", "?")) and not value.startswith("//")
            assert name not in {"src", "href", "action", "formaction"} or local, (tag, value)


def test_without_a_session_every_page_leads_to_the_log_on(department: Department, reader: Browser) -> None:
    before, one = department.desk.log.size(), reader()
    for page in SHOWN:
        sheet = one.get(address(page))
        assert sheet.status == (200 if page.path in OPEN else 401), page.path
        if page.path not in OPEN:
            assert sheet.form("/logon")["next"] == address(page)
        check_headers(sheet)
    assert department.desk.log.size() == before


def test_without_a_session_no_form_is_taken(department: Department, reader: Browser) -> None:
    before, one = department.desk.log.size(), reader()
    for page in SENT:
        sheet = one.post(address(page), {"do": "run", "mark": "x"})
        assert sheet.status in ({200, 401, 422} if page.to_all else {401}), page.path
    assert department.desk.log.size() - before <= 1  # at most the failed login


@pytest.mark.thorough_rows("super", "officer1")
@pytest.mark.parametrize("user", PEOPLE)
def test_every_page_as_every_role_answers_or_refuses_in_words(
    department: Department, reader: Browser, user: str
) -> None:
    one = reader()
    home = one.logon(user)
    assert home.status == 200
    check_headers(home)
    offered = set(re.findall(r'<li><a href="([^"]+)"', home.html))
    for page in SHOWN:
        sheet = one.get(address(page))
        assert sheet.status in {200, 403, 404, 409, 422}, (page.path, sheet.text)
        if sheet.status != 200:
            assert "Rule:" in sheet.text or sheet.status == 404, page.path
            assert "What to do:" in sheet.text or page.path.startswith("/map/"), page.path  # a picture
        if page.path in offered:
            without_grant = user == "vendor1" and "grant" in sheet.text
            assert sheet.status == 200 or without_grant, (page.path, sheet.text)
        check_headers(sheet)


@pytest.mark.parametrize("user", ["officer1", "reviewer1", "vendor1"])
def test_a_page_shows_no_role_what_its_call_refuses(
    department: Department, reader: Browser, user: str
) -> None:
    """A person who may not search gets no search, whatever the browser sends."""
    one = reader()
    one.logon(user)
    mark = one.get("/help").form("/look")["mark"]
    for path, fields in (
        ("/search", {"do": "run", "plate": "8XYZ123"}),
        ("/search", {"do": "propose", "plate": "8X*"}),
        ("/emergency", {"plate": "8XYZ123", "danger": "a child in the car of the kidnapper"}),
        ("/queue/1", {"do": "run"}),
    ):
        why = {"purpose": "investigation", "basis": "criminal-investigation", "number": "26-001234"}
        words = {"number_kind": "case", "justification": "hit and run on Myrtle Avenue", "mark": mark}
        sheet = one.post(path, fields | why | words)
        assert sheet.status in {403, 409, 422}
        assert "car-7" not in sheet.html
    assert not department.desk.book.glass.broken


@pytest.mark.parametrize(
    ("html", "named"),
    [
        pytest.param("<h1>A</h1><h3>B</h3>", "h1 is followed by h3", id="a level left out"),
        pytest.param('<h1>A</h1><input name="plate">', "the field plate has no label", id="no label"),
        pytest.param(
            '<h1>A</h1><label for="b">B</label>', "label for=b leads nowhere", id="label of nothing"
        ),
        pytest.param('<h1 id="a">A</h1><p id="a">', "the id a is there 2 times", id="one id twice"),
        pytest.param("<h1>A</h1><button> </button>", "a button without words", id="empty button"),
        pytest.param("<h1>A</h1><th>B</th>", "a heading of a table without scope: B", id="no scope"),
        pytest.param("<h1>A</h1><img src=x>", "a picture without alt", id="no alt"),
        pytest.param(
            '<h1>A</h1><form><input aria-label="B"><button name="a">C</button><button name="a">D</button>',
            "Enter in a field chooses C",
            id="hasty",
        ),
    ],
)
def test_each_barrier_of_a_page_is_found(html: str, named: str) -> None:
    page = f'<html lang="en-US"><title>A</title><main>{html}</main></html>'
    assert [one.partition(":")[0] for one in barriers(page)] == [named.partition(":")[0]]
    assert named in barriers(page)[0]


def test_the_menu_leads_to_pages_that_are_there() -> None:
    paths = {one.path for one in app.PAGES if one.show is not None}
    assert {one.path for one in (*MENU, *LAST)} <= paths
    keys = [one.key for one in (*MENU, *LAST)]
    assert len(keys) == len(set(keys))


@pytest.mark.thorough_rows
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_of_a_form_come_back_as_text(reader: Browser, text: str) -> None:
    one = reader()
    one.logon("super")
    mark = {"mark": one.get("/help").form("/look")["mark"]}
    for page in SENT:
        if page.path in {"/logoff", "/look", "/awake"}:
            continue
        shown = one.get(address(page)) if page.show is not None else one.get("/search")
        names = {name for _, fields in shown.forms for name in fields} | {"do", "reason", "plate"}
        fields = dict.fromkeys(names - {"mark", "once", "from", "next"}, text)
        sheet = one.post(address(page), fields | mark)
        if "<" in text:
            assert text not in sheet.html, page.path
        assert "49{%" not in unescape(sheet.html), page.path
        if sheet.html:
            check_headers(sheet)


@pytest.mark.parametrize("text", HOSTILE[:2])
def test_hostile_texts_of_lists_units_and_people_are_text(
    department: Department, reader: Browser, text: str
) -> None:
    """Texts that a list, a requester, a dispatcher and an approver can write, as others see them."""
    car = Car(department)
    car.raises(make=text[:20], reason=text, case=text[:20])
    words = f"hit and run {text}"
    why = {"purpose": "investigation", "basis": "criminal-investigation", "number": "26-001234"}
    ask = why | {"number_kind": "case", "justification": words, "plate": "8XYZ123"}
    officer, dispatcher = reader(), reader()
    officer.logon("officer1")
    officer.send(officer.get("/ask"), "/ask", **ask)
    dispatcher.logon("disp1")
    seen = [dispatcher.get("/queue"), officer.get("/ask"), dispatcher.get("/")]
    assert any(words in unescape(one.html) for one in seen)
    queue = seen[0]
    action = next(action for action, _ in queue.forms if action.startswith("/queue/"))
    seen.append(dispatcher.send(queue, action, **{"do": "decline", "reason": text}))
    seen += [officer.get("/ask"), officer.get("/mine")]
    dispatcher.get("/alerts")
    path = f"/alerts/{department.desk.book.alerts.open()[0].number}"
    looked = dispatcher.send(dispatcher.get(path), path, **{"do": "show"})
    seen.append(dispatcher.send(looked, path, **{"do": "transcribe", "plate": "7XKR219", "state": "CA"}))
    assert text in unescape(seen[-1].html)
    for sheet in seen:
        assert text not in sheet.html
        check_headers(sheet)
    car.unit.close()


def test_no_page_is_heavy() -> None:
    """Style and script of every page, before compression; the goal for a first page is 100 kB in all."""
    assert sum(len(rendering.asset(name)) for name in rendering.ASSETS) < 60_000
    own = [name for name in (*rendering.ASSETS, *rendering.MAP_ASSETS) if name in {"desk.js", "map.js"}]
    assert len(own) == 2
    assert sum(rendering.asset(name).count(b"\n") for name in own) < 300


def test_every_template_is_escaped_and_makes_no_exception() -> None:
    templates = list((rendering.FOLDER / "templates").glob("*.html"))
    assert templates
    for path in templates:
        text = path.read_text(encoding="utf-8")
        for word in ("|safe", "| safe", "autoescape", "<style", "javascript:", "http://", "https://"):
            assert word not in text, (path.name, word)
        assert not re.search(r"\s(on\w+|style)=", text), path.name
        assert not COUNT_BESIDE_A_PLURAL.search(text), path.name  # counted(n, "day") writes "1 day"


def test_every_table_that_is_wider_than_a_phone_stacks_there() -> None:
    """A cell then has its heading beside it; a month and a sheet on paper have their own layout."""
    for path in (rendering.FOLDER / "templates").glob("*.html"):
        text = path.read_text(encoding="utf-8")
        for given in re.findall(r'<div class="scroll"[^>]*><table([^>]*)>', text):
            assert re.search(r'class="(stacks|month|ruled)', given), path.name


def test_pages_call_what_the_table_has() -> None:
    """A page that names an unknown call would fail only when it is used."""
    named = set()
    for path in rendering.FOLDER.glob("*.py"):
        named |= set(re.findall(r'(?:call|demand)\(\s*"([\w-]+/[\w-]+)"', path.read_text(encoding="utf-8")))
    assert named
    assert named <= set(OPERATIONS)
    assert set(PEOPLE.values()) == set(Role)


def test_a_path_of_programs_keeps_its_own_form_of_error(reader: Browser) -> None:
    one = reader()
    missing = one.ask("GET", "/nothing/here")
    assert (missing.status_code, missing.headers["content-type"]) == (404, "text/html; charset=utf-8")
    for path, status in (("/desk/nothing", 404), ("/desk/inquiry/run", 405), ("/v1/hello", 404)):
        answer = one.ask("GET", path)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
