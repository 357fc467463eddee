"""The tree math of the append-only log: hashes, proofs and their checks. RFC 9162, 2.1. No I/O.

Proofs are built from any source of subtree hashes (`SubtreeHash`), so the same code serves the unit's
database and the department's. Nothing here depends on the content of a leaf.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from storage.errors import ProofError

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()

SubtreeHash: TypeAlias = Callable[[int, int], bytes]
"""(level, index) -> hash of the complete subtree over leaves [index << level, (index + 1) << level)."""


def leaf_hash(leaf: bytes) -> bytes:
    """SHA-256(0x00 || leaf)."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """The right edge of the tree, about log2(size) hashes: enough to append and to compute the root."""

    __slots__ = ("_peaks", "size")

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        """`peaks`: hashes of the complete subtrees that make up `size`, widest first."""
        if len(peaks) != size.bit_count():
            raise ProofError(f"a tree of {size} leaves has {size.bit_count()} peaks, not {len(peaks)}")
        self.size = size
        self._peaks = list(peaks)

    @classmethod
    def load(cls, size: int, subtree: SubtreeHash) -> Frontier:
        """Rebuild the frontier of `size` leaves from stored subtree hashes."""
        return cls(size, [subtree(level, start >> level) for start, level in _peaks_of(0, size)])

    @property
    def peaks(self) -> tuple[bytes, ...]:
        """Hashes of the complete subtrees, widest first: what `Frontier(size, peaks)` takes."""
        return tuple(self._peaks)

    def copy(self) -> Frontier:
        return Frontier(self.size, self._peaks)

    def append(self, leaf: bytes) -> None:
        """Add the hash of the next leaf."""
        carry, width = leaf, self.size
        while width & 1:
            carry = node_hash(self._peaks.pop(), carry)
            width >>= 1
        self._peaks.append(carry)
        self.size += 1

    def root(self) -> bytes:
        """The root hash; SHA-256 of nothing for the empty tree."""
        if not self._peaks:
            return EMPTY_ROOT
        root = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            root = node_hash(peak, root)
        return root


def level_above(hashes: Sequence[bytes]) -> list[bytes]:
    """The nodes above these hashes, by pairs; an odd last hash is ignored."""
    return [node_hash(hashes[at], hashes[at + 1]) for at in range(0, len(hashes) - 1, 2)]


def root_of(leaf_hashes: Iterable[bytes]) -> bytes:
    """The root over all leaf hashes, without stored hashes."""
    frontier = Frontier()
    for value in leaf_hashes:
        frontier.append(value)
    return frontier.root()


def _peaks_of(start: int, end: int) -> list[tuple[int, int]]:
    """(first leaf, level) of the complete subtrees over [start, end), start aligned to the widest."""
    peaks, at = [], start
    while at < end:
        level = (end - at).bit_length() - 1
        peaks.append((at, level))
        at += 1 << level
    return peaks


def _range_hash(start: int, end: int, subtree: SubtreeHash) -> bytes:
    """Hash of the RFC's subtree MTH(D[start:end])."""
    hashes = [subtree(level, at >> level) for at, level in _peaks_of(start, end)]
    value = hashes[-1]
    for left in reversed(hashes[:-1]):
        value = node_hash(left, value)
    return value


def root_at(size: int, subtree: SubtreeHash) -> bytes:
    """Root of the first `size` leaves."""
    return _range_hash(0, size, subtree) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, subtree: SubtreeHash) -> list[bytes]:
    """Audit path of leaf `index` in the tree of `size` leaves, leaf side first. RFC 9162, 2.1.3.1."""
    if not 0 <= index < size:
        raise ProofError(f"leaf {index} is not in a tree of {size}")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + (1 << ((end - start - 1).bit_length() - 1))
        if index < middle:
            path.append(_range_hash(middle, end, subtree))
            end = middle
        else:
            path.append(_range_hash(start, middle, subtree))
            start = middle
    return path[::-1]


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Raise ProofError unless the leaf hash is at `index` under `root`. RFC 9162, 2.1.3.2."""
    if not 0 <= index < size:
        raise ProofError(f"leaf {index} is not in a tree of {size}")
    position, last, value = index, size - 1, leaf
    for step in proof:
        if last == 0:
            raise ProofError("inclusion proof is too long")
        if position & 1 or position == last:
            value = node_hash(step, value)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            value = node_hash(value, step)
        position >>= 1
        last >>= 1
    if last:
        raise ProofError("inclusion proof is too short")
    if not hmac.compare_digest(value, root):
        raise ProofError("inclusion proof leads to another root")


def consistency_proof(first: int, second: int, subtree: SubtreeHash) -> list[bytes]:
    """Proof that the tree of `first` leaves is a prefix of that of `second`. RFC 9162, 2.1.4.1."""
    if not 0 < first <= second:
        raise ProofError(f"no consistency proof from {first} to {second} leaves")
    path: list[bytes] = []
    start, end, whole = 0, second, True
    while first != end:
        middle = start + (1 << ((end - start - 1).bit_length() - 1))
        if first <= middle:
            path.append(_range_hash(middle, end, subtree))
            end = middle
        else:
            path.append(_range_hash(start, middle, subtree))
            start, whole = middle, False
    if not whole:
        path.append(_range_hash(start, end, subtree))
    return path[::-1]


def verify_consistency(  # noqa: PLR0912 - the RFC's steps in the RFC's order
    first: int, first_root: bytes, second: int, second_root: bytes, proof: Sequence[bytes]
) -> None:
    """Raise ProofError unless the second tree only appends to the first. RFC 9162, 2.1.4.2."""
    if first > second or first < 0:
        raise ProofError(f"a tree of {second} leaves cannot extend one of {first}")
    if first in (second, 0):
        if proof:
            raise ProofError("consistency proof is too long")
        if not hmac.compare_digest(first_root, second_root if first else EMPTY_ROOT):
            raise ProofError("two roots for one tree size")
        return
    steps = list(proof)
    if not first & (first - 1):  # a complete tree: its root is the first node of the path
        steps.insert(0, first_root)
    if not steps:
        raise ProofError("consistency proof is too short")
    position, last = first - 1, second - 1
    while position & 1:
        position >>= 1
        last >>= 1
    old = new = steps[0]
    for step in steps[1:]:
        if last == 0:
            raise ProofError("consistency proof is too long")
        if position & 1 or position == last:
            old, new = node_hash(step, old), node_hash(step, new)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            new = node_hash(new, step)
        position >>= 1
        last >>= 1
    if last:
        raise ProofError("consistency proof is too short")
    if not (hmac.compare_digest(old, first_root) and hmac.compare_digest(new, second_root)):
        raise ProofError("consistency proof leads to other roots")
