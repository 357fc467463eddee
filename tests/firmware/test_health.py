"""The unit's report on its health: each alarm has only its own cause, and there are no plates in it."""

import contextlib
import io
import json
import os
import socket
import sqlite3
import struct
import threading
import urllib.error
import urllib.request
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from health_bench import STARTED_S, T0_US, Bench
from road_picture import road
from waiting import PATIENCE_S, until

from firmware import cli
from firmware.custody.opening import open_ledger, serve_door
from firmware.health.alarm_cures import alarm_lines
from firmware.health.alarm_events import AlarmEvents
from firmware.health.custody import Custody
from firmware.health.health_file import newest_report, path_of, reporting, write_report
from firmware.health.list_health import ListHealth
from firmware.health.metrics import MOST_AT_ONCE, MetricsServer, serving_metrics
from firmware.health.read_habit import ReadHabit
from firmware.health.report import HealthReport, HealthWatch
from firmware.health.report_text import report_lines
from firmware.health.system_marks import LINE_LIMIT, SystemMarks, system_marks
from firmware.run.prepared_home import prepare_home
from firmware.screen import screened
from hw.clock import UNKNOWN_ERROR_US, SetClock, TimeState
from hw.vitals import ScriptedBoard
from storage.times import MINUTE_US
from sync.event_log import event_log
from sync.health import Alarm
from sync.membership import SyncFolder

LATE = Custody(enrolled=True, last_sync_us=T0_US - 90_000_000_000)


def test_a_healthy_unit_has_no_alarm() -> None:
    assert Bench().alarms() == set()


def spoil(**vitals: Any) -> Any:
    return lambda bench: setattr(bench.board, "vitals", replace(bench.board.vitals, **vitals))


@pytest.mark.parametrize(
    ("trouble", "alarm"),
    [
        pytest.param(spoil(temperature_c=85.0), "hot", id="hot"),
        pytest.param(spoil(disk_free_bytes=1 << 30), "disk_low", id="disk nearly full"),
        pytest.param(spoil(card_wear_percent=90), "card_worn", id="card worn"),
        pytest.param(lambda bench: setattr(bench.power, "throttle_word", 0x4), "throttled", id="throttled"),
        pytest.param(
            lambda bench: setattr(bench.power, "throttle_word", 0x1), "undervoltage", id="undervoltage"
        ),
        pytest.param(
            lambda bench: setattr(bench.power, "silent", ("throttling word",)), "sensor_failed",
            id="a sensor that does not answer",
        ),
        pytest.param(
            lambda bench: setattr(bench, "troubles", ("receiver: its line is gone",)), "sensor_failed",
            id="the receiver's line is gone",
        ),
        pytest.param(
            lambda bench: bench.watch.net_failed("plate-reader.tflite: no number"), "sensor_failed",
            id="a net that gives no numbers",
        ),
        pytest.param(
            lambda bench: bench.clock.lose_reference(TimeState.UNKNOWN), "clock_unknown", id="no clock"
        ),
        pytest.param(
            lambda bench: setattr(bench.clock, "_now", replace(bench.clock.now(), error_us=3_000_000)),
            "clock_loose", id="clock loose",
        ),
        pytest.param(lambda bench: setattr(bench, "now_s", STARTED_S + 11), "no_frames", id="no frames"),
        pytest.param(
            lambda bench: setattr(bench, "custody", LATE),
            "sync_late", id="a day without sync",
        ),
        pytest.param(
            lambda bench: setattr(bench, "custody", Custody(enrolled=True)), "sync_late", id="never synced"
        ),
        pytest.param(
            lambda bench: setattr(bench, "custody", replace(bench.custody, configuration_refused=True)),
            "configuration_refused", id="a configuration refused",
        ),
        pytest.param(
            lambda bench: setattr(bench, "custody", replace(bench.custody, closed_log=True)),
            "closed_log", id="reads of a closed log not delivered",
        ),
        pytest.param(
            lambda bench: setattr(bench, "custody", replace(bench.custody, clock_in_doubt=True)),
            "clock_in_doubt", id="a clock that custody does not follow",
        ),
        pytest.param(
            lambda bench: setattr(bench, "custody", replace(bench.custody, purge_failed="blobs/5: no")),
            "purge_failed", id="an image that no purge can remove",
        ),
        pytest.param(
            lambda bench: bench.watch.watch_way_up(lambda: True, lambda: None), "camera_upside_down",
            id="a camera that hangs upside down",
        ),
        pytest.param(
            lambda bench: bench.watch.watch_lists(lambda: ListHealth(expired=1)), "list_expired",
            id="a hot list that has expired",
        ),
        pytest.param(
            lambda bench: bench.watch.watch_lists(lambda: ListHealth(lists=1, in_doubt=1)), "list_in_doubt",
            id="a hot list whose age the clock cannot tell",
        ),
        pytest.param(
            lambda bench: setattr(bench, "marks", SystemMarks(given_up="version 3: slot B panicked")),
            "update_given_up", id="an update that did not start",
        ),
        pytest.param(
            lambda bench: setattr(bench, "marks", SystemMarks(other_disk="sda")), "second_disk",
            id="a stick with the card's labels",
        ),
    ],
)  # fmt: skip
def test_each_trouble_raises_its_alarm_alone(trouble: Any, alarm: str) -> None:
    bench = Bench()
    trouble(bench)
    assert bench.alarms() == {alarm}


