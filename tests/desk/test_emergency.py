"""Emergency searches: one dispatcher at night, part of a plate, a life in danger; and limits on abuse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from desk_asking import code_of
from desk_root import problems
from desk_twins import CAD, GROUND, START_US, Department

from storage.times import DAY_US, HOUR_US
from sync.department.desk.audit.calls import look_daily
from sync.department.desk.break_glass.calls import GlassForm, JudgeForm
from sync.department.desk.inquiry.forms import Answer, NothingForm
from sync.department.journal.entries import FindingOpened
from sync.department.journal.inquiry_entries import Access, Area, Query

Tokens = Callable[[str], str]


def form(department: Department, plate: str = "8XY*", **change: Any) -> GlassForm:
    query = Query(plate=plate, since_us=department.clock.us - 3 * DAY_US, until_us=department.clock.us)
    one = GlassForm(query=query, ground=CAD, danger="a child is in the trunk of the car")
    return replace(one, **change)


def broken(department: Department, token: str, plate: str = "8XY*") -> Answer:
    answer = department.call("inquiry/break-glass", token, form(department, plate))
    assert isinstance(answer, Answer)
    return answer


def findings(department: Department, detector: str) -> list[FindingOpened]:
    opened = department.desk.book.findings.opened.values()
    return [
        entry.note
        for entry in opened
        if isinstance(entry.note, FindingOpened) and entry.note.detector == detector
    ]


def test_one_dispatcher_searches_now_with_part_of_a_plate_and_a_cad_number(
    department: Department, tokens: Tokens
) -> None:
    answer = broken(department, tokens("disp1"))
    assert {one.plate for one in answer.reads} == {"8XYZ123"}
    note = department.desk.log.entry(answer.access).note
    assert isinstance(note, Access)
    assert (note.action, note.ground, note.approval) == ("search", CAD, -1)
    (finding,) = findings(department, "break_glass")
    assert (finding.about, finding.accesses, finding.reviewer) == ("disp1", (answer.access,), "reviewer1")
    rows = department.call("inquiry/emergencies", tokens("super"), NothingForm())
    assert isinstance(rows, tuple)
    (row,) = rows
    assert (row.access, row.user, row.overdue) == (answer.access, "disp1", False)
    assert (row.purpose, row.justification) == (CAD.purpose, CAD.justification)


def test_the_longest_time_may_have_been_chosen_a_while_before(department: Department, tokens: Tokens) -> None:
    """A form computes its "last 7 days" when it is sent; a fresh proof may delay the call."""
    longest_us = department.desk.policy.break_glass.days_max * DAY_US
    since_us = department.clock.us - longest_us
    query = Query(plate="8XY*", since_us=since_us, until_us=department.clock.us)
    department.clock.step(HOUR_US // 4)
    assert isinstance(
        department.call("inquiry/break-glass", tokens("disp1"), form(department, query=query)), Answer
    )


def test_a_second_person_judges_it_within_the_hours_and_not_the_searcher(
    department: Department, tokens: Tokens
) -> None:
    answer = broken(department, tokens("disp1"))
    judged = JudgeForm(access=answer.access, justified=True, reason="the call is on tape")
    assert code_of(department, "inquiry/judge", tokens("disp1"), judged) == "second-person"
    assert code_of(department, "inquiry/judge", tokens("officer1"), judged) == "role"
    assert code_of(department, "inquiry/judge", tokens("comm1"), replace(judged, reason="ok")) == "reason"
    none = replace(judged, access=0)
    assert code_of(department, "inquiry/judge", tokens("comm1"), none) == "no-break-glass"
    department.call("inquiry/judge", tokens("comm1"), judged)
    assert code_of(department, "inquiry/judge", tokens("super"), judged) == "decided"
    department.clock.step(13 * HOUR_US)
    look_daily(department.front)
    assert findings(department, "break_glass_open") == []
    rows = department.call("inquiry/mine", department.logon("disp1"), NothingForm())
    assert [one.second_person for one in rows] == ["comm1"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("word", [None, False])
def test_one_that_is_not_judged_in_time_or_judged_unjustified_is_a_finding_of_its_own(
    department: Department, tokens: Tokens, word: bool | None
) -> None:
    answer = broken(department, tokens("disp1"))
    if word is not None:
        judged = JudgeForm(access=answer.access, justified=word, reason="no such call was made")
        department.call("inquiry/judge", tokens("comm1"), judged)
    else:
        department.clock.step(12 * HOUR_US)
    look_daily(department.front)
    (finding,) = findings(department, "break_glass_open")
    assert (finding.about, finding.accesses) == ("disp1", (answer.access,))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"ground": GROUND}, "number"),
        ({"ground": replace(CAD, number="0000")}, "number"),
        ({"ground": replace(CAD, number="26-001234")}, "number"),
        ({"ground": replace(CAD, number="N/A")}, "number"),
        ({"ground": replace(CAD, purpose="")}, "purpose"),
        ({"ground": replace(CAD, justification="...........................")}, "justification"),
        ({"danger": ""}, "danger"),
        ({"danger": "help"}, "danger"),
        ({"query": Query(plate="*", since_us=START_US - DAY_US, until_us=START_US)}, "plate"),
        ({"query": Query(plate="8XY*", since_us=START_US - 9 * DAY_US, until_us=START_US)}, "time"),
        ({"query": Query(plate="", since_us=START_US - DAY_US, until_us=START_US)}, "elements"),
    ],
)
def test_an_emergency_search_still_says_all_that_a_search_says(
    department: Department, tokens: Tokens, change: dict[str, Any], code: str
) -> None:
    assert code_of(department, "inquiry/break-glass", tokens("disp1"), form(department, **change)) == code


@pytest.mark.parametrize("user", ["officer1", "analyst1", "chief", "deputy", "reviewer1", "vendor1"])
def test_who_may_not_search_breaks_no_glass(department: Department, tokens: Tokens, user: str) -> None:
    assert code_of(department, "inquiry/break-glass", tokens(user), form(department)) in {"role", "no-grant"}


def test_a_late_judgment_counts_however_late_it_is(department: Department, tokens: Tokens) -> None:
    access = broken(department, tokens("disp1")).access
    department.clock.step(93 * DAY_US)
    broken(department, department.logon("comm1"))
    judged = JudgeForm(access=access, justified=True, reason="the call is on tape")
    department.call("inquiry/judge", department.logon("super"), judged)
    assert problems(department) == ()


def test_many_are_a_finding_and_unjudged_ones_end_them(department: Department, tokens: Tokens) -> None:
    token = tokens("disp1")
    for _ in range(4):
        broken(department, token)
    look_daily(department.front)
    (often,) = findings(department, "break_glass_often")
    assert (often.about, len(often.accesses)) == ("disp1", 4)
    department.clock.step(12 * HOUR_US)
    refused = code_of(department, "inquiry/break-glass", department.logon("disp1"), form(department))
    assert refused == "break-glass-open"
    broken(department, department.logon("comm1"))  # other dispatchers can still search


def test_an_emergency_search_names_part_of_the_plate_or_a_near_place_and_some_wait_at_most(
    department: Department, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise one person could search the whole town in a night, before the first decision is due."""
    token, asked = tokens("disp1"), form(department)
    for area in (None, Area(latitude=34.14, longitude=-118.0, radius_m=2001.0)):
        wide = replace(asked, query=replace(asked.query, plate="", unit="car-7", area=area))
        assert code_of(department, "inquiry/break-glass", token, wide) == "elements"
    for plate in ("8*", "*Z*", "?????3?"):
        assert code_of(department, "inquiry/break-glass", token, form(department, plate)) == "elements"
    near = replace(asked.query, plate="", area=Area(latitude=34.14, longitude=-118.0, radius_m=2000.0))
    department.call("inquiry/break-glass", token, replace(asked, query=near))
    monkeypatch.setattr("sync.department.journal.query_rules.MOST_UNJUDGED", 2)
    broken(department, token, "8X*")
    assert code_of(department, "inquiry/break-glass", token, asked) == "break-glass-open"


def test_no_reviewer_at_night_delays_the_finding_and_not_the_search(
    department: Department, tokens: Tokens
) -> None:
    from sync.department.desk.people.calls import AccountForm

    gone = AccountForm(user="reviewer1", name="R", organisation="PD", roles=(), reason="left", active=False)
    department.call("user/set", tokens("chief"), gone)
    answer = broken(department, tokens("disp1"))
    (finding,) = findings(department, "break_glass")
    assert (finding.accesses, finding.reviewer) == ((answer.access,), "chief")


def test_a_policy_may_know_no_emergency_search(department: Department, tokens: Tokens) -> None:
    from sync.department.policy.policy_file import policy_digest
    from sync.department.server.open_desk import adopt_root

    text = department.desk.policy_document.decode().replace("version = 2\n", "version = 3\n", 1)
    document = text.replace("allowed = true\nsecond_word", "allowed = false\nsecond_word", 1).encode()
    root = department.new_root(policy_version=3, policy_digest=policy_digest(document))
    adopt_root(department.home, department.desk, root, document)
    assert code_of(department, "inquiry/break-glass", tokens("disp1"), form(department)) == "no-break-glass"
