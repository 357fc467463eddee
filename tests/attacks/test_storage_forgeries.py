"""Records that only a stolen log key can sign: one for each finding of `verify` that guards against it.

Head and state are made to match each forged record, so nothing but that finding can show it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from attacked_unit import Unit, epoch_of, purge_a_year_later, said
from custody_twins import Department, SteppedTime, add_reads, check

from hw.secure_slot import FileSlot, LoopbackSlot
from storage import codec, sealing
from storage.audit_records import Gap
from storage.checkpoint import Checkpoint, sign_checkpoint
from storage.errors import LedgerError, RolledBackError
from storage.leaf import ENTRY, origin_of
from storage.ledger import Ledger
from storage.log_records import Incident, Resealed, UploadReceipt
from storage.record_base import KeyClass
from storage.sealing import Sealed
from storage.slot import load_slot
from storage.store import UnitStore, bound

Forgery = Callable[[Ledger, Department, SteppedTime], None]


def forge(store: UnitStore, kind: str, epoch: int, key_class: KeyClass, *sealed: Sealed) -> None:
    """Append a record that only the log key can sign, and update head and state."""
    with store.adding():
        store.add_leaf(kind, epoch, key_class, list(sealed))


def sealed_gap(store: UnitStore, epoch: int) -> Sealed:
    gap = codec.to_bytes(Gap(reason="forged", from_us=1, to_us=2, lost=0))
    return sealing.seal(store.live.get(epoch, bytes(32)), store.log_id, store.next_sequence(),
                        sealing.fresh(ENTRY, gap))  # fmt: skip


def into_an_ended_epoch(ledger: Ledger, _d: Department, _t: SteppedTime) -> None:
    """Back-date a read, so that its content is purged sooner or counts for another day."""
    store = ledger.store
    add_reads(ledger, _t, 1)
    epoch = epoch_of(store, KeyClass.READ)
    element = sealing.seal(bytes(32), store.log_id, store.next_sequence(), sealing.fresh("text", b"x"))
    forge(store, "read", epoch, KeyClass.READ, element)


def into_an_epoch_of_another_class(ledger: Ledger, _d: Department, _t: SteppedTime) -> None:
    store = ledger.store
    forge(store, "gap", epoch_of(store, KeyClass.READ), KeyClass.AUDIT,
          sealed_gap(store, epoch_of(store, KeyClass.READ)))  # fmt: skip


def into_an_epoch_to_come(ledger: Ledger, _d: Department, _t: SteppedTime) -> None:
    store = ledger.store
    forge(store, "gap", store.book.next_epoch(), KeyClass.AUDIT, sealed_gap(store, 0))


def under_a_class_that_is_not_its_own(ledger: Ledger, _d: Department, _t: SteppedTime) -> None:
    store = ledger.store
    epoch = epoch_of(store, KeyClass.READ, last=True)
    forge(store, "gap", epoch, KeyClass.READ, sealed_gap(store, epoch))


def of_another_log(ledger: Ledger, _d: Department, _t: SteppedTime) -> None:
    store = ledger.store
    store.log_id = bytes(32)
    epoch = epoch_of(store, KeyClass.AUDIT)
    forge(store, "gap", epoch, KeyClass.AUDIT, sealed_gap(store, epoch))


def without_its_entry(ledger: Ledger, _d: Department, _t: SteppedTime) -> None:
    store = ledger.store
    forge(store, "incident", 0, KeyClass.OPEN, bound("other", b"x"))


def open_under_an_epoch(ledger: Ledger, _d: Department, _t: SteppedTime) -> None:
    """An open record under an epoch, with which a purge would remove it."""
    store = ledger.store
    line = codec.to_bytes(Incident(what="test", detail="", at_us=1))
    forge(store, "incident", epoch_of(store, KeyClass.READ), KeyClass.OPEN,
          bound(ENTRY, line))  # fmt: skip


def _held(ledger: Ledger, commitment: bytes | None, record: int) -> None:
    """Forge a `resealed` record with another text than the held read's, or about a record yet to come."""
    store = ledger.store
    with store.adding():
        epoch = store.open_epoch(KeyClass.HOLD, "hold").epoch
        sealed = sealing.seal(store.live[epoch], store.log_id, record, sealing.fresh("text", b"another"))
        if commitment is not None:
            sealed = replace(sealed, commitment=commitment)
        store.add_open(Resealed(record=record, hold=0, epoch=epoch), (sealed,))


def held_other_content(ledger: Ledger, _d: Department, _t: SteppedTime) -> None:
    _held(ledger, None, ledger.store.sequences(epoch_of(ledger.store, KeyClass.READ))[0])


def held_itself(ledger: Ledger, _d: Department, _t: SteppedTime) -> None:
    _held(ledger, None, ledger.store.next_sequence() + 1)


def receipt_that_claims_more(ledger: Ledger, department: Department, _t: SteppedTime) -> None:
    signed = department.receipt_for(ledger, [[0, 5]])
    ledger.append(UploadReceipt(receipt=signed, ranges=((0, 9),), received_us=1))


def receipt_for_another_history(ledger: Ledger, department: Department, _t: SteppedTime) -> None:
    signed = department.receipt_for(ledger, [[0, 5]], root=b"\1" * 32)
    ledger.append(UploadReceipt(receipt=signed, ranges=((0, 5),), received_us=1))


def receipt_before_its_records(ledger: Ledger, department: Department, _t: SteppedTime) -> None:
    size = ledger.store.log.frontier.size
    signed = department.receipt_for(ledger, [[0, 5]], size=size + 9)
    ledger.append(UploadReceipt(receipt=signed, ranges=((0, 5),), received_us=1))


