"""Opens what the key service sealed under its own keys, each element with its own signed leaf. No I/O."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from storage import merkle, sealing
from storage.errors import SealError, StorageError
from storage.leaf import Leaf, log_id_of, open_leaf, unchecked
from sync.department.content.search_tokens import StoredElement


def signed_leaf(data: bytes, public: bytes) -> Leaf | str:
    """The leaf, if the log's key signed it for that log; otherwise what is wrong with it."""
    key = Ed25519PublicKey.from_public_bytes(public)
    try:
        leaf = open_leaf(data, key)
    except StorageError as error:
        return error.what
    return leaf if leaf.log_id == log_id_of(key) else "its leaf does not belong to its signing key's log"


def numbers_of(wanted: Sequence[StoredElement]) -> list[int]:
    return sorted({unchecked(one.leaf).sequence for one in wanted})


def opened(key: bytes, log_id: bytes, one: StoredElement) -> sealing.Opened:
    """Open an element with its own leaf; no other leaf with the same number opens it. Raises SealError."""
    return opened_by(unchecked(one.leaf), key, log_id, one)


def opened_by(leaf: Leaf, key: bytes, log_id: bytes, one: StoredElement) -> sealing.Opened:
    """As `opened`. `leaf`: its own, parsed."""
    mark = leaf.elements.get(one.name)
    if mark is None:
        raise SealError("its leaf names no such element", where=f"record {leaf.sequence}, {one.name}")
    sealed_by = merkle.leaf_hash(one.leaf)
    try:
        return sealing.open_sealed(key, sealed_by, leaf.sequence, one.name, one.stored, mark.commitment)
    except SealError:  # sealed by an older version, which bound it to log and number
        return sealing.open_sealed(key, log_id, leaf.sequence, one.name, one.stored, mark.commitment)


def wrong_with_each(key: bytes, log_id: bytes, wanted: Sequence[StoredElement]) -> list[str | None]:
    found: list[str | None] = []
    parsed: dict[bytes, Leaf] = {}  # a read has four elements but one leaf
    for one in wanted:
        try:
            leaf = parsed.get(one.leaf) or unchecked(one.leaf)
            opened_by(parsed.setdefault(one.leaf, leaf), key, log_id, one)
            found.append(None)
        except StorageError as error:
            found.append(error.what)
    return found
