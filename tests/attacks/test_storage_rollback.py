"""Older or rewritten histories, each consistent with itself: only an anchor tells, and it does."""

from __future__ import annotations

import shutil
from pathlib import Path

from custody_twins import SteppedTime, add_reads, check

from hw.secure_slot import LoopbackSlot
from storage import merkle
from storage.home import Home
from storage.ledger import Ledger
from storage.verify import verify_home


def test_yesterdays_card_is_found_by_the_chips_anchor_and_by_nothing_else(
    ledger: Ledger, home: Path, slot: LoopbackSlot, time: SteppedTime, tmp_path: Path
) -> None:
    add_reads(ledger, time, 3)
    ledger.store.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copytree(home, tmp_path / "yesterday")
    add_reads(ledger, time, 3)
    ledger.close()
    assert verify_home(Home(tmp_path / "yesterday")).ok  # consistent with itself: that is all it can say
    report = check(tmp_path / "yesterday", slot)
    assert any("are there" in finding.what for finding in report.findings)


def test_a_log_rewritten_with_the_stolen_log_key_is_found_by_an_anchor(
    ledger: Ledger, home: Path, slot: LoopbackSlot, time: SteppedTime
) -> None:
    """Root on the unit has the log key: what an anchor covers, even he cannot rewrite unseen."""
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
