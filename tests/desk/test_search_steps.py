"""A search step by step: it says how much before it opens; cancelled, cut off or restarted, the log says how
far it went, and the key service opened no more than that."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from desk_server import serving
from desk_twins import DAY_US, GROUND, HOUR_US, START_US, Department, open_department
from starlette.applications import Starlette

from sync.command_frame import INTERRUPTED, Common
from sync.department.commands.desk_access import Terminal
from sync.department.commands.stepping import run_by_steps
from sync.department.desk.api import routes
from sync.department.desk.inquiry import calls
from sync.department.desk.inquiry.forms import (
    Answer,
    AskForm,
    BegunSearch,
    Entered,
    Estimate,
    InquiryDecideForm,
    ProposeForm,
    RunForm,
    Step,
    StepForm,
    StopForm,
    StoppedSearch,
)
from sync.department.desk.inquiry.pace import SearchPace
from sync.department.desk.json_forms import to_json
from sync.department.journal.entries import AccessEnded, Query, SearchEnded, SearchStep
from sync.department.policy.refusals import DeskRefusal, FormError, NotYetError

Tokens = Callable[[str], str]
ALL = 33  # reads of the department's three days


@dataclass(slots=True)
class FewAtATime(SearchPace):
    """Steps of five reads."""

    def step(self) -> int:
        return 5


@pytest.fixture(autouse=True)
def few_at_a_time(department: Department) -> None:
    department.front = replace(department.front, pace=FewAtATime())


def everything(plate: str = "*ABC*") -> Query:
    return Query(plate=plate, since_us=START_US - 10 * DAY_US, until_us=START_US + DAY_US)


def approved(department: Department, token: str, query: Query) -> int:
    """A proposal of this search that the supervisor agreed to."""
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
    """Each record that the key service opened for an entry, as its own log says."""
    lines = (department.home.path / "keys" / "service.log").read_text().splitlines()
    return [
        (line["log"], line["day"], number)
        for line in map(json.loads, lines)
        if line.get("why", "").startswith(f"entry {access} ")
        for number in dict.fromkeys(line.get("records", ()))
    ]


def declared(department: Department, access: int) -> int:
    """How many reads the log says that a search opened at most."""
    notes = [one.note for one in department.desk.log.entries(kinds=(SearchStep.KIND,))]
    return sum(one.reads for one in notes if isinstance(one, SearchStep) and one.access == access)


def endings(department: Department, access: int) -> list[SearchEnded]:
    notes = [one.note for one in department.desk.log.entries(kinds=(SearchEnded.KIND,))]
    return [one for one in notes if isinstance(one, SearchEnded) and one.access == access]


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
        """Reads of which another thread asks to stop before the first is opened."""

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
    stops[0].join(30)
    assert (made.cancelled, made.after, made.opened) == (True, "", 0)
    assert opened_by_keys(department, search.access) == []
    assert [(one.how, one.opened) for one in endings(department, search.access)] == [("cancelled", 0)]


def test_a_server_that_restarts_midway_goes_on_where_it_was(
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


def test_nobody_steps_or_stops_another_persons_search(department: Department, tokens: Tokens) -> None:
    token = tokens("comm1")
    search = begun(department, token, everything())
    for name, form in (
        ("inquiry/step", StepForm(access=search.access, query=search.query)),
        ("inquiry/stop", StopForm(access=search.access)),
    ):
        with pytest.raises(DeskRefusal) as refused:
            department.call(name, tokens("super"), form)
        assert refused.value.code == "other-search"
    assert step(department, token, search).opened == 5  # it goes on
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
    assert isinstance(department.call("inquiry/begin", token, form), BegunSearch)  # the approval is unused
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
    results = [one.note for one in department.desk.log.entries(kinds=(AccessEnded.KIND,))]
    assert [one.count for one in results if isinstance(one, AccessEnded)][-1] == 3


# the stream -----------------------------------------------------------------------------------------------


@contextmanager
def client_of(department: Department) -> Iterator[httpx.Client]:
    with serving(Starlette(routes=routes(department.front))) as client:
        yield client


def lines(answer: httpx.Response) -> list[dict[str, Any]]:
    return [json.loads(one) for one in answer.iter_lines()]


def asked(department: Department, token: str, query: Query) -> dict[str, Any]:
    proposal = approved(department, token, query)
    form: dict[str, Any] = to_json(RunForm(query=query, ground=GROUND, proposal=proposal))
    form["query"] = {name: value for name, value in form["query"].items() if value is not None}
    return form


def test_the_stream_begins_with_how_much_and_ends_with_how_far(
    department: Department, tokens: Tokens
) -> None:
    token = tokens("comm1")
    form = asked(department, token, everything())
    with client_of(department) as client:
        headers = {"authorization": f"Bearer {token}"}
        with client.stream("POST", "/desk/inquiry/stream", json=form, headers=headers) as answer:
            assert answer.headers["content-type"].startswith("application/x-ndjson")
            assert answer.headers["cache-control"] == "no-store"
            told = lines(answer)
    assert [one["event"] for one in told] == ["begin", *["step"] * 7, "end"]
    assert (told[0]["reads"], told[-1]["how"], told[-1]["opened"]) == (ALL, "done", ALL)
    assert sum(len(one.get("reads", ())) for one in told[1:-1]) == 30


def test_a_client_that_disconnects_cancels(department: Department, tokens: Tokens) -> None:
    token = tokens("comm1")
    form = asked(department, token, everything())
    reads, gone = department.front.reads, threading.Event()

    class WaitsForTheClient:
        """The second part is opened once the client is gone."""

        parts = 0

        def __getattr__(self, name: str) -> object:
            return getattr(reads, name)

        def match(self, *given: Any) -> Any:
            self.parts += 1
            if self.parts == 2:
                assert gone.wait(30)
                while given[-1]():
                    gone.wait(0.01)
                    gone_for_long = threading.Event()
                    gone_for_long.wait(0.01)
            return reads.match(*given)

    department.front = replace(department.front, reads=WaitsForTheClient())  # type: ignore[arg-type]
    with client_of(department) as client:
        headers = {"authorization": f"Bearer {token}"}
        with client.stream("POST", "/desk/inquiry/stream", json=form, headers=headers) as answer:
            told = answer.iter_lines()
            access = json.loads(next(told))["access"]
            assert json.loads(next(told))["opened"] == 5
        gone.set()
        for _ in range(3000):
            if endings(department, access):
                break
            asyncio.run(asyncio.sleep(0.01))
    assert [(one.how, one.opened, one.of) for one in endings(department, access)] == [("cancelled", 5, ALL)]
    assert len(opened_by_keys(department, access)) == 5 <= declared(department, access)


def test_a_refused_stream_is_a_problem_and_opens_nothing(department: Department, tokens: Tokens) -> None:
    form = asked(department, tokens("comm1"), everything())
    with client_of(department) as client:
        for token, status in (("stolen", 401), (tokens("officer1"), 403), (tokens("super"), 403)):
            answer = client.post(
                "/desk/inquiry/stream", json=form, headers={"authorization": f"Bearer {token}"}
            )
            assert answer.status_code == status
            assert answer.headers["content-type"] == "application/problem+json"


def test_a_session_that_ends_midway_ends_the_stream_with_its_refusal(
    department: Department, tokens: Tokens
) -> None:
    token = tokens("comm1")
    form = asked(department, token, everything())
    reads = department.front.reads

    class LogsOff:
        """Reads that are asked for until their person's session ends."""

        def __getattr__(self, name: str) -> object:
            return getattr(reads, name)

        def match(self, *given: Any) -> Any:
            made = reads.match(*given)
            department.desk.logons.logoff(token)
            return made

    department.front = replace(department.front, reads=LogsOff())  # type: ignore[arg-type]
    with client_of(department) as client:
        headers = {"authorization": f"Bearer {token}"}
        with client.stream("POST", "/desk/inquiry/stream", json=form, headers=headers) as answer:
            told = lines(answer)
    assert [one["event"] for one in told] == ["begin", "step", "refused"]
    assert told[-1]["refused"] == "no-session"
    assert len(opened_by_keys(department, told[0]["access"])) == 5


