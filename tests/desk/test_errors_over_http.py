"""Whatever is sent, and whatever fails behind it, errors are problem details and never a 500."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import httpx
import pytest
from desk_server import serving
from desk_twins import Department
from sqlalchemy.exc import OperationalError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sync.department.desk.api import routes
from sync.department.desk.operations import OPERATIONS
from sync.department.ground.listener import BoundedServer, Bounds, quiet_loop
from sync.department.ground.problem import HANDLERS, MEDIA_TYPE, Paced, Unfailing, exact

MEMBERS = {"type", "title", "status", "detail", "refused", "clause", "what", "cure"}


@pytest.fixture
def client(department: Department) -> Iterator[httpx.Client]:
    app = Unfailing(exact(Starlette(routes=routes(department.front), exception_handlers=HANDLERS)))
    with serving(app) as client:
        yield client


def told(answer: httpx.Response) -> dict[str, Any]:
    """The problem details of an answer, after checking their form."""
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert answer.headers["cache-control"] == "no-store"
    said: dict[str, Any] = answer.json()
    assert set(said) == MEMBERS
    assert said["status"] == answer.status_code
    assert said["type"].endswith(said["refused"])
    return said


STRIDE = 4 if os.environ.get("ALPR_FAULTS") == "full" else 7  # each field gets one in this many values
HOSTILE: list[Any] = [
    -(2**70),
    2**63,
    1e308,
    "\ud800",
    "x\x00y",
    "\x1b[2J",
    "1" * 100_000,
    None,
    True,
    [],
    [[[[]]]],
    {},
    {"": {}},
]


@pytest.mark.thorough_rows
@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_no_field_of_any_call_breaks_the_desk(
    client: httpx.Client, department: Department, name: str
) -> None:
    token = department.logon("super")
    form = OPERATIONS[name].form
    names = [one.name for one in fields(form)] or ["nothing"]
    for at, field in enumerate(names):
        for value in HOSTILE[at % STRIDE :: STRIDE]:
            body = json.dumps({field: value})  # a lone surrogate is sent as an escape
            answer = client.post(f"/desk/{name}", content=body, headers={"authorization": f"Bearer {token}"})
            if answer.status_code != 200:
                assert 400 <= told(answer)["status"] < 500, (field, value)


@pytest.mark.thorough_rows(every=5)
@pytest.mark.parametrize("field", ["user", "password", "code", "post"])
@pytest.mark.parametrize("value", HOSTILE[:7], ids=range(7))
def test_no_logon_breaks_the_desk(client: httpx.Client, field: str, value: Any) -> None:
    body = {"user": "comm1", "password": "wrong horse 463", "code": "000000"} | {field: value}
    answer = client.post("/desk/session/logon", content=json.dumps(body))
    assert 400 <= told(answer)["status"] < 500


def test_a_code_in_other_digits_reveals_nothing_of_the_password(
    client: httpx.Client, department: Department
) -> None:
    """With Arabic-Indic digits, the right password once gave a 500 and a wrong one a 401."""
    said = []
    for password in (department.secrets["comm1"][0], "wrong horse 463"):
        body = {"user": "comm1", "password": password, "code": "\u0661\u0662\u0663\u0664\u0665\u0666"}
        said.append(told(client.post("/desk/session/logon", json=body)))
    assert said[0] == said[1]
    assert said[0]["status"] == 401


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/desk/session/logon", 405),
        ("DELETE", "/desk/inquiry/run", 405),
        ("GET", "/nothing", 404),
        ("POST", "/desk/no/such/call", 404),
        ("POST", "/desk/no/such", 401),
        ("POST", "/desk/inquiry/run/", 404),
    ],
)
def test_an_unknown_path_or_method_gets_the_same_form(
    client: httpx.Client, method: str, path: str, status: int
) -> None:
    assert told(client.request(method, path))["status"] == status


TWICE = b'{"user": "comm1", "user": "super"}'  # ambiguous


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b"\xff", b'{"a":' * 100_000, b"null", b'{"a": 1e99999}', TWICE]
)
def test_a_body_that_is_not_an_object_is_refused_in_the_same_form(client: httpx.Client, body: bytes) -> None:
    assert told(client.post("/desk/session/logon", content=body))["status"] == 422


def behind(cause: Exception) -> Exception:
    """A driver's error as SQLAlchemy wraps it."""
    made = OperationalError("7XKR219", {}, cause)
    made.__cause__ = cause
    return made


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        pytest.param(OSError(errno.ENOSPC, "No space left"), 507, "full", id="a full disk"),
        pytest.param(
            behind(sqlite3.OperationalError("database or disk is full")),
            *(507, "full"),
            id="a full disk under the database",
        ),
        pytest.param(OSError(errno.EIO, "I/O"), 503, "unavailable", id="a broken disk"),
        pytest.param(
            OperationalError("7XKR219", {}, Exception("7XKR219")), 503, "unavailable", id="no database"
        ),
        pytest.param(ValueError("7XKR219"), 503, "unavailable", id="an error of ours"),
    ],
)
def test_what_fails_behind_the_desk_is_reported_without_content(
    department: Department, error: Exception, status: int, code: str, capfd: pytest.CaptureFixture[str]
) -> None:
    class Failing:
        def knows_unit(self, _name: str) -> bool:
            raise error

    front = replace(department.front, reads=Failing())  # type: ignore[arg-type]
    token = department.logon("comm1")
    query = {"plate": "7XKR219", "since_us": 0, "until_us": 1, "unit": "car-7"}
    query |= {"since_us": department.clock.us - 1, "until_us": department.clock.us}
    ground = {
        "purpose": "investigation",
        "basis": "criminal-investigation",
        "number": "26-001234",
        "number_kind": "case",
        "justification": "hit and run on Myrtle Avenue",
    }
    with serving(Unfailing(Starlette(routes=routes(front)))) as client:
        answer = client.post(
            "/desk/inquiry/run",
            json={"query": query, "ground": ground},
            headers={"authorization": f"Bearer {token}"},
        )
        said = told(answer)
    assert (said["status"], said["refused"]) == (status, code)
    assert "7XKR219" not in answer.text
    seen = capfd.readouterr()
    assert "7XKR219" not in seen.out + seen.err
    assert "Traceback" not in seen.out + seen.err


def test_what_a_library_says_of_a_strangers_body_is_an_event_without_its_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    loop = asyncio.new_event_loop()
    quiet_loop(loop)
    loop.close()
    logging.getLogger("python_multipart.multipart").warning("Expected boundary character %r", 45)
    assert caplog.records == []


def test_an_application_that_fails_before_any_route_answers_too() -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("7XKR219")

    with serving(Unfailing(broken)) as client:
        answer = client.get("/")
        assert told(answer)["status"] == 503
        assert answer.headers["retry-after"].isdigit()


@pytest.mark.parametrize(
    ("most", "status", "after"), [(1, 200, None), (1, 503, "60"), (1, 429, "7"), (0, 200, "60")]
)
def test_every_door_says_when_to_ask_again(most: int, status: int, after: str | None) -> None:
    async def app(_request: Request) -> Response:
        return Response(b"signed", status, {"retry-after": "7"} if status == 429 else {})

    door = BoundedServer(Starlette(routes=[Route("/", app)]), "127.0.0.1", 0, None, Bounds(open=1)).config.app
    assert isinstance(door, Paced)
    door._most = most
    with serving(door) as client:
        for _ in range(2):
            answer = client.get("/")
            assert (answer.status_code, answer.headers.get("retry-after")) == (status if most else 503, after)
