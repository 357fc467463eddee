"""A refused field is named by its label on the page, and marked."""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Callable, Iterable
from html import unescape
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest
from desk_twins import Department
from page_reader import Reader, Sheet
from page_sheets import SHEETS

from storage.times import DAY_US
from sync.department.desk.calling import ErrorAnswer
from sync.department.desk.field_help import words_of
from sync.department.desk.json_forms import demand_counts
from sync.department.desk.operations import OPERATIONS
from sync.department.desk.people.on_roster import CURE
from sync.department.journal.entries import Refused
from sync.department.journal.inquiry_entries import Area, Ground, Query
from sync.department.pages.fields import Field, fields_of
from sync.department.pages.wording import done_of, elements_of, in_page_words
from sync.department.policy.refusals import FormError
from sync.department.policy.roles import CALLS, Call


def told(what: str, code: str = "form") -> ErrorAnswer:
    return in_page_words(ErrorAnswer(status=422, code=code, what=what, clause="463.5"))


@pytest.mark.parametrize(
    ("what", "words", "code"),
    [
        ("AccountForm.name: is missing", "Name: is missing", "name"),
        ("463.5: AccountForm.name: is missing", "Name: is missing", "name"),
        ("463.5: 463.5: AccountForm.name: is missing", "Name: is missing", "name"),
        ("InquiryForm.query.area.radius_m: is out of range", "Radius in meters: is out of range", "radius_m"),
        ("latitude: is not a number, such as 34.15", "Latitude: is not a number, such as 34.15", "latitude"),
        ("query.area: radius is too large", "Place: radius is too large", "area"),
        (
            "GrantForm.destroy_holds[3]: is negative",
            "Holds that may be destroyed: is negative",
            "destroy_holds",
        ),
    ],
)
def test_a_field_has_the_label_of_the_page(what: str, words: str, code: str) -> None:
    said = told(what)
    assert (said.what.casefold(), said.code, said.clause) == (words.casefold(), code, "463.5")


@pytest.mark.parametrize(
    "what", ["this needs a second person", "it is closed: see entry 41", "12:30 is past", "no: never"]
)
def test_a_sentence_stays_as_it_is(what: str) -> None:
    assert told(what).what == what
    assert told(what, "closed").code == "closed"


def test_a_refused_call_is_shown_by_what_it_does() -> None:
    assert {done_of(one) for one in Call} == {rule.words for rule in CALLS.values()}
    assert done_of("officer1") == "officer1"


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (Query(plate="8XYZ123", since_us=0, until_us=DAY_US),
         "plate 8XYZ123, 1969-12-31 16:00 to 1970-01-01 16:00"),
        (Query(since_us=0, until_us=DAY_US, unit="Car 7"),
         "no plate, 1969-12-31 16:00 to 1970-01-01 16:00, unit Car 7"),
        (Query(plate="8X*", since_us=0, until_us=DAY_US, unit="Car 7",
               area=Area(latitude=34.1, longitude=-118.0, radius_m=500.0)),
         "plate 8X*, 1969-12-31 16:00 to 1970-01-01 16:00, within 500 m of 34.1, -118.0, unit Car 7"),
    ],
)  # fmt: skip
def test_what_was_asked_is_shown_in_words_and_local_time(query: Query, words: str) -> None:
    assert elements_of(query.text(), ZoneInfo("America/Los_Angeles")) == words


def test_no_field_of_any_call_is_named_by_its_form() -> None:
    """Each field of each form in the table, as the JSON parser refuses it."""
    seen = 0
    for operation in OPERATIONS.values():
        hints = typing.get_type_hints(operation.form)
        for one in dataclasses.fields(operation.form):
            if hints[one.name] is Ground:
                continue
            said = told(f"{operation.form.__name__}.{one.name}: is missing")
            assert said.what == f"{words_of(operation.form, one.name).label}: is missing"
            assert said.code == one.name
            seen += 1
    assert seen > 150


