"""Entries about sharing with other agencies (463.6). No I/O."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import ClassVar

from storage import envelope
from storage.errors import RecordError
from storage.times import DAY_US
from sync.department.journal.entry_base import Note

DELIVER_DAYS = 30  # in which an approved request must be delivered
WRITTEN = b"alpr-department/written-request/v1\x00"
TODAY_US = DAY_US  # a form gives the end of a day


def read_by(until_us: int, asked_us: int) -> int:
    """Until when reads may leave for a request: as it says, but at most until it was entered."""
    return min(until_us, asked_us + TODAY_US)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a sharing request covers; a delivery cannot exceed it."""

    plates: tuple[str, ...] = field(repr=False)
    since_us: int
    until_us: int
    images: bool

    def check(self) -> None:
        if not self.plates:
            raise RecordError("a request names at least one plate", where="scope")
        if not 0 <= self.since_us < self.until_us:
            raise RecordError("the time asked for ends before it begins", where="scope")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareAsked(Note):
    """463.6 (a): agency, person, purpose, the letter and the scope. `agreement`: its id, or empty."""

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
    """A delivery's agency, purpose and number, as in the written request."""
    agency = f"{asked.agency} ({asked.agency_kind}, {asked.state}), {asked.person}"
    return " ".join(agency.splitlines()), " ".join(asked.purpose.splitlines()), asked.number


def written_digest(agency: str, purpose: str, number: str) -> bytes:
    """The digest of these lines in a delivery's access, with which an outsider can check a package."""
    return hashlib.sha256(WRITTEN + envelope.encode([agency, purpose, number])).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareRouted(Note):
    """A request by another kind of agency was handed to records release; it is never answered here."""

    KIND: ClassVar[str] = "share_routed"
    agency: str
    person: str
    to: str
    letter_digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareReviewed(Note):
    """463.6 (b): the note of the request's reviewer."""

    KIND: ClassVar[str] = "share_reviewed"
    request: int
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareDecided(Note):
    """463.6 (b): the administrator or a designee approved or refused the request."""

    KIND: ClassVar[str] = "share_decided"
    request: int
    approved: bool
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareDelivered(Note):
    """A package left under an approved request; these entries count transfers under an agreement."""

    KIND: ClassVar[str] = "share_delivered"
    request: int
    access: int
    count: int
    package: bytes
