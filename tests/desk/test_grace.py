"""With the witness away, answers are marked for fifteen minutes, then stop; the key guard counts itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from desk_asking import search
from desk_forms import forms
from desk_twins import Department

from storage.times import MINUTE_US
from sync.department.content import key_guard
from sync.department.desk.audit.calls import AuditForm
from sync.department.desk.changes.calls import ShowForm
from sync.department.desk.due import overdue_now
from sync.department.journal.entries import WitnessAway
from sync.department.journal.inquiry_entries import AccessEnded
from sync.department.policy.refusals import DeskRefusal
from sync.department.server.open_desk import adopt_root

Tokens = Callable[[str], str]


def test_answers_are_marked_in_the_grace_and_refused_after_it(department: Department, tokens: Tokens) -> None:
    token, reviewer, chief = tokens("comm1"), tokens("reviewer1"), tokens("chief")
    wanted: Any = replace(forms(department)["hotlist/add"], propose=True)
    waits: Any = department.call("hotlist/add", tokens("super"), wanted)
    assert not search(department, token).unwitnessed
    department.witness.away = True
    assert not [one for one in overdue_now(department.front, department.clock.us) if one.kind == "witness"]
    answer = search(department, token)
    (said,) = [one for one in overdue_now(department.front, department.clock.us) if one.kind == "witness"]
    assert "0 of 1 witness answered, 1 is needed: " in said.what  # from the start
    assert said.what == department.desk.witness_problem()
    assert answer.unwitnessed
    assert answer.count == 3
    log = department.desk.log
    ended = [entry.note for entry in log.entries(answer.access, kinds=(AccessEnded.KIND,))]
    assert isinstance(ended[0], AccessEnded)
    assert ended[0].unwitnessed
    department.clock.step(14 * MINUTE_US)
    assert search(department, token).unwitnessed
    department.clock.step(2 * MINUTE_US)
    size = log.size()
    with pytest.raises(DeskRefusal) as refused:
        search(department, token)
    assert refused.value.code == "witness-away"
    assert [entry.note.KIND for entry in log.entries(size)] == ["access"]  # entered, but not answered
    with pytest.raises(DeskRefusal) as refused:  # and no answer without keys either
        department.call("audit/read", reviewer, AuditForm())
    assert refused.value.code == "witness-away"
    with pytest.raises(DeskRefusal) as refused:  # nor the plate of a waiting hot-list entry
        department.call("change/show", chief, ShowForm(proposal=waits.proposal))
    assert refused.value.code == "witness-away"
    assert len(list(log.entries(kinds=(WitnessAway.KIND,)))) == 1
    department.witness.away = False
    assert not search(department, token).unwitnessed
    assert log.cosigned()[0] >= size
    assert department.desk.witness_problem() == ""


def test_a_log_that_a_witness_refused_has_no_grace(department: Department, tokens: Tokens) -> None:
    """The witness then goes away, but that does not withdraw its refusal."""
    token = tokens("comm1")
    department.desk._fork = "another log was co-signed"
    department.witness.away = True
    assert answered(department, token).startswith("forked")
    assert "No answer leaves" in department.desk.witness_problem()
    department.witness.away = False
    assert answered(department, token) == ""


def test_a_restart_does_not_restart_the_grace(department: Department, tokens: Tokens) -> None:
    from desk_twins import open_department

    token = tokens("comm1")
    department.witness.away = True
    search(department, token)
    department.clock.step(16 * MINUTE_US)
    again = open_department(department.home.path.parent, department.clock, department.secrets)
    again.witness.away = True
    with pytest.raises(DeskRefusal) as refused:
        search(again, token)
    assert refused.value.code == "witness-away"
    again.front.close()


def test_the_key_guard_counts_the_grace_itself(department: Department, tokens: Tokens) -> None:
    """A desk that calls every answer covered gets no content after the guard's own grace period."""
    answer = search(department, tokens("comm1"))
    desk, door, query = department.desk, department.front.door, department.plate("8XYZ123")
    good = desk.covered(answer.access)
    unsigned = replace(good, checkpoint=desk.log.signed_head(good.size))
    day = [department.clock.us // (24 * 60 * MINUTE_US)]
    door.tokens(unsigned, query, day)
    department.clock.step(16 * MINUTE_US)
    with pytest.raises(DeskRefusal) as refused:
        door.tokens(unsigned, query, day)
    assert refused.value.code == "witness-away"
    with pytest.raises(DeskRefusal):
        door.tokens(replace(unsigned, checkpoint=unsigned.checkpoint.replace("—", "-")), query, day)


def test_without_a_witness_no_answer_leaves(department: Department, tokens: Tokens) -> None:
    token = tokens("comm1")
    adopt_root(
        department.home,
        department.desk,
        department.new_root(witnesses=(), quorum=0),
        department.desk.policy_document,
    )
    with pytest.raises(DeskRefusal) as refused:
        search(department, token)
    assert refused.value.code == "no-witness"


def answered(department: Department, token: str) -> str:
    """The code with which a search is refused, or "" if it is answered."""
    try:
        search(department, token)
    except DeskRefusal as refused:
        return f"{refused.code}: {refused}"
    return ""


def test_the_key_guard_opens_no_more_than_so_much_in_a_grace(
    department: Department, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever its clock says: with a stopped clock, a grace period of minutes would never end."""
    monkeypatch.setattr(key_guard, "MOST_UNWITNESSED", 3)
    token = tokens("comm1")
    search(department, token)
    department.witness.away = True
    codes = ["", *(answered(department, token) for _ in range(4))]
    refused = [one for one in codes if "too much was opened while the witnesses were away" in one]
    assert refused, codes
    assert codes.index(refused[0]) > 1, codes
    department.witness.away = False
    assert not search(department, token).unwitnessed
