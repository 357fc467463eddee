"""A hot list on its way to units: a signed head, snapshot parts, and deltas from version to version. No I/O.

`hot-list/ID` is the head: what the newest version holds. `hot-list-part/ID.K`: part K of the snapshot that
the head names. `hot-list-delta/ID.K`: the change to a version, K = its place in a ring of DELTAS, so that
names do not grow. Entries are identified by the SHA-256 of their bytes; a version's digest is the sum of
these modulo 2**256, which a delta moves without a look at the rest. It finds faults, not forgers: every
document is signed.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from storage import codec
from storage.envelope import decode, encode
from storage.errors import EnvelopeError, RecordError
from sync.hot_lists.entry import MAX_ENTRY_BYTES
from sync.hot_lists.importing import MAX_ENTRIES

LOCAL = "local"  # the department's own list
HEAD, PART, DELTA = "hot-list", "hot-list-part", "hot-list-delta"
DELTAS = 32
PART_ENTRIES = 100_000
MAX_PARTS = 64
MAX_PART_BYTES = 64 << 20  # unpacked
MAX_DELTA_ENTRIES = 200_000
MAX_ID = 24
MAX_WORDS = 100  # characters of who made it
LONGEST_HOURS = 24 * 31  # for which one version of a list matches


def is_list_id(text: str) -> bool:
    """Whether a text can be the id of a list."""
    return len(text) <= MAX_ID and text.isascii() and text.replace("-", "").isalnum()


def is_words(text: str) -> bool:
    """Whether a list's head can bear a text."""
    return len(text) <= MAX_WORDS and text.isprintable()


@dataclass(frozen=True, slots=True, kw_only=True)
class ListHead:
    """What one version of a list is.

    `organization`: the department whose list it is here. `issuer`: who made it (DOJ, an agency). `agency`:
    the other agency that shares it, empty for the department's own sources. `sequence` counts versions from 1
    without a gap. `snapshot`: the sequence of the version that the parts hold. `planted`: entries are planted
    mismatches.
    """

    list_id: str
    sequence: int
    organization: str
    issuer: str
    source: str
    agency: str
    extracted_us: int
    expires_us: int
    count: int
    digest: bytes
    snapshot: int
    parts: int

    def check(self) -> None:
        if not is_list_id(self.list_id):
            raise RecordError(f"an id is 1 to {MAX_ID} letters, digits and -", where="head.list_id")
        if not (1 <= self.snapshot <= self.sequence < 1 << 40 and 0 <= self.parts <= MAX_PARTS):
            raise RecordError("versions or parts are out of range", where="head")
        if not 0 <= self.count <= MAX_ENTRIES or len(self.digest) != 32:
            raise RecordError("count or digest is out of range", where="head")
        if not 0 <= self.extracted_us < self.expires_us:
            raise RecordError("must expire after it was extracted", where="head.expires_us")
        for name in ("organization", "issuer", "source", "agency"):
            if not is_words(getattr(self, name)):
                raise RecordError(f"needs at most {MAX_WORDS} printable characters", where=f"head.{name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListDelta:
    """The change from the version before: entries that went, by their digests, and entries that came."""

    list_id: str
    sequence: int
    removed: tuple[bytes, ...] = field(repr=False)
    added: tuple[bytes, ...] = field(repr=False)

    def check(self) -> None:
        if self.sequence < 2 or len(self.removed) + len(self.added) > MAX_DELTA_ENTRIES:
            raise RecordError("sequence or size is out of range", where="delta")
        if any(len(one) != 32 for one in self.removed):
            raise RecordError("a digest has 32 bytes", where="delta.removed")


def head_name(list_id: str) -> str:
    """The name of the head's document."""
    return f"{HEAD}/{list_id}"


def part_name(list_id: str, number: int) -> str:
    """The name of a part's document."""
    return f"{PART}/{list_id}.{number}"


def delta_name(list_id: str, sequence: int) -> str:
    """The name of the document that leads to this version."""
    return f"{DELTA}/{list_id}.{sequence % DELTAS}"


def digest_of(entry: bytes) -> bytes:
    """What an entry is called: SHA-256 of its bytes."""
    return hashlib.sha256(entry).digest()


def total_digest(digests: Iterable[bytes]) -> bytes:
    """The digest of a list: the sum of its entries' digests modulo 2**256."""
    total = sum(int.from_bytes(one, "big") for one in digests)
    return (total % (1 << 256)).to_bytes(32, "big")


def pack_part(list_id: str, sequence: int, entries: Sequence[bytes]) -> bytes:
    """A part's body: compressed CBOR of its version and its entries."""
    return zlib.compress(encode([list_id, sequence, list(entries)]), 9)


def unpack_part(data: bytes, list_id: str, sequence: int) -> list[bytes]:
    """The entries of a part. Raises EnvelopeError, RecordError, also for one that unpacks too large."""
    stream = zlib.decompressobj()
    try:
        plain = stream.decompress(data, MAX_PART_BYTES)
    except zlib.error:
        raise EnvelopeError("is not compressed data", where="hot-list part") from None
    if not stream.eof or stream.unused_data:
        raise EnvelopeError(
            f"is over {MAX_PART_BYTES} bytes, cut, or followed by more", where="hot-list part"
        )
    value = decode(plain, limit=MAX_PART_BYTES)
    if not isinstance(value, list) or len(value) != 3 or not isinstance(value[2], list):
        raise RecordError("is not part of a list", where="hot-list part")
    if value[0] != list_id or value[1] != sequence:
        raise RecordError("belongs to another list or version", where="hot-list part")
    if not all(isinstance(one, bytes) and len(one) <= MAX_ENTRY_BYTES for one in value[2]):
        raise RecordError("holds what is not an entry", where="hot-list part")
    return value[2]


def in_parts(entries: Iterable[bytes]) -> Iterator[list[bytes]]:
    """The entries of a snapshot, a part at a time."""
    stream = iter(entries)
    while chunk := list(islice(stream, PART_ENTRIES)):
        yield chunk


def difference(old: Iterable[bytes], new: Iterable[bytes]) -> tuple[list[bytes], list[bytes]]:
    """(digests of entries that went, entries that came)."""
    before = {digest_of(one) for one in old}
    came: list[bytes] = []
    for one in new:
        name = digest_of(one)
        if name in before:
            before.discard(name)
        else:
            came.append(one)
    return sorted(before), came


def parse_head(body: bytes) -> ListHead:
    """Raises EnvelopeError, RecordError."""
    return codec.from_bytes(ListHead, body)


def parse_delta(body: bytes) -> ListDelta:
    """Raises EnvelopeError, RecordError."""
    return codec.from_bytes(ListDelta, body, limit=8 << 20)
