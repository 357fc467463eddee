"""What ends or follows a run: the ignition, the capacitor's time, a refused log, a signal."""

from __future__ import annotations

import contextlib
import errno
import io
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any, cast

import pytest
import structlog
from custody_twins import Department, make_read
from field_home import enroll
from reader_process import TWO_CARS
from waiting import PATIENCE_S, until

from detector.errors import MissingRuntimeError
from detector.way_up import WayUp
from firmware import threads
from firmware.custody import damage_watch
from firmware.custody.bookkeeper import Bookkeeper
from firmware.custody.opening import open_ledger
from firmware.frames.failed_eyes import FailedEyes
from firmware.frames.pipeline import Pipeline
from firmware.frames.sources import TunableSource
from firmware.health import turned_camera
from firmware.health.turned_camera import TurnedCamera
from firmware.run import app, field_parts, one_run
from firmware.run.beside import Beside
from firmware.run.one_run import OneRun
from firmware.run.orders import Reason, StopRequest, SupplyOrders
from firmware.run.prepared_home import prepare_home
from firmware.run.run_ledger import run_ledger
from firmware.run.run_result import RunOptions, RunResult
from firmware.settings.config import Config, PartsSettings, load_config, write_config
from hw.clock import SystemClock
from hw.errors import PartFailedError
from hw.lamps import Lamp, RememberedLamps
from hw.power import PowerOrder, ScriptedPower
from hw.watchdog import RememberedHeartbeat
from storage.errors import DamagedError, HomeLockedError, NotPlainError
from storage.home import Home, HomeLock
from storage.leaf import LeafRef
from storage.ledger import Ledger
from storage.verify import verify_home
from sync.handover import kept_keys
from sync.health import Alarm


def test_the_first_reason_counts() -> None:
    stop = StopRequest()
    assert not stop.asked
    stop.ask(Reason.SUPPLY)
    stop.ask(Reason.ASKED)
    assert stop.reason is Reason.SUPPLY
    assert stop.wait(0)


def test_a_run_that_begins_with_the_ignition_off_ends_at_once() -> None:
    orders = SupplyOrders()
    orders.order(PowerOrder.STOP_READING)
    assert orders.begin().reason is Reason.SUPPLY
    orders.order(PowerOrder.RUN)
    assert not orders.begin().asked


def test_a_signal_before_a_run_or_between_two_ends_the_one_that_begins() -> None:
    """Once, a signal while the configuration was read and parts opened was lost, and the run continued."""
    orders = SupplyOrders()
    orders.end()
    for _ in range(2):
        assert orders.begin().reason is Reason.ASKED


