"""The ledger's daily work: append, close, reopen, epochs, anchors, storing in a degraded state."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import resource
import sqlite3
import stat
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from custody_twins import OVERVIEW, PATCH, Reopen, SteppedTime, add_reads, check, make_read

from hw.errors import HardwareError
from hw.secure_slot import LoopbackSlot
from storage import files
from storage import ledger as ledger_module
from storage.audit_records import Gap
from storage.errors import (
    CardFailedError,
    HomeLockedError,
    LedgerError,
    NoHomeError,
    RecordError,
    RolledBackError,
    SlotError,
    StoreFullError,
)
from storage.ledger import TOGETHER, Ledger, NewRead
from storage.record_base import KeyClass
from storage.times import DAY_US


def test_a_stored_read_comes_back_whole_from_a_second_process(
    ledger: Ledger, reopen: Reopen, time: SteppedTime
) -> None:
    read = make_read(time.now().us)
    ref = ledger.append_read(read, patch=PATCH, overview=OVERVIEW)
    ledger.close()
    again = reopen()
    assert again.read(ref.sequence) == read
    assert again.element(ref.sequence, "patch").content == PATCH
    assert again.element(ref.sequence, "overview").content == OVERVIEW


def test_reads_of_one_moment_come_back_whole_and_cost_one_sync_of_images(
    ledger: Ledger, reopen: Reopen, time: SteppedTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_reads(ledger, time, 1)  # the epoch is open
    syncs: list[int] = []
    real = files.sync_system

    def sync_system(folder: int) -> None:
        syncs.append(folder)
        real(folder)

    monkeypatch.setattr(files, "sync_system", sync_system)
    reads = [replace(make_read(time.now().us), text=f"7ABC12{number}") for number in range(TOGETHER)]
    new = [NewRead(read=read, patch=PATCH, overview=OVERVIEW) for read in reads]
    refs = ledger.append_reads(new)
    assert len(syncs) == 1
    ledger.close()
    again = reopen()
    assert [again.read(ref.sequence) for ref in refs] == reads
    assert all(again.element(ref.sequence, "overview").content == OVERVIEW for ref in refs)


@pytest.mark.parametrize("call", ["sync_system", "write_out"])
def test_of_reads_of_one_moment_all_are_stored_or_none(
    ledger: Ledger,
    home: Path,
    slot: LoopbackSlot,
    time: SteppedTime,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
) -> None:
    add_reads(ledger, time, 1)
    before, images = ledger.status().records, sorted((home / "store/blobs").rglob("*"))

    def fail(_descriptor: int, **_words: bool) -> None:
        raise OSError(28, "No space left on device")

    new = [NewRead(read=make_read(time.now().us), patch=PATCH, overview=OVERVIEW)] * 2
    with monkeypatch.context() as patched:
        patched.setattr(files, call, fail)
        with pytest.raises(StoreFullError):
            ledger.append_reads(new)
    assert ledger.status().records == before
    assert sorted((home / "store/blobs").rglob("*")) == images
    for wrong in ([], new * TOGETHER):
        with pytest.raises(RecordError):
            ledger.append_reads(wrong)
    ledger.append_reads(new)
    ledger.close()
    assert check(home, slot).ok


def test_a_new_home_verifies_and_is_private(ledger: Ledger, home: Path, slot: LoopbackSlot) -> None:
    assert check(home, slot).ok
    for path in home.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


def test_a_process_that_holds_keys_dumps_no_core(ledger: Ledger, reopen: Reopen) -> None:
    ledger.close()
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    reopen()
    assert resource.getrlimit(resource.RLIMIT_CORE)[0] == 0


def test_database_companions_are_private_too(ledger: Ledger, home: Path, time: SteppedTime) -> None:
    add_reads(ledger, time, 1)
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode) for path in (home / "store").glob("ledger.sqlite3*")
    }
    assert modes == dict.fromkeys(("ledger.sqlite3", "ledger.sqlite3-wal", "ledger.sqlite3-shm"), 0o600)


def test_one_process_holds_a_home(ledger: Ledger, home: Path, slot: LoopbackSlot, time: SteppedTime) -> None:
    with pytest.raises(HomeLockedError):
        Ledger.open(home, slot, time)


def test_a_folder_without_a_ledger_is_named(tmp_path: Path, slot: LoopbackSlot, time: SteppedTime) -> None:
    with pytest.raises(NoHomeError, match="no unit is here"):
        Ledger.open(tmp_path, slot, time)


def test_a_slot_in_use_is_not_taken_for_another_home(
    ledger: Ledger, tmp_path: Path, slot: LoopbackSlot, time: SteppedTime
) -> None:
    with pytest.raises(SlotError, match="another log"):
        Ledger.create(tmp_path / "second", slot, time)
    assert check(ledger.store.home.root, slot).ok


def test_hits_and_other_reads_have_different_keys_and_a_new_day_opens_new_ones(
    ledger: Ledger, time: SteppedTime
) -> None:
    first, hit = add_reads(ledger, time, 1)[0], add_reads(ledger, time, 1, hit=True)[0]
    time.run(DAY_US)
    later = add_reads(ledger, time, 1)[0]
    epochs = [ledger.store.leaf(sequence).epoch for sequence in (first, hit, later)]
    assert len(set(epochs)) == 3
    assert ledger.store.book.epochs[epochs[1]].key_class is KeyClass.HIT


def test_a_restart_opens_a_new_epoch(ledger: Ledger, reopen: Reopen, time: SteppedTime) -> None:
    before = add_reads(ledger, time, 1)[0]
    ledger.close()
    again = reopen()
    after = add_reads(again, time, 1)[0]
    assert again.store.leaf(after).epoch > again.store.leaf(before).epoch


def test_a_failed_transaction_leaves_no_trace(
    ledger: Ledger, home: Path, slot: LoopbackSlot, time: SteppedTime
) -> None:
    add_reads(ledger, time, 2)
    time.run(DAY_US)  # the failing read would have opened an epoch
    ledger.store.db.conn.execute(
        "CREATE TEMP TRIGGER no BEFORE INSERT ON main.elements BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    with pytest.raises(sqlite3.IntegrityError, match=r"^no$"):
        add_reads(ledger, time, 1)
    ledger.store.db.conn.execute("DROP TRIGGER no")
    sequences = add_reads(ledger, time, 2)
    assert ledger.read(sequences[-1]).text
    assert check(home, slot).ok


def failing_card(connection: sqlite3.Connection) -> None:
    """A card that neither writes nor reads from the next signed head on."""
    failed: list[str] = []

    def answer(action: int, table: str | None, *_: object) -> int:
        if action == sqlite3.SQLITE_INSERT and table == "head":
            failed.append(table)
        refused = failed and action in {sqlite3.SQLITE_INSERT, sqlite3.SQLITE_READ}
        return sqlite3.SQLITE_DENY if refused else sqlite3.SQLITE_OK

    connection.set_authorizer(answer)


def test_a_database_that_another_program_holds_is_not_a_failing_card(ledger: Ledger) -> None:
    """Once, the advice was to replace the card."""
    ledger.store.db.conn.execute("PRAGMA busy_timeout=0")
    with contextlib.closing(sqlite3.connect(ledger.store.home.database, isolation_level=None)) as shell:
        shell.execute("BEGIN IMMEDIATE")
        with pytest.raises(CardFailedError, match=r"database is locked .*sudo fuser -v .*ledger\.sqlite3"):
            ledger.append(Gap(reason="x", from_us=1, to_us=2, lost=0))


def test_a_card_that_fails_while_an_epoch_opens_costs_no_later_read(
    ledger: Ledger, home: Path, slot: LoopbackSlot, reopen: Reopen, time: SteppedTime
) -> None:
    """Reads sealed under the key of an epoch without a record would be lost when the process ends."""
    add_reads(ledger, time, 2)
    time.run(DAY_US)  # the failing read would have opened an epoch
    failing_card(ledger.store.db.conn)
    for _ in range(2):
        with pytest.raises(CardFailedError, match="cannot be used"):
            add_reads(ledger, time, 1)
    ledger.store.db.conn.set_authorizer(None)
    sequences = add_reads(ledger, time, 2)
    assert check(home, slot).ok
    ledger.close()
    again = reopen()
    assert all(again.read(sequence).text for sequence in sequences)


def test_a_card_that_fails_while_a_purge_begins_leaves_no_purge_behind(
    ledger: Ledger, home: Path, slot: LoopbackSlot, time: SteppedTime
) -> None:
    [sequence] = add_reads(ledger, time, 1)
    for _ in range(400):
        time.run(DAY_US)
        ledger.store.time.now()
    failing_card(ledger.store.db.conn)
    with pytest.raises(CardFailedError):
        ledger.apply_retention(by="test")
    ledger.store.db.conn.set_authorizer(None)
    assert not ledger.status().purge_pending
    assert ledger.apply_retention(by="test") is not None
    assert ledger.store.book.gone(ledger.store.leaf(sequence).epoch)
    assert check(home, slot).ok


def test_status_counts_what_a_rollback_would_hide(ledger: Ledger, time: SteppedTime) -> None:
    ledger.store.anchor()
    add_reads(ledger, time, 3)
    status = ledger.status()
    assert status.newer_than_anchors == 4  # three reads and their epoch
    assert status.slot_promise
    ledger.store.anchor()
    assert ledger.status().newer_than_anchors == 0


def test_a_card_older_than_its_chip_is_a_reported_loss_not_a_repair(
    ledger: Ledger, home: Path, tmp_path: Path, slot: LoopbackSlot, time: SteppedTime
) -> None:
    import shutil

    add_reads(ledger, time, 2)
    ledger.store.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copytree(home, tmp_path / "yesterday", ignore=shutil.ignore_patterns("door.sock"))
    add_reads(ledger, time, 2)
    ledger.close()
    with pytest.raises(RolledBackError, match="but the log has"):
        Ledger.open(tmp_path / "yesterday", slot, time)


def test_a_filling_disk_costs_the_overview_first_then_the_patch_then_reads_are_refused(
    ledger: Ledger, home: Path, slot: LoopbackSlot, time: SteppedTime
) -> None:
    stored = []
    for free in (
        ledger_module.KEEP_FREE_FOR_OVERVIEW,
        ledger_module.KEEP_FREE_FOR_OVERVIEW - 1,
        ledger_module.KEEP_FREE_FOR_PATCH - 1,
    ):
        ledger.free_bytes = partial(int, free)
        stored.append(set(ledger.store.leaf(add_reads(ledger, time, 1)[0]).elements))
    assert stored[0] == {"text", "place", "patch", "overview"}
    assert stored[1] == {"text", "place", "patch"}
    assert stored[2] == {"text", "place"}
    ledger.free_bytes = lambda: ledger_module.KEEP_FREE - 1
    size = ledger.status().records
    with pytest.raises(StoreFullError, match="sync, then purge"):
        add_reads(ledger, time, 1)
    assert ledger.status().records == size
    assert (ledger.status().without_overview, ledger.status().without_patch) == (2, 1)
    assert check(home, slot).ok


def test_a_newer_format_is_refused_by_name(ledger: Ledger, home: Path, reopen: Reopen) -> None:
    ledger.store.db.conn.execute("PRAGMA user_version=9")
    ledger.close()
    with pytest.raises(LedgerError, match="format 9"):
        reopen()


def test_other_records_are_sealed_by_their_class(ledger: Ledger, time: SteppedTime) -> None:
    gap = Gap(reason="camera stalled", from_us=1, to_us=2, lost=0)
    ref = ledger.append(gap)
    assert ledger.store.leaf(ref.sequence).key_class is KeyClass.AUDIT
    assert ledger.store.record(ref.sequence) == gap


def test_no_repr_shows_a_plate() -> None:
    read = make_read()
    assert read.text not in repr(read) + repr(read.text_part())


@pytest.mark.one_python
def test_an_append_asks_the_database_as_little_in_a_long_log_as_in_a_short_one(ledger: Ledger) -> None:
    def statements_of_one() -> int:
        seen: list[str] = []
        ledger.store.db.conn.set_trace_callback(seen.append)
        ledger.append(Gap(reason="counted", from_us=1, to_us=2, lost=0))
        ledger.store.db.conn.set_trace_callback(None)
        return len(seen)

    ledger.append(Gap(reason="opens the epoch", from_us=1, to_us=2, lost=0))
    short = statements_of_one()
    with ledger.store.adding():
        for _ in range(1500):
            ledger.append(Gap(reason="test", from_us=1, to_us=2, lost=0))
    assert ledger.status().records % 256
    assert statements_of_one() == short


def test_a_last_anchor_that_fails_after_a_restart_leaves_a_home_that_opens(
    ledger: Ledger, home: Path, slot: LoopbackSlot, time: SteppedTime, reopen: Reopen
) -> None:
    """The slot then has the previous run's anchor, which is not the newest but is no rollback."""
    add_reads(ledger, time, 1)
    ledger.close()
    again = reopen()
    add_reads(again, time, 1)
    kept = slot.read()
    assert kept is not None
    folder = home.parent / "chip"
    folder.unlink()
    folder.mkdir()  # now no file can be written there
    with pytest.raises(HardwareError):
        again.close()
    folder.rmdir()
    slot.write(kept)
    assert check(home, slot).ok
    assert reopen().status().records >= 2


def test_a_file_system_that_cannot_begin_writing_is_not_an_error_and_a_failed_write_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_end, write_end = os.pipe()
    try:
        files.write_out(write_end, wait=True)  # ESPIPE: a pipe has no pages to write
    finally:
        os.close(read_end)
        os.close(write_end)

    def failing(*_words: object) -> int:
        ctypes.set_errno(errno.EIO)
        return -1

    monkeypatch.setattr(files, "_LIBC", SimpleNamespace(sync_file_range=failing))
    with (tmp_path / "one").open("wb") as file, pytest.raises(OSError, match="Input/output"):
        files.write_out(file.fileno(), wait=False)
