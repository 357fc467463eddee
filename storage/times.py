"""The project's times, int64 microseconds UTC since 1970: their units, a formatter and a parser.

Dates beyond the calendar (year 10000, negative) never raise: their number is shown.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from storage.errors import RecordError

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ONE = timedelta(microseconds=1)
_PRECISIONS = {
    "day": "%Y-%m-%d",
    "minute": "%Y-%m-%d %H:%M",
    "second": "%Y-%m-%d %H:%M:%S",
    "millisecond": "%Y-%m-%d %H:%M:%S.%f",
}


def now_us() -> int:
    """The system clock in microseconds UTC. For custody's trusted time see `storage.clock_trust`."""
    return time.time_ns() // 1000


def moment(us: int) -> datetime | None:
    """The time as an aware UTC datetime, exact; None beyond the calendar's range."""
    try:
        return _EPOCH + timedelta(microseconds=us)
    except OverflowError:
        return None


def us_of(at: datetime) -> int:
    """Microseconds UTC of an aware datetime, exact."""
    return (at - _EPOCH) // _ONE


def utc_text(us: int, *, to: str = "millisecond") -> str:
    """A time for people, truncated (not rounded) to day, minute, second or millisecond.

    "2026-11-26 17:30:05.123 UTC"; only a day: "2026-11-26".
    """
    at = moment(us)
    if at is None:
        return f"no date ({us} us)"
    text = at.strftime(_PRECISIONS[to])
    if to == "day":
        return text
    return (text[:-3] if to == "millisecond" else text) + " UTC"


def iso_text(us: int, *, to: str = "microsecond") -> str:
    """A time for programs, ISO 8601 ending in Z: "2026-11-26T17:30:05.123456Z", or `to` second or minute."""
    at = moment(us)
    if at is None:
        return str(us)
    precision = {"second": "seconds", "minute": "minutes"}.get(to, "auto")
    return at.isoformat(timespec=precision).replace("+00:00", "Z")


def margin_text(us: int) -> str:
    """A clock's error bound in one unit: 24 h, 90 min, 61 s, 0.9 ms."""
    for unit, length in (("h", HOUR_US), ("min", MINUTE_US), ("s", SECOND_US)):
        if us >= 2 * length:
            return f"{-(-us // length)} {unit}"  # rounded up, because it is a bound
    return f"{us / 1000:.1f} ms"


def day_text(day: int) -> str:
    """A day since 1970-01-01 as YYYY-MM-DD."""
    return utc_text(day * DAY_US, to="day")


def day_number(text: str) -> int:
    """The days since 1970-01-01 of a day in `day_text`'s form. Raises RecordError."""
    return parse_utc(text, where="day") // DAY_US


def parse_utc(text: str, *, where: str = "time", assume_utc: bool = False) -> int:
    """Microseconds UTC of an ISO 8601 time, or of a text of `utc_text` or `iso_text`.

    A date without a time means midnight UTC. A time without a zone is refused unless `assume_utc`.
    Raises RecordError.
    """
    trimmed = text.strip().removesuffix(" UTC")
    zoned = trimmed != text.strip()
    try:
        at = datetime.fromisoformat(trimmed)
    except ValueError:
        raise RecordError(
            "is not an ISO 8601 time", where=where, cure="write 2026-11-24 or 2026-11-24T03:15:00Z"
        ) from None
    if at.tzinfo is None:
        if not (zoned or assume_utc or len(trimmed) == len("2026-11-24")):
            raise RecordError("has no time zone", where=where, cure="end it in Z for UTC")
        at = at.replace(tzinfo=UTC)
    return us_of(at)