def test_a_signal_during_a_start_waits_for_no_process_that_holds_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, it waited for up to 38 s, which is as long as a capacitor lasts."""
    prepare_home(tmp_path)
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr("firmware.custody.opening.time.sleep", wait)
    stop, out = StopRequest(), io.StringIO()
    lock = HomeLock(Home(tmp_path))  # as another process does
    with contextlib.ExitStack() as held:
        held.callback(lock.release)
        with pytest.raises(HomeLockedError):
            app.run(tmp_path, RunOptions(source=str(TWO_CARS), once=True), out=out, err=out)
        assert len(waits) == 1
        stop.ask(Reason.SUPPLY)  # the ignition is turned off, and then the system ends all services
        stop.ask(Reason.ASKED)
        log = structlog.get_logger("test")
        with pytest.raises(HomeLockedError), run_ledger(tmp_path, SystemClock(), log, stop):
            pass
    assert len(waits) == 1


def test_a_start_asks_for_more_time_until_its_log_is_open(tmp_path: Path) -> None:
    """A look at a large log took longer than a start may, so that each start was ended in it."""
    prepare_home(tmp_path)
    heart, log = RememberedHeartbeat(), structlog.get_logger("test")
    with run_ledger(tmp_path, SystemClock(), log, StopRequest(), heart):
        # again each 20 s on a busy machine; the beat is for a further run of the same process
        assert set(heart.said) == {"EXTEND_TIMEOUT_USEC=60000000", "WATCHDOG=1"}


def test_a_signal_at_any_point_of_a_wait_blocks_nothing() -> None:
    """A handler runs in the waiting thread, between two of its steps."""
    steps, met, at = 0, 0, -1

    def at_each_step(frame: FrameType, event: str, _word: object) -> Callable[..., Any] | None:
        nonlocal steps, met
        if event == "line" and frame.f_code.co_filename in {threading.__file__, threads.__file__}:
            steps += 1
            if steps == at:
                met += 1
                sys.settrace(None)
                stop.ask(Reason.ASKED)
                return None
        return at_each_step

    def wait() -> None:
        sys.settrace(at_each_step)
        try:
            stop.wait(0.01)
        finally:
            sys.settrace(None)

    for at in range(1, 40):
        steps, stop = 0, StopRequest()
        waiting = threading.Thread(target=wait, daemon=True)
        waiting.start()
        waiting.join(PATIENCE_S)
        assert not waiting.is_alive(), f"blocked at step {at}"
    assert met


@pytest.mark.parametrize("inside", ["a wait", "an order"])
def test_a_signal_inside_a_wait_ends_the_run_while_the_supply_orders_too(inside: str) -> None:
    """Once, the supply held the orders' lock and waited for the lock of the wait, where the signal came."""
    orders = SupplyOrders()
    stop = orders.begin()
    supply = threading.Thread(target=orders.order, args=(PowerOrder.STOP_READING,), daemon=True)

    def main() -> None:
        with stop._event._changed if inside == "a wait" else stop._lock:
            supply.start()
            until(lambda: orders._order is PowerOrder.STOP_READING)
            orders.end()

    both = [threading.Thread(target=main, daemon=True), supply]
    both[0].start()
    for thread in both:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    assert stop.asked
    assert orders.ended


def test_a_signal_ends_the_waiting_too() -> None:
    orders = SupplyOrders()
    orders.begin()
    orders.order(PowerOrder.STOP_READING)
    threading.Timer(0.2, orders.end).start()
    began_s = time.monotonic()
    orders.await_next(30)
    assert orders.ended
    assert time.monotonic() - began_s < 25


