"""The ledger: the unit's only writer of sealed, signed, provable records, and all that other rooms use.

ledger = Ledger.create(home, slot, clock)      # or Ledger.open(home, slot, clock)
ref = ledger.append_read(read, patch=jpeg, overview=jpeg)   # on return it survives a power cut
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from storage import codec, late_epochs, opening, purge, recovery, sealing
from storage.audit_records import ClockStep
from storage.checkpoint import NoteKey
from storage.clock_trust import WallClock, boottime_us
from storage.epoch_counts import EpochCounter
from storage.errors import RecordError, StorageError, StoreFullError
from storage.home import Home
from storage.hot_list_file import list_key
from storage.leaf import LeafRef
from storage.log_records import Incident
from storage.read_records import Read, ReadPlace, ReadText
from storage.record_base import KeyClass, Record
from storage.retention import PlannedEpoch, plan_purge
from storage.sealing import Opened, Sealed
from storage.slot import EffaceableSlot
from storage.standing import UnitFiles
from storage.store import READS_TOGETHER, UnitStore
from storage.times import HOUR_US, MINUTE_US

MB = 1 << 20
TOGETHER = READS_TOGETHER  # most reads in one `append_reads`
KEEP_FREE_FOR_OVERVIEW = 64 * MB  # below: overview images are no longer stored
KEEP_FREE_FOR_PATCH = 32 * MB  # below: nor patches
KEEP_FREE = 16 * MB  # below: reads are refused, so that purges and access entries still have room
ANCHOR_EVERY_US = HOUR_US
TEND_AGAIN_US = 10 * MINUTE_US
TURN_EVERY_US = HOUR_US  # the slot's key is turned at most hourly, since its memory wears
MAX_CLOCK_STEPS = 16  # a clock that jumps more often than this in an hour is one fault, not many
CLOCK_ALARMED = "clock_alarmed"  # cursor: 1 while the log has an incident for the current alarm


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerStatus:
    """Health of custody, without a plate.

    newer_than_anchors: records whose loss a roll-back would hide. anchored_by: who holds the newest anchor:
    "department", "slot" or no one (""); a slot that is a file on the card does not count. unreceived: reads,
    alerts and their steps here that no receipt of the department covers. clock_alarm: what is wrong with the
    time, in a sentence, or empty. clock_lead_us: see storage.clock_trust. purge_failed: why the last purge
    did not happen, or which of its images are still there, or empty.
    """

    records: int
    log_id: str
    newer_than_anchors: int
    anchored_by: str
    slot: str
    slot_promise: str
    generation: int
    epochs_open: int
    epochs_kept: int
    epochs_purged: int
    keys_on_card: str
    enrolled: bool
    local_query: bool
    purge_pending: bool
    unreceived: int
    without_overview: int
    without_patch: int
    free_bytes: int
    incidents: int
    clock_alarm: str
    clock_lead_us: int
    purge_failed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRead:
    """A vehicle pass to store. patch, overview: encoded images (JPEG or PNG), overview in color."""

    read: Read = field(repr=False)
    patch: bytes = field(repr=False)
    overview: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Parts:
    """A read's contents by element: those in the database, and those in files."""

    inline: dict[str, bytes]
    images: dict[str, bytes]


