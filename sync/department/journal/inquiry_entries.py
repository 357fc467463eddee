"""Queries with their grounds, and the entries of a lookup: asked, proposed, approved, made, answered."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import ClassVar, Self

from storage.codec import later, omitted
from storage.errors import RecordError
from storage.times import iso_text, parse_utc
from sync.department.journal.entry_base import Note

_NUMBER = r"(-?\d[\d.e+-]*)"
_QUERY = re.compile(
    rf"plate=(\S+) from=(\S+) to=(\S+)(?: area={_NUMBER},{_NUMBER},{_NUMBER}m)?(?: unit=(.+))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """A place: WGS 84 degrees and a radius in meters."""

    latitude: float
    longitude: float
    radius_m: float

    def check(self) -> None:
        wrong = [
            words
            for words, fits in (
                ("latitude is not -90 to 90 degrees", -90 <= self.latitude <= 90),
                ("longitude is not -180 to 180 degrees", -180 <= self.longitude <= 180),
                ("radius is not above 0 and to 50,000 meters", 0 < self.radius_m <= 50_000),
            )
            if not fits
        ]
        if wrong:
            raise RecordError(", ".join(wrong), where="query.area")


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """The data elements of a lookup. `plate`: exact, or with * and ?, or empty; `unit`: empty for all."""

    plate: str = field(default="", repr=False)
    since_us: int
    until_us: int
    area: Area | None = None
    unit: str = ""

    def text(self) -> str:
        """The data elements as text, for the ALPR Request (463.5 (b) 2)."""
        place = (
            f" area={self.area.latitude},{self.area.longitude},{self.area.radius_m:g}m" if self.area else ""
        )
        unit = f" unit={self.unit}" if self.unit else ""
        times = f"from={iso_text(self.since_us)} to={iso_text(self.until_us)}"
        return f"plate={self.plate or '(none)'} {times}{place}{unit}"

    @classmethod
    def of_text(cls, text: str) -> Self:
        """Parse what `text` wrote. Raises RecordError for anything else."""
        found = _QUERY.fullmatch(text)
        if found is None:
            raise RecordError("is not what a lookup's entry says", where="query")
        plate, since, until, latitude, longitude, radius, unit = found.groups()
        area = None
        if latitude is not None:
            area = Area(latitude=float(latitude), longitude=float(longitude), radius_m=float(radius))
        return cls(
            plate="" if plate == "(none)" else plate,
            since_us=parse_utc(since, where="query.since_us"),
            until_us=parse_utc(until, where="query.until_us"),
            area=area,
            unit=unit or "",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """The ground: a purpose of 463.2, a basis of 463.5 (a) with its number, and a justification in words."""

    purpose: str
    basis: str
    number: str
    number_kind: str
    justification: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InquiryAsked(Note):
    """A request in the queue, made by an officer or analyst, for another person to run."""

    KIND: ClassVar[str] = "asked"
    query: Query
    ground: Ground


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchProposed(Note):
    """A search without a full plate waits for a second person. `request`: its entry in the queue, or -1."""

    KIND: ClassVar[str] = "proposed"
    query: Query
    ground: Ground
    request: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchApproved(Note):
    """A second person approved or declined exactly this proposal."""

    KIND: ClassVar[str] = "approved"
    proposal: int
    granted: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalUsed(Note):
    """A search used up a second person's approval."""

    KIND: ClassVar[str] = "approval_used"
    proposal: int


PLACED, AGREED_HOLD = "placed the hold", "approved the hold"
EXPORTED, AGREED_EXPORT = "exported", "approved the export"
DELIVERED, AGREED_REQUEST = "delivered", "approved the request"


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetPerson:
    """A person whom a package's cover sheet names.

    `part`: what the person did, one of the words above; `name`: the full name in the account when the package
    was made.
    """

    part: str
    user: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Access(Note):
    """An access to ALPR data: the ALPR Request of 463.5 (b), entered before any answer.

    `action`: search, image, export, delivery, answer. `on_behalf_of`: the requester of a queued request, or
    empty. `request`, `approval`: the entries that it is based on, or -1. `reads`: the reads of an image or
    export. `written`: for a delivery, SHA-256 of the agency, the purpose and the number
    (`sharing_entries.written_digest`); empty in older entries. `people`: for an export or delivery, those
    whom its package's cover sheet names; empty in older entries.
    """

    KIND: ClassVar[str] = "access"
    action: str
    elements: str = field(repr=False)
    plate: str = field(repr=False)
    ground: Ground
    on_behalf_of: str
    request: int
    approval: int
    reads: tuple[str, ...]
    written: bytes = later(b"")
    people: tuple[SheetPerson, ...] = omitted(())


def images_of(read: str) -> str:
    """The data elements for a view of a read's pictures."""
    return f"images of {read}"


def demand_days(reads: tuple[str, ...], received: tuple[int, ...]) -> None:
    """Raises RecordError unless there is a day of receipt for each read, or for none."""
    if received and len(received) != len(reads):
        raise RecordError("has a day of receipt for each read, or for none", where="received")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessEnded(Note):
    """How an access, or a reading of the log, ended: how many results, which reads, whether unwitnessed.

    `received`: for a delivery, the day of receipt of each read (days since 1970, UTC); empty in older
    entries.
    """

    KIND: ClassVar[str] = "result"
    STATE: ClassVar[bool] = False
    access: int
    count: int
    reads: tuple[str, ...]
    unwitnessed: bool
    received: tuple[int, ...] = omitted(())

    def check(self) -> None:
        demand_days(self.reads, self.received)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchStep(Note):
    """A step of a search that runs in steps, entered before it opens anything.

    `access`: the search's entry; `after`: where the previous step ended, or empty; `reads`: how many it
    opens.
    """

    KIND: ClassVar[str] = "search_step"
    STATE: ClassVar[bool] = False
    access: int
    after: str
    reads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchEnded(Note):
    """How far a search that ran in steps got. `how`: done or cancelled.

    `opened`: how many reads were opened; `of`: how many it would have opened; `found`: how many matched.
    """

    KIND: ClassVar[str] = "search_ended"
    STATE: ClassVar[bool] = False
    access: int
    how: str
    opened: int
    of: int
    found: int

    def check(self) -> None:
        if self.how not in {"done", "cancelled"}:
            raise RecordError("is done or cancelled", where="search_ended.how")
