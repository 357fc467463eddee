"""What a heartbeat promises: the driver against a real notify socket, and the twin."""

import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hw.errors import MissingDriverError, PartFailedError
from hw.watchdog import Heartbeat, PatientHeartbeat, RememberedHeartbeat, SystemdHeartbeat


@pytest.fixture(params=["driver", "driver, abstract socket", "twin"])
def heart(request: pytest.FixtureRequest) -> Iterator[tuple[Heartbeat, Callable[[], list[str]]]]:
    if request.param == "twin":
        twin = RememberedHeartbeat(interval_s=10.0)
        yield twin, lambda: twin.said
        return
    with (
        tempfile.TemporaryDirectory(prefix="alpr") as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd,
    ):
        abstract = "abstract" in request.param
        name = f"@alpr-{os.getpid()}" if abstract else f"{folder}/notify"
        systemd.bind("\0" + name[1:] if abstract else name)
        systemd.setblocking(False)
        heard: list[str] = []

        def listen() -> list[str]:
            while True:
                try:
                    heard.append(systemd.recv(4096).decode())
                except BlockingIOError:
                    return heard

        yield SystemdHeartbeat({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "20000000"}), listen


def test_the_supervisor_hears_every_word_in_order(heart: tuple[Heartbeat, Callable[[], list[str]]]) -> None:
    part, heard = heart
    part.need(60)
    part.ready()
    part.beat()
    part.say("3 frames\nper second")
    part.stopping()
    said = ["READY=1", "WATCHDOG=1", "STATUS=3 frames per second", "STOPPING=1"]
    assert heard() == ["EXTEND_TIMEOUT_USEC=60000000", *said]


def test_a_beat_is_due_at_half_the_watchdogs_time(heart: tuple[Heartbeat, Callable[[], list[str]]]) -> None:
    assert heart[0].interval_s == 10.0


def test_another_process_is_not_watched(tmp_path: Path) -> None:
    part = SystemdHeartbeat({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "20000000", "WATCHDOG_PID": "1"})
    assert part.interval_s is None


def test_without_systemd_the_driver_names_the_cure() -> None:
    with pytest.raises(MissingDriverError, match="Type=notify"):
        SystemdHeartbeat({})


def test_a_socket_that_is_gone_is_a_failed_part(tmp_path: Path) -> None:
    with pytest.raises(PartFailedError):
        SystemdHeartbeat({"NOTIFY_SOCKET": str(tmp_path / "gone")}).beat()


def test_what_a_supervisor_does_not_take_ends_nothing_behind_a_patient_heartbeat(tmp_path: Path) -> None:
    inner = RememberedHeartbeat(interval_s=10.0)
    gone = SystemdHeartbeat({"NOTIFY_SOCKET": str(tmp_path / "gone")})
    for part in (PatientHeartbeat(inner), PatientHeartbeat(gone)):
        part.need(1)
        part.ready()
        part.beat()
        part.say("here")
        part.stopping()
    assert inner.said == ["EXTEND_TIMEOUT_USEC=1000000", "READY=1", "WATCHDOG=1", "STATUS=here", "STOPPING=1"]
    assert PatientHeartbeat(inner).interval_s == 10.0
