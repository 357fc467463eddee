"""A site's habit: a rate of reads that cannot be chance raises an alarm, a quiet hour does not."""

import json
from pathlib import Path

import pytest

from firmware.health.read_habit import ReadHabit
from storage.times import HOUR_US, MINUTE_US

T0_US = 1_777_777_200_000_000  # a whole hour


def traffic(habit: ReadHabit, now_us: int, hours: float, an_hour: int) -> int:
    """Simulate steady traffic. Returns the time after it."""
    until_us = now_us + round(hours * HOUR_US)
    while now_us < until_us:
        now_us += MINUTE_US
        habit.tick(now_us)
        minute = now_us // MINUTE_US % 60
        for _ in range(an_hour * (minute + 1) // 60 - an_hour * minute // 60):
            habit.read(now_us)
    return now_us


def weeks(habit: ReadHabit, count: int, an_hour: int) -> int:
    """Simulate weeks of steady traffic. Returns the time after them."""
    habit.tick(T0_US)
    return traffic(habit, T0_US, count * 168, an_hour)


def test_a_plate_rate_that_drops_raises_an_alarm_once_it_cannot_be_chance() -> None:
    habit = ReadHabit()
    now_us = weeks(habit, 2, 20)
    assert habit.usual(now_us) == 20
    now_us = traffic(habit, now_us, 1 / 6, 0)
    assert not habit.too_quiet(now_us)
    now_us = traffic(habit, now_us, 1 / 3, 0)
    assert habit.too_quiet(now_us)
    for _ in range(8):
        habit.read(now_us)
    assert not habit.too_quiet(now_us)


def test_a_rate_that_stays_low_is_an_alarm_without_a_gap_at_the_full_hour() -> None:
    habit = ReadHabit()
    now_us = traffic(habit, weeks(habit, 2, 60), 0.5, 6)
    for _ in range(180):
        now_us = traffic(habit, now_us, 1 / 60, 6)
        assert habit.too_quiet(now_us)


@pytest.mark.one_python
def test_an_empty_road_for_some_minutes_is_not_an_alarm_however_busy_it_is() -> None:
    habit = ReadHabit()
    now_us = weeks(habit, 2, 600)
    for _ in range(10):
        now_us = traffic(habit, now_us, 1 / 60, 0)
        assert not habit.too_quiet(now_us)


@pytest.mark.one_python
def test_a_holiday_with_two_thirds_of_the_traffic_is_not_an_alarm() -> None:
    habit = ReadHabit()
    now_us = weeks(habit, 2, 600)
    for _ in range(24 * 6):
        now_us = traffic(habit, now_us, 1 / 6, 400)
        assert not habit.too_quiet(now_us)


@pytest.mark.one_python
def test_an_hour_of_daylight_saving_is_not_an_alarm_on_either_day_of_the_year() -> None:
    """The rush hour comes an hour earlier or later by UTC."""
    rush = [400 if 6 <= hour < 9 or 15 <= hour < 18 else 100 for hour in range(24)]
    for shift in (-1, 1):
        habit = ReadHabit()
        now_us = T0_US
        habit.tick(now_us)
        for hour in range(24 * 14):
            now_us = traffic(habit, now_us, 1, rush[hour % 24])
        for hour in range(24 * 7):
            for _ in range(6):
                now_us = traffic(habit, now_us, 1 / 6, rush[(hour + shift) % 24])
                assert not habit.too_quiet(now_us)


def test_a_quiet_site_that_goes_blind_is_an_alarm_within_hours() -> None:
    habit = ReadHabit()
    now_us = traffic(habit, weeks(habit, 2, 4), 2, 0)
    assert not habit.too_quiet(now_us)
    assert habit.too_quiet(traffic(habit, now_us, 2, 0))


def test_a_clock_that_is_set_takes_no_missing_reads_with_it() -> None:
    habit = ReadHabit()
    now_us = traffic(habit, weeks(habit, 2, 60), 1 / 12, 60)
    for step_us in (40 * MINUTE_US, -30 * MINUTE_US, 5 * HOUR_US):
        now_us += step_us
        habit.tick(now_us)
        assert not habit.too_quiet(now_us)
        now_us = traffic(habit, now_us, 1 / 4, 60)
        assert not habit.too_quiet(now_us)


def test_an_hour_in_which_the_camera_was_blind_teaches_nothing() -> None:
    habit = ReadHabit()
    now_us = weeks(habit, 1, 20)
    habit.blind()
    traffic(habit, now_us, 1, 0)
    assert habit.usual(now_us) == 20


def test_an_hour_that_is_always_quiet_is_not_an_alarm() -> None:
    habit = ReadHabit()
    now_us = weeks(habit, 2, 1)
    assert not habit.too_quiet(now_us + HOUR_US - 1)
    assert not ReadHabit().too_quiet(now_us)


def test_an_hour_in_which_the_unit_was_off_teaches_nothing() -> None:
    habit = ReadHabit()
    now_us = weeks(habit, 1, 20)
    habit.tick(now_us + HOUR_US // 2)
    habit.tick(now_us + 3 * HOUR_US + HOUR_US // 2)
    assert habit.usual(now_us + HOUR_US) == 20


def test_a_habit_survives_a_restart_and_a_damaged_file_is_forgotten(tmp_path: Path) -> None:
    habit, path = ReadHabit(), tmp_path / "habit.json"
    now_us = weeks(habit, 1, 7)
    habit.save(path)
    assert ReadHabit.load(path).usual(now_us) == 7
    for damage in ("", "[]", '{"reads_an_hour": [1]}', '{"reads_an_hour": ' + json.dumps([-1] * 168) + "}"):
        path.write_text(damage)
        assert ReadHabit.load(path).usual(now_us) is None
