"""Failed logins lock the consoles, and neither a power cycle nor a damaged file shortens the lock."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from firmware.console.errors import LockedOutError
from firmware.console.failed_logins import FailedLogins

MINUTE_S = 60.0


class RunningTime:
    """Seconds since the machine started, set by a test."""

    def __init__(self, at_s: float) -> None:
        self.at_s = at_s

    def __call__(self) -> float:
        return self.at_s


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "console.lockout"


def fail(failures: FailedLogins, running: RunningTime, *after_s: float) -> list[bool]:
    """Fail once after each wait. Returns whether each failure locked."""
    locked: list[bool] = []
    for wait_s in after_s:
        running.at_s += wait_s
        locked.append(failures.failed())
    return locked


def test_the_fifth_failure_within_fifteen_minutes_locks_for_fifteen_minutes(path: Path) -> None:
    running = RunningTime(100.0)
    failures = FailedLogins(path, running, "boot-1")
    assert fail(failures, running, *[3 * MINUTE_S] * 5) == [False] * 4 + [True]
    with pytest.raises(LockedOutError, match="locked after 5 failed logins: 15 min left"):
        failures.check()
    running.at_s += 14.5 * MINUTE_S
    with pytest.raises(LockedOutError, match="1 min left"):
        failures.check()
    running.at_s += 0.5 * MINUTE_S
    failures.check()


def test_a_lock_holds_through_its_last_microsecond(path: Path) -> None:
    running = RunningTime(100.0)
    failures = FailedLogins(path, running, "boot-1")
    fail(failures, running, *[0.0] * 5)
    running.at_s += 15 * MINUTE_S - 1e-6
    with pytest.raises(LockedOutError, match="1 min left"):
        failures.check()
    running.at_s = 100.0 + 15 * MINUTE_S
    failures.check()


def test_failures_far_apart_do_not_lock(path: Path) -> None:
    running = RunningTime(0.0)
    assert not any(fail(FailedLogins(path, running, "boot-1"), running, *[4 * MINUTE_S] * 12))


def test_a_good_login_clears_the_count_on_disk_too(path: Path) -> None:
    running = RunningTime(0.0)
    failures = FailedLogins(path, running, "boot-1")
    fail(failures, running, 1, 1, 1, 1)
    failures.succeeded()
    assert fail(FailedLogins(path, running, "boot-1"), running, 1, 1, 1, 1) == [False] * 4


def test_a_power_cycle_starts_the_lock_again(path: Path) -> None:
    running = RunningTime(5000.0)
    fail(FailedLogins(path, running, "boot-1"), running, 0, 0, 0, 0, 0)
    assert path.stat().st_mode & 0o777 == 0o600
    restarted = RunningTime(10.0)
    after = FailedLogins(path, restarted, "boot-2")
    with pytest.raises(LockedOutError, match="15 min left"):
        after.check()
    restarted.at_s += 15 * MINUTE_S
    after.check()


def test_a_power_cycle_alone_locks_nothing(path: Path) -> None:
    running = RunningTime(5000.0)
    fail(FailedLogins(path, running, "boot-1"), running, *[5 * MINUTE_S] * 5)
    restarted = RunningTime(10.0)
    after = FailedLogins(path, restarted, "boot-2")
    after.check()
    # Of the five, 20, 15, 10, 5 and 0 minutes before the restart, four count for a failure right after it.
    assert fail(after, restarted, 0) == [True]


def test_a_restart_of_the_program_alone_keeps_the_times(path: Path) -> None:
    running = RunningTime(0.0)
    fail(FailedLogins(path, running, "boot-1"), running, 1, 1, 1, 1, 1)
    running.at_s += 10 * MINUTE_S
    with pytest.raises(LockedOutError, match="5 min left"):
        FailedLogins(path, running, "boot-1").check()


@pytest.mark.parametrize(
    "stored",
    [
        pytest.param("{", id="cut off"),
        pytest.param("", id="empty"),
        pytest.param("[]", id="no table"),
        pytest.param('{"boot": "boot-1"}', id="no failures"),
        pytest.param('{"boot": "boot-1", "failures": 5}', id="a number"),
        pytest.param('{"boot": "boot-1", "failures": ["x"]}', id="no times"),
        pytest.param('{"boot": "boot-1", "failures": [NaN]}', id="not a number"),
        pytest.param('{"boot": "boot-1", "failures": [1e999]}', id="infinite"),
        pytest.param("[" * 5000, id="nested without end"),
        pytest.param("\u00fc", id="not ASCII"),
    ],
)
def test_a_damaged_count_locks(path: Path, stored: str) -> None:
    path.write_text(stored, encoding="utf-8")
    with pytest.raises(LockedOutError, match="15 min left"):
        FailedLogins(path, RunningTime(10.0), "boot-1").check()


def test_a_pipe_in_the_place_of_the_count_locks_and_keeps_no_console_waiting(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(LockedOutError, match="15 min left"):
        FailedLogins(path, RunningTime(10.0), "boot-1").check()


def test_a_time_in_the_future_locks_no_longer_than_a_failure_of_now(path: Path) -> None:
    path.write_text('{"boot": "boot-1", "failures": [9e9, 9e9, 9e9, 9e9, 9e9]}', encoding="utf-8")
    running = RunningTime(10.0)
    failures = FailedLogins(path, running, "boot-1")
    with pytest.raises(LockedOutError, match="15 min left"):
        failures.check()
    running.at_s += 15 * MINUTE_S
    failures.check()


@pytest.mark.parametrize("place", [lambda folder: None, lambda folder: folder / "gone" / "console.lockout"])
def test_a_lock_holds_without_a_file_that_can_be_written(
    tmp_path: Path, place: Callable[[Path], Path | None]
) -> None:
    running = RunningTime(10.0)
    failures = FailedLogins(place(tmp_path), running, "boot-1")
    assert fail(failures, running, 0, 0, 0, 0, 0) == [False] * 4 + [True]
    with pytest.raises(LockedOutError):
        failures.check()
