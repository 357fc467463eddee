"""Reading continues if its output is closed or was never open."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from reader_process import TWO_CARS

from firmware.custody.opening import open_ledger
from firmware.run.prepared_home import prepare_home
from storage.home import Home
from storage.read_records import Read
from storage.verify import verify_home
from sync.event_log import event_log
from sync.lasting_stream import lasting


def reads_in(home: Path) -> int:
    with open_ledger(home) as ledger:
        return sum(ledger.store.leaf(n).kind == Read.KIND for n in range(ledger.status().records))


def broken_pipe() -> int:
    read_end, write_end = os.pipe()
    os.close(read_end)
    return write_end


@pytest.mark.thorough_rows
@pytest.mark.slow
@pytest.mark.parametrize("lost", ["stdout", "stderr"])
def test_a_reader_with_a_closed_stdout_keeps_reading(tmp_path: Path, lost: str) -> None:
    prepare_home(tmp_path)
    command = [sys.executable, "-m", "firmware.cli", "--home", str(tmp_path), "run", "--json"]
    pipe = broken_pipe()
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL} | {lost: pipe}
    with subprocess.Popen([*command, "--source", str(TWO_CARS), "--once"], **streams) as process:  # type: ignore[call-overload]
        os.close(pipe)
        assert process.wait(300) == 0
    assert reads_in(tmp_path) == 2
    assert verify_home(Home(tmp_path)).ok


@pytest.mark.thorough
@pytest.mark.slow
def test_a_reader_that_was_started_without_streams_reads_and_harms_no_file(tmp_path: Path) -> None:
    prepare_home(tmp_path)
    words = [sys.executable, "-m", "firmware.cli", "--home", str(tmp_path), "run", "--source", str(TWO_CARS)]
    shell = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *words, "--once", "--plates"]
    assert subprocess.run(shell, check=False, timeout=300).returncode == 0
    assert reads_in(tmp_path) == 2
    assert verify_home(Home(tmp_path)).ok


def test_an_event_without_a_taker_raises_nothing() -> None:
    stream = os.fdopen(broken_pipe(), "w")
    event_log(stream).error("lost")
    event_log(stream).error("lost again")
    stream.close()
    event_log(stream).error("after the end")


def test_what_is_taken_arrives_whole() -> None:
    stream = io.StringIO()
    out = lasting(stream)
    print("one", file=out, flush=True)
    assert stream.getvalue() == "one\n"
    assert lasting(out) is out
    assert out.isatty() is False
