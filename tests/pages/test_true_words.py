"""Pages say what is true: words as typed, times by the department's clock, fixes that work."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from desk_forms import forms
from desk_twins import Department
from page_reader import Reader

from firmware.commands.selftest import line_of
from firmware.console.unit import SelfTestLine
from storage.times import DAY_US, HOUR_US, SECOND_US, margin_text
from sync.department.cli import main
from sync.department.commands.desk_access import _cell
from sync.department.desk.calling import ErrorAnswer
from sync.department.desk.changes.calls import ShownProposal
from sync.department.desk.documents.local import LocalForm
from sync.department.desk.inquiry.filing import read_filings
from sync.department.desk.inquiry.forms import NothingForm
from sync.department.desk.people.bulk import ImportForm, PersonLine
from sync.department.desk.people.calls import HandoverForm
from sync.department.desk.people.rules import one_time_password
from sync.department.desk.people.sheets import read_people, read_sign_in
from sync.department.desk.sharing.calls import DeliverForm
from sync.department.ground.local_time import local
from sync.department.pages import changing
from sync.department.pages.fields import MOST_OFFERED, fields_of, suggested
from sync.department.pages.wording import done_of, in_local_time, in_page_words, word_of
from sync.department.policy.refusals import FormError
from sync.department.policy.roles import Role
from sync.errors import StoreAwayError

Browser = Callable[[], Reader]
GROUND = {
    "purpose": "investigation",
    "basis": "criminal-investigation",
    "number": "26-001234",
    "number_kind": "case",
    "justification": "hit and run on Myrtle Avenue",
}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("investigatory-lead", "investigatory lead"),
        ("same_plate", "same plate repeatedly"),
        ("homicide investigation 26-99", "homicide investigation 26-99"),
        ("26-99", "26-99"),
        ("Car-12", "Car-12"),
    ],
)
def test_codes_become_words_and_typed_words_stay(text: str, shown: str) -> None:
    assert word_of(text) == shown


def test_times_within_a_line_are_local_with_or_without_a_fraction() -> None:
    line = "from=2026-11-20T18:46Z to=2026-11-20T18:46:39.322414Z"
    assert in_local_time(line, UTC) == "from=2026-11-20 18:46 to=2026-11-20 18:46"


def test_a_page_whose_database_is_away_claims_no_refusal_and_no_entry(
    department: Department, reader: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = reader()
    person.logon("super")
    size = department.desk.log.size()

    def away(*_arguments: object) -> None:
        raise StoreAwayError("cannot be read now", where="database", cure="is the database running?")

    monkeypatch.setattr(type(department.front.state), "units", away)
    sheet = person.get("/units")
    assert sheet.status == 503
    assert "This does not work now" in sheet.text
    assert "refused" not in sheet.text.lower()
    assert "The refusal is an entry" not in sheet.text
    assert department.desk.log.size() == size
    monkeypatch.undo()
    refused = person.get("/search/1")
    assert (refused.status, "The refusal is an entry of the access log." in refused.text) == (422, True)


def test_a_document_is_named_and_not_its_path() -> None:
    assert done_of("hot-list/local") == "hot list local"


@pytest.mark.parametrize(
    ("us", "words"),
    [
        (86_400 * SECOND_US, "24 h"),
        (90 * 60 * SECOND_US, "90 min"),
        (60_700_000, "61 s"),
        (900, "0.9 ms"),
    ],
)
def test_a_clock_s_error_is_a_length_and_no_date(us: int, words: str) -> None:
    assert margin_text(us) == words
    assert _cell("time_error_us", us) == f"±{words}".replace(" ", "")


def test_a_scope_that_may_be_left_empty_is_not_demanded() -> None:
    scope = [one for one in fields_of(DeliverForm, {}) if one.name.startswith("scope.")]
    assert len(scope) > 2
    assert not any(one.required for one in scope)


def test_a_first_visit_is_not_a_mistake_and_a_form_after_the_end_is_reported_as_lost(reader: Browser) -> None:
    one = reader()
    first = one.get("/")
    assert first.status == 401
    assert 'id="refusal"' not in first.html
    assert 'href="/transparency"' in first.html
    ended = one.post("/ask", {"plate": "8XYZ123"})
    assert ended.status == 401
    assert "session has ended" in ended.text


def test_a_delivery_asks_for_the_number_of_its_own_request(department: Department, reader: Browser) -> None:
    asked = replace(forms(department)["share/record"], purpose="homicide of 26-99", number="H-26-1")
    department.call("share/record", department.logon("super"), asked)
    chief, clerk = department.logon("deputy"), reader()
    rows: Any = department.call("share/list", chief, forms(department)["share/list"])
    (row,) = rows
    review = replace(forms(department)["share/review"], request=row.request)
    department.call("share/review", chief, review)
    department.call(
        "share/decide", chief, replace(forms(department)["share/decide"], request=row.request, approved=True)
    )
    clerk.logon("super")
    clerk.send(clerk.get("/search"), "/search", **GROUND, plate="8XYZ123")
    page = clerk.get("/sharing")
    assert "homicide of 26-99" in page.text
    assert f'href="/sharing/{row.request}/deliver?number=H-26-1"' in page.html
    form = clerk.get(f"/sharing/{row.request}/deliver?number=H-26-1").form(f"/sharing/{row.request}/deliver")
    assert (form["number"], form["justification"]) == ("H-26-1", "")


def test_the_second_person_sees_what_a_local_entry_is_for(department: Department, reader: Browser) -> None:
    own = replace(forms(department)["hotlist/add"], recipients=(), propose=True)
    own = replace(own, until_us=department.clock.us + 9 * DAY_US)
    department.call("hotlist/add", department.logon("super"), own)
    chief = reader()
    chief.logon("chief")
    for path in ("/", "/changes"):
        assert "hot list local" in chief.get(path).text
    said = chief.get("/changes").text
    assert own.case in said
    assert own.reason in said
    assert own.plate not in said
    covert = replace(own, recipients=("disp1", "chief"), case="26-004711")
    department.call("hotlist/add", department.logon("super"), covert)
    said = chief.get("/changes").text
    assert "covert entry" in said
    assert "26-004711" not in said


def test_a_finding_waits_since_it_was_made(department: Department, reader: Browser) -> None:
    token = department.logon("super")
    for _ in range(6):
        department.searched(token, department.reads[-1:])
    department.call("audit/run", token, forms(department)["audit/run"])
    one = reader()
    home = one.logon("reviewer1").html
    (item,) = [part for part in home.split("<li")[1:] if "same plate" in part][:1]
    assert " d</span>" not in item.split("</a>")[0]


def test_a_local_entry_s_end_is_filled_in(department: Department, reader: Browser) -> None:
    one = reader()
    one.logon("super")
    form = next(fields for _path, fields in one.get("/hotlists").forms if fields.get("act") == "hotlist/add")
    policy = department.desk.policy
    ends_us = department.clock.us + policy.alerts.local_days * DAY_US - HOUR_US
    assert form["until_us"] == local(ends_us, policy.zone).strftime("%Y-%m-%dT%H:%M")


HEADED = b"\xef\xbb\xbfUser,Name,Roles\r\ns.lee,Soo-Jin Lee,ccat-supervisor\r\n"


def test_a_list_s_columns_may_be_written_in_capitals() -> None:
    ((user, name, roles),) = read_people(HEADED)
    assert (user, name, [str(one) for one in roles]) == ("s.lee", "Soo-Jin Lee", ["ccat-supervisor"])
    assert read_sign_in(b"User,Signed\no1,x\no2,\n") == ("o1",)


@pytest.mark.parametrize(
    ("data", "what", "cure"),
    [
        (b"name,roles\nS,dispatcher\n", "column: user", "user, name, roles"),
        (b"user,name,roles\ns.lee,S. Lee,boss\n", "'boss' is not a role", "ccat-supervisor"),
        ("user,name,roles\nm.nuñez,M. Núñez,dispatcher\n".encode(), "not a user name", "without accents"),
        ("user,name,roles\nm.nunez,M. Núñez,dispatcher\n".encode("latin-1"), "UTF-8", "save it as CSV UTF-8"),
        (b"user,name,roles\nm.nunez,,dispatcher\n", "line 2: needs user, name and roles", "fill in"),
    ],
)
def test_a_list_that_cannot_be_taken_says_what_helps(data: bytes, what: str, cure: str) -> None:
    with pytest.raises(FormError) as refused:
        read_people(data)
    assert what in refused.value.what
    assert cure in refused.value.cure


def test_a_letter_that_is_too_long_says_by_how_much(department: Department) -> None:
    asked = replace(forms(department)["share/record"], letter=bytes(700 * 1024))
    with pytest.raises(FormError) as refused:
        department.call("share/record", department.logon("super"), asked)
    assert "700 KiB; at most 512" in refused.value.what
    assert refused.value.cure


def test_a_form_that_is_too_large_says_what_to_do(reader: Browser) -> None:
    one = reader()
    one.logon("super")
    mark = one.get("/ask").form("/ask")["mark"]
    page = one.post("/ask", {"mark": mark, "justification": "x" * (13 << 20)})
    assert page.status == 413
    assert "send a smaller file" in page.text


def test_what_the_public_asks_is_listed_in_its_words(department: Department, reader: Browser) -> None:
    public, chief = reader(), reader()
    page = public.get("/transparency")
    public.send(page, "/transparency", about="wrong-read", contact="z@example.org", words="I was stopped")
    chief.logon("chief")
    for path in ("/redress", "/"):
        assert "a plate was read wrong" in chief.get(path).text


@pytest.mark.parametrize(
    ("cure", "shown"),
    [
        ("investigation, wanted-person, crime-analysis", "choose one that the page offers"),
        ("one of stolen-vehicle, felony-vehicle", "choose one that the page offers"),
        ("the roles are dispatcher, reviewer", "the roles are dispatcher, reviewer"),
        ("log in, then try again", "log in, then try again"),
        ("shorten it", "shorten it"),
        ("see why under Changes, or: department change mine", "see why under Changes"),
    ],
)
def test_a_page_s_cure_names_no_codes_of_what_it_offers_by_name(cure: str, shown: str) -> None:
    said = ErrorAnswer(status=422, code="purpose", what="a purpose must be given", cure=cure)
    assert in_page_words(said).cure == shown


def test_what_units_are_offered_is_listed(
    department: Department, reader: Browser, capsys: pytest.CaptureFixture[str]
) -> None:
    one = reader()
    one.logon("super")
    assert "Units are offered none" in one.get("/units").text
    sent = replace(
        forms(department)["document/sign"], kind="configuration", name="", body=b"a = 1\n", unit=""
    )
    department.two_hands("document/sign", department.logon("super"), sent, second="chief")
    rows: Any = department.call("document/list", department.logon("super"), NothingForm())
    assert [(row.name, row.unit_name) for row in rows] == [("configuration", "")]
    page = one.get("/units")
    assert f" {rows[0].version} every unit " in page.text
    assert main(["send", "--home", str(department.home.path)]) == 2
    assert "--list" in capsys.readouterr().err


def test_a_witness_says_its_key_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(tmp_path / "witness")
    assert main(["witness", "init", "--name", "w.example/1", "--folder", folder]) == 0
    made = capsys.readouterr().out
    assert main(["witness", "init", "--name", "w.example/1", "--folder", folder]) == 2
    assert f"department witness key --folder {folder}" in capsys.readouterr().err
    assert main(["witness", "key", "--folder", folder]) == 0
    assert capsys.readouterr().out == made


@pytest.mark.parametrize(("took_s", "waited"), [(0.3, ""), (11.6, " (12 s)")])
def test_a_self_test_says_how_long_a_part_took(took_s: float, waited: str) -> None:
    check = SelfTestLine(name="camera", good=True, detail="1280 x 720")
    assert line_of(check, took_s) == f"ok       camera         1280 x 720{waited}"
    assert json.loads(line_of(check, took_s, as_json=True))["seconds"] == took_s


def test_a_first_password_is_read_from_paper_without_doubt() -> None:
    made = [one_time_password() for _ in range(200)]
    assert not set("".join(made)) & set("0Oo1lI-_")
    assert len(set(made)) == 200


def test_a_list_with_faulty_lines_names_each_of_them() -> None:
    faulty = b"user,name,roles\nBAD NAME,x,sworn-officer\nok1,,dispatcher\nok2,y,wizard\nok3,z,dispatcher\n"
    with pytest.raises(FormError) as refused:
        read_people(faulty)
    assert [part.what.partition(":")[0] for part in refused.value.parts] == ["line 2", "line 3", "line 4"]
    with pytest.raises(FormError) as refused:
        read_sign_in(b"user\n" + b"P 1\n" * 30)
    assert [part.what.partition(":")[0] for part in refused.value.parts][-2:] == [
        "line 21",
        "10 more lines are wrong",
    ]
    with pytest.raises(FormError) as refused:
        read_filings(b"entry,rms_number\nx,R-1\n7,R-2\ny,R-3\n")
    assert [part.what for part in refused.value.parts] == [
        "line 2: access is not a number",
        "line 4: access is not a number",
    ]


@pytest.mark.parametrize(("data", "what"), [(b"PK\x03\x04", "spreadsheet"), (b"\n", "is empty")])
def test_what_is_not_a_list_is_called_what_it_is(data: bytes, what: str) -> None:
    for read in (read_people, read_sign_in):
        with pytest.raises(FormError, match=what):
            read(data)


def test_a_list_says_who_is_in_it_twice(department: Department) -> None:
    line = PersonLine(user="new1", name="New", roles=(Role.OFFICER,))
    known = PersonLine(user="comm1", name="C", roles=(Role.OFFICER,))
    both = (known, replace(known, user="disp1"))
    chief, super_ = department.logon("chief"), department.logon("super")
    with pytest.raises(FormError, match="names more than once: new1 "):
        department.call("user/import", chief, ImportForm(people=(line, line), reason="hired"))
    with pytest.raises(FormError, match="comm1: is on the roster; disp1: is on the roster"):
        department.call("user/import", chief, ImportForm(people=both, reason="hired"))
    form = forms(department)["training/record-class"]
    with pytest.raises(FormError, match="names more than once: comm1"):
        department.call("training/record-class", super_, replace(form, users=("comm1", "comm1")))


def test_of_a_large_department_people_are_typed_and_not_ticked() -> None:
    """A thousand boxes make no usable form; names are on separate lines or separated by commas."""
    people = [(f"u{number}", f"Person {number}") for number in range(MOST_OFFERED + 1)]
    for count, kind in ((MOST_OFFERED, "many"), (MOST_OFFERED + 1, "lines")):
        found = {one.name: one for one in fields_of(LocalForm, {"recipients": people[:count]})}
        assert (found["recipients"].kind, bool(found["recipients"].options)) == (kind, kind == "many")
        assert found["recipients"].help.startswith("none ticked" if kind == "many" else "user names")
    for count, kind in ((MOST_OFFERED, "choice"), (MOST_OFFERED + 1, "typed")):
        (found_user,) = [
            one for one in fields_of(HandoverForm, {"user": people[:count]}) if one.name == "user"
        ]
        assert (found_user.kind, found_user.help) == (kind, "" if kind == "choice" else "user name")
        assert suggested([found_user]) == ({} if kind == "choice" else {"user": people})


def test_a_second_person_reads_a_proposal_in_the_words_of_its_form() -> None:
    fields = (("user", "m.lee"), ("organisation", "City PD"), ("active", "False"), ("ends_us", ""))
    shown = ShownProposal(proposal=7, at_us=0, user="chief", call="user/set", summary="", fields=fields)
    said = "Proposal 7 asks for: User name: m.lee; Organization: City PD; Active: no"
    assert changing._shown(shown) == said
