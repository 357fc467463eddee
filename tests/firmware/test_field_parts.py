"""The parts of a running unit: what fails is named once it lasts, and what comes back is used again."""

from __future__ import annotations

import os
import pty
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from firmware.run import field_parts
from firmware.settings.config import Config, PartsSettings
from hw import receiver
from hw.chrony import ScriptedDaemon, Tracking
from hw.clock import ClockState
from hw.errors import MissingDriverError
from hw.position import nmea_second
from hw.power import PowerOrder, ScriptedPower


def until(seen: Callable[[], object], seconds: float = 20.0) -> None:
    end_s = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < end_s, "it did not come"
        time.sleep(0.02)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, value in (
        (field_parts, "REFRESH_S", 0.02), (field_parts, "LASTING_S", 0.1),
        (field_parts, "LATE_DAEMON_S", 0.1), (receiver, "REOPEN_S", 0.05),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, value)


def no_chrony() -> ScriptedDaemon:
    raise MissingDriverError("no chrony")


def test_a_clock_set_by_hand_is_holdover_on_a_machine_without_any_source() -> None:
    clock = field_parts.clock_of(None)
    clock.set_by_hand()
    assert clock.now().state is ClockState.HOLDOVER


def test_a_receiver_that_is_pulled_is_named_and_used_again_once_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(field_parts, "ChronyDaemon", no_chrony)
    port = tmp_path / "ttyGPS"

    def plug_in() -> int:
        hands, line = pty.openpty()
        port.unlink(missing_ok=True)
        port.symlink_to(os.ttyname(line))
        os.close(line)
        return hands

    hands = plug_in()
    config = Config(parts=PartsSettings(gps_port=str(port)))
    with field_parts.field_parts(config, on_order=lambda _order: None) as parts:
        for _ in range(2):
            os.write(hands, nmea_second(datetime.now(UTC), 34.0, -118.0))
            until(lambda: parts.fix_at(0.0))
            until(lambda: not parts.troubles.lasting)
            os.close(hands)
            until(lambda: "receiver: its line is gone" in parts.troubles.lasting)
            hands = plug_in()
            time.sleep(0.3)
    os.close(hands)


def test_a_time_daemon_that_comes_up_after_the_reader_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    late: list[ScriptedDaemon] = []
    monkeypatch.setattr(field_parts, "ChronyDaemon", lambda: late[0] if late else no_chrony())
    tracking = Tracking(
        synchronised=True, stratum=2, by_server=True,
        reference="C0A80101", reference_time_s=time.time(), correction_s=0.0001,
        root_delay_s=0.004, root_dispersion_s=0.001, skew_ppm=0.5,
    )  # fmt: skip
    with field_parts.field_parts(Config(), on_order=lambda _order: None) as parts:
        assert parts.clock.judgement.source != "chrony"
        late.append(ScriptedDaemon(tracking))
        until(lambda: parts.clock.judgement.source == "chrony")
        assert parts.clock.now().state is ClockState.DISCIPLINED
        late[0].estimate = None
        until(lambda: parts.troubles.lasting)
        assert parts.clock.now().state is ClockState.HOLDOVER
        late[0].estimate = tracking
        until(lambda: not parts.troubles.lasting)


def test_a_fault_that_nobody_foresaw_is_named_and_the_ignition_is_watched_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    power, orders = ScriptedPower(), []
    monkeypatch.setattr(field_parts, "PiPower", lambda **_pins: power)
    config = Config(parts=PartsSettings(ignition_pin=17, linger_s=0.0, reserve_s=2.4, shutdown_s=1.0))
    with field_parts.field_parts(config, on_order=orders.append) as parts:
        monkeypatch.setattr(parts.clock, "refresh", lambda: 1 // 0)
        until(lambda: parts.troubles.lasting == ("clock: ZeroDivisionError",))
        power.ignition = False
        until(lambda: orders == [PowerOrder.STOP_READING, PowerOrder.POWER_OFF])
