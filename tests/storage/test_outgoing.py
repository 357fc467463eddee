"""What a unit sends to its department and takes from it, each checked before it is kept."""

from __future__ import annotations

from dataclasses import replace

import pytest
from custody_twins import Department, SteppedTime, add_reads

from storage import day_keys
from storage.checkpoint import Checkpoint, cosign, sign_checkpoint
from storage.department_word import word_of
from storage.errors import CheckpointError, ForkedLogError, KeyLostError, LedgerError
from storage.keyring import EpochKey
from storage.ledger import Ledger
from storage.log_records import Incident
from storage.outgoing import KEEP_ANCHORS, Outgoing
from storage.record_base import KeyClass
from storage.times import DAY_US


@pytest.fixture
def department(ledger: Ledger) -> Department:
    made = Department()
    made.enroll(ledger)
    return made


def cosigned(ledger: Ledger, department: Department, size: int, root: bytes | None = None) -> str:
    """A co-signed checkpoint of this log, with its own root unless another is given."""
    store = ledger.store
    root = store.log.root_at(size) if root is None else root
    note = sign_checkpoint(Checkpoint(store.log.key_of_notes.name, size, root), store.log._key)
    return cosign(note, department.note_key.name, department.log, time_s=store.time.now().us // 1_000_000)


def test_a_unit_of_no_department_takes_nothing(ledger: Ledger) -> None:
    outgoing, department = Outgoing(ledger), Department()
    with pytest.raises(LedgerError, match="this home: belongs to no department"):
        outgoing.take_cosigned(cosigned(ledger, department, 1))
    with pytest.raises(LedgerError, match="this home: belongs to no department"):
        outgoing.take_receipt(department.receipt_for(ledger, [[0, 0]]))


def test_leaves_and_proofs_are_of_the_asked_range(ledger: Ledger) -> None:
    outgoing, store = Outgoing(ledger), ledger.store
    size = outgoing.size()
    assert outgoing.leaves(1, 1) == [store.log.leaf(1)]
    assert len(outgoing.leaves(0, size + 5)) == size
    assert outgoing.leaves(size, 5) == []
    assert outgoing.consistency(1, size) == store.log.consistency(1, size)
    assert (outgoing.head(), outgoing.log_id) == (store.log.head_note(), store.log_id)


def test_a_checkpoint_of_more_records_of_another_history_or_without_the_departments_name_is_refused(
    ledger: Ledger, department: Department
) -> None:
    outgoing = Outgoing(ledger)
    size = outgoing.size()
    assert outgoing.anchored_size() == 0
    for bad, error, words in (
        (cosigned(ledger, department, size + 1, bytes(32)), ForkedLogError, "more than are here"),
        (cosigned(ledger, department, size, bytes(32)), ForkedLogError, "signs a different history"),
        (cosigned(ledger, Department(), size), CheckpointError, "is not co-signed by the department"),
        (outgoing.head(), CheckpointError, "is not co-signed by the department"),
    ):
        with pytest.raises(error, match=words):
            outgoing.take_cosigned(bad)
    assert outgoing.anchored_size() == 0
    outgoing.take_cosigned(cosigned(ledger, department, size))
    assert (outgoing.anchored_size(), ledger.store.time.heard is not None) == (size, True)


def test_a_co_signature_that_a_person_kept_back_sets_the_departments_word_not_back(
    ledger: Ledger, department: Department, time: SteppedTime
) -> None:
    """Otherwise an expired list or grant would be valid again. A newer one may: the clock was corrected."""
    outgoing, trusted = Outgoing(ledger), ledger.store.time
    ledger.append(Incident(what="x", detail="y", at_us=1))
    size = outgoing.size()
    start_us = time.now().us // 1_000_000 * 1_000_000
    kept = [cosigned(ledger, department, one) for one in (size - 1, size)]
    time.run(30 * DAY_US)
    outgoing.take_cosigned(cosigned(ledger, department, size))
    for note in kept:
        outgoing.take_cosigned(note)
        assert trusted.sure_us >= start_us + 30 * DAY_US
    ledger.append(Incident(what="x", detail="y", at_us=1))
    time.jump(-DAY_US)
    note = sign_checkpoint(
        Checkpoint(ledger.store.log.key_of_notes.name, size + 1, ledger.store.log.root_at(size + 1)),
        ledger.store.log._key,
    )
    earlier_s = (start_us + 29 * DAY_US) // 1_000_000
    outgoing.take_cosigned(cosign(note, department.note_key.name, department.log, time_s=earlier_s))
    assert start_us + 29 * DAY_US <= trusted.sure_us < start_us + 30 * DAY_US


def test_the_departments_word_is_in_the_state_as_soon_as_it_is_taken(
    ledger: Ledger, department: Department
) -> None:
    """Even if nothing is stored after it."""
    outgoing = Outgoing(ledger)
    outgoing.take_cosigned(cosigned(ledger, department, outgoing.size()))
    kept = word_of(dict(ledger.store.state.cursors), 0)
    assert kept == ledger.store.time.word
    assert kept is not None


def test_the_newest_checkpoints_are_kept(ledger: Ledger, department: Department) -> None:
    outgoing = Outgoing(ledger)
    for _ in range(KEEP_ANCHORS):
        ledger.append(Incident(what="x", detail="y", at_us=1))
    last = outgoing.size()
    for size in range(last - KEEP_ANCHORS, last + 1):
        outgoing.take_cosigned(cosigned(ledger, department, size))
    kept = [row[0] for row in ledger.store.db.execute("SELECT size FROM anchors ORDER BY size").fetchall()]
    assert (KEEP_ANCHORS, kept) == (64, list(range(last - 63, last + 1)))


def test_a_receipt_is_taken_once_and_for_this_log_alone(ledger: Ledger, department: Department) -> None:
    outgoing = Outgoing(ledger)
    size = outgoing.size()
    for changes, error, words in (
        ({"size": size + 1}, LedgerError, "for records that are not here"),
        ({"root": b"\1" * 32}, ForkedLogError, f"for a different history of {size} records"),
    ):
        with pytest.raises(error, match=words):
            outgoing.take_receipt(department.receipt_for(ledger, [[0, 2]], **changes))
    assert outgoing.received_to() == 0
    first = outgoing.take_receipt(department.receipt_for(ledger, [[0, 2]]))
    assert first is not None
    assert (first.sequence, outgoing.received_to()) == (size, 3)
    assert outgoing.take_receipt(department.receipt_for(ledger, [[1, 2]])) is None
    assert outgoing.take_receipt(department.receipt_for(ledger, [[0, 2], [4, 4]])) is not None
    assert outgoing.received_to() == 3


def test_an_epochs_key_goes_to_the_department_sealed_or_not_at_all(ledger: Ledger, time: SteppedTime) -> None:
    outgoing, department, store = Outgoing(ledger), Department(), ledger.store
    early = store.leaf(add_reads(ledger, time, 1)[0]).epoch
    key = store.live[early]
    assert outgoing.key_for_department(early) is None  # no day key yet
    department.enroll(ledger, memory_only=("hit",))
    sealed = store.leaf(add_reads(ledger, time, 1)[0]).epoch
    memory = store.leaf(add_reads(ledger, time, 1, hit=True)[0]).epoch
    for epoch in (early, sealed, memory):
        given = outgoing.key_for_department(epoch)
        assert given is not None
        assert (given.epoch, given.day_key) == (epoch, store.day_keys[0].key_id)
        opened = day_keys.open_from_day(given.sealed, department.day, store.log_id, epoch)
        assert opened == store.live[epoch]
    assert outgoing.key_for_department(99) is None
    kept = store.ring.epochs[-1].day
    assert outgoing.key_for_department(sealed).sealed == kept  # type: ignore[union-attr]
    del store.live[memory]
    assert outgoing.key_for_department(memory) is None
    store.book.epochs[sealed].purged_by = 1
    assert outgoing.key_for_department(sealed) is None
    assert key == store.live[early]


@pytest.mark.parametrize(("day", "day_key"), [(None, b"id"), (b"half", None)])
def test_a_key_that_is_only_half_sealed_is_sealed_now(
    ledger: Ledger, department: Department, time: SteppedTime, day: bytes | None, day_key: bytes | None
) -> None:
    store = ledger.store
    epoch = store.leaf(add_reads(ledger, time, 1)[0]).epoch
    half = EpochKey(epoch=epoch, key_class=KeyClass.READ, own=None, day=day, day_key=day_key)
    store.ring = replace(store.ring, epochs=(half,))
    given = Outgoing(ledger).key_for_department(epoch)
    assert given is not None
    assert day_keys.open_from_day(given.sealed, department.day, store.log_id, epoch) == store.live[epoch]


def test_an_incident_is_cut_to_what_a_record_takes(ledger: Ledger) -> None:
    Outgoing(ledger).note_incident("w" * 2001, "d" * 2001)
    record = ledger.store.record(ledger.store.next_sequence() - 1)
    assert isinstance(record, Incident)
    assert (record.what, record.detail) == ("w" * 2000, "d" * 2000)


def test_what_is_sent_is_found_by_its_class_and_what_a_record_does_not_hold_is_refused(
    ledger: Ledger, time: SteppedTime
) -> None:
    (read,) = add_reads(ledger, time, 1)
    outgoing, store = Outgoing(ledger), ledger.store
    assert outgoing.stored(read, "text") == store.stored(store.leaf(read), "text")
    with pytest.raises(KeyLostError, match="was purged, or never stored"):
        outgoing.stored(read, "entry")
    (hit,) = add_reads(ledger, time, 1, hit=True)
    assert outgoing._of_classes((KeyClass.READ, KeyClass.HIT), 0, hit + 1) == [read, hit]
    assert outgoing._of_classes((KeyClass.READ,), 0, 1 << 62) == [read]
