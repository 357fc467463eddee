"""Consoles of a running reader: each connection is like a cable that is plugged in and out."""

import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from console_log import RememberedLog
from waiting import until

from firmware.console.failed_logins import FailedLogins
from firmware.console.service import CONSOLES_AT_ONCE, pump, serving, socket_of
from firmware.console.session import Console
from hw.serial_port import loopback_pair
from storage.errors import HomeLockedError
from tests.tools.bench_unit import BenchUnit
from tests.tools.rehearsal import Hands


class Cable:
    """A pump between a loopback line and the running reader."""

    def __init__(self, home: Path) -> None:
        near, far = loopback_pair()
        self.hands = Hands(far)
        self.thread = threading.Thread(target=pump, args=(near, home), daemon=True)
        self.thread.start()


def ended(log: RememberedLog) -> list[str]:
    """The reasons why sessions ended."""
    return [record.result for record in log.records if record.line == "session"]


def test_cables_come_and_go_and_two_people_may_talk_at_once(tmp_path: Path, office: Any) -> None:
    unit, log = BenchUnit(), RememberedLog()
    failures = FailedLogins(None, lambda: 0.0, "boot")

    def make(port: Any) -> Console:
        keys = [office.command_key.public_key()]
        return Console(port, unit, log, keys=lambda: keys, failures=failures, tick_s=0.02)

    with serving(tmp_path, make):
        assert socket_of(tmp_path).stat().st_mode & 0o777 == 0o600
        for number in range(6):
            cable = Cable(tmp_path)
            cable.hands.wait_for("unit-7> ")
            cable.hands.log_in(office.bundle(), office.holder)
            cable.hands.wait_for("unit-7 t.okafor> ")
            cable.hands.pull()
            cable.thread.join(timeout=300)
            assert not cable.thread.is_alive()
            until(lambda seen=number: len(ended(log)) > seen)  # type: ignore[misc]
        one, two = Cable(tmp_path), Cable(tmp_path)
        for cable in (one, two):
            cable.hands.wait_for("unit-7> ")
        one.hands.log_in(office.bundle(), office.holder)
        one.hands.wait_for("unit-7 t.okafor> ")
        assert "not available" in two.hands.ask("status", "unit-7> ")
    assert not socket_of(tmp_path).exists()
    assert ended(log) == ["cable pulled"] * 6 + ["stopped"]


def serving_threads() -> list[threading.Thread]:
    """The threads of consoles that this process serves."""
    return [one for one in threading.enumerate() if one.name == "console"]


def test_one_console_too_many_shows_why_and_the_cure(tmp_path: Path, office: Any) -> None:
    failures = FailedLogins(None, lambda: 0.0, "boot")

    def make(port: Any) -> Console:
        return Console(port, BenchUnit(), RememberedLog(), keys=list, failures=failures, tick_s=0.02)

    with serving(tmp_path, make):
        held = [Cable(tmp_path) for _ in range(CONSOLES_AT_ONCE)]
        for cable in held:
            cable.hands.wait_for("unit-7> ")
        fifth = Cable(tmp_path)
        fifth.hands.wait_for("4 consoles are open on this unit")
        fifth.hands.wait_for("then try again")
        fifth.thread.join(timeout=300)
        assert len(serving_threads()) == CONSOLES_AT_ONCE
        held[0].hands.pull()
        held[0].thread.join(timeout=300)
        until(lambda: len(serving_threads()) < CONSOLES_AT_ONCE)
        Cable(tmp_path).hands.wait_for("unit-7> ")


def test_a_home_held_by_a_process_without_consoles_says_so(tmp_path: Path) -> None:
    near, _ = loopback_pair()
    with pytest.raises(HomeLockedError, match="serves no console"):
        pump(near, tmp_path)


def test_a_moment_without_descriptors_ends_no_consoles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failing = socket.socket.accept, [OSError(24, "Too many open files")]

    def accept(listener: socket.socket) -> Any:
        if failing:
            raise failing.pop()
        return real(listener)

    monkeypatch.setattr(socket.socket, "accept", accept)
    failures = FailedLogins(None, lambda: 0.0, "boot")

    def make(port: Any) -> Console:
        return Console(port, BenchUnit(), RememberedLog(), keys=lambda: [], failures=failures, tick_s=0.02)

    with serving(tmp_path, make):
        cable = Cable(tmp_path)
        cable.hands.wait_for("unit-7> ")
    assert failing == []


def test_a_moment_without_threads_ends_no_consoles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, failing = threading.Thread.start, [RuntimeError("can't start new thread")]

    def start(thread: threading.Thread) -> None:
        if failing and thread.name == "console":
            raise failing.pop()
        real(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    failures = FailedLogins(None, lambda: 0.0, "boot")

    def make(port: Any) -> Console:
        return Console(port, BenchUnit(), RememberedLog(), keys=lambda: [], failures=failures, tick_s=0.02)

    with serving(tmp_path, make):
        turned_away = Cable(tmp_path)
        turned_away.thread.join(timeout=300)
        assert not turned_away.thread.is_alive()
        Cable(tmp_path).hands.wait_for("unit-7> ")
    assert failing == []
