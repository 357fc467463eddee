"""Opening a home: whose slot it is, which older states are refused, at what time a start resumes."""

from __future__ import annotations

import resource
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from custody_twins import HOUR_US, Reopen, SteppedTime, add_reads

from hw.secure_slot import LoopbackSlot
from storage import merkle, opening, schema
from storage.errors import (
    DamagedError,
    HomeLockedError,
    NoHomeError,
    RolledBackError,
    SlotError,
    StoreFullError,
)
from storage.home import Home
from storage.ledger import Ledger
from storage.log import LogReader
from storage.log_records import Incident, LogOpened, UncleanStart
from storage.record_base import ClockState
from storage.slot import SlotContent, load_slot, save
from storage.state import ANCHORING, LEAD, LedgerState

CONTENT = SlotContent(1, bytes(32), bytes(32), 7, bytes(32), 100)
STATE = LedgerState(size=9, trusted_us=1, anchored_us=100, cursors=((ANCHORING, 200), (LEAD, 0)))
OLD = LedgerState(size=9, trusted_us=1, anchored_us=100)  # by a version that wrote none with each head


@pytest.mark.parametrize(
    ("state", "anchor_us", "size", "said"),
    [
        (STATE, 100, 9, []), (STATE, 200, 9, []), (STATE, None, 9, []),
        (STATE, 100, 10, ["the state record was written at 9 records, but the log has 10"]),
        (STATE, None, 8, ["the state record was written at 9 records, but the log has 8"]),
        (STATE, 99, 9, ["the slot is older than the other: one of them is an old copy"]),
        (STATE, 101, 9, ["the state record is older than the other: one of them is an old copy"]),
        (OLD, 1, 9, []), (OLD, 1, 10, []), (OLD, 1, 8, ["the state was written when the log was longer"]),
    ],
)  # fmt: skip
def test_state_slot_and_log_are_of_one_time(
    state: LedgerState, anchor_us: int | None, size: int, said: list[str]
) -> None:
    content = None if anchor_us is None else replace(CONTENT, anchor_us=anchor_us)
    assert opening.stale(state, content, size) == said


def test_a_slot_is_free_until_it_holds_the_keys_of_a_log_with_records(slot: LoopbackSlot) -> None:
    opening.free_slot(slot, successor=False)
    save(slot, replace(CONTENT, anchor_size=0))
    opening.free_slot(slot, successor=False)
    save(slot, replace(CONTENT, anchor_size=1))
    opening.free_slot(slot, successor=True)
    with pytest.raises(SlotError, match="already holds the keys of another log"):
        opening.free_slot(slot, successor=False)
    slot.write(b"of another program")
    with pytest.raises(SlotError, match="contains data of another program"):
        opening.free_slot(slot, successor=False)


@pytest.mark.parametrize(("previous", "reason"), [("note", None), (None, "damaged"), ("note", "forked")])
def test_a_successor_takes_the_slot_of_the_log_before_it_and_says_so(
    ledger: Ledger,
    slot: LoopbackSlot,
    time: SteppedTime,
    tmp_path: Path,
    previous: str | None,
    reason: str | None,
) -> None:
    ledger.close()
    made = opening.create(
        Home(tmp_path / "next"), slot, time, boot=time.boot, previous=previous, reason=reason
    )
    try:
        first = made.record(0)
        assert isinstance(first, LogOpened)
        assert (first.previous, first.reason, made.slot_content.generation) == (previous, reason, 1)
        assert (first.demo, first.slot, first.opened_us) == (True, "loopback", time.now().us)
        assert load_slot(slot).log_id == made.log_id != ledger.store.log_id
        assert made.slot_content.anchor_size == 1
    finally:
        made.close()


