"""The records of what cameras see: reads, hot-list alerts and their steps. No I/O.

The `repr` of a read or an alert never shows its text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from storage.alert_life import AlertStep
from storage.errors import RecordError
from storage.plate_text import PLATE_TEXT
from storage.record_base import ClockState, KeyClass, Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A position in degrees (WGS 84), with an error radius in meters."""

    latitude: float
    longitude: float
    error_m: float

    def check(self) -> None:
        if not (-90 <= self.latitude <= 90 and -180 <= self.longitude <= 180 and self.error_m >= 0):
            raise RecordError("latitude, longitude or error out of range", where="position")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadText:
    """The element `text` of a read: the plate's text and how it was read.

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
            raise RecordError("must be in 0 to 1", where="read.confidence")
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
        """Combine the two elements."""
        parts = {name: getattr(text, name) for name in ReadText.__slots__}
        return cls(**parts, **{name: getattr(place, name) for name in ReadPlace.__slots__})


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert(Record):
    """A read that matched a hot-list entry. `read`: its sequence number.

    `entry`: the entry's bytes. `score`: its probability by the vote, 0 to 1. `twin`: the list has O where the
    read has 0, or I for 1, or the reverse. `disagrees`: state, plate_class. `silent`: why it did not sound;
    empty for an audible alert. `stale`: the list's extract was older than the policy allows.
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
            raise RecordError("must be in 0 to 1", where="alert.score")


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertStepped(Record):
    """One step in the life of an alert (463.7), by a person at this unit. `alert`: its sequence number."""

    KIND: ClassVar[str] = "alert_step"
    KEY_CLASS: ClassVar[KeyClass] = KeyClass.HIT
    alert: int
    step: AlertStep
