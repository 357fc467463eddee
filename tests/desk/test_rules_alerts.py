"""The rules of alerts, each alone and at its limits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from log_entries import NOW_US, POLICY, entry

from storage import codec, envelope
from storage.alert_life import AlertAnswer, AlertEvent, AlertStep, Fit, Outcome
from storage.times import HOUR_US, MINUTE_US
from sync.department.desk.alerts.rules import AlertRow, AlertStates, SourceShare, VerifierShare
from sync.department.desk.state import DeskState
from sync.department.journal.alert_entries import (
    AlertKnown,
    AlertRecordsOpened,
    AlertStepTaken,
    planted_name,
)
from sync.department.journal.entry_base import Note
from sync.department.journal.machine_entries import DocumentSent
from sync.department.server.folded_log import FoldedLog
from sync.department.server.following import message_of
from sync.hot_lists.entry import cleared_name
from sync.hot_lists.held import MUTED, MutedSources


def known(alert: str, **changed: Any) -> AlertKnown:
    note: dict[str, Any] = {
        "alert": alert, "read": "r1", "unit": "car-7", "raised_us": NOW_US, "list_id": "l", "source": "DOJ",
        "category": "stolen-vehicle", "entry": b"e1", "silent": (), "stale": False, "requester": "",
        "recipients": (), "planted_plate": "", "planted_state": "",
    }  # fmt: skip
    return AlertKnown(**note | changed)


def step(alert: str, event: AlertEvent, user: str = "ann", *, unit: str = "", **said: Any) -> AlertStepTaken:
    return AlertStepTaken(
        alert=alert, unit=unit, step=AlertStep(step=event, user=user, role="", at_us=NOW_US, **said)
    )


def alerts(*notes: Note) -> AlertStates:
    made = AlertStates()
    for at, note in enumerate(notes):
        made.apply(entry(at, "x", note))
    return made


ANSWERED, CLOSED_STEP = AlertEvent.ANSWERED, AlertEvent.CLOSED


@pytest.mark.parametrize(
    ("recipients", "hidden", "user", "visible"),
    [
        ((), (), "ann", True),
        (("ann",), (), "ann", True),
        (("ben",), (), "ann", False),
        ((), ("ann",), "ann", False),
    ],
)
def test_a_covert_alert_is_for_its_recipients_alone(
    recipients: tuple[str, ...], hidden: tuple[str, ...], user: str, visible: bool
) -> None:
    row = AlertRow(known("a", recipients=recipients), alerts(known("a")).rows["a"].state, 1, hidden)
    assert row.visible_to(user) is visible


@pytest.mark.parametrize(("user", "told"), [("ann", True), ("cat", False), ("dan", False)])
def test_who_made_a_covert_entry_knows_its_alert_once_it_fell_to_them(user: str, told: bool) -> None:
    """Through their own step; a step in another person's name shows that person nothing."""
    states = alerts(
        known("a", recipients=("ben",)), step("a", AlertEvent.VIEWED, "ann"), step("a", ANSWERED, "cat")
    )
    makers = {b"e1": ("ann", "dan")}
    assert ("a" in states.known_to(user, (), makers).rows) is told
    assert not states.rows["a"].visible_to(user)


@pytest.mark.parametrize(
    ("checked", "rejected", "people", "muted"),
    [
        (10, 2, 2, False),
        (10, 3, 2, True),
        (10, 3, 1, False),
        (9, 9, 9, False),
        (100, 20, 9, False),
        (100, 21, 9, True),
        (100, 99, 1, False),
    ],
)
def test_a_source_goes_silent_once_people_rejected_too_many_of_enough_hits(
    checked: int, rejected: int, people: int, muted: bool
) -> None:
    terms = replace(POLICY.alerts, source_rejected_least=10, source_rejected_percent=20)
    assert SourceShare("DOJ", checked, rejected, people).muted(terms) is muted


def test_what_units_received_by_an_earlier_versions_rule_follows_from_the_log() -> None:
    """That version counted misreadings against their source, and one person could mute it."""
    folded = FoldedLog(())
    folded._book = DeskState(rules=POLICY)
    wrong = AlertAnswer.WRONG_CHARACTER
    for number in range(10):
        for one in (known(str(number)), *answered(str(number), "ann", "8XYZ128", wrong)):
            folded._book.alerts.apply(entry(number, "x", one))
    signing = envelope.encode([1, b"", bytes(64)])
    note = DocumentSent(name=MUTED, version=2, unit="", digest=bytes(32), baseline=False, signing=signing)
    allowed = folded._following_messages(note)
    for sources, follows in (((), True), (("DOJ",), True), (("SVS",), False)):
        body = codec.to_bytes(MutedSources(sources=sources))
        assert (message_of(MUTED, 2, body, signing) in allowed) is follows


def test_alerts_are_found_by_number_or_name_and_the_loud_and_old_come_first() -> None:
    made = alerts(
        known("a", silent=("stale",), raised_us=NOW_US - 9),
        known("b", raised_us=NOW_US),
        known("c", raised_us=NOW_US - 5),
        known("d"),
        step("d", CLOSED_STEP, outcome=Outcome.NO_STOP),
        known("b", raised_us=7),  # already known
    )
    assert [row.number for row in made.open()] == [2, 1, 0]
    by_number, by_name = made.find("1"), made.find("b")
    assert by_number is by_name is made.rows["b"]
    assert made.rows["b"].known.raised_us == NOW_US
    assert (made.find("9"), made.find("x"), made.find("١")) == (None, None, None)
    made.apply(entry(9, "x", AlertRecordsOpened(records=("z",))))
    assert made.opened == {"a", "b", "c", "d", "z"}


