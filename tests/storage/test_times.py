"""The formatter and the parser of UTC are exact and match each other, and every int64 can be shown."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import RecordError
from storage.times import (
    DAY_US,
    HOUR_US,
    MINUTE_US,
    SECOND_US,
    day_text,
    iso_text,
    now_us,
    parse_utc,
    utc_text,
)

AT_US = 1_795_715_045_123_456  # 2026-11-26 17:44:05.123456 UTC
LAST_US = 253_402_300_799_999_999  # the last microsecond of the year 9999


def test_the_units_are_what_a_clock_says() -> None:
    moment = datetime(2026, 11, 26, tzinfo=UTC).timestamp()
    assert datetime(2026, 11, 27, tzinfo=UTC).timestamp() - moment == DAY_US / 1e6
    assert (SECOND_US, MINUTE_US, HOUR_US, DAY_US) == (10**6, 60 * 10**6, 3600 * 10**6, 86_400 * 10**6)
    assert abs(now_us() / 1e6 - datetime.now(UTC).timestamp()) < 3600


@pytest.mark.parametrize(
    ("to", "text"),
    [
        ("day", "2026-11-26"),
        ("minute", "2026-11-26 17:44 UTC"),
        ("second", "2026-11-26 17:44:05 UTC"),
        ("millisecond", "2026-11-26 17:44:05.123 UTC"),
    ],
)
def test_a_time_for_people_is_cut_off_where_asked(to: str, text: str) -> None:
    assert utc_text(AT_US, to=to) == text
    assert utc_text(AT_US + 999, to="second") == "2026-11-26 17:44:05 UTC"


def test_a_time_for_programs_is_exact() -> None:
    assert iso_text(AT_US) == "2026-11-26T17:44:05.123456Z"
    assert iso_text(AT_US, to="second") == "2026-11-26T17:44:05Z"
    assert day_text(AT_US // DAY_US) == "2026-11-26"


@given(st.integers(0, LAST_US))
def test_what_is_written_is_read_back_to_the_same_microsecond(us: int) -> None:
    assert parse_utc(iso_text(us)) == us
    assert parse_utc(utc_text(us)) == us // 1000 * 1000
    assert parse_utc(utc_text(us, to="day")) == us // DAY_US * DAY_US


@given(st.integers(-(1 << 63), (1 << 63) - 1))
def test_no_time_is_too_far_away_to_be_shown(us: int) -> None:
    assert utc_text(us)
    assert iso_text(us)


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-13-01", "2026-11-26T25:00Z", "2026-11-26 17:44", "1e9"]
)
def test_what_is_not_a_time_is_refused_with_its_field(text: str) -> None:
    with pytest.raises(RecordError) as refused:
        parse_utc(text, where="filter.since")
    assert refused.value.where == "filter.since"
    assert refused.value.cure


def test_a_zone_is_followed_and_utc_is_assumed_only_where_allowed() -> None:
    assert parse_utc("2026-11-26T09:44:05.123456-08:00") == AT_US
    assert parse_utc("2026-11-26T17:44:05", assume_utc=True) == AT_US - 123_456
