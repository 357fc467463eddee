"""`reader run` as a process: SIGTERM loses nothing, kill -9 loses nothing that was announced."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
from reader_process import CLIP, TWO_CARS, Running
from warm_program import READER, run_warm

from firmware.custody.opening import open_ledger
from firmware.run.app import run
from firmware.run.prepared_home import prepare_home
from firmware.run.run_result import RunOptions
from storage.home import Home
from storage.read_records import Read
from storage.verify import verify_home

pytestmark = pytest.mark.slow
KILLS = 25 if os.environ.get("ALPR_FAULTS") == "full" else 2


def stored_reads(home: Path) -> dict[int, Read]:
    """Every read in the home by its number; opening the home recovers from an interruption."""
    with open_ledger(home) as ledger:
        numbers = [n for n in range(ledger.status().records) if ledger.store.leaf(n).kind == Read.KIND]
        return {number: ledger.read(number) for number in numbers}


def test_sigterm_stores_what_is_in_view_and_ends_with_status_0(tmp_path: Path) -> None:
    running = Running(tmp_path, "--source", str(TWO_CARS), "--pace", "fast", "--plates")
    running.until_reads(1)
    status = running.end(signal.SIGTERM)
    stored = stored_reads(tmp_path)
    assert status == 0
    assert {one["record"] for one in running.announced} == set(stored)
    assert {one["plate"] for one in running.announced} == {read.text for read in stored.values()}
    assert verify_home(Home(tmp_path)).ok


def test_kill_at_any_moment_loses_no_announced_read_and_the_log_verifies(tmp_path: Path) -> None:
    draw = random.Random(7)
    announced: dict[object, object] = {}
    for _ in range(KILLS):
        running = Running(tmp_path, "--source", str(TWO_CARS), "--pace", "fast", "--plates")
        running.until_reads(draw.randint(1, 3))
        time.sleep(draw.uniform(0.0, 0.3))
        assert running.end(signal.SIGKILL) == -signal.SIGKILL
        announced |= {one["record"]: one["plate"] for one in running.announced}
        report = verify_home(Home(tmp_path))
        assert report.ok, report.findings
    stored = stored_reads(tmp_path)
    assert {number: stored[int(str(number))].text for number in announced} == announced


def test_a_reader_whose_home_was_cleared_under_it_leaves_nothing_behind(tmp_path: Path) -> None:
    """A factory reset clears it when the console does one in the reader's own process."""
    home = tmp_path / "home"
    running = Running(home, "--source", str(TWO_CARS), "--pace", "fast")
    running.until_reads(1)
    for path in sorted(home.iterdir()):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    running.end(signal.SIGTERM)
    assert list(home.iterdir()) == []


def test_a_last_anchor_that_fails_is_reported_and_made_at_the_next_start(tmp_path: Path) -> None:
    running = Running(tmp_path, "--source", str(TWO_CARS), "--pace", "fast")
    running.until_reads(1)
    blocked = [
        tmp_path / "store" / f"slot.new{more}" for more in ("", *map(".moved-{}".format, range(1, 10)))
    ]
    for one in blocked:  # like a full disk: a folder there is moved aside while a name is free
        one.mkdir()
    running.process.send_signal(signal.SIGTERM)
    _, err = running.process.communicate(timeout=300)
    assert running.process.returncode == 0
    assert "not_anchored" in err
    assert "Traceback" not in err
    for one in blocked:
        one.rmdir()
    with open_ledger(tmp_path) as ledger:
        assert ledger.store.slot_content.anchor_size == ledger.status().records
    assert verify_home(Home(tmp_path)).ok


def command(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return run_warm(READER, "--home", str(home), *words)


@pytest.mark.thorough
def test_beside_a_running_reader_commands_ask_it_and_a_second_run_is_refused(tmp_path: Path) -> None:
    running = Running(tmp_path, "--source", str(TWO_CARS))
    running.until_reads(1)
    asked = command(tmp_path, "retention", "plan", "--json")
    second = command(tmp_path, "run", "--source", str(TWO_CARS), "--once")
    assert asked.returncode == 0, asked.stderr
    assert json.loads(asked.stdout.splitlines()[0])
    assert second.returncode == 2
    first_word, last_word = second.stderr.splitlines()[0], second.stderr.splitlines()[-1]
    assert json.loads(first_word)["event"] == "waiting_for_home"  # printed before the wait, not after it
    assert "another process" in last_word
    assert running.process.poll() is None
    assert running.end(signal.SIGINT) == 0


def test_a_command_that_holds_the_home_for_a_moment_keeps_no_reader_from_starting(tmp_path: Path) -> None:
    prepare_home(tmp_path)
    options = RunOptions(source=str(TWO_CARS), once=True)
    ledger = open_ledger(tmp_path)
    threading.Timer(1.0, ledger.close).start()
    result = run(tmp_path, options, out=io.StringIO(), err=io.StringIO())
    assert result.stored
    assert verify_home(Home(tmp_path)).ok


def test_no_plate_leaves_a_run_that_was_not_asked_for_them(tmp_path: Path) -> None:
    prepare_home(tmp_path)
    truth = {one["text"] for one in json.loads((CLIP / "truth.json").read_text())["vehicles"]}
    done = command(tmp_path, "run", "--source", str(TWO_CARS), "--once")
    assert done.returncode == 0
    stored = {read.text for read in stored_reads(tmp_path).values()}
    assert stored
    assert [text for text in truth | stored if text in done.stdout + done.stderr] == []
