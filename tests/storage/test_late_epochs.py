"""A unit whose time was behind: what it reads before it knows the time is dated by it, not purged by it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from custody_twins import DAY_US, HOUR_US, SteppedTime, add_reads

from hw.clock import TimeState
from hw.secure_slot import LoopbackSlot
from storage import late_epochs
from storage.clock_trust import DEPARTMENT, LogStart
from storage.home import Home
from storage.ledger import Ledger
from storage.opening import create, reopen
from storage.record_base import ClockState
from storage.verify import verify_home

DRAWER_US = 420 * DAY_US
Start = Callable[[], Ledger]


class Drawer:
    """A unit that lies without power for 14 months, then starts with a clock of this state."""

    def __init__(self, folder: Path, state: TimeState) -> None:
        self.time, self.home = SteppedTime(), folder / "home"
        self.slot, self.state = LoopbackSlot(folder / "chip"), state
        self.ledger = Ledger.create(self.home, self.slot, self.time, boot=self.time.boot)

    def start(self, *, off_us: int) -> None:
        self.ledger.close()
        self.time.jump(off_us)
        self.time.boot_us = 5
        self.time.lose(self.state)
        self.ledger = Ledger.open(self.home, self.slot, self.time, boot=self.time.boot)

    def sync(self) -> None:
        """The department states the time, and the clock agrees by now."""
        self.time.lose(TimeState.DISCIPLINED)
        self.ledger.store.time.hear(self.time.now().us, ClockState.DISCIPLINED, DEPARTMENT)

    def add(self) -> int:
        (number,) = add_reads(self.ledger, self.time, 1)
        return number

    def is_gone(self, number: int) -> bool:
        store = self.ledger.store
        return store.book.gone(store.leaf(number).epoch)


@pytest.mark.parametrize("state", list(TimeState))
@pytest.mark.parametrize("restarts", [0, 2])
def test_what_is_read_before_the_time_is_known_is_not_purged_as_if_it_were_of_the_year_before(
    tmp_path: Path, state: TimeState, restarts: int
) -> None:
    """Reads of three hours ago were destroyed, as past their year, before they were delivered."""
    unit = Drawer(tmp_path, state)
    old = unit.add()
    unit.start(off_us=DRAWER_US)
    new = [unit.add()]
    for _ in range(restarts):
        unit.time.run(3 * HOUR_US)
        unit.start(off_us=HOUR_US)
        new.append(unit.add())
    unit.ledger.tend()
    assert not any(map(unit.is_gone, [old, *new]))
    unit.sync()
    unit.ledger.tend()
    assert unit.is_gone(old)
    assert not any(map(unit.is_gone, new))
    opened_us = [unit.ledger.store.book.epochs[unit.ledger.store.leaf(one).epoch].opened_us for one in new]
    assert all(abs(one - unit.time.now().us) < DAY_US for one in opened_us)
    unit.start(off_us=0)
    assert not any(map(unit.is_gone, new))
    unit.time.run(366 * DAY_US)
    unit.ledger.tend()
    assert all(map(unit.is_gone, new))
    unit.ledger.close()
    assert verify_home(Home(unit.home)).ok


def test_a_cut_after_the_time_came_leaves_the_dates_behind_with_it(tmp_path: Path) -> None:
    """They are in the transaction that first writes the later time."""
    unit = Drawer(tmp_path, TimeState.UNKNOWN)
    unit.start(off_us=DRAWER_US)
    new = unit.add()
    unit.sync()
    with unit.ledger.store.adding():
        pass
    unit.ledger.store.db.close()  # as a power cut: nothing is closed in order
    unit.ledger.store.home_lock.release()
    unit.ledger = Ledger.open(unit.home, unit.slot, unit.time, boot=unit.time.boot)
    unit.ledger.tend()
    assert not unit.is_gone(new)
    unit.ledger.close()


def test_a_leap_of_a_time_that_was_known_dates_nothing(tmp_path: Path) -> None:
    unit = Drawer(tmp_path, TimeState.DISCIPLINED)
    number = unit.add()
    unit.time.jump(DRAWER_US)
    unit.sync()
    unit.ledger.tend()
    assert unit.is_gone(number)
    unit.ledger.close()


@pytest.mark.parametrize("reason", ["time", "the time was behind: epochs from -1 opened 5 us later", ""])
def test_other_reasons_date_nothing(reason: str) -> None:
    assert late_epochs.parse_reason(reason) is None
    assert late_epochs.parse_reason(late_epochs.reason_of(7, 5)) == (7, 5)


def test_a_log_that_replaces_another_is_not_dated_by_its_clock_alone(tmp_path: Path) -> None:
    """The date of its first record, which is the clock's, was believed after the next start."""
    time, home, slot = SteppedTime(), Home(tmp_path / "home"), LoopbackSlot(tmp_path / "chip")
    start = LogStart(us=time.now().us, lead_us=HOUR_US)
    time.jump(DRAWER_US)
    store = create(home, slot, time, boot=time.boot, reason="damaged", start=start)
    assert store.time.trusted_us == start.us
    Ledger(store).close()
    again = reopen(home, slot, time, boot=time.boot)
    assert (again.time.trusted_us, again.time.lead_us) == (start.us, HOUR_US)
    Ledger(again).close()
