"""Entries about holds, evidence and purges (463.8). No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from storage.codec import later, omitted
from storage.counts import counted
from sync.department.journal.entry_base import Note
from sync.department.journal.inquiry_entries import demand_days

ASKED_DAYS = 7  # how long the first person's request to release waits for the second


def held_words(action: str, number: str, reads: int) -> str:
    """The data elements of the access of a hold or an export: its number, and how many reads."""
    return f"{action} {number}, {counted(reads, 'read')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldPlaced(Note):
    """463.8: reads are kept beyond the year: on which ground, by whose authority, under which number.

    `access`: the access entry under which their content was resealed; the hold's key is named for it.
    `received`: the day of receipt of each read (days since 1970, UTC), which the store forgets with the day;
    empty in older entries.
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
    """A hold left on portable media: the package's SHA-256 and the medium."""

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
    """The first person asks to end a hold.

    It was booked under an item number; or it was never exported, so has none, and ends for a `reason`.
    """

    KIND: ClassVar[str] = "release_asked"
    hold: int
    evidence_item: str
    reason: str = later("")


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldReleased(Note):
    """A second person agreed to end a hold, so that its reads are purged after their year again.

    `access`: names the key that is destroyed. `evidence_item`: empty for a hold that was never exported.
    """

    KIND: ClassVar[str] = "released"
    hold: int
    access: int
    evidence_item: str
    asked_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged(Note):
    """463.8: a day of receipt was destroyed at the end of its year.

    `reads`, `elements`: how many; `receipt`: SHA-256 of the signed purge receipt in the store.
    """

    KIND: ClassVar[str] = "purged"
    day: str
    reads: int
    elements: int
    clause: str
    purged_us: int
    receipt: bytes
