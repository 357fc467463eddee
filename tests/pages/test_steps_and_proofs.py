"""A search that opens many reads, and a form that needs a fresh proof, through pages with scripts off."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from desk_twins import START_US, Department
from page_reader import WHY, Reader, Sheet

from storage.times import DAY_US
from sync.department.desk.inquiry import calls
from sync.department.desk.inquiry.forms import InquiryDecideForm
from sync.department.desk.inquiry.pace import SearchPace
from sync.department.ground.local_time import local
from sync.department.journal.hold_entries import HoldPlaced
from sync.department.journal.inquiry_entries import SearchEnded, SearchStep

Browser = Callable[[], Reader]
HOLD = {"hold_ground": "discovery", "authority": "Superior Court", "own.number": "26-CV-815"}


@dataclass(slots=True)
class FewAtATime(SearchPace):
    """Steps of twenty reads."""

    def step(self) -> int:
        return 20


@pytest.fixture
def department(department: Department, monkeypatch: pytest.MonkeyPatch) -> Department:
    """A department where 33 reads count as many and are opened twenty at a time."""
    monkeypatch.setattr(calls, "AT_ONE_GO", 10)
    department.front = replace(department.front, pace=FewAtATime())
    return department


def begun(department: Department, one: Reader) -> Sheet:
    """The page of a search for part of a plate that a second person approved."""
    one.logon("comm1")
    zone = department.desk.policy.zone
    times = {"since": START_US - 9 * DAY_US, "until": START_US}
    given = {name: local(at, zone).strftime("%Y-%m-%dT%H:%M") for name, at in times.items()}
    asked = given | WHY | {"plate": "7ABC*", "range": "given", "do": "propose"}
    proposed = one.send(one.get("/search"), "/search", **asked)
    assert "33 reads of 3 days" in proposed.text, proposed.text
    yes = InquiryDecideForm(proposal=int(proposed.path.rpartition("/")[2]), granted=True, reason="known case")
    department.call("inquiry/approve", department.logon("super"), yes)
    return one.send(proposed, proposed.path)


def steps(department: Department) -> list[int]:
    notes = [one.note for one in department.desk.log.entries(kinds=(SearchStep.KIND,))]
    return [one.reads for one in notes if isinstance(one, SearchStep)]


def endings(department: Department) -> list[tuple[str, int, int]]:
    notes = [one.note for one in department.desk.log.entries(kinds=(SearchEnded.KIND,))]
    return [(one.how, one.opened, one.of) for one in notes if isinstance(one, SearchEnded)]


def test_what_opens_much_says_so_and_is_opened_part_by_part(department: Department, reader: Browser) -> None:
    one = reader()
    page = begun(department, one)
    assert "This search opens 33 reads" in page.text
    assert steps(department) == []
    page = one.send(page, page.path)
    assert "20 of 33 opened" in page.text
    so_far = one.get(page.path.removesuffix("/steps"))
    assert "20 of 33 reads were opened" in so_far.text
    done = one.send(page, page.path)
    assert done.path == page.path.removesuffix("/steps")
    assert "30 reads" in done.text
    assert "were opened" not in done.text
    assert (steps(department), endings(department)) == ([20, 13], [("done", 33, 33)])


def test_a_part_whose_form_is_sent_twice_is_opened_and_shown_once(
    department: Department, reader: Browser
) -> None:
    one = reader()
    page = begun(department, one)
    form = page.form(page.path)
    pages = [one.post(page.path, sent).text for sent in (form, form, form | {"once": "of-another-tab"})]
    said = [re.findall(r"20 of 33 opened, ([1-9][0-9]*) found", text) for text in pages]
    assert said[0] == said[1] == said[2] != []
    assert steps(department) == [20]
    assert f"{said[0][0]} reads" in one.get(page.path.removesuffix("/steps")).text


def test_cancelled_on_the_page_the_rest_stays_closed(department: Department, reader: Browser) -> None:
    one = reader()
    page = begun(department, one)
    page = one.send(page, page.path)
    stopped = one.post(page.path, page.form(page.path) | {"do": "stop"})
    assert "20 of 33 reads were opened: this search was cancelled" in stopped.text
    assert (steps(department), endings(department)) == ([20], [("cancelled", 20, 33)])
    again = one.post(page.path, page.form(page.path) | {"do": "step"})
    assert again.path == stopped.path
    assert steps(department) == [20]


def test_another_session_has_no_page_of_it(department: Department, reader: Browser) -> None:
    page = begun(department, reader())
    other = reader()
    other.logon("super")
    theirs = other.get(page.path)
    assert (theirs.status, "made by another person" in theirs.text) == (403, True)
    mine = reader()
    mine.logon("comm1")
    assert "no longer kept" in mine.get(page.path).text  # nor for the same person after another login


# the fresh proof ------------------------------------------------------------------------------------------


def hold_form(department: Department, one: Reader) -> tuple[str, dict[str, str]]:
    """The partly filled form for a hold on the person's own search."""
    one.logon("super")
    found = one.send(one.get("/search"), "/search", **WHY, plate="8XYZ123")
    read = department.reads[-1]
    page = one.get(f"/holds/new?read={read}&access={found.path.rpartition('/')[2]}")
    fields = next(fields for _, fields in page.forms if fields.get("act") == "hold/place")
    return page.path, fields | HOLD | {"reads": read}


