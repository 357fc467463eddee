"""Reads from before a lagging unit learns the time are dated by the later time, not purged by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from custody_twins import DAY_US, HOUR_US, SteppedTime, add_reads

from hw.clock import TimeState
from hw.secure_slot import LoopbackSlot
from storage import late_epochs, purge
from storage.audit_records import Gap
from storage.clock_trust import DEPARTMENT, LogStart
from storage.day_keys import DayKey
from storage.epoch_counts import EpochCounter
from storage.errors import KeyLostError
from storage.home import Home
from storage.ledger import Ledger
from storage.log_records import EpochOpened, UploadReceipt
from storage.opening import create, reopen
from storage.outgoing import Outgoing
from storage.record_base import ClockState
from storage.verify import verify_home

DRAWER_US = 420 * DAY_US
Start = Callable[[], Ledger]


class Drawer:
    """A unit that is without power for 14 months in a drawer, then starts with a clock in this state."""

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
        """The department states the time, and the clock now agrees."""
        self.time.lose(TimeState.DISCIPLINED)
        self.ledger.store.time.hear(self.time.now().us, ClockState.DISCIPLINED, DEPARTMENT)

    def add(self) -> int:
        (number,) = add_reads(self.ledger, self.time, 1)
        return number

    def cut(self) -> None:
        """Cut the power: nothing is closed properly."""
        self.ledger.store.db.close()
        self.ledger.store.home_lock.release()
        self.ledger = Ledger.open(self.home, self.slot, self.time, boot=self.time.boot)

    def opened_us(self, number: int) -> int:
        store = self.ledger.store
        return store.book.epochs[store.leaf(number).epoch].opened_us

    def is_gone(self, number: int) -> bool:
        store = self.ledger.store
        return store.book.gone(store.leaf(number).epoch)


@pytest.mark.parametrize("state", list(TimeState))
@pytest.mark.parametrize("restarts", [0, 2])
def test_what_is_read_before_the_time_is_known_is_not_purged_as_if_it_were_of_the_year_before(
    tmp_path: Path, state: TimeState, restarts: int
) -> None:
    """Once, reads that were three hours old were destroyed as past their year before they were delivered."""
    unit = Drawer(tmp_path, state)
    unit.sync()
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
    assert all(abs(unit.opened_us(one) - unit.time.now().us) < DAY_US for one in new)
    unit.start(off_us=0)
    assert not any(map(unit.is_gone, new))
    unit.time.run(366 * DAY_US)
    unit.ledger.tend()
    assert all(map(unit.is_gone, new))
    unit.ledger.close()
    assert verify_home(Home(unit.home)).ok


def test_a_cut_after_the_time_came_leaves_the_dates_behind_with_it(tmp_path: Path) -> None:
    """They are in the same transaction as the first use of the later time."""
    unit = Drawer(tmp_path, TimeState.UNKNOWN)
    unit.start(off_us=DRAWER_US)
    new = unit.add()
    unit.sync()
    with unit.ledger.store.adding():
        pass
    unit.cut()
    unit.ledger.tend()
    assert not unit.is_gone(new)
    unit.ledger.close()


def test_what_running_time_says_is_young_is_not_old_by_any_clock(tmp_path: Path) -> None:
    """Once, a lagging clock that claimed to be disciplined was believed, and what it dated was destroyed."""
    unit = Drawer(tmp_path, TimeState.DISCIPLINED)
    before = unit.add()
    unit.start(off_us=0)
    number = unit.add()
    unit.time.jump(DRAWER_US)
    unit.sync()
    unit.ledger.tend()
    assert not any(map(unit.is_gone, [before, number]))
    unit.time.run(366 * DAY_US)
    unit.ledger.tend()
    assert all(map(unit.is_gone, [before, number]))
    unit.ledger.close()


def test_an_epoch_that_opens_after_the_leap_is_not_dated_by_it(tmp_path: Path) -> None:
    """Once, it was shifted by the whole time in the drawer, and its reads outlived their year by that."""
    unit = Drawer(tmp_path, TimeState.UNKNOWN)
    unit.start(off_us=DRAWER_US)
    unit.add()
    unit.sync()
    number = unit.add()  # opens an epoch before its transaction records the leap
    assert unit.opened_us(number) <= unit.time.now().us
    unit.time.run(366 * DAY_US)
    unit.ledger.tend()
    assert unit.is_gone(number)
    unit.ledger.close()


def test_a_time_that_comes_while_a_purge_begins_opens_no_epoch_under_the_key_that_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise its wrap fails once the slot's key has changed, and the next start reports damage."""
    unit = Drawer(tmp_path, TimeState.UNKNOWN)
    unit.sync()
    old = unit.add()
    unit.time.run(366 * DAY_US)
    unit.start(off_us=DRAWER_US)
    intend = purge._intend  # between the plan and the transaction of the intent

    def sync_first(*purged: Any) -> Any:
        unit.sync()
        return intend(*purged)

    monkeypatch.setattr(purge, "_intend", sync_first)
    new = unit.add()  # and purges after it
    assert unit.is_gone(old)
    unit.start(off_us=0)
    unit.ledger.tend()
    assert not unit.is_gone(new)
    assert abs(unit.opened_us(new) - unit.time.now().us) < DAY_US
    unit.ledger.close()
    assert verify_home(Home(unit.home)).ok


