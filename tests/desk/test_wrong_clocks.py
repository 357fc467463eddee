"""Reads of a unit whose clock is days or years off are found, marked, and kept for their year, no longer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from desk_seat import Seat
from desk_twins import GROUND, START_US, Department
from desk_units import Pass, UnitTwin, read_of

from storage.record_base import ClockState
from storage.times import DAY_US, HOUR_US, day_text
from sync.department.content.read_times import SLACK_US, TimeDoubt, doubt_of, is_asked_for
from sync.department.desk.inquiry.forms import Answer, ImageForm, Images, RunForm
from sync.department.journal.inquiry_entries import Query
from sync.department.server.server import Department as Server

Tokens = Callable[[str], str]
KNOWS, KNOWS_NOT = ClockState.DISCIPLINED, ClockState.UNKNOWN
PLATE = "5CLK400"
OFF = {
    "400 days behind": (-400 * DAY_US, KNOWS_NOT),
    "2 days behind": (-3 * DAY_US, KNOWS_NOT),
    "1970": (1 - START_US, KNOWS_NOT),
    "a day ahead": (DAY_US + HOUR_US, KNOWS),
    "367 days ahead": (367 * DAY_US, KNOWS),
    "400 days ahead": (400 * DAY_US, KNOWS_NOT),
    "2255": (2**53 - START_US, KNOWS_NOT),
    "beyond the calendar": (2**60, KNOWS_NOT),
}


@pytest.fixture
def unit(department: Department) -> Iterator[UnitTwin]:
    made = UnitTwin(department.home, Ed25519PrivateKey.generate(), "car-400")
    yield made
    made.close()


def search(department: Department, token: str, query: Query) -> Answer:
    found = department.call("inquiry/run", token, RunForm(query=query, ground=GROUND))
    assert isinstance(found, Answer)
    return found


@pytest.mark.thorough_rows(every=3)
@pytest.mark.parametrize("off", OFF)
def test_a_read_whose_time_cannot_be_is_found_by_the_day_it_came_and_says_so(
    department: Department, tokens: Tokens, unit: UnitTwin, off: str
) -> None:
    by_us, clock = OFF[off]
    came_us = department.clock.us
    (name,) = unit.deliver([Pass(plate=PLATE, at_us=came_us + by_us, clock=clock)], received_us=came_us)
    token, day_us = tokens("comm1"), came_us // DAY_US * DAY_US
    today = Query(plate=PLATE, since_us=day_us, until_us=department.clock.us + HOUR_US)
    answer = search(department, token, today)
    (found,) = answer.reads
    assert (found.read, found.received, found.first_us) == (
        name,
        day_text(came_us // DAY_US),
        came_us + by_us,
    )
    assert found.time_doubt == (TimeDoubt.AFTER_ARRIVAL if by_us > 0 else TimeDoubt.CLOCK_UNKNOWN)
    image = ImageForm(access=answer.access, read=name, ground=GROUND)
    assert isinstance(department.call("inquiry/image", token, image), Images)
    before = replace(today, since_us=day_us - 9 * DAY_US, until_us=day_us)
    if by_us > 0 or by_us < -10 * DAY_US:
        assert search(department, token, before).reads == ()


def test_a_read_that_may_be_of_its_time_is_found_by_that_alone(
    department: Department, tokens: Tokens, unit: UnitTwin
) -> None:
    """After a week offline, the unit's clock is either disciplined or within the error that it states."""
    came_us, token = department.clock.us, tokens("comm1")
    day_us = came_us // DAY_US * DAY_US
    unit.deliver([Pass(plate=PLATE, at_us=came_us - 7 * DAY_US)], received_us=came_us)
    unit.deliver([Pass(plate=PLATE, at_us=day_us - HOUR_US, clock=KNOWS_NOT)], received_us=came_us)
    today = Query(plate=PLATE, since_us=day_us, until_us=department.clock.us + HOUR_US)
    assert search(department, token, today).reads == ()
    yesterday = replace(today, since_us=day_us - DAY_US, until_us=day_us)
    assert [one.time_doubt for one in search(department, token, yesterday).reads] == ["clock-unknown"]
    week = replace(today, since_us=day_us - 8 * DAY_US, until_us=day_us - 2 * DAY_US)
    assert [one.time_doubt for one in search(department, token, week).reads] == [""]