class Ledger:
    """The open ledger of one home. Thread-safe; one process at a time."""

    def __init__(self, store: UnitStore) -> None:
        self.store = store
        self._without_overview = 0
        self._without_patch = 0
        self._look_us = 0  # when to check next for what is due
        self._purge_failed = ""
        self._tend_again_us = 0  # when an append may run `tend` again after a failure
        self._steps_hour, self._steps_noted, self._steps_left_out = -1, 0, 0
        self.closed = False
        self.standing = UnitFiles(store)
        self._counter = EpochCounter(store)
        self.free_bytes: Callable[[], int] = lambda: shutil.disk_usage(store.home.folder).free

    @classmethod
    def create(
        cls,
        home: Path,
        slot: EffaceableSlot,
        clock: WallClock,
        *,
        boot: Callable[[], int] = boottime_us,
    ) -> Self:
        """Create a home's ledger: log key, KEK in the slot, first record. Raises LedgerError, SlotError."""
        store = opening.create(Home(home), slot, clock, boot=boot)
        try:
            ledger = cls(store)
            ledger.standing.make_demo()
            store.reserve.keep(beyond=KEEP_FREE)
        except BaseException:
            store.close()
            raise
        return ledger

    @classmethod
    def open(
        cls,
        home: Path,
        slot: EffaceableSlot,
        clock: WallClock,
        *,
        boot: Callable[[], int] = boottime_us,
    ) -> Self:
        """Open a home's ledger and finish what a power cut interrupted.

        Raises HomeLockedError, SlotError, RolledBackError, DamagedError, LedgerError.
        """
        store = opening.reopen(Home(home), slot, clock, boot=boot)
        try:
            with opening.naming_damage_to(store.home):
                recovery.settle(store)
                ledger = cls(store)
        except BaseException:
            store.close()
            raise
        store.reserve.keep(beyond=KEEP_FREE)
        store.time.now()
        ledger._note_clock_beside()
        return ledger

    def append_read(self, read: Read, *, patch: bytes, overview: bytes, hit: bool = False) -> LeafRef:
        """Store one vehicle pass: images sealed and synced, then the record. Durable on return.

        patch, overview: encoded images (JPEG or PNG), overview in color. As the disk fills up, first the
        overview is left out, then the patch; then StoreFullError is raised and nothing is stored.
        """
        new = NewRead(read=read, patch=patch, overview=overview)
        return self._append_one(new, lambda ref: [ref], hit=hit)[0]

    def append_hit(self, new: NewRead, beside: Callable[[int], Sequence[Record]]) -> list[int]:
        """Store a pass that matched a hot list together with its alerts, all or none; returns their numbers.

        beside: makes the sealed records that go with the read, given the read's number.
        """
        add = self.store.add_sealed
        refs = self._append_one(new, lambda ref: [ref, *map(add, beside(ref.sequence))], hit=True)
        return [ref.sequence for ref in refs]

    def _append_one(
        self, new: NewRead, and_then: Callable[[LeafRef], list[LeafRef]], *, hit: bool
    ) -> list[LeafRef]:
        images = self._affordable({"patch": new.patch, "overview": new.overview})
        while True:
            try:
                refs = self._add_reads([_parts_of(new.read, images)], and_then, hit=hit)
                break
            except StoreFullError as error:
                images = self._leave_out(images, error)
        self._count_left_out(images)
        self._tend_beside()
        return refs

    def append_reads(self, new: Sequence[NewRead]) -> list[LeafRef]:
        """Store passes that ended together: one flush for all images, one for all records. Durable on return.

        All or none: if it raises, nothing is stored. At most TOGETHER.
        """
        if not 0 < len(new) <= TOGETHER:
            raise RecordError(f"1 to {TOGETHER} reads at once", where="append_reads")
        kept = [self._affordable({"patch": one.patch, "overview": one.overview}) for one in new]
        refs = self._add_reads(
            [_parts_of(one.read, images) for one, images in zip(new, kept, strict=True)], hit=False
        )
        for images in kept:
            self._count_left_out(images)
        self._tend_beside()
        return refs

    def _count_left_out(self, images: Container[str]) -> None:
        self._without_overview += "overview" not in images
        self._without_patch += "patch" not in images

    def _add_reads(
        self,
        reads: Sequence[_Parts],
        and_then: Callable[[LeafRef], list[LeafRef]] = lambda ref: [ref],
        *,
        hit: bool,
    ) -> list[LeafRef]:
        store, key_class = self.store, KeyClass.HIT if hit else KeyClass.READ
        with store.lock:
            epoch, refs = 0, []
            outside: list[Sealed] = []
            try:
                with store.adding():
                    epoch = store.epoch_for(key_class).epoch  # the same for all: the time is read once
                    for read in reads:
                        sequence, key = store.next_sequence(), store.live[epoch]
                        sealed = {
                            name: sealing.seal(key, store.log_id, sequence, sealing.fresh(name, content))
                            for name, content in (read.inline | read.images).items()
                        }
                        images = tuple(sealed[name] for name in read.images)
                        outside += images
                        inline = [sealed[name] for name in read.inline]
                        refs += and_then(store.add_leaf("read", epoch, key_class, inline, images))
                    if outside:
                        store.blobs.put(epoch, outside)  # durable before the transaction ends
            except BaseException:
                store.blobs.discard(epoch, outside)
                raise
            return refs

    def _affordable(self, images: dict[str, bytes]) -> dict[str, bytes]:
        free = self.free_bytes()
        if free < KEEP_FREE:
            raise StoreFullError(
                f"{free // MB} MB free: no read is stored below {KEEP_FREE // MB} MB",
                where=str(self.store.home.root),
                cure="sync, then purge, or fit a larger card",
            )
        left_out = {"overview"} if free < KEEP_FREE_FOR_OVERVIEW else set()
        left_out |= {"patch"} if free < KEEP_FREE_FOR_PATCH else set()
        return {name: data for name, data in images.items() if name not in left_out}

    def _leave_out(self, images: dict[str, bytes], error: Exception) -> dict[str, bytes]:
        """The next smaller set of images, after the disk reported that it is full."""
        for name in ("overview", "patch"):
            if name in images:
                return {other: data for other, data in images.items() if other != name}
        raise StoreFullError(
            "the disk is full: the read was not stored",
            where=str(self.store.home.root),
            cure="sync, then purge",
        ) from error

    def append(self, record: Record) -> LeafRef:
        """Store any other record, sealed by its class (open kinds are not). Durable on return."""
        if isinstance(record, Read):
            raise RecordError("goes through append_read, with its images", where="read")
        with self.store.adding():
            if record.KEY_CLASS is KeyClass.OPEN:
                ref = self.store.add_open(record)
            else:
                ref = self.store.add_sealed(record)
        self._tend_beside()
        return ref

    def hot_list_key(self) -> bytes:
        """The key that seals hot lists on this unit's card."""
        return list_key(self.store.ring.log_key)

    def read(self, sequence: int) -> Read:
        """A stored read, opened. Callers must log the access first."""
        leaf = self.store.leaf(sequence)
        return opened_read(
            self.store.open_element(leaf, "text").content, self.store.open_element(leaf, "place").content
        )

    def element(self, sequence: int, name: str) -> Opened:
        """One element of a record, opened and matched to its commitment."""
        return self.store.open_element(self.store.leaf(sequence), name)

    def retention_plan(self) -> tuple[PlannedEpoch, ...]:
        """Every epoch with content, when it is due, and why. Changes nothing."""
        store = self.store
        with store.lock:
            return plan_purge(
                store.book,
                self._counter.count(),
                store.policy,
                now_us=store.time.trusted_us,
                live=store.live.keys(),
            )

    def apply_retention(self, *, by: str) -> purge.PurgeResult | None:
        """Purge what is due now, in one turn of the slot; None if nothing is due or nothing can go yet.

        Within an hour of the last turn, only epochs whose key is not on the card are purged;
        `purge_waits_until_us` returns when the rest may go, and `tend` purges it then. Raises SlotError,
        StoreFullError.
        """
        with self.store.lock:
            self._purge_failed = ""
            try:
                return self._purge_due(by)
            except Exception as error:
                self._purge_failed = str(error) if isinstance(error, StorageError) else type(error).__name__
                raise

    def _purge_due(self, by: str) -> purge.PurgeResult | None:
        store = self.store
        purge.remove_left(store)
        ended = purge.settle(store)
        if ended is not None:
            return ended  # the one begun earlier, for which the slot has turned
        late_epochs.date_again(store)
        due = tuple(item.purged() for item in self.retention_plan() if item.due and not store.time.leapt_us)
        if self._may_turn_us() > store.time.trusted_us:
            due = tuple(one for one in due if not store.key_on_card(one.epoch))
        if not due:
            return None
        store.end_running(one.epoch for one in due)
        self.standing.carry_over(one.epoch for one in due)
        return purge.carry_out(store, due, by=by)

    def purge_waits_until_us(self) -> int | None:
        """When a purge that is due but waits for the slot may run; None if none waits."""
        with self.store.lock:
            until_us = self._may_turn_us()
            waits = until_us > self.store.time.trusted_us and any(one.due for one in self.retention_plan())
            return until_us if waits else None

    def _may_turn_us(self) -> int:
        """When the slot's key may be turned next."""
        turned_us = self.store.book.turned_us
        return 0 if turned_us is None else turned_us + TURN_EVERY_US

    def tend(self) -> purge.PurgeResult | None:
        """Hourly maintenance, also called by every append: purge what is due, else anchor the head in the
        slot.

        It checks what is due at the first call after a start, then hourly, or when a purge that waited for
        the slot may run. Returns the receipt if something was purged.
        """
        store = self.store
        with store.lock:
            if store.in_transaction:
                return None  # a purge is several transactions of its own
            now_us, receipt = store.time.trusted_us, None
            if store.log_ahead_kept:
                store.end_log_ahead()
            try:
                if now_us >= self._look_us:
                    receipt = self.apply_retention(by="the unit itself")
                    store.reserve.keep(beyond=KEEP_FREE)  # also from the room that the purge made
                    self._look_us = self.purge_waits_until_us() or now_us + HOUR_US
                    self.note_clock()
            finally:  # a slot of unknown state is first asked by the purge
                if not store.slot_unsure and now_us - store.slot_content.anchor_us >= ANCHOR_EVERY_US:
                    store.anchor()
            return receipt

    def _tend_beside(self) -> None:
        """Run `tend` after an append. The record is stored, so a purge or anchor that fails is not a failure
        of the append: it is retried later, and reported to a caller of `tend` itself."""
        self._note_clock_beside()
        if self.store.time.trusted_us < self._tend_again_us:
            return
        try:
            self.tend()
        except Exception:  # noqa: BLE001 - the slot's driver is another room's, and so are its errors
            self._tend_again_us = self.store.time.trusted_us + TEND_AGAIN_US

    def note_clock(self) -> None:
        """Log steps and drift of the clock, and an incident if they add up to an alarm.

        Logs at most MAX_CLOCK_STEPS an hour, and the number of the others. Raises StoreFullError, SlotError.
        """
        store, clock = self.store, self.store.time
        alarm = clock.alarm()
        alarmed = bool(store.state.cursor(CLOCK_ALARMED))
        hour = clock.trusted_us // HOUR_US
        if hour != self._steps_hour and not self._steps_left_out:
            self._steps_hour, self._steps_noted = hour, 0
        if not (clock.steps or bool(alarm) != alarmed or (self._steps_left_out and hour != self._steps_hour)):
            return
        with store.adding():
            noticed, room = tuple(clock.steps), MAX_CLOCK_STEPS - self._steps_noted
            steps, left_out = noticed[:room], self._steps_left_out + len(noticed[room:])
            for step in steps:
                store.add_sealed(
                    ClockStep(
                        from_us=step.from_us,
                        to_us=step.to_us,
                        accepted=step.accepted,
                        state=step.state,
                        sources=step.sources,
                    )
                )
            noted = self._steps_noted + len(steps)
            if left_out and hour != self._steps_hour:
                detail = f"{left_out} more steps of the clock in one hour"
                store.add_open(Incident(what="clock-steps", detail=detail, at_us=clock.trusted_us))
                left_out, noted = 0, 0
            if alarm and not alarmed:
                store.add_open(Incident(what="clock", detail=alarm, at_us=clock.trusted_us))
            store.state = store.state.with_cursor(CLOCK_ALARMED, int(bool(alarm)))
        del clock.steps[: len(noticed)]  # each use of the clock may add one: the next call logs it
        self._steps_hour, self._steps_noted, self._steps_left_out = hour, noted, left_out

    def _note_clock_beside(self) -> None:
        """Like `note_clock`, within another operation: if there is no room now, the next call logs it."""
        with contextlib.suppress(StorageError):
            if not self.store.in_transaction:
                self.note_clock()

    @property
    def public_key(self) -> NoteKey:
        """The log's public key, with which anyone can verify it."""
        return self.store.log.key_of_notes

    def status(self) -> LedgerStatus:
        """Facts for `reader status`; shows no content."""
        store, book = self.store, self.store.book
        with store.lock:
            size = store.log.frontier.size
            anchored, anchored_by = store.anchored()
            epochs = list(book.epochs.values())
            return LedgerStatus(
                records=size,
                log_id=store.log_id.hex(),
                newer_than_anchors=size - anchored,
                anchored_by=anchored_by,
                slot=store.slot.uri,
                slot_promise=store.slot.promise,
                generation=store.slot_content.generation,
                epochs_open=sum(not one.closed for one in epochs),
                epochs_kept=sum(one.purged_by is None for one in epochs),
                epochs_purged=sum(one.purged_by is not None for one in epochs),
                keys_on_card=store.key_place(KeyClass.READ),
                enrolled=store.enrolled,
                local_query=store.policy.local_query or not store.enrolled,
                purge_pending=book.pending is not None,
                unreceived=self._unreceived(),
                without_overview=self._without_overview,
                without_patch=self._without_patch,
                free_bytes=self.free_bytes(),
                incidents=book.incidents,
                clock_alarm=store.time.alarm(),
                clock_lead_us=store.time.lead_us,
                purge_failed="; ".join((*store.images_left[:3], *filter(None, [self._purge_failed]))),
            )

    def _unreceived(self) -> int:
        """The number of read and hit records that no receipt covers; other records get no receipts."""
        classes = {KeyClass.READ, KeyClass.HIT}
        epochs = self.store.book.epochs
        counts = self._counter.count().items()
        return sum(one.records - one.received for epoch, one in counts if epochs[epoch].key_class in classes)

    def close(self) -> None:
        """Anchor the newest head in the slot and release the home, even if the anchor fails."""
        with self.store.lock:
            if not self.closed:
                self.closed = True
                self._note_clock_beside()
                try:
                    self.store.end()
                finally:
                    self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _parts_of(read: Read, images: dict[str, bytes]) -> _Parts:
    inline = {"text": codec.to_bytes(read.text_part()), "place": codec.to_bytes(read.place_part())}
    return _Parts(inline, images)


def opened_read(text: bytes, place: bytes) -> Read:
    """Build a read from the contents of its two elements."""
    return Read.of(codec.from_bytes(ReadText, text), codec.from_bytes(ReadPlace, place))
