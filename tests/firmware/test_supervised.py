"""`reader run` under a supervisor: systemd's watchdog, Prometheus, and its console over SSH."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import urllib.request
from pathlib import Path

import pytest
from reader_process import CLIP, TWO_CARS
from waiting import PATIENCE_S, until
from warm_program import READER, WarmProgram

from firmware.run.prepared_home import prepare_home
from firmware.settings.config import Config, UnitSettings, write_config
from hw.serial_port import FdPort
from tests.tools.ports import free_port
from tests.tools.rehearsal import Hands

pytestmark = pytest.mark.slow


def reader(home: Path, *words: str, **environment: str) -> subprocess.Popen[bytes]:
    return WarmProgram(
        READER,
        *("--home", str(home), *words),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | environment,
    )


def test_systemd_hears_ready_then_beats_then_stopping_and_prometheus_is_answered(tmp_path: Path) -> None:
    home, port = tmp_path / "home", free_port()
    home.mkdir()
    write_config(home, Config(unit=UnitSettings(metrics_port=port)))
    prepare_home(home)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        name = f"\0alpr-test-{os.getpid()}"
        supervisor.bind(name)
        supervisor.settimeout(PATIENCE_S)
        process = reader(
            home, "run", "--source", str(TWO_CARS), NOTIFY_SOCKET="@" + name[1:], WATCHDOG_USEC="20000000"
        )
        try:
            said = [supervisor.recv(200).decode()]
            while said.count("WATCHDOG=1") < 4:
                said.append(supervisor.recv(200).decode())
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE_S) as answer:
                metrics = answer.read().decode()
            process.send_signal(signal.SIGTERM)
            while said[-1] != "STOPPING=1":
                said.append(supervisor.recv(200).decode())
        finally:
            process.kill() if process.poll() is None and said[-1] != "STOPPING=1" else None
            process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    more_time = "EXTEND_TIMEOUT_USEC=60000000"  # again every 20 s on a slow machine
    assert said[0] == more_time
    assert set(said[: said.index("READY=1")]) == {more_time, "WATCHDOG=1"}
    assert said.count("READY=1") == 1
    assert "alpr_frames_total" in metrics
    assert 'alpr_alarm{name="camera_dark"} 0' in metrics


@pytest.mark.parametrize("beside_a_reader", [True, False])
def test_an_ssh_forced_command_gives_the_console_whatever_was_asked_for(
    tmp_path: Path, beside_a_reader: bool
) -> None:
    home = tmp_path / "home"
    prepare_home(home)
    running = reader(home, "run", "--source", str(TWO_CARS)) if beside_a_reader else None
    try:
        if beside_a_reader:
            until((home / "console.sock").exists)
        asked = "reader query --user demo-supervisor --role ccat-supervisor"
        console = reader(home, "console", SSH_ORIGINAL_COMMAND=asked)
        assert console.stdin is not None
        assert console.stdout is not None
        hands = Hands(FdPort(console.stdout.fileno(), console.stdin.fileno(), name="ssh"))
        hands.wait_for("Maintenance console; everything is recorded", PATIENCE_S)
        hands.wait_for("reader-1> ", PATIENCE_S)
        for line in (asked, "; sh", "$(reader query)", "query"):
            assert "no such command" in hands.ask(line, "reader-1> ")
        hands.type("exit")
        hands.wait_for("bye")
        console.stdin.close()  # the line is closed
        assert console.wait(PATIENCE_S) == 0
        console.stdout.close()
        text = hands.seen
    finally:
        if running is not None:
            running.send_signal(signal.SIGTERM)
            running.communicate(timeout=PATIENCE_S)
    truth = [one["text"] for one in json.loads((CLIP / "truth.json").read_text())["vehicles"]]
    assert [plate for plate in truth if plate in text] == []
