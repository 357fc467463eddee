"""A hostile line: buffered input, floods, control sequences for a terminal, failing parts."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from firmware.console.armor import to_lines
from firmware.console.challenge import Challenge
from firmware.console.errors import UnitRefusedError
from firmware.console.unit import Identity
from hw.errors import PartFailedError
from storage.errors import StoreFullError
from sync.errors import LinkError
from tests.tools.bench_unit import BenchUnit
from tests.tools.rehearsal import answer_to

Bench = Any  # tests/console/conftest.py
NOW_US = 1_777_777_777_000_000


def test_an_unanswered_challenge_disconnects_the_visitor(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(stays=False)
    bench.hands.wait_for("unit-7> ")
    bench.hands.type("login")
    bench.hands.wait_for("gives up):")
    bench.running.now_s += 601
    bench.hands.wait_for("too old: log in again")
    bench.hands.wait_for("unit-7> ")
    bench.running.now_s += 121
    bench.hands.wait_for("disconnected: no login")
    bench.over()


def test_an_unanswered_question_disconnects_the_visitor(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(BenchUnit(enrolled=False, empty=True), stays=False)
    bench.hands.wait_for("unit-7> ")
    bench.hands.type("network wifi depot")
    bench.hands.wait_for("passphrase: ")
    bench.running.now_s += 121
    bench.hands.wait_for("disconnected: no login")
    bench.over()
    assert bench.lines()[-1] == ("end", "network wifi depot", "idle")


def test_a_session_locks_at_a_question_too(bench: Bench) -> None:
    bench.enter()
    bench.hands.type("network wifi depot")
    bench.hands.wait_for("passphrase: ")
    bench.running.now_s += 301
    bench.hands.wait_for("locked after inactivity")
    assert bench.lines()[-2:] == [("end", "network wifi depot", "idle"), ("end", "session", "idle")]


def test_blank_lines_of_a_pasted_answer_are_not_lines_of_it(bench: Bench) -> None:
    bench.hands.type("login")
    bench.hands.wait_for("gives up):")
    bench.hands.press(b"\r  \r")
    bench.hands.press(b"\x03")
    assert "not a line of an answer" not in bench.hands.wait_for("given up")


def test_noise_in_a_pasted_answer_asks_for_the_last_line_again(bench: Bench) -> None:
    bench.hands.type("login")
    bench.hands.wait_for("gives up):")
    bench.hands.press(b"1 QUJD\xff\x80 1234\r")
    bench.hands.wait_for("noise on the line: paste the last line again")
    bench.hands.press(b"\x03")
    bench.hands.wait_for("given up")


def test_noise_on_a_loose_wire_keeps_no_session_open(bench: Bench) -> None:
    bench.enter()
    for _ in range(4):
        bench.running.now_s += 100
        bench.hands.press(b"\xff\x00a\x80")
        bench.thread.join(timeout=0.1)
    bench.hands.wait_for("locked after inactivity")


def test_what_was_typed_ahead_is_not_done_after_the_end(bench: Bench) -> None:
    bench.enter(to_us=NOW_US + 200_000_000)

    def late() -> Any:
        bench.running.now_s += 201
        return {}

    bench.unit.storage = late
    bench.hands.press(b"storage\rcamera gain 4.0\r")
    bench.hands.wait_for("session time is up")
    bench.hands.wait_for("unit-7> ")
    assert bench.unit.done == []


def test_a_flood_of_tabs_asks_the_unit_nothing(bench: Bench) -> None:
    asked: list[bool] = []
    real = bench.unit.identity

    def identity() -> Identity:
        asked.append(True)
        found: Identity = real()
        return found

    bench.unit.identity = identity
    bench.hands.press(b"\t" * 500 + b"\x03")
    bench.hands.wait_for("^C")
    assert len(asked) < 10


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(OSError(28, "no room for 7ABC123"), id="system"),
        pytest.param(PartFailedError("nmcli: \x1b[2Jno network 7ABC123\x07"), id="part"),
        pytest.param(LinkError("the other end says 7ABC123\x9b2J"), id="link"),
        pytest.param(StoreFullError("7ABC123 does not fit"), id="store"),
        pytest.param(RuntimeError("7ABC123"), id="unforeseen"),
    ],
)
def test_an_error_ends_its_command_alone_and_passes_the_screen(bench: Bench, error: Exception) -> None:
    bench.enter()

    def failing() -> Any:
        raise error

    bench.unit.sync = failing
    shown = bench.ask("sync now")
    assert "7ABC123" not in shown
    assert "*****" in shown
    assert not set("\x1b\x07\x9b") & set(shown)
    assert bench.lines()[-1] == ("end", "sync now", f"failed: {type(error).__name__}")
    assert b"7ABC123" not in bench.log.records[-1].output
    assert "enrolled" in bench.ask("status")


def test_what_the_installer_says_passes_the_screen(bench: Bench) -> None:
    bench.enter()
    bench.unit.update = lambda _source: iter(["installed 7ABC123 \x1b[2J"])
    assert "installed *****" in bench.ask("update /media/usb/bundle")


def test_a_session_ends_if_revocations_cannot_be_read(bench: Bench) -> None:
    bench.enter()

    def damaged() -> Any:
        raise UnitRefusedError("the list of revoked grants is damaged: sync now")

    bench.unit.revoked = damaged
    bench.hands.type("sync now")
    bench.hands.wait_for("damaged: sync now")
    bench.hands.wait_for("unit-7> ")
    assert bench.unit.done == []
    assert bench.lines()[-1] == ("end", "session", "revocation unknown")


def test_lines_that_guess_together_get_no_more_tries_than_one(make_bench: Callable[..., Bench]) -> None:
    first = make_bench()
    lines = [first, *(make_bench(failures=first.failures) for _ in range(3))]
    for bench in lines:
        bench.hands.wait_for("unit-7> ")
    wrong = first.office.bundle(units=("unit-8",))
    last = lines[-1]
    last.hands.type("login")
    shown = last.hands.wait_for("gives up):")  # a challenge from before the lock
    for number in range(5):
        bench = lines[number % 3]
        bench.hands.log_in(wrong, bench.office.holder)
        bench.hands.wait_for("refused: ")
    challenge = Challenge.parse(next(word for word in shown.split() if word.count(":") == 2))
    for line in to_lines(answer_to(challenge, last.office.bundle(), last.office.holder).to_bytes()):
        last.hands.type(line)
    last.hands.wait_for("locked after 5")
    assert last.lines() == []


def test_only_a_session_without_a_login_is_slowed_down(
    make_bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each line makes two records in the log, and a stranger's flood must not fill the card."""
    bench = make_bench()
    waits: list[float] = []
    monkeypatch.setattr(bench.console, "_pace_s", 0.001)
    monkeypatch.setattr(bench.console._hand, "rest", waits.append)
    bench.hands.wait_for("unit-7> ")
    bench.hands.ask("help", "unit-7> ")
    bench.enter()
    bench.ask("status")
    bench.ask("storage")
    assert waits[0] == 0.01
    assert set(waits[1:]) - {0.0} == {0.001}  # 0.0: the pace of a flood, of a bench


