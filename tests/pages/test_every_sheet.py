"""Pages of lists and forms: each as each role, with hostile texts in every cell and every field labeled."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import cast

import pytest
from desk_forms import forms
from desk_twins import GROUND, PEOPLE, Department
from page_reader import Reader
from page_sheets import SHEETS

from sync.department.desk.field_help import words_of
from sync.department.desk.operations import OPERATIONS
from sync.department.desk.redress.calls import RedressForm, ask
from sync.department.pages import app
from sync.department.pages.fields import CHOSEN
from sync.department.pages.sheets import File, download
from sync.department.pages.sheets import Sheet as Described
from sync.department.pages.visit import Visit
from sync.department.policy.roles import Call

Browser = Callable[[], Reader]
PLAIN = [one for one in SHEETS if "{" not in one.path]
ATTACK = "<img src=x onerror=alert(1)>'\"&lt;{{7*7}}"


class Parts(HTMLParser):
    """The parts of a page that are checked: its tags, its ids, and what labels refer to."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))


def calls_of(sheet: Described) -> set[Call]:
    names = [*(one.operation for one in sheet.listings), *(one.operation for one in sheet.every())]
    return {OPERATIONS[name].call for name in names}


@pytest.mark.thorough_rows
@pytest.mark.parametrize("user", sorted(PEOPLE))
def test_every_page_as_every_role(department: Department, reader: Browser, user: str) -> None:
    """People who have one of a page's calls see it; others are refused, with the clause."""
    policy = department.desk.policy
    granted = {
        call for role in policy.effective_roles((PEOPLE[user],)) for call in policy.grants.get(role, ())
    }
    one = reader()
    one.logon(user)
    for sheet in PLAIN:
        page = one.get(sheet.path)
        if calls_of(sheet) & granted or (user == "vendor1" and page.status == 403):
            assert page.status in {200, 403}, (user, sheet.path, page.text[:300])
            assert page.status == 200 or user == "vendor1", (user, sheet.path, page.text[:300])
        else:
            assert page.status == 403, (user, sheet.path)
            assert "none of your roles" in page.text.lower(), (user, sheet.path)


def test_every_field_of_every_form_has_words() -> None:
    for operation in OPERATIONS.values():
        for name in operation.form.__dataclass_fields__:
            assert words_of(operation.form, name).label


def test_where_a_choice_is_offered_nothing_says_how_it_is_typed(reader: Browser) -> None:
    helps = {
        words_of(one.form, name).help for one in OPERATIONS.values() for name in one.form.__dataclass_fields__
    }
    assert set(CHOSEN) <= helps, "help that no field has any more"
    one = reader()
    one.logon("chief")
    seen = 0
    for path in ("/people", "/grants", "/units", "/training", "/sharing", "/hotlists"):
        html = one.get(path).html
        shown = re.findall(r"<select.*?</select>\s*<p class=\"hint\"[^>]*>(.*?)</p>", html, re.DOTALL)
        shown += re.findall(r"<legend>.*?<small>(.*?)</small>", html)
        seen += len(shown)
        assert not [text for text in shown if re.search(r"\bids?\b|one (?:a|per) line|user name", text)], (
            path,
            shown,
        )
    assert seen


PERSONS = {"user", "users", "person", "trainer", "designee", "recipients", "unit", "units"}
TYPED = {
    ("user/set", "user"),  # a new name
    ("share/record", "person"),  # a person at another agency
}


def test_people_and_units_are_chosen_and_never_typed() -> None:
    seen = 0
    for sheet in SHEETS:
        for asked in sheet.every():
            for name in PERSONS & set(asked.form.__dataclass_fields__) - asked.hidden:
                chosen = name in asked.options
                assert chosen != ((asked.operation, name) in TYPED), (sheet.path, asked.operation, name)
                seen += chosen
        for one in sheet.filters:
            assert one.name not in PERSONS or one.name in sheet.offered, (sheet.path, one.name)
    assert seen >= 12


