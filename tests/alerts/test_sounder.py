"""The buzzer sounds until a person looks, and the lamp is lit until one answers, even if a part fails."""

from __future__ import annotations

import io
import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alert_twins import HEAD, KNOWN, NOW_US, Held, entry, plate_box, seen

from firmware.alerts.board import OpenAlert
from firmware.alerts.matching import match
from firmware.alerts.page_server import Feed
from firmware.alerts.sounder import BEEP_S, PAUSE_S, Sounder, sounding
from firmware.console.selftest import _sounder
from firmware.run.field_parts import lamp_pins
from firmware.settings.config import Config, PartsSettings, load_config, write_config
from hw.errors import MissingDriverError, PartFailedError
from hw.lamps import GpioLamps, Lamp, Lamps, RememberedLamps
from hw.late_parts import LateLamps
from storage.alert_life import AlertAnswer, AlertEvent, AlertState, AlertStep
from storage.alert_terms import DEFAULT_ALERTS
from sync.event_log import event_log

PLATE = "7XKR219"


def raised(number: int = 4, *, state: str = "US-CA", **fields: Any) -> OpenAlert:
    """An alert as the board reports it; `state`: the jurisdiction that the reader named."""
    held = Held([entry(PLATE, **fields)], HEAD)
    (found,) = match(seen(PLATE, state=state), plate_box(), [held], DEFAULT_ALERTS, KNOWN, NOW_US)
    return OpenAlert(
        number=number, read=3, says="Stolen vehicle", entry=found.entry, entry_digest=found.entry_digest,
        match=found, state=AlertState(raised_us=NOW_US), last_us=NOW_US,
    )  # fmt: skip


def after(alert: OpenAlert, step: AlertEvent, **fields: Any) -> OpenAlert:
    made = AlertStep(step=step, user="o.diaz", role="", at_us=NOW_US, **fields)
    return replace(alert, state=alert.state.after(made))


class Car:
    """A sounder with a clock that a test steps."""

    def __init__(self, lamps: Lamps | None = None, longest_s: float = 10.0) -> None:
        self.now_s = 100.0
        self.said = io.StringIO()
        self.lamps = lamps or RememberedLamps()
        self.sounder = Sounder(
            self.lamps, longest_s=longest_s, log=event_log(self.said), monotonic=lambda: self.now_s
        )

    def tell(self, alert: OpenAlert, what: str = "raised") -> None:
        self.sounder.changed(alert, what)
        self.sounder.look()

    def passes(self, seconds: float) -> float:
        """Let time pass as the thread would. Returns how long the buzzer was on."""
        heard, until = 0.0, self.now_s + seconds
        while self.now_s < until - 1e-9:
            wait = max(0.01, min(self.sounder.look(), until - self.now_s))
            heard += wait if "buzzer" in self.lamps.lit else 0.0
            self.now_s += wait
        self.sounder.look()
        return heard


def test_an_alert_beeps_until_it_is_seen_and_is_lit_until_it_is_answered() -> None:
    car, alert = Car(), raised()
    car.tell(alert)
    assert car.lamps.lit == {"buzzer", "alert"}
    share = BEEP_S / (BEEP_S + PAUSE_S)
    assert car.passes(4.0) == pytest.approx(4.0 * share, abs=BEEP_S)
    shown = after(alert, AlertEvent.SHOWN)
    car.tell(shown, "shown")
    car.passes(BEEP_S)
    assert car.lamps.lit == {"alert"}
    assert car.passes(20.0) == 0.0
    typed = after(shown, AlertEvent.TRANSCRIBED, plate=PLATE)
    car.tell(typed, "transcribed")
    assert car.lamps.lit == {"alert"}
    car.tell(after(typed, AlertEvent.ANSWERED, answer=AlertAnswer.CONFIRMED), "answered")
    assert car.lamps.lit == frozenset()


def test_an_alert_that_is_seen_at_once_is_still_heard_for_one_beep() -> None:
    car, alert = Car(), raised()
    car.tell(alert)
    car.tell(after(alert, AlertEvent.SHOWN), "shown")
    assert "buzzer" in car.lamps.lit
    assert car.passes(10.0) == pytest.approx(BEEP_S, abs=0.05)


def test_an_unanswered_alert_is_silent_after_the_configured_time_and_leaves_the_lamp() -> None:
    car = Car(longest_s=3.0)
    car.tell(raised())
    assert 0.0 < car.passes(60.0) <= 3.0 + BEEP_S
    assert car.lamps.lit == {"alert"}


