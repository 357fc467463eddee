"""The department's local time: the zone of its shifts and of the days that people type.

Most zones have two offsets a year; a fixed offset would shift everything by an hour from March to November.
No I/O beyond the machine's time zone data.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from storage.errors import RecordError
from storage.times import moment, us_of, utc_text

MAX_OFFSET_MIN = 14 * 60
LAST_S = 253_402_214_400  # 9999-12-31: a unit's clock may show anything
_FIXED = re.compile(r"UTC([+-])(\d{2}):(\d{2})")


def zone_of(name: str) -> tzinfo:
    """The zone with an IANA name (America/Los_Angeles), or a fixed one as UTC+HH:MM. Raises RecordError."""
    fixed = _FIXED.fullmatch(name)
    if fixed is not None:
        minutes = int(fixed[2]) * 60 + int(fixed[3])
        if int(fixed[3]) >= 60 or minutes > MAX_OFFSET_MIN:
            raise RecordError("no clock is that far from UTC", where="policy.time_zone")
        return timezone(timedelta(minutes=-minutes if fixed[1] == "-" else minutes))
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise RecordError(
            "is not a time zone that this machine knows: write an IANA name such as America/Los_Angeles, or "
            "UTC-08:00 for a fixed one; where no name is known, its data are missing (apt install tzdata)",
            where="policy.time_zone",
        ) from None


def fixed_name(offset_min: int) -> str:
    """The name of a fixed offset, for `zone_of`."""
    hours, minutes = divmod(abs(offset_min), 60)
    return f"UTC{'-' if offset_min < 0 else '+'}{hours:02}:{minutes:02}"


def local(at_us: int, zone: tzinfo) -> datetime:
    """The local time, to the second; for a time beyond the calendar, its last day."""
    return datetime.fromtimestamp(min(at_us // 1_000_000, LAST_S), zone)


def clock_text(at_us: int, zone: tzinfo, form: str) -> str:
    """The local time in a format; in the hour that repeats, with the zone's name: 01:30 PST."""
    here = local(at_us, zone)
    repeated = here.replace(fold=1 - here.fold).utcoffset() != here.utcoffset()
    return f"{here:{form}} {here:%Z}" if repeated else f"{here:{form}}"


def typed_us(typed: datetime, zone: tzinfo, *, later: bool) -> int:
    """Converts a typed local time to UTC microseconds. Raises RecordError for one that did not exist.

    `later`: which moment it is if the clocks showed it twice.
    """
    first, second = (us_of(typed.replace(tzinfo=zone, fold=fold)) for fold in (0, 1))
    if first > second:
        near = " or ".join(f"{local(one, zone):%Y-%m-%d %H:%M}" for one in (second, first))
        raise RecordError(f"that time does not exist, because clocks went forward: type {near}", where="time")
    return second if later else first


def both_text(at_us: int, zone: tzinfo) -> str:
    """A time in UTC and in local time: "2026-09-21 13:26:40.000 UTC (06:26:40 PDT)".

    The local date is included if it differs.
    """
    at = moment(at_us)
    if at is None:
        return utc_text(at_us)
    here = at.astimezone(zone)
    return f"{utc_text(at_us)} ({here:{'%H:%M:%S' if here.date() == at.date() else '%Y-%m-%d %H:%M:%S'} %Z})"


def end_of_day_us(day: datetime, zone: tzinfo) -> int:
    """When a day, given without a zone, ends in local time, as UTC microseconds."""
    return us_of((day + timedelta(days=1)).replace(tzinfo=zone))
