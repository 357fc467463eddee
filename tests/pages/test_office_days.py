"""The office's days through the pages, scripts off: sharing, evidence, audit, people, training, lists,
redress."""

from __future__ import annotations

import contextlib
import html
import io
import itertools
import re
import shlex
import zipfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from desk_twins import COURSE, PASSWORD, TOPICS, Department, StepClock, open_department, secret_of
from page_reader import Reader, Sheet

from storage.times import DAY_US
from sync.department.cli import main
from sync.department.content import package
from sync.department.desk.transparency import bundle
from sync.department.ground.department_time import Clocks
from sync.department.ground.local_time import local
from sync.department.ground.settings import Settings
from sync.department.journal.entries import AccountSet, FindingClosed, TrainingDone
from sync.department.journal.hold_entries import HoldReleased
from sync.department.journal.redress_entries import RedressAnswered, RedressAsked
from sync.department.journal.sharing_entries import ShareDecided, ShareDelivered
from sync.department.journal.witness_server import WitnessFolder
from sync.department.pages import governing
from sync.department.pages.shield import SESSION_COOKIE
from sync.department.pages.visit import Visit
from sync.department.server.founding import found
from sync.department.server.open_desk import first_administrator

Browser = Callable[[], Reader]
WHY = {
    "purpose": "investigation",
    "basis": "criminal-investigation",
    "number": "26-001234",
    "number_kind": "case",
    "justification": "hit and run on Myrtle Avenue",
}


def form_of(sheet: Sheet, act: str, path: str = "", **fixed: str) -> dict[str, str]:
    """The fields of the page's form for one call, and of one row."""
    found = [
        fields
        for action, fields in sheet.forms
        if fields.get("act") == act
        and action == (path or sheet.path)
        and all(fields.get(name) == value for name, value in fixed.items())
    ]
    assert found, (act, sheet.text[:400])
    return dict(found[0])


def entered(department: Department, kind: type) -> int:
    return sum(isinstance(one.note, kind) for one in department.desk.log.entries())


def typed(department: Department, days: int) -> str:
    """A time as a browser sends one, so many days from now."""
    at = local(department.clock.us, department.desk.policy.zone) + timedelta(days=days)
    return at.strftime("%Y-%m-%dT%H:%M")


def upload(one: Reader, path: str, fields: dict[str, str], **files: tuple[str, bytes]) -> Sheet:
    """Send a form with files."""
    sent = {"cookie": "; ".join(f"{name}={value}" for name, value in one.cookies.items()), "origin": one.base}
    answer = one.client.post(path, data=fields, files=files, headers=sent)
    return one.get(answer.headers["location"]) if answer.is_redirect else Sheet(answer)


def test_a_written_request_is_entered_reviewed_approved_and_delivered(
    department: Department, reader: Browser
) -> None:
    clerk, deputy = reader(), reader()
    clerk.logon("super")
    page = clerk.get("/sharing")
    fields = form_of(page, "share/record") | {
        "agency": "Los Angeles County Sheriff's Department",
        "agency_kind": "law-enforcement",
        "state": "CA",
        "person": "Det. Ruiz",
        "purpose": "homicide of May 4",
        "number": "H-26-1",
        "scope.plates": "8XYZ123\n7ABC001",
        "scope.since_us": typed(department, -8),
        "scope.until_us": typed(department, 0),
    }
    refused = upload(clerk, "/sharing", fields | {"person": ""}, letter=("letter.pdf", b"%PDF-1.7 please"))
    assert refused.status == 422
    assert "H-26-1" in refused.html  # what was typed stays
    done = upload(clerk, "/sharing", fields, letter=("letter.pdf", b"%PDF-1.7 please"))
    assert "waits for review" in done.text, done.text
    deputy.logon("deputy")
    page = deputy.get("/sharing")
    number = form_of(page, "share/review")["request"]
    letter = deputy.ask("GET", f"/sharing/{number}/letter")
    assert letter.content == b"%PDF-1.7 please"
    assert letter.headers["content-disposition"].startswith("attachment")
    page = deputy.post("/sharing", form_of(page, "share/review") | {"note": "read it, official purpose"})
    decision = form_of(page, "share/decide") | {"approved": "yes", "note": "approved"}
    blind = deputy.post("/sharing", decision | {"agency_kind": "law-enforcement"})
    assert "pproving takes the agency's state" in blind.text
    assert entered(department, ShareDecided) == 0
    page = deputy.post("/sharing", decision | {"agency_kind": "law-enforcement", "agency_state": "CA"})
    assert entered(department, ShareDecided) == 1
    page = clerk.get(f"/sharing/{number}/deliver")
    sent = form_of(page, "share/deliver") | WHY
    answer = clerk.file(page.path, sent)
    assert answer.headers["content-type"] == "application/zip", answer.text[:600]
    assert len(package.check(answer.content, department.desk.log.public).head.reads) >= 1
    assert entered(department, ShareDelivered) == 1


