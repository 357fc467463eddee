"""Times typed by the department's clocks: the hour that repeats, and the hour that is skipped."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from storage.times import DAY_US, HOUR_US, MINUTE_US
from sync.department.ground.local_time import zone_of
from sync.department.pages.rendering import clock_of
from sync.department.pages.values import Values, local_input
from sync.department.policy.refusals import FormError

LOS_ANGELES = ZoneInfo("America/Los_Angeles")
ONE_THIRTY = int(datetime(2026, 11, 1, 8, 30, tzinfo=UTC).timestamp()) * 1_000_000  # PDT; again at 9:30
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


LATER = ONE_THIRTY + DAY_US


def typed(name: str, text: str, now_us: int = LATER) -> int:
    return Values(((name, text),)).moment_us(name, LOS_ANGELES, now_us)


@pytest.mark.parametrize("name", ["since", "since_us", "scope.since_us", "held_us", "extracted_us"])
def test_in_the_hour_that_comes_twice_what_begins_begins_with_the_first(name: str) -> None:
    assert typed(name, "2026-11-01T01:30") == ONE_THIRTY


@pytest.mark.parametrize("name", ["until", "until_us", "scope.until_us", "ends_us", "to_us"])
def test_in_the_hour_that_comes_twice_what_ends_ends_with_the_second(name: str) -> None:
    """A dispatcher at the second 1:30 asks for everything read until now."""
    now_us = ONE_THIRTY + HOUR_US
    assert typed(name, local_input(now_us, LOS_ANGELES)) == now_us
    assert typed(name, "2026-11-01T01:30-07:00") == ONE_THIRTY  # a typed offset decides
    for text, hour in (("2026-11-01T00:59", 7), ("2026-11-01T02:00", 10)):  # around it there is only one
        assert typed(name, text) == int(
            datetime(2026, 11, 1, hour, int(text[-2:]), tzinfo=UTC).timestamp() * 1e6
        )


def test_a_time_asked_about_ends_with_the_first_of_two_until_the_second_has_come() -> None:
    """At the first 1:40, an audit until 1:30 has ended, but a grant until 1:30 ends with the second one."""
    text, before, between = "2026-11-01T01:30", ONE_THIRTY - 1, ONE_THIRTY + 10 * MINUTE_US
    second = ONE_THIRTY + HOUR_US
    for name in ("until", "until_us", "scope.until_us"):
        found = [typed(name, text, now_us) for now_us in (before, between, second - 1, second)]
        assert found == [second, ONE_THIRTY, ONE_THIRTY, second], name
    assert {typed(name, text, between) for name in ("to_us", "ends_us")} == {second}


@pytest.mark.parametrize("name", ["since", "until"])
def test_a_time_that_no_clock_showed_is_refused_with_its_neighbors(name: str) -> None:
    with pytest.raises(FormError, match=f"{name}: .*type 2026-03-08 01:30 or 2026-03-08 03:30") as refused:
        typed(name, "2026-03-08T02:30")
    assert refused.value.code == name
    for text, hour in (("2026-03-08T01:59", 9), ("2026-03-08T03:00", 10)):
        moment = datetime(2026, 3, 8, hour, int(text[-2:]), tzinfo=UTC)
        assert typed(name, text) == int(moment.timestamp()) * 1_000_000


@pytest.mark.parametrize("text", ["0001-01-01T00:00", "9999-12-31T23:59"])
def test_the_ends_of_the_calendar_are_times(text: str) -> None:
    assert typed("until", text) == round(
        (datetime.fromisoformat(text).replace(tzinfo=LOS_ANGELES) - EPOCH).total_seconds() * 1e6
    )


def test_a_time_that_came_twice_is_shown_with_its_zone_and_no_other_is() -> None:
    clock = clock_of(LOS_ANGELES)
    assert clock(ONE_THIRTY) == "2026-11-01 01:30:00 PDT"
    assert clock(ONE_THIRTY + HOUR_US) == "2026-11-01 01:30:00 PST"
    assert clock(ONE_THIRTY + 2 * HOUR_US) == "2026-11-01 02:30:00"
    assert clock_of(zone_of("UTC-08:00"))(ONE_THIRTY) == "2026-11-01 00:30:00"
