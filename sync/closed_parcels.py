"""How records of a closed log travel to the department: offered by their leaves, then sent. No I/O.

    4-byte header length || COSE header (ClosedHeader) || the elements' stored bytes, in the header's order

The unit's newer log signs the header, since the closed log's key was lost with its slot; each leaf carries
the closed log's own signature. A header without items is an offer. The signed answer says which of these
records still lack content; if none does, the answer proves that the department has them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

from storage.errors import RecordError
from storage.leaf import MAX_LEAF_BYTES
from sync.messages import (
    MAX_ELEMENT_BYTES,
    MAX_HEADER_BYTES,
    MAX_ITEMS,
    MAX_KEYS,
    Bad,
    Message,
    ParcelElement,
    SealedKey,
)

MAX_CLOSED_LEAVES = 200  # in one message


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedHeader(Message):
    """Unit: records of a closed log in rising order, with these keys and these of their elements."""

    KIND: ClassVar[str] = "closed"
    LIMIT: ClassVar[int] = MAX_HEADER_BYTES
    log_id: bytes  # the log that sends it
    closed: bytes  # the closed log
    keys: tuple[SealedKey, ...]
    leaves: tuple[bytes, ...] = field(repr=False)
    items: tuple[ParcelElement, ...]

    def check_fields(self) -> None:
        if len(self.closed) != 32:
            raise RecordError("has 32 bytes", where="closed.closed")
        if not 1 <= len(self.leaves) <= MAX_CLOSED_LEAVES or any(
            len(one) > MAX_LEAF_BYTES for one in self.leaves
        ):
            raise RecordError(f"has 1 to {MAX_CLOSED_LEAVES} leaves", where="closed.leaves")
        if len(self.keys) > MAX_KEYS or len(self.items) > MAX_ITEMS:
            raise RecordError("too many keys or items", where="closed")
        if sum(item.length for item in self.items) > MAX_ELEMENT_BYTES:
            raise RecordError(f"at most {MAX_ELEMENT_BYTES} bytes of elements", where="closed.items")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedHeld(Message):
    """Department: these records are held. `lacking`: those whose content is still wanted.

    first, last: of the records named; digest: `digest_of` their leaves.
    """

    KIND: ClassVar[str] = "closed-held"
    LIMIT: ClassVar[int] = MAX_HEADER_BYTES
    log_id: bytes
    closed: bytes
    first: int
    last: int
    digest: bytes
    lacking: tuple[int, ...]
    bad: tuple[Bad, ...]
    at_us: int

    def check_fields(self) -> None:
        if len(self.closed) != 32 or len(self.digest) != 32:
            raise RecordError("has 32 bytes", where="closed-held")
        if not 0 <= self.first <= self.last < 1 << 63:
            raise RecordError("out of range", where="closed-held.first")


def digest_of(leaves: Iterable[bytes]) -> bytes:
    """SHA-256 over the SHA-256 of each leaf, in order."""
    return hashlib.sha256(b"".join(hashlib.sha256(one).digest() for one in leaves)).digest()
