"""Destroys content for real. Each step is synced, and each may be the last before a power cut.

    1. intent     a record that names the epochs, with the survivors' keyring under the new KEK
    2. slot       the new KEK and generation written once over the old one, read back
    3. deletion   blobs, stored elements and old wraps; then wal_checkpoint(TRUNCATE), which does not wait
                  for other readers: the next append retries it
    4. receipt    a record of which epochs, how many records, and the clause

After step 2 the purged keys are noise on every copy of the card. `settle` ends an interrupted purge at
start-up: before step 2 the intent is abandoned, after step 2 the purge is completed. Leaves stay, so the log
still verifies. An image that cannot be removed does not stop the purge: its key is gone, the receipt says so,
and `remove_left` retries.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from storage import files, leaf, sealing, slot
from storage.counts import counted
from storage.errors import LedgerError
from storage.log_records import EpochPurged, PurgeAbandoned, PurgeIntent, PurgeReceipt
from storage.state import IMAGES_LEFT
from storage.store import UnitStore, bound

ESCROWED = (
    "escrow: an older copy of the card still opens with the department's key of the day, "
    "until that is destroyed a year later"
)

ROW_BYTES_AT_ONCE = 1 << 20  # in one transaction, so that the reserve is enough on a full card
PAGE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class PurgeResult:
    """The purge receipt, where it is in the log, and the KEK generation before it."""

    sequence: int
    record: PurgeReceipt
    before: int


def carry_out(store: UnitStore, epochs: tuple[EpochPurged, ...], *, by: str) -> PurgeResult:
    """Purge whole epochs. Raises LedgerError, SlotError, StoreFullError; `settle` ends what was cut off."""
    if not epochs:
        raise LedgerError("nothing is due", where="purge")
    with store.lock:
        if store.book.pending is not None:
            raise LedgerError("another purge has not ended", where="purge", cure="settle it first")
        sequence, intent, kek = _intend(store, epochs, by)
        if kek is not None:
            _turn_slot(store, intent, kek)
        return _finish(store, sequence, intent)


def settle(store: UnitStore) -> PurgeResult | None:
    """End an interrupted purge: complete it if the slot has turned, else abandon it.

    The slot is read again, since a failed write may still have happened. Raises SlotError.
    """
    pending = store.book.pending
    if pending is None:
        return None
    sequence, intent = pending
    store.slot_is(slot.load_slot(store.slot))
    store.slot_unsure = False
    if intent.generation == store.slot_content.generation:
        return _finish(store, sequence, intent)
    with store.adding():
        store.db.conn.execute(
            "DELETE FROM elements WHERE sequence = ? AND name = ?", (sequence, leaf.KEYRING)
        )
        store.add_open(PurgeAbandoned(intent=sequence, at_us=store.time.trusted_us))
    return None


def _intend(
    store: UnitStore, epochs: tuple[EpochPurged, ...], by: str
) -> tuple[int, PurgeIntent, bytes | None]:
    """Step 1. Returns the intent's number, the intent, and the new KEK (None if no key is on the card)."""
    names = {one.epoch for one in epochs}
    on_card = any(store.key_on_card(epoch) for epoch in names)
    generation = store.slot_content.generation + on_card
    moment = store.time.now()  # custody's own time: a lone clock's time would be believed later
    intent = PurgeIntent(
        generation=generation,
        epochs=epochs,
        at_us=store.time.trusted_us,
        clock_state=moment.state,
        by=by,
    )
    kek = sealing.new_key() if on_card else None
    extra: tuple[sealing.Sealed, ...] = ()
    if kek is not None:
        survivors = store.ring.without(names)
        extra = (bound(leaf.KEYRING, survivors.wrapped(kek, store.log_id, generation)),)
    with store.adding():
        ref = store.add_open(intent, extra)
        if kek is not None:
            store.announce_anchor(intent.at_us)
    return ref.sequence, intent, kek


def _turn_slot(store: UnitStore, intent: PurgeIntent, kek: bytes) -> None:
    """Step 2. After it, everything that the old KEK wrapped is noise."""
    content = slot.SlotContent(
        intent.generation,
        kek,
        store.log_id,
        store.log.frontier.size,
        store.log.frontier.root(),
        intent.at_us,
    )
    store.slot_unsure = True  # until it answers, no new key is put under either KEK
    slot.save(store.slot, content)
    store.slot_is(content)
    store.slot_unsure = False


