"""When the uplink syncs: windows, interval, jitter, conditions, back-off."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sync.errors import InvalidInputError
from sync.schedule import Conditions, Go, Past, Schedule, Wait, Window, decide

NOON = int(datetime(2026, 5, 1, 12, tzinfo=UTC).timestamp()) * 1_000_000
SECOND = 1_000_000
NIGHT = Window(start_min=22 * 60, end_min=4 * 60)


def wait(schedule: Schedule, conditions: Conditions, past: Past, *, alert: bool = False) -> Wait:
    decision = decide(schedule, conditions, past, now_us=NOON, alert=alert)
    assert isinstance(decision, Wait)
    return decision


def test_a_fresh_unit_syncs_at_once() -> None:
    assert decide(Schedule(), Conditions(), Past(), now_us=NOON, alert=False) == Go()


def test_the_interval_is_kept_and_spread_by_the_jitter() -> None:
    schedule = Schedule(interval_s=600, jitter=0.5)
    early = wait(schedule, Conditions(), Past(tried_us=NOON, jitter_draw=-1.0))
    late = wait(schedule, Conditions(), Past(tried_us=NOON, jitter_draw=1.0))
    assert (early.until_us - NOON, late.until_us - NOON) == (300 * SECOND, 900 * SECOND)


def test_outside_its_windows_a_unit_waits_for_the_next() -> None:
    held = wait(Schedule(windows=(NIGHT,)), Conditions(), Past())
    assert (held.until_us, held.why) == (NOON + 10 * 3600 * SECOND, "outside the windows")


def test_a_window_opens_by_the_departments_time_of_day_where_it_has_said_it() -> None:
    """With a clock ten hours off, it would sync by day, on a line that the department keeps free."""
    schedule, night = Schedule(windows=(NIGHT,)), NOON + 10 * 3600 * SECOND
    held = decide(schedule, Conditions(), Past(), now_us=night, day_us=NOON, alert=False)
    assert held == Wait(night + 10 * 3600 * SECOND, "outside the windows")
    assert decide(schedule, Conditions(), Past(), now_us=NOON, day_us=night, alert=False) == Go()


def test_a_window_may_run_over_midnight() -> None:
    assert [NIGHT.holds(hour * 60) for hour in (21, 22, 23, 0, 3, 4)] == [
        False,
        True,
        True,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("schedule", "conditions", "past", "why"),
    [
        pytest.param(Schedule(), Conditions(network=None), Past(), "no network", id="no network"),
        pytest.param(
            Schedule(networks=("depot",)),
            Conditions(network="cafe"),
            Past(),
            "cafe",
            id="not the depot's Wi-Fi",
        ),
        pytest.param(
            Schedule(only_on_mains=True), Conditions(on_mains=False), Past(), "mains", id="on battery"
        ),
        pytest.param(
            Schedule(metered_bytes_per_day=10),
            Conditions(metered=True),
            Past(metered_bytes_today=10),
            "quota",
            id="the day's quota is used",
        ),
        pytest.param(
            Schedule(), Conditions(), Past(tried_us=NOON, failures=3), "3 failures", id="backing off"
        ),
    ],
)
def test_conditions_hold_the_uplink_back_with_a_reason(
    schedule: Schedule, conditions: Conditions, past: Past, why: str
) -> None:
    assert why in wait(schedule, conditions, past).why


def test_an_alert_does_not_wait_for_a_window_but_takes_nothing_else_along() -> None:
    schedule = Schedule(windows=(NIGHT,), networks=("depot",))
    decision = decide(schedule, Conditions(network="cell", metered=True), Past(), now_us=NOON, alert=True)
    assert decision == Go(alerts_only=True, for_alert=True)


def test_an_alert_without_a_network_waits() -> None:
    assert wait(Schedule(), Conditions(network=None), Past(), alert=True).why == "no network"


@given(
    tried_s=st.integers(0, 3600), failures=st.integers(0, 40), alert_s=st.integers(0, 3600),
    alert_failures=st.integers(0, 40), alert=st.booleans(), draw=st.floats(-1, 1),
)  # fmt: skip
def test_what_an_alert_started_moves_nothing_of_the_schedule(
    tried_s: int, failures: int, alert_s: int, alert_failures: int, alert: bool, draw: float
) -> None:
    plain = Past(tried_us=NOON - tried_s * SECOND, failures=failures, jitter_draw=draw)
    after = replace(plain, alert_tried_us=NOON - alert_s * SECOND, alert_failures=alert_failures)
    decided = decide(Schedule(), Conditions(), after, now_us=NOON, alert=alert)
    if decided != Go(for_alert=True):
        assert decided == decide(Schedule(), Conditions(), plain, now_us=NOON, alert=False)
    else:
        assert alert


@pytest.mark.parametrize(("failures", "waits_s"), [(0, 0), (1, 4), (2, 8), (3, 12), (40, 12)])
def test_an_alert_backs_off_from_its_own_failures_for_seconds(failures: int, waits_s: int) -> None:
    past = Past(tried_us=NOON, failures=9, alert_tried_us=NOON, alert_failures=failures, jitter_draw=-1.0)
    for after_s in range(20):
        decided = decide(Schedule(), Conditions(), past, now_us=NOON + after_s * SECOND, alert=True)
        assert (decided == Go(for_alert=True)) is (after_s >= waits_s)


@given(failures=st.integers(1, 200), draw=st.floats(-1, 1))
def test_back_off_doubles_up_to_its_ceiling(failures: int, draw: float) -> None:
    schedule = Schedule(first_retry_s=5, last_retry_s=1800, jitter=0.2)
    past = Past(tried_us=NOON, failures=failures, jitter_draw=draw)
    seconds = (wait(schedule, Conditions(), past).until_us - NOON) / SECOND
    expected = min(5 * 2 ** (failures - 1), 1800)
    assert expected * 0.79 <= seconds <= expected * 1.21


@given(st.integers(0, 1439), st.integers(1, 1440), st.integers(0, 1439))
def test_the_wait_for_a_window_ends_inside_it(start: int, end: int, minute: int) -> None:
    window = Window(start_min=start, end_min=end)
    assume(start != end % 1440)
    assert window.holds((minute + window.minutes_until(minute)) % 1440)


@pytest.mark.parametrize(
    "schedule",
    [Schedule(interval_s=1), Schedule(jitter=0.9), Schedule(windows=(Window(start_min=2000, end_min=1),))],
)
def test_a_schedule_out_of_range_is_refused(schedule: Schedule) -> None:
    with pytest.raises(InvalidInputError, match="sync"):
        schedule.check()
