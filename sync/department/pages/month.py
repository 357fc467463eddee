"""One month as a table of weeks, with what ends on each day of the department's calendar. No I/O."""

from __future__ import annotations

import calendar
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, tzinfo

from sync.department.desk.owed import Ending
from sync.department.ground.local_time import local
from sync.department.policy.refusals import FormError

AHEAD = 13  # the months whose counts are shown: this one and the year after it
_MONTH = re.compile(r"2\d{3}-(0[1-9]|1[0-2])")
_SUNDAY_FIRST = calendar.Calendar(calendar.SUNDAY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One day. `within`: whether it is in the month that is shown; `ends`: what ends then."""

    day: date
    within: bool
    ends: tuple[Ending, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """A month to go to, and how much ends in it."""

    key: str
    name: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """One month, in weeks from Sunday to Saturday."""

    key: str
    name: str
    before: str
    after: str
    today: date
    weeks: tuple[tuple[Day, ...], ...]
    count: int
    ahead: tuple[Ahead, ...]


def month_of(found: Collection[Ending], asked: str, zone: tzinfo, now_us: int) -> Month:
    """The month `asked` (YYYY-MM; empty for this one). Raises FormError."""
    today = local(now_us, zone).date()
    if asked and not _MONTH.fullmatch(asked):
        raise FormError(
            "month: is not a month, such as 2026-11",
            code="month",
            clause="463.9",
            cure="follow the links of the calendar",
        )
    year, number = (int(part) for part in asked.split("-")) if asked else (today.year, today.month)
    ends = [(local(one.ends_us, zone).date(), one) for one in found if one.ends_us > 0]
    return Month(
        key=_key(year, number),
        name=_name(year, number),
        before=_key(*_moved(year, number, -1)),
        after=_key(*_moved(year, number, 1)),
        today=today,
        weeks=tuple(_week(days, number, ends) for days in _SUNDAY_FIRST.monthdatescalendar(year, number)),
        count=_count(ends, year, number),
        ahead=tuple(
            Ahead(key=_key(*month), name=_name(*month), count=_count(ends, *month))
            for month in (_moved(today.year, today.month, by) for by in range(AHEAD))
        ),
    )


def _week(days: Sequence[date], month: int, ends: Iterable[tuple[date, Ending]]) -> tuple[Day, ...]:
    return tuple(
        Day(day=day, within=day.month == month, ends=tuple(one for end, one in ends if end == day))
        for day in days
    )


def _moved(year: int, month: int, by: int) -> tuple[int, int]:
    months = year * 12 + month - 1 + by
    return months // 12, months % 12 + 1


def _count(ends: Iterable[tuple[date, Ending]], year: int, month: int) -> int:
    return sum((end.year, end.month) == (year, month) for end, _ in ends)


def _key(year: int, month: int) -> str:
    return f"{year:04}-{month:02}"


def _name(year: int, month: int) -> str:
    return f"{calendar.month_name[month]} {year}"
