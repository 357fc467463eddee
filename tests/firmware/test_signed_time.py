"""The department's receipts of earlier runs bound what a receiver may say of the date."""

from __future__ import annotations

from pathlib import Path

from firmware.custody.opening import open_ledger, tell_signed
from firmware.run.app import prepare_home
from hw.clock_discipline import DisciplinedClock


def test_the_newest_receipt_is_told_to_the_clock(tmp_path: Path) -> None:
    prepare_home(tmp_path)
    clock = DisciplinedClock()
    with open_ledger(tmp_path) as ledger:
        tell_signed(ledger, clock)
        assert clock._signed_us is None
        ledger.store.book.received.add(0, 1, 1_780_000_000_000_000)
        ledger.store.book.received.add(2, 3, 1_770_000_000_000_000)
        tell_signed(ledger, clock)
    assert clock._signed_us == 1_780_000_000_000_000
