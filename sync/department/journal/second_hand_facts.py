"""What is kept about second persons: what was proposed, decided, asked for, placed and used."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from storage import envelope
from storage.codec import later
from storage.errors import StorageError
from storage.plate_text import normal_plate
from sync.department.journal.change_entries import ChangeDecided
from sync.department.journal.entry_base import Note, Stamp
from sync.department.journal.inquiry_entries import SearchApproved
from sync.department.journal.office_entries import IncidentSettled
from sync.department.journal.sharing_entries import ShareAsked, ShareDecided, written_digest, written_of
from sync.department.journal.statements import Statement, proposal_digest
from sync.department.journal.unsigned import UnsignedError
from sync.department.policy.roles import Call, Role

K = TypeVar("K")
V = TypeVar("V")
PLATE = b"alpr-department/asked-plate/v1\x00"
WORDS = b"alpr-department/access-words/v1\x00"
ITEM = b"alpr-department/evidence-item/v1\x00"
DECIDES = {
    "inquiry/approve": Call.INQUIRY_APPROVE,
    "change/approve": Call.CHANGE_APPROVE,
    "share/decide": Call.SHARE_APPROVE,
}
"""What a role must permit for each decision."""
WITH_DATA = frozenset({"hotlist/add", "hotlist/push", "hold/place", "hold/export"})
"""Changes about plates or reads: who makes, opens or approves one needs current training (463.3)."""


def forget(known: dict[K, V], is_over: Callable[[V], bool]) -> None:
    """Drop expired items from the front of a dictionary that was filled in order of time."""
    while known:
        first = next(iter(known))
        if not is_over(known[first]):
            return
        del known[first]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A proposed change: its call, the digest of its form, by whom, when."""

    call: str
    digest: bytes
    user: str
    at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedDecision:
    """A second person's approval, or the first person's request.

    `roles`: those that its person held then and has kept since; None if an older version kept it, until the
    next entry that changes roles. `about`: the incident, or the item number under which a hold ends; empty if
    an older version kept it.
    """

    user: str
    at_us: int
    roles: tuple[Role, ...] | None = later(None)
    about: bytes = later(b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionSaid:
    """What an entry says of a decision. `call`: makes it; `names`: of the fields in its form for what it is
    about, for yes or no, and for its words."""

    call: str
    names: tuple[str, str, str]
    number: int
    granted: bool
    words: str

    @classmethod
    def of(cls, note: Note) -> DecisionSaid:
        """Of an entry of one of these kinds. Raises TypeError."""
        names = ("proposal", "granted", "reason")
        match note:
            case ShareDecided(request=number, approved=granted, note=words):
                call, names = "share/decide", ("request", "approved", "note")
            case SearchApproved(proposal=number, granted=granted, reason=words):
                call = "inquiry/approve"
            case ChangeDecided(proposal=number, granted=granted, reason=words):
                call = "change/approve"
            case _:
                raise TypeError("a decision is one of these kinds")
        return cls(call=call, names=names, number=number, granted=granted, words=words)

    def demand_said(self, call: str, form: Mapping[str, object], *, whole: bool) -> None:
        """The signed call decides just that; `whole`: in these words. Raises UnsignedError."""
        number, granted, words = (form.get(one) for one in self.names)
        same = call == self.call and number == self.number and granted is self.granted
        if not same or (whole and words != self.words):
            raise UnsignedError("the signed call decides something else")


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingEmergency:
    """An emergency search that waits for judgment: whose it is, and when that is due; -1 until requested."""

    user: str
    due_us: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedScope:
    """What another agency asked for: digests of the plates, and the time.

    `user`: who entered the request; `agency`: its kind and state; `written`: as `Access.written`, empty if an
    older version kept it; `images`: whether pictures were asked for.
    """

    agency: tuple[str, str]
    plates: tuple[bytes, ...]
    since_us: int
    until_us: int
    user: str
    at_us: int
    written: bytes = later(b"")
    images: bool = later(True)

    @classmethod
    def of(cls, note: ShareAsked, stamp: Stamp) -> AskedScope:
        """Make the scope of an entry."""
        return cls(
            agency=(note.agency_kind, note.state),
            plates=tuple(plate_digest(one) for one in note.scope.plates),
            since_us=note.scope.since_us,
            until_us=note.scope.until_us,
            user=stamp.user,
            at_us=stamp.at_us,
            written=written_digest(*written_of(note)),
            images=note.scope.images,
        )


def incident_digest(note: IncidentSettled) -> bytes:
    """SHA-256 of an incident's facts, since a store that was set back reuses its number."""
    return hashlib.sha256(envelope.encode([note.kind, note.unit, note.opened_us])).digest()


def reads_digest(reads: Iterable[str]) -> bytes:
    """SHA-256 of the names of reads."""
    return hashlib.sha256(envelope.encode(list(reads))).digest()


def item_digest(item: str) -> bytes:
    """SHA-256 of an evidence item number that a person typed; empty for none."""
    return hashlib.sha256(ITEM + item.encode()).digest() if item else b""


def words_digest(words: str) -> bytes:
    """SHA-256 of the words of an access, which name a case."""
    return hashlib.sha256(WORDS + words.encode()).digest()


def release_digest(item: str) -> bytes:
    """SHA-256 of what a request to end a hold is about: this item number, or none."""
    return hashlib.sha256(envelope.encode(["release", item])).digest()


def plate_digest(plate: str) -> bytes:
    """The digest of a plate that was asked for."""
    return hashlib.sha256(PLATE + normal_plate(plate).encode()).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedHold:
    """A placed hold: the access that its key is named for, and a digest of its reads.

    Also whether its export has begun, a digest of the item number under which it was booked, or empty, and a
    digest of the words of its export, empty if an older version kept it.
    """

    access: int
    reads: bytes
    exported: bool = later(False)
    item: bytes = later(b"")
    words: bytes = later(b"")

    def demand_words(self, words: str) -> None:
        """The data elements of an export. Raises UnsignedError."""
        if self.words not in {b"", words_digest(words)}:
            raise UnsignedError("its data elements are not those of the hold")

    def demand_item(self, item: str, *, books: bool) -> None:
        """Raises UnsignedError unless the item number fits.

        A hold is booked once its export has begun, and ends under that item number, or under none if no
        export began.
        """
        if books:
            if not self.exported:
                raise UnsignedError("that hold was never exported")
        elif item_digest(item) != self.item or (self.exported and not item):
            raise UnsignedError("that hold was exported, or was booked under another item number")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """A used approval: the entry that used it first, and the statement of that entry's call."""

    entry: int
    by: bytes
    at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """A training according to its signed entry."""

    held_us: int
    topics: tuple[str, ...]


def change_digest(said: Statement) -> bytes:
    """SHA-256 of a signed form as proposed: everything in it except the approval."""
    return proposal_digest(said.call, parse_form(said))


def approval_of(said: Statement) -> int:
    """The approved proposal that a call names, or -1."""
    form = parse_form(said)
    named = (form.get(one) for one in ("proposal", "approval"))
    return next((one for one in named if type(one) is int and one >= 0), -1)


def parse_form(said: Statement) -> dict[str, object]:
    """The fields of the form that a person signed. Raises UnsignedError."""
    try:
        return dict(said.fields())
    except StorageError:
        raise UnsignedError("the signed form is malformed") from None


def exported_by(said: Statement) -> object:
    """The hold whose export a signed call begins. Raises UnsignedError for another call."""
    if said.call != "hold/export":
        raise UnsignedError("the signed call exports nothing")
    return parse_form(said).get("hold")
