"""What time daemon, pulse and battery clock promise: drivers on a real chronyd or a fake sysfs, and the
twins.
"""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from waiting import PATIENCE_S, until

from hw.chrony import (
    ASK_EVERY_S,
    ChronyDaemon,
    ScriptedDaemon,
    TimeDaemon,
    Tracking,
    parse_report,
    report,
)
from hw.errors import MissingDriverError, NotEndedError, PartFailedError
from hw.pps import KernelPulses, PulseSource, ScriptedPulses
from hw.rtc import BatteryClock, KernelRtc, ScriptedRtc
from tests.tools.ports import free_port

ESTIMATE = Tracking(
    synchronized=True, stratum=2, by_server=True, reference="C0A80101", reference_time_s=1_777_777_777.25,
    correction_s=-0.000_125, root_delay_s=0.004, root_dispersion_s=0.001, skew_ppm=0.5,
)  # fmt: skip


REPORT = report(ESTIMATE)


class FakeChronyc:
    """A chronyd's socket, and a program named chronyc that prints what a test gives it."""

    def __init__(self, folder: Path, script: str, *, limit_s: float = 120.0) -> None:
        self.socket = folder / "chronyd.sock"
        self.socket.touch()
        self.words = folder / "words"
        program = folder / "chronyc"
        program.write_text(f'#!/bin/sh\necho "$*" >{self.words}\n{script}\n')
        program.chmod(0o755)
        self.now_s = 1000.0
        self.daemon = ChronyDaemon(
            self.socket, search_path=str(folder), limit_s=limit_s, monotonic=lambda: self.now_s
        )


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A socket's path may have 107 bytes at most."""
    with tempfile.TemporaryDirectory(prefix="alpr") as folder:
        yield Path(folder)


@pytest.fixture(params=["driver", "twin"])
def daemon(request: pytest.FixtureRequest, tmp_path: Path) -> TimeDaemon:
    if request.param == "twin":
        return ScriptedDaemon(ESTIMATE)
    return FakeChronyc(tmp_path, f"echo {REPORT}").daemon


def test_an_estimate_comes_through_the_report_unchanged(daemon: TimeDaemon) -> None:
    got = daemon.tracking()
    assert (got.synchronized, got.stratum, got.reference) == (True, 2, "C0A80101")
    assert got.reference_time_s == pytest.approx(ESTIMATE.reference_time_s)
    assert got.correction_s == pytest.approx(-0.000_125)
    assert got.error_bound_us == pytest.approx(125 + 1000 + 2000, abs=2)


@pytest.mark.parametrize("by_server", [True, False])
@pytest.mark.parametrize("synchronized", [True, False])
def test_a_report_says_whether_and_by_whom_the_clock_is_kept(by_server: bool, synchronized: bool) -> None:
    estimate = replace(ESTIMATE, by_server=by_server, synchronized=synchronized)
    assert parse_report(report(estimate)) == estimate


def test_chronyc_is_asked_for_tracking_as_numbers_over_socket_and_port(tmp_path: Path) -> None:
    fake = FakeChronyc(tmp_path, f"echo {REPORT}")
    fake.daemon.tracking()
    assert fake.words.read_text() == f"-n -c -h {fake.socket},127.0.0.1 -p 323 tracking\n"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        pytest.param("echo 506 Cannot talk to daemon; exit 1", "Cannot talk to daemon", id="no daemon"),
        pytest.param("true", "1 fields", id="nothing"),
        pytest.param(f"echo {REPORT.rpartition(',')[0]}", "13 fields", id="cut"),
        pytest.param(f"echo {REPORT},more", "15 fields", id="a field more"),
        pytest.param(f"echo {REPORT}; echo {REPORT}", "27 fields", id="two reports"),
        pytest.param(f"echo {REPORT.replace('C0A80101', 'C0A8')}", "without its reference", id="reference"),
        pytest.param(f"echo {REPORT.replace('Normal', 'Fine')}", "leap status", id="leap status"),
        pytest.param(f"echo {REPORT.replace('64.0', 'soon')}", "not a number", id="a word for a number"),
        pytest.param(f"echo {REPORT.replace(',2,', ',two,')}", "not a number", id="a word for the stratum"),
        pytest.param(f"echo {REPORT.replace('64.0', 'nan')}", "not finite", id="no number"),
        pytest.param(f"echo {REPORT.replace('64.0', '1e999')}", "not finite", id="infinite"),
    ],
)
def test_a_wrong_answer_from_the_daemon_is_not_an_estimate(tmp_path: Path, script: str, reason: str) -> None:
    with pytest.raises(PartFailedError, match=reason):
        FakeChronyc(tmp_path, script).daemon.tracking()


def test_a_silent_daemon_is_a_failed_part(tmp_path: Path) -> None:
    with pytest.raises(NotEndedError, match="did not end in"):
        FakeChronyc(tmp_path, "exec sleep 300", limit_s=0.2).daemon.tracking()


