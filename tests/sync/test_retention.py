"""Content is kept one year from receipt, not a day less or more, and is purged from restored backups too."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from receiver_twins import Joined
from sqlalchemy import Connection, func, select
from sync_twins import bare_home, checked, converse

from storage.reserve import SIZE_BYTES
from storage.times import DAY_US, now_us
from sync import messages
from sync.department.content.key_service import LocalKeyService
from sync.department.content.search_tokens import StoredElement
from sync.department.ground.department_time import Clocks
from sync.department.ground.home import DepartmentHome
from sync.department.server.retention import AnyReceipt, DayPurgeReceipt, StoreRetention, keep_days_of
from sync.department.server.server import RESERVE_BEYOND, Department
from sync.department.store.tables import alerts, days, elements, tokens
from sync.errors import DatabaseFullError, KeyServiceError, StoreAwayError, StoreError


class Clock:
    """The server's clock, stepped by a test."""

    def __init__(self) -> None:
        self.us = now_us()

    def __call__(self) -> int:
        return self.us

    def days(self, count: float) -> None:
        self.us += int(count * DAY_US)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def department(tmp_path: Path, clock: Clock) -> Iterator[Department]:
    made = Department(bare_home(tmp_path / "department"), Clocks.simulated(clock))
    yield made
    made.close()


def held_now(department: Department) -> tuple[int, int]:
    with department.store.read() as connection:
        counts = [
            connection.execute(select(func.count()).select_from(t)).scalar_one() for t in (elements, tokens)
        ]
    return counts[0], counts[1]


def test_a_late_upload_is_kept_a_year_from_receipt(
    department: Department, unit: Joined, clock: Clock
) -> None:
    unit.add(3)
    clock.days(300)  # the unit was away for long: its reads are old, their receipt is not
    converse(unit, department)
    before = held_now(department)
    clock.days(365)
    assert department.retention.run() == []
    assert held_now(department) == before
    clock.days(1)
    assert len(department.retention.run()) == 1  # without a person's request
    assert held_now(department) == (0, 0)


def test_after_the_year_everything_of_the_day_is_gone_and_its_receipt_says_so(
    department: Department, unit: Joined, clock: Clock
) -> None:
    unit.add(3, size=9000)
    converse(unit, department)
    day = clock.us // DAY_US
    parts, _ = held_now(department)
    clock.days(367)
    (receipt,) = department.retention.run()
    assert (receipt.day, receipt.elements, receipt.clause) == (day, parts, "463.8")
    assert held_now(department) == (0, 0)
    assert department.packs.names(day) == set()
    assert not department.keys.has_store_key(day)
    ((_, message),) = department.retention.receipts()
    assert messages.open_message(DayPurgeReceipt, message, department.home.log_key().public_key()) == receipt
    assert checked(department.home).problems == []
    assert department.retention.run() == []


