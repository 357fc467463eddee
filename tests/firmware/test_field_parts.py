"""The parts of a running unit: a lasting failure is named, and a part that comes back is used again."""

from __future__ import annotations

import io
import os
import pty
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from reader_process import TWO_CARS
from waiting import until

from firmware.custody import opening
from firmware.run import field_parts, run_ledger
from firmware.run.app import run
from firmware.run.prepared_home import prepare_home
from firmware.run.run_result import RunOptions
from firmware.settings.config import Config, PartsSettings
from hw import late_parts, nmea_receiver
from hw.chrony import ScriptedDaemon, Tracking
from hw.clock import TimeState
from hw.errors import MissingDriverError
from hw.lamps import Lamp, RememberedLamps
from hw.position import nmea_second
from hw.power import PowerOrder, ScriptedPower
from hw.rtc import ScriptedRtc


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, value in (
        (field_parts, "REFRESH_S", 0.02), (field_parts, "LASTING_S", 0.1),
        (field_parts, "LATE_DAEMON_S", 0.1), (nmea_receiver, "REOPEN_S", 0.05),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, value)


def no_chrony() -> ScriptedDaemon:
    raise MissingDriverError("no chrony")


def say_until(hands: int, seen: Callable[[], object]) -> None:
    """Let a receiver repeat its position: on a busy machine, a single one is soon too old."""
    until(lambda: os.write(hands, nmea_second(datetime.now(UTC), 34.0, -118.0)) and seen())


def test_a_clock_set_by_hand_is_holdover_on_a_machine_without_any_source() -> None:
    clock = field_parts.clock_of(None)
    clock.set_by_hand()
    assert clock.now().state is TimeState.HOLDOVER


def test_a_receiver_that_is_pulled_is_named_and_used_again_once_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(field_parts, "ChronyDaemon", no_chrony)
    port = tmp_path / "ttyGPS"
    lines: list[int] = []  # kept open: the name of a closed line is given to the next program

    def plug_in() -> int:
        hands, line = pty.openpty()
        lines.append(line)
        port.unlink(missing_ok=True)
        port.symlink_to(os.ttyname(line))
        return hands

    hands = plug_in()
    config = Config(parts=PartsSettings(gps_port=str(port)))
    with field_parts.field_parts(config, on_order=lambda _order: None) as parts:
        for _ in range(2):
            say_until(hands, lambda: parts.fix_at(0.0))
            say_until(hands, lambda: not parts.troubles.lasting)
            os.close(hands)
            until(lambda: "receiver: its line is gone" in parts.troubles.lasting)
            hands = plug_in()
    for end in (hands, *lines):
        os.close(end)


def test_a_time_daemon_that_comes_up_after_the_reader_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    late: list[ScriptedDaemon] = []
    monkeypatch.setattr(field_parts, "ChronyDaemon", lambda: late[0] if late else no_chrony())
    tracking = Tracking(
        synchronized=True, stratum=2, by_server=True,
        reference="C0A80101", reference_time_s=time.time(), correction_s=0.0001,
        root_delay_s=0.004, root_dispersion_s=0.001, skew_ppm=0.5,
    )  # fmt: skip
    with field_parts.field_parts(Config(), on_order=lambda _order: None) as parts:
        assert parts.clock.judgment.source != "chrony"
        late.append(ScriptedDaemon(tracking))
        until(lambda: parts.clock.judgment.source == "chrony")
        assert parts.clock.now().state is TimeState.DISCIPLINED
        late[0].estimate = None
        until(lambda: parts.troubles.lasting)
        assert parts.clock.now().state is TimeState.HOLDOVER
        late[0].estimate = tracking
        until(lambda: not parts.troubles.lasting)