def _finish(store: UnitStore, sequence: int, intent: PurgeIntent) -> PurgeResult:
    """Steps 3 and 4; may be repeated."""
    epochs = {one.epoch for one in intent.epochs}
    before = store.book.generation
    escrowed = any(leaf.ESCROW in store.leaf(store.book.epochs[one].sequence).elements for one in epochs)
    turned = intent.generation != before
    store.ring = store.ring.without(epochs)  # first, so that no key opens them, whatever remains
    for epoch in epochs:
        store.live.pop(epoch, None)
    elsewhere = [epoch for epoch in sorted(epochs) if store.blobs.leads_elsewhere(epoch)]
    left = _drop_images(store, dict.fromkeys(epochs, sequence))  # early, since a full card needs the room
    with files.name_full_disk(store.home.root):
        _delete_rows(store, sequence, epochs, turned=turned)
        store.end_log_ahead()
    state = store.time.now().state
    receipt = PurgeReceipt(
        intent=sequence,
        generation=intent.generation,
        epochs=intent.epochs,
        at_us=store.time.trusted_us,
        clock_state=state,
        slot=store.slot.uri.partition(":")[0],
        note="; ".join((store.slot.promise, *([ESCROWED] if escrowed else []), *_said_of(left, elsewhere))),
    )
    with store.adding():
        ref = store.add_open(receipt)
        store.state = store.state.with_cursor(IMAGES_LEFT, store.state.cursor(IMAGES_LEFT) + len(left))
    store.images_left = (*store.images_left, *left)
    return PurgeResult(ref.sequence, receipt, before)


def _said_of(left: list[str], elsewhere: list[int]) -> Iterator[str]:
    """Yield the receipt's remarks on images that remain, sealed under keys that are gone."""
    if left:
        yield f"{counted(len(left), 'folder')} of its images could not be removed yet; their keys are gone"
    if elsewhere:
        epochs = ", ".join(map(str, elsewhere))
        yield f"what a link in place of the images of epoch {epochs} led to is still there; its keys are gone"


def remove_left(store: UnitStore) -> None:
    """Retry the removal of images that purges could not remove; `images_left` says which remain, and why.

    Images that were set aside after a purge are evidence, and stay. Raises StoreFullError, CardFailedError.
    """
    with store.lock:
        count = store.state.cursor(IMAGES_LEFT)
        if not count:
            return
        purged = {one.epoch: one.purged_by for one in store.book.epochs.values() if one.purged_by is not None}
        left = _drop_images(store, purged)
        if len(left) != count:
            with store.adding():
                store.state = store.state.with_cursor(IMAGES_LEFT, len(left))
        store.images_left = tuple(left)


def _drop_images(store: UnitStore, epochs: dict[int, int]) -> list[str]:
    """Remove the images of epochs, and those set aside before this record, as far as possible; stops at an
    epoch's first failure. Returns which remain, and why.
    """
    left = []
    for epoch, at in sorted(epochs.items()):
        failed: OSError | None = None
        try:
            store.blobs.drop(epoch)
        except OSError as error:
            failed = error
        try:
            for folder in _set_aside_before(store, epoch, at):
                files.remove_tree(folder)
        except OSError as error:
            failed = failed or error
        if failed is not None:
            where = failed.filename if isinstance(failed.filename, str) else f"blobs/{epoch:08d}"
            left.append(f"{where}: {failed.strerror or type(failed).__name__}")
    return left


def _set_aside_before(store: UnitStore, epoch: int, at: int) -> Iterable[Path]:
    """The folders of an epoch's images without a record, by the log's size in their names."""
    strays = store.home.strays
    there = sorted(strays.iterdir()) if os.path.lexists(strays) else []  # unlike glob, raises if closed
    for folder in there:
        if not folder.name.startswith(f"{epoch:08d}-"):
            continue
        size = folder.name.partition("-")[2]
        if not (size.isdecimal() and int(size) > at):
            yield folder


def _delete_rows(store: UnitStore, intent: int, epochs: set[int], *, turned: bool) -> None:
    """Delete stored elements and old wraps; may run twice."""
    connection = store.db.conn
    for together in (some for epoch in sorted(epochs) for some in _few(store, epoch)):
        store.reserve.spend_if_short()
        with store.db.atomic():
            connection.executemany(
                "DELETE FROM elements WHERE sequence = ?", [(sequence,) for sequence in together]
            )
    with store.db.atomic():
        for epoch in sorted(epochs):
            for sequence in (store.book.epochs[epoch].sequence, *store.book.resealed_under(epoch)):
                connection.execute(
                    "DELETE FROM elements WHERE sequence = ? AND name != ?", (sequence, leaf.ENTRY)
                )
        if turned:
            _drop_old_wraps(store, intent)


def _few(store: UnitStore, epoch: int) -> Iterator[list[int]]:
    """Yield the records of an epoch, as many at a time as one transaction may overwrite."""
    together, size = list[int](), 0
    for sequence in store.sequences(epoch):
        (stored,) = store.db.conn.execute(
            "SELECT coalesce(sum(length(stored)), 0) FROM elements WHERE sequence = ?", (sequence,)
        ).fetchone()
        together.append(sequence)
        size += PAGE_BYTES + stored
        if size >= ROW_BYTES_AT_ONCE:
            yield together
            together, size = [], 0
    if together:
        yield together


def _drop_old_wraps(store: UnitStore, intent: int) -> None:
    """Delete everything that the old KEK wrapped."""
    old = [facts.sequence for facts in store.book.epochs.values() if facts.sequence < intent]
    connection = store.db.conn
    connection.executemany(
        "DELETE FROM elements WHERE sequence = ? AND name = ?",
        [(sequence, leaf.WRAP) for sequence in old] + [(store.book.keyring_at, leaf.KEYRING)],
    )
