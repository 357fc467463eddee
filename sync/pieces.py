"""One element in pieces, for a connection that is cut before it can carry the whole element. No I/O.

    4-byte header length || COSE header (PieceHeader) || the piece's bytes

The department keeps what arrived in order and says how much that is. The unit continues from there, after any
number of cut connections. The last piece completes the element, which is then taken like any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from storage.errors import RecordError
from sync.messages import MAX_ELEMENT_BYTES, MAX_HEADER_BYTES, MAX_KEYS, Bad, Message, SealedKey


@dataclass(frozen=True, slots=True, kw_only=True)
class PieceHeader(Message):
    """Unit: bytes `offset` to `offset` + `length` of an element of `total` bytes; 0 asks what is held."""

    KIND: ClassVar[str] = "piece"
    log_id: bytes
    keys: tuple[SealedKey, ...]
    sequence: int
    name: str
    total: int
    offset: int
    length: int

    def check_fields(self) -> None:
        good = 0 <= self.offset <= self.offset + self.length <= self.total <= MAX_ELEMENT_BYTES
        if not (good and self.total):
            raise RecordError("out of range", where="piece.offset")
        if not (0 <= self.sequence < 1 << 63 and 1 <= len(self.name) <= 32 and len(self.keys) <= MAX_KEYS):
            raise RecordError("malformed", where="piece")


@dataclass(frozen=True, slots=True, kw_only=True)
class PieceHeld(Message):
    """Department: has the first `held` bytes. `done`: the element is complete, and was taken or is `bad`."""

    KIND: ClassVar[str] = "piece-held"
    LIMIT: ClassVar[int] = MAX_HEADER_BYTES
    log_id: bytes
    held: int
    done: bool
    bad: tuple[Bad, ...]

    def check_fields(self) -> None:
        if not 0 <= self.held <= MAX_ELEMENT_BYTES:
            raise RecordError("out of range", where="piece-held.held")