def test_an_unforeseen_fault_is_named_and_the_ignition_stays_watched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    power = ScriptedPower()
    orders: list[Any] = []
    monkeypatch.setattr(field_parts, "PiPower", lambda **_pins: power)
    config = Config(parts=PartsSettings(ignition_pin=17, linger_s=0.0, reserve_s=2.4, shutdown_s=1.0))
    with field_parts.field_parts(config, on_order=orders.append) as parts:
        monkeypatch.setattr(parts.clock, "refresh", lambda: 1 // 0)
        until(lambda: parts.troubles.lasting == ("clock: ZeroDivisionError",))
        power.ignition = False
        until(lambda: orders == [PowerOrder.STOP_READING, PowerOrder.POWER_OFF])


def test_a_receiver_that_the_kernel_finds_after_the_start_is_an_alarm_and_then_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(field_parts, "ChronyDaemon", no_chrony)
    port = tmp_path / "ttyUSB0"
    config = Config(parts=PartsSettings(gps_port=str(port)))
    with field_parts.field_parts(config, on_order=lambda _order: None) as parts:
        until(lambda: any("ttyUSB0 cannot be opened" in what for what in parts.troubles.lasting))
        assert parts.fix_at(0.0) is None
        hands, line = pty.openpty()
        port.symlink_to(os.ttyname(line))
        os.close(line)
        until(lambda: not any("ttyUSB0" in what for what in parts.troubles.lasting))
        say_until(hands, lambda: parts.fix_at(0.0))
    os.close(hands)


def test_lamps_and_supply_that_do_not_answer_are_alarms_and_stop_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def dead(*_words: object, **_options: object) -> ScriptedPower:
        raise MissingDriverError("GPIO 17 cannot be used: is lgpio installed?")

    monkeypatch.setattr(field_parts, "PiPower", dead)
    monkeypatch.setattr(field_parts, "GpioLamps", dead)
    monkeypatch.setattr(late_parts, "AGAIN_S", 0.05)
    config = Config(parts=PartsSettings(ignition_pin=17, strobe_pin=23))
    orders: list[PowerOrder] = []
    with field_parts.field_parts(config, on_order=orders.append) as parts:
        until(lambda: any("GPIO 17" in what for what in parts.troubles.lasting))
        assert parts.lamps is not None
        parts.lamps.switch(Lamp.STROBE, on=True)
        assert parts.lamps.lit == frozenset()
        lamps, power = RememberedLamps(), ScriptedPower()
        monkeypatch.setattr(parts.lamps, "_opening", lambda: lamps)
        monkeypatch.setattr(parts.power, "_opening", lambda: power)
        until(lambda: lamps.lit == {"strobe", "status"})
        until(lambda: not parts.troubles.lasting)
        power.ignition = False
        assert parts.power is not None
        assert parts.power.look().ignition is False
    assert lamps.lit == frozenset()
    assert PowerOrder.POWER_OFF not in orders


def test_a_battery_clock_that_comes_up_after_the_reader_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[ScriptedRtc] = []

    def rtc() -> ScriptedRtc:
        if not found:
            raise MissingDriverError("no clock")
        return found[0]

    monkeypatch.setattr(field_parts, "ChronyDaemon", no_chrony)
    monkeypatch.setattr(field_parts, "SystemClock", lambda: None)
    monkeypatch.setattr(field_parts, "KernelRtc", rtc)
    with field_parts.field_parts(Config(), on_order=lambda _order: None) as parts:
        assert parts.clock.now().state is TimeState.UNKNOWN
        found.append(ScriptedRtc(int(time.time())))
        until(lambda: parts.clock.judgment.source == "battery clock")


@pytest.mark.parametrize("comes", [True, False])
def test_a_chip_with_the_keys_may_come_late_and_one_that_never_comes_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, comes: bool
) -> None:
    prepare_home(tmp_path)
    tries: list[int] = []
    real = opening.open_or_roll_over

    def late(home: Path, **words: Any) -> Any:
        tries.append(1)
        if comes and len(tries) >= 3:
            return real(home, **words)
        raise MissingDriverError("no TPM at /dev/tpmrm0: add dtoverlay=tpm-slb9670 to config.txt")

    monkeypatch.setattr(run_ledger, "open_or_roll_over", late)
    monkeypatch.setattr(run_ledger, "CHIP_AGAIN_S", 0.01)
    monkeypatch.setattr(run_ledger, "CHIP_PATIENCE_S", 60.0 if comes else 0.1)
    out = io.StringIO()
    options = RunOptions(source=str(TWO_CARS), once=True)
    if comes:
        assert run(tmp_path, options, out=out, err=out).stored
        assert out.getvalue().count("key_slot_not_there") == 1
    else:
        with pytest.raises(MissingDriverError, match="tpm-slb9670"):
            run(tmp_path, options, out=out, err=out)
