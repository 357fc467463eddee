"""Older or rewritten histories, each consistent with itself: only an anchor exposes them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from custody_twins import PLATE, Department, SteppedTime, add_reads, check

from hw.secure_slot import LoopbackSlot
from storage import day_keys, merkle, sealing
from storage.errors import SealError
from storage.home import Home
from storage.ledger import Ledger
from storage.salvage import salvage
from storage.times import DAY_US
from storage.verify import verify_home


def test_yesterdays_card_is_found_by_the_chips_anchor_and_by_nothing_else(
    ledger: Ledger, home: Path, slot: LoopbackSlot, time: SteppedTime, tmp_path: Path
) -> None:
    add_reads(ledger, time, 3)
    ledger.store.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copytree(home, tmp_path / "yesterday")
    add_reads(ledger, time, 3)
    ledger.close()
    assert verify_home(Home(tmp_path / "yesterday")).ok  # consistent with itself, which is all it can show
    report = check(tmp_path / "yesterday", slot)
    assert any("but the log has" in finding.what for finding in report.findings)


def test_a_log_rewritten_with_the_stolen_log_key_is_found_by_an_anchor(
    ledger: Ledger, home: Path, slot: LoopbackSlot, time: SteppedTime
) -> None:
    """Root on the unit has the log key, but cannot rewrite unnoticed what an anchor covers."""
    add_reads(ledger, time, 3)
    ledger.store.anchor()
    store = ledger.store
    last = store.log.frontier.size - 1
    with store.db.atomic():
        store.db.conn.execute("DELETE FROM leaves WHERE sequence = ?", (last,))
        store.db.conn.execute("DELETE FROM elements WHERE sequence = ?", (last,))
        store.log.frontier = merkle.Frontier.load(last, store.log.subtree)
        store.log.sign_head()
    add_reads(ledger, time, 1)
    store.close()
    ledger.closed = True
    assert not check(home, slot).ok


def test_keys_of_a_closed_log_are_left_to_the_department_alone(
    ledger: Ledger, home: Path, slot: LoopbackSlot, time: SteppedTime, tmp_path: Path
) -> None:
    department = Department()
    department.enroll(ledger)
    sequence = add_reads(ledger, time, 1)[0]
    leaf, log_id = ledger.store.leaf(sequence), ledger.store.log_id
    stored = ledger.store.stored(leaf, "text")
    ledger.store.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copytree(home, tmp_path / "yesterday")
    add_reads(ledger, time, 1)
    ledger.close()
    kept = salvage(Home(tmp_path / "yesterday"), slot, ledger.store.day_keys, now_us=time.now().us)
    assert kept.log_id == log_id
    by_epoch = {key.epoch: key for key in kept.keys}
    key = day_keys.open_from_day(by_epoch[leaf.epoch].sealed, department.day, log_id, leaf.epoch)
    mark = leaf.elements["text"]
    text = sealing.open_sealed(key, log_id, sequence, "text", stored, mark.commitment)
    assert PLATE.encode() in text.content
    another = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(SealError):
        day_keys.open_from_day(by_epoch[leaf.epoch].sealed, another, log_id, leaf.epoch)


def test_nothing_is_left_of_what_was_purged_since_the_card_was_copied(
    ledger: Ledger, home: Path, slot: LoopbackSlot, time: SteppedTime, tmp_path: Path
) -> None:
    Department().enroll(ledger)
    add_reads(ledger, time, 1)
    ledger.store.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copytree(home, tmp_path / "older")
    for _ in range(366):
        time.run(DAY_US)
        ledger.store.time.now()
    assert ledger.apply_retention(by="test") is not None
    kept = salvage(Home(tmp_path / "older"), slot, ledger.store.day_keys, now_us=time.now().us)
    assert kept.keys == ()