def receipt_by_another(ledger: Ledger, _d: Department, _t: SteppedTime) -> None:
    signed = Department().receipt_for(ledger, [[0, 5]])
    ledger.append(UploadReceipt(receipt=signed, ranges=((0, 5),), received_us=1))


def state_of_an_earlier_size(ledger: Ledger, _d: Department, _t: SteppedTime) -> None:
    store = ledger.store
    body = store.db.execute("SELECT body FROM state").fetchone()[0]
    ledger.append(Incident(what="test", detail="", at_us=1))
    with store.db.atomic():
        store.db.conn.execute("UPDATE state SET body = ?", (body,))


def head_of_another_tree(ledger: Ledger, _d: Department, _t: SteppedTime) -> None:
    store = ledger.store
    head = Checkpoint(origin_of(store.log_id), store.log.frontier.size, bytes(32))
    with store.db.atomic():
        store.db.conn.execute("UPDATE head SET note = ?", (sign_checkpoint(head, store.log._key),))


def _put_back(ledger: Ledger, time: SteppedTime, names: tuple[str, ...]) -> None:
    """Purge, then put back the earlier rows from an older card."""
    marks = ", ".join("?" * len(names))
    old = ledger.store.db.conn.execute(
        f"SELECT sequence, name, stored FROM elements WHERE name IN ({marks})",  # noqa: S608
        names,
    ).fetchall()
    purge_a_year_later(ledger, time)
    with ledger.store.db.atomic():
        ledger.store.db.conn.executemany("INSERT OR REPLACE INTO elements VALUES (?, ?, ?)", old)


def content_put_back(ledger: Ledger, _d: Department, time: SteppedTime) -> None:
    _put_back(ledger, time, ("text",))


def keys_put_back(ledger: Ledger, _d: Department, time: SteppedTime) -> None:
    _put_back(ledger, time, ("keyring", "wrap"))


FORGERIES = [
    pytest.param(head_of_another_tree, "signs a different history of", id="a head of another tree"),
    pytest.param(content_put_back, "is still there after its purge receipt", id="purged content put back"),
    pytest.param(keys_put_back, "key material is still there after its purge", id="purged keys put back"),
    pytest.param(into_an_ended_epoch, "was put into epoch", id="a read put into an epoch that had ended"),
    pytest.param(into_an_epoch_of_another_class, "was not open for it", id="a record under a read's epoch"),
    pytest.param(into_an_epoch_to_come, "was not open for it", id="a record of an epoch to come"),
    pytest.param(under_a_class_that_is_not_its_own, "is not sealed as", id="a record of another class"),
    pytest.param(of_another_log, "another place or another log", id="a record of another log"),
    pytest.param(without_its_entry, "its entry is missing", id="an open record without an entry"),
    pytest.param(open_under_an_epoch, "its entry is missing", id="an open record that names an epoch"),
    pytest.param(held_other_content, "is not what the held record holds", id="another content held"),
    pytest.param(held_itself, "is not what the held record holds", id="a hold of itself"),
    pytest.param(receipt_that_claims_more, "claims more than its receipt says", id="a receipt stretched"),
    pytest.param(receipt_for_another_history, "for another history", id="a receipt of another tree"),
    pytest.param(receipt_before_its_records, "records that came after it", id="a receipt of records to come"),
    pytest.param(receipt_by_another, "another key", id="a receipt by another department"),
    pytest.param(state_of_an_earlier_size, "the state record was written at", id="an earlier state put back"),
]


@pytest.mark.parametrize(("forgery", "word"), FORGERIES)
def test_what_only_the_log_key_can_forge_is_found(unit: Unit, forgery: Forgery, word: str) -> None:
    ledger = unit.open()
    forgery(ledger, unit.department, unit.time)
    ledger.store.close()
    report = unit.check(slot=False)
    assert any(word in line for line in said(report)), said(report)


@pytest.mark.parametrize("given", [True, False])
def test_an_anchor_counts_only_where_its_signature_was_checked(unit: Unit, given: bool) -> None:
    department = unit.department.note_key if given else None
    report = check(unit.home, None, department)
    assert report.ok
    assert (report.anchored > 0, report.anchored_by) == ((True, "department") if given else (False, ""))


def test_a_file_beside_the_ledger_is_not_an_anchor_and_a_chip_is_one(tmp_path: Path) -> None:
    time = SteppedTime()
    for slot in (LoopbackSlot(tmp_path / "chip"), FileSlot(tmp_path / "file" / "store")):
        kind = slot.uri.partition(":")[0]
        ledger = Ledger.create(tmp_path / kind, slot, time, boot=time.boot)
        add_reads(ledger, time, 3)
        assert ledger.status().newer_than_anchors == ledger.status().records - (kind != "file")
        ledger.close()
        report = check(tmp_path / kind, slot)
        assert report.ok
        assert report.anchored_by == ("" if kind == "file" else "slot")
        assert any("counts as none" in note for note in report.notes) is (kind == "file")


def test_a_slot_that_anchors_another_history_stops_the_start(unit: Unit) -> None:
    unit.chip.write(replace(load_slot(unit.chip), anchor_root=bytes(32)).to_bytes())
    with pytest.raises(RolledBackError, match="the slot anchors another history of"):
        unit.open()


def test_a_ledger_is_not_made_where_one_is(unit: Unit, tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="already holds a ledger"):
        Ledger.create(unit.home, LoopbackSlot(tmp_path / "other"), unit.time, boot=unit.time.boot)
    assert unit.check().ok


def test_a_state_of_an_earlier_day_stops_the_start(unit: Unit) -> None:
    ledger = unit.open()
    state_of_an_earlier_size(ledger, unit.department, unit.time)
    ledger.store.close()
    with pytest.raises(RolledBackError, match="reader verify shows more"):
        unit.open()
