"""Which day is purged when: the year, receipts, clock jumps, and holds and audit entries that stay."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from custody_twins import START_US, Reopen, SteppedTime, add_reads, check

from hw.secure_slot import LoopbackSlot
from storage.audit_records import Gap
from storage.errors import KeyLostError
from storage.ledger import Ledger
from storage.log_records import UploadReceipt
from storage.record_base import ClockState, KeyClass
from storage.times import DAY_US, HOUR_US

DISCIPLINED = ClockState.DISCIPLINED


def due(ledger: Ledger) -> list[int]:
    return [item.epoch for item in ledger.retention_plan() if item.due]


def test_a_plan_changes_nothing_and_names_clause_and_day(ledger: Ledger, time: SteppedTime) -> None:
    add_reads(ledger, time, 2)
    size = ledger.status().records
    item = next(item for item in ledger.retention_plan() if item.key_class is KeyClass.READ)
    assert (item.records, item.due, item.clause) == (2, False, "463.8")
    assert item.due_us == item.opened_us + 365 * DAY_US
    assert ledger.status().records == size


def test_content_goes_after_a_year_of_believed_time_and_access_entries_stay(
    ledger: Ledger, time: SteppedTime
) -> None:
    add_reads(ledger, time, 1)
    for _ in range(365):
        assert due(ledger) == []
        time.run(DAY_US)
    assert [ledger.store.book.epochs[one].key_class for one in due(ledger)] == [KeyClass.READ]


def test_a_clock_that_jumps_ten_years_ahead_purges_nothing(ledger: Ledger, time: SteppedTime) -> None:
    add_reads(ledger, time, 1)
    time.jump(3650 * DAY_US)
    for _ in range(10):
        time.run(HOUR_US)
        assert due(ledger) == []
        assert ledger.apply_retention(by="test") is None


def test_a_clock_that_jumps_back_stops_no_purge(ledger: Ledger, time: SteppedTime) -> None:
    add_reads(ledger, time, 1)
    for _ in range(364):
        time.run(DAY_US)
        ledger.store.time.now()
    time.jump(-3650 * DAY_US)
    time.run(2 * DAY_US)
    assert due(ledger)


def test_an_undisciplined_clock_counts_by_running_time(ledger: Ledger, time: SteppedTime) -> None:
    add_reads(ledger, time, 1)
    time.lose()
    time.jump(400 * DAY_US)
    assert due(ledger) == []
    time.boot_us += 365 * DAY_US
    assert due(ledger)


def test_a_long_step_is_followed_once_a_second_source_agrees(ledger: Ledger, time: SteppedTime) -> None:
    add_reads(ledger, time, 1)
    time.jump(366 * DAY_US)
    ledger.store.time.now()
    assert due(ledger) == []
    ledger.store.time.hear(time.now().us, DISCIPLINED, "department")
    assert due(ledger)


def test_clock_steps_are_in_the_log(ledger: Ledger, time: SteppedTime) -> None:
    add_reads(ledger, time, 1)
    time.jump(100 * DAY_US)
    time.run(HOUR_US + 1)
    add_reads(ledger, time, 1)
    kinds = [ledger.store.leaf(number).kind for number in range(ledger.status().records)]
    assert "clock_step" in kinds


@pytest.mark.parametrize("hours", [0, 24])
def test_content_goes_the_policys_hours_after_its_receipt_and_not_for_a_part(
    ledger: Ledger, time: SteppedTime, hours: int
) -> None:
    ledger.store.policy = replace(ledger.store.policy, keep_hours_after_receipt=hours)
    first, second = add_reads(ledger, time, 2)
    time.run(DAY_US)
    ledger.append(UploadReceipt(receipt=b"", ranges=((first, first),), received_us=time.now().us))
    time.run(25 * HOUR_US)
    assert due(ledger) == []
    assert not ledger.store.book.gone(ledger.store.leaf(first).epoch)
    ledger.append(UploadReceipt(receipt=b"", ranges=((0, second),), received_us=time.now().us))
    time.run(hours * HOUR_US + 1)
    ledger.apply_retention(by="test")  # unless the hourly work came first
    assert ledger.store.book.gone(ledger.store.leaf(first).epoch)


def age(ledger: Ledger, time: SteppedTime, until_us: int) -> None:
    """Let days pass until the trusted time is `until_us`."""
    while ledger.store.time.trusted_us < until_us:
        time.run(min(DAY_US, until_us - ledger.store.time.trusted_us))


def opened_us(ledger: Ledger, sequence: int) -> int:
    return ledger.store.book.epochs[ledger.store.leaf(sequence).epoch].opened_us


def test_a_purge_under_a_clock_ten_years_ahead_makes_nothing_else_due_after_a_restart(
    ledger: Ledger, time: SteppedTime, reopen: Reopen
) -> None:
    """The time of a single, uncorroborated clock must not come back as the newest signed time."""
    old = add_reads(ledger, time, 1)[0]
    age(ledger, time, opened_us(ledger, old) + 364 * DAY_US)
    kept = add_reads(ledger, time, 1)[0]
    age(ledger, time, opened_us(ledger, old) + 365 * DAY_US)
    time.jump(3650 * DAY_US)
    assert ledger.apply_retention(by="test") is not None
    ledger.close()
    again = reopen()
    assert due(again) == []
    assert again.read(kept).text


def test_two_purges_within_an_hour_turn_the_slot_once_and_the_second_follows_by_itself(
    ledger: Ledger, time: SteppedTime
) -> None:
    first = add_reads(ledger, time, 1)[0]
    time.run(HOUR_US // 2)
    second = add_reads(ledger, time, 1, hit=True)[0]
    age(ledger, time, opened_us(ledger, first) + 365 * DAY_US)
    assert ledger.apply_retention(by="test") is not None
    generation = ledger.store.slot_content.generation
    assert ledger.purge_waits_until_us() is None
    age(ledger, time, opened_us(ledger, second) + 365 * DAY_US)
    assert ledger.apply_retention(by="test") is None
    assert ledger.tend() is None
    assert ledger.purge_waits_until_us() == ledger.store.book.turned_us + HOUR_US  # type: ignore[operator]
    assert ledger.read(second).text
    time.run(HOUR_US // 2)
    assert ledger.tend() is not None
    assert ledger.store.slot_content.generation == generation + 1
    with pytest.raises(KeyLostError):
        ledger.read(second)


def test_a_unit_that_never_runs_for_an_hour_purges_at_its_starts(
    ledger: Ledger, time: SteppedTime, reopen: Reopen
) -> None:
    sequence = add_reads(ledger, time, 1)[0]
    age(ledger, time, opened_us(ledger, sequence) + 365 * DAY_US - HOUR_US)
    ledger.close()
    for _ in range(7):  # seven drives of ten minutes
        time.run(HOUR_US // 6)
        again = reopen()
        again.tend()
        again.close()
    again = reopen()
    with pytest.raises(KeyLostError):
        again.read(sequence)


def test_the_files_in_force_outlive_the_audit_key_they_came_under(
    ledger: Ledger, home: Path, slot: LoopbackSlot, time: SteppedTime, reopen: Reopen
) -> None:
    """A roster may stay unchanged for years: its record is carried over before its key is destroyed."""
    roster = ledger.standing.roster
    for year in range(1, 7):
        age(ledger, time, START_US + year * 365 * DAY_US)
        add_reads(ledger, time, 1)
        ledger.append(Gap(reason="test", from_us=1, to_us=2, lost=0))
    purged = [one.epoch for one in ledger.store.book.epochs.values() if one.purged_by is not None]
    assert any(ledger.store.book.epochs[one].key_class is KeyClass.AUDIT for one in purged)
    ledger.close()
    assert reopen().standing.roster == roster
    assert check(home, slot).ok
