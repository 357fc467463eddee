"""Every record kind of the log, frozen. No I/O.

A kind says under which key class its content is sealed, and so how long it stays readable:

    read     reads that met no hot list          hit      reads and alerts that did
    audit    who asked, decided, changed, worked open     not secret: a stranger must be able to check it

Times are int64 microseconds UTC. `repr` of a read or alert never shows its text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

from storage.alert_life import AlertStep
from storage.errors import RecordError
from storage.plate_text import PLATE_TEXT


class KeyClass(StrEnum):
    """Which family of keys seals a record's content."""

    READ = "read"
    HIT = "hit"
    HOLD = "hold"
    AUDIT = "audit"
    OPEN = "open"


class ClockState(StrEnum):
    """How far the clock can be believed."""

    DISCIPLINED = "disciplined"
    HOLDOVER = "holdover"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """WGS 84 degrees, error radius in metres."""

    latitude: float
    longitude: float
    error_m: float

    def check(self) -> None:
        if not (-90 <= self.latitude <= 90 and -180 <= self.longitude <= 180 and self.error_m >= 0):
            raise RecordError("latitude, longitude or error out of range", where="position")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Base of all kinds; each names its KIND and KEY_CLASS."""

    KIND: ClassVar[str] = ""
    KEY_CLASS: ClassVar[KeyClass] = KeyClass.AUDIT


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadText:
    """The element `text` of a read: what the plate says and how it was read.

    `slots`: float32 little endian (S, 37) over A-Z0-9 then "no character", or empty; `candidates`:
    (text, probability), best first; `models`: (name, SHA-256 of the file).
    """

    text: str = field(repr=False)
    confidence: float
    jurisdiction: str | None
    slots: bytes = field(repr=False)
    candidates: tuple[tuple[str, float], ...] = field(repr=False)
    frames_voted: int
    plate_box: tuple[float, float, float, float]
    corners: tuple[tuple[float, float], ...]
    models: tuple[tuple[str, bytes], ...]
    software: str
    demo: bool

    def check(self) -> None:
        if not PLATE_TEXT.fullmatch(self.text):
            raise RecordError("must be 1 to 16 of A-Z, 0-9, ?", where="read.text")
        if not 0.0 <= self.confidence <= 1.0:
            raise RecordError("must lie in 0 to 1", where="read.confidence")
        if self.frames_voted < 1 or len(self.slots) % (37 * 4):
            raise RecordError("frames_voted or slots malformed", where="read")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadPlace:
    """The element `place` of a read: when, where, which way, by which camera."""

    first_us: int
    last_us: int
    time_error_us: int
    clock_state: ClockState
    position: Position | None
    direction: str
    lane: int | None
    camera: str

    def check(self) -> None:
        if self.direction not in {"towards", "away", "parked", "unknown"}:
            raise RecordError("must be towards, away, parked or unknown", where="read.direction")
        if not 0 <= self.first_us <= self.last_us or self.time_error_us < 0:
            raise RecordError("must run forward", where="read.first_us, last_us")


@dataclass(frozen=True, slots=True, kw_only=True)
class Read(Record):
    """One vehicle pass. `slots`: float32 (S, 37), little endian: numpy `.astype("<f4").tobytes()`."""

    KIND: ClassVar[str] = "read"
    KEY_CLASS: ClassVar[KeyClass] = KeyClass.READ

    text: str = field(repr=False)
    confidence: float
    jurisdiction: str | None = None
    slots: bytes = field(default=b"", repr=False)
    candidates: tuple[tuple[str, float], ...] = field(default=(), repr=False)
    direction: str = "unknown"
    lane: int | None = None
    first_us: int
    last_us: int
    time_error_us: int
    clock_state: ClockState
    position: Position | None = None
    camera: str
    frames_voted: int = 1
    plate_box: tuple[float, float, float, float]
    corners: tuple[tuple[float, float], ...] = ()
    models: tuple[tuple[str, bytes], ...] = ()
    software: str = ""
    demo: bool = True

    def __post_init__(self) -> None:
        self.text_part().check()
        self.place_part().check()

    def text_part(self) -> ReadText:
        return ReadText(**{name: getattr(self, name) for name in ReadText.__slots__})

    def place_part(self) -> ReadPlace:
        return ReadPlace(**{name: getattr(self, name) for name in ReadPlace.__slots__})

    @classmethod
    def of(cls, text: ReadText, place: ReadPlace) -> Read:
        """Put the two elements together again."""
        parts = {name: getattr(text, name) for name in ReadText.__slots__}
        return cls(**parts, **{name: getattr(place, name) for name in ReadPlace.__slots__})


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOpened(Record):
    """The first record of a log; `previous` is the last co-signed checkpoint of a log it replaces."""

    KIND: ClassVar[str] = "log_opened"
    KEY_CLASS: ClassVar[KeyClass] = KeyClass.OPEN
    public_key: bytes
    format: int
    slot: str
    demo: bool
    opened_us: int
    clock_state: ClockState
    previous: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochOpened(Record):
    """A new epoch of a key class; `key_at` says where its key lies: kek, day, or memory."""

    KIND: ClassVar[str] = "epoch_opened"
    KEY_CLASS: ClassVar[KeyClass] = KeyClass.OPEN
    epoch: int
    key_class: KeyClass
    opened_us: int
    clock_state: ClockState
    key_at: str
    day_key: bytes | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochPurged:
    """One epoch in a purge: how many records and stored elements it held, under which clause, why."""

    epoch: int
    key_class: KeyClass
    records: int
    clause: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeIntent(Record):
    """Written before anything is destroyed. `generation` is the KEK generation that will hold after."""

    KIND: ClassVar[str] = "purge_intent"
    KEY_CLASS: ClassVar[KeyClass] = KeyClass.OPEN
    generation: int
    epochs: tuple[EpochPurged, ...]
    at_us: int
    clock_state: ClockState
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeReceipt(Record):
    """Written after: what was destroyed, and on what kind of slot the promise stands."""

    KIND: ClassVar[str] = "purge_receipt"
    KEY_CLASS: ClassVar[KeyClass] = KeyClass.OPEN
    intent: int
    generation: int
    epochs: tuple[EpochPurged, ...]
    at_us: int
    clock_state: ClockState
    slot: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeAbandoned(Record):
    """An intent that never reached the slot: nothing was destroyed, and its keyring is discarded."""

    KIND: ClassVar[str] = "purge_abandoned"
    KEY_CLASS: ClassVar[KeyClass] = KeyClass.OPEN
    intent: int
    at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldEnded(Record):
    """The epoch of a hold whose release is in the audit records: its content is due."""

    KIND: ClassVar[str] = "hold_ended"
    KEY_CLASS: ClassVar[KeyClass] = KeyClass.OPEN
    epoch: int
    release: int
    at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Resealed(Record):
    """A held record's content under a key of its own; its elements carry the old commitments."""

    KIND: ClassVar[str] = "resealed"
    KEY_CLASS: ClassVar[KeyClass] = KeyClass.OPEN
    record: int
    hold: int
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadReceipt(Record):
    """The department's signed receipt (COSE) for leaves whose content it opened and synced."""

    KIND: ClassVar[str] = "upload_receipt"
    KEY_CLASS: ClassVar[KeyClass] = KeyClass.OPEN
    receipt: bytes
    ranges: tuple[tuple[int, int], ...]
    received_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FileInForce(Record):
    """A signed file came into force: its version and digest; `record` is the sealed one that holds it."""

    KIND: ClassVar[str] = "file_in_force"
    KEY_CLASS: ClassVar[KeyClass] = KeyClass.OPEN
    name: str
    version: int
    digest: bytes
    record: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident(Record):
    """Something that must not be forgotten: a loss, a fork, a damaged record, a refused server."""

    KIND: ClassVar[str] = "incident"
    KEY_CLASS: ClassVar[KeyClass] = KeyClass.OPEN
    what: str
    detail: str
    at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UncleanStart(Record):
    """A start after an end without a stop: how many records were there, how many of them newer than every
    anchor (a cut of these shows nowhere else), and how many sealed images lay there without a record.
    """

    KIND: ClassVar[str] = "unclean_start"
    KEY_CLASS: ClassVar[KeyClass] = KeyClass.OPEN
    records: int
    unanchored: int
    images: int
    at_us: int
    clock_state: ClockState


