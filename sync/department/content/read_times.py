"""Whether a read's time may be believed: its unit's clock may be days or years off. No I/O.

Two things are known without any unit's clock: a read was not made after it arrived, and a unit whose clock
knew no time says so. The day of receipt is the department's own, and keeps the year of 463.8.
"""

from __future__ import annotations

from enum import StrEnum

from storage.read_records import ReadPlace
from storage.record_base import ClockState
from storage.times import DAY_US, MINUTE_US

SLACK_US = 10 * MINUTE_US  # two honest clocks may differ by so much


class TimeDoubt(StrEnum):
    """Why the time of a read is not believed."""

    NONE = ""
    AFTER_ARRIVAL = "after-arrival"
    CLOCK_UNKNOWN = "clock-unknown"


def doubt_of(place: ReadPlace, day: int | None) -> TimeDoubt:
    """Why it is not believed. `day`: of receipt, since 1970-01-01; None where that is not known."""
    if day is not None and place.first_us > (day + 1) * DAY_US + SLACK_US:
        return TimeDoubt.AFTER_ARRIVAL
    return TimeDoubt.CLOCK_UNKNOWN if place.clock_state is ClockState.UNKNOWN else TimeDoubt.NONE


def is_asked_for(place: ReadPlace, since_us: int, until_us: int, day: int | None) -> bool:
    """Whether a search of this time asks for a read.

    By the time that it says. One that cannot be of that time, or whose clock knew none and said one of more
    than its own bound before its `day` of receipt, is asked for by that day too: no other search finds it.
    """
    if place.first_us < until_us and place.last_us >= since_us:
        return True
    doubt = doubt_of(place, day)
    if (
        day is None
        or doubt is TimeDoubt.NONE
        or not (day * DAY_US < until_us and (day + 1) * DAY_US > since_us)
    ):
        return False
    return doubt is TimeDoubt.AFTER_ARRIVAL or place.last_us + place.time_error_us < day * DAY_US
