"""The HTTP API makes the same calls with the same checks, over a real server."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest
from desk_server import serving
from desk_twins import GROUND, PASSWORD, Department
from starlette.applications import Starlette

from storage.times import DAY_US
from sync.department.desk import api
from sync.department.desk.api import MAX_BODY_BYTES, MAX_FILE_BYTES, MAX_MARKS, routes
from sync.department.desk.json_forms import read_json, to_json
from sync.department.desk.operations import OPERATIONS
from sync.department.ground.http_body import Budget


def logon(department: Department, client: httpx.Client, user: str) -> dict[str, str]:
    department.clock.step(31_000_000)
    form = {"user": user, "password": PASSWORD, "code": department.code(user)}
    answer = client.post("/desk/session/logon", json=form)
    assert answer.status_code == 200
    return {"authorization": f"Bearer {answer.json()['token']}"}


def search(department: Department) -> dict[str, object]:
    now = department.clock.us
    query = {"plate": "8XYZ123", "since_us": now - 9 * DAY_US, "until_us": now}
    return {"query": query, "ground": to_json(GROUND)}


def test_a_search_over_http_is_the_same_search(department: Department, client: httpx.Client) -> None:
    headers = logon(department, client, "comm1")
    answer = client.post("/desk/inquiry/run", json=search(department), headers=headers)
    assert answer.status_code == 200
    assert answer.json()["count"] == 3
    assert answer.headers["cache-control"] == "no-store"
    assert client.post("/desk/session/logoff", headers=headers).status_code == 200
    assert client.post("/desk/inquiry/run", json=search(department), headers=headers).status_code == 401


def test_an_answer_that_no_witness_saw_says_so_beside_it(
    department: Department, client: httpx.Client
) -> None:
    comm, officer = logon(department, client, "comm1"), logon(department, client, "officer1")
    for away in (False, True, False):
        department.witness.away = away
        for name, headers, body in (
            ("inquiry/queue", comm, {}),
            ("inquiry/mine", officer, {}),
            ("inquiry/run", comm, search(department)),
        ):
            answer = client.post(f"/desk/{name}", json=body, headers=headers)
            assert (answer.status_code, "x-not-witnessed" in answer.headers) == (200, away)


def test_refusals_have_their_status_clause_and_cure(department: Department, client: httpx.Client) -> None:
    officer, comm = logon(department, client, "officer1"), logon(department, client, "comm1")
    wide = search(department)
    wide["query"] = {**wide["query"], "plate": "8XYZ*"}  # type: ignore[dict-item]
    nameless = search(department)
    nameless["ground"] = {**to_json(GROUND), "purpose": ""}
    for body, headers, status, code in (
        (search(department), officer, 403, "role"),
        (search(department), {}, 401, "no-session"),
        (search(department), {"authorization": "Bearer stolen"}, 401, "no-session"),
        (nameless, comm, 422, "purpose"),
        (wide, comm, 409, "second-person"),
        ({}, comm, 422, "no-request"),
        ({**search(department), "backdoor": True}, comm, 422, "form"),
        ({**search(department), "request": "1"}, comm, 422, "form"),
    ):
        answer = client.post("/desk/inquiry/run", json=body, headers=headers)
        assert (answer.status_code, answer.json()["refused"]) == (status, code)
        assert answer.json()["clause"]
        assert "8XYZ" not in answer.text


@pytest.mark.one_python
def test_every_call_over_http_without_a_session_is_refused(client: httpx.Client) -> None:
    for name in OPERATIONS:
        answer = client.post(f"/desk/{name}", json={})
        assert answer.status_code in {401, 422}, name
        assert client.get(f"/desk/{name}").status_code == 405


def test_bodies_that_are_no_form_are_refused_in_words(department: Department, client: httpx.Client) -> None:
    headers = logon(department, client, "comm1")
    for body, status in (
        (b"{", 422),
        (b"[]", 422),
        (b"[" * 100_000, 422),
        (b"\xff\xfe", 422),
        (b" " * (MAX_BODY_BYTES + 1), 413),
    ):
        answer = client.post("/desk/inquiry/run", content=body, headers=headers)
        assert answer.status_code == status
        assert answer.json()["what"]
    for stranger in ({}, {"Authorization": "Bearer none"}):
        answer = client.post("/desk/inquiry/run", content=b" " * (MAX_BODY_BYTES + 1), headers=stranger)
        assert (answer.status_code, "at the server itself" in answer.json()["cure"]) == (413, True)
    assert client.post("/desk/inquiry/nothing", json={}, headers=headers).status_code == 422


def test_only_a_call_with_a_file_takes_a_large_body_and_none_of_many_small_values(
    department: Department, client: httpx.Client
) -> None:
    headers = logon(department, client, "super")
    form = {"kind": "update", "name": "9", "reason": "spring", "body": "A" * (16 << 20)}  # 12 MiB
    many = json.dumps({**form, "body": "", "x": [[]] * MAX_MARKS, "y": " " * MAX_BODY_BYTES})
    few = json.dumps({"x": [[]] * MAX_MARKS})
    for name, body, status, said in (
        ("document/sign", json.dumps(form), 422, "units would refuse"),
        ("document/sign", " " * (MAX_FILE_BYTES + 1), 413, "at most"),
        ("document/sign", many, 422, f"at most {MAX_MARKS:,} lists"),
        ("document/sign", few, 422, "not a field of this form"),
        ("policy/read", many, 413, "at most"),
        ("policy/nothing", many, 413, "at most"),
        ("../desk/session/begin", many, 413, "at most"),
    ):
        answer = client.post(f"/desk/{name}", content=body, headers=headers)
        assert (answer.status_code, said in answer.text) == (status, True), answer.text


def test_a_large_body_is_read_in_a_thread_and_counted_until_its_answer(
    department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget = Budget()
    seen: list[tuple[bool, int]] = []

    def look() -> None:
        seen.append((asyncio._get_running_loop() is None, budget._held))

    def read(data: bytes) -> object:
        look()
        return read_json(data)

    def answered(value: object) -> object:
        look()
        return to_json(value)

    body = b"{}" + b" " * api.LOOP_BYTES
    with serving(Starlette(routes=routes(department.front))) as client:
        headers = logon(department, client, "comm1")
    monkeypatch.setattr(api, "Budget", lambda _limit: budget)
    monkeypatch.setattr(api, "read_json", read)
    monkeypatch.setattr(api, "to_json", answered)
    with serving(Starlette(routes=routes(department.front))) as client:
        assert client.post("/desk/policy/read", content=body, headers=headers).status_code == 200
    assert (seen, budget._held) == ([(True, len(body)), (False, len(body))], 0)


def test_without_a_desk_the_routes_say_so() -> None:
    with serving(Starlette(routes=routes(None))) as client:
        answer = client.post("/desk/session/logon", json={})
        assert answer.status_code == 503
        assert "department user first" in answer.text
