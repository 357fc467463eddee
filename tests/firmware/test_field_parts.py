"""The parts that a configuration names, on a machine that has none of them."""

from firmware.field_parts import clock_of
from hw.clock import ClockState


def test_a_clock_set_by_hand_is_holdover_on_a_machine_without_any_source() -> None:
    clock = clock_of(None)
    clock.set_by_hand()
    assert clock.now().state is ClockState.HOLDOVER
