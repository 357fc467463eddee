"""Receipts over years: the same answers as from a plain set, and nothing counted twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from custody_twins import SteppedTime, add_reads
from hypothesis import given
from hypothesis import strategies as st

from storage.epoch_counts import EpochCounter
from storage.ledger import Ledger
from storage.log_records import UploadReceipt
from storage.received import ReceiptCoverage
from storage.times import DAY_US, HOUR_US
from tests.tools.unit_years import age

RANGES = st.lists(st.tuples(st.integers(0, 60), st.integers(-2, 20)), max_size=30)


@given(ranges=RANGES, asked=st.tuples(st.integers(0, 80), st.integers(-1, 30)))
def test_ranges_answer_as_a_plain_table_of_records_does(
    ranges: list[tuple[int, int]], asked: tuple[int, int]
) -> None:
    received, table = ReceiptCoverage(), dict[int, int]()
    for at_us, (first, length) in enumerate(ranges):
        received.add(first, first + length, at_us)
        for sequence in range(first, first + length + 1):
            table.setdefault(sequence, at_us)
    listed = {sequence: at for first, last, at in received for sequence in range(first, last + 1)}
    assert listed == table
    assert [one[:2] for one in received] == sorted(one[:2] for one in received)
    assert received.records == len(table)
    assert received.newest_us == max(table.values(), default=None)
    assert received.end() == max(table, default=-1) + 1
    assert received.first_missing() == next(n for n in range(200) if n not in table)
    assert vars(ReceiptCoverage.of(received)) == vars(received)
    low, high = asked[0], asked[0] + asked[1]
    assert received.covers(low, high) == all(n in table for n in range(low, high + 1))
    assert all((n in received) == (n in table) for n in range(90))
    near = {n: at for first, last, at in received.between(low, high) for n in range(first, last + 1)}
    assert {n: at for n, at in near.items() if low <= n <= high} == {
        n: at for n, at in table.items() if low <= n <= high
    }


def receipt(ledger: Ledger, first: int, last: int, at_us: int) -> None:
    with ledger.store.adding():
        ledger.store.add_open(UploadReceipt(receipt=b"r", ranges=((first, last),), received_us=at_us))


def test_what_can_no_longer_change_is_counted_once(ledger: Ledger, time: SteppedTime) -> None:
    store, sent = ledger.store, 0
    for _day in range(12):
        for _ in range(3):
            add_reads(ledger, time, 2)
            size = store.log.size()
            receipt(ledger, sent, size - 1, time.now().us)
            sent = size
            time.run(8 * HOUR_US)
            ledger.tend()
    asked: list[str] = []
    store.db.conn.set_trace_callback(asked.append)
    plan = ledger.retention_plan()
    first = len(asked)
    again = ledger.retention_plan()
    store.db.conn.set_trace_callback(None)
    assert again == plan
    assert len(asked) - first <= 3 * sum(not one.closed for one in store.book.epochs.values())
    assert {epoch: one.records for epoch, one in EpochCounter(store).count().items()} == {
        one.epoch: one.records for one in plan
    }
    for one in plan:  # compared with the rows
        records = store.sequences(one.epoch)
        assert (one.records, one.received) == (len(records), sum(n in store.book.received for n in records))
    time.run(370 * DAY_US)
    assert any(one.due for one in ledger.retention_plan())


def test_a_unit_ages_by_its_tool_and_its_log_verifies(tmp_path: Path) -> None:
    (end,) = age(tmp_path, 3, reads=2, conversations=2)
    assert (end.day, end.receipts) == (3, 6)


@pytest.mark.parametrize(
    "ranges", [[(-1, 0, 1)], [(1, 0, 1)], [(0, 3, 1), (3, 4, 2)], [(5, 5, 1), (0, 1, 2)]]
)
def test_kept_ranges_out_of_order_are_refused(ranges: list[tuple[int, int, int]]) -> None:
    with pytest.raises(ValueError, match="ranges must rise"):
        ReceiptCoverage.of(ranges)
