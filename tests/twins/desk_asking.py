"""Calls at the desk that many tests make: an account, a proposal, a search, the code of a refusal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from desk_twins import GROUND, Department

from storage.grant_format import GrantRole
from sync.department.desk.grants.calls import GrantForm
from sync.department.desk.inquiry.forms import Answer, Entered, RunForm
from sync.department.desk.people.calls import AccountForm
from sync.department.policy.refusals import DeskRefusal
from sync.department.policy.roles import Role


def account(user: str, *roles: Role, **change: Any) -> AccountForm:
    form = AccountForm(user=user, name=user.title(), organisation="PD", roles=roles, reason="hired")
    return replace(form, **change)


def vendor_grant(purpose: str, holder_key: str) -> GrantForm:
    """A form for a vendor's visit to one unit."""
    return GrantForm(
        person="vendor1",
        organisation="Maker Inc.",
        role=GrantRole.VENDOR,
        holder_key=holder_key,
        purpose=purpose,
        work_order="WO-118",
        units=("car-7",),
    )


def code_of(department: Department, name: str, token: str, form: object) -> str:
    with pytest.raises(DeskRefusal) as refused:
        department.call(name, token, form)
    return refused.value.code


def proposed(department: Department, name: str, token: str, form: Any) -> int:
    made = department.call(name, token, replace(form, propose=True))
    assert isinstance(made, Entered)
    return made.entry


def look_up(department: Department, token: str, number: str = GROUND.number, plate: str = "8XYZ123") -> int:
    """Search for one plate under a case number. Returns the number of its entry."""
    form = RunForm(query=department.plate(plate), ground=replace(GROUND, number=number))
    answer = department.call("inquiry/run", token, form)
    assert isinstance(answer, Answer)
    return answer.access


def search(department: Department, token: str) -> Answer:
    """Search for one plate."""
    form = RunForm(query=department.plate("8XYZ123"), ground=GROUND)
    answer = department.call("inquiry/run", token, form)
    assert isinstance(answer, Answer)
    return answer
