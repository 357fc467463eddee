"""The department's receipt for content that it holds, without which a unit never destroys early. No I/O.

A receipt is COSE_Sign1 by the department's log key; the sync room has the full schema. Only the fields that
custody acts on are read here.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from storage import envelope
from storage.errors import RecordError

CONTEXT = b"alpr-reader/sync/v1/receipt"
MAX_RANGES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedRanges:
    """Leaf ranges (first, last), inclusive and rising, and the tree of `size` leaves that contains them.

    root: of that tree, 32 bytes. `at_us`: when the department signed, by its time; 0 if not given.
    """

    ranges: tuple[tuple[int, int], ...]
    size: int
    root: bytes
    at_us: int = 0


def open_receipt(message: bytes, department: Ed25519PublicKey, log_id: bytes) -> ReceivedRanges:
    """The ranges, if signature and log are right. Raises EnvelopeError, RecordError."""
    value = envelope.decode(envelope.open_signed(message, department, context=CONTEXT))
    if not isinstance(value, dict) or value.get("log_id") != log_id:
        raise RecordError("belongs to another log", where="receipt")
    listed = value.get("ranges")
    if not isinstance(listed, list) or len(listed) > MAX_RANGES:
        raise RecordError("has no ranges", where="receipt")
    ranges, before = [], -1
    for pair in listed:
        if not (isinstance(pair, list) and len(pair) == 2 and all(type(one) is int for one in pair)):
            raise RecordError("a range is two numbers", where="receipt")
        first, last = pair
        if not before < first <= last:
            raise RecordError("ranges must rise", where="receipt")
        ranges.append((first, last))
        before = last
    size, root = value.get("size"), value.get("root")
    if type(size) is not int or not isinstance(root, bytes) or len(root) != 32:
        raise RecordError("names no tree: size and root", where="receipt")
    if before >= size or root == bytes(32):
        raise RecordError("its ranges are not in the tree that it names", where="receipt")
    at_us = value.get("at_us")
    return ReceivedRanges(
        ranges=tuple(ranges), size=size, root=root, at_us=at_us if type(at_us) is int else 0
    )
