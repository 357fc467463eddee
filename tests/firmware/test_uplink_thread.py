"""The uplink while the reader reads: on schedule, at once for a hit, and ended within seconds on request."""

from __future__ import annotations

import io
import json
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
from reader_process import TWO_CARS, Running
from sync_twins import DepartmentProcess, FaultProxy, Unit, bare_home, issue_code, running
from waiting import PATIENCE_S, until

from firmware.custody.opening import create_ledger, open_ledger
from firmware.errors import ConfigError
from firmware.run.uplink_thread import UplinkThread
from firmware.settings.config import Config, SyncSettings, load_config, parse_config, write_config
from storage.home import Home
from storage.times import SECOND_US
from storage.verify import verify_home
from sync.enrollment import join, open_link
from sync.errors import UnitKeyError
from sync.event_log import event_log
from sync.ledger_outbox import LedgerOutbox
from sync.membership import SyncFolder
from sync.runner import Attempt, Runner
from sync.schedule import Conditions, Schedule, Window
from sync.transport import HttpsLink


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DepartmentProcess]:
    with running(bare_home(tmp_path_factory.mktemp("office") / "home")) as process:
        yield process


@pytest.fixture
def unit(tmp_path: Path) -> Iterator[Unit]:
    made = Unit(tmp_path / "unit")
    yield made
    made.close()


def closed_now(unit: Unit) -> Schedule:
    """A schedule whose only window is far from now."""
    minute = int(unit.clock.now().us / 60e6) % 1440
    return Schedule(windows=(Window(start_min=(minute + 600) % 1440, end_min=(minute + 660) % 1440 or 1440),))


def thread_of(
    unit: Unit, schedule: Schedule, made: list[Attempt], heard: io.StringIO | None = None
) -> UplinkThread:
    return UplinkThread(unit.ledger, unit.home, schedule, log=event_log(heard), on_attempt=made.append)


def test_a_unit_that_is_enrolled_while_it_reads_begins_to_sync(server: DepartmentProcess, unit: Unit) -> None:
    made: list[Attempt] = []
    with thread_of(unit, Schedule(interval_s=600), made):
        numbers = unit.add(3)
        time.sleep(0.2)
        assert not made
        unit.enroll(issue_code(server.home, "joins"))
        until(lambda: made)
    assert made[0].outcome == "done"
    assert all(unit.ledger.store.book.is_received(number) for number in numbers)


def test_a_hit_does_not_wait_for_the_window_and_the_rest_does(server: DepartmentProcess, unit: Unit) -> None:
    unit.enroll(issue_code(server.home, "hit"))
    made: list[Attempt] = []
    with thread_of(unit, closed_now(unit), made):
        unit.add(3)
        time.sleep(1.5)
        assert not made
        unit.add(1, hit=True)
        until(lambda: made)
    assert [(one.outcome, one.progress.alerts, one.progress.leaves) for one in made] == [("paused", 1, 0)]


def test_a_hit_behind_a_lost_line_is_tried_again_outside_the_window(
    server: DepartmentProcess, unit: Unit
) -> None:
    unit.enroll(issue_code(server.home, "again"))
    proxy = FaultProxy(server.home.settings.unit_port)
    proxy.down = True
    unit.through(proxy.port)
    made: list[Attempt] = []
    schedule = closed_now(unit)
    quick = Schedule(windows=schedule.windows, first_retry_s=1, last_retry_s=1)
    try:
        with thread_of(unit, quick, made):
            unit.add(1, hit=True)
            until(lambda: len(made) >= 2)
            proxy.down = False
            until(lambda: made[-1].outcome == "paused")
    finally:
        proxy.close()
    assert made[0].outcome == "link"
    assert made[-1].progress.alerts == 1