def test_evidence_is_held_exported_booked_and_released_by_two(
    department: Department, reader: Browser
) -> None:
    one, chief = reader(), reader()
    one.logon("super")
    found = one.send(one.get("/search"), "/search", **WHY, plate="8XYZ123")
    access = found.path.rpartition("/")[2]
    read = department.reads[-1]
    page = one.get(f"/holds/new?read={read}&access={access}")
    fields = form_of(page, "hold/place")
    assert (fields["accesses"], fields["number"], fields["own.number"]) == (access, "26-001234", "")
    held = one.post(
        "/holds/new",
        fields
        | {
            "hold_ground": "discovery",
            "authority": "Superior Court",
            "own.number": "26-CV-815",
            "reads": read,
        },
    )
    assert "Hold" in held.text
    assert held.path == "/holds", held.text[:500]
    number = next(iter(department.desk.book.holds.placed))
    page = one.get(f"/holds/{number}/export")
    answer = one.file(page.path, form_of(page, "hold/export") | WHY | {"medium": "USB 7"})
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert "cover.html" in archive.namelist()
    page = one.get("/holds")
    page = one.post("/holds", form_of(page, "hold/book") | {"evidence_item": "E-26-0042"})
    assert "E-26-0042" in page.text
    page = one.post("/holds", form_of(page, "hold/ask-release") | {"evidence_item": "E-26-0042"})
    assert 'value="hold/release"' not in page.html  # it is another person's
    chief.logon("chief")
    page = chief.get("/holds")
    theirs = form_of(page, "hold/release") | {
        "evidence_item": "E-26-0042",
        "mark": form_of(one.get("/holds/new"), "hold/place")["mark"],
    }
    assert one.post("/holds", theirs).status == 403
    page = chief.post("/holds", form_of(page, "hold/release") | {"evidence_item": "E-26-0042"})
    assert "destroyed" in page.text
    assert entered(department, HoldReleased) == 1


def test_the_audit_is_run_charted_closed_and_bundled(department: Department, reader: Browser) -> None:
    one, reviewer = reader(), reader()
    one.logon("super")
    for _ in range(6):
        one.send(one.get("/search"), "/search", **WHY, plate="8XYZ123")
    page = one.get("/audit")
    assert 'role="img"' in page.html
    assert "Accesses by person: super" in page.html
    found = one.post("/audit", form_of(page, "audit/run"))
    assert "opened" in found.text
    table = one.get("/audit/requests?user=super")
    assert "8XYZ123" not in table.html.partition("<table")[0]
    csv = one.ask("GET", "/audit/requests.csv?user=super")
    assert csv.text.startswith("entry,")
    assert csv.text.count("\n") >= 7
    assert one.ask("GET", "/audit/requests.csv?user=chief").text.count("\n") == 1
    reviewer.logon("reviewer1")
    home = reviewer.get("/").html  # the finding is some seconds old there, however long its reviewer has
    assert re.search(r'class="age">\d+ s</span><span><a href="/findings"', home)
    page = reviewer.get("/findings")
    fields = form_of(page, "audit/close")
    assert "hit and run" in reviewer.get(f"/findings/{fields['finding']}").text
    short = reviewer.post("/findings", fields | {"verdict": "justified", "note": "fine"})
    assert short.status == 422
    assert "fine" in short.html
    page = reviewer.post("/findings", fields | {"verdict": "justified", "note": "the case file names it"})
    assert page.status == 200
    assert entered(department, FindingClosed) == 2  # one is of the founding
    page = reviewer.get("/audit")
    answer = reviewer.ask("POST", "/audit", form_of(page, "audit/bundle"), origin=reviewer.base)
    assert bundle.is_bundle(answer.content)


