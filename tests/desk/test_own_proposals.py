"""A person's list of their own searches without a full plate: each state once, no one else's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from desk_asking import account, code_of
from desk_twins import DAY_US, GROUND, HOUR_US, Department

from sync.department.desk.inquiry.forms import (
    AskForm,
    Entered,
    InquiryDecideForm,
    NothingForm,
    ProposeForm,
    RunForm,
)
from sync.department.desk.inquiry.proposals import MyProposal
from sync.department.journal.second_hands import WAITS_US
from sync.department.policy.refusals import DeskRefusal
from sync.department.policy.roles import Role

Tokens = Callable[[str], str]


def listed(department: Department, token: str) -> list[MyProposal]:
    found = department.call("inquiry/proposals", token, NothingForm())
    assert isinstance(found, tuple)
    return list(found)


def test_each_state_of_ones_own_proposals(department: Department) -> None:
    query = department.plate("8XYZ*")
    hours = department.desk.policy.inquiry.approval_hours
    comm = department.logon("comm1")
    made = []
    for number in ("26-001231", "26-001232", "26-001233", "26-001234"):
        form = ProposeForm(query=query, ground=replace(GROUND, number=number))
        entered = department.call("inquiry/propose", comm, form)
        assert isinstance(entered, Entered)
        made.append(entered.entry)
    supervisor = department.logon("super")
    for at, granted in enumerate((True, False, True)):
        decision = InquiryDecideForm(proposal=made[at], granted=granted, reason="the case is known")
        department.call("inquiry/approve", supervisor, decision)
    comm = department.logon("comm1")
    department.call("inquiry/run", comm, RunForm(proposal=made[0]))
    rows = {one.proposal: one for one in listed(department, comm)}
    assert [rows[number].state for number in made] == ["run", "refused", "approved", "waiting"]
    assert [rows[number].second for number in made] == ["super", "super", "super", ""]
    assert rows[made[2]].until_us > department.clock.us
    assert list(rows) == sorted(made, reverse=True)
    assert listed(department, department.logon("disp1")) == []
    department.clock.step(hours * HOUR_US + DAY_US // 24)
    late = {one.proposal: one.state for one in listed(department, department.logon("comm1"))}
    assert late[made[2]] == "out of date"


def test_the_same_search_waits_once(department: Department) -> None:
    query, comm = department.plate("8XYZ*"), department.logon("comm1")
    first = department.call("inquiry/propose", comm, ProposeForm(query=query, ground=GROUND))
    assert isinstance(first, Entered)
    moved = replace(query, since_us=query.since_us + 60_000_000, until_us=query.until_us + 60_000_000)
    for same in (query, moved):
        with pytest.raises(DeskRefusal, match=f"proposal {first.entry} waits for a second person") as refused:
            department.call("inquiry/propose", comm, ProposeForm(query=same, ground=GROUND))
        assert refused.value.code == "proposed"
    others = [(replace(query, plate="8XY*"), GROUND), (query, replace(GROUND, number="26-001239"))]
    for other, ground in others:
        department.call("inquiry/propose", comm, ProposeForm(query=other, ground=ground))
    department.call("inquiry/propose", department.logon("disp1"), ProposeForm(query=query, ground=GROUND))
    assert len(department.desk.book.queue.waiting()) == 4


@pytest.mark.parametrize("how", ["old", "of a person who left"])
def test_a_search_whose_proposal_ended_is_proposed_again(department: Department, how: str) -> None:
    book, comm, second = department.desk.book, department.logon("comm1"), department.logon("super")
    form = ProposeForm(query=department.plate("8XYZ*"), ground=GROUND)
    first = department.call("inquiry/propose", comm, form)
    assert isinstance(first, Entered)
    entry = book.queue.proposed[first.entry]
    if how == "old":
        old = replace(entry.stamp, at_us=department.clock.us - WAITS_US)
        book.queue.proposed[first.entry] = replace(entry, stamp=old)
    else:
        book.roster.left["comm1"] = department.desk.log.size()
    assert department.call("inquiry/queue", second, NothingForm()) == ()
    again = department.call("inquiry/propose", comm, form)
    assert isinstance(again, Entered)
    yes = InquiryDecideForm(proposal=again.entry, granted=True, reason="the case is known")
    department.call("inquiry/approve", second, yes)
    book.roster.left["comm1"] = department.desk.log.size()
    assert code_of(department, "inquiry/run", comm, RunForm(proposal=again.entry)) == "proposer-gone"


@pytest.mark.parametrize("user", ["officer1", "reviewer1", "chief"])
def test_it_is_for_people_who_search(department: Department, tokens: Tokens, user: str) -> None:
    with pytest.raises(DeskRefusal) as refused:
        listed(department, tokens(user))
    assert refused.value.code == "role"


def test_what_a_person_who_left_and_came_back_asked_for_ended(department: Department, tokens: Tokens) -> None:
    form = AskForm(query=department.plate("8XYZ123"), ground=GROUND)
    asked = department.call("inquiry/request", tokens("officer1"), form)
    assert isinstance(asked, Entered)
    wide = ProposeForm(query=department.plate("8XYZ*"), ground=GROUND)
    department.call("inquiry/propose", tokens("comm1"), wide)
    for user, role in (("officer1", Role.OFFICER), ("comm1", Role.COMMUNICATIONS)):
        gone = replace(account(user, role), active=False)
        department.call("user/set", tokens("chief"), gone)
        department.add_person(tokens("chief"), user, (role,))
    mine = (("inquiry/requests", "officer1"), ("inquiry/proposals", "comm1"))
    for name, user in mine:
        rows: Any = department.call(name, department.logon(user), NothingForm())
        assert [one.state for one in rows] == ["out of date"]
    with pytest.raises(DeskRefusal) as refused:
        department.call(
            "inquiry/run", tokens("disp1"), RunForm(query=form.query, ground=GROUND, request=asked.entry)
        )
    assert (refused.value.code, refused.value.cure) == ("requester", "have it asked for again")