def held(department: Department) -> int:
    return sum(isinstance(one.note, HoldPlaced) for one in department.desk.log.entries())


def test_a_hold_asks_for_a_proof_and_the_form_comes_back_as_it_was(
    department: Department, reader: Browser
) -> None:
    one = reader()
    path, fields = hold_form(department, one)
    asked = one.post(path, fields, proves=False)
    assert (asked.status, held(department)) == (401, 0)
    assert "Prove it is you" in asked.text
    assert "26-CV-815" not in asked.html  # kept on the server
    back = one.prove(asked)
    assert (back.path, held(department)) == (path, 0)
    again = next(found for _, found in back.forms if found.get("act") == "hold/place")
    for name in ("own.number", "authority", "hold_ground", "reads", "justification"):
        assert again[name] == fields[name], name
    done = one.post(path, again, proves=False)
    assert (done.path, held(department)) == ("/holds", 1)
    *_, last = department.desk.log.entries(kinds=("access",))
    assert last.stamp.proven.startswith("password and code, entry ")


def test_a_wrong_code_asks_again_and_still_keeps_the_form(department: Department, reader: Browser) -> None:
    one = reader()
    path, fields = hold_form(department, one)
    asked = one.post(path, fields, proves=False)
    wrong = one.send(asked, "/proof", password="wrong horse 463", code="000000")  # noqa: S106 - nobody's
    assert (wrong.status, held(department)) == (401, 0)
    assert "wrong" in wrong.text
    back = one.prove(wrong)
    assert back.path == path
    assert "26-CV-815" in back.html


def test_a_stolen_cookie_alone_takes_nothing_away(department: Department, reader: Browser) -> None:
    """A person with only the cookie and the mark gets the proof page again and again."""
    one, thief = reader(), reader()
    path, fields = hold_form(department, one)
    one.post(path, fields)
    assert held(department) == 1
    department.clock.step(department.desk.policy.sessions.proof_minutes * 60_000_000)
    thief.cookies, thief.user = dict(one.cookies), one.user
    number = next(iter(department.desk.book.holds.placed))
    page = thief.get(f"/holds/{number}/export")
    form = next(fields for _, fields in page.forms if fields.get("act") == "hold/export")
    for _ in range(2):
        answer = thief.post(page.path, form | WHY | {"medium": "USB 1"}, proves=False)
        assert (answer.status, answer.answer.headers["content-type"]) == (401, "text/html; charset=utf-8")


def test_the_proof_leads_only_to_pages_of_this_desk(department: Department, reader: Browser) -> None:
    del department
    one = reader()
    one.logon("super")
    for path in ("https://evil.example", "//evil.example", "/\\evil.example", "/proof"):
        assert one.get(f"/proof?next={path}").form("/proof")["next"] == "/"
    assert one.get("/proof?next=/holds").form("/proof")["next"] == "/holds"