def test_a_form_of_the_page_comes_back_with_its_field_marked(reader: Callable[[], Reader]) -> None:
    one = reader()
    one.logon("super")
    wrong = {"act": "training/record", "user": "disp1", "policy_version": "two", "course": "ALPR-463"}
    sheet = one.send(one.get("/training"), "/training", **wrong, do="make")
    assert sheet.status == 422
    assert "policy_version:" not in sheet.text
    assert f"{words_of('TrainingForm', 'policy_version').label}: is not a whole number" in sheet.text
    marked = [given["name"] for tag, given in sheet.tags if "aria-invalid" in given]
    assert marked == ["policy_version"]


def test_every_wrong_field_of_a_form_is_named_at_once(reader: Callable[[], Reader]) -> None:
    one = reader()
    one.logon("chief")
    page = one.get("/people")
    form = next(fields for _, fields in page.forms if fields.get("act") == "user/set")
    empty = one.post("/people", form | {"organisation": "", "do": "make"})
    assert "5 fields are wrong" in empty.text
    for label in ("User name", "Name", "Organization", "Roles", "Why"):
        assert f"{label}: is missing." in empty.text
    assert '<fieldset class="field many wrong" aria-describedby="refusal"><legend>Roles' in empty.html
    marked = {given["name"] for tag, given in empty.tags if "aria-invalid" in given}
    assert marked == {"user", "name", "organisation", "reason"}
    typed = {"user": "New One", "name": ".", "organisation": "-", "roles": "dispatcher", "reason": "hired"}
    wrong = one.post("/people", form | typed)
    assert "3 fields are wrong" in wrong.text
    assert "AccountForm" not in wrong.html


def test_a_label_is_read_out_once_and_is_the_label_of_the_page(reader: Callable[[], Reader]) -> None:
    one = reader()
    one.logon("chief")
    page = one.get("/grants")
    form = next(fields for _, fields in page.forms if fields.get("act") == "grant/issue")
    sent = one.post("/grants", form | {"holder_key": "x", "do": "make"})
    assert "Technician or vendor: is missing." in sent.text
    assert "Role: Technician" not in sent.text
    page = one.get("/retention")
    form = next(fields for _, fields in page.forms if fields.get("act") == "backlog/allow")
    sent = one.post("/retention", form | {"through": "tomorrow", "reason": "it is due", "do": "make"})
    assert "Up to this day of receipt: is not a day (YYYY-MM-DD)." in sent.text


def test_a_search_names_place_and_ground_at_once(reader: Callable[[], Reader]) -> None:
    one = reader()
    one.logon("disp1")
    typed = {"plate": "8XYZ123", "latitude": "north", "longitude": "west", "radius_m": "500"}
    sheet = one.send(one.get("/search"), "/search", do="run", **typed)
    for words in (
        "Latitude: is not a number",
        "Longitude: is not a number",
        "A purpose must be given",
        "Reason: say why",
    ):
        assert words in sheet.text, sheet.text[:600]
    marked = {given["name"] for tag, given in sheet.tags if "aria-invalid" in given}
    assert {"latitude", "longitude", "purpose", "basis", "number", "justification"} <= marked
    far = one.send(one.get("/search"), "/search", do="run", **typed | {"latitude": "91", "longitude": "181"})
    assert "query." not in far.text.lower()
    assert "latitude is not -90 to 90 degrees, longitude is not -180 to 180 degrees" in far.text


GROUND_FIELDS = tuple(
    Field(name=name, kind="text", label=words_of("", name).label, help="", required=True)
    for name in ("purpose", "basis", "number", "justification")
)
NONSENSE = "\u202e."
"""Wrong in every field: no number, no time, none of the choices, and no plain text."""
USERS = ("chief", "super", "disp1", "reviewer1", "officer1")


