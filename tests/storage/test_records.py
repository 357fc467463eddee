"""Every kind of record is stored under the key of its class and reads back, in a log that verifies."""

from __future__ import annotations

from pathlib import Path

import pytest
from custody_twins import Department, Reopen, SteppedTime, add_reads, ask_signed, check, query_body

from hw.secure_slot import LoopbackSlot
from storage import purge
from storage.alert_life import AlertAnswer, AlertEvent, AlertStep, Fit
from storage.audit_records import ClockStep, Configuration, Decision, Gap, MaintenanceLine, Update, Verdict
from storage.door import Door, hold_subject
from storage.evidence import export_subject
from storage.ledger import Ledger
from storage.log_records import GrantTaken, Incident, UncleanStart
from storage.read_records import Alert, AlertStepped
from storage.record_base import ClockState, KeyClass, Record
from storage.records import RECORDS

LINES: list[Record] = [
    Alert(
        read=7,
        list_id="stolen",
        list_version=3,
        source="DOJ",
        entry=b"7XKR219",
        category="stolen-vehicle",
        score=0.97,
        twin=False,
        disagrees=("state",),
        silent=("state",),
        stale=False,
        at_us=1,
    ),
    AlertStepped(
        alert=9,
        step=AlertStep(
            step=AlertEvent.TRANSCRIBED,
            user="o.lee",
            role="dispatcher",
            at_us=2,
            plate="7XKR219",
            state="US-CA",
        ),
    ),
    AlertStepped(
        alert=9,
        step=AlertStep(
            step=AlertEvent.ANSWERED,
            user="o.lee",
            role="",
            at_us=3,
            fit=Fit.YES,
            answer=AlertAnswer.CONFIRMED,
        ),
    ),
    Decision(alert=9, user="o.lee", role="dispatcher", image_viewed=True, verdict=Verdict.CONFIRMED, at_us=2),
    UncleanStart(records=70, unanchored=3, images=2, at_us=3, clock_state=ClockState.HOLDOVER),
    MaintenanceLine(
        session="s1",
        person="v.kim",
        role="vendor",
        grant="g7",
        phase="end",
        line="network join depot ****",
        result="done",
        at_us=3,
        output_digest=bytes(32),
        output=b"joined",
    ),
    Update(what="models", from_version="1", to_version="2", digest=bytes(32), outcome="installed", at_us=4),
    ClockStep(from_us=1, to_us=9, accepted=False, state=ClockState.DISCIPLINED, sources=("clock",)),
    Configuration(name="config.toml", version=0, digest=bytes(32), document=b"x = 1", at_us=5),
    Gap(reason="camera stalled", from_us=1, to_us=2, lost=3),
    Incident(what="log-refused", detail="fork", at_us=6),
    GrantTaken(grant_id="ab" * 16, digest=bytes(32), at_us=7),
]


@pytest.mark.parametrize("record", LINES, ids=lambda one: one.KIND)
def test_a_record_comes_back_as_it_was_and_under_its_class(ledger: Ledger, record: Record) -> None:
    ref = ledger.append(record)
    leaf = ledger.store.leaf(ref.sequence)
    assert (leaf.kind, leaf.key_class) == (record.KIND, record.KEY_CLASS)
    assert ledger.store.record(ref.sequence) == record
    assert "7XKR219" not in repr(record)
    if record.KEY_CLASS is not KeyClass.OPEN:
        stored = ledger.store.stored(leaf, "entry")
        assert b"depot" not in stored
        assert b"7XKR219" not in stored


def test_a_log_with_every_kind_of_record_verifies_and_opens_again(
    ledger: Ledger, home: Path, slot: LoopbackSlot, door: Door, time: SteppedTime, reopen: Reopen
) -> None:
    """A unit's life: reads, lookups, holds, exports, releases, purges, enrollment, receipts."""
    held = add_reads(ledger, time, 2)[0]
    for record in LINES:
        ledger.append(record)
    door.answer("query", query_body(door, ledger))
    admin = ("demo-admin", "administrator")
    order = ((held,), "discovery", "Superior Court", "BC-1")
    fields = {"records": [held], "ground": order[1], "authority": order[2], "number": order[3]}
    asked = ask_signed(door, ledger, *admin, "hold", hold_subject(*order))
    number = door.answer("hold", asked | fields)["hold"]
    asked = ask_signed(door, ledger, *admin, "export", export_subject((), number, "E-1", ()))
    door.answer("export", asked | {"hold": number, "number": "E-1", "withhold": []})
    subject = f"release hold={number} item=E-1"
    one = ask_signed(door, ledger, *admin, "release", subject)
    two = ask_signed(door, ledger, "demo-designee", "designee", "release", subject)
    door.answer("release", one | {"hold": number, "evidence_item": "E-1", "second": two})
    assert not ledger.status().purge_pending
    interrupt_a_purge(ledger)
    assert ledger.status().purge_pending
    assert ledger.apply_retention(by="test") is not None
    status = ledger.status()
    assert not status.purge_pending
    assert (status.epochs_kept + status.epochs_purged, status.epochs_purged > 0) == (
        len(ledger.store.book.epochs),
        any(one.purged_by is not None for one in ledger.store.book.epochs.values()),
    )
    department = Department()
    department.enroll(ledger)
    department.receipt(ledger, 0, held)
    kinds = {ledger.store.leaf(at).kind for at in range(ledger.status().records)}
    assert kinds == set(RECORDS)
    ledger.close()
    assert check(home, slot, department.note_key).ok
    assert reopen().status().enrolled


def interrupt_a_purge(ledger: Ledger) -> None:
    """Write only the intent of a purge, as after a power cut before the slot's key changes."""
    due = tuple(item.purged() for item in ledger.retention_plan() if item.due)
    purge._intend(ledger.store, due, "test")
