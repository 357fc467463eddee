"""No one sees a button that refuses them: each form that a page offers a person is sent as that person.

The department has something of every kind that waits, made by different people, so that each page has rows
of the person's own, rows about the person, and rows of others.
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass, field, replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from desk_cars import Car
from desk_forms import VENDOR_LINE, forms
from desk_twins import CAD, GROUND, HOUR_US, PEOPLE, Department, StepClock, open_copy, open_department
from page_reader import Reader

from storage.grant_format import GrantRole
from sync.department.desk.audit.calls import PeriodForm
from sync.department.desk.break_glass.calls import GlassForm
from sync.department.desk.holds.calls import AskReleaseForm, BookForm, ExportForm
from sync.department.desk.inquiry.forms import AskForm, ProposeForm
from sync.department.desk.redress.calls import RedressForm, ask
from sync.department.desk.sharing.calls import DecisionForm, ReviewForm
from sync.department.pages import app
from sync.department.pages.values import local_input
from sync.department.policy.roles import Role
from sync.department.store import incidents
from sync.department.store.opening import open_store

OWN = {"/logon", "/logoff", "/lock", "/look", "/awake", "/account/password"}
WORDS = "one two three words about it"
ITEM = "E-26-1"


def fill(department: Department) -> None:
    """Something of every kind that waits."""
    call, made = department.call, forms(department)
    super_, chief, comm = (department.logon(user) for user in ("super", "chief", "comm1"))
    wide = replace(department.plate("8XYZ*"), since_us=department.clock.us - 5 * 24 * HOUR_US)
    for user in ("officer1", "super", "comm1"):
        call(
            "inquiry/request",
            department.logon(user),
            AskForm(query=department.plate("8XYZ123"), ground=GROUND),
        )
    asked = call("inquiry/request", department.logon("super"), AskForm(query=wide, ground=GROUND))
    call("inquiry/propose", comm, ProposeForm(request=asked.entry))  # type: ignore[attr-defined]
    call("inquiry/propose", super_, ProposeForm(query=wide, ground=GROUND))
    for user in ("comm1", "super"):
        query = replace(department.plate("8XYZ123"), since_us=department.clock.us - 24 * HOUR_US)
        glass = GlassForm(query=query, ground=CAD, danger="a child in the trunk")
        call("inquiry/break-glass", department.logon(user), glass)
    shares = [
        call("share/record", department.logon(user), replace(made["share/record"], number=f"H-{number}"))
        for number, user in enumerate(("super", "deputy", "super", "super"))
    ]
    numbers = [one.entry for one in shares]  # type: ignore[attr-defined]
    for number in numbers[:3]:
        call("share/review", chief, ReviewForm(request=number, note="read it"))
    call(
        "share/decide",
        department.logon("chief"),
        DecisionForm(
            request=numbers[2], approved=True, note="yes", agency_kind="law-enforcement", agency_state="CA"
        ),
    )
    for steps in range(3):
        hold = department.held(department.logon("super"), department.reads[steps : steps + 1])
        if steps:
            call(
                "hold/export", department.logon("super"), ExportForm(hold=hold, medium="USB 1", ground=GROUND)
            )
            call("hold/book", super_, BookForm(hold=hold, evidence_item=ITEM))
        if steps == 2:
            call("hold/ask-release", super_, AskReleaseForm(hold=hold, evidence_item=ITEM))
    grant = replace(made["grant/issue"], person="super", role=GrantRole.TECHNICIAN, holder_key=VENDOR_LINE)
    call("grant/issue", department.logon("chief"), made["grant/issue"])
    call("grant/issue", department.logon("chief"), replace(grant, commands=("update",), propose=True))
    call(
        "user/set",
        chief,
        replace(made["user/set"], user="deputy", roles=(Role.CCAT_SUPERVISOR,), propose=True),
    )
    call("backlog/allow", department.logon("super"), replace(made["backlog/allow"], propose=True))
    local = replace(made["hotlist/add"], until_us=department.clock.us + 24 * HOUR_US)
    department.two_hands("hotlist/add", department.logon("super"), local, second="chief")
    ask(department.front, "", RedressForm(about="stop", contact="me@example.org", words="I was stopped here"))
    call("audit/run", department.logon("super"), PeriodForm())
    store = open_store(department.home.database_url)
    with store.write() as connection:
        for kind in ("fork", "rollback"):
            incidents.record(
                connection,
                kind=kind,
                detail="another past",
                unit_id="car-7",
                log_id=None,
                now_us=department.clock.us,
            )
    store.close()


@pytest.fixture(scope="module")
def busy(founded: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """(A department with all of that, its time)."""
    folder = tmp_path_factory.mktemp("busy") / "copy"
    shutil.copytree(founded, folder)
    department = open_copy(folder)
    try:
        fill(department)
    finally:
        department.close()
    return folder, department.clock.us


@dataclass(slots=True)
class Form:
    """A form of a page: its fields, with what a person would enter, and its buttons."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str, str]] = field(default_factory=list)


