"""The HTTP API: the same door, over a real server."""

from __future__ import annotations

import httpx
import pytest
from desk_server import serving
from desk_twins import GROUND, PASSWORD, Department
from starlette.applications import Starlette

from storage.times import DAY_US
from sync.department.desk.api import MAX_BODY_BYTES, MAX_FILE_BYTES, routes
from sync.department.desk.json_forms import to_json
from sync.department.desk.operations import OPERATIONS


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
        (b" " * (MAX_BODY_BYTES + 1), 422),
        (b" " * (MAX_FILE_BYTES + 1), 413),
    ):
        answer = client.post("/desk/inquiry/run", content=body, headers=headers)
        assert answer.status_code == status
        assert answer.json()["what"]
    for stranger in ({}, {"Authorization": "Bearer none"}):
        answer = client.post("/desk/inquiry/run", content=b" " * (MAX_BODY_BYTES + 1), headers=stranger)
        assert (answer.status_code, "at the server itself" in answer.json()["cure"]) == (413, True)
    assert client.post("/desk/inquiry/nothing", json={}, headers=headers).status_code == 422


def test_without_a_desk_the_routes_say_so() -> None:
    with serving(Starlette(routes=routes(None))) as client:
        answer = client.post("/desk/session/logon", json={})
        assert answer.status_code == 503
        assert "department user first" in answer.text
