"""The API's description matches its forms, answers and errors; a repeated call is made once."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import httpx
import pytest
from described_api import DESCRIBED, fits, schema_of
from desk_forms import forms
from desk_twins import GROUND, PASSWORD, Department

from sync.department.desk.idempotency import MadeOnce
from sync.department.desk.json_forms import read_form, to_json
from sync.department.desk.operations import OPERATIONS
from sync.department.desk.words import demand_plain
from sync.department.policy.refusals import DeskRefusal, FormError, NotYetError

Tokens = Callable[[str], str]


def logged_on(department: Department, client: httpx.Client, user: str) -> dict[str, Any]:
    department.clock.step(31_000_000)
    form = {"user": user, "password": PASSWORD, "code": department.code(user)}
    answer = client.post("/desk/session/logon", json=form)
    assert answer.status_code == 200, answer.text
    value: dict[str, Any] = answer.json()
    return value


def test_every_call_of_the_table_is_described_and_nothing_else() -> None:
    named = {path.removeprefix("/desk/") for path, one in DESCRIBED["paths"].items() if "post" in one}
    assert named == {
        *OPERATIONS,
        *(f"session/{name}" for name in ("begin", "passkey", "logon", "unlock", "logoff")),
        *("session/unlock-passkey", "session/prove-passkey", "session/prove", "inquiry/stream"),
    }
    text = json.dumps(DESCRIBED)
    for part in text.split('"$ref": "')[1:]:
        name = part.split('"', 1)[0].rsplit("/", 1)[-1]
        assert name in DESCRIBED["components"]["schemas"]


def test_every_form_is_of_its_schema_and_is_read_back_as_it_was(department: Department) -> None:
    for name, form in forms(department).items():
        sent = to_json(form)
        fits(sent, schema_of(name, "form"), name)
        assert read_form(type(form), json.loads(json.dumps(sent))) == form, name


def test_the_description_says_how_long_each_text_of_a_form_may_be(department: Department) -> None:
    tried = 0
    for name, form in forms(department).items():
        schema = DESCRIBED["components"]["schemas"][schema_of(name, "form")["$ref"].rsplit("/", 1)[-1]]
        for field, value in vars_of(form).items():
            if type(value) is str:
                most = schema["properties"][field]["maxLength"]
                demand_plain(replace(form, **{field: "x" * most}), name)
                with pytest.raises(FormError, match=r"characters; [\d,]+ at most"):
                    demand_plain(replace(form, **{field: "x" * (most + 1)}), name)
                tried += 1
    assert tried > 60
    inside = DESCRIBED["components"]["schemas"]
    assert inside["Ground"]["properties"]["justification"]["maxLength"] == 400
    assert inside["HoldForm"]["properties"]["reads"]["items"]["maxLength"] == 2000


def vars_of(form: Any) -> dict[str, Any]:
    """A form's fields, unconverted."""
    return {one.name: getattr(form, one.name) for one in fields(form)}


def test_every_form_lacking_a_part_or_with_another_is_outside_itsschema_of(department: Department) -> None:
    outside = 0
    for name, form in forms(department).items():
        sent = to_json(form)
        schema = DESCRIBED["components"]["schemas"][schema_of(name, "form")["$ref"].rsplit("/", 1)[-1]]
        for bad in (
            *({key: one for key, one in sent.items() if key != gone} for gone in schema["required"]),
            sent | {"more": 1},
        ):
            with pytest.raises(AssertionError):
                fits(bad, schema_of(name, "form"), name)
            with pytest.raises(DeskRefusal):
                read_form(type(form), bad)
            outside += 1
    assert outside > 120