def test_a_session_ends_with_a_command_whose_end_cannot_be_recorded(bench: Bench) -> None:
    bench.enter()

    def filling() -> Any:
        bench.log.failing = StoreFullError("the disk is full")
        yield "sent"

    bench.unit.sync = filling
    bench.hands.type("sync now")
    bench.hands.wait_for("sync ran, but its end cannot be recorded: the disk is full")
    bench.hands.wait_for("unit-7> ")
    bench.log.failing = None
    assert "not available" in bench.hands.ask("status", "unit-7> ")


@pytest.mark.parametrize("typed", ["aim 3600", "network wifi depot"], ids=["a live view", "a question"])
def test_what_is_open_to_all_ends_once_the_unit_is_enrolled(
    make_bench: Callable[..., Bench], typed: str
) -> None:
    bench = make_bench(BenchUnit(enrolled=False, empty=True), stays=False)
    bench.hands.wait_for("unit-7> ")
    bench.hands.type(typed)
    bench.hands.wait_for("no plate in view" if typed.startswith("aim") else "passphrase: ")
    bench.unit._identity = replace(bench.unit._identity, enrolled=True)
    bench.running.now_s += 6
    bench.hands.wait_for("another console enrolled this unit: log in")
    bench.over()
    assert bench.lines()[-1] == ("end", typed, "enrolled")
    assert bench.unit.done == []
