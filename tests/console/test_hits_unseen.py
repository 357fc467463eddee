"""Nothing that a console, `reader sync status` or a metric shows reveals that a wanted vehicle passed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from field_home import NOW_US, Home
from structlog.testing import capture_logs
from sync_twins import DepartmentProcess, Unit, bare_home, issue_code, running
from waiting import until

from firmware.commands.sync import shown_status
from firmware.console.consoles import outcome_line
from firmware.custody.opening import custody_of
from firmware.health.metrics import prometheus_text
from firmware.health.report import HealthWatch
from firmware.health.report_text import report_lines
from firmware.run.uplink_thread import UplinkThread
from hw.card import CardWrites
from hw.clock import SetClock
from hw.vitals import NetworkLink, ScriptedBoard
from sync.event_log import event_log
from sync.runner import Attempt
from sync.schedule import Schedule


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DepartmentProcess]:
    with running(bare_home(tmp_path_factory.mktemp("office") / "home")) as process:
        yield process


@pytest.fixture(autouse=True)
def one_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no time pass since a sync, as none does by the clock of `shown`."""
    monkeypatch.setattr("sync.membership.boottime_us", lambda: 1_000_000)


@pytest.fixture
def unit(tmp_path: Path, server: DepartmentProcess) -> Iterator[Unit]:
    made = Unit(tmp_path / "unit")
    made.enroll(issue_code(server.home, tmp_path.name))
    yield made
    made.close()


def shown(unit: Unit) -> dict[str, object]:
    """What a technician sees of sync and log at this time."""
    watch = HealthWatch(
        board=ScriptedBoard(), now=SetClock(NOW_US).now, custody=lambda: custody_of(unit.ledger, unit.folder)
    )
    report = watch.report()
    return {
        "status": [one for one in report_lines(report) if one.startswith(("sync", "log", " "))],
        "metrics": [one for one in prometheus_text(report).splitlines() if "_running_" not in one],
        "sync now": outcome_line(unit.folder),
        "sync status": shown_status(unit.folder.status()),
    }


def test_a_hit_is_sent_at_once_and_changes_nothing_that_a_technician_sees(unit: Unit) -> None:
    made: list[Attempt] = []
    with (
        capture_logs() as events,
        UplinkThread(unit.ledger, unit.home, Schedule(), log=event_log(), on_attempt=made.append),
    ):
        until(lambda: unit.folder.status().get("waiting_for") == "interval")
        before, said = shown(unit), len(events)
        unit.add(2)
        (hit,) = unit.add(1, hit=True)
        until(lambda: len(made) == 2)
        until(lambda: unit.ledger.store.book.is_received(hit))
        assert made[1].progress.leaves >= 3
        assert shown(unit) == before
        assert events[said:] == []


def test_a_hit_that_cannot_be_sent_is_tried_again_and_changes_nothing_either(unit: Unit) -> None:
    made: list[Attempt] = []
    schedule = Schedule(first_retry_s=1)
    with UplinkThread(unit.ledger, unit.home, schedule, log=event_log(), on_attempt=made.append):
        until(lambda: unit.folder.status().get("waiting_for") == "interval")
        before = shown(unit)
        unit.through(1)  # where nothing answers
        unit.add(1, hit=True)
        until(lambda: len(made) >= 3)
        assert {one.outcome for one in made[1:]} == {"link"}
        assert shown(unit) == before


def test_what_a_person_asked_for_is_shown(unit: Unit) -> None:
    made: list[Attempt] = []
    with UplinkThread(unit.ledger, unit.home, Schedule(), log=event_log(), on_attempt=made.append):
        until(lambda: unit.folder.status().get("waiting_for") == "interval")
        before = unit.folder.status()["ended_us"]
        unit.add(1, hit=True)
        unit.folder.wanted.touch(mode=0o600)
        until(lambda: unit.folder.status()["ended_us"] > before)
    assert outcome_line(unit.folder) == "done: the department has and signed all that is here"


def test_a_hit_adds_nothing_to_what_the_console_says_of_the_storage(home: Home, unit: Unit) -> None:
    home.unit._parts = replace(home.unit._parts, ledger=unit.ledger)
    home.unit._folder = unit.folder
    assert unit.attempt().outcome == "done"

    def said() -> tuple[object, ...]:
        storage = home.unit.storage()
        assert storage["enrolled"] == "True"
        return storage, [one for one in home.unit.selftest() if one.name == "log"]

    free = count((20 << 30) + (9 << 20), -150_000)
    unit.ledger.free_bytes = lambda: next(free)
    unit.add(1)
    unit.ledger.store.anchor(force=True)  # as happens each hour
    before = said()
    (hit,) = unit.add(1, hit=True)
    assert said() == before
    assert unit.runner().attempt(for_alert=True).outcome == "done"
    assert unit.ledger.store.book.is_received(hit)
    assert said() == before


def test_what_a_hit_writes_shows_in_no_figure_of_the_card_and_the_memory(home: Home) -> None:
    """A hit opens an epoch and is sent at once, with more bytes and flushes than another read."""
    board = home.unit._parts.board
    assert isinstance(board, ScriptedBoard)
    shown = []
    for more in (0, 1):
        free = (20 << 30) + (5 << 20) - more * 300_000
        writes = CardWrites(written_bytes=31_000_000 + more * 300_000, flushes=150 + more * 12)
        board.vitals = replace(
            board.vitals, disk_free_bytes=free, memory_free_bytes=free, card=writes, running_s=1200.0
        )
        report = HealthWatch(board=board, now=SetClock(NOW_US).now, watching=False).report()
        disk = [one for one in home.unit.selftest() if one.name == "disk"]
        shown.append((list(report_lines(report)), prometheus_text(report), disk))
    assert shown[0] == shown[1]
    assert any("up to 100 MB and 1000 flushes an hour" in line for line in shown[0][0])


@pytest.mark.one_python
def test_the_console_counts_no_bytes_of_a_link(home: Home) -> None:
    board = home.unit._parts.board
    assert isinstance(board, ScriptedBoard)
    lines = []
    for sent in (1000, 260_000):
        link = NetworkLink(name="eth0", up=True, received_bytes=sent, sent_bytes=sent)
        board.vitals = replace(board.vitals, links=(link,))
        lines.append(home.unit.network()[0])
    assert lines[0] == lines[1]
    assert "bytes flow" in lines[0]
    assert json.dumps(lines).count("1000") == 0
