"""A month of the calendar: each end is on one day, by the department's clocks; wrong months are refused."""

from __future__ import annotations

import calendar
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.times import DAY_US
from sync.department.desk.owed import Ending
from sync.department.pages.month import AHEAD, Month, month_of
from sync.department.policy.refusals import FormError

LOS_ANGELES = ZoneInfo("America/Los_Angeles")
NOW_US = int(datetime(2026, 11, 26, 20, tzinfo=UTC).timestamp()) * 1_000_000
DOE = Ending(
    kind="training",
    clause="463.9",
    about="o1",
    name="J. Doe",
    ends_us=NOW_US + DAY_US,
    what="the training of o1 ends",
    cure="hold a class",
)


def us(*when: int) -> int:
    """A time on the department's clocks."""
    return int(datetime(*when, tzinfo=LOS_ANGELES).timestamp()) * 1_000_000  # type: ignore[arg-type,misc]


def shown(month: Month) -> dict[str, list[str]]:
    """The users by day."""
    return {
        one.day.isoformat(): [each.about for each in one.ends]
        for week in month.weeks
        for one in week
        if one.within and one.ends
    }


def test_an_end_is_on_the_departments_own_day() -> None:
    """Eleven at night on the 30th is already the 1st of the next month in Greenwich."""
    late = replace(DOE, ends_us=us(2026, 11, 30, 23, 30))
    early = replace(DOE, about="o2", ends_us=us(2026, 11, 1, 0, 30))
    month = month_of([late, early], "2026-11", LOS_ANGELES, NOW_US)
    assert shown(month) == {"2026-11-30": ["o1"], "2026-11-01": ["o2"]}
    assert (month.name, month.before, month.after) == ("November 2026", "2026-10", "2026-12")
    assert month.count == 2
    assert shown(month_of([late, early], "2026-12", LOS_ANGELES, NOW_US)) == {}


def test_without_a_month_it_is_this_one_and_the_year_turns() -> None:
    people = [DOE, replace(DOE, about="o3", ends_us=0)]
    month = month_of(people, "", LOS_ANGELES, NOW_US)
    assert (month.key, month.today.isoformat(), shown(month)) == (
        "2026-11",
        "2026-11-26",
        {"2026-11-27": ["o1"]},
    )
    assert month.count == 1
    assert [one.key for one in month.ahead][:3] == ["2026-11", "2026-12", "2027-01"]
    assert len(month.ahead) == AHEAD
    assert month.ahead[0].count == 1
    december = month_of(people, "2026-12", LOS_ANGELES, NOW_US)
    assert december.after == "2027-01"


@pytest.mark.parametrize(
    "asked", ["2026-13", "2026-00", "2026-1", "26-11", "2026-11-01", "x", "1970-01", "٢٠٢٦-11"]
)
def test_what_is_not_a_month_is_refused_in_words(asked: str) -> None:
    with pytest.raises(FormError, match="is not a month"):
        month_of([DOE], asked, LOS_ANGELES, NOW_US)


@given(
    year=st.integers(2000, 2999),
    number=st.integers(1, 12),
    after=st.lists(st.integers(-800 * DAY_US, 800 * DAY_US), max_size=20),
)
def test_each_month_has_all_its_days_in_whole_weeks_and_each_end_once(
    year: int, number: int, after: list[int]
) -> None:
    key = f"{year}-{number:02}"
    start_us = us(year, number, 15)
    people = [replace(DOE, about=f"o{at}", ends_us=start_us + one) for at, one in enumerate(after)]
    month = month_of(people, key, LOS_ANGELES, NOW_US)
    days = [one for week in month.weeks for one in week]
    assert {len(week) for week in month.weeks} == {7}
    assert {one.day.weekday() for one in days[::7]} == {calendar.SUNDAY}
    assert sum(one.within for one in days) == calendar.monthrange(year, number)[1]
    named = [each.about for one in days if one.within for each in one.ends]
    assert len(named) == len(set(named)) == month.count
    near = {
        f"o{at}"
        for at, one in enumerate(people)
        if datetime.fromtimestamp(one.ends_us // 1_000_000, LOS_ANGELES).strftime("%Y-%m") == key
    }
    assert set(named) == near
