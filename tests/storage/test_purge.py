"""What a purge removes and keeps; a slot that fails during the change of its key loses nothing kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from custody_twins import Department, SteppedTime, add_reads, check

from hw.secure_slot import LoopbackSlot
from storage import purge
from storage.audit_records import MaintenanceLine
from storage.errors import KeyLostError, LedgerError, SlotError
from storage.ledger import Ledger
from storage.log_records import EpochPurged
from storage.reserve import SIZE_BYTES, Reserve
from storage.state import IMAGES_LEFT
from storage.store import UnitStore
from storage.times import DAY_US, HOUR_US


class FailingSlot(LoopbackSlot):
    """A chip whose next write fails `before` it is done, or `after`, when only the answer is lost."""

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
    ledger._look_us = (1 << 62) - 1  # custody's own check is not tested here
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
        add_reads(ledger, time, 1)  # it would open an epoch under an unknown KEK
    chip.fails = ""
    if restart:
        ledger.store.close()
        ledger.closed = True
        ledger = Ledger.open(home, chip, time, boot=time.boot)
    ledger.apply_retention(
        by="test"
    )  # after a restart that found the slot's key changed, nothing is left to do
    later = add_reads(ledger, time, 1)[0]
    ledger.close()
    again = Ledger.open(home, chip, time, boot=time.boot)
    assert again.read(kept).text
    assert again.read(later).text
    with pytest.raises(KeyLostError):
        again.read(old)
    again.close()
    assert check(home, chip).ok


def test_a_purge_that_fails_beside_a_read_is_not_a_failure_of_the_read(
    aged: tuple[Ledger, int, int], chip: FailingSlot, home: Path, time: SteppedTime
) -> None:
    ledger, old, _ = aged
    ledger._look_us = 0
    chip.fails = "before"
    size = ledger.status().records
    later = add_reads(ledger, time, 3)
    assert all(ledger.read(one).text for one in later)
    assert ledger.status().records - size < 6  # nor is it retried at every read
    chip.fails = ""
    ledger.tend()
    ledger.close()
    again = Ledger.open(home, chip, time, boot=time.boot)
    with pytest.raises(KeyLostError):
        again.read(old)
    again.close()
    assert check(home, chip).ok


def test_the_room_that_a_purge_made_is_there_for_the_reserve_at_once(
    aged: tuple[Ledger, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, old, _ = aged
    gone: list[bool] = []

    def keep(_reserve: Reserve, *, beyond: int) -> None:
        gone.append(ledger.store.book.gone(ledger.store.leaf(old).epoch))

    monkeypatch.setattr(Reserve, "keep", keep)
    ledger._look_us = 0
    ledger.tend()
    assert gone == [True]


def test_a_purge_that_fails_holds_up_no_anchor_and_is_shown_until_one_succeeds(
    aged: tuple[Ledger, int, int], monkeypatch: pytest.MonkeyPatch, time: SteppedTime
) -> None:
    ledger, old, _ = aged
    ledger._look_us = 0
    time.run(2 * HOUR_US)

    def fails(*_: object, **__: object) -> None:
        raise LedgerError("no room", where="purge")

    with monkeypatch.context() as failing:
        failing.setattr(purge, "carry_out", fails)
        with pytest.raises(LedgerError, match="no room"):
            ledger.tend()
    store = ledger.store
    assert store.slot_content.anchor_size == store.log.frontier.size
    assert ledger.status().purge_failed == "purge: no room"
    assert ledger.tend() is not None
    assert (ledger.status().purge_failed, store.book.gone(store.leaf(old).epoch)) == ("", True)


def test_what_was_set_aside_after_a_purge_stays_where_its_images_are_tried_again(
    ledger: Ledger, time: SteppedTime
) -> None:
    (gone,) = add_reads(ledger, time, 1)
    store = ledger.store
    done = purge.carry_out(store, purged(store, gone), by="test")
    for at in (done.record.intent, done.sequence + 1):
        (store.home.strays / f"{store.leaf(gone).epoch:08d}-{at}").mkdir(parents=True)
    with store.adding():
        store.state = store.state.with_cursor(IMAGES_LEFT, 1)
    purge.remove_left(store)
    assert [one.name.partition("-")[2] for one in store.home.strays.iterdir()] == [str(done.sequence + 1)]
    assert (store.state.cursor(IMAGES_LEFT), store.images_left) == (0, ())


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


def purged(store: UnitStore, sequence: int) -> tuple[EpochPurged, ...]:
    """Purge the epoch of a record as if it were due."""
    facts = store.book.epochs[store.leaf(sequence).epoch]
    store.end_running([facts.epoch])
    return (
        EpochPurged(epoch=facts.epoch, key_class=facts.key_class, records=1, clause="463.8", reason="test"),
    )


def rows(store: UnitStore, name: str = "%") -> set[tuple[int, str]]:
    return set(store.db.execute("SELECT sequence, name FROM elements WHERE name LIKE ?", (name,)).fetchall())


@pytest.mark.parametrize("memory_only", [(), ("read",)])
def test_a_purge_takes_all_that_is_left_of_its_epoch_and_nothing_of_another(
    ledger: Ledger, home: Path, slot: LoopbackSlot, time: SteppedTime, memory_only: tuple[str, ...]
) -> None:
    Department().enroll(ledger, escrow=True, memory_only=memory_only)
    (gone,), (kept,) = add_reads(ledger, time, 1), add_reads(ledger, time, 1, hit=True)
    store, turned = ledger.store, not memory_only
    due, other, before, chip = purged(store, gone), store.leaf(kept).epoch, rows(store), slot.read()
    opened = store.book.epochs[due[0].epoch].sequence
    for epoch in (due[0].epoch, other):
        store.home.strays.joinpath(f"{epoch:08d}-9").mkdir(parents=True)
    done = purge.carry_out(store, due, by="test")
    assert before - rows(store) == (
        {(gone, "text"), (gone, "place")}
        | {one for one in before if turned and (one[1] in {"wrap", "keyring"} or one == (opened, "escrow"))}
    )
    assert rows(store, "keyring") == {(done.record.intent if turned else 0, "keyring")}
    assert [path.name for path in store.home.strays.iterdir()] == [f"{other:08d}-9"]
    assert list(store.blobs.epochs()) == [other]
    assert (done.before, done.record.generation, slot.read() == chip) == (1, 1 + turned, not turned)
    assert (done.sequence, done.record.intent) == (store.next_sequence() - 1, store.next_sequence() - 2)
    assert (done.record.slot, done.record.epochs) == ("loopback", due)
    assert done.record.note == slot.promise + (f"; {purge.ESCROWED}" if turned else "")
    assert (due[0].epoch in store.live, other in store.live) == (False, True)
    assert check(home, slot).ok


def test_a_purge_of_much_console_output_takes_less_room_than_the_reserve_gives_back(
    ledger: Ledger, home: Path, slot: LoopbackSlot, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, log_ahead = ledger.store, home / "store" / "ledger.sqlite3-wal"
    line = MaintenanceLine(
        session="ab", person="-", role="-", grant="-", phase="end", line="logs", result="done", at_us=1,
        output_digest=bytes(32), output=bytes(64 << 10),
    )  # fmt: skip
    stored = [ledger.append(line).sequence for _ in range(2 * SIZE_BYTES // len(line.output))]
    store.end_log_ahead()
    sizes: list[int] = []
    monkeypatch.setattr(store, "end_log_ahead", lambda: sizes.append(log_ahead.stat().st_size))
    purge.carry_out(store, purged(store, stored[0]), by="test")
    assert sizes[0] < SIZE_BYTES
    assert not {one for one in rows(store) if one[0] in stored}
    assert check(home, slot).ok


def test_a_purge_of_nothing_or_before_another_has_ended_is_refused(ledger: Ledger, time: SteppedTime) -> None:
    (read,) = add_reads(ledger, time, 1)
    store = ledger.store
    assert purge.settle(store) is None
    with pytest.raises(LedgerError, match="purge: nothing is due"):
        purge.carry_out(store, (), by="test")
    purge._intend(store, purged(store, read), "test")
    with pytest.raises(LedgerError, match="purge: another purge has not ended"):
        purge.carry_out(store, purged(store, read), by="test")


@pytest.mark.parametrize("steps", [1, 2])
def test_a_purge_that_was_cut_is_not_a_finding_and_the_next_start_ends_it(
    ledger: Ledger, home: Path, slot: LoopbackSlot, time: SteppedTime, steps: int
) -> None:
    """Before the slot's key changes, it is abandoned and nothing is lost; after that, it is completed."""
    (read,), (kept,) = add_reads(ledger, time, 1), add_reads(ledger, time, 1, hit=True)
    store = ledger.store
    sequence, intent, kek = purge._intend(store, purged(store, read), "test")
    assert kek is not None
    if steps == 2:
        purge._turn_slot(store, intent, kek)
    report = check(home, slot)
    assert (report.ok, report.slot_checked) == (True, True), report.findings
    assert report.notes == ["a purge was begun but not finished; the next start finishes it"]
    store.close()
    ledger.closed = True
    again = Ledger.open(home, slot, time, boot=time.boot)
    assert again.store.book.pending is None
    assert ((sequence, "keyring") in rows(again.store)) is (steps == 2)
    assert again.read(kept).text
    if steps == 1:
        assert again.read(read).text
    else:
        with pytest.raises(KeyLostError):
            again.read(read)
    again.close()
    report = check(home, slot)
    assert (report.ok, report.notes, report.purged_records) == (True, [], steps - 1)