def test_a_units_step_that_comes_twice_is_one_and_a_persons_at_the_desk_is_two() -> None:
    once = step("a", AlertEvent.VIEWED, unit="car-7")
    desk = step("a", AlertEvent.VIEWED)
    assert len(alerts(known("a"), once, once).rows["a"].state.steps) == 1
    assert len(alerts(known("a"), desk, desk).rows["a"].state.steps) == 2
    assert alerts(step("b", AlertEvent.VIEWED)).rows == {}


def test_the_first_open_alert_of_an_entry_covers_the_later_ones() -> None:
    made = alerts(
        known("a", recipients=("ben",)),
        known("b"),
        known("c"),
        known("d", entry=b"e2"),
        known("p", planted_plate="7A"),
        known("e"),
        step("e", CLOSED_STEP, outcome=Outcome.NO_STOP),
    )
    rows = made.rows
    assert (made.first_of(rows["c"], "ann"), made.first_of(rows["c"], "ben")) == ("1", "0")
    assert [made.first_of(rows[one], "ann") for one in ("b", "d", "p", "e")] == ["", "", "", ""]
    made.apply(entry(9, "x", step("b", CLOSED_STEP, outcome=Outcome.NO_STOP)))
    assert made.first_of(rows["c"], "ann") == ""


def test_overdue_outcomes_and_references_are_named_when_they_are_due() -> None:
    made = alerts(known("a"), step("a", ANSWERED, answer=AlertAnswer.CONFIRMED, fit=Fit.YES))
    late_us = NOW_US + POLICY.alerts.outcome_hours * HOUR_US
    assert made.overdue(POLICY.alerts, late_us - 1) == []
    assert made.overdue(POLICY.alerts, late_us) == [made.rows["a"]]
    due_us = NOW_US + POLICY.alerts.clets_minutes * MINUTE_US
    assert made.clets_owed(POLICY.alerts, due_us - 1) == []
    assert made.clets_owed(POLICY.alerts, due_us) == [made.rows["a"]]
    assert alerts(known("a")).clets_owed(POLICY.alerts, late_us) == []


def answered(alert: str, user: str, plate: str, answer: AlertAnswer) -> tuple[Note, Note]:
    typed = step(alert, AlertEvent.TRANSCRIBED, user, plate=plate)
    return typed, step(alert, ANSWERED, user, answer=answer, fit=Fit.NO)


def test_a_plate_is_cleared_by_one_who_typed_another_and_by_two_who_typed_the_entrys_own() -> None:
    wrong, other = AlertAnswer.WRONG_CHARACTER, AlertAnswer.NOT_THIS_VEHICLE
    for notes, cleared in (
        (answered("a", "ann", "8XYZ 128", wrong), {cleared_name(b"e1", "8XYZ128")}),
        (answered("a", "ann", "8XYZ123", other), set()),
        ((*answered("a", "ann", "8XYZ123", other), *answered("b", "ann", "8XYZ123", other)), set()),
        (
            (*answered("a", "ann", "8XYZ123", other), *answered("b", "ben", "8XYZ123", other)),
            {cleared_name(b"e1", "8XYZ123")},
        ),
        (answered("a", "ann", "8XYZ1?8", wrong), set()),
        (answered("a", "ann", "8XYZ123", AlertAnswer.CONFIRMED), set()),
        (answered("p", "ann", "8XYZ128", wrong), set()),
    ):
        assert alerts(known("a"), known("b"), known("p", planted_plate="7A"), *notes).cleared() == cleared


def test_sources_and_verifiers_are_counted_by_what_people_found() -> None:
    wrong, cannot = AlertAnswer.NOT_THIS_VEHICLE, AlertAnswer.CANNOT_TELL
    made = alerts(
        known("a"),
        step("a", ANSWERED, answer=wrong),
        known("b", entry=b"e2"),
        step("b", ANSWERED, answer=AlertAnswer.CONFIRMED),
        known("c", entry=b"e3"),
        step("c", ANSWERED, answer=cannot),
        known("d", entry=b"e4"),
        known("m", entry=b"e6"),
        step("m", ANSWERED, answer=AlertAnswer.WRONG_CHARACTER),  # an error of the camera
        known("s", entry=b"e7"),
        step("s", ANSWERED, answer=AlertAnswer.WRONG_STATE),
        known("t", entry=b"e8"),
        step("t", ANSWERED, "ben", answer=AlertAnswer.WRONG_STATE),
        known("p", planted_plate="7ABC000", entry=b"e5"),
        step("p", AlertEvent.TRANSCRIBED, plate="8XYZ123"),
        step("p", AlertEvent.TRANSCRIBED, "ben", plate="7ABC000"),
        step("p", ANSWERED, answer=AlertAnswer.WRONG_CHARACTER),
    )
    assert made.sources() == [SourceShare("DOJ", 5, 3, 2, misread=1)]
    assert made.verifiers() == []
    made.apply(entry(20, "x", step("p", CLOSED_STEP, outcome=Outcome.UNFOUNDED)))
    assert made.verifiers() == [VerifierShare("ann", 1, 1), VerifierShare("ben", 1, 0)]


def test_who_took_a_step_with_a_planted_alert_took_it_with_the_entry_of_its_picture() -> None:
    of_a, of_none = planted_name("t", "a"), planted_name("u", "gone")
    made = alerts(
        known("a", entry=b"e1"),
        known(of_a, planted_plate="7ABC000", entry=b"e9"),
        step(of_a, AlertEvent.SHOWN, "ben"),
        known(of_none, planted_plate="7ABC001", entry=b"e8"),
        step(of_none, AlertEvent.SHOWN, "cat"),
    )
    assert made.onlookers().of_entries == {b"e1": {"ben"}, b"e8": {"cat"}}