class Bench:
    """A unit with an ignition that a test turns, and a machine that records what it is asked."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch, **parts: Any) -> None:
        self.home, self.power = home, ScriptedPower()
        self.asked: list[Any] = []
        home.mkdir()
        settings = PartsSettings(ignition_pin=17, **parts)
        write_config(home, Config(parts=settings))
        monkeypatch.setattr(field_parts, "PiPower", lambda **_pins: self.power)
        monkeypatch.setattr(field_parts, "REFRESH_S", 0.1)
        monkeypatch.setattr(app, "SystemdMachine", lambda: self)
        self.results: list[RunResult] = []

    def power_off(self) -> None:
        self.asked.append("power off")

    def run(self, out: Any) -> threading.Thread:
        options = RunOptions(source=str(TWO_CARS), at_source_pace=True, as_json=True)
        thread = threading.Thread(
            target=lambda: self.results.append(app.run(self.home, options, out=out, err=out))
        )
        thread.start()
        return thread


def events(path: Path, name: str) -> int:
    return path.read_text().count(f'"event": "{name}"')


@pytest.mark.slow
def test_an_engine_that_starts_again_in_time_keeps_reading_and_one_that_does_not_powers_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path / "home", monkeypatch, linger_s=0.3, reserve_s=40.0, shutdown_s=1.0)
    said = tmp_path / "said"
    with said.open("w", buffering=1) as out:
        thread = bench.run(out)
        until(lambda: events(said, "started") == 1)
        bench.power.ignition = False
        until(lambda: events(said, "stopped") == 1)
        assert bench.asked == []
        bench.power.ignition = True
        until(lambda: events(said, "started") == 2)
        monkeypatch.setattr(bench.power, "look", failing(bench.power.look))
        time.sleep(0.5)
        bench.power.ignition, bench.power.throttle_word = False, 1  # off, with power from the capacitor
        until(lambda: bench.asked == ["power off"])
        thread.join(PATIENCE_S)
    assert not thread.is_alive()
    assert events(said, "stopped") == 2
    assert '"why": "supply"' in said.read_text()
    assert verify_home(Home(bench.home)).ok


def failing(look: Any) -> Any:
    """A supply whose sensor sometimes fails."""
    count = iter(range(1 << 30))

    def sometimes() -> Any:
        if next(count) % 3 == 0:
            raise PartFailedError("no word from the sensor")
        return look()

    return sometimes


@pytest.mark.slow
def test_a_run_sets_filter_and_strobe_by_its_frames_and_puts_all_out_at_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, lamps, seen = tmp_path / "home", RememberedLamps(), []
    home.mkdir()
    write_config(home, Config(parts=PartsSettings(strobe_pin=5, filter_pin=6, status_pin=13)))
    pins: dict[str, object] = {}
    monkeypatch.setattr(field_parts, "GpioLamps", lambda **given: (pins.update(given), lamps)[1])
    real = lamps.switch

    def switch(lamp: Lamp, *, on: bool) -> None:
        real(lamp, on=on)
        if lamp is Lamp.FILTER:
            seen.append(lamps.lit)

    monkeypatch.setattr(lamps, "switch", switch)
    with (tmp_path / "said").open("w", buffering=1) as out:
        app.run(home, RunOptions(source=str(TWO_CARS), once=True, as_json=True), out=out, err=out)
    assert pins == {"strobe_pin": 5, "filter_pin": 6, "status_pin": 13}
    assert seen == [{"filter", "status"}]  # a clip by day
    assert lamps.lit == frozenset()
    assert '"setting": "day"' in (tmp_path / "said").read_text()


def test_a_log_that_gives_way_keeps_the_keys_in_memory_of_what_it_still_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, a first hit between the refusal and the end of the run opened an epoch whose key was lost."""
    home, department, stored = tmp_path / "home", Department(), list[LeafRef]()
    prepare_home(home)
    enroll(home)
    with open_ledger(home) as ledger:
        department.enroll(ledger, memory_only=("read", "hit"))

    def read_part(run: OneRun, ledger: Ledger, *_: object) -> RunResult:
        stored.append(ledger.append_read(make_read(demo=False), patch=b"p", overview=b"o"))
        run._set_aside(ledger, "the department refused it")
        stored.append(ledger.append_read(make_read(demo=False), patch=b"p", overview=b"o", hit=True))
        epochs.extend(ledger.store.leaf(one.sequence).epoch for one in stored)
        return RunResult(frames=1, broken=0, dropped=0, stored=2, lost=0, blind_s=0.0, summary="")

    epochs: list[int] = []
    monkeypatch.setattr(OneRun, "_read", read_part)
    monkeypatch.setattr(one_run, "load_eyes", lambda *_, **__: FailedEyes(MissingRuntimeError(("net",))))
    with field_parts.field_parts(load_config(home), on_order=lambda _order: None) as parts:
        run = OneRun(home, load_config(home), parts, RunOptions(source=str(TWO_CARS)), StopRequest(), None)
        run.carry_out(out=io.StringIO(), err=io.StringIO())
    (closed,) = (home / "sync" / "old").glob("*")
    assert [one.epoch for one in kept_keys(closed)] == epochs
    assert len(set(epochs)) == 2