@given(st.text(max_size=200))
def test_no_text_as_a_report_raises_anything_else(text: str) -> None:
    with contextlib.suppress(PartFailedError):
        assert parse_report(text).error_bound_us > 0


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
        until(lambda: process.poll() is not None or (run / "chronyd.sock").exists())
        assert process.poll() is None, "chronyd ended"
        yield run / "chronyd.sock"
    finally:
        process.terminate()
        process.wait(timeout=300)


def test_a_real_chronyd_answers_the_driver(short_folder: Path) -> None:
    with real_chronyd(short_folder) as path:
        until(lambda: ChronyDaemon(path, limit_s=PATIENCE_S).tracking().synchronized)
        tracking = ChronyDaemon(path, limit_s=PATIENCE_S).tracking()
        assert tracking.stratum == 5
        assert tracking.reference == "7F7F0101"
        assert abs(tracking.reference_time_s - time.time()) < 60


def test_a_real_chronyd_answers_a_user_to_whom_its_socket_is_closed(short_folder: Path) -> None:
    port = free_port()
    with real_chronyd(short_folder, user="_chrony", port=port) as path:
        os.seteuid(65_534)
        try:
            daemon = ChronyDaemon(path, port=port, limit_s=PATIENCE_S)
            tracking = daemon.tracking()
            with pytest.raises(PartFailedError, match="cmdport"):
                ChronyDaemon(path, port=9, limit_s=PATIENCE_S).tracking()
        finally:
            os.seteuid(0)
        assert tracking.stratum == 5


def test_a_chronyd_that_ends_is_a_failed_part(short_folder: Path) -> None:
    now_s = [1000.0]
    with real_chronyd(short_folder) as path:
        daemon = ChronyDaemon(path, port=9, limit_s=PATIENCE_S, monotonic=lambda: now_s[0])
        assert daemon.tracking().stratum == 5
    now_s[0] += ASK_EVERY_S
    with pytest.raises(PartFailedError, match="Cannot talk to daemon"):
        daemon.tracking()


def test_a_chronyc_that_goes_away_is_a_failed_part(tmp_path: Path) -> None:
    fake = FakeChronyc(tmp_path, f"echo {REPORT}")
    (tmp_path / "chronyc").unlink()
    with pytest.raises(PartFailedError, match="No such file"):
        fake.daemon.tracking()


def test_a_report_is_used_for_some_seconds_and_a_failure_for_none(tmp_path: Path) -> None:
    fake = FakeChronyc(tmp_path, f"echo {REPORT}")
    first = fake.daemon.tracking()
    (tmp_path / "chronyc").rename(tmp_path / "away")
    fake.now_s += ASK_EVERY_S - 0.1
    assert fake.daemon.tracking() is first
    fake.now_s += 0.1
    with pytest.raises(PartFailedError):
        fake.daemon.tracking()
    (tmp_path / "away").rename(tmp_path / "chronyc")
    assert fake.daemon.tracking() == first


def test_a_machine_without_chrony_names_the_cure(tmp_path: Path) -> None:
    with pytest.raises(MissingDriverError, match=r"none\.sock not found: install chrony"):
        ChronyDaemon(tmp_path / "none.sock")
    with pytest.raises(MissingDriverError, match="chronyc not found on this machine: install chrony"):
        ChronyDaemon(tmp_path, search_path=str(tmp_path))


@pytest.fixture(params=["driver", "twin"])
def pulses(request: pytest.FixtureRequest, tmp_path: Path) -> PulseSource:
    if request.param == "twin":
        twin = ScriptedPulses()
        twin.pulse(1_777_777_777_000_012_345)
        return twin
    (tmp_path / "assert").write_text("1777777777.000012345#52\n")
    return KernelPulses(tmp_path)


def test_a_pulse_shows_how_far_the_clock_is_off_the_second(pulses: PulseSource) -> None:
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


def test_a_battery_clock_shows_whole_seconds(rtc: BatteryClock) -> None:
    assert rtc.seconds() == 1_777_777_777


def test_an_empty_battery_is_a_failed_part(tmp_path: Path) -> None:
    kernel_rtc(tmp_path, "rtc0", "")
    for part in (KernelRtc(tmp_path), ScriptedRtc(None)):
        with pytest.raises(PartFailedError):
            part.seconds()


def test_beside_a_clock_without_a_battery_the_one_that_is_set_counts(tmp_path: Path) -> None:
    with pytest.raises(MissingDriverError, match="i2c-rtc"):
        KernelRtc(tmp_path)
    for name, text in (("rtc0", "431\n"), ("rtc1", "1777777777\n"), ("rtc2", "")):
        kernel_rtc(tmp_path, name, text)
    assert KernelRtc(tmp_path).seconds() == 1_777_777_777
