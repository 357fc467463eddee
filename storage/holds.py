"""Holds of 463.8: content is re-sealed under its own key, so that its epoch can still be purged.

A hold needs one of the five grounds, an authority and a number. An export fulfills it; a release ends it and
names the evidence item and a second person. The commitments stay the same; the digests are new.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from storage import sealing
from storage.audit_records import Export, Hold, Release
from storage.errors import LedgerError, RefusedError
from storage.leaf import IMAGES, LeafRef
from storage.log_records import HoldEnded, Resealed
from storage.record_base import KeyClass
from storage.sealing import Sealed
from storage.state import IMAGES_AHEAD
from storage.store import MOST_STRAYS, UnitStore

MAX_RECORDS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldOrder:
    """Which records to hold, on which ground, by which authority, at whose request."""

    records: tuple[int, ...]
    ground: str
    authority: str
    number: str
    user: str
    role: str
    organisation: str
    demo: bool


def demand_reads(store: UnitStore, records: Sequence[int]) -> None:
    """Raise LedgerError unless all are reads of this log."""
    if not 1 <= len(set(records)) <= MAX_RECORDS or len(set(records)) != len(records):
        raise LedgerError(f"names 1 to {MAX_RECORDS} records, each once", where="records")
    for sequence in records:
        if not 0 <= sequence < store.log.frontier.size or store.leaf(sequence).kind != "read":
            raise LedgerError("is not a read of this log", where=f"record {sequence}")


def place(store: UnitStore, order: HoldOrder) -> LeafRef:
    """Hold records. Raises LedgerError, KeyLostError if content is gone; then nothing is held."""
    demand_reads(store, order.records)
    written: list[Sealed] = []
    epoch = 0
    images = sum(len(set(IMAGES).intersection(store.leaf(one).elements)) for one in order.records)
    with store.lock:
        if images > MOST_STRAYS:
            # a power cut here leaves more images without a record than during an append
            with store.adding():
                store.state = store.state.with_cursor(IMAGES_AHEAD, images)
        try:
            with store.adding():
                store.state = store.state.with_cursor(IMAGES_AHEAD, 0)
                epoch = store.open_epoch(KeyClass.HOLD, "hold").epoch
                ref = store.add_sealed(
                    Hold(
                        records=order.records,
                        hold_epoch=epoch,
                        ground=order.ground,
                        authority=order.authority,
                        number=order.number,
                        user=order.user,
                        role=order.role,
                        organisation=order.organisation,
                        at_us=store.time.now().us,
                        demo=order.demo,
                    )
                )
                for sequence in order.records:
                    written += _reseal(store, sequence, ref.sequence, epoch)
                return ref
        except BaseException:
            store.blobs.discard(epoch, written)
            raise


def _reseal(store: UnitStore, sequence: int, hold: int, epoch: int) -> list[Sealed]:
    """One record's elements under the hold's key; returns the images written."""
    leaf = store.leaf(sequence)
    sealed = [
        sealing.seal(store.live[epoch], store.log_id, sequence, store.open_element(leaf, name))
        for name in leaf.elements
    ]
    images = tuple(one for one in sealed if one.name in IMAGES)
    if images:
        store.blobs.put(epoch, images)
    small = tuple(one for one in sealed if one.name not in IMAGES)
    store.add_open(Resealed(record=sequence, hold=hold, epoch=epoch), small, images)
    return list(images)


def find(store: UnitStore, hold: int) -> Hold:
    """The hold with this sequence number. Raises LedgerError."""
    named = 0 <= hold < store.log.frontier.size and store.leaf(hold).kind == Hold.KIND
    record = store.record(hold) if named else None
    if not isinstance(record, Hold):
        raise LedgerError("is not a hold", where=f"record {hold}", cure="`reader hold` printed its number")
    return record


def demand_ending(store: UnitStore, hold: int, evidence_item: str) -> Hold:
    """The hold, if a release may name it. Raises RefusedError, LedgerError."""
    held = find(store, hold)
    if held.hold_epoch in store.book.released:
        raise LedgerError("was released before", where=f"hold {hold}")
    if not evidence_item.strip():
        raise RefusedError("a release names the evidence item it was booked as", clause="463.8")
    if not any(isinstance(one, Export) and one.hold == hold for one in audit_records(store, hold)):
        raise RefusedError("this hold was never exported", clause="463.8", cure="reader export --hold first")
    return held


def demand_release(store: UnitStore, hold: int, evidence_item: str, user: str, second_user: str) -> Hold:
    """The hold, if these two people may release it with this item. Raises RefusedError, LedgerError."""
    held = demand_ending(store, hold, evidence_item)
    if second_user == user:
        raise RefusedError("a release needs a second person", clause="463.8")
    return held


def release(
    store: UnitStore, hold: int, *, evidence_item: str, user: str, second_user: str, demo: bool
) -> LeafRef:
    """End a hold. Raises like `demand_release`."""
    held = demand_release(store, hold, evidence_item, user, second_user)
    now_us = store.time.now().us
    with store.adding():
        ref = store.add_sealed(
            Release(
                hold=hold,
                hold_epoch=held.hold_epoch,
                evidence_item=evidence_item,
                user=user,
                second_user=second_user,
                at_us=now_us,
                demo=demo,
            )
        )
        store.add_open(HoldEnded(epoch=held.hold_epoch, release=ref.sequence, at_us=now_us))
    return ref


def audit_records(store: UnitStore, first: int = 0) -> list[object]:
    """All audit records from a sequence number on, opened, oldest first."""
    return [store.record(sequence) for sequence in audit_sequences(store, first)]


def audit_sequences(store: UnitStore, first: int = 0) -> list[int]:
    """The sequence numbers of audit records that can still be opened."""
    epochs = [
        f.epoch for f in store.book.epochs.values() if f.key_class is KeyClass.AUDIT and f.epoch in store.live
    ]
    found: list[int] = []
    for epoch in epochs:
        rows = store.db.execute(
            "SELECT sequence FROM leaves WHERE epoch = ? AND sequence >= ? ORDER BY sequence", (epoch, first)
        )
        found += [int(row[0]) for row in rows.fetchall()]
    return sorted(found)
