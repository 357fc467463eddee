"""The key service's list beside a running server: `verify` accuses no entry that came after it was read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from desk_cars import Car
from desk_twins import GROUND, Department

from sync.department.cli import main
from sync.department.commands import verify_log
from sync.department.content.opened_list import GrowingCheck, OpenedCheck
from sync.department.desk.inquiry.forms import NothingForm, RunForm
from sync.department.ground.home import DepartmentHome
from sync.department.journal.check_log import Tree
from sync.department.policy.named_files import root_in
from sync.department.server import daily
from sync.department.server.desk_keys import opened_of
from sync.errors import KeyServiceAwayError
from sync.root_file import Root


@pytest.fixture
def car(department: Department) -> Iterator[Car]:
    made = Car(department)
    with closing(made.unit):
        yield made


def wrong_in(department: Department, capsys: pytest.CaptureFixture[str]) -> list[str]:
    main(["--home", str(department.home.path), "verify"])
    said = capsys.readouterr().out.splitlines()
    return [one for one in said if one.startswith("WRONG")]


def search_and_see(department: Department) -> None:
    """A search, of which the list gets a line, and the daily entry about the list."""
    department.call(
        "inquiry/run", department.logon("comm1"), RunForm(query=department.plate("8XYZ123"), ground=GROUND)
    )
    daily.enter_keys_list(department.front)
    department.desk.covered(department.desk.log.size() - 1)


def raise_alert(department: Department, car: Car) -> None:
    car.raises()
    department.call("alert/list", department.logon("disp1"), NothingForm())
    department.desk.covered(department.desk.log.size() - 1)


@pytest.mark.parametrize("what", ["search", "alert"])
def test_what_came_between_the_list_and_the_log_is_no_fault(
    department: Department,
    car: Car,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    what: str,
) -> None:
    def act() -> None:
        search_and_see(department) if what == "search" else raise_alert(department, car)

    act()
    before = wrong_in(department, capsys)
    asked = list[int]()

    def asked_for(home: DepartmentHome, root: Root) -> OpenedCheck | None:
        got = opened_of(home, root)
        asked.append(0 if got is None else len(got.lines))
        if len(asked) == 1:
            act()
        return got

    monkeypatch.setattr(verify_log, "opened_of", asked_for)
    assert wrong_in(department, capsys) == before
    assert len(asked) == 2
    assert asked[1] > asked[0]


def checked(
    department: Department, again: Callable[[OpenedCheck], OpenedCheck | None]
) -> tuple[str, list[str]]:
    """Why the second list is lacking, and what is wrong with a list that `again` gives the second time."""
    home = department.home
    first = opened_of(home, root_in(home))
    assert first is not None
    assert len(first.lines) >= 2
    problems = list[str]()
    check = GrowingCheck(first, lambda: again(first))
    for entry in department.desk.log.entries(0):
        check.judge(entry, problems)
    return check.unanswered, problems


def test_a_list_that_is_shorter_the_second_time_was_set_back(department: Department) -> None:
    search_and_see(department)
    search_and_see(department)
    assert checked(department, lambda first: first) == ("", [])
    (unanswered, problems) = checked(department, lambda first: OpenedCheck(first.lines[:-1]))
    assert unanswered == ""
    assert "lost lines while this was checked" in problems[0]
    (_, problems) = checked(department, lambda _first: None)
    assert len(problems) == 1


def test_a_key_service_that_does_not_answer_again_accuses_no_one_and_is_said(department: Department) -> None:
    search_and_see(department)
    search_and_see(department)

    def away(_first: OpenedCheck) -> OpenedCheck:
        raise KeyServiceAwayError("does not answer")

    unanswered, problems = checked(department, away)
    assert "does not answer" in unanswered
    assert problems == []


def test_what_the_earlier_list_opened_must_still_be_in_the_log(department: Department) -> None:
    search_and_see(department)
    first = opened_of(department.home, root_in(department.home))
    assert first is not None
    problems = list[str]()
    GrowingCheck(first, lambda: first).compare(Tree([]), problems)
    assert problems
