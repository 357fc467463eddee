"""Thousands of silent connections: units and people keep working, and the event log stays small."""

from __future__ import annotations

import contextlib
import resource
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from bounded_server import bounded
from flood import bare_connections, silent_clients
from sync_twins import DepartmentProcess, Unit, bare_home, issue_code
from waiting import PATIENCE_S, accepts, until

from sync.department.ground.listener import Bounds, raise_file_limit
from sync.department.ground.sparingly import Sparingly
from sync.department.journal.witness_server import WitnessFolder, witness_app
from sync.networks import network_of
from tests.tools.ports import free_port

pytestmark = pytest.mark.slow


@contextlib.contextmanager
def limited(home: Path, files: int) -> Iterator[DepartmentProcess]:
    """A server with a low limit of open files."""
    process = DepartmentProcess(bare_home(home))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    process.start(files=files)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (soft, hard)
    try:
        yield process
    finally:
        process.stop()


def events(process: DepartmentProcess) -> list[str]:
    return (process.home.path / "serve.log").read_text().splitlines()


def joined(process: DepartmentProcess, folder: Path) -> Unit:
    unit = Unit(folder)
    unit.enroll(issue_code(process.home, "car-1"))
    unit.add(2)
    return unit


@pytest.mark.thorough
def test_bare_connections_by_the_thousand_shut_no_unit_out(tmp_path: Path) -> None:
    with limited(tmp_path / "home", 1024) as process:
        unit = joined(process, tmp_path / "unit")
        before = len(events(process))
        with bare_connections(process.home.settings.unit_port, 1500) as opened:
            assert opened >= 1000
            assert unit.attempt().outcome == "done"
        assert len(events(process)) - before < 100
        unit.add(1)
        assert unit.attempt().outcome == "done"
        unit.close()


@pytest.mark.thorough
def test_a_server_without_descriptors_says_so_once_and_continues(tmp_path: Path) -> None:
    """There are more connections than files: it is a hard limit, and the flood outlasts it."""
    with limited(tmp_path / "home", 120) as process:
        unit = joined(process, tmp_path / "unit")
        with bare_connections(process.home.settings.unit_port, 400):
            pass
        assert unit.attempt().outcome == "done"
        lines = events(process)
        assert not any(line.startswith("Traceback") for line in lines)
        assert len(lines) < 100
        unit.close()


@pytest.mark.thorough
def test_silent_tls_clients_make_room_for_one_that_sends(tmp_path: Path) -> None:
    with limited(tmp_path / "home", 1024) as process:
        port = process.home.settings.desk_port
        with silent_clients(port, 300) as opened:
            assert opened >= 250
            context = ssl.create_default_context(cafile=str(process.home.authority / "ca.pem"))
            with httpx.Client(verify=context, trust_env=False, timeout=PATIENCE_S) as client:
                assert client.get(f"https://localhost:{port}/health").text == "ok\n"


HALF = b"POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nContent-Length: 9000\r\n\r\nold"


@pytest.mark.parametrize("said", [b"", b"GET / HT", HALF], ids=["nothing", "half a header", "half a body"])
def test_a_witness_answers_among_connections_that_never_finish(tmp_path: Path, said: bytes) -> None:
    folder = WitnessFolder.create(tmp_path / "w", "w.example/1")
    with bounded(witness_app(folder), Bounds(open=8)) as port, contextlib.ExitStack() as stack:
        for _ in range(40):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE_S))
            with contextlib.suppress(OSError):  # the server has already cut it off
                one.sendall(said)
        answer = httpx.get(
            f"http://127.0.0.1:{port}/{'0' * 64}/checkpoint", trust_env=False, timeout=PATIENCE_S
        )
        assert answer.status_code == 404
        slow = stack.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE_S))
        slow.sendall(HALF)
        assert slow.recv(4096).startswith(b"HTTP/1.1 408")
    folder.close()


FEW_FILES = (
    "import resource, sys; from sync.department.cli import main; "
    "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 1024)); sys.exit(main())"
)


@pytest.mark.thorough
def test_the_command_that_serves_a_witness_raises_its_limit_and_keeps_its_log_small(tmp_path: Path) -> None:
    WitnessFolder.create(tmp_path / "w", "w.example/1").close()
    port = free_port()
    words = ["witness", "serve", "--folder", str(tmp_path / "w"), "--port", str(port)]
    told = tmp_path / "stderr"
    with (
        told.open("wb") as stderr,
        subprocess.Popen(
            [sys.executable, "-c", FEW_FILES, *words],
            stderr=stderr,
        ) as process,
    ):
        try:
            until(lambda: accepts(port))
            with bare_connections(port, 200) as opened:
                assert opened == 200
                answer = httpx.get(
                    f"http://127.0.0.1:{port}/{'0' * 64}/checkpoint", trust_env=False, timeout=PATIENCE_S
                )
                assert answer.status_code == 404
            said = told.read_text()  # it has no certificate: no department can ask it
            assert "without TLS" in said
            assert "--certificate" in said
        finally:
            process.terminate()
    assert len(told.read_text().splitlines()) < 20


def test_an_event_is_logged_once_a_minute_with_its_count() -> None:
    now = [0.0]
    made = Sparingly(clock=lambda: now[0])
    told = []
    for second in range(150):
        now[0] = float(second)
        told.append(made.report("no_descriptor_left"))
    assert sum(told) == 3


@pytest.mark.parametrize(
    ("host", "group"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
    ],
)
def test_one_subscriber_counts_as_one_address(host: str, group: str) -> None:
    assert network_of(host) == group


def test_the_limit_of_open_files_is_raised_to_what_the_system_allows() -> None:
    words = (
        "import resource; from sync.department.ground.listener import raise_file_limit; "
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 512)); print(raise_file_limit())"
    )
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert done.stdout == "512\n"
    assert raise_file_limit() >= 512


def test_the_flood_connects_to_this_machine_alone() -> None:
    with pytest.raises(SystemExit), bare_connections(443, 1, host="192.0.2.1"):
        pass
    assert socket.gethostbyname("localhost") == "127.0.0.1"