@pytest.mark.parametrize("call", ["migrate", "connect"])
def test_a_disk_that_fills_while_a_log_is_made_is_named_and_the_log_is_made_once_there_is_room(
    home: Path, slot: LoopbackSlot, time: SteppedTime, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Once, only SQLite's message was shown, without a cure, also when a log rolled over."""

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(schema, call, full)
        with pytest.raises(StoreFullError, match="no room to open the ledger"):
            opening.create(Home(home), slot, time, boot=time.boot)
    Ledger(opening.create(Home(home), slot, time, boot=time.boot)).close()


def test_a_home_whose_making_failed_is_made_the_next_time(
    home: Path, slot: LoopbackSlot, time: SteppedTime
) -> None:
    Home(home).folder.mkdir(parents=True)
    for name in ("ledger.new", "ledger.new-wal"):
        (Home(home).folder / name).write_bytes(b"cut off")
    (Home(home).folder / "ledger.new.moved-1" / "kept").mkdir(parents=True)  # from an earlier start
    save(slot, replace(CONTENT, anchor_size=1))
    with pytest.raises(SlotError):
        opening.create(Home(home), slot, time, boot=time.boot)
    slot.write(replace(CONTENT, anchor_size=0).to_bytes())
    made = opening.create(Home(home), slot, time, boot=time.boot)  # the lock was released
    made.close()
    assert [one.name for one in Home(home).folder.glob("ledger.new*")] == ["ledger.new.moved-1"]


def test_a_start_resumes_at_the_newest_signed_time_and_counts_what_is_ahead_of_the_state(
    ledger: Ledger, time: SteppedTime, reopen: Reopen
) -> None:
    believed = ledger.store.time.trusted_us
    start = UncleanStart(
        records=1, unanchored=0, images=0, at_us=believed + HOUR_US, clock_state=ClockState.DISCIPLINED
    )
    ledger.append(start)
    ledger.close()
    time.lose()  # no trusted clock moves it
    again = reopen().store
    assert (again.time.trusted_us, again.time.lead_us) == (believed + HOUR_US, HOUR_US)


def test_a_log_longer_than_its_slots_anchor_is_opened_and_a_shorter_one_is_not(
    ledger: Ledger, slot: LoopbackSlot, reopen: Reopen
) -> None:
    ledger.append(Incident(what="x", detail="y", at_us=1))
    ledger.close()
    content = load_slot(slot)
    size = content.anchor_size
    older = replace(content, anchor_size=size - 1, anchor_root=ledger_root(ledger, size - 1))
    save(slot, older)
    reopen().close()
    content = load_slot(slot)
    save(slot, replace(content, anchor_size=content.anchor_size + 1))
    with pytest.raises(
        RolledBackError, match=f"the slot anchors {content.anchor_size + 1} records"
    ) as refused:
        reopen()
    assert refused.value.leaf_index == content.anchor_size
    save(slot, content)
    reopen()  # a refused start has released what it held


def ledger_root(ledger: Ledger, size: int) -> bytes:
    database = schema.connect(ledger.store.home.database, readonly=True)
    try:
        return merkle.root_at(size, LogReader(database).subtree)
    finally:
        database.close()


def test_a_ledger_is_set_aside_as_it_is_and_each_in_its_own_folder(
    ledger: Ledger, home: Path, time: SteppedTime
) -> None:
    add_reads(ledger, time, 1)
    with pytest.raises(HomeLockedError):
        opening.set_aside(Home(home))
    ledger.close()
    before = sorted(path.name for path in (home / "store").iterdir())
    aside = opening.set_aside(Home(home))
    assert aside == home / "damaged-1"
    assert not Home(aside).is_written()
    assert sorted(path.name for path in (aside / "store").iterdir()) == before
    with pytest.raises(NoHomeError):
        opening.set_aside(Home(home))
    (home / "store" / "blobs" / "00000001").mkdir(parents=True)  # images without their ledger
    assert opening.set_aside(Home(home)) == home / "damaged-2"
    (home / "damaged-1").rename(home.parent / "carried-away")
    for name in ("damaged-1", "damaged-3"):
        (home / "store" / "blobs" / "00000001").mkdir(parents=True)
        assert opening.set_aside(Home(home)) == home / name


def test_a_home_without_its_state_is_refused_by_that_name(ledger: Ledger, reopen: Reopen) -> None:
    ledger.close()
    database = schema.connect(ledger.store.home.database)
    with database.atomic():
        database.conn.execute("DELETE FROM state")
    database.close()
    with pytest.raises(DamagedError, match="table state: the state record is missing"):
        reopen()


def test_a_process_that_makes_a_home_dumps_no_core(home: Path, slot: LoopbackSlot, time: SteppedTime) -> None:
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    opening.create(Home(home), slot, time, boot=time.boot).close()
    assert resource.getrlimit(resource.RLIMIT_CORE)[0] == 0
