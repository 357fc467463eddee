"""The department's time outlives restarts: exact until the machine reboots, a lower bound after that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from custody_twins import START_US, SteppedTime, add_reads

from hw.clock import TimeState
from hw.secure_slot import LoopbackSlot
from storage import clock_trust
from storage.clock_trust import DEPARTMENT
from storage.department_word import StatedTime
from storage.ledger import Ledger
from storage.record_base import ClockState
from storage.times import DAY_US, HOUR_US, MINUTE_US

OFF = [400 * DAY_US, -400 * DAY_US, 1 - START_US]  # the clock's error at first: ahead, behind, in 1970


class Machine:
    """A unit whose program is restarted, alone or with the machine, perhaps after days without power."""

    def __init__(self, folder: Path, off_us: int, patch: Callable[[str], None]) -> None:
        self.time = SteppedTime(START_US + off_us)
        self.time.lose(TimeState.UNKNOWN)
        self._slot, self._home, self._patch, self._boots = (
            LoopbackSlot(folder / "chip"),
            folder / "home",
            patch,
            0,
        )
        self._begin_boot()
        self.ledger = Ledger.create(self._home, self._slot, self.time, boot=self.time.boot)

    def _begin_boot(self) -> None:
        self._boots += 1
        self._patch(f"boot {self._boots}")

    def hear(self, us: int) -> None:
        """Take the department's time from a sync, and make a record after it."""
        self.ledger.store.time.hear(us, ClockState.DISCIPLINED, DEPARTMENT)
        add_reads(self.ledger, SteppedTime(self.time.now().us), 1)

    def restart(self) -> None:
        """Restart only the program."""
        self.ledger.close()
        self.ledger = Ledger.open(self._home, self._slot, self.time, boot=self.time.boot)

    def reboot(self, off_us: int = 0) -> None:
        """Restart the machine after a time without power; its clock, without a battery, stopped meanwhile."""
        self.ledger.close()
        self.time.boot_us = off_us and MINUTE_US
        self._begin_boot()
        self.ledger = Ledger.open(self._home, self._slot, self.time, boot=self.time.boot)

    @property
    def stated(self) -> StatedTime | None:
        return self.ledger.store.time.department_time


@pytest.fixture(params=OFF, ids=["ahead", "behind", "in 1970"])
def machine(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Machine]:
    def patch(name: str) -> None:
        monkeypatch.setattr(clock_trust, "boot_id", lambda: name)

    made = Machine(tmp_path, request.param, patch)
    yield made
    made.ledger.close()


def test_running_time_continues_the_departments_word_whatever_the_clock_says(machine: Machine) -> None:
    assert machine.stated is None
    machine.hear(START_US)
    machine.time.run(HOUR_US)
    machine.time.jump(3 * DAY_US)
    assert machine.stated == StatedTime(us=START_US + HOUR_US, exact=True)
    assert machine.ledger.store.time.sure_us == START_US + HOUR_US


def test_a_restart_of_the_program_loses_nothing_of_the_word(machine: Machine) -> None:
    machine.hear(START_US)
    machine.time.run(HOUR_US)
    machine.restart()
    machine.time.run(HOUR_US)
    assert machine.stated == StatedTime(us=START_US + 2 * HOUR_US, exact=True)


def test_after_a_start_of_the_machine_the_word_is_what_has_passed_at_least(machine: Machine) -> None:
    machine.hear(START_US)
    machine.time.run(HOUR_US)
    add_reads(machine.ledger, SteppedTime(machine.time.now().us), 1)
    machine.reboot(30 * DAY_US)
    assert machine.stated is not None
    assert not machine.stated.exact
    assert START_US + HOUR_US <= machine.stated.us < START_US + HOUR_US + MINUTE_US
    for _ in range(3):  # each start continues from the last one: no list lasts forever
        machine.time.run(8 * HOUR_US)
        add_reads(machine.ledger, SteppedTime(machine.time.now().us), 1)
        machine.reboot(DAY_US)
    assert START_US + 25 * HOUR_US <= machine.ledger.store.time.sure_us < START_US + 25 * HOUR_US + MINUTE_US


