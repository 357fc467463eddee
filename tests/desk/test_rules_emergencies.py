"""The rules of emergency searches and of who judges them, each alone and at its limits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from log_entries import GROUND, NOW_US, POLICY, code_of, entry, refused

from storage.times import DAY_US, HOUR_US
from sync.department.desk.break_glass import rules as glass
from sync.department.desk.break_glass.rules import Glass
from sync.department.journal.change_entries import GlassBroken, GlassJudged
from sync.department.journal.entry_base import Note
from sync.department.journal.inquiry_entries import Area, Ground, Query
from sync.department.journal.query_rules import FORM_US
from sync.department.policy.refusals import DeskRefusal


def broken(user: str, access: int, due_us: int) -> tuple[int, str, Note, int]:
    return access + 1, user, GlassBroken(access=access, danger="", due_us=due_us), NOW_US


def glass_of(*notes: tuple[int, str, Note, int]) -> Glass:
    made = Glass()
    for sequence, user, note, at_us in notes:
        made.apply(entry(sequence, user, note, at_us))
    return made


QUERY = Query(plate="8XYZ123", since_us=NOW_US - DAY_US, until_us=NOW_US)
AREA = Area(latitude=34.1, longitude=-118.0, radius_m=50.0)
CAD = replace(GROUND, number_kind="cad")
DANGER = "a child was abducted"
OLDEST_US = NOW_US - POLICY.break_glass.days_max * DAY_US - FORM_US


@pytest.mark.parametrize(
    ("ground", "danger", "since_us", "code"),
    [
        (CAD, DANGER, OLDEST_US, ""),
        (CAD, DANGER, OLDEST_US - 1, "time"),
        (GROUND, DANGER, NOW_US, "number"),
        (CAD, "danger", NOW_US, "danger"),
        (CAD, "a child was", NOW_US, "danger"),
    ],
)
def test_an_emergency_search_names_its_incident_and_the_danger_and_looks_back_a_week(
    ground: Ground, danger: str, since_us: int, code: str
) -> None:
    query = replace(QUERY, since_us=since_us)
    named: dict[str, Any] = {"user": "ann", "now_us": NOW_US}
    assert code_of(glass.check_break, POLICY, Glass(), query, ground, danger, **named) == code
    never = replace(POLICY, break_glass=replace(POLICY.break_glass, allowed=False))
    refused("no-break-glass", glass.check_break, never, Glass(), query, ground, danger, **named)


@pytest.mark.parametrize(
    ("plate", "radius_m", "code"),
    [
        ("8X*", 0.0, ""),
        ("8?*", 0.0, "elements"),
        ("", 2000.0, ""),
        ("", 2000.5, "elements"),
        ("", 0.0, "elements"),
    ],
)
def test_an_emergency_search_names_two_characters_or_a_place_within_two_kilometers(
    plate: str, radius_m: float, code: str
) -> None:
    query = replace(QUERY, plate=plate, area=replace(AREA, radius_m=radius_m) if radius_m else None)
    named: dict[str, Any] = {"user": "ann", "now_us": NOW_US}
    assert code_of(glass.check_break, POLICY, Glass(), query, CAD, DANGER, **named) == code
    if code:
        with pytest.raises(DeskRefusal, match="names 2 characters of the plate, or a place within 2 km"):
            glass.check_break(POLICY, Glass(), query, CAD, DANGER, **named)


def test_a_dispatcher_alone_at_night_tries_thirty_times() -> None:
    waits = glass_of(*(broken("ann", at, NOW_US + 1) for at in range(10, 10 + 2 * 29, 2)))
    named: dict[str, Any] = {"user": "ann", "now_us": NOW_US}
    assert glass.check_break(POLICY, waits, QUERY, CAD, DANGER, **named)
    waits.apply(entry(99, "ann", GlassBroken(access=98, danger="", due_us=NOW_US + 1), NOW_US))
    refused("break-glass-open", glass.check_break, POLICY, waits, QUERY, CAD, DANGER, **named)


def test_overdue_words_of_a_second_person_end_a_persons_emergency_searches() -> None:
    most = POLICY.break_glass.open_max
    waits = glass_of(*(broken("ann", at, NOW_US) for at in range(10, 10 + 2 * most, 2)))
    named: dict[str, Any] = {"now_us": NOW_US}
    refused("break-glass-open", glass.check_break, POLICY, waits, QUERY, CAD, DANGER, user="ann", **named)
    due_us = NOW_US + POLICY.break_glass.second_word_hours * HOUR_US
    assert glass.check_break(POLICY, waits, QUERY, CAD, DANGER, user="ben", now_us=NOW_US) == due_us
    assert glass.check_break(POLICY, waits, QUERY, CAD, DANGER, user="ann", now_us=NOW_US - 1) == due_us - 1
    waits.apply(entry(50, "ben", GlassJudged(access=10, justified=True, reason="")))
    assert len(waits.waiting()) == most - 1
    assert glass.check_break(POLICY, waits, QUERY, CAD, DANGER, user="ann", now_us=NOW_US) == due_us


@pytest.mark.parametrize(
    ("access", "second", "reason", "code"),
    [
        (10, "ben", "abc de f", ""),
        (10, "ben", "abc de", "reason"),
        (10, "ann", "abc de f", "second-person"),
        (11, "ben", "abc de f", "no-break-glass"),
        (12, "ben", "abc de f", "decided"),
    ],
)
def test_an_emergency_search_is_judged_once_by_another_person_in_words(
    access: int, second: str, reason: str, code: str
) -> None:
    judged = (20, "ben", GlassJudged(access=12, justified=True, reason=""), NOW_US)
    waits = glass_of(broken("ann", 10, NOW_US), broken("ann", 12, NOW_US), judged)
    assert code_of(glass.to_judge, waits, access, second, reason) == code
