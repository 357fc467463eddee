"""The writer at its limits: epochs, keys in memory, anchors, steps of the clock, free space."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from custody_twins import Department, Reopen, SteppedTime, add_reads, check

from hw.secure_slot import LoopbackSlot
from storage.audit_records import ClockStep, Gap
from storage.clock_trust import NoticedStep
from storage.errors import LedgerError, StoreFullError
from storage.leaf import LeafRef
from storage.ledger import Ledger
from storage.log_records import EpochOpened, FileInForce, Incident, LogOpened
from storage.outgoing import Outgoing
from storage.read_records import Read
from storage.record_base import ClockState, KeyClass, Record
from storage.slot import load_slot
from storage.state import RUNNING
from storage.store import UnitStore
from storage.times import DAY_US, HOUR_US

GAP = Gap(reason="x", from_us=1, to_us=2, lost=0)


def records(ledger: Ledger, kind: type[Record], first: int = 0) -> list[Record]:
    store = ledger.store
    return [store.record(at) for at in range(first, store.log.size()) if store.leaf(at).kind == kind.KIND]


def test_a_logs_first_record_says_its_form_its_slot_and_whose_it_is(ledger: Ledger) -> None:
    (first,) = records(ledger, LogOpened)
    assert isinstance(first, LogOpened)
    assert (first.format, first.slot, first.demo, first.previous, first.reason) == (
        2, "loopback", True, None, None
    )  # fmt: skip
    assert first.public_key == ledger.public_key.public.public_bytes_raw()
    assert ledger.store.state.cursor(RUNNING) == 1


def test_a_closed_ledger_left_its_head_in_the_slot_and_an_orderly_end(
    ledger: Ledger, slot: LoopbackSlot, reopen: Reopen, time: SteppedTime
) -> None:
    add_reads(ledger, time, 1)
    size = ledger.store.log.size()
    ledger.close()
    assert load_slot(slot).anchor_size == size
    again = reopen()
    assert again.store.log.size() == size  # no record of an unclean end
    assert again.store.state.cursor(RUNNING) == 0
    again.store.anchor(force=True)
    assert again.store.state.cursor(RUNNING) == 1
    again.close()  # the slot already has this head
    assert reopen().store.state.cursor(RUNNING) == 0


def test_a_restart_ends_the_epochs_of_reads_before_it_and_no_other(
    ledger: Ledger, reopen: Reopen, time: SteppedTime
) -> None:
    add_reads(ledger, time, 1)
    add_reads(ledger, time, 1, hit=True)
    ledger.append(GAP)
    ledger.close()
    again = reopen()
    add_reads(again, time, 1)
    store = again.store
    assert store.leaf(store.started_at).kind == EpochOpened.KIND
    store.end_epochs()
    epochs = store.book.epochs.values()
    assert {(one.key_class, one.sequence >= store.started_at): one.closed for one in epochs} == {
        (KeyClass.READ, False): True,
        (KeyClass.HIT, False): True,
        (KeyClass.AUDIT, False): False,
        (KeyClass.READ, True): False,
    }
    assert all((one.closed_us is not None) is one.closed for one in epochs)


@pytest.mark.parametrize(("hit", "length_us"), [(False, DAY_US), (None, 365 * DAY_US)])
def test_an_epoch_takes_records_for_its_length_and_not_a_microsecond_longer(
    ledger: Ledger, time: SteppedTime, hit: bool | None, length_us: int
) -> None:
    store = ledger.store
    key_class = KeyClass.AUDIT if hit is None else KeyClass.READ
    with store.adding():
        first = store.epoch_for(key_class)
    while time.now().us < first.opened_us + length_us - 1:
        time.run(min(DAY_US, first.opened_us + length_us - 1 - time.now().us))
        store.time.now()
    with store.adding():
        assert store.epoch_for(key_class) is first
        time.run(1)
        following = store.epoch_for(key_class)
    assert (following.epoch > first.epoch, first.closed) == (True, True)
    (opened,) = (one for one in records(ledger, EpochOpened) if getattr(one, "epoch", 0) == following.epoch)
    assert isinstance(opened, EpochOpened)
    assert (opened.reason, opened.opened_us) == ("time", first.opened_us + length_us)


def test_keys_of_ended_epochs_stay_in_memory_where_the_unit_may_open_them(
    ledger: Ledger, time: SteppedTime
) -> None:
    first = add_reads(ledger, time, 1)[0]
    time.run(DAY_US)
    add_reads(ledger, time, 1)
    assert ledger.read(first).text
    Department().enroll(ledger)
    second = add_reads(ledger, time, 2)[0]
    assert ledger.store.leaf(second).epoch in ledger.store.live
    time.run(DAY_US)
    add_reads(ledger, time, 1)
    assert ledger.store.leaf(second).epoch not in ledger.store.live
    assert ledger.read(first).text


def test_every_append_anchors_the_head_after_an_hour_and_not_before(
    ledger: Ledger, slot: LoopbackSlot, time: SteppedTime
) -> None:
    add_reads(ledger, time, 1)
    ledger.tend()
    ledger._look_us = (1 << 62) - 1  # checking what is due writes no anchor
    ledger.store.anchor(force=True)
    anchor_us, size = ledger.store.slot_content.anchor_us, load_slot(slot).anchor_size
    time.run(anchor_us + HOUR_US - 1 - time.now().us)
    ledger.append(GAP)
    assert load_slot(slot).anchor_size == size
    time.run(1)
    ledger.append(GAP)
    assert load_slot(slot).anchor_size == ledger.store.log.size()


def noticed(count: int) -> list[NoticedStep]:
    return [
        NoticedStep(from_us=at, to_us=at + 1, accepted=True, state=ClockState.DISCIPLINED, sources=("clock",))
        for at in range(count)
    ]


def told(ledger: Ledger, count: int, first: int) -> tuple[list[int], list[str]]:
    """What `count` more steps of the clock add to the log: (steps, incidents)."""
    ledger.store.time.steps += noticed(count)
    ledger.note_clock()
    assert ledger.store.time.steps == []
    steps = [one.from_us for one in records(ledger, ClockStep, first) if isinstance(one, ClockStep)]
    return steps, [one.detail for one in records(ledger, Incident, first) if isinstance(one, Incident)]


def test_sixteen_steps_of_an_hour_are_reported_one_by_one_and_the_rest_by_their_number(
    ledger: Ledger, time: SteppedTime
) -> None:
    def size() -> int:
        return ledger.store.log.size()

    time.run(HOUR_US - time.now().us % HOUR_US)  # an hour begins
    first = size()
    assert told(ledger, 15, first) == (list(range(15)), [])
    first = size()
    assert told(ledger, 3, first) == ([0], [])
    first = size()
    assert told(ledger, 2, first) == ([], [])
    time.run(HOUR_US - 1)
    written = ledger.store.db.conn.total_changes
    assert told(ledger, 0, first) == ([], [])
    assert ledger.store.db.conn.total_changes == written  # checking does not write to the card
    time.run(1)
    assert told(ledger, 0, first) == ([], ["4 more steps of the clock in one hour"])
    first = size()
    assert told(ledger, 16, first) == (list(range(16)), [])
    first = size()
    time.run(HOUR_US)
    assert told(ledger, 0, first) == ([], [])
    assert told(ledger, 17, first) == (list(range(16)), [])
    first = size()
    time.run(HOUR_US)
    assert told(ledger, 1, first) == ([], ["2 more steps of the clock in one hour"])
    ledger.note_clock()
    assert size() == first + 1


def test_a_step_of_the_clock_while_another_is_logged_is_logged_next(
    ledger: Ledger, time: SteppedTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_sealed = ledger.store.add_sealed

    def add_and_step(record: Record) -> LeafRef:
        time.jump(3 * DAY_US)  # not followed, but logged
        return add_sealed(record)

    ledger.store.time.steps += noticed(1)
    first = ledger.store.log.size()
    with monkeypatch.context() as patched:
        patched.setattr(ledger.store, "add_sealed", add_and_step)
        ledger.note_clock()
    assert len(records(ledger, ClockStep, first)) == 1
    ledger.note_clock()
    (_, second) = records(ledger, ClockStep, first)
    assert isinstance(second, ClockStep)
    assert second.to_us - second.from_us >= 3 * DAY_US
    assert ledger.store.time.steps == []


@pytest.mark.parametrize(
    ("free_mb", "stored"),
    [(64, {"text", "place", "patch", "overview"}), (63, {"text", "place", "patch"}),
     (32, {"text", "place", "patch"}), (31, {"text", "place"}), (16, {"text", "place"})],
)  # fmt: skip
def test_what_is_stored_of_a_read_goes_by_the_free_megabytes(
    ledger: Ledger, time: SteppedTime, free_mb: int, stored: set[str]
) -> None:
    ledger.free_bytes = partial(int, free_mb << 20)
    assert set(ledger.store.leaf(add_reads(ledger, time, 1)[0]).elements) == stored
    ledger.free_bytes = partial(int, (16 << 20) - 1)
    with pytest.raises(StoreFullError, match="15 MB free: no read is stored below 16 MB"):
        add_reads(ledger, time, 1)


def test_status_counts_what_the_log_holds(
    ledger: Ledger, home: Path, slot: LoopbackSlot, time: SteppedTime
) -> None:
    add_reads(ledger, time, 2)
    add_reads(ledger, time, 1, hit=True)
    time.run(DAY_US)
    add_reads(ledger, time, 1)
    status = ledger.status()
    assert (status.records, status.unreceived) == (ledger.store.log.size(), 4)
    assert (status.epochs_open, status.epochs_kept, status.epochs_purged) == (3, 4, 0)
    assert (status.local_query, status.enrolled, status.purge_pending) == (True, False, False)
    assert (status.clock_alarm, status.clock_lead_us, status.incidents) == ("", 0, 0)
    assert (status.anchored_by, status.generation, status.keys_on_card) == ("slot", 1, "kek")
    department = Department()
    department.enroll(ledger)
    assert (ledger.status().local_query, ledger.status().enrolled) == (False, True)
    department.cosign(ledger)
    status = ledger.status()
    assert (status.anchored_by, status.newer_than_anchors) == ("department", 0)
    first = ledger.store.log.size()
    reads = [one for one in range(first) if ledger.store.leaf(one).kind == Read.KIND]
    department.receipt(ledger, 0, reads[0])
    assert ledger.status().unreceived == len(reads) - 1 == 3
    assert Outgoing(ledger).received_to() == reads[0] + 1
    assert first + 1 == ledger.store.log.size()
    department.receipt(ledger, reads[1], reads[-1])
    assert ledger.status().unreceived == 0  # the log's own records, such as this receipt's, get none
    assert check(home, slot).ok


def test_hits_and_content_are_found_by_their_class_and_their_place(ledger: Ledger, time: SteppedTime) -> None:
    (hit,) = add_reads(ledger, time, 1, hit=True)
    (read,) = add_reads(ledger, time, 1)
    ledger.append(GAP)
    outgoing = Outgoing(ledger)
    assert [outgoing.hits_from(at) for at in (0, hit, hit + 1)] == [[hit], [hit], []]
    assert outgoing.content_between(read, read + 1)
    assert not outgoing.content_between(read + 1, ledger.store.log.size())
    assert not outgoing.content_between(0, hit)
    ledger.store.book.epochs[ledger.store.leaf(hit).epoch].purged_by = 1
    assert outgoing.hits_from(0) == []
    assert [len(outgoing.leaves(first, 2)) for first in (0, ledger.store.log.size() - 1)] == [2, 1]
    with pytest.raises(LedgerError, match=f"record {read}: is of kind read"):
        ledger.store.record(read)


def test_the_files_in_force_are_open_records_of_their_versions(ledger: Ledger) -> None:
    Department().enroll(ledger)
    found = [one for one in records(ledger, FileInForce) if isinstance(one, FileInForce)]
    assert [(one.name, one.version) for one in found] == [
        ("roster", 0), ("enrolment", 1), ("day-keys", 1), ("policy", 1)
    ]  # fmt: skip
    assert [ledger.standing.version_of(one) for one in ("policy", "roster", "none")] == [1, 0, -1]
    assert Outgoing(ledger).document_version("none") == 0


def add_incident(store: UnitStore) -> None:
    store.add_open(Incident(what="x", detail="y", at_us=1))


def open_epoch(store: UnitStore) -> None:
    store.open_epoch(KeyClass.HOLD, "hold")


def add_and_fail(store: UnitStore, add: Callable[[UnitStore], None]) -> None:
    with store.adding():
        add(store)
        raise RuntimeError


@pytest.mark.parametrize("add", [add_incident, open_epoch])
def test_a_transaction_that_fails_takes_back_what_the_book_noted(
    ledger: Ledger, add: Callable[[UnitStore], None]
) -> None:
    store = ledger.store

    def noted() -> tuple[object, ...]:
        book, size = store.book, store.next_sequence()
        return book.notes, book.incidents, list(book.epochs), list(store.live), store.ring, size

    before = noted()
    with pytest.raises(RuntimeError):
        add_and_fail(store, add)
    assert noted() == before
    with store.adding():
        add(store)
    assert noted() != before
