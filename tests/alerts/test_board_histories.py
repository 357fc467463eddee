"""Wrongful stops that happened elsewhere, replayed: the alert is not confirmed and does not sound again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from alert_twins import entry, seen
from custody_twins import SteppedTime

from firmware.alerts.episodes import EPISODE_US
from storage.alert_life import AlertAnswer, AlertEvent, Fit, Outcome
from storage.errors import RefusedError
from storage.times import MINUTE_US

if TYPE_CHECKING:
    pass
from board_twins import MakeCar


def test_green_v_san_francisco_a_three_read_as_a_seven_is_not_confirmed(make_car: MakeCar) -> None:
    """5SOW350, a Lexus, was read as 5SOW750, a stolen GMC truck; no one looked at the picture."""
    car = make_car(entry("5SOW750", make="GMC", plate_class="truck"))
    (alert,) = car.passes(seen("5SOW750"))
    with pytest.raises(RefusedError, match="look at the image"):
        car.step(alert, AlertEvent.TRANSCRIBED, plate="5SOW350", state="US-CA")
    assert car.check(alert, "5SOW350") is AlertAnswer.WRONG_CHARACTER
    with pytest.raises(RefusedError, match="without action"):
        car.step(alert, AlertEvent.CLOSED, outcome=Outcome.STOP)
    assert [one.match.silent for one in car.passes(seen("5SOW750"))] == [("just checked",)]


def test_aurora_2020_the_right_text_of_another_states_motorcycle_does_not_sound(make_car: MakeCar) -> None:
    """A family's Colorado SUV; the entry was a Montana motorcycle with the same number."""
    car = make_car(entry("BTI268", state="US-MT", plate_class="motorcycle"))
    (alert,) = car.passes(seen("BTI268", state="US-CO"))
    assert not alert.match.sounds
    assert "state" in alert.match.disagrees
    assert car.check(alert, "BTI268", state="US-CO") is AlertAnswer.WRONG_STATE
    assert [one.match.sounds for one in car.passes(seen("BTI268", state="US-CO"))] == [False]


def test_aurora_2020_without_a_named_state_the_look_at_the_vehicle_ends_it(make_car: MakeCar) -> None:
    car = make_car(entry("BTI268", state="", plate_class="motorcycle"))
    (alert,) = car.passes(seen("BTI268", state=""))
    assert car.check(alert, "BTI268", state="", fit=Fit.NO) is AlertAnswer.NOT_THIS_VEHICLE


def test_toledo_2024_a_seven_read_as_a_two_is_not_confirmed(make_car: MakeCar) -> None:
    car = make_car(entry("JXA2214", state="US-OH"))
    (alert,) = car.passes(seen("JXA2214", state="US-OH"))
    assert car.check(alert, "JXA7214", state="US-OH") is AlertAnswer.WRONG_CHARACTER
    assert [one.match.sounds for one in car.passes(seen("JXA2214", state="US-OH"))] == [False]


def test_colorado_2026_o_and_zero_are_one_and_the_driver_is_checked_again_at_each_visit(
    make_car: MakeCar, time: SteppedTime
) -> None:
    car = make_car(entry("BQO512", state="US-CO", reason="warrant"))
    (alert,) = car.passes(seen("BQ0512", state="US-CO"))
    assert alert.match.twin
    assert car.check(alert, "BQ0512", state="US-CO", fit=Fit.NO) is AlertAnswer.NOT_THIS_VEHICLE
    for _ in range(3):
        time.run(EPISODE_US + MINUTE_US)
        (alert,) = car.passes(seen("BQ0512", state="US-CO"))
        assert car.passes(seen("BQO512", state="US-CO")) == []
        assert car.check(alert, "BQ0512", state="US-CO", fit=Fit.NO) is AlertAnswer.NOT_THIS_VEHICLE