def demand_named(sheet: Sheet, fields: Iterable[Field], where: str, *, marks: bool) -> None:
    """Assert that one refusal names each typed field by its label, and marks it."""
    assert sheet.status == 422, (where, sheet.status, sheet.text[:600])
    refusal = re.search(r'id="refusal".*?</div>', sheet.html, re.DOTALL)
    assert refusal is not None, where
    said = unescape(refusal[0]).casefold()
    marked = {given["name"] for tag, given in sheet.tags if "aria-invalid" in given}
    for one in fields:
        if one.kind != "tick":
            assert one.label.casefold() in said, (where, one.label, said)
            assert not marks or one.kind == "many" or one.name in marked, (where, one.name, marked)


@pytest.mark.thorough
def test_every_form_of_every_page_names_every_wrong_field_at_once(reader: Callable[[], Reader]) -> None:
    people = {user: reader() for user in USERS}
    marks = {}
    for user, one in people.items():
        one.logon(user)
        marks[user] = one.get("/help").form("/look")["mark"]
    walked: set[str] = set()
    seen = 0
    for sheet in SHEETS:
        path = re.sub(r"\{\w+:int\}", "0", sheet.path)
        shown = {user: one.get(path).forms for user, one in people.items()}
        for ask in sheet.every():
            fields = [*ask.extra, *fields_of(ask.form, {}, ask.hidden)]
            typed = [one for one in fields if one.name not in ask.may_lack]
            typed = [dataclasses.replace(one, kind="many") if one.kind == "lines" else one for one in typed]
            if not [one for one in typed if one.kind != "tick"]:
                continue
            ground = [field for field in GROUND_FIELDS if ask.has_ground]
            given = {one.name: NONSENSE for one in (*typed, *ground) if one.kind not in {"tick", "file"}}
            offered = [
                (user, form) for user in USERS for _, form in shown[user] if form.get("act") == ask.operation
            ]
            user, form = (offered or [(USERS[0], {})])[0]  # a row's form is shown only if there is a row
            given |= {name: form.get(name, "0") for name in (*ask.fixed, *ask.from_path)}
            given |= {name: value for _, name, value in ask.buttons[:1]}
            own = {"act": ask.operation, "mark": marks[user], "do": "make"}
            sent = people[user].post(path, given | own)
            where = f"{user} {path} {ask.operation}"
            demand_named(sent, (*typed, *ground), where, marks=bool(offered))
            walked.add(ask.operation)
            seen += len(typed)
    assert len(walked) > 25
    assert seen > 90


@pytest.mark.parametrize(
    ("user", "path", "more"),
    [("disp1", "/search", ()), ("officer1", "/ask", ()), ("disp1", "/emergency", ("danger",))],
)
def test_a_search_names_every_wrong_field_at_once(
    reader: Callable[[], Reader], user: str, path: str, more: tuple[str, ...]
) -> None:
    one = reader()
    one.logon(user)
    shown = one.get(path).form(path)
    names = {"plate", "since", "until", "latitude", "longitude", "radius_m", "justification", *more}
    wrong = dict.fromkeys((*names, "number", "purpose", "basis"), NONSENSE)
    sent = one.post(path, shown | wrong | {"range": "given"})
    marked = {given["name"] for tag, given in sent.tags if "aria-invalid" in given}
    assert sent.status == 422
    assert names | {"number", "purpose", "basis"} <= marked, sent.text[:900]
    alone = one.post(path, shown | {"plate": "8XYZ123", "radius_m": "200"})
    for words in ("Latitude: is missing", "Longitude: is missing"):
        assert words in alone.text
    beside = one.post(path, shown | {"plate": "8XYZ123", "since": "2026-09-01T10:00"})  # the last 30 days
    assert (beside.status, "Under When, choose “from and to, below”" in beside.text) == (422, True)
    marked = {given["name"] for tag, given in beside.tags if "aria-invalid" in given}
    assert {"range", "since", "until"} <= marked
    assert "<details open>\n<summary>Times and place" in beside.html  # the marked field is not hidden