def test_a_newer_word_replaces_what_was_carried_on(machine: Machine) -> None:
    machine.hear(START_US)
    machine.reboot(30 * DAY_US)
    machine.hear(START_US + 30 * DAY_US)
    assert machine.stated == StatedTime(us=START_US + 30 * DAY_US, exact=True)


def test_no_word_moves_the_time_that_purges_count_by(machine: Machine) -> None:
    before_us = machine.ledger.store.time.trusted_us
    machine.hear(START_US)
    machine.restart()
    machine.reboot(DAY_US)
    assert before_us <= machine.ledger.store.time.trusted_us < before_us + MINUTE_US


@pytest.mark.parametrize("state", [TimeState.HOLDOVER, TimeState.DISCIPLINED, TimeState.UNKNOWN])
def test_a_log_that_was_born_ahead_dates_nothing_as_known_once_the_department_said_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: TimeState
) -> None:
    """Even if its clock has been corrected: the log's time does not go back."""
    machine = Machine(
        tmp_path, 400 * DAY_US, lambda name: monkeypatch.setattr(clock_trust, "boot_id", lambda: name)
    )
    time = machine.ledger.store.time
    machine.time.lose(TimeState.HOLDOVER)
    assert time.now().state is ClockState.HOLDOVER
    assert not time.is_misled
    machine.hear(START_US)
    machine.time.lose(state)
    assert time.is_misled
    assert time.now().state is ClockState.UNKNOWN
    assert time.perhaps_us() == (time.now().us, START_US)
    machine.time.jump(-400 * DAY_US)
    assert time.now().state is ClockState.UNKNOWN
    machine.ledger.close()


@pytest.mark.parametrize("off_us", [-400 * DAY_US, -DAY_US, 0, DAY_US])
def test_a_clock_that_is_within_a_day_ahead_of_the_department_or_behind_it_misleads_no_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, off_us: int
) -> None:
    machine = Machine(
        tmp_path, off_us, lambda name: monkeypatch.setattr(clock_trust, "boot_id", lambda: name)
    )
    machine.hear(START_US)
    assert not machine.ledger.store.time.is_misled
    machine.ledger.close()


def test_a_right_clock_that_the_department_confirms_is_the_departments_time_after_any_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock was behind, was corrected and confirmed: earlier running time is not added again."""
    machine = Machine(
        tmp_path, -400 * DAY_US, lambda name: monkeypatch.setattr(clock_trust, "boot_id", lambda: name)
    )
    machine.hear(START_US)
    machine.time.jump(400 * DAY_US)
    machine.time.lose(TimeState.DISCIPLINED)
    add_reads(machine.ledger, SteppedTime(START_US), 1)
    machine.reboot(DAY_US)
    assert START_US <= machine.ledger.store.time.sure_us < START_US + HOUR_US
    machine.ledger.close()


@pytest.mark.parametrize("word_us", [None, START_US], ids=["no word", "a word"])
@pytest.mark.parametrize("state", [TimeState.UNKNOWN, TimeState.DISCIPLINED])
def test_what_has_surely_passed_is_the_least_that_a_good_clock_or_the_word_says(
    machine: Machine, state: TimeState, word_us: int | None
) -> None:
    if word_us is not None:
        machine.hear(word_us)
    machine.time.lose(state)
    time = machine.ledger.store.time
    believed_us = [time.now().us] if time.now().state is ClockState.DISCIPLINED else []
    assert bool(believed_us) == (state is TimeState.DISCIPLINED and not time.is_misled)
    known_us = believed_us + ([] if word_us is None else [word_us])
    assert time.passed_us == min(known_us, default=0)