def test_a_person_is_added_by_two_and_trained_by_a_sign_in_sheet(
    department: Department, reader: Browser
) -> None:
    chief, second = reader(), reader()
    chief.logon("chief")
    page = chief.get("/people")
    fields = form_of(page, "user/set") | {
        "user": "disp2", "name": "D. Two", "organisation": "Monrovia PD", "roles": "dispatcher",
        "reason": "hired", "shift": "22:00-06:00", "active": "yes",
    }  # fmt: skip
    alone = chief.post("/people", fields)
    assert alone.status == 409
    assert "second person" in alone.text
    assert "disp2" in alone.html
    page = chief.post("/people", fields | {"do": "propose"})
    assert page.path == "/changes"
    assert "waiting" in page.text
    second.logon("super")
    theirs = second.get("/changes")
    assert "disp2" in theirs.text
    second.post("/changes", form_of(theirs, "change/approve") | {"granted": "yes", "reason": "known to me"})
    page = chief.get("/changes")
    action = next(action for action, _ in page.forms if action.startswith("/changes/"))
    other = second.post(action, {"mark": theirs.form("/lock")["mark"]})
    assert (other.status, "made by another person" in other.text) == (403, True)
    done = chief.send(page, action)
    assert "first password" in done.text, done.text[:400]
    page = chief.get("/people")
    once = chief.post("/people", form_of(page, "user/credential") | {"user": "disp2", "reason": "new"})
    assert "shown once" in once.text
    assert "<svg" in once.html
    assert re.search(r"Or type it: [A-Z2-7]{32} ", once.text)
    assert entered(department, AccountSet) >= 10
    page = second.get("/training")
    sent = form_of(page, "training/record-class") | {"course": COURSE, "users": "officer1"}
    rows = [("topics", one) for one in TOPICS]
    headers = {"cookie": "; ".join(f"{k}={v}" for k, v in second.cookies.items()), "origin": second.base}
    from urllib.parse import urlencode

    body = urlencode([*sent.items(), *rows])
    before = entered(department, TrainingDone)
    headers["content-type"] = "application/x-www-form-urlencoded"
    answer = second.client.post("/training", content=body, headers=headers)
    assert answer.is_redirect, answer.text[:800]
    assert entered(department, TrainingDone) == before + 1
    assert "officer1" in second.get("/training").text


def test_a_stranger_asks_and_the_administrator_answers(department: Department, reader: Browser) -> None:
    stranger, chief = reader(), reader()
    page = stranger.get("/transparency")
    assert page.status == 200
    assert "1798.90.51" in page.text
    fields = page.form("/transparency") | {"about": "stop", "contact": "j.doe@example.org"}
    short = stranger.post("/transparency", fields | {"words": "help"})
    assert short.status == 422
    told = fields | {"words": "I was stopped on Myrtle Avenue\non May 4"}
    taken = [stranger.post("/transparency", told) for _ in range(2)]  # sent twice, made once
    assert "answers within 30 days" in taken[0].text
    assert taken[1].text == taken[0].text
    assert entered(department, RedressAsked) == 1
    chief.logon("chief")
    page = chief.get("/redress")
    assert "j.doe@example.org" in page.text
    sent = form_of(page, "redress/answer") | {"outcome": "corrected", "note": "list corrected, told by mail"}
    assert "Entered" in chief.post("/redress", sent).text
    assert entered(department, RedressAnswered) == 1


def test_the_set_up_shows_what_is_done_and_the_command_of_each_step(
    department: Department, reader: Browser
) -> None:
    one = reader()
    one.logon("chief")
    page = one.get("/setup")
    assert page.text.count("department ") >= 4
    assert page.html.count('class="tag ok"') == 5  # everything but root keys and the first hot list
    assert "5 of 7 steps are done" in page.text
    officer = reader()
    officer.logon("officer1")
    assert officer.get("/setup").status == 403
    department.witness.away = True
    one.get("/sharing")  # an answer that no witness signs
    step = one.get("/setup").html.split('id="step-3"')[1].split("</li>")[0]
    assert "to do" in step
    for said in (step, one.get("/trust").text, one.get("/compliance").text):
        assert "0 of 1 witness answered, 1 is needed" in said


def test_days_that_go_and_units_that_are_silent_are_shown(department: Department, reader: Browser) -> None:
    one = reader()
    one.logon("super")
    page = one.get("/retention")
    assert "2026-09-18" in page.text
    assert "365 days" in page.text
    assert "car-7" in one.get("/units").text
    department.clock.step(3 * DAY_US)
    one.logon("super")
    page = one.get("/units")
    assert "car-7 see to it" in page.text


