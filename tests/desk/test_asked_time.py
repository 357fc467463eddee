"""Witnesses confirm the time when they are asked for it; an earlier answer never does."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from desk_twins import Department, open_department

from storage.times import HOUR_US, MINUTE_US
from sync.department.ground.department_time import Clocks, DepartmentTime


class Hosts:
    """A host whose clock may be off and whose running time may be paused; the witness has the right time."""

    def __init__(self, department: Department, folder: Path) -> None:
        self.off_us, self.paused_us = 0, 0
        clock, start = department.clock, department.clock.us
        self.time = DepartmentTime(
            folder,
            Clocks(
                wall=lambda: clock.us + self.off_us,
                running=lambda: clock.us - start - self.paused_us,
                boot=lambda: "one",
            ),
        )
        self.time.found()
        assert self.time.confirm(clock.us, "witness")
        department.desk._clock = self.time


def test_an_hour_ahead_is_in_doubt_and_a_paused_machine_believed_once_the_witness_was_asked(
    department: Department, tmp_path: Path
) -> None:
    hosts = Hosts(department, tmp_path)
    size, heads = department.desk.log.size(), department.desk.log.cosigned()
    hosts.off_us = HOUR_US
    assert hosts.time.now_us() == department.clock.us
    department.desk.ask_time()
    doubt = hosts.time.doubt()
    assert doubt is not None
    assert (doubt.held_us, doubt.by_us) == (department.clock.us, HOUR_US)
    hosts.off_us, hosts.paused_us = 0, 14 * HOUR_US  # set right; then the machine was paused for a night
    department.clock.step(14 * HOUR_US)
    assert hosts.time.now_us() == department.clock.us - 14 * HOUR_US
    department.witness.away = True
    department.desk.ask_time()
    assert hosts.time.doubt() is not None
    department.witness.away = False
    department.clock.step(2 * MINUTE_US)
    department.desk.ask_time()
    assert hosts.time.doubt() is None
    assert hosts.time.now_us() == department.clock.us
    assert (department.desk.log.size(), department.desk.log.cosigned()) == (size, heads), "nothing is kept"


def test_a_head_that_was_signed_hours_ago_says_nothing_of_the_clock_now(
    department: Department, tmp_path: Path
) -> None:
    department.desk.covered(department.desk.log.size() - 1)
    department.clock.step(5 * HOUR_US)
    hosts = Hosts(department, tmp_path)
    department.desk.covered(department.desk.log.size() - 1)  # repeats a step that a crash interrupted
    assert hosts.time.doubt() is None


@pytest.mark.parametrize("by", ["ask_time", "look_for_fork"])
def test_a_log_put_back_from_a_backup_that_was_co_signed_to_its_end_is_named_before_its_next_entry(
    department: Department, by: str
) -> None:
    """At the server's start, and by `department compliance` beside it. Otherwise no witness would be asked
    until a person's entry is refused.
    """
    desk, folder = department.desk, department.home.path / "desk"
    desk.covered(desk.log.size() - 1)
    desk.log.checkpoint()
    before = shutil.copytree(folder, folder.parent / "before")
    department.logon("comm1")
    desk.covered(desk.log.size() - 1)
    getattr(desk, by)()
    assert not desk.fork
    department.front.close()
    shutil.rmtree(folder)
    before.rename(folder)
    again = open_department(department.home.path.parent, department.clock, department.secrets)
    try:
        getattr(again.desk, by)()
        assert "this log holds" in again.desk.fork
        assert again.desk.witness_problem().startswith("this log is not the one that was co-signed")
    finally:
        again.close()
