"""What one person did alone reaches the reviewer: findings, entries, list, CSV and JSON (463.5 (c))."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from desk_seat import Seat
from desk_twins import COURSE, GROUND, TOPICS, Department

from storage.times import HOUR_US
from sync.department.desk.audit.calls import look_daily
from sync.department.desk.audit.event_calls import EventsForm
from sync.department.desk.inquiry.forms import Answer, RunForm
from sync.department.desk.people.calls import HandoverForm
from sync.department.desk.people.training_calls import TrainingForm
from sync.department.journal.entries import FindingOpened
from sync.department.policy.refusals import DeskRefusal
from sync.department.policy.roles import Role

Tokens = Callable[[str], str]


def search(department: Department, user: str) -> None:
    run = RunForm(query=department.plate("8XYZ123"), ground=GROUND)
    assert isinstance(department.call("inquiry/run", department.logon(user), run), Answer)


def train(department: Department, recorder: str, user: str, trainer: str) -> int:
    """Record a training. Returns its entry."""
    form = TrainingForm(
        user=user,
        trainer=trainer,
        course=COURSE,
        policy_version=department.desk.policy.version,
        topics=TOPICS,
        held_us=department.clock.us - HOUR_US,
    )
    made: Any = department.call("training/record", department.logon(recorder), form)
    return int(made.entry)


def found(department: Department) -> list[FindingOpened]:
    notes = [department.desk.log.entry(one).note for one in look_daily(department.front)]
    return [one for one in notes if isinstance(one, FindingOpened)]


def test_a_later_training_by_another_hand_does_not_cover_the_first(department: Department) -> None:
    """chief made and trained pup, who searched; then another person trains pup before the next look."""
    department.add_person(department.logon("chief"), "pup", (Role.CCAT_SUPERVISOR,))
    first = train(department, "chief", "pup", "chief")
    search(department, "pup")
    train(department, "chief", "pup", "super")
    (one,) = found(department)
    assert (one.detector, one.about) == ("one_hand", "pup")
    assert first in one.accesses
    assert found(department) == []


@pytest.mark.parametrize(("trainer", "is_finding"), [("deputy", True), ("Somebody", True), ("pup", False)])
def test_a_trainer_trained_by_one_person_alone_is_a_finding(
    department: Department, trainer: str, is_finding: bool
) -> None:
    """Only the administrator may record the supervisor's training, and no one else was there."""
    chief = department.logon("chief")
    department.add_person(chief, "pup", (Role.CCAT_SUPERVISOR,))
    department.two_hands("user/hand-over", chief, HandoverForm(user="deputy", reason="new commander"))
    entry = train(department, "deputy", "super", trainer)  # the trainer never made or reset that account
    search(department, "super")
    about = [(one.about, entry in one.accesses) for one in found(department)]
    assert about == [("super", True)] * is_finding


def test_a_trainer_acts_by_training_others(department: Department) -> None:
    """An account that only records trainings is checked too."""
    chief = department.logon("chief")
    department.add_person(chief, "pup", (Role.CCAT_SUPERVISOR,))
    train(department, "chief", "pup", "chief")
    assert found(department) == []  # pup has done nothing yet
    train(department, "pup", "officer1", "pup")
    assert [one.about for one in found(department)] == ["pup"]


def test_no_person_records_their_own_training(department: Department) -> None:
    with pytest.raises(DeskRefusal) as refused:
        train(department, "super", "super", "super")
    assert refused.value.code == "own-training"


def test_the_reviewer_reads_the_entries_of_a_finding_that_names_no_access(department: Department) -> None:
    department.add_person(department.logon("chief"), "pup", (Role.CCAT_SUPERVISOR,))
    entry = train(department, "chief", "pup", "chief")
    search(department, "pup")
    (number,) = look_daily(department.front)
    reviewer = department.logon("reviewer1")
    answer: Any = department.call("audit/events", reviewer, EventsForm(finding=number))
    rows = {one.entry: one for one in answer.rows}
    assert rows[entry].kind == "training"
    assert (rows[entry].user, rows[entry].about, rows[entry].second) == ("chief", "pup", "")
    with pytest.raises(DeskRefusal) as refused:
        department.call("audit/events", reviewer, EventsForm(finding=3))
    assert refused.value.code == "no-finding"


def test_a_trainer_is_a_second_person_only_where_another_recorded(department: Department) -> None:
    department.add_person(department.logon("chief"), "pup", (Role.CCAT_SUPERVISOR,))
    by_one, by_two = train(department, "chief", "pup", "chief"), train(department, "chief", "pup", "super")
    answer: Any = department.call(
        "audit/events", department.logon("reviewer1"), EventsForm(kind="training", user="pup")
    )
    assert {one.entry: one.second for one in answer.rows} == {by_one: "", by_two: "super"}


def test_findings_and_their_entries_are_listed_as_text_json_and_csv(seat: Seat) -> None:
    department = seat.department
    department.add_person(department.logon("chief"), "pup", (Role.CCAT_SUPERVISOR,))
    entry = train(department, "chief", "pup", "chief")
    search(department, "pup")
    (number,) = look_daily(department.front)
    status, out, _ = seat.type("reviewer1", "audit", "findings")
    assert status == 0
    assert "one_hand" in out
    status, out, _ = seat.type("reviewer1", "audit", "findings", "--csv")
    rows = {row["finding"]: row for row in csv.DictReader(io.StringIO(out))}
    assert status == 0
    assert rows[str(number)]["about"] == "pup"
    assert str(entry) in rows[str(number)]["accesses"].split()
    status, out, _ = seat.type("reviewer1", "audit", "events", "--finding", number, "--csv")
    assert [row["entry"] for row in csv.DictReader(io.StringIO(out))] == [str(entry)]
    status, out, _ = seat.type("reviewer1", "--json", "audit", "findings")
    assert any(f'"finding": {number}' in line and "one_hand" in line for line in out.splitlines())
