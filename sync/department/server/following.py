"""What units receive that follows from the log alone: cleared plates and muted sources. No I/O.

Units record the digest of the whole signed message. Its entry keeps what cannot be made from the log, the
time and the signature, so that `verify` makes the message again and compares.
"""

from __future__ import annotations

from collections.abc import Mapping

from storage import codec, envelope
from storage.errors import StorageError
from sync.department.desk.state import DeskState
from sync.documents import Carried
from sync.hot_lists.held import CLEARED, MUTED, ClearedPairs, MutedSources
from sync.messages import MAX_DOCUMENT_BYTES

FOLLOWING = frozenset({CLEARED, MUTED})


def bodies(book: DeskState) -> Mapping[str, bytes]:
    """What each of these documents says after the entries so far."""
    muted = tuple(one.source for one in book.alerts.sources() if one.muted(book.policy.alerts))
    return {
        CLEARED: codec.to_bytes(ClearedPairs(pairs=tuple(sorted(book.alerts.cleared())))),
        MUTED: codec.to_bytes(MutedSources(sources=muted)),
    }


def bodies_before(book: DeskState) -> Mapping[str, bytes]:
    """By the rules of earlier versions: a misreading counted against its source, and one person muted it."""
    muted = tuple(one.source for one in book.alerts.sources() if one.muted_before(book.policy.alerts))
    return {**bodies(book), MUTED: codec.to_bytes(MutedSources(sources=muted))}


def signing_of(name: str, message: bytes) -> bytes:
    """What the entry of a message keeps; empty for other documents, and for one that no unit takes."""
    if name not in FOLLOWING:
        return b""
    try:
        protected, payload, signature, _ = envelope.split(message, limit=MAX_DOCUMENT_BYTES)
        carried = codec.from_bytes(Carried, payload, limit=MAX_DOCUMENT_BYTES)
    except StorageError:
        return b""
    return envelope.encode([carried.issued_us, protected, signature])


def message_of(name: str, version: int, body: bytes, signing: bytes) -> bytes:
    """The message again. Raises StorageError for what `signing_of` did not make."""
    issued_us, protected, signature = envelope.decode(signing)
    carried = Carried(name=name, version=version, unit_id="", issued_us=issued_us, expires_us=None, body=body)
    return envelope.joined(protected, codec.to_bytes(carried), signature)
