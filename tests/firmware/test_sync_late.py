"""When a unit calls its sync late, whatever its clock is set to."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from health_bench import T0_US, Bench

from firmware.health.custody import Custody
from firmware.settings.config import SyncSettings
from sync.membership import SyncFolder, ran_since_success_s, success_by_running_time


@pytest.mark.parametrize(
    ("settings", "late_s"),
    [
        pytest.param({}, 86_400, id="by the quarter of an hour"),
        pytest.param({"interval_s": 604_800}, 2 * 604_800 * 1.2, id="weekly"),
        pytest.param({"windows": "02:00-03:00"}, 2 * 86_400, id="a window by night"),
    ],
)
def test_sync_is_late_by_the_schedule_and_not_on_the_day_of_enrollment(
    settings: dict[str, Any], late_s: float
) -> None:
    each: tuple[dict[str, Any], ...] = ({"last_sync_us": T0_US}, {"enrolled_us": T0_US})
    for spoken in each:
        bench = Bench(sync_late_s=SyncSettings(**settings).late_after_s)
        bench.custody = Custody(enrolled=True, **spoken)
        bench.clock.step(round(late_s * 1e6) - 1)
        assert bench.alarms() == set()
        bench.clock.step(2)
        assert bench.alarms() == {"sync_late"}


def test_a_sync_from_before_the_clock_was_set_back_has_no_age() -> None:
    bench = Bench()
    assert bench.watch.report().since_sync_s == 0.0
    bench.clock.step(-1)
    assert bench.watch.report().since_sync_s is None


@pytest.mark.parametrize("step_us", [-T0_US, -86_400_000_000, -1, 86_400_000_001, 365 * 86_400_000_000])
def test_no_step_of_the_clock_makes_a_sync_late_or_hides_that_it_is(step_us: int) -> None:
    """A unit whose clock had been set back called a sync late that it had made a minute ago."""
    bench = Bench()
    bench.clock.step(step_us)
    bench.custody = Custody(enrolled=True, last_sync_us=T0_US, last_sync_ran_s=60.0)
    assert bench.alarms() == set()
    assert bench.watch.report().since_sync_s == 60.0
    bench.custody = replace(bench.custody, last_sync_ran_s=86_401.0)
    assert bench.alarms() == {"sync_late"}


@pytest.mark.parametrize(
    "custody",
    [Custody(enrolled=True, last_sync_us=T0_US), Custody(enrolled=True, enrolled_us=T0_US)],
    ids=["synced", "joined"],
)
def test_a_clock_behind_the_last_sync_calls_it_late_once_the_unit_has_run_for_that_long(
    custody: Custody,
) -> None:
    bench = Bench()
    bench.clock.step(-1)
    bench.custody = custody
    for running_s, alarms in ((86_400.0, set()), (86_401.0, {"sync_late"})):
        bench.board.vitals = replace(bench.board.vitals, running_s=running_s)
        assert bench.alarms() == alarms


@pytest.mark.parametrize(("ahead_s", "alarms"), [(86_400, set()), (86_401, {"sync_late"})])
def test_a_sync_of_a_clock_that_was_years_ahead_is_late_though_the_unit_starts_each_day(
    ahead_s: int, alarms: set[str]
) -> None:
    bench = Bench()
    bench.custody = Custody(enrolled=True, last_sync_us=T0_US + ahead_s * 1_000_000)
    bench.board.vitals = replace(bench.board.vitals, running_s=60.0)
    assert bench.alarms() == alarms


def test_the_time_since_a_sync_is_counted_within_one_start_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, boot, ran_us = SyncFolder.of(tmp_path), "first", 500_900_000
    folder.make()
    monkeypatch.setattr("sync.membership.boot_id", lambda: boot)
    monkeypatch.setattr("sync.membership.boottime_us", lambda: ran_us)
    assert ran_since_success_s(folder.status()) is None
    folder.save_status(**success_by_running_time())
    ran_us += 60_000_000
    assert ran_since_success_s(folder.status()) == 60.0
    for other in ("second", ""):
        boot = other
        assert ran_since_success_s(folder.status()) is None
