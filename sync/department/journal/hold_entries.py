"""Entries of holds, evidence and purges (463.8). No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from storage.codec import later, omitted
from sync.department.journal.entry_base import Note
from sync.department.journal.inquiry_entries import demand_days

ASKED_DAYS = 7  # the first person's word to release waits so long for the second


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldPlaced(Note):
    """463.8: reads kept beyond the year, on one of the grounds, by whose authority, under which number.

    `access`: the access entry under which their content was sealed again; the hold's key is named after it.
    `received`: the day of receipt of each read (days since 1970, UTC), which the store forgets with the day;
    none in entries of earlier versions.
    """

    KIND: ClassVar[str] = "hold"
    access: int
    reads: tuple[str, ...]
    ground: str
    authority: str
    number: str
    received: tuple[int, ...] = omitted(())

    def check(self) -> None:
        demand_days(self.reads, self.received)


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldExported(Note):
    """A held read left on portable media: the package's SHA-256 and the medium."""

    KIND: ClassVar[str] = "hold_exported"
    hold: int
    access: int
    package: bytes
    medium: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldBooked(Note):
    """The medium was booked into evidence under this item number."""

    KIND: ClassVar[str] = "hold_booked"
    hold: int
    evidence_item: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseAsked(Note):
    """The first person asks to end a hold that was booked; or one that was never exported, which has no item
    number, and ends for a `reason`."""

    KIND: ClassVar[str] = "release_asked"
    hold: int
    evidence_item: str
    reason: str = later("")


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldReleased(Note):
    """A second person agreed: the reads are purged after their year again. `access`: names the key that is
    destroyed. `evidence_item`: empty for a hold that was never exported."""

    KIND: ClassVar[str] = "released"
    hold: int
    access: int
    evidence_item: str
    asked_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged(Note):
    """463.8: a day of receipt was destroyed at its year's end.

    `reads`, `elements`: how many; `receipt`: SHA-256 of the signed purge receipt in the store.
    """

    KIND: ClassVar[str] = "purged"
    day: str
    reads: int
    elements: int
    clause: str
    purged_us: int
    receipt: bytes
