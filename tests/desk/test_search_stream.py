"""A search as a stream or a command reports its progress, and a lost connection cancels it."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from desk_server import serving
from desk_twins import GROUND, Department
from starlette.applications import Starlette
from step_search import ALL, FewAtATime, approved, declared, endings, everything, opened_by_keys
from waiting import PATIENCE_S, until

from sync.command_frame import INTERRUPTED, Common
from sync.department.commands.desk_access import Terminal
from sync.department.commands.stepping import run_by_steps
from sync.department.desk.api import routes
from sync.department.desk.inquiry.forms import (
    RunForm,
)
from sync.department.desk.json_forms import to_json
from sync.department.journal.inquiry_entries import Query, SearchEnded

Tokens = Callable[[str], str]


@pytest.fixture(autouse=True)
def few_at_a_time(department: Department) -> None:
    department.front = replace(department.front, pace=FewAtATime())


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
        """Opens the second part only after the client has disconnected."""

        parts = 0

        def __getattr__(self, name: str) -> object:
            return getattr(reads, name)

        def match(self, *given: Any) -> Any:
            self.parts += 1
            if self.parts == 2:
                assert gone.wait(PATIENCE_S)
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
        until(lambda: endings(department, access))
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
        """Reads whose person's session ends while they are being opened."""

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


def test_ctrl_c_cancels_the_command_after_its_step_and_says_how_far(
    department: Department, tokens: Tokens, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    token = tokens("comm1")
    form = RunForm(query=everything(), ground=GROUND, proposal=approved(department, token, everything()))
    made, before = list[str](), signal.getsignal(signal.SIGINT)

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
    assert signal.getsignal(signal.SIGINT) is before


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