@pytest.mark.parametrize(
    ("at_us", "clock", "doubt"),
    [
        (10 * DAY_US, KNOWS, ""),
        (11 * DAY_US + SLACK_US, KNOWS, ""),
        (11 * DAY_US + SLACK_US + 1, KNOWS, "after-arrival"),
        (11 * DAY_US + SLACK_US + 1, KNOWS_NOT, "after-arrival"),
        (10 * DAY_US, KNOWS_NOT, "clock-unknown"),
        (1, ClockState.HOLDOVER, ""),
    ],
)
def test_a_time_is_doubted_after_the_day_of_receipt_or_where_the_clock_knew_none(
    at_us: int, clock: ClockState, doubt: str
) -> None:
    place = read_of(Pass(plate=PLATE, at_us=at_us, clock=clock)).place_part()
    assert doubt_of(place, 10) == doubt
    assert doubt_of(place, None) == ("clock-unknown" if clock is KNOWS_NOT else "")


@pytest.mark.parametrize(
    ("said_us", "since_us", "until_us", "found"),
    [
        (1, 10 * DAY_US, 10 * DAY_US + 1, True),
        (1, 10 * DAY_US - 1, 10 * DAY_US, False),
        (1, 11 * DAY_US - 1, 12 * DAY_US, True),
        (1, 11 * DAY_US, 12 * DAY_US, False),
        (8 * DAY_US, 10 * DAY_US, 11 * DAY_US, True),
        (9 * DAY_US, 10 * DAY_US, 11 * DAY_US, False),  # within its error, perhaps the day before
        (30 * DAY_US, 10 * DAY_US, 11 * DAY_US, True),
        (30 * DAY_US, 30 * DAY_US, 31 * DAY_US, True),  # and at the time that it states
    ],
)
def test_a_search_asks_for_what_arrived_in_its_time_if_the_clock_says_nothing(
    said_us: int, since_us: int, until_us: int, *, found: bool
) -> None:
    place = read_of(Pass(plate=PLATE, at_us=said_us, clock=KNOWS_NOT)).place_part()
    assert is_asked_for(place, since_us, until_us, 10) is found


@pytest.mark.thorough_rows(every=3)
@pytest.mark.parametrize("off", OFF)
def test_a_wrong_clock_neither_shortens_nor_stretches_the_year(
    department: Department, server: Server, off: str
) -> None:
    """463.8 counts from receipt."""
    by_us, clock = OFF[off]
    unit = UnitTwin(department.home, Ed25519PrivateKey.generate(), "car-year")
    came_us = department.clock.us
    unit.deliver([Pass(plate=PLATE, at_us=came_us + by_us, clock=clock)], received_us=came_us)
    unit.close()
    day = came_us // DAY_US
    due = {one.day: one.due_us for one in server.retention.plan()}
    assert due[day] == (day + 1 + 365) * DAY_US
    department.clock.us = due[day] - 1
    assert server.time.accept(department.clock.us)
    server.retention.run(through=day)
    assert server.keys.has_store_key(day)
    department.clock.us = due[day]
    server.retention.run(through=day)
    assert not server.keys.has_store_key(day)


@pytest.mark.parametrize("off", ["400 days behind", "400 days ahead"])
def test_the_answer_in_a_terminal_names_the_doubt_and_the_day_it_came(
    department: Department, seat: Seat, unit: UnitTwin, off: str
) -> None:
    by_us, clock = OFF[off]
    came_us = department.clock.us
    unit.deliver([Pass(plate=PLATE, at_us=came_us + by_us, clock=clock)], received_us=came_us)
    why = ("--purpose", "investigation", "--case", GROUND.number, "--why", GROUND.justification)
    status, out, err = seat.type("comm1", "inquiry", "run", "--plate", PLATE, *why)
    assert status == 0, err
    assert ("after-arrival" if by_us > 0 else "clock-unknown") in out
    assert day_text(came_us // DAY_US) in out