@pytest.mark.parametrize(
    ("held", "shown"),
    [
        pytest.param(None, "", id="none"),
        pytest.param("version 3: no start\nx", "version 3: no start", id="one line of it"),
        pytest.param("\x1b[2Jversion 3", "[2Jversion 3", id="nothing for a terminal"),
        pytest.param("v" * 999, "v" * LINE_LIMIT, id="too long"),
        pytest.param("\n", "{} is empty", id="empty, and yet a mark"),
    ],
)
def test_mark_of_the_system_is_one_line_and_never_lost(tmp_path: Path, held: str | None, shown: str) -> None:
    mark, none = tmp_path / "mark", tmp_path / "none"
    if held is not None:
        mark.write_text(held)
    assert system_marks(mark, none) == SystemMarks(given_up=shown.format(mark))
    assert system_marks(none, mark) == SystemMarks(other_disk=shown.format(mark))
    assert system_marks(tmp_path, none).given_up.endswith("Is a directory")


def test_alarm_of_the_system_names_its_cause_in_the_event_log_alone() -> None:
    bench = Bench()
    bench.marks = SystemMarks(given_up="version 3: slot B did not start", other_disk="sda")
    assert bench.watch.why(Alarm.UPDATE_GIVEN_UP) == "version 3: slot B did not start"
    assert bench.watch.why(Alarm.SECOND_DISK) == "sda"
    bench.custody = replace(bench.custody, purge_failed="blobs/00000005: EPERM")
    assert bench.watch.why(Alarm.PURGE_FAILED) == "blobs/00000005: EPERM"
    assert "slot B" not in str(bench.watch.report().plain())


def test_a_camera_that_is_not_asked_for_the_next_frame_is_not_an_alarm() -> None:
    """The reader may be slow, or the street of a drop folder quiet: only the camera knows."""
    bench = Bench()
    silent_s: float | None = None
    bench.watch.follow(lambda: silent_s)
    bench.now_s = STARTED_S + 600
    assert "no_frames" not in bench.alarms()
    silent_s = 12.0
    assert "no_frames" in bench.alarms()
    bench.frame(road())
    assert "no_frames" not in bench.alarms()


def test_a_clock_that_is_still_finding_the_time_after_a_start_is_not_an_alarm_yet() -> None:
    bench = Bench()
    bench.clock.lose_reference(TimeState.UNKNOWN)
    for seconds, alarms in ((2.0, set()), (61.0, {"clock_unknown"})):
        bench.now_s = seconds
        bench.frame(road())
        assert bench.alarms() == alarms


@pytest.mark.parametrize(("stays", "known"), [(True, False), (False, True)])
def test_a_vehicle_and_a_unit_that_does_not_know_the_hour_have_no_habit(stays: bool, known: bool) -> None:
    habit = ReadHabit([100.0] * 168)
    state = TimeState.HOLDOVER if known else TimeState.UNKNOWN
    clock, now_us = SetClock(T0_US, state=state), T0_US
    watch = HealthWatch(board=ScriptedBoard(), now=clock.now, habit=habit, stays=stays, monotonic=lambda: 0.0)
    watch.report()
    for _ in range(90):
        clock.step(MINUTE_US)
        assert Alarm.FEW_READS not in watch.report().alarms
    assert habit.too_quiet(now_us + 90 * MINUTE_US)
    assert habit.usual(now_us) == (75 if known else 100)


def test_every_alarm_says_what_a_person_does_about_it_in_one_line() -> None:
    for alarm in Alarm:
        [line] = alarm_lines([alarm])
        assert line.startswith(f"{alarm}: ")
        assert len(line) <= 110, "a terminal"
        assert screened(line) == line, "the console's screen must leave the cure whole"
        assert alarm.words.replace("_", "") == alarm.words != "", "the department shows words, not a name"


