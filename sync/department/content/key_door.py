"""The door in front of the keys: what the desk may ask, and the proof that it must show each time. No I/O.

Exact search uses one token per read (HMAC under a key derived from that of the day of receipt). `KeyDoor` is
the same wherever the key service runs; `key_guard.py` does the checks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from storage.leaf import unchecked
from storage.read_records import ReadPlace, ReadText
from storage.sealing import Opened
from sync.department.content.search_tokens import StoredElement
from sync.department.journal.access_log import LogPart
from sync.department.journal.inquiry_entries import Query
from sync.department.policy.refusals import DeskRefusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """Proof that an access entry is in the log.

    `leaf` with its opening (`salt`, `content`), its `inclusion` in the tree of `size` entries, and the signed
    tree head, which is co-signed unless `unwitnessed`. `consistency`: proof that this head and the one with
    `since` entries, to which the key service has followed, are of the same log (`ProvenDoor` adds it).
    """

    leaf: bytes
    sequence: int
    salt: bytes
    content: bytes = field(repr=False)
    size: int
    inclusion: tuple[bytes, ...]
    checkpoint: str
    unwitnessed: bool
    since: int = 0
    consistency: tuple[bytes, ...] = ()


class HeadAskedError(DeskRefusal):
    """The key service has followed the log up to `size` entries and needs the proof from there."""

    def __init__(self, size: int) -> None:
        self.size = size
        super().__init__(
            f"show that this tree head and the one of {size} entries are of one log",
            code="head",
            clause="463.5",
        )


@dataclass(frozen=True, slots=True)
class Row:
    """One stored read: its number, its leaf, and the stored bytes of each element."""

    sequence: int
    leaf: bytes
    elements: dict[str, bytes]

    @classmethod
    def of(cls, leaf: bytes, elements: dict[str, bytes]) -> Row:
        """Make a row with the number in its leaf. Raises EnvelopeError, RecordError."""
        return cls(unchecked(leaf).sequence, leaf, elements)

    def wanted(self, names: Iterable[str]) -> list[StoredElement]:
        """Some of its elements, by name. Raises KeyError."""
        return [StoredElement(self.leaf, name, self.elements[name]) for name in names]

    def __repr__(self) -> str:
        return f"Row({self.sequence}, {len(self.elements)} elements)"


@dataclass(frozen=True, slots=True)
class MatchedRead:
    """An opened read that matched."""

    sequence: int
    text: ReadText
    place: ReadPlace


class KeyDoor(Protocol):
    """What the desk may ask of the keys, never without a cover."""

    def follow(self, part: LogPart) -> int:
        """Show the next entries of the log; returns how far the keys have followed it then."""
        ...

    def tokens(self, cover: Cover, query: Query, days: Sequence[int]) -> dict[int, tuple[bytes, ...]]:
        """Each day's tokens of the query's plate and of the forms that a reader may have written."""
        ...

    def match(
        self, cover: Cover, query: Query, day: int, log_id: bytes, rows: Sequence[Row]
    ) -> list[MatchedRead]:
        """Open texts and places of one day and log in memory; returns those that match."""
        ...

    def open(self, cover: Cover, day: int, log_id: bytes, rows: Sequence[Row]) -> list[dict[str, Opened]]:
        """Open all elements of reads that the entry names or that its own search found."""
        ...

    def hold(self, cover: Cover, day: int, log_id: bytes, rows: Sequence[Row]) -> list[dict[str, bytes]]:
        """Seal elements of reads that a hold's entry names under that hold's key; nothing leaves open."""
        ...

    def open_held(
        self, cover: Cover, access: int, log_id: bytes, rows: Sequence[Row]
    ) -> list[dict[str, Opened]]:
        """Open held elements that an export's entry names. `access`: the entry that names the hold's key."""
        ...

    def held_keys(self) -> list[int]:
        """The accesses of this log's holds whose key is there, in order."""
        ...

    def abandon(self, cover: Cover) -> None:
        """Destroy the key of a hold that was not placed within a day of its access, whose entry is shown."""
        ...

    def release(self, cover: Cover) -> None:
        """Destroy a hold's key, for anyone who shows the entry of its release by a second person."""
        ...


def read_name(log_id: bytes, sequence: int) -> str:
    """A read's name: its log and its number."""
    return f"{log_id.hex()}/{sequence}"
