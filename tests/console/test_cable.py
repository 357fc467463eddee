"""The cable is pulled, or noisy, at any moment: the session ends and its log closes."""

import random
import threading
from collections.abc import Callable
from typing import Any

import pytest
from console_log import RememberedLog

from firmware.console.failed_logins import FailedLogins
from firmware.console.parser import FORMS
from firmware.console.session import Console
from hw.errors import LineGoneError
from hw.serial_port import LoopbackPort, loopback_pair
from tests.tools.bench_unit import BenchUnit

Bench = Any  # tests/console/conftest.py
TYPED = {
    "status": "status", "aim": "aim preview 30", "camera": "camera gain 3.0", "storage": "storage",
    "network": "network wifi depot x", "time": "time 2026-05-03T12:00:00Z", "sync": "sync now",
    "selftest": "selftest", "logs": "logs", "update": "update /media/usb/bundle", "reboot": "reboot unit-7",
    "factory-reset": "factory-reset unit-7",
}  # fmt: skip


class FrayedPort:
    """A line that is cut after a given number of the console's writes."""

    def __init__(self, port: LoopbackPort) -> None:
        self._port = port
        self.name = port.name
        self.writes_left: int | None = None

    def read(self, limit: int, timeout_s: float) -> bytes:
        if self.writes_left is not None and self.writes_left < 0:
            raise LineGoneError("pulled")
        return self._port.read(limit, timeout_s)

    def write(self, data: bytes) -> None:
        if self.writes_left is not None:
            self.writes_left -= 1
            if self.writes_left < 0:
                raise LineGoneError("pulled")
        self._port.write(data)

    def close(self) -> None:
        self._port.close()


@pytest.mark.parametrize("after_writes", [1, 2, 3, 5])
@pytest.mark.parametrize("command", list(TYPED))
def test_a_cable_pulled_in_a_command_ends_it_and_closes_its_record(
    make_bench: Callable[..., Bench], command: str, after_writes: int
) -> None:
    bench = make_bench()
    frayed = FrayedPort(bench.console._hand._port)
    bench.console._hand._port = frayed
    bench.enter()
    frayed.writes_left = after_writes
    bench.hands.type(TYPED[command])
    bench.thread.join(timeout=0.2)  # a command with few lines ends before its last write
    bench.hands.pull()
    bench.over()
    phases = [(record.phase, record.line) for record in bench.log.records]
    begun = [line for phase, line in phases if phase == "begin" and line != "login"]
    ended = [line for phase, line in phases if phase == "end" and line != "session"]
    if command == "factory-reset" and bench.unit.done == ["keys destroyed", "home cleared"]:
        assert begun == [TYPED[command]]  # nothing is left to write the record of its end
        return
    assert begun == ended
    assert phases[-1] == ("end", "session")
    if bench.unit.done and command == "update":
        assert bench.unit.done == ["update"]


@pytest.mark.parametrize("command", ["reboot", "factory-reset"])
def test_a_restart_asks_in_each_session_while_an_update_may_still_be_written(
    make_bench: Callable[..., Bench], command: str
) -> None:
    """Once, it was refused only once, to whom the cable was pulled; the next person cut the update off."""
    question = "type the unit's name (unit-7) to restart:"
    lost = make_bench()
    lost.unit.writes_update = True
    lost.enter()
    lost.hands.ask(f"{command} unit-7", question)
    lost.hands.pull()
    lost.over()
    assert lost.unit.done == []
    bench = make_bench(unit=lost.unit)
    bench.enter()
    assert "cut it off" in bench.hands.ask(f"{command} unit-7", question)
    assert "this unit is unit-7" in bench.ask("yes")
    assert bench.unit.done == []
    bench.hands.ask(f"{command} unit-7", question)
    bench.hands.ask("unit-7", "restarting")
    assert bench.unit.done[0] == {"reboot": "reboot", "factory-reset": "keys destroyed"}[command]


def test_every_granted_command_is_pulled_at() -> None:
    assert set(TYPED) == {form.granted for form in FORMS.values() if form.granted}


@pytest.mark.parametrize("seed", range(20))
def test_binary_noise_does_nothing(make_bench: Callable[..., Bench], seed: int) -> None:
    bench = make_bench()
    bench.hands.wait_for("unit-7> ")
    noise = random.Random(seed)
    for _ in range(20):
        bench.hands.press(noise.randbytes(200))
    bench.hands.press(b"\x03")
    bench.enter()
    for _ in range(20):
        bench.hands.press(noise.randbytes(200))
    bench.hands.press(b"\x03\r")
    bench.hands.type("status")
    assert "enrolled" in bench.hands.wait_for("alarms")
    assert bench.unit.done == []
    assert {record.result for record in bench.log.records} <= {
        "begun",
        "done",
        "refused",
        "yearly service; WO-2026-118",
    }


def test_a_cable_that_drops_bytes_never_runs_another_command_than_was_typed(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench()
    bench.enter()
    drops = random.Random(7)
    for _ in range(100):
        typed = drops.choice(list(TYPED.values())[:-2])
        if drops.random() < 0.5:
            cut = drops.randrange(len(typed))
            typed = typed[:cut] + typed[cut + 1 :]
        bench.hands.press(typed.encode() + b"\r\x03")
    bench.hands.type("")
    bench.ask("storage")
    assert "reboot" not in bench.unit.done
    assert all("keys" not in done for done in bench.unit.done)


def test_the_console_serves_the_next_person_after_a_pulled_cable() -> None:
    unit, log, failures = BenchUnit(), RememberedLog(), FailedLogins(None, lambda: 0.0, "boot")
    for _ in range(3):
        near, far = loopback_pair()
        console = Console(near, unit, log, keys=lambda: [], failures=failures, tick_s=0.01)
        thread = threading.Thread(target=console.serve, daemon=True)
        thread.start()
        far.write(b"help\r")
        assert far.read(1, 5.0)
        far.close()
        thread.join(timeout=300)
        assert not thread.is_alive()