# the command ----------------------------------------------------------------------------------------------


def test_ctrl_c_cancels_the_command_after_its_step_and_says_how_far(
    department: Department, tokens: Tokens, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    token = tokens("comm1")
    form = RunForm(query=everything(), ground=GROUND, proposal=approved(department, token, everything()))
    made: list[str] = []

    def call(name: str, form: Any) -> Any:
        made.append(name)
        if made[-2:] == ["inquiry/step", "inquiry/step"]:
            signal.raise_signal(signal.SIGINT)
        return department.call(name, token, form)

    terminal = Terminal(Common(home=tmp_path, json=False), None)
    assert run_by_steps(terminal, call, form, ("plate", "unit")) == INTERRUPTED
    out, err = capsys.readouterr()
    assert made == ["inquiry/begin", "inquiry/step", "inquiry/step", "inquiry/stop"]
    assert "10 of 33 reads were opened" in out
    assert err.index("opens 33 reads of 3 days") < err.index("15 %") < err.index("cancelling")
    assert sum(line.startswith("7ABC2") for line in out.splitlines()) == 10
    (ended,) = [one.note for one in department.desk.log.entries(kinds=(SearchEnded.KIND,))]
    assert isinstance(ended, SearchEnded)
    assert (ended.how, ended.opened, ended.of) == ("cancelled", 10, ALL)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_command_runs_all_steps_and_prints_what_each_found(
    department: Department, tokens: Tokens, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    token = tokens("comm1")
    form = RunForm(query=everything(), ground=GROUND, proposal=approved(department, token, everything()))
    terminal = Terminal(Common(home=tmp_path, json=True), None)
    status = run_by_steps(terminal, lambda name, form: department.call(name, token, form), form, ())
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (status, told[-1]["how"], told[-1]["found"]) == (0, "done", 30)
    assert sum(len(one["reads"]) for one in told[:-1]) == 30
