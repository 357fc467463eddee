"""After the ignition turns off: keep reading for a while, stop, and be down before the capacitor is empty."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.power import IgnitionPolicy, IgnitionWatch, PowerOrder, Supply

POLICY = IgnitionPolicy(linger_s=60, reserve_s=30, shutdown_s=12)


def supply(*, ignition: bool | None, undervoltage: bool = False) -> Supply:
    return Supply(ignition=ignition, undervoltage=undervoltage, throttled=False)


def test_a_short_stop_of_the_engine_changes_nothing() -> None:
    watch = IgnitionWatch(POLICY)
    assert watch.step(supply(ignition=False), 0) is PowerOrder.RUN
    assert watch.step(supply(ignition=False), 59) is PowerOrder.RUN
    assert watch.step(supply(ignition=True), 60) is PowerOrder.RUN
    assert watch.step(supply(ignition=False), 61) is PowerOrder.RUN


def test_a_parked_vehicle_stops_reading_then_powers_off() -> None:
    watch = IgnitionWatch(POLICY)
    orders = [watch.step(supply(ignition=False), second) for second in range(0, 90)]
    assert orders[59:61] == [PowerOrder.RUN, PowerOrder.STOP_READING]
    assert orders[-1] is PowerOrder.POWER_OFF


def test_an_engine_started_while_stopping_keeps_reading() -> None:
    watch = IgnitionWatch(POLICY)
    watch.step(supply(ignition=False), 0)
    assert watch.step(supply(ignition=False), 61) is PowerOrder.STOP_READING
    assert watch.step(supply(ignition=True), 62) is PowerOrder.RUN


def test_power_off_is_final() -> None:
    watch = IgnitionWatch(POLICY)
    watch.step(supply(ignition=False), 0)
    assert watch.step(supply(ignition=False), 200) is PowerOrder.POWER_OFF
    assert watch.step(supply(ignition=True), 201) is PowerOrder.POWER_OFF


def test_undervoltage_with_the_ignition_on_is_not_a_reason_to_stop() -> None:
    watch = IgnitionWatch(POLICY)
    assert watch.step(supply(ignition=True, undervoltage=True), 0) is PowerOrder.RUN


@settings(deadline=None)
@given(off_at=st.floats(0, 1000), failing_after=st.floats(0, 100), every_s=st.floats(0.1, 2.0))
def test_the_unit_is_always_down_before_the_capacitor_is_empty(
    off_at: float, failing_after: float, every_s: float
) -> None:
    watch, now_s, failing_at = IgnitionWatch(POLICY), off_at, off_at + failing_after
    while (
        watch.step(supply(ignition=False, undervoltage=now_s >= failing_at), now_s)
        is not PowerOrder.POWER_OFF
    ):
        now_s += every_s
    assert now_s + POLICY.shutdown_s <= failing_at + POLICY.reserve_s + 1e-6 or now_s < failing_at


def test_a_policy_without_time_for_the_shutdown_is_refused() -> None:
    with pytest.raises(ValueError, match="shutdown_s"):
        IgnitionPolicy(reserve_s=10, shutdown_s=12)


def test_a_flickering_voltage_alarm_does_not_restart_the_capacitors_time() -> None:
    watch = IgnitionWatch(IgnitionPolicy(linger_s=3600, reserve_s=30, shutdown_s=12))
    orders = [
        watch.step(supply(ignition=False, undervoltage=second % 4 == 0), second) for second in range(10)
    ]
    assert orders[0] is PowerOrder.STOP_READING
    assert orders[9] is PowerOrder.POWER_OFF


def test_a_low_voltage_with_the_ignition_on_takes_nothing_of_the_capacitors_time() -> None:
    watch = IgnitionWatch(IgnitionPolicy(linger_s=3600, reserve_s=30, shutdown_s=12))
    assert watch.step(supply(ignition=True, undervoltage=True), 0) is PowerOrder.RUN
    assert watch.step(supply(ignition=False, undervoltage=True), 100) is PowerOrder.STOP_READING


def test_one_dip_on_a_feed_that_holds_stops_the_reading_for_seconds_and_powers_nothing_off() -> None:
    watch = IgnitionWatch(IgnitionPolicy(linger_s=3600, reserve_s=30, shutdown_s=12))
    orders = [watch.step(supply(ignition=False, undervoltage=second == 5), second) for second in range(100)]
    assert orders[5] is PowerOrder.STOP_READING
    assert set(orders[10:]) == {PowerOrder.RUN}
