"""A search in steps of five reads, and what the access log and the key service record about it."""

from __future__ import annotations

import json
from dataclasses import dataclass

from desk_twins import DAY_US, GROUND, START_US, Department

from sync.department.desk.inquiry.forms import (
    BegunSearch,
    Entered,
    InquiryDecideForm,
    ProposeForm,
    RunForm,
    Step,
    StepForm,
)
from sync.department.desk.inquiry.pace import SearchPace
from sync.department.journal.inquiry_entries import Query, SearchEnded, SearchStep

ALL = 33  # reads in the department's three days


@dataclass(slots=True)
class FewAtATime(SearchPace):
    """A pace of five reads per step."""

    def step(self) -> int:
        return 5


def everything(plate: str = "*ABC*") -> Query:
    return Query(plate=plate, since_us=START_US - 10 * DAY_US, until_us=START_US + DAY_US)


def approved(department: Department, token: str, query: Query) -> int:
    """Propose this search; the supervisor approves it. Returns the number of the approval."""
    made = department.call("inquiry/propose", token, ProposeForm(query=query, ground=GROUND))
    assert isinstance(made, Entered)
    yes = InquiryDecideForm(proposal=made.entry, granted=True, reason="known case")
    department.call("inquiry/approve", department.logon("super"), yes)
    return made.entry


def begun(department: Department, token: str, query: Query) -> BegunSearch:
    proposal = approved(department, token, query)
    answer = department.call("inquiry/begin", token, RunForm(query=query, ground=GROUND, proposal=proposal))
    assert isinstance(answer, BegunSearch)
    return answer


def step(department: Department, token: str, search: BegunSearch, after: str = "") -> Step:
    answer = department.call(
        "inquiry/step", token, StepForm(access=search.access, query=search.query, after=after)
    )
    assert isinstance(answer, Step)
    return answer


def opened_by_keys(department: Department, access: int) -> list[tuple[str, int, int]]:
    """Each record that the key service opened for an entry, according to its own log."""
    lines = (department.home.path / "keys" / "service.log").read_text().splitlines()
    return [
        (line["log"], line["day"], number)
        for line in map(json.loads, lines)
        if line.get("why", "").startswith(f"entry {access} ")
        for number in dict.fromkeys(line.get("records", ()))
    ]


def declared(department: Department, access: int) -> int:
    """The most reads that a search opened, according to the access log."""
    notes = [one.note for one in department.desk.log.entries(kinds=(SearchStep.KIND,))]
    return sum(one.reads for one in notes if isinstance(one, SearchStep) and one.access == access)


def endings(department: Department, access: int) -> list[SearchEnded]:
    notes = [one.note for one in department.desk.log.entries(kinds=(SearchEnded.KIND,))]
    return [one for one in notes if isinstance(one, SearchEnded) and one.access == access]
