"""`reader console` as a program: over SSH a single visit; on a port one visit after another."""

import signal
from pathlib import Path
from typing import Any

import pytest
from console_process import console_program, home

from firmware.commands import console
from firmware.custody.opening import open_ledger
from hw.clock import Clock, SetClock, TimeState
from hw.errors import LineGoneError
from hw.serial_port import loopback_pair
from storage.audit_records import MaintenanceLine
from storage.errors import StoreFullError
from storage.ledger import Ledger
from storage.record_base import ClockState

pytestmark = pytest.mark.slow

__all__ = ["home"]


def test_over_ssh_exit_ends_it_and_no_library_writes_on_the_line(home: Path) -> None:
    with console_program(home, port=False) as (hands, program):
        hands.wait_for("reader-1> ")
        shown = hands.ask("selftest", "reader-1> ")
        assert "ok       detector" in shown
        assert "INFO" not in shown
        assert "delegate" not in shown
        hands.type("exit")
        hands.wait_for("bye")
        assert program.wait(timeout=300) == 0


def test_between_two_visits_a_port_leaves_the_home_to_the_reader(home: Path) -> None:
    with console_program(home, port=True) as (hands, _):
        for _ in range(2):
            hands.wait_for("press return")
            with open_ledger(home):
                hands.type("")
                hands.wait_for("starting or stopping")  # a home in use without a console
            hands.wait_for("press return")
            hands.type("")
            hands.wait_for("reader-1> ")
            hands.type("exit")
            hands.wait_for("bye")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("store/ledger.sqlite3", None, "no unit is here"),
        ("store/ledger.sqlite3", b"x" * 5000, "reader init --set-aside"),
        ("config.toml", b"[unit]\nfoo = 1\n", "unit.foo: unknown key"),
    ],
    ids=["no unit", "a damaged ledger", "a wrong setting"],
)
def test_a_person_at_the_port_learns_why_a_unit_is_not_served(
    home: Path, name: str, content: bytes | None, said: str
) -> None:
    path = home / name
    before = path.read_bytes()
    path.unlink() if content is None else path.write_bytes(content)
    with console_program(home, port=True) as (hands, program):
        hands.wait_for("press return")
        hands.type("")
        shown = hands.wait_for("press return")
        assert "this unit cannot be served" in shown
        assert said in " ".join(shown.split())
        path.write_bytes(before)
        hands.type("")
        hands.wait_for("reader-1> ")  # the same program, once the home is repaired
        assert program.poll() is None


def test_line_noise_between_visits_starts_no_session(home: Path) -> None:
    with console_program(home, port=True) as (hands, _):
        hands.wait_for("press return")
        hands.press(bytes(byte for byte in range(256) if byte not in b"\r\n"))
        with open_ledger(home):
            pass
        hands.type("")
        hands.wait_for("reader-1> ")


@pytest.mark.parametrize("port", [False, True], ids=["ssh", "serial"])
def test_a_program_that_is_asked_to_end_closes_its_records(home: Path, port: bool) -> None:
    with console_program(home, port=port) as (hands, program):
        if port:
            hands.wait_for("press return")
            hands.type("")
        hands.wait_for("reader-1> ")
        hands.type("network wifi depot")
        hands.wait_for("passphrase: ")
        program.terminate()
        assert program.wait(timeout=300) == 0
    with open_ledger(home) as ledger:
        store = ledger.store
        records = [store.record(sequence) for sequence in range(store.log.frontier.size)]
    lines = [(one.phase, one.result) for one in records if isinstance(one, MaintenanceLine)]
    assert lines == [("begin", "begun"), ("end", "stopped")]


def test_a_visit_stores_by_the_clock_that_it_judges_grants_by(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, states = SetClock(1_790_000_000_000_000), []
    clock.lose_reference(TimeState.HOLDOVER)

    def alone(_port: object, _home: Path, _config: object, ledger: Ledger, given: Clock, **_: object) -> Any:
        states.append((ledger.store.time.now().state, given.now().state))
        raise LineGoneError("far")

    monkeypatch.setattr(console, "clock_of", lambda _position: clock)
    monkeypatch.setattr(console, "console_alone", alone)
    with pytest.raises(LineGoneError):
        console._visit(loopback_pair()[0], home, console._Ending())
    assert states == [(ClockState.HOLDOVER, TimeState.HOLDOVER)]


def test_a_port_that_waits_ends_when_it_is_asked_to(home: Path) -> None:
    with console_program(home, port=True) as (hands, program):
        hands.wait_for("press return")
        program.terminate()
        assert program.wait(timeout=300) == 0


def test_a_port_whose_log_did_not_close_ends_when_it_is_asked_to_all_the_same(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, a full disk at the end of a visit started another one, although the supervisor asked to end."""
    near, far = loopback_pair("unit", "laptop")
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    ending = console._Ending()

    def visit(_port: object, home: Path, ending: Any) -> None:
        ending.asked = True
        raise StoreFullError("the disk is full", where=str(home))

    monkeypatch.setattr(console, "_visit", visit)
    far.write(b"\r")
    with pytest.raises(SystemExit) as ended:
        console._serve_port(near, home, ending)
    assert ended.value.code == 0
    assert b"cannot be served" in far.read(4096, 1.0)
