"""What the department and the key service send each other, and how the elements of reads travel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from storage.day_keys import DayKey
from storage.read_records import ReadPlace, ReadText
from storage.sealing import Opened
from sync.department.content.key_guard import Cover, Row
from sync.department.content.key_service import Arrived, Kept, StoredElement
from sync.department.journal.inquiry_entries import Query

MAX_MESSAGE_BYTES = 96 << 20
SECONDS = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """A first day and a count, or one day."""

    first: int
    count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DayKeysMade:
    keys: tuple[DayKey, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reseal:
    day: int
    public: bytes
    epochs: tuple[tuple[int, bytes, bytes], ...]
    arrived: tuple[Arrived, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResealedRows:
    kept: tuple[Kept, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckPlates:
    day: int
    log_id: bytes
    wanted: tuple[StoredElement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckHeld:
    hold: str
    log_id: bytes
    wanted: tuple[StoredElement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    found: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AskTokens:
    cover: Cover
    query: Query
    days: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    tokens: tuple[tuple[int, tuple[bytes, ...]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WireRow:
    leaf: bytes
    elements: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AskContent:
    """To match (with a query) or to open (without) reads of one day and log."""

    cover: Cover
    query: Query | None
    day: int
    log_id: bytes
    rows: tuple[WireRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AskHeld:
    """To open held elements; `access`: the entry that the hold's key is named after."""

    cover: Cover
    access: int
    log_id: bytes
    rows: tuple[WireRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AskRelease:
    """To destroy a hold's key; the cover shows its release."""

    cover: Cover


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldRows:
    """Each row's elements under the hold's key, in the order of their names."""

    rows: tuple[tuple[bytes, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WireMatch:
    sequence: int
    text: ReadText
    place: ReadPlace


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    matches: tuple[WireMatch, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedRows:
    rows: tuple[tuple[Opened, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPart:
    """Signed lines of the service's own list, from the one asked for on, and the key that signs them."""

    public: bytes
    lines: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class No:
    """A refusal; `code` empty if it was no refusal of the desk's kind."""

    code: str
    clause: str
    what: str


def to_wire(rows: Sequence[Row]) -> tuple[WireRow, ...]:
    return tuple(WireRow(leaf=row.leaf, elements=tuple(sorted(row.elements.items()))) for row in rows)


def of_wire(rows: Sequence[WireRow]) -> list[Row]:
    return [Row.of(row.leaf, dict(row.elements)) for row in rows]