@dataclass(frozen=True, slots=True, kw_only=True)
class Access(Record):
    """A look-up, allowed or refused: 463.5 (b), Cal. Civ. Code 1798.90.52. In the log before any answer."""

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
class AccessResult(Record):
    """How a logged look-up ended: which records its answer showed."""

    KIND: ClassVar[str] = "access_result"
    access: int
    records: tuple[int, ...]
    at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold(Record):
    """463.8: a record kept beyond its day. `records` are sequence numbers; `hold_epoch` names its key."""

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
    """The end of a hold: the evidence item it was booked as, and a second person."""

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
    """An evidence package that left: which records, which elements, for whom."""

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
    """The clock jumped, and what custody made of it."""

    KIND: ClassVar[str] = "clock_step"
    from_us: int
    to_us: int
    accepted: bool
    state: ClockState
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceLine(Record):
    """One command of a technician or vendor: written before its output, secrets replaced.

    `phase` is begin or end; the end carries the result, the output's SHA-256 and up to 64 kB of it.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert(Record):
    """A read that met a hot-list entry. `read` is its sequence number.

    `entry`: the entry's bytes. `score`: its probability under the vote, 0 to 1. `twin`: the list writes O
    where the read says 0, or I for 1, or the other way round. `disagrees`: state, plate_class. `silent`: why
    it did not sound; empty for an audible alert. `stale`: the list's extract was older than the policy
    allows.
    """

    KIND: ClassVar[str] = "alert"
    KEY_CLASS: ClassVar[KeyClass] = KeyClass.HIT
    read: int
    list_id: str
    list_version: int
    source: str
    entry: bytes = field(repr=False)
    category: str
    score: float
    twin: bool
    disagrees: tuple[str, ...]
    silent: tuple[str, ...]
    stale: bool
    at_us: int

    def __post_init__(self) -> None:
        if not 0.0 <= self.score <= 1.0:
            raise RecordError("must lie in 0 to 1", where="alert.score")


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertStepped(Record):
    """One step in the life of an alert (463.7), by a person at this unit. `alert` is its sequence number."""

    KIND: ClassVar[str] = "alert_step"
    KEY_CLASS: ClassVar[KeyClass] = KeyClass.HIT
    alert: int
    step: AlertStep


class Verdict(StrEnum):
    """What a person found: the plate is as read, another one, or as read and yet no reason to act."""

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
    """A time in which the unit could not see or store: since when, until when, why, how much was lost."""

    KIND: ClassVar[str] = "gap"
    reason: str
    from_us: int
    to_us: int
    lost: int


RECORDS: dict[str, type[Record]] = {
    cls.KIND: cls
    for cls in (
        Read,
        LogOpened,
        EpochOpened,
        PurgeIntent,
        PurgeReceipt,
        PurgeAbandoned,
        HoldEnded,
        Resealed,
        UploadReceipt,
        FileInForce,
        Incident,
        UncleanStart,
        Access,
        AccessResult,
        Hold,
        Release,
        Export,
        Configuration,
        ClockStep,
        MaintenanceLine,
        Update,
        Alert,
        AlertStepped,
        Decision,
        Gap,
    )
}
"""All kinds by name. An unknown kind in a log is an error, never skipped."""
