"""Logging in, locking and logging out in a browser: fixation, forms of other sites, back button, two tabs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from desk_twins import MINUTE_US, PASSWORD, Department
from office_pages import form_of, upload
from page_reader import Reader, Sheet

from sync.department.desk.people.calls import AccountForm
from sync.department.journal.inquiry_entries import Access
from sync.department.pages.shield import SESSION_COOKIE, local_path, mark_of
from sync.department.pages.visit import Visit
from sync.department.policy.refusals import FormError
from sync.department.policy.roles import Role

Browser = Callable[[], Reader]
FILLED = {
    "purpose": "investigation",
    "basis": "criminal-investigation",
    "number": "26-001234",
    "number_kind": "case",
    "justification": "hit and run on Myrtle Avenue",
    "plate": "8XYZ123",
}


def accesses(department: Department) -> int:
    """How many accesses the log has."""
    return sum(isinstance(one.note, Access) for one in department.desk.log.entries())


def test_a_logon_gives_a_new_token_in_a_guarded_cookie(reader: Browser) -> None:
    one = reader()
    one.cookies[SESSION_COOKIE] = planted = "planted-by-somebody-else"
    assert one.logon("comm1").path == "/"
    first = one.cookies[SESSION_COOKIE]
    assert first != planted
    answer = one.ask("GET", "/")
    assert answer.headers["cache-control"] == "no-store"
    assert first not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_the_cookie_is_for_this_host_tls_and_no_script(department: Department, reader: Browser) -> None:
    one = reader()
    department.clock.step(31_000_000)
    fields = {"user": "comm1", "password": PASSWORD, "code": department.code("comm1"), "next": "/search"}
    answer = one.ask("POST", "/logon", fields, origin=one.base)
    assert (answer.status_code, answer.headers["location"]) == (303, "/search")
    cookie = answer.headers["set-cookie"].lower()
    assert cookie.startswith("__host-desk=")
    for word in ("httponly", "secure", "samesite=strict", "path=/"):
        assert word in cookie
    assert "domain" not in cookie


def test_a_second_logon_ends_the_first_session_of_the_browser(
    department: Department, reader: Browser
) -> None:
    one = reader()
    one.logon("comm1")
    first = one.cookies[SESSION_COOKIE]
    department.clock.step(31_000_000)
    fields = {"user": "disp1", "password": PASSWORD, "code": department.code("disp1"), "mark": mark_of(first)}
    assert one.post("/logon", fields).path == "/"
    assert one.cookies[SESSION_COOKIE] != first
    old = reader()
    old.cookies[SESSION_COOKIE] = first
    assert old.get("/search").status == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({}, 403),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"sec_fetch_site": "same-site"}, 403),
        ({"sec_fetch_site": "same-origin", "origin": "https://evil.example"}, 403),
        ({"sec_fetch_site": "same-origin"}, 303),
    ],
)
def test_a_form_of_another_site_is_refused(
    department: Department, reader: Browser, headers: dict[str, str], status: int
) -> None:
    one = reader()
    one.logon("comm1")
    form = one.get("/search").form("/search") | FILLED
    answer = one.ask("POST", "/search", form, **headers)
    assert answer.status_code == status
    assert accesses(department) == (1 if status == 303 else 0)


@pytest.mark.parametrize("mark", ["", "0" * 64, "é", mark_of("another-session")])
def test_a_form_without_its_sessions_mark_is_refused_and_kept(
    department: Department, reader: Browser, mark: str
) -> None:
    one = reader()
    one.logon("comm1")
    page = one.send(one.get("/search"), "/search", **FILLED | {"mark": mark})
    assert page.status == 403
    assert page.form("/search")["justification"] == FILLED["justification"]
    assert accesses(department) == 0


def test_without_a_session_a_form_is_small(reader: Browser) -> None:
    one = reader()
    page = one.post("/logon", {"user": "x" * 40_000})
    assert page.status == 413
    assert "x" * 100 not in page.html


def test_a_wrong_logon_keeps_the_user_and_never_the_password(department: Department, reader: Browser) -> None:
    one = reader()
    page = one.logon("comm1", password="wrong " + PASSWORD)
    assert page.status == 401
    assert "CJIS IA-2" in page.text
    assert page.form("/logon")["user"] == "comm1"
    assert PASSWORD not in page.html
    assert SESSION_COOKIE not in one.cookies


def test_a_lock_keeps_the_half_filled_form_off_the_screen(department: Department, reader: Browser) -> None:
    one = reader()
    one.logon("comm1")
    form = one.get("/search").form("/search") | FILLED
    department.clock.step(31 * MINUTE_US)
    page = one.post("/search", form)
    assert page.status == 423
    assert "locked after 30 idle minutes" in page.text
    assert "8XYZ123" not in page.html
    assert FILLED["justification"] not in page.html
    assert accesses(department) == 0
    wrong = one.send(page, "/unlock", **{"password": PASSWORD[::-1], "code": "000000"})
    assert wrong.status == 401
    assert "8XYZ123" not in wrong.html
    department.clock.step(31_000_000)
    back = one.send(wrong, "/unlock", password=PASSWORD, code=department.code("comm1"))
    assert (back.path, back.status) == ("/search", 200)
    kept = back.form("/search")
    assert {name: kept[name] for name in FILLED} == FILLED
    assert accesses(department) == 0  # the form comes back and is not sent
    assert "3 reads" in one.send(back, "/search").text


def test_an_idle_page_locks_itself_and_gives_the_form_back(department: Department, reader: Browser) -> None:
    one = reader()
    one.logon("comm1")
    form = one.get("/search").form("/search") | FILLED | {"from": "/search"}
    department.clock.step(31 * MINUTE_US)
    assert one.post("/lock", form).status == 423
    stranger = reader()
    stranger.logon("disp1")
    assert stranger.get("/search").form("/search")["plate"] == ""
    department.clock.step(31_000_000)
    page = one.get("/search")
    assert page.status == 423
    back = one.send(page, "/unlock", password=PASSWORD, code=department.code("comm1"))
    assert back.form("/search")["plate"] == "8XYZ123"
    assert one.get("/search").form("/search")["plate"] == ""  # it comes back only once


def unlocked(one: Reader, page: Sheet, department: Department, user: str) -> Sheet:
    department.clock.step(31_000_000)
    return one.send(page, "/unlock", password=PASSWORD, code=department.code(user))


@pytest.mark.parametrize("path", ["/search", "/alerts"], ids=["its own page", "another page"])
def test_a_form_comes_back_at_each_lock_until_it_is_accepted(
    department: Department, reader: Browser, path: str
) -> None:
    one = reader()
    one.logon("comm1")
    typed = one.get("/search").form("/search") | FILLED
    department.clock.step(31 * MINUTE_US)
    page = one.post("/search", typed)
    for _ in range(3):
        back = unlocked(one, page, department, "comm1")
        back = back if back.path == "/search" else one.get("/search")
        assert back.form("/search")["plate"] == "8XYZ123"
        department.clock.step(31 * MINUTE_US)
        page = one.get(path)
        assert page.status == 423
        assert "8XYZ123" not in page.html
        assert "comes back as you left it" in page.text
    back = unlocked(one, page, department, "comm1")
    back = back if back.path == "/search" else one.get("/search")
    wrong = one.send(back, "/search", plate="8XYZ124", justification="x")
    assert wrong.status == 422
    department.clock.step(31 * MINUTE_US)
    unlocked(one, one.get("/alerts"), department, "comm1")
    last = one.get("/search")
    assert last.form("/search")["plate"] == "8XYZ124"  # what was typed last, though it was refused
    assert one.send(last, "/search", **FILLED).status == 200
    department.clock.step(31 * MINUTE_US)
    page = one.get("/alerts")
    assert "comes back" not in page.text
    unlocked(one, page, department, "comm1")
    assert one.get("/search").form("/search")["plate"] == ""  # it was sent


def test_a_form_that_came_back_comes_back_in_a_new_session(department: Department, reader: Browser) -> None:
    one = reader()
    one.logon("super")
    typed = form_of(one.get("/sharing"), "share/record") | {"agency": "Pasadena PD", "from": "/sharing"}
    department.clock.step(31 * MINUTE_US)
    page = one.post("/lock", typed | {"chosen-file": "letter.pdf"})
    back = unlocked(one, page, department, "super")
    assert form_of(back, "share/record")["agency"] == "Pasadena PD"
    assert 'data-keep="typed"' in back.html  # the page's script sends this form at the next lock
    department.clock.step(13 * 60 * MINUTE_US)
    ended = one.get("/sharing")
    assert ended.status == 401
    department.clock.step(31_000_000)
    again = one.send(ended, "/logon", user="super", password=PASSWORD, code=department.code("super"))
    assert form_of(again, "share/record")["agency"] == "Pasadena PD"
    assert "Choose its file again: letter.pdf." in again.text
    stranger = reader()
    stranger.logon("disp1")
    assert "Pasadena PD" not in stranger.get("/account").html


@pytest.mark.parametrize("locks_itself", [False, True], ids=["sent after the lock", "the page locks itself"])
def test_a_form_that_had_a_file_says_so_when_it_comes_back(
    department: Department, reader: Browser, *, locks_itself: bool
) -> None:
    one = reader()
    one.logon("super")
    typed = form_of(one.get("/sharing"), "share/record") | {"agency": "Pasadena PD", "from": "/sharing"}
    department.clock.step(31 * MINUTE_US)
    if locks_itself:
        page = one.post("/lock", typed | {"chosen-file": "letter.pdf"})
    else:
        page = upload(one, "/sharing", typed, letter=("letter.pdf", b"%PDF-1.7 please"))
    assert "Your form is kept, and comes back as you left it, but choose its file again." in page.text
    department.clock.step(31_000_000)
    back = one.send(page, "/unlock", password=PASSWORD, code=department.code("super"))
    assert "Choose its file again: letter.pdf." in back.text
    assert form_of(back, "share/record")["agency"] == "Pasadena PD"
    assert "Choose its file again" not in one.get("/sharing").text


def test_every_ticked_box_of_a_form_comes_back(department: Department, reader: Browser) -> None:
    one = reader()
    one.logon("chief")
    boxes: dict[str, str | list[str]] = {
        "act": "user/set",
        "user": "new1",
        "roles": ["reviewer", "dispatcher"],
        "do": "make",
    }
    typed = {**one.get("/people").form("/people"), **boxes}  # with errors
    department.clock.step(31 * MINUTE_US)
    page = one.post("/people", typed)
    assert page.status == 423
    back = one.send(page, "/unlock", password=PASSWORD, code=department.code("chief"))
    ticked = {
        fields["value"] for _, fields in back.tags if fields.get("name") == "roles" and "checked" in fields
    }
    assert ticked == {"reviewer", "dispatcher"}


def test_a_long_form_of_an_ended_session_comes_back(department: Department, reader: Browser) -> None:
    one = reader()
    one.logon("super")
    form = one.get("/search").form("/search") | FILLED | {"justification": "long " * 9000}
    department.clock.step(13 * 60 * MINUTE_US)
    page = one.post("/search", form)
    assert (page.status, "it comes back as you left it" in page.text) == (401, True)
    back = one.send(page, "/logon", user="super", password=PASSWORD, code=department.code("super"))
    assert back.form("/search")["plate"] == "8XYZ123"
    stranger = reader()
    assert stranger.post("/search", form).status == 401


def test_a_person_locks_now_also_at_a_staffed_post(department: Department, reader: Browser) -> None:
    one = reader()
    home = one.logon("disp1", post="dispatch")
    one.get("/search")
    locked = one.send(home, "/lock", plate="8XYZ123", **{"from": "/search"})
    assert locked.status == 423
    assert "8XYZ123" not in locked.html
    assert "locked by you" in locked.text
    assert "idle" not in locked.text
    later = one.get("/alerts")
    assert (later.status, "locked by you" in later.text) == (423, True)
    department.clock.step(31_000_000)
    back = one.send(locked, "/unlock", password=PASSWORD, code=department.code("disp1"))
    assert back.path == "/search"
    assert back.form("/search")["plate"] == "8XYZ123"


def test_a_page_that_is_typed_in_does_not_lock(department: Department, reader: Browser) -> None:
    one = reader()
    one.logon("comm1")
    before = department.desk.log.size()
    mark = {"mark": mark_of(one.cookies[SESSION_COOKIE])}
    for _ in range(4):
        department.clock.step(20 * MINUTE_US)
        assert one.ask("POST", "/awake", mark, origin=one.base).status_code == 204
    assert one.get("/search").status == 200
    assert department.desk.log.size() == before


def test_a_locked_session_shows_no_answer_again(department: Department, reader: Browser) -> None:
    one = reader()
    one.logon("comm1")
    form = one.get("/search").form("/search") | FILLED
    shown = one.post("/search", form)
    assert "8XYZ123" in shown.html
    department.clock.step(31 * MINUTE_US)
    for again in (one.get(shown.path), one.post("/search", form)):
        assert again.status == 423
        assert "8XYZ123" not in again.html


def test_after_log_out_nothing_comes_back(department: Department, reader: Browser) -> None:
    one = reader()
    page = one.logon("comm1")
    form = one.get("/search").form("/search") | FILLED
    shown = one.post("/search", form)
    token = one.cookies[SESSION_COOKIE]
    answer = one.ask("POST", "/logoff", page.form("/logoff"), origin=one.base)
    assert '"cache"' in answer.headers["clear-site-data"]
    assert SESSION_COOKIE not in one.cookies
    for cookies in ({}, {SESSION_COOKIE: token}):  # without the cookie, and with a copy of it
        one.cookies = dict(cookies)
        for again in (one.get(shown.path), one.get("/"), one.post("/search", form)):
            assert again.status == 401
            assert "8XYZ123" not in again.html
    assert accesses(department) == 1


def test_two_tabs_of_one_session_keep_their_own_answers(department: Department, reader: Browser) -> None:
    one = reader()
    one.logon("comm1")
    first = one.send(one.get("/search"), "/search", **FILLED)
    second = one.send(one.get("/search"), "/search", **FILLED | {"plate": "7ABC000"})
    assert first.path != second.path
    assert "8XYZ123" in one.get(first.path).html
    assert "7ABC000" in one.get(second.path).html
    other = reader()
    other.logon("disp1")
    for path in (first.path, f"{first.path}/steps"):
        theirs = other.get(path)
        assert theirs.status == 403
        assert "made by another person" in theirs.text
        assert "8XYZ123" not in theirs.html


def test_a_form_sent_twice_is_one_access(department: Department, reader: Browser) -> None:
    one = reader()
    one.logon("comm1")
    form = one.get("/search").form("/search") | FILLED
    paths = {one.post("/search", form).path for _ in range(3)}
    assert len(paths) == 1
    assert accesses(department) == 1


def test_the_sessions_day_ends_at_the_log_on_page(department: Department, reader: Browser) -> None:
    one = reader()
    one.logon("disp1", post="dispatch")
    form = one.get("/search").form("/search") | FILLED
    department.clock.step(13 * 60 * MINUTE_US)
    page = one.post("/search", form)
    assert page.status == 401
    assert "8XYZ123" not in page.html
    assert "was not carried out" in page.text
    assert "it comes back as you left it" in page.text
    back = one.send(page, "/logon", user="disp1", password=PASSWORD, code=department.code("disp1"))
    assert back.path == "/search"
    assert back.form("/search")["plate"] == "8XYZ123"


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        ("/search?x=1", "/search?x=1"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/a\r\nset-cookie: x", "/"),
        ("", "/"),
    ],
)
def test_a_log_on_leads_nowhere_else(asked: str, path: str) -> None:
    assert local_path(asked) == path


def test_a_form_of_several_calls_whose_session_ended_between_them_says_so(
    department: Department, reader: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Visit.call

    async def twice(visit: Visit, name: str, wrong: Sequence[FormError] = (), /, **value: Any) -> Any:
        if visit.request.method == "POST":
            await real(visit, "change/mine")
            department.clock.step(13 * 60 * MINUTE_US)
        return await real(visit, name, wrong, **value)

    one = reader()
    one.logon("disp1", post="dispatch")
    form = one.get("/search").form("/search") | FILLED
    monkeypatch.setattr(Visit, "call", twice)
    page = one.post("/search", form)
    assert page.status == 401
    assert "was not carried out" not in page.text
    assert "may have been carried out in part" in page.text


def test_the_log_on_page_of_an_open_session_leads_where_its_address_says(reader: Browser) -> None:
    """Another tab logged in meanwhile: this one is loaded again, and shows the page that it was to show."""
    one = reader()
    one.logon("comm1")
    assert one.get("/logon?next=/queue").path == "/queue"
    assert one.get("/logon?next=/logon").path == "/"
    assert one.get("/logon").path == "/"


def test_a_session_that_ended_is_said_to_have_ended(department: Department, reader: Browser) -> None:
    one = reader()
    assert "Log in first" not in one.get("/queue").text  # a first visit is no mistake
    one.logon("comm1")
    gone = AccountForm(
        user="comm1",
        name="Comm1",
        organisation="PD",
        roles=(Role.COMMUNICATIONS,),
        reason="left",
        active=False,
    )
    department.call("user/set", department.logon("chief"), gone)
    page = one.get("/queue")
    assert (page.status, "Your session has ended." in page.text) == (401, True)