def test_a_leap_behind_a_slot_that_does_not_answer_outlives_a_power_cut(tmp_path: Path) -> None:
    """Once, the state had the later time without a record that these epochs are younger."""
    unit = Drawer(tmp_path, TimeState.UNKNOWN)
    unit.start(off_us=DRAWER_US)
    new = unit.add()
    unit.ledger.store.slot_unsure = True
    unit.sync()
    with unit.ledger.store.adding():
        pass
    unit.cut()
    later = unit.add()
    unit.ledger.tend()
    assert not any(map(unit.is_gone, [new, later]))
    assert all(abs(unit.opened_us(one) - unit.time.now().us) < DAY_US for one in [new, later])
    unit.ledger.close()


def test_what_outlives_its_year_without_power_is_sealed_to_a_day_that_the_department_destroyed(
    tmp_path: Path,
) -> None:
    """A single clock moves custody's time by only a day, so the read is still here, but unreadable."""
    unit = Drawer(tmp_path, TimeState.DISCIPLINED)
    unit.sync()
    store = unit.ledger.store
    its_own, last = (
        DayKey.of(day, ec.generate_private_key(ec.SECP256R1()))
        for day in (store.time.trusted_us // DAY_US, store.time.trusted_us // DAY_US + 400)
    )
    store.enrolled, store.day_keys = True, (its_own, last)
    number = unit.add()
    unit.start(off_us=DRAWER_US)
    unit.ledger.tend()
    assert not unit.is_gone(number)
    with pytest.raises(KeyLostError):
        unit.ledger.read(number)
    kept = Outgoing(unit.ledger).key_for_department(unit.ledger.store.leaf(number).epoch)
    assert kept is not None
    assert kept.day_key == its_own.key_id
    unit.sync()
    unit.ledger.append(Gap(reason="x", from_us=0, to_us=0, lost=0))
    unit.time.run(HOUR_US)
    unit.ledger.tend()
    assert unit.is_gone(number)
    unit.ledger.close()


@pytest.mark.parametrize("state", list(TimeState))
def test_what_is_read_before_the_time_is_known_is_sealed_to_a_key_that_the_department_still_has(
    tmp_path: Path, state: TimeState
) -> None:
    """It destroys a day's key after a year; once, such reads arrived and no one could open them."""
    unit = Drawer(tmp_path, state)
    unit.start(off_us=DRAWER_US)
    store = unit.ledger.store
    today, last = (
        DayKey.of(at_us // DAY_US, ec.generate_private_key(ec.SECP256R1()))
        for at_us in (store.time.trusted_us, unit.time.now().us)
    )
    store.enrolled, store.day_keys = True, (today, last)
    number = unit.add()
    opened = store.record(store.book.epochs[store.leaf(number).epoch].sequence)
    assert isinstance(opened, EpochOpened)
    assert opened.day_key == last.key_id
    unit.ledger.close()


def test_receipts_taken_before_the_time_came_are_dated_with_what_they_cover(tmp_path: Path) -> None:
    """Once, they expired at once."""
    unit = Drawer(tmp_path, TimeState.UNKNOWN)
    unit.start(off_us=DRAWER_US)
    new = unit.add()
    store = unit.ledger.store
    store.policy = replace(store.policy, epoch_hours=1, keep_hours_after_receipt=24)
    now_us = store.time.trusted_us
    unit.time.run(2 * HOUR_US)
    unit.ledger.append(UploadReceipt(receipt=b"", ranges=((0, new),), received_us=now_us))
    unit.ledger.retention_plan()  # counts what has been received
    unit.sync()
    unit.ledger.tend()
    assert not unit.is_gone(new)
    unit.time.run(25 * HOUR_US)
    unit.ledger.tend()
    assert unit.is_gone(new)
    unit.ledger.close()


@pytest.mark.parametrize("reads_again", [False, True])
def test_a_receipt_that_comes_before_the_first_read_of_a_process_has_its_day(
    tmp_path: Path, reads_again: bool
) -> None:
    """Once, reads delivered in the garage were purged when the unit learned the time, before any epoch."""
    unit = Drawer(tmp_path, TimeState.UNKNOWN)
    unit.sync()
    old = unit.add()
    unit.time.run(2 * HOUR_US)
    unit.start(off_us=3 * DAY_US)
    store = unit.ledger.store
    store.policy = replace(store.policy, epoch_hours=1, keep_hours_after_receipt=24)
    receipt = UploadReceipt(receipt=b"", ranges=((0, old),), received_us=store.time.trusted_us)
    unit.ledger.append(receipt)
    unit.time.run(HOUR_US)
    if reads_again:
        unit.add()
    unit.sync()
    unit.ledger.tend()
    assert not unit.is_gone(old)
    unit.time.run(25 * HOUR_US)
    unit.ledger.tend()
    assert unit.is_gone(old)
    unit.ledger.close()
    assert verify_home(Home(unit.home)).ok


def test_a_second_leap_behind_a_slot_that_does_not_answer_outlives_a_power_cut(tmp_path: Path) -> None:
    """Once, the process dated only from its next epoch on, and the next one dated nothing earlier."""
    unit = Drawer(tmp_path, TimeState.UNKNOWN)
    unit.sync()
    number = unit.add()
    unit.time.run(HOUR_US)
    unit.ledger.store.slot_unsure = True
    unit.time.jump(DRAWER_US)
    unit.sync()
    with unit.ledger.store.adding():
        pass
    unit.cut()
    unit.ledger.tend()
    assert not unit.is_gone(number)
    unit.ledger.close()


def test_what_a_carried_leap_has_dated_no_later_one_dates_once_more(tmp_path: Path) -> None:
    """Once, reads from the year before the last drawer were kept as if they were new."""
    unit = Drawer(tmp_path, TimeState.UNKNOWN)
    unit.start(off_us=DRAWER_US)
    number = unit.add()
    unit.ledger.store.slot_unsure = True
    unit.sync()
    with unit.ledger.store.adding():
        pass
    unit.cut()
    unit.add()  # and records the leap
    unit.start(off_us=DRAWER_US)
    new = unit.add()
    unit.sync()
    unit.ledger.tend()
    assert (unit.is_gone(number), unit.is_gone(new)) == (True, False)
    unit.ledger.close()


def test_an_epoch_that_a_leap_alone_made_old_takes_the_next_read(tmp_path: Path) -> None:
    """Otherwise, while the slot does not answer, no epoch can open and each read is refused."""
    unit = Drawer(tmp_path, TimeState.UNKNOWN)
    first = unit.add()
    unit.ledger.store.slot_unsure = True
    unit.sync()
    unit.time.jump(DRAWER_US)
    unit.sync()
    store, number = unit.ledger.store, unit.add()
    assert store.time.leapt_us > DAY_US
    assert store.leaf(number).epoch == store.leaf(first).epoch
    unit.ledger.close()


def test_counts_are_made_again_from_a_book_that_was_read_again(tmp_path: Path) -> None:
    """A new book's count of datings starts over, and once, counts from before the leap were kept."""
    unit = Drawer(tmp_path, TimeState.UNKNOWN)
    number = unit.add()
    unit.start(off_us=0)
    store, counter = unit.ledger.store, EpochCounter(unit.ledger.store)
    epoch, now_us = store.leaf(number).epoch, store.time.trusted_us
    unit.ledger.append(UploadReceipt(receipt=b"", ranges=((0, number),), received_us=now_us))
    assert counter.count()[epoch].received_us == now_us
    store._reread()  # as after a failed transaction
    store.book.received.date(now_us, HOUR_US, now_us + DAY_US)
    assert counter.count()[epoch].received_us == now_us + HOUR_US
    unit.ledger.close()


def test_an_access_entry_of_the_day_of_a_leap_is_kept_as_long_as_any(tmp_path: Path) -> None:
    """Once, its years counted from its epoch's opening 600 days earlier."""
    unit = Drawer(tmp_path, TimeState.UNKNOWN)
    unit.sync()
    entry = unit.ledger.append(Gap(reason="test", from_us=1, to_us=2, lost=0)).sequence
    unit.start(off_us=600 * DAY_US)
    unit.add()
    unit.sync()
    unit.ledger.tend()
    epoch = unit.ledger.store.leaf(entry).epoch
    (planned,) = [one for one in unit.ledger.retention_plan() if one.epoch == epoch]
    assert planned.due_us >= unit.time.now().us + unit.ledger.store.policy.audit_keep_days * DAY_US
    unit.ledger.close()


@pytest.mark.parametrize("reason", ["time", "the time was behind: epochs from -1 opened 5 us later", ""])
def test_other_reasons_date_nothing(reason: str) -> None:
    assert late_epochs.parse_reason(reason) is None
    assert late_epochs.parse_reason(late_epochs.reason_of(7, 3, 5)) == (7, 3, 5)


def test_a_log_that_replaces_another_is_not_dated_by_its_clock_alone(tmp_path: Path) -> None:
    """Once, the date of its first record, which comes from the clock, was believed after the next start."""
    time, home, slot = SteppedTime(), Home(tmp_path / "home"), LoopbackSlot(tmp_path / "chip")
    start = LogStart(us=time.now().us, lead_us=HOUR_US)
    time.jump(DRAWER_US)
    store = create(home, slot, time, boot=time.boot, reason="damaged", start=start)
    assert store.time.trusted_us == start.us
    Ledger(store).close()
    again = reopen(home, slot, time, boot=time.boot)
    assert (again.time.trusted_us, again.time.lead_us) == (start.us, HOUR_US)
    Ledger(again).close()