def test_status_finds_an_alarm_a_failed_sync_and_a_configuration_that_starts_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scripts check for status 0, and a restart that cannot work should not be discovered at night."""
    monkeypatch.setattr("firmware.commands.status.clock_of", lambda _position: SetClock(T0_US))
    monkeypatch.setattr("firmware.commands.status.SysfsBoard", lambda _home: ScriptedBoard())
    prepare_home(tmp_path)
    command = ["--home", str(tmp_path), "status"]
    assert cli.main(command) == 0
    (tmp_path / "config.toml").write_text("[camera]\nfps = 200\n")
    assert cli.main(command) == 1
    assert "camera.fps: 200" in capsys.readouterr().out
    (tmp_path / "config.toml").unlink()
    prepare_home(tmp_path)
    SyncFolder.of(tmp_path).make()
    SyncFolder.of(tmp_path).save_status(outcome="refused", what="revoked: enroll it again")
    assert cli.main([*command, "--json"]) == 1
    assert "revoked" in json.loads(capsys.readouterr().out)["wrong"][0]
    SyncFolder.of(tmp_path).save_status(outcome="done")
    board = ScriptedBoard()
    board.vitals = replace(board.vitals, temperature_c=90.0)
    monkeypatch.setattr("firmware.commands.status.SysfsBoard", lambda _home: board)
    assert cli.main(command) == 1
    assert "hot: give it shade" in capsys.readouterr().out


def test_the_report_is_plain_json_and_fits_a_terminal() -> None:
    report = Bench().watch.report()
    assert json.loads(json.dumps(report.plain()))["alarms"] == []
    assert all(len(line) <= 100 for line in report_lines(report))
    lines = list(report_lines(report))
    assert not any("FULL" in line for line in lines)
    assert lines[0] == "clock        disciplined, within 1.0 ms"
    unset = replace(report, clock_state="unknown", clock_error_us=UNKNOWN_ERROR_US)
    assert next(iter(report_lines(unset))) == "clock        unknown"
    assert "log          0 records newer than every anchor after that sync" in lines
    never = list(report_lines(replace(report, since_sync_s=None, synced=False)))
    assert "sync         never; 0 records of reads and alerts not acknowledged" in never
    assert "log          0 records newer than every anchor" in never
    behind = list(report_lines(replace(report, since_sync_s=None)))
    assert any(line.startswith("sync         at a time ahead of this clock; it left 0 ") for line in behind)
    assert "log          0 records newer than every anchor after that sync" in behind


@pytest.mark.parametrize(("free", "spent"), [(3 << 20, False), (1 << 20, True)])
def test_a_card_that_takes_no_read_says_so_and_what_to_do(free: int, spent: bool) -> None:
    said = "\n".join(report_lines(replace(Bench().watch.report(), disk_free_bytes=free)))
    assert "FULL: no read is stored below 16 MB; sync, or remove other files" in said
    assert ("its reserve is spent: make room before a restart" in said) is spent


def test_clients_that_send_nothing_hold_a_few_threads_and_write_no_log(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with closing(MetricsServer(0, Bench().watch.report)) as server, contextlib.ExitStack() as held:
        before = threading.active_count()
        for _ in range(4 * MOST_AT_ONCE):
            client = held.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closes by reset
        assert client.recv(1) == b""  # no room for another client
        assert threading.active_count() <= before + MOST_AT_ONCE
        held.close()
        until(lambda: threading.active_count() <= before)
    assert capfd.readouterr().err == ""


def test_the_metrics_port_answers_again_once_threads_start_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with closing(MetricsServer(0, Bench().watch.report)) as server:
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", fails)
            for _ in range(MOST_AT_ONCE):
                with socket.create_connection(("127.0.0.1", server.port)) as client:
                    assert client.recv(1) == b""
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            assert client.recv(4) == b"HTTP"


def test_prometheus_reads_the_report_on_loopback_and_nothing_else() -> None:
    bench = Bench()
    bench.power.throttle_word = 1
    with closing(MetricsServer(0, bench.watch.report)) as server:
        where = f"http://127.0.0.1:{server.port}"
        with urllib.request.urlopen(f"{where}/metrics", timeout=PATIENCE_S) as answer:  # noqa: S310 - loopback
            text = answer.read().decode()
            assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{where}/", timeout=PATIENCE_S)  # noqa: S310 - loopback
        refused.value.close()
    samples = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert samples['alpr_alarm{name="undervoltage"}'] == "1"
    assert samples['alpr_alarm{name="hot"}'] == "0"
    assert float(samples["alpr_temperature_c"]) == 48.5
    assert samples['alpr_clock_state{state="disciplined"}'] == "1"
    assert len([line for line in text.splitlines() if "alpr_alarm{" in line]) == len(Alarm)


def test_a_metrics_port_that_is_taken_is_an_event_and_the_reading_continues() -> None:
    stream, report = io.StringIO(), Bench().watch.report
    with (
        closing(MetricsServer(0, report)) as first,
        serving_metrics(first.port, report, event_log(stream)),
        serving_metrics(None, report, event_log(stream)),
    ):
        (event,) = stream.getvalue().splitlines()
    assert json.loads(event)["event"] == "metrics_not_served"
    assert json.loads(event)["port"] == first.port


def test_status_of_a_unit_whose_reader_was_killed_says_that_none_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """After kill -9, the last report still looks fresh for seconds."""
    prepare_home(tmp_path)
    command = ["--home", str(tmp_path), "status", "--json"]
    try:
        with open_ledger(tmp_path) as ledger, serve_door(ledger):
            write_report(tmp_path, Bench().watch.report())
            cli.main(command)
        write_report(tmp_path, Bench().watch.report())
        cli.main(command)
    finally:
        path_of(tmp_path).unlink()
    assert [json.loads(line)["running"] for line in capsys.readouterr().out.splitlines()] == [True, False]


def test_the_newest_report_is_found_while_the_reader_runs_and_not_after(tmp_path: Path) -> None:
    report: HealthReport = Bench().watch.report()
    assert newest_report(tmp_path) is None
    with reporting(tmp_path, lambda: report):
        assert newest_report(tmp_path) == report
        assert path_of(tmp_path).stat().st_mode & 0o777 == 0o600
    assert newest_report(tmp_path) is None
    write_report(tmp_path, report)
    path = path_of(tmp_path)
    path.write_text('{"written_s": 0}')
    assert newest_report(tmp_path) is None
    path.unlink()
    os.mkfifo(path)  # no command waits for what never comes
    assert newest_report(tmp_path) is None
    path.unlink()


def test_an_alarm_is_reported_once_when_it_is_raised_and_once_when_it_is_over() -> None:
    stream, board, now_s = io.StringIO(), ScriptedBoard(), [0.0]
    watch = HealthWatch(board=board, now=SetClock(1_780_000_000_000_000).now, watching=False)
    events = AlarmEvents(event_log(stream), monotonic=lambda: now_s[0])
    flicker = [80.5, 79.5] * 60  # around the limit for ten minutes
    for temperature_c in (40.0, *flicker, *[40.0] * 14):
        board.vitals = replace(board.vitals, temperature_c=temperature_c)
        assert events.noted(watch.report()).temperature_c == temperature_c
        now_s[0] += 5
    told = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(one["event"], one["alarm"]) for one in told] == [("alarm_raised", "hot"), ("alarm_over", "hot")]


def test_a_missing_picture_is_reported_with_its_cause_while_it_lasts() -> None:
    """With only no_frames in the journal, a technician would climb the pole because of a wrong password."""
    stream = io.StringIO()
    bench = Bench()
    bench.watch.follow(lambda: 20.0, lambda: "cam/1: cannot be opened (Connection refused)")
    bench.now_s += 20.0
    AlarmEvents(event_log(stream), why=bench.watch.why).noted(bench.watch.report())
    [told] = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert (told["alarm"], told["why"]) == ("no_frames", "cam/1: cannot be opened (Connection refused)")


def test_a_report_that_fails_for_a_while_is_named_once_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firmware.health.health_file.EVERY_S", 0.01)
    report, failing = Bench().watch.report(), [True]
    named: list[Any] = []

    def asked() -> HealthReport:
        if failing[0]:
            raise sqlite3.OperationalError("disk I/O error")
        return report

    with reporting(tmp_path, asked, on_trouble=named.append):
        until(lambda: named)
        assert newest_report(tmp_path) is None
        failing[0] = False
        until(lambda: newest_report(tmp_path))
    assert named == ["OperationalError"]


def test_frames_that_no_net_could_read_count_as_lost() -> None:
    """Pictures in a drop folder have been removed by then, so what was not read must be counted."""
    bench = Bench()
    for _ in range(3):
        bench.watch.net_failed("plate-reader.tflite: no number")
    assert bench.watch.report().frames_dropped == 3
    assert "frames not read so far: 3" in bench.watch.why(Alarm.SENSOR_FAILED)


def test_the_look_at_the_home_holds_up_no_frame() -> None:
    """It walks a thousand folders, and each frame takes the report's lock."""
    free, watches = list[bool](), list[HealthWatch]()

    def look() -> list[str]:
        taken = threading.Thread(target=watches[0].read_stored)
        taken.start()
        taken.join(5)
        free.append(not taken.is_alive())
        return [f"part {number}" for number in range(7)]

    watches.append(HealthWatch(board=ScriptedBoard(), now=SetClock(T0_US).now, watching=False, shut=look))
    assert Alarm.HOME_SHUT in watches[0].report().alarms
    assert watches[0].why(Alarm.HOME_SHUT) == "part 0; part 1; part 2; part 3; part 4; and 2 more"
    assert free == [True, True]
