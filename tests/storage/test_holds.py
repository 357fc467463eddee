"""Holds: which records may be held, what is written first, and what a failed hold leaves behind."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from custody_twins import Department, SteppedTime, add_reads

from storage import holds
from storage.audit_records import Export
from storage.errors import LedgerError, RefusedError
from storage.holds import HoldOrder
from storage.ledger import Ledger
from storage.sealing import Sealed
from storage.state import IMAGES_AHEAD


def order(*records: int) -> HoldOrder:
    return HoldOrder(
        records=records, ground="discovery", authority="Court", number="1", user="a", role="administrator",
        organisation="o", demo=False,
    )  # fmt: skip


def test_a_hold_names_reads_of_this_log_each_once(ledger: Ledger, time: SteppedTime) -> None:
    (read,) = add_reads(ledger, time, 1)
    store = ledger.store
    holds.demand_reads(store, [read])
    for records in ([], [read, read], list(range(1001))):
        with pytest.raises(LedgerError, match="records: names 1 to 1000 records, each once"):
            holds.demand_reads(store, records)
    for records in ([-1], [store.next_sequence()], [0], [read, 0]):
        with pytest.raises(LedgerError, match=f"record {records[-1]}: is not a read of this log"):
            holds.demand_reads(store, records)
    with pytest.raises(LedgerError, match="is not a read of this log"):
        holds.demand_reads(store, list(range(1000)))


@pytest.mark.parametrize(("reads", "ahead"), [(4, 0), (5, 10)])
def test_a_hold_says_ahead_how_many_images_it_writes_and_one_that_fails_leaves_none(
    ledger: Ledger, time: SteppedTime, monkeypatch: pytest.MonkeyPatch, reads: int, ahead: int
) -> None:
    store, records = ledger.store, add_reads(ledger, time, reads)
    size, blobs = store.next_sequence(), list(store.blobs.epochs())
    put, calls = store.blobs.put, []

    def failing(epoch: int, elements: Iterable[Sealed]) -> None:
        calls.append(epoch)
        if len(calls) == reads:
            raise OSError(5, "Input/output error")
        put(epoch, elements)

    with monkeypatch.context() as patched:
        patched.setattr(store.blobs, "put", failing)
        with pytest.raises(OSError, match="Input/output"):
            holds.place(store, order(*records))
    assert (store.state.cursor(IMAGES_AHEAD), store.next_sequence()) == (ahead, size)
    assert not any(store.blobs.names(epoch) for epoch in store.blobs.epochs() if epoch not in blobs)
    held = holds.place(store, order(*records))
    assert store.state.cursor(IMAGES_AHEAD) == 0
    found = holds.find(store, held.sequence)
    assert (found.records, found.ground, found.user) == (tuple(records), "discovery", "a")
    assert len(store.blobs.names(found.hold_epoch)) == 2 * reads


def test_a_release_names_an_item_an_export_and_a_hold_that_is_not_released(
    ledger: Ledger, time: SteppedTime
) -> None:
    store = ledger.store
    (read,) = add_reads(ledger, time, 1)
    hold = holds.place(store, order(read)).sequence
    for number in (-1, read, store.next_sequence()):
        with pytest.raises(LedgerError, match=f"record {number}: is not a hold"):
            holds.find(store, number)
    with pytest.raises(RefusedError, match="names the evidence item"):
        holds.demand_ending(store, hold, " ")
    export = Export(
        records=(read,), elements=("text",), package=bytes(32), hold=hold + 1, number="1", user="a", at_us=1,
        demo=False,
    )  # fmt: skip
    ledger.append(export)
    with pytest.raises(RefusedError, match="was never exported"):
        holds.demand_ending(store, hold, "E-1")
    ledger.append(Export(**{name: getattr(export, name) for name in Export.__slots__} | {"hold": hold}))
    with pytest.raises(RefusedError, match="needs a second person"):
        holds.release(store, hold, evidence_item="E-1", user="a", second_user="a", demo=False)
    holds.release(store, hold, evidence_item="E-1", user="a", second_user="b", demo=False)
    assert store.book.released == {holds.find(store, hold).hold_epoch}
    with pytest.raises(LedgerError, match=f"hold {hold}: was released before"):
        holds.demand_ending(store, hold, "E-1")


def test_access_entries_are_found_from_a_record_on_where_their_key_is_here(
    ledger: Ledger, time: SteppedTime
) -> None:
    store = ledger.store
    (read,) = add_reads(ledger, time, 1)
    first = holds.place(store, order(read)).sequence
    Department().enroll(ledger)
    all_entries = holds.audit_sequences(store)
    assert first in all_entries
    assert all_entries == sorted(all_entries)
    assert holds.audit_sequences(store, first) == [one for one in all_entries if one >= first]
    assert len(holds.audit_records(store, first)) == len(holds.audit_sequences(store, first))
    store.live.clear()
    assert holds.audit_sequences(store) == []
