"""A search in steps says how much it will open. If it is cancelled, cut off or restarted, the log says how
far it went, and the key service opened no more than that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from desk_twins import GROUND, HOUR_US, Department, open_department
from step_search import ALL, FewAtATime, approved, begun, declared, endings, everything, opened_by_keys, step

from sync.department.desk.inquiry import calls, rules
from sync.department.desk.inquiry.forms import (
    Answer,
    AskForm,
    BegunSearch,
    Entered,
    Estimate,
    InquiryDecideForm,
    ProposeForm,
    RunForm,
    StepForm,
    StopForm,
    StoppedSearch,
)
from sync.department.desk.inquiry.searching import has_ended
from sync.department.journal.inquiry_entries import Access, AccessEnded
from sync.department.policy.refusals import DeskRefusal, FormError, NotYetError

Tokens = Callable[[str], str]


@pytest.fixture(autouse=True)
def few_at_a_time(department: Department) -> None:
    department.front = replace(department.front, pace=FewAtATime())


def test_a_search_says_how_much_and_how_long_before_it_opens(department: Department, tokens: Tokens) -> None:
    token = tokens("comm1")
    said = department.call("inquiry/estimate", token, AskForm(query=everything(), ground=GROUND))
    assert isinstance(said, Estimate)
    assert (said.days, said.reads, said.opens_all) == (3, ALL, True)
    assert 0 < said.seconds < 60
    search = begun(department, token, everything())
    assert (search.days, search.reads) == (3, ALL)
    assert opened_by_keys(department, search.access) == []


def test_all_steps_find_what_one_go_finds_and_each_read_is_opened_once(
    department: Department, tokens: Tokens
) -> None:
    token = tokens("comm1")
    proposal = approved(department, token, everything())
    whole = department.call(
        "inquiry/run", token, RunForm(query=everything(), ground=GROUND, proposal=proposal)
    )
    assert isinstance(whole, Answer)
    search, after, found, steps = begun(department, token, everything()), "", list[str](), 0
    while steps == 0 or after:
        made = step(department, token, search, after)
        after, steps = made.after, steps + 1
        found += [one.read for one in made.reads]
        assert made.opened <= declared(department, search.access)
    assert sorted(found) == sorted(one.read for one in whole.reads)
    assert (made.opened, made.of, made.found, steps) == (ALL, ALL, 30, 7)
    opened = opened_by_keys(department, search.access)
    assert len(opened) == len(set(opened)) == ALL
    assert [(one.how, one.opened, one.found) for one in endings(department, search.access)] == [
        ("done", ALL, 30)
    ]
    with pytest.raises(DeskRefusal, match="has ended"):
        step(department, token, search)


def test_the_newest_day_is_opened_first(department: Department, tokens: Tokens) -> None:
    search = begun(department, tokens("comm1"), everything())
    first = step(department, tokens("comm1"), search)
    assert {one.plate[4] for one in first.reads} == {"2"}


def test_cancelled_midway_the_rest_is_not_opened(department: Department, tokens: Tokens) -> None:
    token = tokens("comm1")
    search = begun(department, token, everything())
    second = step(department, token, search, step(department, token, search).after)
    stopped = department.call("inquiry/stop", token, StopForm(access=search.access))
    assert isinstance(stopped, StoppedSearch)
    assert (stopped.opened, stopped.of) == (10, ALL)
    with pytest.raises(DeskRefusal, match="has ended"):
        step(department, token, search, second.after)
    assert len(opened_by_keys(department, search.access)) == declared(department, search.access) == 10
    assert [one.how for one in endings(department, search.access)] == ["cancelled"]
    again = department.call("inquiry/stop", token, StopForm(access=search.access))
    assert again == stopped


def test_cancelled_while_a_step_opens_it_ends_early_and_says_so(
    department: Department, tokens: Tokens
) -> None:
    token = tokens("comm1")
    search = begun(department, token, everything())
    reads, stops = department.front.reads, list[threading.Thread]()

    class Slow:
        """Reads for which another thread cancels the search before the first one is opened."""

        def __getattr__(self, name: str) -> object:
            return getattr(reads, name)

        def match(self, door: Any, cover: Any, query: Any, part: Any, going_on: Callable[[], bool]) -> Any:
            asking = threading.Thread(
                target=department.call, args=("inquiry/stop", token, StopForm(access=search.access))
            )
            asking.start()
            stops.append(asking)
            while going_on():
                asking.join(0.01)
            return reads.match(door, cover, query, part, going_on)

    department.front = replace(department.front, reads=Slow())  # type: ignore[arg-type]
    made = step(department, token, search)
    stops[0].join()
    assert (made.cancelled, made.after, made.opened) == (True, "", 0)
    assert opened_by_keys(department, search.access) == []
    assert [(one.how, one.opened) for one in endings(department, search.access)] == [("cancelled", 0)]


def test_a_server_that_restarts_midway_resumes_where_it_was(
    department: Department, tokens: Tokens, tmp_path: Path
) -> None:
    token = tokens("comm1")
    search = begun(department, token, everything())
    first = step(department, token, search)
    department.close()
    after_restart = open_department(tmp_path / "copy", department.clock, department.secrets)
    after_restart.front = replace(after_restart.front, pace=FewAtATime())
    try:
        second = step(after_restart, token, search, first.after)
        assert (second.opened, second.of) == (10, ALL)
        opened = opened_by_keys(after_restart, search.access)
        assert len(opened) == len(set(opened)) == 10
        stopped = after_restart.call("inquiry/stop", token, StopForm(access=search.access))
        assert isinstance(stopped, StoppedSearch)
        assert stopped.opened == 10
    finally:
        after_restart.close()


def test_two_searches_at_once_are_two_in_the_log_and_at_the_keys(
    department: Department, tokens: Tokens
) -> None:
    comm, other = tokens("comm1"), tokens("super")
    first = begun(department, comm, everything())
    proposal = department.call(
        "inquiry/propose", other, ProposeForm(query=everything("8XYZ*"), ground=GROUND)
    )
    assert isinstance(proposal, Entered)
    yes = InquiryDecideForm(proposal=proposal.entry, granted=True, reason="known case")
    department.call("inquiry/approve", comm, yes)
    second = department.call("inquiry/begin", other, RunForm(proposal=proposal.entry))
    assert isinstance(second, BegunSearch)
    a, b = step(department, comm, first), step(department, other, second)
    department.call("inquiry/stop", comm, StopForm(access=first.access))
    b = step(department, other, second, b.after)
    assert (a.opened, b.opened) == (5, 10)
    assert len(opened_by_keys(department, first.access)) == 5
    assert len(opened_by_keys(department, second.access)) == 10


def test_no_person_steps_or_stops_another_persons_search(department: Department, tokens: Tokens) -> None:
    token = tokens("comm1")
    search = begun(department, token, everything())
    for name, form in (
        ("inquiry/step", StepForm(access=search.access, query=search.query)),
        ("inquiry/stop", StopForm(access=search.access)),
    ):
        with pytest.raises(DeskRefusal) as refused:
            department.call(name, tokens("super"), form)
        assert refused.value.code == "other-search"
    assert step(department, token, search).opened == 5  # it continues
    assert endings(department, search.access) == []


def another_query(department: Department, search: BegunSearch) -> StepForm:
    del department
    return StepForm(access=search.access, query=replace(search.query, plate="*"))


def a_full_plate(department: Department, search: BegunSearch) -> StepForm:
    del department
    return StepForm(access=search.access, query=replace(search.query, plate="7ABC100"))


def an_hour_later(department: Department, search: BegunSearch) -> StepForm:
    department.clock.step(HOUR_US + 1)
    return StepForm(access=search.access, query=search.query)


def a_place_that_none_gave(department: Department, search: BegunSearch) -> StepForm:
    del department
    return StepForm(access=search.access, query=search.query, after="1:2:3 or 1=1")


def an_entry_of_something_else(department: Department, search: BegunSearch) -> StepForm:
    del department
    return StepForm(access=search.access - 1, query=search.query)


def an_entry_that_is_not_there(department: Department, search: BegunSearch) -> StepForm:
    return StepForm(access=department.desk.log.size() + 5, query=search.query)


@pytest.mark.parametrize(
    "form",
    [
        another_query,
        a_full_plate,
        an_hour_later,
        a_place_that_none_gave,
        an_entry_of_something_else,
        an_entry_that_is_not_there,
    ],
    ids=lambda one: one.__name__,
)
def test_a_step_of_another_kind_opens_nothing(
    department: Department, form: Callable[[Department, BegunSearch], StepForm]
) -> None:
    token = department.logon("comm1", post="") if form is not an_hour_later else ""
    token = token or department.logon("comm1")
    search = begun(department, token, everything())
    asked = form(department, search)
    with pytest.raises(DeskRefusal):
        department.call("inquiry/step", token, asked)
    assert declared(department, search.access) == 0
    assert opened_by_keys(department, search.access) == []


def test_a_step_while_one_is_under_way_waits_for_its_turn(department: Department, tokens: Tokens) -> None:
    search = begun(department, tokens("comm1"), everything())
    progress = department.front.under_way.get(search.access)
    assert progress is not None
    with progress.busy, pytest.raises(NotYetError) as refused:
        step(department, tokens("comm1"), search)
    assert refused.value.code == "under-way"


def test_what_opens_much_at_one_go_is_refused_with_how_much(
    department: Department, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "AT_ONE_GO", ALL - 1)
    token = tokens("comm1")
    form = RunForm(query=everything(), ground=GROUND, proposal=approved(department, token, everything()))
    with pytest.raises(NotYetError) as refused:
        department.call("inquiry/run", token, form)
    assert refused.value.code == "much"
    assert f"{ALL} reads of 3 days" in refused.value.what
    assert isinstance(department.call("inquiry/begin", token, form), BegunSearch)  # approval unused
    with pytest.raises(FormError):
        department.call("inquiry/begin", token, RunForm(query=department.plate("8XYZ123"), ground=GROUND))


def test_a_request_is_answered_when_its_search_is_done_and_stays_open_when_cancelled(
    department: Department, tokens: Tokens
) -> None:
    comm, query = tokens("comm1"), everything("8XYZ*")
    asked = department.call("inquiry/request", tokens("officer1"), AskForm(query=query, ground=GROUND))
    assert isinstance(asked, Entered)
    for cancelled in (True, False):
        made = department.call("inquiry/propose", comm, ProposeForm(request=asked.entry))
        assert isinstance(made, Entered)
        yes = InquiryDecideForm(proposal=made.entry, granted=True, reason="known case")
        department.call("inquiry/approve", department.logon("super"), yes)
        form = RunForm(request=asked.entry, proposal=made.entry)
        search = department.call("inquiry/begin", comm, form)
        assert isinstance(search, BegunSearch)
        last = step(department, comm, search)
        while last.after and not cancelled:
            last = step(department, comm, search, last.after)
        if cancelled:
            department.call("inquiry/stop", comm, StopForm(access=search.access))
        waits = {one.sequence for one in department.desk.book.queue.open_requests()}
        assert (asked.entry in waits) == cancelled
        if cancelled:  # no one is answering it now, so another person may decline or run it at once
            rules.demand_untaken(
                department.desk.book.queue,
                asked.entry,
                "disp1",
                partial(has_ended, department.desk),
                department.clock(),
            )
    results = [one.note for one in department.desk.log.entries(kinds=(AccessEnded.KIND,))]
    assert [one.count for one in results if isinstance(one, AccessEnded)][-1] == 3


# the stream -----------------------------------------------------------------------------------------------


# the command ----------------------------------------------------------------------------------------------


def test_a_full_plate_with_a_proposals_number_makes_no_access(department: Department, tokens: Tokens) -> None:
    """Its signed call would not have asked for the access, and `verify` would name it forever."""
    form = RunForm(query=department.plate("8XYZ123"), ground=GROUND, proposal=3)
    size = department.desk.log.size()
    with pytest.raises(DeskRefusal) as refused:
        department.call("inquiry/run", tokens("comm1"), form)
    assert refused.value.code == "full"
    assert not list(department.desk.log.entries(size, kinds=(Access.KIND,)))
