"""The list of what is overdue is empty at first, and then names each thing under its clause."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from desk_root import problems
from desk_twins import GROUND, START_US, Department

from storage.times import DAY_US, HOUR_US, MINUTE_US
from sync.department.desk import compliance
from sync.department.desk.audit.calls import PeriodForm
from sync.department.desk.due import OverdueForm
from sync.department.desk.inquiry.forms import Entered, ProposeForm, RunForm
from sync.department.desk.owed import Late, Overdue
from sync.department.ground.person_key import read_token
from sync.department.journal.statements import offering, sign_call
from sync.department.policy.refusals import DeskRefusal
from sync.department.policy.roles import Role
from sync.department.store import incidents
from sync.department.store.opening import open_store

Tokens = Callable[[str], str]


def kinds(department: Department, token: str) -> dict[str, str]:
    found = department.call("compliance/overdue", token, OverdueForm())
    assert isinstance(found, tuple)
    assert all(isinstance(one, Overdue) and one.what and "8XYZ" not in one.what for one in found)
    return {one.kind: one.clause for one in found}


@pytest.mark.usefixtures("department")
def test_everything_overdue_is_listed(department: Department, tokens: Tokens) -> None:
    supervisor = tokens("super")
    assert set(kinds(department, supervisor)) <= {"unit"}
    department.call("inquiry/run", tokens("comm1"), RunForm(query=department.plate("8XYZ123"), ground=GROUND))
    department.call("audit/run", supervisor, PeriodForm())
    department.held(supervisor)
    department.add_person(tokens("chief"), "officer2", (Role.OFFICER,))
    store = open_store(department.home.database_url)
    with store.write() as connection:
        incidents.record(
            connection, kind="fork", detail="x", unit_id="car-7", log_id=None, now_us=department.clock.us
        )
    store.close()
    department.clock.step(15 * DAY_US)
    early = kinds(department, department.logon("reviewer1"))
    assert early["finding"] == "463.5 (c)"
    assert early["training"] == "463.9"
    assert early["incident"] == "463.8"
    assert "audit" not in early
    department.clock.step(100 * DAY_US)
    late = kinds(department, department.logon("chief"))
    assert late["audit"] == "463.5 (c)"
    assert late["filing"] == "463.5 (b)"
    assert late["hold"] == "463.8"


def test_a_password_that_ended_is_overdue(department: Department) -> None:
    days = department.desk.policy.security.password_max_days

    def ended(after_days: int) -> set[str]:
        now_us = department.clock.us + after_days * DAY_US
        found = compliance.overdue(department.desk.policy, department.desk.book, [], now_us)
        return {one.what.partition(":")[0] for one in found if one.kind == Late.PASSWORD}

    assert ended(0) == set()
    assert {"chief", "comm1", "super"} <= ended(days + 1)


def test_overdue_purges_and_silent_units_are_listed(department: Department) -> None:
    front = department.front
    assert front.overdue_from_store(1 + DAY_US) == []
    rows = front.overdue_from_store(START_US + 370 * DAY_US)
    assert [one.kind for one in rows] == ["purge", "purge", "purge", "unit"]
    assert {one.clause for one in rows} == {"463.8"}


def test_under_a_clock_behind_the_log_a_deed_is_signed_and_compliance_says_which_clock(
    department: Department,
) -> None:
    """The server's clock was set back two hours: nothing is refused, and one line says what to do."""
    tokens = {user: department.logon(user) for user in ("comm1", "super")}
    newest = department.desk.log.newest_us()
    department.clock.step(-2 * HOUR_US)
    query = replace(department.plate("7AB*"), since_us=department.clock.us - DAY_US)
    made = department.call("inquiry/propose", tokens["comm1"], ProposeForm(query=query, ground=GROUND))
    assert isinstance(made, Entered)
    assert department.desk.log.entry(made.entry).stamp.at_us == newest
    assert problems(department) == ()
    rows: Any = department.call("compliance/overdue", tokens["super"], OverdueForm())
    (clock,) = [one.what for one in rows if one.kind == "clock"]
    for word in ("the server's clock reads", "2 hours behind the newest entry", "set the server's clock"):
        assert word in clock, clock
    department.clock.step(2 * HOUR_US)
    rows = department.call("compliance/overdue", tokens["super"], OverdueForm())
    assert [one for one in rows if one.kind == "clock"] == []


def test_a_signature_of_another_time_says_which_clock_and_how_far(department: Department) -> None:
    """The clock of the machine with the session's key was set back 25 minutes after the login."""
    token = department.logon("comm1")
    given = read_token(token)
    assert given.key is not None
    form = ProposeForm(query=department.plate("7AB*"), ground=GROUND)
    at_us = department.desk.now_us() - 25 * MINUTE_US
    said = sign_call(given.key, department.desk.log.log_id, "comm1", "inquiry/propose", form, at_us)
    with offering(said), pytest.raises(DeskRefusal) as refused:
        department.call("inquiry/propose", token, form)
    assert refused.value.code == "unsigned"
    assert "the clock that signed is 25 minutes behind the department's time" in refused.value.what
    assert "Compliance says which" in refused.value.cure


def test_a_signed_call_of_another_form_is_not_a_matter_of_clocks(department: Department) -> None:
    token = department.logon("comm1")
    given, form = read_token(token), RunForm(query=department.plate("8XYZ123"), ground=GROUND)
    assert given.key is not None
    now_us = department.desk.now_us()
    said = sign_call(given.key, department.desk.log.log_id, "comm1", "inquiry/run", form, now_us)
    other = replace(form, query=department.plate("7ABC004"))
    with offering(said), pytest.raises(DeskRefusal, match="does not match") as refused:
        department.call("inquiry/run", token, other)
    assert refused.value.cure.startswith("send it again")