@pytest.mark.thorough
def test_what_calls_answer_over_http_is_of_the_schema_of_their_answer(
    department: Department, client: httpx.Client
) -> None:
    answered = 0
    for user in ("super", "chief", "comm1", "reviewer1", "officer1", "deputy"):
        session = logged_on(department, client, user)
        fits(session, schema_of("session/logon", "answer"), "logon")
        assert session["user"] == user
        headers = {"authorization": f"Bearer {session['token']}"}
        for name, form in forms(department).items():
            answer = client.post(f"/desk/{name}", json=to_json(form), headers=headers)
            if answer.status_code == 200:
                fits(answer.json(), schema_of(name, "answer"), name)
                answered += 1
            else:
                assert str(answer.status_code) in DESCRIBED["paths"][f"/desk/{name}"]["post"]["responses"]
                assert {"refused", "clause", "what", "cure"} <= set(answer.json())
    assert answered > 80


def test_the_logon_says_who_it_is_until_when_and_what_must_be_changed(
    department: Department, client: httpx.Client
) -> None:
    session = logged_on(department, client, "disp1")
    assert session["roles"] == ["dispatcher", "communications"]
    assert session["expires_us"] - department.clock.us == 12 * 3_600_000_000
    assert (session["locks_after_min"], session["must_change"]) == (30, "")
    department.clock.step(366 * 24 * 3_600_000_000)
    assert logged_on(department, client, "disp1")["must_change"] == "password-expired"


def test_only_the_description_and_the_counts_are_public(department: Department, client: httpx.Client) -> None:
    assert client.get("/desk/openapi.json").json() == json.loads(json.dumps(DESCRIBED))
    counts = client.get("/desk/transparency.json")
    assert counts.json()["department"] == "Monrovia Police Department"
    for name in ("audit/read", "policy/read"):
        assert client.get(f"/desk/{name}").status_code in {404, 405}


def test_a_call_that_is_not_in_the_table_is_refused_by_its_code(
    department: Department, client: httpx.Client
) -> None:
    headers = {"authorization": f"Bearer {logged_on(department, client, 'super')['token']}"}
    answer = client.post("/desk/inquiry/everything", json={}, headers=headers)
    assert (answer.status_code, answer.json()["refused"]) == (422, "no-call")


def test_a_repeated_call_with_one_key_is_one_alpr_request(
    department: Department, client: httpx.Client
) -> None:
    session = logged_on(department, client, "comm1")
    form = {"query": to_json(department.plate("8XYZ123")), "ground": to_json(GROUND)}
    headers = {"authorization": f"Bearer {session['token']}", "idempotency-key": "key-0001-of-comm1"}
    first = client.post("/desk/inquiry/run", json=form, headers=headers).json()
    size = department.desk.log.size()
    again = client.post("/desk/inquiry/run", json=form, headers=headers).json()
    assert again == first
    assert department.desk.log.size() == size
    other = form | {"ground": to_json(GROUND) | {"number": "26-004321"}}
    refused = client.post("/desk/inquiry/run", json=other, headers=headers)
    assert (refused.status_code, refused.json()["refused"]) == (422, "idempotency")
    without = {"authorization": headers["authorization"]}
    third = client.post("/desk/inquiry/run", json=form, headers=without).json()
    assert third["access"] != first["access"]
    short = client.post("/desk/inquiry/run", json=form, headers=headers | {"idempotency-key": "short"})
    assert short.json()["refused"] == "idempotency"


def test_a_key_is_of_one_session_a_refusal_is_made_again_and_one_under_way_is_not() -> None:
    now = [0]
    once = MadeOnce(lambda: now[0])
    made: list[int] = []

    def make() -> int:
        made.append(1)
        return len(made)

    assert once.run("k" * 8, "one", "a/b", b"x", make) == 1
    assert once.run("k" * 8, "one", "a/b", b"x", make) == 1
    assert once.run("k" * 8, "two", "a/b", b"x", make) == 2
    now[0] = 11 * 60_000_000
    assert once.run("k" * 8, "one", "a/b", b"x", make) == 3

    def refuse() -> int:
        raise FormError("no", code="form", clause="463.5")

    for _ in range(2):
        with pytest.raises(FormError, match="no"):
            once.run("r" * 8, "one", "a/b", b"x", refuse)

    def inner() -> int:
        with pytest.raises(NotYetError):
            once.run("u" * 8, "one", "a/b", b"x", make)
        return 7

    assert once.run("u" * 8, "one", "a/b", b"x", inner) == 7
