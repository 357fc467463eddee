"""How a run ends after a damaged video, with too little memory, or when its terminal is closed."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from camera_twins import write_pictures, write_video
from reader_process import TWO_CARS, Running
from sync_twins import DepartmentProcess, bare_home, issue_code, running

from firmware.cli import main
from firmware.custody.opening import open_ledger
from firmware.errors import OutOfMemoryError
from firmware.run import app
from firmware.run.one_run import OneRun
from firmware.run.orders import Reason
from firmware.run.prepared_home import prepare_home
from firmware.run.run_result import RunOptions, RunResult
from storage.home import Home
from storage.ledger import Ledger
from storage.verify import verify_home
from sync.enrollment import join
from sync.ledger_outbox import LedgerOutbox
from sync.membership import SyncFolder

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def department(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DepartmentProcess]:
    with running(bare_home(tmp_path_factory.mktemp("department"))) as server:
        yield server


def reader(home: Path, *words: str | Path) -> int:
    prepare_home(home)
    return main(["--home", str(home), *map(str, words)])


@pytest.mark.parametrize(("cut", "status"), [(1.0, 0), (0.5, 1)])
def test_a_damaged_video_says_so_and_the_status_is_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], cut: float, status: int
) -> None:
    clip = write_video(tmp_path / "clip.mkv", 40, (320, 240))
    data = clip.read_bytes()
    clip.write_bytes(data[: round(len(data) * cut)])
    assert reader(tmp_path / "home", "run", "--source", clip, "--once") == status
    assert ("cut off or damaged" in capsys.readouterr().err) == bool(status)


@pytest.mark.parametrize("once", [True, False])
def test_a_run_of_a_folder_that_ends_early_as_the_log_gives_way_says_so(
    department: DepartmentProcess,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    once: bool,
) -> None:
    """With --once, the run does not continue in the new log, and reports what was not read."""
    home, folder = tmp_path / "home", write_pictures(tmp_path, 1, (320, 240))
    sync = SyncFolder.of(home)
    prepare_home(home)
    with open_ledger(home) as ledger:
        code = issue_code(department.home, f"pole-{once}")
        join(LedgerOutbox(ledger, sync.inbox), sync, code, software="t")
    read_part, runs = OneRun._read, []

    def refused(run: OneRun, ledger: Ledger, *rest: Any) -> RunResult:
        runs.append(ledger.store.log_id)
        if len(runs) == 1:
            run._set_aside(ledger, "fork: its history differs from the 8 records held here")
        else:
            run._stop.ask(Reason.ASKED)
        return read_part(run, ledger, *rest)

    monkeypatch.setattr(OneRun, "_read", refused)
    words = ["--home", str(home), "run", "--source", str(folder), *(["--once"] if once else [])]
    status, said = main(words), capsys.readouterr().err
    assert "log_gives_way" in said
    if once:
        assert (status, len(runs)) == (1, 1)
        assert "the rest of the source was not read: this log gave way to a new one (fork: its" in said
        assert "run it again" in said
    else:
        assert (status, len(set(runs))) == (0, 2)
        assert "not read" not in said


def test_names_of_files_reach_a_terminal_without_control_characters(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_pictures(tmp_path, 1, (320, 240))
    (folder / "a\x1b[31m\nb.jpg").write_bytes(b"no picture")
    (folder / "c\x1b[2J.gif").touch()
    assert reader(tmp_path / "home", "run", "--source", folder, "--once") == 1
    said = capsys.readouterr()
    assert "\x1b" not in said.err + said.out
    assert "a?[31m?b.jpg" in said.err
    assert "c?[2J.gif" in said.err


def test_too_little_memory_ends_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_much(*_words: object, **_names: object) -> None:
        raise MemoryError

    monkeypatch.setattr(OneRun, "carry_out", too_much)
    out = io.StringIO()
    with pytest.raises(OutOfMemoryError, match="Start the reader again") as caught:
        app.run(tmp_path, RunOptions(source=str(TWO_CARS), once=True), out=out, err=out)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_status == 1


def _start_with_hang_up(tmp_path: Path, handling: signal.Handlers) -> Running:
    """Start a run that inherits this handling of SIGHUP: the tests themselves may run under nohup."""
    before = signal.signal(signal.SIGHUP, handling)
    try:
        return Running(tmp_path, "--source", str(TWO_CARS), "--pace", "fast")
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.thorough
def test_a_terminal_that_goes_away_ends_a_run_in_order(tmp_path: Path) -> None:
    running = _start_with_hang_up(tmp_path, signal.SIG_DFL)
    running.until_reads(1)
    assert running.end(signal.SIGHUP) == 0
    assert verify_home(Home(tmp_path)).ok


@pytest.mark.thorough
def test_a_reader_under_nohup_reads_on(tmp_path: Path) -> None:
    running = _start_with_hang_up(tmp_path, signal.SIG_IGN)
    running.until_reads(1)
    os.kill(running.process.pid, signal.SIGHUP)
    running.until_reads(len(running.lines) + 1)
    assert running.end(signal.SIGTERM) == 0
