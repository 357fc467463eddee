"""Documents for units that follow from the log alone: cleared plates and muted sources. No I/O.

Units record the digest of the whole signed message. Its entry keeps what the log does not determine, the time
and the signature, so that `verify` can make the message again and compare.
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
    """The body of each of these documents after the entries so far."""
    muted = tuple(one.source for one in book.alerts.sources() if one.muted(book.policy.alerts))
    return {
        CLEARED: codec.to_bytes(ClearedPairs(pairs=tuple(sorted(book.alerts.cleared())))),
        MUTED: codec.to_bytes(MutedSources(sources=muted)),
    }


def bodies_before(book: DeskState) -> Mapping[str, bytes]:
    """The bodies by the rules of earlier versions: misreadings counted against a source, and one person muted
    it."""
    muted = tuple(one.source for one in book.alerts.sources() if one.muted_before(book.policy.alerts))
    return {**bodies(book), MUTED: codec.to_bytes(MutedSources(sources=muted))}


def signing_of(name: str, message: bytes) -> bytes:
    """What the entry of a message keeps; empty for other documents, and for one that no unit accepts."""
    if name not in FOLLOWING:
        return b""
    try:
        protected, payload, signature, _ = envelope.split(message, limit=MAX_DOCUMENT_BYTES)
        carried = codec.from_bytes(Carried, payload, limit=MAX_DOCUMENT_BYTES)
    except StorageError:
        return b""
    return envelope.encode([carried.issued_us, protected, signature])


def message_of(name: str, version: int, body: bytes, signing: bytes) -> bytes:
    """Make the message again. Raises StorageError if `signing_of` did not make `signing`."""
    issued_us, protected, signature = envelope.decode(signing)
    carried = Carried(name=name, version=version, unit_id="", issued_us=issued_us, expires_us=None, body=body)
    return envelope.joined(protected, codec.to_bytes(carried), signature)