class Forms(HTMLParser):
    """The forms of a page, filled in as a person would: the first choice, plain words, today."""

    def __init__(self, html: str, now: str) -> None:
        super().__init__()
        self.found: list[Form] = []
        self._inside, self._select, self._area, self._now = False, "", "", now
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._inside = True
            self.found.append(Form(given.get("action", ""), given.get("method", "get")))
        if not self._inside:
            return
        one, name, kind = self.found[-1], given.get("name", ""), given.get("type", "text")
        if tag == "button":
            one.buttons.append((name, given.get("value", "")))
        elif tag == "select":
            self._select = name
        elif tag == "textarea":
            self._area = name
            one.fields[name] = ""
        elif tag == "option" and self._select and ("selected" in given or not one.fields.get(self._select)):
            one.fields[self._select] = given.get("value", "")
        elif tag == "input" and kind in {"checkbox", "radio"}:
            if name == "roles" or name not in one.fields:
                one.fields.setdefault(name, given.get("value", "on"))
        elif tag == "input" and name and kind != "file":
            typed = self._now if kind == "datetime-local" else self._words(name, given)
            one.fields[name] = given.get("value", "") or typed

    @staticmethod
    def _words(name: str, given: dict[str, str]) -> str:
        if name == "evidence_item":
            return ITEM
        if given.get("inputmode") == "numeric" or given.get("type") == "hidden" or name == "approval":
            return ""
        return WORDS

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False
            for name, value in self.found[-1].fields.items():
                if name == self._area and not value:
                    self.found[-1].fields[name] = WORDS
        elif tag == "select":
            self._select = ""
        elif tag == "textarea" and self._inside and self._area:
            if not self.found[-1].fields[self._area].strip():
                self.found[-1].fields[self._area] = WORDS
            self._area = ""

    def handle_data(self, data: str) -> None:
        if self._area and self._inside:
            self.found[-1].fields[self._area] += data


def walked(one: Reader, now: str) -> list[tuple[str, Form]]:
    """(page, form) of every page that links lead to from home."""
    todo, seen, found = ["/"], set[str](), []
    while todo:
        path = todo.pop()
        if path in seen or "month=" in path:
            continue
        seen.add(path)
        answer = one.ask("GET", path)
        if "html" not in answer.headers.get("content-type", "") or answer.status_code != 200:
            continue
        found += [
            (path, form) for form in Forms(answer.text, now).found if form.action.partition("?")[0] not in OWN
        ]
        for link in re.findall(r'href="(/[^"#]*)', answer.text):
            if not link.startswith("/assets/"):
                todo.append(unescape(link))
    return found


COMMAND = re.compile(
    r"\bdepartment (?:user|keys|witness|init|enroll|grant|hotlist|hold|inquiry|change|audit|compliance|verify|send)\b"  # noqa: E501
)
INTERNAL = re.compile(r"\b[A-Z][A-Za-z]+\.[a-z_]+\b|\b[a-z]+_(?:us|m|id|kind|key|up_to|holds|version)\b")


@pytest.mark.thorough_rows("super", "comm1", "disp1")
@pytest.mark.parametrize("user", PEOPLE)
def test_no_form_that_a_page_offers_refuses_its_reader(
    busy: tuple[Path, int], tmp_path: Path, user: str
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(busy[0], folder)
    secrets = {
        name: tuple(given)
        for name, given in json.loads((folder / "secrets.json").read_text())["secrets"].items()
    }
    department = open_department(folder, StepClock(busy[1] + HOUR_US // 60), secrets)
    car = Car(department)
    car.raises()
    refused, sent = [], 0
    try:
        with Reader.desk(department) as make:
            one = make()
            one.logon(user)
            now = local_input(department.clock.us, department.desk.policy.zone)
            for path, form in walked(one, now):
                for button in form.buttons or [("", "")]:
                    fields = form.fields | ({button[0]: button[1]} if button[0] else {})
                    if form.method == "get":
                        continue
                    sheet = one.post(form.action or path, fields)
                    sent += 1
                    said = (
                        sheet.html.partition('role="alert"')[2].partition("</div>")[0]
                        if sheet.status >= 400
                        else ""
                    )
                    if sheet.status == 403 or INTERNAL.search(said) or COMMAND.search(said):
                        refused.append((path, form.action, fields.get("act", ""), button, sheet.status, said))
    finally:
        car.unit.close()
        department.close()
    assert refused == []
    assert sent >= (0 if user == "vendor1" else 2)


def test_a_form_with_too_many_fields_is_refused() -> None:
    """Each field costs much more than its bytes, and a session may send megabytes."""
    assert len(app._pairs(b"&".join([b"a=1"] * app.MAX_FIELDS))) == app.MAX_FIELDS
    with pytest.raises(ValueError, match="fields"):
        app._pairs(b"&".join([b"a=1"] * (app.MAX_FIELDS + 1)))
