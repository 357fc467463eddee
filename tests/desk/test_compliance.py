"""What is overdue: nothing at first, and then each thing under its clause."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from desk_twins import GROUND, START_US, Department

from storage.times import DAY_US
from sync.department.desk.audit.calls import PeriodForm
from sync.department.desk.compliance import Overdue
from sync.department.desk.due import OverdueForm
from sync.department.desk.holds.calls import HoldForm
from sync.department.desk.inquiry.forms import RunForm
from sync.department.policy.roles import Role
from sync.department.store import incidents
from sync.department.store.database import open_store

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
    hold = HoldForm(
        reads=department.reads[:1], hold_ground="discovery", authority="Court", number="26-001", ground=GROUND
    )
    hold = replace(hold, accesses=department.searched(supervisor, department.reads[:1]))
    department.call("hold/place", supervisor, hold)
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


def test_overdue_purges_and_silent_units_are_listed(department: Department) -> None:
    front = department.front
    assert front.overdue_from_store(1 + DAY_US) == []
    rows = front.overdue_from_store(START_US + 370 * DAY_US)
    assert [kind for kind, _, _ in rows] == ["purge", "purge", "purge", "unit"]
    assert {clause for _, clause, _ in rows} == {"463.8"}
