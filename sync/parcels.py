"""The format of a parcel: a signed header followed by stored elements. No I/O.

    4-byte header length || COSE header (ParcelHeader) || the elements' stored bytes, in the header's order

The elements are not signed again: each is bound by its digest in a signed leaf.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sync.errors import MessageError
from sync.messages import MAX_HEADER_BYTES, MAX_PARCEL_BYTES, ParcelElement


def frame_parcel(header: bytes, bodies: Iterable[bytes]) -> list[bytes]:
    """The pieces of a parcel, to be sent in order."""
    return [len(header).to_bytes(4, "big"), header, *bodies]


def split_parcel(data: bytes) -> tuple[bytes, memoryview]:
    """Splits a parcel into its signed header and the rest. Raises MessageError."""
    if len(data) > MAX_PARCEL_BYTES + 4:
        raise MessageError(f"at most {MAX_PARCEL_BYTES} bytes", where="parcel")
    length = int.from_bytes(data[:4], "big")
    if len(data) < 4 or not 0 < length <= MAX_HEADER_BYTES or len(data) < 4 + length:
        raise MessageError("header length does not fit", where="parcel")
    return data[4 : 4 + length], memoryview(data)[4 + length :]


def cut_items(items: Sequence[ParcelElement], body: memoryview) -> list[bytes]:
    """The elements' bytes, in order. Raises MessageError if the lengths do not add up."""
    if sum(item.length for item in items) != len(body):
        raise MessageError("the lengths in the header do not add up to the body", where="parcel")
    parts, at = [], 0
    for item in items:
        parts.append(bytes(body[at : at + item.length]))
        at += item.length
    return parts
