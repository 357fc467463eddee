"""Puts passes and gaps into the ledger; a full store loses reads for a recorded time, and goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import structlog

from firmware.pictures import overview_jpeg, patch_png
from firmware.pipeline import EndedPass
from firmware.record import Surroundings, read_of
from hw.camera_watch import BlindSpell
from hw.clock import Clock
from storage.errors import StoreFullError
from storage.ledger import Ledger
from storage.records import Gap, Position, Read


class Bookkeeper:
    """The way from the pipeline into the ledger. announce: called once a read is durable, with its number.

    position: where a moving unit was so many seconds ago; None where the surveyed place holds.
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
    ) -> None:
        self._ledger = ledger
        self._around = around
        self._clock = clock
        self._quality = overview_quality
        self._announce = announce
        self._position = position
        self._log = log
        self._lock = threading.Lock()
        self._full_since_us: int | None = None
        self._lost = 0

    def store(self, ended: EndedPass) -> bool:
        """One pass as a signed read. False, with the loss counted, when the store is full."""
        # A pass is over seconds after its best frame, and a vehicle has driven on by then.
        ago_s = (self._clock.now().us - ended.frame.captured.us) / 1e6
        here = self._position(max(0.0, ago_s))
        around = self._around if here is None else replace(self._around, position=here)
        read = read_of(ended, around)
        overview = overview_jpeg(ended.frame, quality=self._quality)
        try:
            ref = self._ledger.append_read(read, patch=patch_png(ended.vehicle.best_patch), overview=overview)
        except StoreFullError as error:
            self._lose(str(error))
            return False
        self._end_full_spell()
        self._announce(ref.sequence, read)
        return True

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
        try:
            self._ledger.append(gap)
        except StoreFullError as error:
            self._log.error("gap_not_recorded", reason=str(error))

    def close(self) -> None:
        """Record a time with a full store that lasts until now, if it can be."""
        self._end_full_spell()

    def _lose(self, reason: str) -> None:
        with self._lock:
            if self._full_since_us is None:
                self._full_since_us = self._clock.now().us
                self._log.error("store_full", reason=reason)
            self._lost += 1

    def _end_full_spell(self) -> None:
        with self._lock:
            if self._full_since_us is None:
                return
            until_us = max(self._full_since_us, self._clock.now().us)
            gap = Gap(reason="store full", from_us=self._full_since_us, to_us=until_us, lost=self._lost)
            try:
                self._ledger.append(gap)
            except StoreFullError as error:
                self._log.error("gap_not_recorded", reason=str(error), lost=self._lost)
                return
            self._log.warning("store_has_room_again", lost=self._lost)
            self._full_since_us, self._lost = None, 0
