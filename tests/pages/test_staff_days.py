"""People and their training through the pages, scripts off: two people add, a sign-in sheet trains."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlencode

from desk_twins import COURSE, TOPICS, Department
from office_pages import entered, form_of, upload
from page_reader import Reader

from sync.department.journal.entries import AccountSet, TrainingDone

Browser = Callable[[], Reader]


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
    sent = page.form(action)
    done = chief.post(action, sent)
    assert "first password" in done.text, done.text[:400]
    assert chief.post(action, sent).text == done.text, "sent twice, it still shows what is shown once"
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
    body = urlencode([*sent.items(), *rows])
    before = entered(department, TrainingDone)
    headers["content-type"] = "application/x-www-form-urlencoded"
    answer = second.client.post("/training", content=body, headers=headers)
    assert answer.is_redirect, answer.text[:800]
    assert entered(department, TrainingDone) == before + 1
    assert "officer1" in second.get("/training").text


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
    assert other.status == 403  # the approval is for exactly that form
    done = later.post("/people", again | {"active": "yes", "approval": number})
    assert "A person who is new, or back, needs a first password" in done.text, done.text[:400]


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
    assert not {"super", "vendor1"} & set(users)  # the teacher, and a person whom 463.9 does not cover
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
