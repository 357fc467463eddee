"""A unit finds its card older than its chip: the old log is closed, and it continues to read and sync."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from receiver_twins import Joined
from sync_twins import LoopbackLink, Unit, checked, converse

from firmware.commands.verify import check_home
from storage import codec, files, opening
from storage.errors import NoHomeError, RolledBackError
from storage.home import Home
from storage.ledger import Ledger
from storage.merkle import EMPTY_ROOT
from storage.record_base import KeyClass
from storage.slot import SlotContent
from storage.standing import ROSTER
from sync import messages
from sync.department.server.server import Department
from sync.department.store import incidents
from sync.handover import kept_keys
from sync.rollover import keep_keys, open_or_roll_over, registration


def roll_back(unit: Unit, tmp_path: Path) -> None:
    """Put yesterday's card into the unit; it lacks three reads that the chip has seen."""
    unit.ledger.close()
    shutil.copytree(unit.home, tmp_path / "yesterday")
    unit.reopen()
    unit.add(3)
    unit.ledger.close()
    shutil.rmtree(unit.home)
    shutil.copytree(tmp_path / "yesterday", unit.home)


def go_on(unit: Unit) -> list[str]:
    told: list[str] = []
    unit.ledger = open_or_roll_over(unit.home, unit.slot, unit.clock, unit.folder, on_new_log=told.append)
    return told


def test_yesterdays_card_gives_way_to_a_new_log_and_reading_and_syncing_continue(
    department: Department, unit: Joined, tmp_path: Path
) -> None:
    unit.add(3)
    converse(unit, department)
    old, cosigned = unit.outbox.log_id, unit.outbox.anchored_note()
    content = {
        facts.epoch
        for facts in unit.ledger.store.book.epochs.values()
        if facts.key_class in {KeyClass.READ, KeyClass.AUDIT}
    }
    roll_back(unit, tmp_path)
    with pytest.raises(RolledBackError):
        Ledger.open(unit.home, unit.slot, unit.clock)
    [reason] = go_on(unit)
    assert "the slot anchors" in reason
    assert unit.outbox.log_id != old
    assert unit.outbox.opened_because() == (cosigned, reason)
    assert unit.ledger.status().enrolled
    beside = unit.folder.path / "old" / old.hex()[:16]
    header = codec.from_bytes(messages.ParcelHeader, (beside / "keys.cbor").read_bytes())
    assert {key.epoch for key in header.keys} >= content  # also the access entries of the old log
    unit.add(4)
    previous, why = unit.outbox.opened_because()
    vouched = registration(unit.outbox, unit.folder, unit.folder.unit_key(), previous=previous, reason=why)
    department.enrollment.answer("new-log", vouched)
    converse(unit, department, LoopbackLink(department))
    assert unit.outbox.anchored_size() > 4
    with department.store.read() as connection:
        assert "new-log" in [one.kind for one in incidents.listed(connection)]
    assert checked(department.home).problems == []
    unit.ledger.close()
    assert go_on(unit) == []  # the next start finds nothing wrong
    report = check_home(beside, None)
    assert report.ok, report.findings  # the rest of the old log still verifies
    assert any("given up" in note for note in report.notes)


def test_a_rollover_cut_off_half_way_is_ended_by_the_next_start(
    department: Department, unit: Joined, tmp_path: Path
) -> None:
    unit.add(2)
    converse(unit, department)
    old, cosigned = unit.outbox.log_id, unit.outbox.anchored_note()
    roll_back(unit, tmp_path)
    beside = unit.folder.path / "old" / old.hex()[:16]
    beside.mkdir(mode=files.PRIVATE_DIR, parents=True)
    (unit.home / "store").rename(beside / "store")  # the cut: there is no new log yet
    [reason] = go_on(unit)
    assert "power cut" in reason
    assert unit.outbox.opened_because() == (cosigned, reason)
    unit.add(1)


def test_a_rollover_cut_off_after_the_slot_was_taken_keeps_the_old_logs_keys(
    department: Department, unit: Joined, tmp_path: Path
) -> None:
    """Otherwise everything in the old log that the department lacks would be lost with them."""
    unit.add(3)
    converse(unit, department)
    unit.add(2)
    kept = unit.outbox.sealed_keys()
    beside = unit.folder.path / "old" / unit.outbox.log_id.hex()[:16]
    keep_keys(unit.folder, unit.outbox.log_id, kept)
    unit.ledger.close()
    (unit.home / "store").rename(beside / "store")
    unit.slot.write(
        SlotContent(1, bytes(32), bytes(32), 0, EMPTY_ROOT, 1).to_bytes()
    )  # the next log's key, then the cut
    go_on(unit)
    assert {key.epoch for key in kept_keys(beside)} >= {key.epoch for key in kept}


def test_a_rollover_cut_off_before_the_membership_is_ended_by_the_next_start(
    department: Department, unit: Joined
) -> None:
    """Otherwise a member's log would belong to no department: it would show plates and never sync."""
    unit.add(1)
    converse(unit, department)
    policy = unit.ledger.store.policy
    unit.ledger.close()
    old = unit.folder.path / "old" / "one"
    old.mkdir(parents=True)
    (unit.home / "store").rename(old / "store")
    opening.create(Home(unit.home), unit.slot, unit.clock, reason="a fork").close()  # the cut comes here
    damaged = unit.folder.inbox / f"{ROSTER}.cbor"
    damaged.write_bytes(damaged.read_bytes()[:40])
    assert go_on(unit) == []
    status = unit.ledger.status()
    assert status.enrolled
    assert unit.ledger.store.policy == policy
    assert unit.ledger.store.day_keys
    unit.reopen()
    assert unit.ledger.status().records == status.records


def test_a_unit_of_no_department_stops_instead(tmp_path: Path) -> None:
    unit = Unit(tmp_path / "unit")
    unit.add(1)
    roll_back(unit, tmp_path)
    with pytest.raises(RolledBackError):
        go_on(unit)
    shutil.rmtree(unit.home)
    with pytest.raises(NoHomeError):
        go_on(unit)
