"""Every operation gets bodies made from the API's description: no server error, answers fit their schema,
and all refusals have the same form.
"""

from __future__ import annotations

import json
import os
from typing import Any

import httpx
import pytest
from described_api import DESCRIBED, JSON, fits, near, schema_of, values_of
from desk_forms import forms
from desk_twins import Department
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from sync.department.desk.json_forms import to_json
from sync.department.desk.operations import OPERATIONS

pytestmark = pytest.mark.slow

USERS = ("super", "chief", "comm1", "reviewer1")
NOUNS = sorted({name.partition("/")[0] for name in OPERATIONS})
BODIES = 12 if os.environ.get("ALPR_FAULTS") == "full" else 5  # for each operation


class Callers:
    """The sessions of people."""

    def __init__(self, department: Department, client: httpx.Client) -> None:
        self._client = client
        self._tokens = {user: department.logon(user) for user in USERS}

    def post(self, user: str, name: str, body: Any) -> httpx.Response:
        """Make a call with its body in Python's JSON."""
        headers = {"authorization": f"Bearer {self._tokens[user]}"}
        return self._client.post(f"/desk/{name}", content=json.dumps(body), headers=headers)


def check(name: str, answer: httpx.Response) -> None:
    """Check that an answer fits its schema, that a refusal has the usual form, and that nothing is a 5xx."""
    said = answer.json()
    where = f"{name}: {answer.status_code} {said}"
    assert answer.status_code < 500, where
    if answer.status_code == 200:
        fits(said, schema_of(name, "answer"), name)
        return
    assert str(answer.status_code) in DESCRIBED["paths"][f"/desk/{name}"]["post"]["responses"], where
    assert answer.headers["content-type"] == "application/problem+json"
    fits(said, DESCRIBED["components"]["schemas"]["Problem"], where)


@pytest.mark.thorough_rows("hotlist", "user")
@pytest.mark.parametrize("noun", NOUNS)
def test_no_body_makes_an_error_of_the_servers_own(
    department: Department, client: httpx.Client, noun: str
) -> None:
    known = {name: to_json(form) for name, form in forms(department).items()}
    callers = Callers(department, client)
    names = [name for name in sorted(OPERATIONS) if name.startswith(f"{noun}/")]

    @settings(
        max_examples=BODIES, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(data=st.data())
    def attack(data: st.DataObject) -> None:
        for name in names:
            made = values_of(schema_of(name, "form"))
            body = data.draw(made | near(known[name]) | JSON if name in known else made | JSON, label=name)
            user = data.draw(st.sampled_from(USERS))
            check(name, callers.post(user, name, body))

    attack()


def test_bodies_of_a_schema_are_of_it_and_near_ones_are_not_all(department: Department) -> None:
    """Otherwise the test above would only send bodies that are refused at once."""
    ofs, outside = 0, 0
    schema, form = schema_of("inquiry/run", "form"), to_json(forms(department)["inquiry/run"])

    @settings(max_examples=40, deadline=None, derandomize=True, database=None)
    @given(inside=values_of(schema), other=near(form))
    def look(inside: Any, other: Any) -> None:
        nonlocal ofs, outside
        fits(inside, schema, "made")
        ofs += 1
        try:
            fits(other, schema, "near")
        except AssertionError:
            outside += 1

    look()
    assert ofs >= 40
    assert outside >= 10