def test_an_agreed_proposal_is_carried_out_from_a_later_session(
    department: Department, reader: Browser
) -> None:
    chief, second, later = reader(), reader(), reader()
    chief.logon("chief")
    page = chief.get("/people")
    asked = {
        **form_of(page, "user/set"),
        "user": "rev2",
        "name": "R. Two",
        "roles": "reviewer",
        "reason": "x1",
    }
    page = chief.post("/people", asked | {"active": "yes", "do": "propose"})
    number = str(max(department.desk.book.changes.proposed))
    second.logon("super")
    theirs = second.get("/changes")
    second.post("/changes", form_of(theirs, "change/approve") | {"granted": "yes", "reason": "known to me"})
    later.logon("chief")
    page = later.get("/changes")
    assert f"approved proposal {number}" in page.text
    page = later.get("/people")
    again = {
        **form_of(page, "user/set"),
        **{name: asked[name] for name in ("user", "name", "roles", "reason")},
    }
    other = later.post("/people", again | {"active": "yes", "approval": number, "name": "Somebody Else"})
    assert other.status == 403  # the approval is good for exactly that form
    done = later.post("/people", again | {"active": "yes", "approval": number})
    assert "A new person needs a first password" in done.text, done.text[:400]


def test_a_class_is_entered_from_its_sign_in_sheet(department: Department, reader: Browser) -> None:
    one = reader()
    one.logon("super")
    page = one.get("/training")
    fields = form_of(page, "training/record-class") | {"course": COURSE, "topics": "\n".join(TOPICS)}
    wrong = upload(one, "/training", fields, sheet=("class.csv", b"name\nDoe\n"))
    assert wrong.status == 422
    before = entered(department, TrainingDone)
    done = upload(one, "/training", fields, sheet=("class.csv", b"user,signed\nofficer1,x\ndisp1,x\n"))
    assert "2 people are trained" in done.text, done.text[:300]
    assert entered(department, TrainingDone) == before + 2


def test_a_sign_in_sheet_is_printed_filled_in_and_taken_back(department: Department, reader: Browser) -> None:
    one = reader()
    one.logon("super")
    page = one.get("/training/sheet?within=all&held=2026-11-26T10:00")
    for topic in department.desk.policy.training.topics:
        assert topic.text in page.text
    assert "2026-11-26 10:00" in page.text
    everybody = one.get("/training/sheet.csv?within=all").html.splitlines()
    assert everybody[0] == "user,name,signed"
    users = [line.split(",")[0] for line in everybody[1:]]
    assert {"officer1", "disp1"} <= set(users)
    assert not {"super", "vendor1"} & set(users)  # who teaches, and who is no one of 463.9's
    signed = "\n".join(f"{line}x" if line.startswith("disp1,") else line for line in everybody)
    fields = form_of(one.get("/training"), "training/record-class") | {
        "course": COURSE,
        "topics": "\n".join(TOPICS),
    }
    before = entered(department, TrainingDone)
    done = upload(one, "/training", fields, sheet=("class.csv", signed.encode()))
    assert "1 person is trained" in done.text, done.text[:300]
    assert entered(department, TrainingDone) == before + 1
    assert one.get("/training/sheet?within=forever").status == 422
    for user in ("officer1", "reviewer1"):
        other = reader()
        other.logon(user)
        assert other.get("/training/sheet").status == 403
        assert other.get("/training/sheet.csv").status == 403


def test_a_request_on_paper_is_printed_by_anyone_and_entered_by_the_administrator(
    department: Department, reader: Browser
) -> None:
    form = reader().get("/redress/paper")
    assert form.status == 200
    for words in ("within 30 days", "How to answer you", "What happened", "Number of the request"):
        assert words in form.text
    chief = reader()
    chief.logon("chief")
    page = chief.get("/redress")
    sent = form_of(page, "redress/enter") | {
        "about": "stop",
        "contact": "415 S. Ivy Avenue",
        "words": "I was stopped on May 4",
        "received_us": typed(department, -12),
    }
    wrong = chief.post("/redress", sent | {"received_us": typed(department, 2)})
    assert wrong.status == 422
    assert form_of(wrong, "redress/enter")["contact"] == "415 S. Ivy Avenue"
    done = chief.post("/redress", sent)
    assert "answer it within 18 days" in done.text, done.text[:400]
    assert "415 S. Ivy Avenue" in done.text