@pytest.mark.parametrize("before", ["begin", "end"])
def test_a_day_that_two_runs_purge_at_once_has_one_receipt(
    department: Department, unit: Joined, clock: Clock, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    """The server's run and a person's: the second one finds nothing left and reports nothing."""
    unit.add(3, size=9000)
    converse(unit, department)
    parts, _ = held_now(department)
    clock.days(367)
    runs: list[list[AnyReceipt]] = []
    first, other = department.retention, retention_of(department)
    since, destroy = first._purged_since, department.keys.destroy_store_key

    def run_the_other() -> None:
        if not runs:
            runs.append([])
            runs[0] = other.run()

    def purged_since(us: int) -> bool:
        was = since(us)
        if before == "begin":
            run_the_other()
        return was

    def destroyed(day: int) -> None:
        destroy(day)
        if before == "end":
            run_the_other()

    monkeypatch.setattr(first, "_purged_since", purged_since)
    monkeypatch.setattr(department.keys, "destroy_store_key", destroyed)
    assert first.run() == []
    ((receipt,),) = runs
    assert receipt.elements == parts
    ((_, message),) = first.receipts()
    assert messages.open_message(DayPurgeReceipt, message, department.home.log_key().public_key()) == receipt


def retention_of(department: Department) -> StoreRetention:
    """Another retention over the same store."""
    home = department.home
    return StoreRetention(
        department.store,
        department.keys,
        department.packs,
        home.log_key(),
        home.settings,
        department.time,
        keep_days=lambda: keep_days_of(home),
    )


def test_a_restored_backup_shows_nothing_that_was_purged(
    department: Department, unit: Joined, clock: Clock, tmp_path: Path
) -> None:
    unit.add(3, size=9000)
    converse(unit, department)
    home = department.home.path
    department.store.shrink()
    shutil.copytree(home, tmp_path / "backup", ignore=shutil.ignore_patterns("keys"))
    day = clock.us // DAY_US
    clock.days(367)
    department.retention.run()
    department.close()
    for name in ("store.db", "store.db-wal", "store.db-shm"):
        (home / name).unlink(missing_ok=True)
    shutil.copy(tmp_path / "backup" / "store.db", home / "store.db")
    shutil.rmtree(home / "blobs")
    shutil.copytree(tmp_path / "backup" / "blobs", home / "blobs")
    restored = Department(DepartmentHome.open(home), Clocks.simulated(clock))
    try:
        assert held_now(restored)[0] > 0  # the rows are back ...
        with pytest.raises(KeyServiceError, match="purged"):  # ... but cannot be read
            restored.keys.check_stored(day, unit.outbox.log_id, [StoredElement(b"", "text", b"")])
        assert isinstance(restored.keys, LocalKeyService)
        assert restored.keys.tokens("test", "7XKR219", [day]) == {}
        restored.retention.run()
        assert held_now(restored) == (0, 0)
    finally:
        restored.close()


def test_a_restored_backup_takes_in_again_what_it_lost(
    department: Department, unit: Joined, clock: Clock, tmp_path: Path
) -> None:
    unit.add(3)
    converse(unit, department)
    department.store.shrink()
    home = department.home.path
    shutil.copy(home / "store.db", tmp_path / "store.db")
    unit.add(3)
    converse(unit, department)
    department.close()
    for name in ("store.db", "store.db-wal", "store.db-shm"):
        (home / name).unlink(missing_ok=True)
    shutil.copy(tmp_path / "store.db", home / "store.db")
    restored = Department(DepartmentHome.open(home), Clocks.simulated(clock))
    try:
        unit.add(1)
        converse(unit, restored)
        assert checked(restored.home).problems == []
    finally:
        restored.close()


def test_days_that_a_restored_database_forgot_are_purged_in_their_time(
    department: Department, unit: Joined, clock: Clock, tmp_path: Path
) -> None:
    department.store.shrink()
    home = department.home.path
    shutil.copy(home / "store.db", tmp_path / "store.db")
    unit.add(3, size=9000)
    converse(unit, department)
    day = clock.us // DAY_US
    department.close()
    for name in ("store.db", "store.db-wal", "store.db-shm"):
        (home / name).unlink(missing_ok=True)
    shutil.copy(tmp_path / "store.db", home / "store.db")  # from before that day: lacks its packs and key
    restored = Department(DepartmentHome.open(home), Clocks.simulated(clock))
    try:
        clock.days(300)
        assert restored.retention.run() == []
        assert restored.keys.has_store_key(day)
        clock.days(67)
        (receipt,) = restored.retention.run()
        assert receipt.day == day
        assert not restored.keys.has_store_key(day)
        assert restored.packs.days() == set()
    finally:
        restored.close()


def test_a_key_that_no_row_and_no_pack_names_goes_too(
    department: Department, unit: Joined, clock: Clock
) -> None:
    unit.add(1, size=100)  # small elements are in rows, without a pack
    converse(unit, department)
    day = clock.us // DAY_US
    with department.store.write() as connection:
        connection.execute(days.delete())
    clock.days(367)
    assert [one.day for one in department.retention.run()] == [day]
    assert not department.keys.has_store_key(day)


def test_packs_of_days_that_never_were_hold_no_day_up(
    department: Department, unit: Joined, clock: Clock
) -> None:
    unit.add(1, size=9000)
    converse(unit, department)
    day = clock.us // DAY_US
    planted = {1, day - 500, day - 1, day + 500, 99_999}  # before 1971, around the due day, in the future
    for one in planted:
        department.packs.put(one, [b"planted"])
    clock.days(367)
    assert [one.day for one in department.retention.run()] == [day]
    assert department.packs.days() == set()
    assert [number for number, _ in department.retention.receipts()] == [day]


def test_a_day_that_cannot_be_dropped_holds_no_other_up(
    department: Department, unit: Joined, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        unit.add(1, size=9000)
        converse(unit, department)
        clock.days(1)
    first, drop = clock.us // DAY_US - 2, department.packs.drop

    def dropped(day: int) -> int:
        if day == first:
            raise PermissionError(13, "Permission denied", "0000")
        return drop(day)

    monkeypatch.setattr(department.packs, "drop", dropped)
    clock.days(366)
    for _ in range(2):
        with pytest.raises(OSError, match="0000"):
            department.retain()
        clock.days(1)
    assert not department.keys.has_store_key(first)  # unreadable on time all the same
    assert [number for number, _ in department.retention.receipts()] == [first + 1]
    monkeypatch.undo()
    assert [one.day for one in department.retention.run()] == [first]


def test_an_alert_whose_leaf_never_came_is_kept_its_year(
    department: Department, unit: Joined, clock: Clock
) -> None:
    with department.store.write() as connection:
        connection.execute(
            alerts.insert().values(log_no=1, sequence=7, leaf=b"x", received_us=clock.us, parts=b"x")
        )

    def left() -> int:
        with department.store.read() as connection:
            kept = select(func.count()).select_from(alerts).where(alerts.c.parts != b"")
            return int(connection.execute(kept).scalar_one())

    clock.days(365)
    department.retention.run()
    assert left() == 1
    clock.days(2)
    department.retention.run()
    assert left() == 0


def test_a_purge_that_was_cut_off_is_finished_by_the_next_run(
    department: Department, unit: Joined, clock: Clock
) -> None:
    unit.add(2, size=9000)
    converse(unit, department)
    clock.days(367)
    day = department.retention.plan()[0].day
    department.keys.destroy_store_key(day)  # as if cut off after the key and before the rows
    (receipt,) = department.retention.run()
    assert receipt.elements > 0
    assert held_now(department) == (0, 0)
    assert checked(department.home).problems == []


def test_nothing_is_received_into_a_day_that_was_purged(
    department: Department, unit: Joined, clock: Clock
) -> None:
    unit.add(1)
    converse(unit, department)
    day = clock.us // DAY_US
    clock.days(367)
    department.retention.run()
    with pytest.raises(StoreError, match="was purged"):
        department.store.open_day(day)


def test_private_day_keys_go_a_year_after_their_day(department: Department, clock: Clock) -> None:
    first = clock.us // DAY_US
    department.keys.issue_day_keys(first, 3)
    clock.days(368)
    department.retention.run()
    left = sorted(int(path.stem) for path in (department.home.keys / "day").glob("*.key"))
    assert left == [first + 2]


def test_packs_that_no_row_names_are_swept(department: Department, unit: Joined, clock: Clock) -> None:
    unit.add(1)
    converse(unit, department)
    day = clock.us // DAY_US
    stray = department.packs.put(day, [b"written before a crash"])
    department.retention.run()
    assert stray in department.packs.names(day)  # today's may still be in transit
    clock.days(1)
    department.retention.run()
    assert stray not in department.packs.names(day)


@pytest.mark.parametrize("again", [False, True])
def test_a_due_purge_makes_its_own_room_on_a_full_disk(
    department: Department, unit: Joined, clock: Clock, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    """463.8: the day's images are removed first, or there would be no room to record that the purge began.
    They are counted, even if the disk is full again.
    """
    unit.add(3, size=9000)
    converse(unit, department)
    day, write = clock.us // DAY_US, department.store.write
    clock.days(367)

    @contextmanager
    def full() -> Iterator[Connection]:
        if department.packs.days():
            raise DatabaseFullError("the store cannot be written now: the disk is full")
        if fails.pop(0):
            raise DatabaseFullError("the store cannot be written now: the disk is full")
        with write() as connection:
            yield connection

    fails = [again, again, *[False] * 9]
    monkeypatch.setattr(department.store, "write", full)
    if again:
        with pytest.raises(DatabaseFullError):
            department.retention.run()
    (receipt,) = department.retention.run()
    assert (receipt.day, receipt.packs > 0) == (day, True)
    assert not department.keys.has_store_key(day)
    assert checked(department.home).problems == []


def test_a_due_day_without_images_is_purged_on_a_full_disk_by_the_room_that_was_kept(
    department: Department, unit: Joined, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit.add(3, size=90)
    converse(unit, department)
    day, write, reserve = clock.us // DAY_US, department.store.write, department.home.path / "reserve"
    assert not department.packs.days()
    assert reserve.stat().st_blocks * 512 >= SIZE_BYTES
    clock.days(367)

    @contextmanager
    def full() -> Iterator[Connection]:
        if reserve.exists():
            raise DatabaseFullError("the store cannot be written now: the disk is full")
        with write() as connection:
            yield connection

    free = [0]
    monkeypatch.setattr(department.store, "write", full)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=free[0]))
    (receipt,) = department.retain()
    assert (receipt.day, receipt.packs) == (day, 0)
    assert not department.keys.has_store_key(day)
    assert checked(department.home).problems == []
    assert not reserve.exists(), "there is no room yet"
    free[0] = RESERVE_BEYOND + SIZE_BYTES
    department.retain()
    assert reserve.exists()


def test_a_database_that_is_away_keeps_the_images_of_a_due_day(
    department: Department, unit: Joined, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is removed before its removal is recorded."""
    unit.add(3, size=9000)
    converse(unit, department)
    before = department.packs.days()
    clock.days(367)

    @contextmanager
    def away() -> Iterator[Connection]:
        raise StoreAwayError("the store does not answer")
        yield

    monkeypatch.setattr(department.store, "write", away)
    with pytest.raises(StoreAwayError):
        department.retention.run()
    assert department.packs.days() == before


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_pack_whose_rows_are_on_their_way_at_midnight_is_not_swept(
    department: Department, unit: Joined, clock: Clock, monkeypatch: pytest.MonkeyPatch, by_hand: bool
) -> None:
    """The purge may run just then, and a receipt would be given for images that it removed. A purge by a
    person does not know of deliveries.
    """
    retention = retention_of(department) if by_hand else department.retention
    unit.add(1, size=9000)
    put, day = department.packs.put, clock.us // DAY_US

    def put_at_midnight(of_day: int, pieces: Sequence[bytes]) -> str:
        name = put(of_day, pieces)
        clock.us = (day + 1) * DAY_US
        retention.run()
        return name

    with monkeypatch.context() as patch:
        patch.setattr(department.packs, "put", put_at_midnight)
        converse(unit, department)
    stray = department.packs.put(day, [b"written before a crash"])
    assert checked(department.home).problems == []
    department.retention.run()
    assert stray not in department.packs.names(day)
    assert checked(department.home).problems == []


def test_one_day_goes_in_twenty_hours_and_the_backlog_only_by_two_people(
    department: Department, unit: Joined, clock: Clock
) -> None:
    for _ in range(4):
        unit.add(1)
        converse(unit, department)
        clock.days(1)
    first = clock.us // DAY_US - 4
    clock.days(368)

    def purged(through: int = -1) -> list[int]:
        return [one.day - first for one in department.retention.run(through)]

    assert [one - first for one in department.retention.waiting()] == [1, 2, 3]
    assert purged() == [0]
    assert [one - first for one in department.retention.waiting()] == [1, 2, 3]
    clock.days(19.9 / 24)
    assert purged() == []
    clock.days(0.2 / 24)
    assert purged() == [1]
    assert purged(through=first + 2) == [2]
    assert purged() == []
