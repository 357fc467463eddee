"""The limits of parcels, of reading records at once, of receipts, and of the number of closed logs."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import LedgerError
from storage.times import DAY_US, SECOND_US
from sync.department.units.receiver import ranges_without
from sync.link import Link
from sync.membership import SyncFolder
from sync.outbox import Outbox
from sync.parcel_size import ParcelSize
from sync.rollover import demand_no_copy, last_set_aside, looked_at
from sync.uplink import Conversation

KB, MB = 1 << 10, 1 << 20


@pytest.mark.parametrize(
    ("known", "size"),
    [(4 * KB, 4 * KB), (4 * KB - 1, MB), (8 * MB, 8 * MB), (8 * MB + 1, MB),
     (None, MB), ("4096", MB), (5000.0, MB)],
)  # fmt: skip
def test_the_size_of_the_last_conversation_counts_within_its_bounds(known: object, size: int) -> None:
    assert (ParcelSize.of(known).size, ParcelSize.of(known).ceiling) == (size, 8 * MB)


@pytest.mark.parametrize(
    ("size", "ceiling", "grown"),
    [
        (MB, 8 * MB, 2 * MB), (5 * MB, 8 * MB, 8 * MB), (8 * MB, 8 * MB, 8 * MB), (MB, MB + 1, MB + 1),
        (MB, MB, 9 * MB // 8), (4 * MB, 2 * MB, 9 * MB // 2), (15 * MB // 2, MB, 8 * MB),
    ],
)  # fmt: skip
def test_a_parcel_doubles_up_to_what_was_cut_and_grows_by_an_eighth_beyond(
    size: int, ceiling: int, grown: int
) -> None:
    made = ParcelSize(size, ceiling)
    made.went_well()
    assert (made.size, made.ceiling) == (grown, ceiling)


@pytest.mark.parametrize(
    ("size", "after", "ceiling"),
    [(MB, 256 * KB, 512 * KB), (16 * KB, 4 * KB, 8 * KB), (12 * KB, 4 * KB, 6 * KB),
     (4 * KB, 4 * KB, 4 * KB)],
)  # fmt: skip
def test_a_cut_leaves_a_quarter_and_half_as_the_ceiling(size: int, after: int, ceiling: int) -> None:
    made = ParcelSize(size)
    made.was_cut()
    assert (made.size, made.ceiling) == (after, ceiling)


class Rows:
    """Leaves of the same length, and a record of how they were read."""

    def __init__(self, length: int = 1) -> None:
        self.asked: list[tuple[int, int]] = []
        self._length = length

    def leaves(self, first: int, count: int) -> list[bytes]:
        self.asked.append((first, count))
        return [number.to_bytes(self._length, "big") for number in range(first, first + count)]


def conversation(rows: Rows, size: int = MB) -> Conversation:
    department = Ed25519PrivateKey.generate().public_key()
    return Conversation(cast(Outbox, rows), cast(Link, None), department, ParcelSize(size), lambda: 0)


def test_records_beside_each_other_are_read_together_up_to_a_thousand() -> None:
    rows = Rows(2)
    numbers = [3, 4, 6, *range(10, 10 + 1025)]
    found = list(conversation(rows)._leaves_of(iter(numbers)))
    assert [int.from_bytes(one, "big") for one in found] == numbers
    assert rows.asked == [(3, 2), (6, 1), (10, 1024), (1034, 1)]
    assert list(conversation(rows)._leaves_of(iter([]))) == []


@pytest.mark.parametrize(
    ("size", "length", "taken"),
    [
        (MB, 1016, 10),  # 1,024 bytes each with their lengths: all fit
        (8 * KB, 1016, 8), (8 * KB - 1, 1016, 7), (KB, 1016, 4),  # the smallest parcel is 4 KB
        (4 * KB, 5 * KB, 1),  # at least one
    ],
)  # fmt: skip
def test_a_batch_of_leaves_is_cut_where_the_line_bears_no_more(size: int, length: int, taken: int) -> None:
    found = conversation(Rows(length), size)._cut_leaves(5, 10)
    assert [int.from_bytes(one, "big") for one in found] == list(range(5, 5 + taken))


@pytest.mark.parametrize(("size", "depth"), [(MB, 7), (MB - 1, 1)])
def test_on_a_bad_line_one_parcel_is_on_its_way(size: int, depth: int) -> None:
    class Deep:
        depth = 7

    made = conversation(Rows(), size)
    made._link = cast(Link, Deep())
    assert made._depth() == depth


@given(st.integers(0, 20), st.integers(0, 20), st.lists(st.integers(0, 25), unique=True).map(sorted))
def test_a_receipt_covers_what_is_not_missing_and_no_more(first: int, end: int, missing: list[int]) -> None:
    found = ranges_without(first, end, missing)
    covered = [number for low, high in found for number in range(low, high + 1)]
    assert covered == [number for number in range(first, end) if number not in missing]
    assert all(high + 1 < low for (_, high), (low, _) in itertools.pairwise(found))


def closed(folder: SyncFolder, name: str) -> Path:
    path = folder.path / "old" / name / "store"
    path.mkdir(parents=True)
    return path


def test_a_third_log_closed_within_a_day_is_one_too_many_until_a_person_looks(tmp_path: Path) -> None:
    folder = SyncFolder(tmp_path)
    assert last_set_aside(folder) is None
    made = [closed(folder, name) for name in ("b", "a")]
    at_us = max(one.stat().st_ctime_ns for one in made) // 1000 + SECOND_US
    demand_no_copy(folder, at_us=at_us)
    made.append(closed(folder, "c"))
    with pytest.raises(LedgerError, match=r"^.*old: 3 logs were closed within a day"):
        demand_no_copy(folder, at_us=at_us)
    first_us = min(one.stat().st_ctime_ns for one in made) // 1000
    with pytest.raises(LedgerError):
        demand_no_copy(folder, at_us=first_us + DAY_US - 1)
    demand_no_copy(folder, at_us=first_us + DAY_US + 1)
    demand_no_copy(folder, at_us=first_us - 12 * DAY_US)  # they were closed under a clock that was ahead
    looked_at(folder)
    mark = folder.path / "old" / "looked-at"
    for days in (-400, 400):  # a unit without a battery: its clock was wrong as the person looked, or is now
        mark_us = at_us + days * DAY_US
        os.utime(mark, ns=(mark_us * 1000, mark_us * 1000))
        demand_no_copy(folder, at_us=at_us)
    made += [closed(folder, name) for name in ("d", "e")]
    demand_no_copy(folder, at_us=at_us)
    made.append(closed(folder, "f"))
    with pytest.raises(LedgerError, match="3 logs were closed"):
        demand_no_copy(folder, at_us=at_us)
    for spoiled in (b"\xff\n", bytes(2 << 20)):
        looked_at(folder)
        demand_no_copy(folder, at_us=at_us)
        mark.write_bytes(spoiled)
        with pytest.raises(LedgerError, match="6 logs were closed"):
            demand_no_copy(folder, at_us=at_us)
