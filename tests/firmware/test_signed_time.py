"""The department's receipts from earlier runs limit the dates that a receiver may claim."""

from __future__ import annotations

from pathlib import Path

from firmware.custody.opening import know_signed_time, open_ledger
from firmware.run.prepared_home import prepare_home
from hw.clock_discipline import DisciplinedClock


def test_the_clock_learns_the_newest_receipt(tmp_path: Path) -> None:
    prepare_home(tmp_path)
    clock = DisciplinedClock()
    with open_ledger(tmp_path) as ledger:
        know_signed_time(ledger, clock)
        assert clock._signed_us is None
        ledger.store.book.received.add(0, 1, 1_780_000_000_000_000)
        ledger.store.book.received.add(2, 3, 1_770_000_000_000_000)
        know_signed_time(ledger, clock)
    assert clock._signed_us == 1_780_000_000_000_000