def test_the_first_step_of_the_set_up_is_the_administrators_own_password(tmp_path: Path) -> None:
    """On the first day: nothing but the first administrator is there."""
    clock = StepClock()
    settings = Settings(name="Arcadia Police Department", day_keys_ahead=2)
    home = found(tmp_path / "home", settings, clocks=Clocks.simulated(clock)).home
    given = first_administrator(home, "chief", "Chief Example", clock=clock)
    WitnessFolder.create(tmp_path / "witness", "witness.example/arcadia").close()
    department = open_department(tmp_path, clock, {"chief": (given.password, secret_of(given))})
    with Reader.desk(department) as make:
        chief = make()
        assert chief.logon("chief").path == "/account/password"
        assert "the set-up" in chief.get("/account/password").text
        page = chief.get("/setup")
        assert page.status == 200, page.text[:300]
        first = page.html.split('id="step-1"')[1].split("</li>")[0]
        assert "to do" in first
        assert 'href="/account/password"' in first
        assert "department user password" in first
        assert chief.get("/people").status == 409
        public = make().get("/transparency")
        assert "Nothing is counted yet" in public.text
        assert "up to never" not in public.text

        first_token = chief.cookies[SESSION_COOKIE]
        own = {"old": given.password, "new": PASSWORD, "again": PASSWORD}
        asked = chief.get("/account/password")
        secret = asked.html.split('Or type it: <span class="read">')[1].split("<")[0]
        department.secrets["chief"] = (PASSWORD, secret)
        done = chief.send(asked, "/account/password", **own, new_code=department.code("chief"))
        assert "Log on again with your own password" in done.text
        assert SESSION_COOKIE not in chief.cookies
        chief.cookies[SESSION_COOKIE] = first_token  # a copy of it opens nothing any more
        assert chief.get("/training").status == 401
        chief.cookies.clear()
        assert chief.logon("chief").path == "/"
        account = {"user": "super", "name": "S. Lee", "organisation": "PD", "roles": "ccat-supervisor"}
        made = chief.post(
            "/people",
            form_of(chief.get("/people"), "user/set") | account | {"reason": "hired", "active": "yes"},
        )
        assert "Entered" in made.text, made.text[:300]  # signed in the chief's own name
        assert "nothing to choose yet" in chief.get("/grants").text  # there is no designee
        refused = chief.get("/")  # no witness is named
        assert refused.status == 409
        assert '<a href="/setup">Set-up</a>' in refused.html
        setup = chief.get("/setup").html
        assert f"department witness add-log {department.desk.log.note_key.text()}" in html.unescape(setup)
        keys = setup.split('id="step-2"')[1].split("</li>")[0]
        assert "to do" in keys
        assert "Still here: administrator.key" in keys
        for one in (home.path / "root-keys").iterdir():
            one.unlink()
        assert "Still here" not in chief.get("/setup").html
        assert "newer before the next answer leaves" in chief.get("/help").text or "no witness" in setup
    department.close()


def test_root_keys_have_moved_once_they_are_gone(department: Department, reader: Browser) -> None:
    """A signed root file alone does not say so."""
    chief = reader()
    chief.logon("chief")
    folder = department.home.path / "root-keys"

    def state() -> str:
        return chief.get("/setup").html.split('id="step-2"')[1].split("</li>")[0]

    assert department.desk.root.version > 1
    assert "to do" in state()
    for one in sorted(folder.iterdir()):
        assert one.name in state()
        one.unlink()
    assert "done" in state()
    folder.rmdir()
    assert "done" in state()


def test_every_command_of_the_set_up_is_one(
    department: Department, capsys: pytest.CaptureFixture[str]
) -> None:
    visit = SimpleNamespace(calling=SimpleNamespace(front=department.front), now_us=department.clock.us)
    commands = [command for step in governing.steps(cast("Visit", visit)) for command in step.commands]
    assert len(commands) > 10
    for command in commands:
        words = shlex.split(command)
        assert words[0] == "department"
        verbs = list(itertools.takewhile(re.compile(r"[a-z][a-z-]*").fullmatch, words[1:]))
        with contextlib.suppress(SystemExit):
            main([*verbs, "--help"])
        said = capsys.readouterr().out
        assert f"Usage: department {' '.join(verbs)}" in said, command
        for option in [one for one in words if one.startswith("--")]:
            assert option in said, (command, option)


@pytest.mark.parametrize("path", ["/holds/99999/export", "/sharing/99999/letter", "/findings/99999"])
def test_a_number_that_is_none_is_said_to_be_none(reader: Browser, path: str) -> None:
    one = reader()
    one.logon("super")
    page = one.get(path)
    if path.endswith("export"):
        page = one.post(path, form_of(page, "hold/export") | WHY | {"medium": "USB 1"})
    assert page.status == 422
    assert "there is no such" in page.text.lower()