@pytest.mark.parametrize(
    "alert",
    [
        pytest.param(raised(state="US-TX"), id="another state"),
        pytest.param(raised(recipients=("super",)), id="covert entry"),
    ],
)
def test_what_does_not_sound_is_neither_heard_nor_lit(alert: OpenAlert) -> None:
    car = Car()
    car.tell(alert)
    assert car.passes(5.0) == 0.0
    assert car.lamps.lit == frozenset()


@pytest.mark.parametrize("step", [AlertEvent.RECALLED, AlertEvent.CLOSED])
def test_an_alert_that_is_recalled_or_closed_is_quiet(step: AlertEvent) -> None:
    car, alert = Car(), raised()
    car.tell(alert)
    car.tell(after(alert, step), str(step))
    car.passes(BEEP_S)
    assert car.lamps.lit == frozenset()


def test_a_second_alert_sounds_although_the_first_was_seen() -> None:
    car, first, second = Car(), raised(4), raised(9)
    car.tell(first)
    car.tell(second)
    car.tell(after(first, AlertEvent.SHOWN), "shown")
    assert car.passes(5.0) > 1.0
    car.tell(after(second, AlertEvent.VIEWED), "viewed")
    car.passes(BEEP_S)
    assert "buzzer" not in car.lamps.lit


def test_a_part_that_fails_is_reported_once_tried_again_and_says_nothing_of_the_vehicle() -> None:
    mock = pytest.importorskip("gpiozero.pins.mock")
    factory = mock.MockFactory()
    lamps = GpioLamps(buzzer_pin=12, alert_pin=16, pin_factory=factory)
    pin, works = factory.pin(12), {}

    def fail(*_: object) -> None:
        raise OSError("bad handle")

    works["set"] = pin._set_state
    pin._set_state = fail
    car = Car(lamps)
    car.tell(raised())
    car.passes(2.0)
    assert "alert" in lamps.lit
    assert len(car.sounder.troubles) == 1
    lines = [json.loads(line) for line in car.said.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["sounder_failed"]
    assert PLATE not in car.said.getvalue()
    pin._set_state = works["set"]
    assert car.passes(2.0) > 0.0
    assert car.sounder.troubles == ()
    lamps.close()
    factory.reset()


def test_a_buzzer_that_comes_late_is_an_alarm_until_it_comes_and_then_sounds() -> None:
    there: list[Lamps] = []

    def opening() -> Lamps:
        if not there:
            raise MissingDriverError("GPIO 12 (buzzer) cannot be used")
        return there[0]

    now_s = [0.0]
    lamps = LateLamps(opening, monotonic=lambda: now_s[0])
    assert lamps.trouble is not None
    car = Car(lamps)
    car.tell(raised())
    there.append(RememberedLamps())
    now_s[0] = 10.0
    lamps.tend()
    assert lamps.trouble is None
    assert lamps.lit >= {"alert"}


def test_the_thread_is_woken_by_an_alert_and_leaves_all_quiet() -> None:
    lamps = RememberedLamps()
    sounder = Sounder(lamps, longest_s=60.0, log=event_log(io.StringIO()))
    heard = threading.Event()
    switch = lamps.switch

    def told(lamp: Lamp, *, on: bool) -> None:
        switch(lamp, on=on)
        if lamp is Lamp.BUZZER and on:
            heard.set()

    lamps.switch = told  # type: ignore[method-assign]
    with sounding(sounder):
        sounder.changed(raised(), "raised")
        assert heard.wait(300)
    assert lamps.lit == frozenset()


def test_the_configuration_names_the_pins_and_the_self_test_switches_them(tmp_path: Path) -> None:
    write_config(tmp_path, Config(parts=PartsSettings(buzzer_pin=12, alert_pin=16)))
    parts = load_config(tmp_path).parts
    assert lamp_pins(parts) == {"buzzer_pin": 12, "alert_pin": 16}
    lamps = RememberedLamps()
    check = _sounder(lambda: lamps)
    assert (check.good, check.detail) == (True, "switched: alert, buzzer")
    assert lamps.lit == frozenset()

    def absent() -> Lamps:
        raise PartFailedError("GPIO of the buzzer does not answer")

    assert _sounder(absent).good is False


def test_a_page_shows_a_covert_alert_to_its_recipients_alone() -> None:
    feed = Feed()
    with feed.listening() as words:
        feed.changed(raised(recipients=("super",)), "raised")
        feed.changed(raised(), "raised")
        assert [words.get(timeout=300).recipients for _ in range(2)] == [("super",), None]
