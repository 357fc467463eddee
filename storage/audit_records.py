"""The records of what people and the machine did: lookups, holds, exports, changes, decisions. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

from storage.record_base import ClockState, Record


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitAccess(Record):
    """A lookup, allowed or refused: 463.5 (b), Cal. Civ. Code 1798.90.52. In the log before any answer."""

    KIND: ClassVar[str] = "access"
    action: str
    at_us: int
    clock_state: ClockState
    user: str
    role: str
    organisation: str
    purpose: str
    case_number: str
    elements: str = field(repr=False)
    allowed: bool
    refusal: str | None
    proof: str
    demo: bool
    records: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitAccessEnded(Record):
    """How a logged lookup ended: which records its answer showed."""

    KIND: ClassVar[str] = "access_result"
    access: int
    records: tuple[int, ...]
    at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold(Record):
    """Records kept past their retention (463.8), by sequence number; `hold_epoch` names their key."""

    KIND: ClassVar[str] = "hold"
    records: tuple[int, ...]
    hold_epoch: int
    ground: str
    authority: str
    number: str
    user: str
    role: str
    organisation: str
    at_us: int
    demo: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Release(Record):
    """The end of a hold: its evidence item, and a second person."""

    KIND: ClassVar[str] = "release"
    hold: int
    hold_epoch: int
    evidence_item: str
    user: str
    second_user: str
    at_us: int
    demo: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Export(Record):
    """An exported evidence package: which records, which elements, for whom."""

    KIND: ClassVar[str] = "export"
    records: tuple[int, ...]
    elements: tuple[str, ...]
    package: bytes
    hold: int | None
    number: str
    user: str
    at_us: int
    demo: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration(Record):
    """A configuration or signed file that came into force: its name, version, digest and text."""

    KIND: ClassVar[str] = "configuration"
    name: str
    version: int
    digest: bytes
    document: bytes = field(repr=False)
    at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockStep(Record):
    """A jump of the clock, and how custody responded."""

    KIND: ClassVar[str] = "clock_step"
    from_us: int
    to_us: int
    accepted: bool
    state: ClockState
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceLine(Record):
    """One command of a technician or vendor: written before its output, secrets replaced.

    `phase`: begin or end. The end has the result, the output's SHA-256, and up to 64 kB of the output.
    """

    KIND: ClassVar[str] = "maintenance"
    session: str
    person: str
    role: str
    grant: str
    phase: str
    line: str
    result: str
    at_us: int
    output_digest: bytes
    output: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Update(Record):
    """A software or model update: carried, installed, refused or rolled back."""

    KIND: ClassVar[str] = "update"
    what: str
    from_version: str
    to_version: str
    digest: bytes
    outcome: str
    at_us: int


class Verdict(StrEnum):
    """What a person found: the plate is as read, another one, or as read but no reason to act."""

    CONFIRMED = "confirmed"
    MISREAD = "misread"
    DISMISSED = "dismissed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision(Record):
    """What a person decided about an alert (463.7), and whether the image was looked at for it."""

    KIND: ClassVar[str] = "decision"
    alert: int
    user: str
    role: str
    image_viewed: bool
    verdict: Verdict
    at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap(Record):
    """A time in which the unit could not see or store: from when to when, why, and how much was lost."""

    KIND: ClassVar[str] = "gap"
    reason: str
    from_us: int
    to_us: int
    lost: int
