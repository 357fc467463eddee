"""Whether a read's time can be trusted: its unit's clock may be days or years off. No I/O.

Two things are known regardless of the unit's clock: a read was not made after it arrived, and a unit whose
clock had no time says so. The day of receipt is the department's own, and the year of 463.8 counts from it.
"""

from __future__ import annotations

from enum import StrEnum

from storage.read_records import ReadPlace
from storage.record_base import ClockState
from storage.times import DAY_US, MINUTE_US

SLACK_US = 10 * MINUTE_US  # two correct clocks may differ by this much


class TimeDoubt(StrEnum):
    """Why the time of a read is not trusted."""

    NONE = ""
    AFTER_ARRIVAL = "after-arrival"
    CLOCK_UNKNOWN = "clock-unknown"


def doubt_of(place: ReadPlace, day: int | None) -> TimeDoubt:
    """Why a read's time is not trusted, if so. `day`: of receipt, since 1970-01-01; None if unknown."""
    if day is not None and place.first_us > (day + 1) * DAY_US + SLACK_US:
        return TimeDoubt.AFTER_ARRIVAL
    return TimeDoubt.CLOCK_UNKNOWN if place.clock_state is ClockState.UNKNOWN else TimeDoubt.NONE


def is_asked_for(place: ReadPlace, since_us: int, until_us: int, day: int | None) -> bool:
    """Whether a search for this time covers a read.

    It goes by the read's own time. A read that claims to be from after its arrival, or whose clock had no
    time and was behind its `day` of receipt by more than its own bound, is also covered by that day, since no
    other search would find it.
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
