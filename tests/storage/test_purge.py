"""A slot that fails while its key is turned: whatever it did, nothing that was kept is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from custody_twins import SteppedTime, add_reads, check

from hw.secure_slot import LoopbackSlot
from storage.errors import KeyLostError, SlotError
from storage.ledger import Ledger
from storage.times import DAY_US


class FailingSlot(LoopbackSlot):
    """A chip whose next write fails: `before` it was done, or `after`, when only the answer is lost."""

    fails: str = ""

    def write(self, content: bytes) -> None:
        if self.fails == "before":
            raise SlotError("no answer", where=self.uri)
        super().write(content)
        if self.fails == "after":
            raise SlotError("no answer", where=self.uri)

    def read(self) -> bytes | None:
        if self.fails == "deaf":
            raise SlotError("no answer", where=self.uri)
        return super().read()


@pytest.fixture
def chip(tmp_path: Path) -> FailingSlot:
    return FailingSlot(tmp_path / "chip")


@pytest.fixture
def aged(home: Path, chip: FailingSlot, time: SteppedTime) -> Iterator[tuple[Ledger, int, int]]:
    """A ledger with a read that is due and one that is not."""
    ledger = Ledger.create(home, chip, time, boot=time.boot)
    old = add_reads(ledger, time, 1)[0]
    for _ in range(365):
        time.run(DAY_US)
        ledger.store.time.now()
    ledger.store.end_running([ledger.store.leaf(old).epoch])
    ledger._look_us = (1 << 62) - 1  # custody's own look is not what is tested
    kept = add_reads(ledger, time, 1)[0]
    yield ledger, old, kept
    if not ledger.closed:
        ledger.store.close()


@pytest.mark.parametrize("fails", ["before", "after"])
@pytest.mark.parametrize("restart", [False, True])
def test_a_slot_write_that_fails_loses_nothing_that_was_kept(
    aged: tuple[Ledger, int, int], chip: FailingSlot, home: Path, time: SteppedTime, fails: str, restart: bool
) -> None:
    ledger, old, kept = aged
    chip.fails = fails
    with pytest.raises(SlotError):
        ledger.apply_retention(by="test")
    chip.fails = "deaf"
    time.run(DAY_US)
    with pytest.raises(SlotError, match="no new key"):
        add_reads(ledger, time, 1)  # it would open an epoch, under a KEK that is not known
    chip.fails = ""
    if restart:
        ledger.store.close()
        ledger.closed = True
        ledger = Ledger.open(home, chip, time, boot=time.boot)
    ledger.apply_retention(
        by="test"
    )  # after a restart that found the slot turned there is nothing left to do
    later = add_reads(ledger, time, 1)[0]
    ledger.close()
    again = Ledger.open(home, chip, time, boot=time.boot)
    assert again.read(kept).text
    assert again.read(later).text
    with pytest.raises(KeyLostError):
        again.read(old)
    again.close()
    assert check(home, chip).ok


def test_a_purge_that_fails_beside_a_read_is_no_failure_of_the_read(
    aged: tuple[Ledger, int, int], chip: FailingSlot, home: Path, time: SteppedTime
) -> None:
    ledger, old, _ = aged
    ledger._look_us = 0
    chip.fails = "before"
    size = ledger.status().records
    later = add_reads(ledger, time, 3)
    assert all(ledger.read(one).text for one in later)
    assert ledger.status().records - size < 6  # nor is it tried again at every read
    chip.fails = ""
    ledger.tend()
    ledger.close()
    again = Ledger.open(home, chip, time, boot=time.boot)
    with pytest.raises(KeyLostError):
        again.read(old)
    again.close()
    assert check(home, chip).ok


def test_a_home_is_let_go_though_its_slot_takes_no_write_and_opens_again_beside_one(
    aged: tuple[Ledger, int, int], chip: FailingSlot, home: Path, time: SteppedTime
) -> None:
    ledger, _, _ = aged
    chip.fails = "before"
    kept = add_reads(ledger, time, 1)[0]
    with pytest.raises(SlotError):
        ledger.close()
    again = Ledger.open(home, chip, time, boot=time.boot)
    assert again.read(kept).text
    chip.fails = ""
    again.close()
    assert check(home, chip).ok