def test_a_camera_that_hangs_upside_down_is_an_alarm_until_its_rotation_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other settings and restarts do not change how it hangs."""
    home, found = tmp_path / "home", list[tuple[bool, bool]]()
    prepare_home(home)
    enroll(home)
    with open_ledger(home) as ledger:
        Department().enroll(ledger)
    TurnedCamera(home, str(TWO_CARS)).note(0, upside_down=True)
    books, ways, made = OneRun._bookkeeper, list[WayUp](), list[tuple[TunableSource, Beside]]()

    def bookkeeper(run: OneRun, *given: Any) -> Bookkeeper:
        made.append((given[2], given[3]))
        return books(run, *given)

    def pipeline(*given: Any, way_up: WayUp, **named: Any) -> Pipeline:
        ways.append(way_up)
        return Pipeline(*given, way_up=way_up, **named)

    def watch(run: OneRun, *_: object) -> None:
        ((source, beside),), (way_up,) = made, ways
        for settings in ({}, {"fps": 5.0}, {"fps": 5.0, "rotation": 180}):
            source.retune(replace(run._config.camera, **cast("dict[str, Any]", settings)))
            found.append((way_up.upside_down, Alarm.UPSIDE_DOWN in beside.health.report().alarms))

    monkeypatch.setattr("firmware.frames.sources.OPEN_S", 0.0)
    monkeypatch.setattr(one_run, "Pipeline", pipeline)
    monkeypatch.setattr(OneRun, "_bookkeeper", bookkeeper)
    monkeypatch.setattr(OneRun, "_watch", watch)
    monkeypatch.setattr(one_run, "load_eyes", lambda *_, **__: FailedEyes(MissingRuntimeError(("net",))))
    with field_parts.field_parts(load_config(home), on_order=lambda _order: None) as parts:
        run = OneRun(home, load_config(home), parts, RunOptions(source=str(TWO_CARS)), StopRequest(), None)
        run.carry_out(out=io.StringIO(), err=io.StringIO())
    assert found == [(True, True), (True, True), (False, False)]
    assert not (home / turned_camera.FILE).exists()


def test_a_run_whose_log_a_look_finds_damaged_ends_for_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, asked = tmp_path / "home", list[Callable[[Exception], bool]]()
    prepare_home(home)
    enroll(home)
    with open_ledger(home) as ledger:
        Department().enroll(ledger)

    def bookkeeper(*given: Any, undecided: Callable[[Exception], bool], **named: Any) -> Bookkeeper:
        asked.append(undecided)
        return Bookkeeper(*given, undecided=undecided, **named)

    def watch(run: OneRun, *_: object) -> None:
        (undecided,) = asked
        assert not undecided(OSError(errno.EIO, "a read failed"))
        assert run.reason is None
        assert undecided(DamagedError("is damaged", where="ledger", cure=""))
        until(lambda: run.reason is Reason.LOG_ENDS)

    monkeypatch.setattr(damage_watch, "is_confirmed", lambda *_: True)
    monkeypatch.setattr(one_run, "Bookkeeper", bookkeeper)
    monkeypatch.setattr(OneRun, "_watch", watch)
    monkeypatch.setattr(one_run, "load_eyes", lambda *_, **__: FailedEyes(MissingRuntimeError(("net",))))
    before = (home / "store" / "log.pub").read_bytes()
    with field_parts.field_parts(load_config(home), on_order=lambda _order: None) as parts:
        run = OneRun(home, load_config(home), parts, RunOptions(source=str(TWO_CARS)), StopRequest(), None)
        run.carry_out(out=io.StringIO(), err=io.StringIO())
        assert run.reads_on(SupplyOrders())
    assert (home / "store" / "log.pub").read_bytes() != before


@pytest.mark.parametrize(
    ("error", "cure"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "sync/old"), "make room"),
        (sqlite3.OperationalError("database or disk is full"), "make room"),
        (PermissionError(errno.EACCES, "Permission denied", "sync/old"), "give this file back"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "sync/old"), "move away"),
        (OSError(errno.EIO, "Input/output error", "sync/old"), "replace the card"),
        (NotPlainError("is a pipe", where="sync/old", cure="remove it"), "remove it"),
    ],
    ids=lambda one: type(one).__name__ if isinstance(one, Exception) else "",
)
def test_keys_that_a_log_leaves_and_that_cannot_be_kept_are_named_and_end_no_run(
    error: Exception, cure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, every failure asked for disk space, and one during a rollover ended the reading."""

    def fail(*_: object) -> None:
        raise error

    run = cast(OneRun, SimpleNamespace(_successor=SimpleNamespace(keep_keys=fail), _home=Path("/none")))
    monkeypatch.setattr(one_run, "Successor", fail)
    with structlog.testing.capture_logs() as said:
        OneRun._keep_last_keys(run, cast(Ledger, None))
        OneRun._set_aside(run, cast(Ledger, None), "a damaged page")
    assert [one["event"] for one in said] == ["last_keys_not_kept", "no_new_log"]
    assert all(cure in f"{one}" for one in said)
    assert said[0]["reason"] == str(error)
