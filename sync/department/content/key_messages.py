"""The calls between the department and the key service: one table for both ends. No I/O.

A message is the canonical CBOR of a call's arguments in order; an answer is that of its result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from storage.codec import read_field
from storage.day_keys import DayKey
from storage.envelope import MAX_BYTES, decode
from storage.errors import RecordError
from storage.sealing import Opened
from sync.department.content.key_door import Cover, MatchedRead, Row
from sync.department.content.key_service import Kept
from sync.department.content.search_tokens import IndexedText, StoredElement
from sync.department.journal.access_log import LogPart
from sync.department.journal.inquiry_entries import Query

MAX_MESSAGE_BYTES = 96 << 20
SECONDS = 120.0
# the same in every version, so that the other end recognizes an older one
NO_SUCH_CALL = "there is no such call"
WireRows: TypeAlias = tuple[tuple[bytes, tuple[tuple[str, bytes], ...]], ...]
"""Rows: the leaf of each, and its elements by name."""


@dataclass(frozen=True, slots=True)
class RemoteCall:
    """One call: the types of its arguments and its result.

    `shows_entry`: its first argument is a cover, which the guard checks; the other calls receive and purge.
    """

    takes: tuple[Any, ...]
    gives: Any
    shows_entry: bool = False
    most_bytes: int = MAX_MESSAGE_BYTES


CALLS: Mapping[str, RemoteCall] = {
    "issue": RemoteCall((int, int), tuple[DayKey, ...], most_bytes=MAX_BYTES),
    "reseal": RemoteCall(
        (int, bytes, tuple[tuple[int, bytes, bytes], ...], tuple[StoredElement, ...]), tuple[Kept, ...]
    ),
    "reseal_again": RemoteCall(
        (bytes, tuple[tuple[int, bytes, bytes], ...], tuple[StoredElement, ...]), tuple[tuple[int, Kept], ...]
    ),
    "check": RemoteCall((int, bytes, tuple[StoredElement, ...]), tuple[str | None, ...]),
    "check_tokens": RemoteCall((int, bytes, tuple[IndexedText, ...]), tuple[str | None, ...]),
    "check_held": RemoteCall((str, bytes, tuple[StoredElement, ...]), tuple[str | None, ...]),
    "destroy": RemoteCall((int,), type(None), most_bytes=MAX_BYTES),
    "destroy_before": RemoteCall((int,), int, most_bytes=MAX_BYTES),
    "has": RemoteCall((int,), bool, most_bytes=MAX_BYTES),
    "which": RemoteCall((tuple[int, ...],), tuple[int, ...], most_bytes=MAX_BYTES),
    "list": RemoteCall((int,), tuple[bytes, tuple[bytes, ...]], most_bytes=MAX_BYTES),
    "follow": RemoteCall((LogPart,), int),
    "tokens": RemoteCall(
        (Cover, Query, tuple[int, ...]),
        tuple[tuple[int, tuple[bytes, ...]], ...],
        shows_entry=True,
        most_bytes=MAX_BYTES,
    ),
    "match": RemoteCall((Cover, Query, int, bytes, WireRows), tuple[MatchedRead, ...], shows_entry=True),
    "open": RemoteCall((Cover, int, bytes, WireRows), tuple[tuple[Opened, ...], ...], shows_entry=True),
    "hold": RemoteCall(
        (Cover, int, bytes, WireRows), tuple[tuple[tuple[str, bytes], ...], ...], shows_entry=True
    ),
    "open_held": RemoteCall((Cover, int, bytes, WireRows), tuple[tuple[Opened, ...], ...], shows_entry=True),
    "held_keys": RemoteCall((int,), tuple[int, ...], most_bytes=MAX_BYTES),
    "abandon": RemoteCall((Cover,), type(None), shows_entry=True, most_bytes=MAX_BYTES),
    "release": RemoteCall((Cover,), type(None), shows_entry=True, most_bytes=MAX_BYTES),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class No:
    """A refusal. `code`: empty unless it is one of the desk's refusals."""

    code: str
    clause: str
    what: str


def read_arguments(name: str, data: bytes) -> tuple[Any, ...]:
    """Parse the arguments of a call. Raises RecordError, EnvelopeError."""
    if name not in CALLS:
        raise RecordError(NO_SUCH_CALL, where="key service")
    call = CALLS[name]
    arguments: tuple[Any, ...] = read_field(
        tuple.__class_getitem__(call.takes), decode(data, limit=call.most_bytes), name
    )
    return arguments


def read_result(name: str, data: bytes) -> Any:
    """Parse the result of a call. Raises RecordError, EnvelopeError."""
    return read_field(CALLS[name].gives, decode(data, limit=MAX_MESSAGE_BYTES), name)


def to_wire(rows: Sequence[Row]) -> WireRows:
    return tuple((row.leaf, tuple(sorted(row.elements.items()))) for row in rows)


def of_wire(rows: WireRows) -> list[Row]:
    return [Row.of(leaf, dict(elements)) for leaf, elements in rows]