@pytest.mark.parametrize(
    "error",
    [UnitKeyError("the chip does not answer"), RuntimeError("unforeseen")],
    ids=["chip", "unforeseen"],
)
def test_a_hit_whose_attempt_could_not_begin_is_tried_again_outside_the_window(
    server: DepartmentProcess, unit: Unit, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Once, such a hit waited for the next window."""
    monkeypatch.setattr("sync.runner.LOOK_S", 0.02)
    unit.enroll(issue_code(server.home, f"no beginning {type(error).__name__}"))
    failures = [error]

    def open_or_fail(*words: Any, **options: Any) -> HttpsLink:
        if failures:
            raise failures.pop()
        return open_link(*words, **options)

    monkeypatch.setattr("sync.runner.open_link", open_or_fail)
    made: list[Attempt] = []
    with thread_of(unit, replace(closed_now(unit), first_retry_s=1), made):
        unit.add(1, hit=True)
        until(lambda: made)
    assert failures == []
    assert (made[0].outcome, made[0].progress.alerts) == ("paused", 1)


@pytest.mark.parametrize(
    "error",
    [
        UnitKeyError("the chip does not answer"),
        OSError(5, "Input/output error"),
        sqlite3.OperationalError("database is locked"),
        MemoryError(),
    ],
    ids=["chip", "card", "database", "memory"],
)
def test_an_attempt_for_a_hit_that_could_not_begin_is_in_no_status_and_no_event(
    server: DepartmentProcess, unit: Unit, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """A technician sees both, and would learn when a wanted vehicle passed."""
    monkeypatch.setattr("sync.runner.LOOK_S", 0.02)
    unit.enroll(issue_code(server.home, f"no trace {type(error).__name__}"))
    tried: list[float] = []

    def fail(*_words: Any, **_options: Any) -> HttpsLink:
        tried.append(time.monotonic())
        raise error

    monkeypatch.setattr("sync.runner.open_link", fail)
    quick, heard = replace(closed_now(unit), first_retry_s=1), io.StringIO()
    with structlog.testing.capture_logs() as said, thread_of(unit, quick, [], heard):
        unit.add(1, hit=True)
        until(lambda: len(tried) > 1)
    assert tried[1] - tried[0] > 0.7  # it backs off, and does not wait for long
    assert not {"tried_us", "ended_us", "outcome"} & set(unit.folder.status())
    assert (said, heard.getvalue()) == ([], "")


def test_stopping_does_not_wait_for_a_line_that_fell_silent(
    server: DepartmentProcess, unit: Unit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firmware.run.uplink_thread.JOIN_S", 120.0)  # an answer may take five minutes
    unit.enroll(issue_code(server.home, "silent"))
    proxy = FaultProxy(server.home.settings.unit_port)
    proxy.delay_s = 3600.0  # takes everything and forwards nothing
    unit.through(proxy.port)
    unit.add(3)
    made: list[Attempt] = []
    thread = thread_of(unit, Schedule(), made)
    with thread:
        assert proxy.taken.wait(PATIENCE_S)
        assert not made
    assert not any(one.name == "uplink" for one in threading.enumerate())
    assert [one.outcome for one in made] == ["link"]
    proxy.close()


def test_a_clock_that_was_set_back_stops_no_uplink(server: DepartmentProcess, unit: Unit) -> None:
    unit.enroll(issue_code(server.home, "back"))
    now_us = unit.clock.now().us
    unit.folder.save_status(tried_us=now_us + 86_400 * SECOND_US)  # tried before the clock was set back
    times = [now_us]
    made: list[Attempt] = []
    runner = Runner(
        unit.outbox,
        unit.folder,
        Schedule(interval_s=10, jitter=0),
        now_us=lambda: times[0],
        on_attempt=made.append,
    )
    stop = threading.Event()
    thread = threading.Thread(target=runner.run, args=(stop,))
    thread.start()
    try:
        time.sleep(0.5)
        assert not made
        times[0] += 11 * SECOND_US
        until(lambda: made)
    finally:
        stop.set()
        thread.join()
    assert made[0].outcome == "done"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[1]",
        '{"tried_us": null, "failures": "x", "metered_day": [], "parcel_bytes": -1}',
        '{"tried_us": 1e99}',
    ],
    ids=["empty", "a list", "wrong types", "no time"],
)
def test_a_damaged_account_of_earlier_attempts_keeps_no_unit_from_syncing(
    server: DepartmentProcess, unit: Unit, text: str
) -> None:
    unit.enroll(issue_code(server.home, f"account {len(text)}"))
    (unit.folder.path / "status.json").write_text(text)
    assert unit.runner().attempt().outcome == "done"
    assert unit.folder.status()["failures"] == 0


def test_an_account_that_finds_no_room_spoils_no_conversation(server: DepartmentProcess, unit: Unit) -> None:
    unit.enroll(issue_code(server.home, "no room"))
    (unit.folder.path / "status.json.new").mkdir()  # like a full disk
    made: list[Attempt] = []
    unit.add(3)
    with thread_of(unit, Schedule(), made):
        until(lambda: made)
    assert made[0].outcome == "done"


@pytest.mark.parametrize(
    "error",
    [sqlite3.ProgrammingError("bad parameter"), OSError(24, "Too many open files"), KeyError("x")],
    ids=["database", "system", "unforeseen"],
)
def test_whatever_goes_wrong_in_the_uplink_is_named_and_it_syncs_again(
    server: DepartmentProcess, unit: Unit, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr("firmware.run.uplink_thread.AGAIN_S", 0.1)
    unit.enroll(issue_code(server.home, f"trouble {type(error).__name__}"))
    made: list[Attempt] = []
    said = io.StringIO()
    failures = [error]

    def conditions() -> Conditions:
        if failures:
            raise failures.pop()
        return Conditions()

    kept, shown = Runner.save_failure, list[dict[str, object]]()

    def save(runner: Runner, what: str) -> None:
        kept(runner, what)
        shown.append(unit.folder.status())

    monkeypatch.setattr(Runner, "save_failure", save)
    thread = UplinkThread(
        unit.ledger,
        unit.home,
        Schedule(),
        log=event_log(said),
        conditions=conditions,
        on_attempt=made.append,
    )
    with thread:
        until(lambda: made)
    assert made[0].outcome == "done"
    event = json.loads(said.getvalue().splitlines()[0])
    assert (event["event"], event["kind"]) == ("uplink_failed", type(error).__name__)
    (status,) = shown
    assert status["outcome"] == "error"
    assert str(status["what"]).startswith(event.get("reason", "KeyError"))
    assert status["ended_us"] == status["tried_us"]


def speak(folder: SyncFolder) -> None:
    """Ask the running reader to sync, and wait for success."""
    asked_us = time.time_ns() // 1000
    folder.wanted.touch(mode=0o600)
    until(
        lambda: folder.status().get("tried_us", 0) >= asked_us and folder.status().get("outcome") == "done",
    )


@pytest.mark.slow
def test_a_running_reader_sends_what_it_reads_and_stops_cleanly(
    server: DepartmentProcess, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    config = Config(sync=SyncSettings(interval_s=10, jitter=0.0))
    home.mkdir()
    write_config(home, config)
    assert load_config(home).sync == config.sync
    process = Running(home, "--source", str(TWO_CARS))
    folder = SyncFolder.of(home)
    process.until_reads(1)
    assert process.end(15) == 0
    with open_ledger(home) as ledger:
        join(LedgerOutbox(ledger, folder.inbox), folder, issue_code(server.home, "running"), software="test")
    process = Running(home, "--source", str(TWO_CARS))
    process.until_reads(4)
    sent = [int(str(one["record"])) for one in process.announced]
    until(lambda: folder.status().get("received_to", 0) > sent[-1])
    assert folder.status()["outcome"] == "done"
    assert process.end(15) == 0
    report = verify_home(Home(home))
    assert report.ok, report.findings
    with open_ledger(home) as ledger:
        assert all(ledger.store.book.is_received(number) for number in sent)


@pytest.mark.parametrize(
    ("text", "windows"),
    [
        ("", ()),
        ("22:00-05:30", (Window(start_min=1320, end_min=330),)),
        (
            "0:00-24:00, 12:15 - 13:00",
            (Window(start_min=0, end_min=1440), Window(start_min=735, end_min=780)),
        ),
    ],
)
def test_windows_are_written_as_times_of_day(text: str, windows: tuple[Window, ...]) -> None:
    config = parse_config(f'[sync]\nwindows = "{text}"\nnetworks = "depot, yard"\n', "config.toml")
    assert config.sync.schedule().windows == windows
    assert config.sync.schedule().networks == ("depot", "yard")


@pytest.mark.one_python
@pytest.mark.parametrize("text", ["22-05", "22:00", "22:60-23:00", "25:00-26:00", "a:00-b:00", "1:00-2:00;"])
def test_an_invalid_window_is_refused_by_name(text: str) -> None:
    with pytest.raises(ConfigError, match=r"config.toml: sync"):
        parse_config(f'[sync]\nwindows = "{text}"\n', "config.toml")


@pytest.mark.thorough
@pytest.mark.slow
def test_a_cloned_card_gets_a_new_log_and_the_reader_reads_on(
    server: DepartmentProcess, tmp_path: Path
) -> None:
    home, folder = tmp_path / "home", SyncFolder.of(tmp_path / "home")
    home.mkdir()
    write_config(home, Config(sync=SyncSettings(interval_s=600, jitter=0.0)))

    def read_and_send(first: int) -> None:
        process = Running(home, "--source", str(TWO_CARS))
        process.until_reads(first)
        speak(folder)
        assert process.end(15) == 0

    with create_ledger(home) as ledger:
        code = issue_code(server.home, "cloned")
        join(LedgerOutbox(ledger, folder.inbox), folder, code, software="test")
        before = ledger.store.log_id
    read_and_send(2)
    shutil.copytree(home, tmp_path / "clone")
    read_and_send(2)
    shutil.rmtree(home)
    (tmp_path / "clone").rename(home)
    process = Running(home, "--source", str(TWO_CARS))
    process.until_reads(1)
    folder.wanted.touch(mode=0o600)
    numbers = [int(str(process.announced[-1]["record"]))]
    while numbers[-1] >= numbers[-2:][0]:  # the numbers of a new log start over
        assert len(numbers) < 500, "no new log was opened"
        process.until_reads(len(process.lines) + 1)
        numbers.append(int(str(process.announced[-1]["record"])))
    speak(folder)
    assert process.end(15) == 0
    with open_ledger(home) as ledger:
        assert ledger.store.log_id != before
        assert ledger.store.book.opened is not None
        assert (ledger.store.book.opened.reason or "").startswith(("rollback:", "fork:"))
        assert ledger.store.book.is_received(numbers[-1])
    assert verify_home(Home(home)).ok
