"""Forged keyrings and slots: what today's slot opens is what the log says, and no purged epoch's key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from attacked_unit import Unit, epoch_of, purge_a_year_later, said
from custody_twins import DAY_US, add_reads

from hw.secure_slot import LoopbackSlot
from storage import keyring
from storage.keyring import AT_DAY, EpochKey
from storage.leaf import KEYRING, Mark
from storage.ledger import Ledger
from storage.record_base import KeyClass
from storage.slot import load_slot
from storage.store import UnitStore, bound


def wrapped(ledger: Ledger, ring: keyring.Keyring) -> None:
    """Replace the keyring with this one, wrapped under today's key."""
    store = ledger.store
    content, at = store.slot_content, store.book.keyring_at
    element = bound(KEYRING, ring.wrapped(content.kek, store.log_id, content.generation))
    leaf = store.leaf(at)
    changed = replace(leaf, elements=leaf.elements | {KEYRING: Mark(element.commitment, element.digest)})
    private = store.log._key
    with store.db.atomic():
        store.db.conn.execute("UPDATE leaves SET leaf = ? WHERE sequence = ?", (changed.sign(private), at))
        store.db.conn.execute("UPDATE elements SET stored = ? WHERE sequence = ? AND name = ?",
                              (element.stored, at, KEYRING))  # fmt: skip


def aged(unit: Unit) -> Ledger:
    """A ledger after a purge, whose intent contains the keyring."""
    ledger = unit.open()
    purge_a_year_later(ledger, unit.time)
    add_reads(ledger, unit.time, 1)
    return ledger


def key_of(
    epoch: int, key_class: KeyClass, own: bytes | None = bytes(32), day: bytes | None = None
) -> EpochKey:
    day_key = None if day is None else bytes(32)
    return EpochKey(epoch=epoch, key_class=key_class, own=own, day=day, day_key=day_key)


def with_a_purged_key(store: UnitStore, ring: keyring.Keyring) -> keyring.Keyring:
    return ring.plus(key_of(epoch_of(store, KeyClass.READ, purged=True), KeyClass.READ))


Change = Callable[[UnitStore, keyring.Keyring], keyring.Keyring]


KEYRINGS = [
    pytest.param(with_a_purged_key, "which was purged", id="a purged epoch's key"),
    pytest.param(lambda _store, ring: ring.plus(key_of(99, KeyClass.READ)),
                 "which was never opened", id="a key of no epoch"),
    pytest.param(lambda _store, ring: ring.plus(ring.epochs[0]), "a second key", id="a second key"),
    pytest.param(lambda _store, ring: replace(ring, epochs=ring.epochs[1:]),
                 "holds no key of epoch", id="a key taken away"),
    pytest.param(lambda _store, ring: replace(ring, log_key=b"\7" * 32),
                 "holds another log key", id="another log key"),
    pytest.param(lambda _store, ring: replace(ring, epochs=tuple(
                     replace(one, key_class=KeyClass.HOLD) for one in ring.epochs)),
                 "for another class of content", id="a key of another class"),
    pytest.param(lambda _store, ring: replace(ring, epochs=tuple(
                     replace(one, day=bytes(113), day_key=bytes(32)) for one in ring.epochs)),
                 "on the sealed key of epoch", id="a key sealed to a day that the log names none for"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "word"), KEYRINGS)
def test_a_keyring_that_holds_what_it_must_not_is_found(unit: Unit, change: Change, word: str) -> None:
    ledger = aged(unit)
    store = ledger.store
    ring = keyring.Keyring.opened(
        store.open_element(store.leaf(store.book.keyring_at), KEYRING).content,
        store.slot_content.kek, store.log_id, store.slot_content.generation,
    )  # fmt: skip
    wrapped(ledger, change(store, ring))
    ledger.store.close()
    assert any(word in line for line in said(unit.check())), said(unit.check())


def test_an_enrolled_units_keyring_that_holds_a_day_key_in_clear_is_found(unit: Unit) -> None:
    ledger = unit.open()
    store = ledger.store
    epoch = next(one for one in store.book.epochs.values() if one.key_at == AT_DAY)
    ring = keyring.Keyring.opened(
        store.open_element(store.leaf(0), KEYRING).content, store.slot_content.kek, store.log_id, 1
    )
    wrapped(ledger, ring.plus(key_of(epoch.epoch, epoch.key_class)))
    store.close()
    assert any(
        f"key of epoch {epoch.epoch} in the clear (the log: {AT_DAY})" in line for line in said(unit.check())
    )


def test_todays_keyring_holds_no_key_of_a_purged_epoch(unit: Unit) -> None:
    ledger = aged(unit)
    book, ring = ledger.store.book, ledger.store.ring
    gone = {one.epoch for one in book.epochs.values() if one.purged_by is not None}
    assert gone
    assert not gone & {one.epoch for one in ring.epochs}
    ledger.close()
    assert unit.check().ok
    again = unit.open()
    assert not gone & ({one.epoch for one in again.store.ring.epochs} | set(again.store.live))
    again.close()


def test_a_slot_of_another_log_is_found(unit: Unit, tmp_path: Path) -> None:
    other = LoopbackSlot(tmp_path / "other-chip")
    Ledger.create(tmp_path / "other", other, unit.time, boot=unit.time.boot).close()
    unit.chip.write(
        replace(load_slot(other), anchor_size=0, anchor_root=load_slot(unit.chip).anchor_root).to_bytes()
    )
    assert "slot: holds the key of another log" in said(unit.check())


def test_a_slot_of_an_earlier_day_is_found_beside_todays_state(unit: Unit) -> None:
    before = unit.chip.read()
    ledger = unit.open()
    unit.time.run(DAY_US)
    add_reads(ledger, unit.time, 1)
    ledger.close()
    assert before is not None
    unit.chip.write(before)
    assert any("the slot is older than the other" in line for line in said(unit.check()))