@pytest.mark.parametrize(
    ("cure", "words"),
    [
        ("set it under My account, or with: department user password", "set it under My account"),
        ("see Grants, or: department grant list", "see Grants"),
        ("department verify; do not continue", "ask the administrator, who has the command for it"),
        ("give it to the department that asked", "give it to the department that asked"),
        ("", ""),
    ],
)
def test_a_page_names_no_command(cure: str, words: str) -> None:
    said = ErrorAnswer(status=409, code="x", what="not yet", clause="463.5", cure=cure)
    assert in_page_words(said).cure == words


@dataclasses.dataclass(frozen=True)
class ClassForm:
    """A form with a day and a number."""

    held_us: int = 0
    people: int = 0


@pytest.mark.parametrize(
    ("form", "words"),
    [
        (ClassForm(held_us=-1), "Class.held_us: is before 1970"),
        (ClassForm(people=-1), "Class.people: is negative"),
    ],
)
def test_a_day_that_is_too_early_is_refused_as_a_day(form: ClassForm, words: str) -> None:
    with pytest.raises(FormError, match=words):
        demand_counts(form, "Class")
    demand_counts(ClassForm(), "Class")


def test_who_names_no_one_on_the_roster_is_sent_to_the_page_of_the_names() -> None:
    said = ErrorAnswer(status=422, code="no-such-user", what="x is not on the roster", clause="", cure=CURE)
    assert in_page_words(said).cure == "the administrator enters a person first; for the names see People"


@pytest.mark.parametrize("path", ["/audit", "/audit/requests", "/audit/events"])
def test_a_refused_filter_comes_back_as_it_was_filled_in(reader: Callable[[], Reader], path: str) -> None:
    one = reader()
    one.logon("super")
    asked = {"since_us": "2026-09-19T08:00", "until_us": "2026-09-31T09:00"}
    if path != "/audit":
        asked |= {"user": "disp1"}
    sheet = one.get(f"{path}?{urlencode(asked)}")
    assert sheet.status == 422
    assert "To: is not a time" in sheet.text
    assert {name: value for name, value in sheet.form(path).items() if value} == asked
    assert [given["name"] for tag, given in sheet.tags if "aria-invalid" in given] == ["until_us"]
    assert "Download these as CSV" not in sheet.text
    right = one.get(f"{path}?{urlencode(asked | {'until_us': '2026-09-20T09:00'})}")
    assert right.status == 200
    assert "aria-invalid" not in right.html


@pytest.mark.parametrize("path", ["/audit", "/audit/requests", "/audit/events"])
def test_a_period_that_holds_no_time_is_refused_and_not_shown_as_empty(
    reader: Callable[[], Reader], path: str
) -> None:
    one = reader()
    one.logon("super")
    sheet = one.get(f"{path}?since_us=2026-09-20T09:00&until_us=2026-09-20T09:00")
    assert "The time asked for ends before it begins." in sheet.text
    assert [given["name"] for tag, given in sheet.tags if "aria-invalid" in given] == ["since_us", "until_us"]
    assert one.get(f"{path}?since_us=2026-09-20T09:00&until_us=2026-09-20T09:01").status == 200


def test_a_role_that_may_not_filter_is_refused_once(
    department: Department, reader: Callable[[], Reader]
) -> None:
    one = reader()
    one.logon("disp1")
    before = sum(1 for _ in department.desk.log.entries(kinds=(Refused.KIND,)))
    assert one.get("/audit/requests?user=disp1").status == 403
    assert sum(1 for _ in department.desk.log.entries(kinds=(Refused.KIND,))) == before + 1


def test_a_refused_link_leads_back_to_its_page(reader: Callable[[], Reader]) -> None:
    one = reader()
    one.logon("disp1")
    sheet = one.get("/alerts/4711")
    assert "Nothing was shown." in sheet.text
    main = sheet.html.partition("<main")[2]
    assert '<a href="/alerts">Alerts</a>' in main
    sent = one.post("/alerts/4711", {"mark": one.get("/search").form("/search")["mark"], "do": "close"})
    assert "Nothing was shown." not in sent.text
    assert "The page of your form cannot be shown." in sent.text
    assert '<a href="/alerts">Alerts</a>' in sent.html.partition("<main")[2]
