"""What time daemon, pulse and battery clock promise: drivers on a real chronyd or a fake sysfs, and the
twins.
"""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hw.chrony import (
    ChronyDaemon,
    ScriptedDaemon,
    TimeDaemon,
    Tracking,
    parse_tracking,
    tracking_answer,
    tracking_request,
)
from hw.errors import MissingDriverError, PartFailedError
from hw.pps import KernelPulses, PulseSource, ScriptedPulses
from hw.rtc import BatteryClock, KernelRtc, ScriptedRtc

ESTIMATE = Tracking(
    synchronised=True, stratum=2, by_server=True, reference="C0A80101", reference_time_s=1_777_777_777.25,
    correction_s=-0.000_125, root_delay_s=0.004, root_dispersion_s=0.001, skew_ppm=0.5,
)  # fmt: skip


class FakeDaemon:
    """chronyd's end of the socket: answers each request with these bytes."""

    def __init__(self, folder: Path, *, cut: int = 0, flip: int | None = None, silent: bool = False) -> None:
        self.path = folder / "chronyd.sock"
        self._line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._line.bind(str(self.path))
        self._cut, self._flip, self._silent = cut, flip, silent
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            request, sender = self._line.recvfrom(2048)
            if request == b"stop":
                return
            answer = bytearray(tracking_answer(ESTIMATE, request))
            if self._flip is not None:
                answer[self._flip] ^= 0x55
            if not self._silent:
                self._line.sendto(answer[: len(answer) - self._cut], sender)

    def stop(self) -> None:
        self._line.connect(str(self.path))
        self._line.send(b"stop")
        self._thread.join(timeout=5)
        self._line.close()


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A socket's path may have 107 bytes at most."""
    with tempfile.TemporaryDirectory(prefix="alpr") as folder:
        yield Path(folder)


@pytest.fixture(params=["driver", "twin"])
def daemon(request: pytest.FixtureRequest, short_folder: Path) -> Iterator[TimeDaemon]:
    if request.param == "twin":
        yield ScriptedDaemon(ESTIMATE)
        return
    fake = FakeDaemon(short_folder)
    yield ChronyDaemon(fake.path)
    fake.stop()


def test_an_estimate_comes_through_the_wire_form_unchanged(daemon: TimeDaemon) -> None:
    got = daemon.tracking()
    assert (got.synchronised, got.stratum, got.reference) == (True, 2, "C0A80101")
    assert got.reference_time_s == pytest.approx(ESTIMATE.reference_time_s)
    assert got.correction_s == pytest.approx(-0.000_125)
    assert got.error_bound_us == pytest.approx(125 + 1000 + 2000, abs=2)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        pytest.param({"cut": 1}, "too short", id="cut"),
        pytest.param({"flip": 0}, "does not belong", id="other version"),
        pytest.param({"flip": 18}, "does not belong", id="other question"),
        pytest.param({"flip": 9}, "refused", id="refusal"),
        pytest.param({"silent": True}, "in time", id="silence"),
    ],
)
def test_a_wrong_answer_from_the_daemon_is_no_estimate(
    short_folder: Path, damage: dict[str, int], reason: str
) -> None:
    fake = FakeDaemon(short_folder, **damage)  # type: ignore[arg-type]
    with pytest.raises(PartFailedError, match=reason):
        ChronyDaemon(fake.path).tracking()
    fake.stop()
    assert [path.name for path in short_folder.iterdir()] == ["chronyd.sock"]


