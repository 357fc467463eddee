"""What a start finds after an unclean end: it is counted and set aside, and too much is an incident."""

from __future__ import annotations

import pytest
from custody_twins import Reopen, SteppedTime, add_reads

from storage import recovery
from storage.ledger import Ledger
from storage.log_records import Incident, UncleanStart
from storage.state import IMAGES_AHEAD, RUNNING
from storage.store import MOST_STRAYS, UnitStore


def strays(store: UnitStore, epoch: int, count: int) -> None:
    folder = store.blobs.folder / f"{epoch:08d}"
    folder.mkdir(exist_ok=True)
    for number in range(count):
        (folder / f"{number:064x}").write_bytes(b"sealed")


def cut_off(ledger: Ledger) -> int:
    """End without a stop. Returns the number of records."""
    size = ledger.store.next_sequence()
    ledger.store.close()
    ledger.closed = True
    return size


@pytest.mark.parametrize(
    ("count", "ahead", "suspect"), [(0, 0, 0), (8, 0, 0), (9, 0, 9), (10, 10, 0), (11, 10, 11)]
)
def test_an_unclean_start_counts_what_no_anchor_covers_and_the_images_without_a_record(
    ledger: Ledger, time: SteppedTime, reopen: Reopen, count: int, ahead: int, suspect: int
) -> None:
    add_reads(ledger, time, 2)
    store = ledger.store
    anchored = store.slot_content.anchor_size
    with store.adding():
        store.state = store.state.with_cursor(IMAGES_AHEAD, ahead)
    epoch = store.leaf(store.next_sequence() - 1).epoch
    named = store.blobs.names(epoch)
    strays(store, epoch, count)
    size = cut_off(ledger)
    again = reopen().store
    start = again.record(size)
    assert isinstance(start, UncleanStart)
    assert (start.records, start.unanchored, start.images) == (size, size - anchored, count)
    assert (again.blobs.names(epoch), again.state.cursor(IMAGES_AHEAD)) == (named, 0)
    aside = again.home.strays / f"{epoch:08d}-{size}"
    assert (len(list(aside.iterdir())) if count else aside.exists()) == count
    assert again.book.incidents == bool(suspect)
    if suspect:
        incident = again.record(size + 1)
        assert isinstance(incident, Incident)
        assert incident.what == "images-without-record"
        assert incident.detail.startswith(f"{suspect} sealed images had no record at a log of {size}: ")
    assert again.slot_content.anchor_size == again.next_sequence()


def test_a_start_after_an_orderly_end_notes_nothing(ledger: Ledger, reopen: Reopen) -> None:
    ledger.close()
    size = ledger.store.log.frontier.size
    again = reopen().store
    assert (again.next_sequence(), again.state.cursor(RUNNING)) == (size, 0)


def test_only_epochs_at_work_may_have_images_without_a_record(ledger: Ledger, time: SteppedTime) -> None:
    (read,) = add_reads(ledger, time, 1)
    store = ledger.store
    store.state = store.state.with_cursor(IMAGES_AHEAD, MOST_STRAYS + 1)
    epoch, following = store.leaf(read).epoch, store.book.next_epoch()
    most = {at: recovery.most_strays(store, at) for at in (epoch, following, following + 1)}
    assert most == {epoch: 9, following: 9, following + 1: 0}
    strays(store, epoch, 2)
    (store.blobs.folder / f"{following:08d}").mkdir()
    found = recovery.stray_images(store)
    assert found == {epoch: {f"{0:064x}", f"{1:064x}"}, following: set()}
    facts = store.book.epochs[epoch]
    facts.closed = True
    assert recovery.stray_images(store) == {following: set()}  # `verify` checks a home after its end
    facts.purged_by = 1
    assert (recovery.most_strays(store, epoch), len(recovery.stray_images(store)[epoch])) == (0, 4)
