"""Entries of sharing with other agencies (463.6). No I/O."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import ClassVar

from storage import envelope
from storage.errors import RecordError
from storage.times import DAY_US
from sync.department.journal.entry_base import Note

DELIVER_DAYS = 30  # what was approved leaves within them
WRITTEN = b"alpr-department/written-request/v1\x00"
TODAY_US = DAY_US  # a form names the end of a day


def read_by(until_us: int, asked_us: int) -> int:
    """Up to when reads may leave for a request that was entered then: what it names, and nothing later."""
    return min(until_us, asked_us + TODAY_US)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a sharing request covers: delivery cannot exceed it."""

    plates: tuple[str, ...] = field(repr=False)
    since_us: int
    until_us: int
    images: bool

    def check(self) -> None:
        if not self.plates or not 0 <= self.since_us < self.until_us:
            raise RecordError("a scope names plates and a time that runs forward", where="scope")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareAsked(Note):
    """463.6 (a): agency, person, purpose, the letter itself and the scope. `agreement`: its id, or empty."""

    KIND: ClassVar[str] = "share_asked"
    agency: str
    agency_kind: str
    state: str
    person: str
    purpose: str
    number: str
    letter: bytes = field(repr=False)
    letter_name: str
    scope: Scope
    agreement: str


def written_of(asked: ShareAsked) -> tuple[str, str, str]:
    """For whom a delivery is, what for, and the agency's number, as a written request says it."""
    agency = f"{asked.agency} ({asked.agency_kind}, {asked.state}), {asked.person}"
    return " ".join(agency.splitlines()), " ".join(asked.purpose.splitlines()), asked.number


def written_digest(agency: str, purpose: str, number: str) -> bytes:
    """What the access of a delivery says of these lines: a stranger holds a package against it."""
    return hashlib.sha256(WRITTEN + envelope.encode([agency, purpose, number])).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareRouted(Note):
    """Not a law enforcement or prosecutorial agency: handed to records release, never answered here."""

    KIND: ClassVar[str] = "share_routed"
    agency: str
    person: str
    to: str
    letter_digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareReviewed(Note):
    """463.6 (b): what the reviewer of the request noted."""

    KIND: ClassVar[str] = "share_reviewed"
    request: int
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareDecided(Note):
    """463.6 (b): approved or refused by the administrator or a designee."""

    KIND: ClassVar[str] = "share_decided"
    request: int
    approved: bool
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareDelivered(Note):
    """A package left under an approved request; transfers under an agreement are counted by these."""

    KIND: ClassVar[str] = "share_delivered"
    request: int
    access: int
    count: int
    package: bytes