@contextmanager
def real_chronyd(folder: Path, *, user: str = "root", port: int = 0) -> Iterator[Path]:
    """A chronyd of our own that never touches the clock; its socket."""
    program = shutil.which("chronyd") or shutil.which("chronyd", path="/usr/sbin")
    if program is None or os.geteuid() != 0:
        pytest.skip("chronyd not installed, or not root")
    if user not in {entry.pw_name for entry in pwd.getpwall()}:
        pytest.skip(f"no user {user} on this machine")
    folder.chmod(0o755)
    run, config = folder / "run", folder / "chrony.conf"
    run.mkdir()
    run.chmod(0o700)
    shutil.chown(run, user, pwd.getpwnam(user).pw_gid)
    config.write_text(
        f"local stratum 5\ncmdport {port}\nport 0\nbindcmdaddress {run}/chronyd.sock\npidfile {run}/pid\n"
    )
    process = subprocess.Popen(
        [program, "-x", "-d", "-u", user, "-f", str(config)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until = time.monotonic() + 10
        while not (run / "chronyd.sock").exists():
            assert process.poll() is None, "chronyd ended"
            assert time.monotonic() < until
            time.sleep(0.05)
        yield run / "chronyd.sock"
    finally:
        process.terminate()
        process.wait(timeout=10)


def test_a_real_chronyd_answers_the_driver(short_folder: Path) -> None:
    with real_chronyd(short_folder) as path:
        until = time.monotonic() + 10
        tracking = ChronyDaemon(path).tracking()
        while not tracking.synchronised and time.monotonic() < until:
            time.sleep(0.2)
            tracking = ChronyDaemon(path).tracking()
        assert tracking.stratum == 5
        assert tracking.reference == "7F7F0101"
        assert abs(tracking.reference_time_s - time.time()) < 60


def test_a_real_chronyd_answers_a_user_to_whom_its_socket_is_closed(short_folder: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with real_chronyd(short_folder, user="_chrony", port=port) as path:
        os.seteuid(65_534)
        try:
            daemon = ChronyDaemon(path, port=port)
            tracking = daemon.tracking()
            with pytest.raises(PartFailedError, match="cmdport"):
                ChronyDaemon(path, port=9).tracking()
        finally:
            os.seteuid(0)
        assert tracking.stratum == 5


def test_a_chronyd_that_goes_away_with_its_folder_is_a_failed_part(short_folder: Path) -> None:
    run = short_folder / "run"
    run.mkdir()
    fake = FakeDaemon(run)
    daemon = ChronyDaemon(fake.path)
    assert daemon.tracking().synchronised
    fake.stop()
    shutil.rmtree(run)
    with pytest.raises(PartFailedError, match="No such file"):
        daemon.tracking()


def test_a_machine_without_chrony_names_the_cure(tmp_path: Path) -> None:
    with pytest.raises(MissingDriverError, match="install chrony"):
        ChronyDaemon(tmp_path / "none.sock")


def test_an_answer_to_another_question_is_refused() -> None:
    answer = tracking_answer(ESTIMATE, tracking_request(1))
    with pytest.raises(PartFailedError):
        parse_tracking(answer, 2)


@pytest.fixture(params=["driver", "twin"])
def pulses(request: pytest.FixtureRequest, tmp_path: Path) -> PulseSource:
    if request.param == "twin":
        twin = ScriptedPulses()
        twin.pulse(1_777_777_777_000_012_345)
        return twin
    (tmp_path / "assert").write_text("1777777777.000012345#52\n")
    return KernelPulses(tmp_path)


def test_a_pulse_tells_how_far_the_clock_is_off_the_second(pulses: PulseSource) -> None:
    pulse = pulses.latest()
    assert pulse is not None
    assert pulse.offset_ns == 12_345


def test_before_the_first_pulse_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "assert").write_text("0.000000000#0\n")
    assert KernelPulses(tmp_path).latest() is None
    assert ScriptedPulses().latest() is None


def test_a_pulse_file_with_anything_else_is_a_failed_part(tmp_path: Path) -> None:
    (tmp_path / "assert").write_text("soon")
    with pytest.raises(PartFailedError):
        KernelPulses(tmp_path).latest()
    with pytest.raises(MissingDriverError, match="pps-gpio"):
        KernelPulses(tmp_path / "none")


@pytest.fixture(params=["driver", "twin"])
def rtc(request: pytest.FixtureRequest, tmp_path: Path) -> BatteryClock:
    if request.param == "twin":
        return ScriptedRtc(1_777_777_777)
    kernel_rtc(tmp_path, "rtc0", "1777777777\n")
    return KernelRtc(tmp_path)


def kernel_rtc(root: Path, name: str, text: str) -> None:
    (root / name).mkdir()
    (root / name / "since_epoch").write_text(text)


def test_a_battery_clock_tells_whole_seconds(rtc: BatteryClock) -> None:
    assert rtc.seconds() == 1_777_777_777


def test_an_empty_battery_is_a_failed_part(tmp_path: Path) -> None:
    kernel_rtc(tmp_path, "rtc0", "")
    for part in (KernelRtc(tmp_path), ScriptedRtc(None)):
        with pytest.raises(PartFailedError):
            part.seconds()


def test_beside_a_clock_without_a_battery_the_one_that_is_set_is_told(tmp_path: Path) -> None:
    with pytest.raises(MissingDriverError, match="i2c-rtc"):
        KernelRtc(tmp_path)
    for name, text in (("rtc0", "431\n"), ("rtc1", "1777777777\n"), ("rtc2", "")):
        kernel_rtc(tmp_path, name, text)
    assert KernelRtc(tmp_path).seconds() == 1_777_777_777
