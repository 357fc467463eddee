"""Stores passes and gaps in the ledger; with a full store, reads are lost for a recorded time and reading
continues.

The same holds for a store that fails otherwise (a card with errors, no file descriptors), but only for
FAILED_LIMIT_S: then the run ends, since opening the store again either repairs it or names the damage.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import replace

import structlog

from firmware.frames.pictures import overview_jpeg, patch_png
from firmware.frames.pipeline import EndedPass
from firmware.frames.record import Surroundings, read_of
from hw.camera_watch import BlindSpell
from hw.clock import Clock
from hw.errors import HardwareError
from storage.audit_records import Gap
from storage.errors import StorageError, StoreFullError
from storage.ledger import Ledger, NewRead
from storage.read_records import Position, Read
from storage.record_base import Record

UNSTORED = (StorageError, HardwareError, OSError, sqlite3.Error)
FAILED_LIMIT_S = 60.0
AGAIN_S = 1.0  # between two tries to store a read whose source can wait
GAPS_OWED = 64
AlertsOf = Callable[[int], Sequence[Record]]  # argument: the read's record number
EARLY_MOST = 256  # far more passes than are in view at once


class Bookkeeper:
    """Connects the pipeline with the ledger. announce: called with a read's number once it is durable.

    position: where a moving unit was so many seconds ago; None if the surveyed place applies. matches:
    whether a pass matches an entry of a hot list; such a read is sealed as a hit. sounds: whether its alert
    would be heard. alerts: gives the function that makes a hit's alerts, which are stored with it. met:
    called with a hit's number and its alerts' numbers, before announce. unstored: called with a hit that
    could not be stored. undecided: called with each error of the store; returns whether a look at the store
    is under way, and then the run waits for it. waits: whether the source keeps what is not yet taken and no
    one asked for the end; then a read that cannot be stored is retried instead of lost.
    """

    def __init__(
        self,
        ledger: Ledger,
        around: Surroundings,
        *,
        clock: Clock,
        overview_quality: int,
        announce: Callable[[int, Read], None],
        log: structlog.typing.FilteringBoundLogger,
        position: Callable[[float], Position | None] = lambda _ago_s: None,
        matches: Callable[[EndedPass], bool] = lambda _ended: False,
        sounds: Callable[[EndedPass], bool] = lambda _going: False,
        alerts: Callable[[Read], AlertsOf] = lambda _read: lambda _number: (),
        met: Callable[[int, Sequence[int]], None] = lambda _number, _alerts: None,
        unstored: Callable[[Read], None] = lambda _read: None,
        undecided: Callable[[Exception], bool] = lambda _error: False,
        waits: Callable[[], bool] = lambda: False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._around = around
        self._clock = clock
        self._quality = overview_quality
        self._announce = announce
        self._position = position
        self._matches, self._sounds, self._undecided = matches, sounds, undecided
        self._alerts, self._met, self._unstored = alerts, met, unstored
        self._stored_early: OrderedDict[int, str] = OrderedDict()  # text by pass, of passes that continue
        self._log, self._waits = log, waits
        self.waiting = False
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._lost_since_us: int | None = None  # by running time: the clock may be set meanwhile
        self._failed_since_s: float | None = None
        self._why = ""
        self._lost, self._lost_hits = 0, 0
        self._lost_in_all = 0
        self._owed: deque[Gap] = deque(maxlen=GAPS_OWED)  # blind times that could not be recorded yet

    def glance(self, going: EndedPass) -> None:
        """Store an unfinished pass now if its alert would be heard; it is not stored again when it ends."""
        number = going.vehicle.pass_id
        if number in self._stored_early or not self._sounds(going):
            return
        if self._store_one(going, ends=False):
            self._stored_early[number] = going.vehicle.text.text
            while len(self._stored_early) > EARLY_MOST:
                self._stored_early.popitem(last=False)

    def store(self, passes: Sequence[EndedPass]) -> int:
        """Store passes as signed reads, announce each once it is durable, and count the others as lost.

        Returns how many were stored. Passes that match no hot list are stored together or, if that fails, one
        at a time. A pass that was already stored for an alert is stored again only if its text has changed.
        """
        stored = 0
        together: list[EndedPass] = []
        for ended in passes:
            if self._stored_early.pop(ended.vehicle.pass_id, None) == ended.vehicle.text.text:
                stored += 1
            elif self._matches(ended):
                stored += self._store_together(together) + self._store_one(ended)
                together = []
            else:
                together.append(ended)
        return stored + self._store_together(together)

    def _store_together(self, passes: Sequence[EndedPass]) -> int:
        if len(passes) < 2:
            return sum(self._store_one(ended) for ended in passes)
        reads = [self._new_read(ended) for ended in passes]
        try:
            refs = self._ledger.append_reads(reads)
        except UNSTORED:  # so that a full disk costs as few images as possible
            return sum(self._store_one(ended) for ended in passes)
        self._end_lost_spell()
        for ref, new in zip(refs, reads, strict=True):
            self._announce(ref.sequence, new.read)
        return len(refs)

    def _store_one(self, ended: EndedPass, *, ends: bool = True) -> bool:
        """Store one pass; False if it could not be stored, which counts as a loss if the pass `ends`."""
        new = self._new_read(ended)
        while True:
            hit = False
            try:
                hit = self._matches(ended)
                if hit:
                    number, *alerts = self._ledger.append_hit(new, self._alerts(new.read))
                else:
                    number = self._ledger.append_read(
                        new.read, patch=new.patch, overview=new.overview
                    ).sequence
                break
            except UNSTORED as error:
                if hit:  # still warn the people in the car
                    self._unstored(new.read)
                if not self._is_waited_for(error):
                    self._lose(error, reads=int(ends), hits=int(ends and hit))
                    return False
        self._end_lost_spell()
        if hit:
            self._met(number, alerts)
        self._announce(number, new.read)
        return True

    def _new_read(self, ended: EndedPass) -> NewRead:
        # A pass ends seconds after its best frame, and by then a moving unit is elsewhere.
        ago_s = (self._clock.now().us - ended.frame.captured.us) / 1e6
        here = self._position(max(0.0, ago_s))
        around = self._around if here is None else replace(self._around, position=here)
        read = read_of(ended, around)
        return NewRead(
            read=read,
            patch=patch_png(ended.vehicle.best_patch),
            overview=overview_jpeg(ended.frame, quality=self._quality),
        )

    def blind(self, spell: BlindSpell) -> None:
        """Record a time without frames."""
        self._log.warning(
            "camera_blind", seconds=round(spell.blind_s, 1), reason=spell.reason, reopened=spell.reopened
        )
        gap = Gap(
            reason=f"camera: {spell.reason}"[:200],
            from_us=spell.began.us,
            to_us=max(spell.began.us, spell.ended.us),
            lost=0,
        )
        with self._lock:
            if not self._recorded(gap):
                self._owed.append(gap)

    def close(self, lost_in_all: int = 0) -> None:
        """Record a spell of lost reads that lasts until now, if possible.

        lost_in_all: the passes of the whole run that were not stored, so that those count, too, that still
        waited as an error ended it.
        """
        with self._lock:
            rest = lost_in_all - self._lost_in_all
            if rest > 0 and self._lost_since_us is None:
                self._lost_since_us, self._why = self._ledger.store.time.boot_us, "the run ended"
            self._lost += max(rest, 0)
        self._end_lost_spell("reads_lost_until_the_end")

    def _is_waited_for(self, error: Exception) -> bool:
        """Wait a moment for the store; returns whether to try again. Raises like `_lose`."""
        with self._lock:
            self._begin_spell(error)
        if not self._waits():
            return False
        with self._lock:
            self._limit(error)
        self.waiting = True
        time.sleep(AGAIN_S)
        self.waiting = self._waits()
        return True

    def _lose(self, error: Exception, *, reads: int, hits: int) -> None:
        """Count what was not stored. Raises the error if it has prevented storing for too long."""
        with self._lock:
            self._begin_spell(error)
            self._lost += reads
            self._lost_in_all += reads
            self._lost_hits += hits
            self._limit(error)

    def _begin_spell(self, error: Exception) -> None:
        if self._lost_since_us is not None:
            return
        full = isinstance(error, StoreFullError)
        self._lost_since_us = self._ledger.store.time.boot_us
        self._why = "store full" if full else f"store failed: {type(error).__name__}"
        self._log.error("store_full" if full else "store_failed", reason=str(error))

    def _limit(self, error: Exception) -> None:
        undecided = self._undecided(error)
        if isinstance(error, StoreFullError):
            self._failed_since_s = None
        elif self._failed_since_s is None:
            self._failed_since_s = self._monotonic()
        elif self._monotonic() - self._failed_since_s >= FAILED_LIMIT_S and not undecided:
            raise error

    def _end_lost_spell(self, event: str = "store_has_room_again") -> None:
        self.waiting = False
        with self._lock:
            self._failed_since_s = None
            while self._owed and self._recorded(self._owed[0]):
                self._owed.popleft()
            if self._lost_since_us is None:
                return
            if not self._lost:  # the source waited, so nothing was lost
                self._log.warning(event, lost=0)
                self._lost_since_us = None
                return
            until_us = self._clock.now().us
            from_us = until_us - (self._ledger.store.time.boot_us - self._lost_since_us)
            why = f"{self._why}; hits among the reads: {self._lost_hits}" if self._lost_hits else self._why
            gap = Gap(reason=why, from_us=max(0, from_us), to_us=until_us, lost=self._lost)
            if self._recorded(gap):
                self._log.warning(event, lost=self._lost)
                self._lost_since_us, self._lost, self._lost_hits = None, 0, 0

    def _recorded(self, gap: Gap) -> bool:
        try:
            self._ledger.append(gap)
        except UNSTORED as error:
            self._log.error("gap_not_recorded", reason=str(error), lost=gap.lost)
            return False
        return True
