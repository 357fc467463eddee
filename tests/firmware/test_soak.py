"""A short soak: it makes the troubles that it lists, and it would notice a broken promise."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from reader_process import TWO_CARS
from waiting import PATIENCE_S

from storage.read_records import Read
from tests.tools.soak import soak as soak_module
from tests.tools.soak.soak import Soak
from tests.tools.soak.trouble import Line


@pytest.fixture
def echo() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE_S)
        yield server


def through(line: Line) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", line.port), PATIENCE_S)
    made.settimeout(1)
    return made


def flood(client: socket.socket) -> None:
    while True:
        client.sendall(bytes(1000))


def test_a_line_forwards_falls_silent_and_is_found_again(echo: socket.socket) -> None:
    with closing(Line(int(echo.getsockname()[1]), random.Random(1))) as line, through(line) as client:
        server, _ = echo.accept()
        with server:
            client.sendall(b"one")
            assert server.recv(9) == b"one"
            line.lose("silent")
            client.sendall(b"two")
            server.settimeout(0.6)
            with pytest.raises(TimeoutError):
                server.recv(9)
            line.find()
            server.settimeout(PATIENCE_S)
            assert server.recv(9) == b"two"


def test_a_line_is_cut_and_refuses_or_is_cut_halfway(echo: socket.socket) -> None:
    with closing(Line(int(echo.getsockname()[1]), random.Random(1))) as line:
        with through(line) as client:
            server, _ = echo.accept()
            line.lose("refused")
            assert server.recv(9) == b""
            server.close()
            client.settimeout(PATIENCE_S)
            assert client.recv(9) == b""
        with through(line) as client:
            client.settimeout(PATIENCE_S)
            assert client.recv(9) == b""
        line.lose("halfway")
        with through(line) as client:
            server, _ = echo.accept()
            with server, pytest.raises(OSError):  # noqa: PT011 - reset or broken pipe, as it falls
                flood(client)
        assert line.cut == 3


@pytest.mark.thorough
@pytest.mark.slow
def test_a_short_soak_with_every_trouble_breaks_no_promise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(soak_module, "DECK", ("line", "disk", "clock"))
    monkeypatch.setattr(soak_module, "LINE_LOST_S", (3.0, 6.0))
    monkeypatch.setattr(soak_module, "BACK_WITHIN_S", PATIENCE_S)
    account = Soak(tmp_path, TWO_CARS, minutes=0.35, stalls=3, seed=1, fps=10).run()
    assert account.wrong == []
    assert (account.stalls, account.full_disks, account.clock_steps) == (3, 1, 1)
    assert account.lost_lines == {"refused": 1}
    assert account.gaps_recorded >= 3
    assert account.announced == account.stored == account.received_by_department > 0
    assert (account.reader_verify, account.department_verify) == (0, 0)


@pytest.mark.slow
def test_a_soak_notices_a_read_that_is_stored_otherwise_and_a_camera_that_stays_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(soak_module, "BACK_WITHIN_S", 1.0)
    monkeypatch.setattr(Read, "__eq__", lambda _one, _other: False)
    monkeypatch.setattr(Read, "__hash__", lambda _one: 1)
    account = Soak(tmp_path, TWO_CARS, minutes=0.12, stalls=1, seed=1, fps=20).run()
    assert any("blind for" in what for what in account.wrong)
    assert any("stored otherwise" in what for what in account.wrong)
