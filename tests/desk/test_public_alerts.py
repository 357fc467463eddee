"""The public counts of hits, tests, lists and silent sources follow from the log alone, without plates."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from desk_forms import forms
from desk_twins import Department, open_copy
from hypothesis import given
from hypothesis import strategies as st

from storage.alert_life import NEGATIVE, AlertAnswer, AlertEvent, AlertStep
from sync.department.desk.json_forms import to_json
from sync.department.desk.transparency.counts import counted, seen_now
from sync.department.desk.transparency.facts import facts_of
from sync.department.desk.transparency.rules import HotList, Tally, count
from sync.department.journal.alert_entries import AlertKnown, AlertStepTaken
from sync.department.journal.entries import Entry, EntryOf
from sync.department.journal.entry_base import Note, Stamp

STAMP = Stamp(at_us=0, user="comm1", role="communications", organisation="PD", session=b"", demo=False)


def known(alert: str, *, source: str = "SVS", silent: bool = False, planted: str = "") -> AlertKnown:
    return AlertKnown(
        alert=alert,
        read=alert,
        unit="car-7",
        raised_us=0,
        list_id="doj",
        source=source,
        category="stolen-vehicle",
        entry=b"",
        silent=("stale",) if silent else (),
        stale=silent,
        requester="",
        recipients=(),
        planted_plate=planted,
        planted_state="",
    )


def step(
    alert: str, kind: AlertEvent, *, answer: AlertAnswer | None = None, plate: str = ""
) -> AlertStepTaken:
    taken = AlertStep(step=kind, user="comm1", role="communications", at_us=0, plate=plate, answer=answer)
    return AlertStepTaken(alert=alert, unit="", step=taken)


def entries(*notes: Note) -> list[Entry]:
    return [EntryOf(number, STAMP, note) for number, note in enumerate(notes)]


def test_misreads_tests_and_what_sounded_are_distinguished(department: Department) -> None:
    notes = entries(
        known("a/1"),
        step("a/1", AlertEvent.TRANSCRIBED, plate="8XYZ128"),
        step("a/1", AlertEvent.ANSWERED, answer=AlertAnswer.WRONG_CHARACTER),
        known("a/2", silent=True),
        step("a/2", AlertEvent.ANSWERED, answer=AlertAnswer.CANNOT_TELL),
        step("a/2", AlertEvent.ANSWERED, answer=AlertAnswer.NOT_THIS_VEHICLE),  # the newest answer counts
        known("a/3"),
        step("a/3", AlertEvent.ANSWERED, answer=AlertAnswer.CONFIRMED),
        known("p/1", planted="8XYZ123"),
        step("p/1", AlertEvent.TRANSCRIBED, plate="8XYZ128"),
        step("p/1", AlertEvent.ANSWERED, answer=AlertAnswer.WRONG_CHARACTER),
        known("p/2", planted="8XYZ123"),
        step("p/1", AlertEvent.CLOSED),
        step("p/2", AlertEvent.TRANSCRIBED, plate="8XYZ123"),
        step("p/2", AlertEvent.CLOSED),
    )
    hits = count(facts_of(notes), seen_now(department.desk, 0, "")).hits
    assert (hits.raised, hits.silent, hits.answered) == (3, 1, 3)
    assert (hits.misreads, hits.other_vehicle) == (1, 1)
    assert (hits.tests, hits.tests_caught, hits.catch_rate) == (2, 1, 0.5)


def test_a_planted_mismatch_is_counted_as_a_hit_until_it_is_closed(department: Department) -> None:
    """Otherwise the counts between two steps would reveal something about an open alert."""
    life = [
        step("a/2", AlertEvent.TRANSCRIBED, plate="8XYZ128"),
        step("a/2", AlertEvent.ANSWERED, answer=AlertAnswer.WRONG_CHARACTER),
    ]
    real = [known("a/1"), known("a/2"), *life]
    planted = [known("a/1"), known("a/2", planted="8XYZ123"), *life]
    seen = seen_now(department.desk, 0, "")
    for size in range(1, len(real) + 1):
        told = [count(facts_of(entries(*notes[:size])), seen) for notes in (real, planted)]
        assert told[0] == told[1]
    closed = count(facts_of(entries(*planted, step("a/2", AlertEvent.CLOSED))), seen).hits
    assert (closed.raised, closed.answered, closed.tests, closed.tests_caught) == (1, 0, 1, 1)


@pytest.fixture(scope="module")
def lasting(founded: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Department]:
    """One department for all examples, which only read its policy."""
    folder = tmp_path_factory.mktemp("terms") / "copy"
    shutil.copytree(founded, folder)
    department = open_copy(folder)
    yield department
    department.close()


@given(answers=st.lists(st.sampled_from(AlertAnswer), min_size=0, max_size=60))
def test_a_source_is_silent_as_the_desk_has_it(lasting: Department, answers: list[AlertAnswer]) -> None:
    notes: list[Note] = []
    for number, answer in enumerate(answers):
        notes += [known(f"a/{number}"), step(f"a/{number}", AlertEvent.ANSWERED, answer=answer)]
    terms = lasting.desk.policy.alerts
    told = [one for one in answers if one is not AlertAnswer.CANNOT_TELL]
    wrong = sum(one in NEGATIVE for one in told)
    muted = len(told) >= terms.source_rejected_least and wrong * 100 > terms.source_rejected_percent * len(
        told
    )
    silent = count(facts_of(entries(*notes)), seen_now(lasting.desk, 0, "")).silent_sources
    assert silent == (("SVS",) if muted else ())


def test_a_list_that_was_sent_is_counted_by_category_and_says_no_plate(department: Department) -> None:
    form = forms(department)["hotlist/push"]
    department.two_hands("hotlist/push", department.logon("super"), form, second="chief")
    later = replace(form, body=b"Stolen;CA;8XYZ123;;\nStolen;CA;7ABC001;;\n", reason="next extract")
    department.two_hands("hotlist/push", department.logon("super"), later, second="chief")
    department.desk.try_cover(department.desk.log.size() - 1)
    made = counted(department.desk)
    (one,) = made.hot_lists
    assert isinstance(one, HotList)
    assert (one.list_id, one.source, one.entries, one.covert) == ("doj", "SVS", 2, 0)
    assert [tally.count for tally in one.categories] == [2]
    assert isinstance(one.categories[0], Tally)
    assert made.hot_lists_signed == 2
    text = json.dumps(to_json(made))
    assert "8XYZ123" not in text
    assert "7ABC001" not in text