def fill(department: Department, reader: Browser) -> None:
    """Enter hostile texts wherever a person, an agency, a list, a unit and a stranger can."""
    chief, super_ = department.logon("chief"), department.logon("super")
    share = replace(
        forms(department)["share/record"],
        agency=f"Agency {ATTACK}",
        person=f"Det. {ATTACK}",
        purpose=f"homicide {ATTACK}",
        letter_name=f"{ATTACK}.pdf",
    )
    department.call("share/record", super_, share)
    subpoena = replace(GROUND, justification=f"subpoena of the court {ATTACK}")
    department.held(super_, authority=f"Court {ATTACK}", ground=subpoena)
    proposal = replace(forms(department)["backlog/allow"], reason=f"away {ATTACK}", propose=True)
    department.call("backlog/allow", super_, proposal)
    account = replace(forms(department)["user/set"], name=f"Name {ATTACK}", reason=f"hired {ATTACK}")
    department.call("user/set", chief, account)
    ask(
        department.front,
        "",
        RedressForm(about="stop", contact=f"me@example.org {ATTACK}", words=f"was stopped here {ATTACK}"),
    )
    listed = replace(
        forms(department)["hotlist/push"], issuer=f"DOJ {ATTACK}", source=f"SVS {ATTACK}", reason="daily"
    )
    department.two_hands("hotlist/push", department.logon("super"), listed, second="chief")


@pytest.mark.one_python
def test_what_a_person_writes_stays_text_on_every_page(department: Department, reader: Browser) -> None:
    fill(department, reader)
    seen = 0
    for user in ("super", "chief", "deputy", "reviewer1"):
        one = reader()
        one.logon(user)
        for path in [sheet.path for sheet in PLAIN] + ["/", "/calendar", "/trust", "/setup", "/transparency"]:
            page = one.get(path)
            tags = Parts(page.html).tags
            assert not [given for _tag, given in tags if any(name.startswith("on") for name in given)], path
            assert not [given for tag, given in tags if tag == "img" and given.get("src") == "x"], path
            assert not [given for _tag, given in tags if "style" in given], path
            assert "49" not in re.findall(r"&lt;(\d+)", page.html), path
            seen += "<img src=x onerror" not in page.html and "img src=x onerror" in page.text
    assert seen >= 8


@pytest.mark.thorough
def test_every_field_has_a_label_and_every_id_is_one(department: Department, reader: Browser) -> None:
    fill(department, reader)
    for user in ("super", "chief", "reviewer1"):
        one = reader()
        one.logon(user)
        for path in [sheet.path for sheet in PLAIN] + ["/", "/calendar", "/transparency", "/setup", "/trust"]:
            page = one.get(path)
            if page.status != 200:
                continue
            tags = Parts(page.html).tags
            ids = [given["id"] for _tag, given in tags if "id" in given]
            assert len(set(ids)) == len(ids), (path, sorted({one for one in ids if ids.count(one) > 1}))
            labels = {given["for"] for tag, given in tags if tag == "label"}
            for tag, given in tags:
                shown = tag in {"select", "textarea"} or (tag == "input" and given.get("type") != "hidden")
                if shown:
                    assert given.get("id") in labels or "aria-label" in given, (path, given)
                for name in ("aria-describedby", "aria-errormessage"):
                    assert not given.get(name) or given[name] in ids or given[name] == "refusal", (
                        path,
                        given,
                    )


def test_a_form_without_its_session_is_not_taken(reader: Browser) -> None:
    one = reader()
    one.logon("super")
    page = one.get("/training")
    fields = page.form("/training") | {"mark": "0" * 64}
    refused = one.post("/training", fields)
    assert refused.status == 403
    other = one.post("/training", page.form("/training"), origin="https://elsewhere.example")
    assert other.status == 403


def test_a_page_takes_only_its_own_forms(reader: Browser) -> None:
    one = reader()
    one.logon("chief")
    page = one.get("/people")
    refused = one.post("/people", page.form("/people") | {"act": "grant/issue"})
    assert refused.status == 422
    assert "no such form" in refused.text


def sheets_in_app() -> set[str]:
    return {page.path for page in app.PAGES}


def test_every_sheet_is_served() -> None:
    assert {one.path for one in SHEETS} <= sheets_in_app()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "_.._etc_passwd"),
        ('a"b\r\nx-evil: 1.pdf', "a_b__x-evil__1.pdf"),
        ("..", "file"),
        ("\u202efdp.exe", "_fdp.exe"),
    ],
)
def test_the_name_of_a_file_to_keep_is_a_plain_one(given: str, kept: str) -> None:
    visit = cast("Visit", SimpleNamespace(nonce="x"))
    answer = download(File(name=given, kind="application/pdf", data=b""), visit)
    assert answer.headers["content-disposition"] == f'attachment; filename="{kept}"'
