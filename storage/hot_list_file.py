"""One hot list on the card: completely sealed, and searched through an index in memory.

File: MAGIC, then sections, each a 4-byte length (big endian) and  nonce (12) || AES-256-GCM(section), with
the AAD [tag, name, section number]. Section 0 is CBOR [facts, entries, entries a block]; section 1 the keys
of all entries, sorted, uint64 little endian; section 2 + n holds block n: entries in the order of their keys,
each a 4-byte length and its bytes. A lookup is a binary search; only a hit opens a block.
"""

from __future__ import annotations

import os
import sys
import weakref
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from storage import files
from storage.envelope import decode, encode
from storage.errors import NotPlainError, RecordError, SealError

MAGIC = b"alpr-reader hot list 1\n"
TAG = "alpr-reader/hot-list/v1"
BLOCK = 256
MAX_FILE_BYTES = 1 << 30
NONCE = 12
GCM_TAG = 16
KEY_BYTES = 8


def list_key(log_key: bytes) -> bytes:
    """The key that seals lists on this unit's card, derived from the log's private key."""
    return HKDF(SHA256(), 32, salt=None, info=TAG.encode()).derive(log_key)


def seal(key: bytes, name: str, section: int, content: bytes | memoryview) -> bytes:
    """Seal one section; returns its stored bytes."""
    nonce = os.urandom(NONCE)
    return nonce + AESGCM(key).encrypt(nonce, content, encode([TAG, name, section]))


def unseal(key: bytes, name: str, section: int, stored: bytes) -> bytes:
    """Open a stored section. Raises SealError."""
    try:
        return AESGCM(key).decrypt(stored[:NONCE], stored[NONCE:], encode([TAG, name, section]))
    except (InvalidTag, ValueError):
        raise SealError(
            "does not open: damaged, or sealed by another log", where=f"hot list {name}"
        ) from None


def write_list(
    path: Path, key: bytes, name: str, facts: dict[str, Any], entries: Iterable[tuple[int, bytes]]
) -> None:
    """Write a list, whole or not at all. entries: (key, bytes) in any order. Raises OSError."""
    held = Collected(entries)
    write_sorted(path, key, name, facts, len(held), held)


class Collected:
    """Takes entries in any order, and returns them by key; needs 20 bytes per entry besides its content."""

    def __init__(self, entries: Iterable[tuple[int, bytes]]) -> None:
        """Raises RecordError for more than a list file can hold."""
        self._held, self._keys, self._ends = bytearray(), array("Q"), array("I")
        for key, data in entries:
            self._keys.append(key)
            self._held += data
            if len(self._held) > MAX_FILE_BYTES:
                raise RecordError(f"holds over {MAX_FILE_BYTES} bytes", where="hot list")
            self._ends.append(len(self._held))

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        ends, held = self._ends, memoryview(self._held)
        import numpy as np  # noqa: PLC0415 - a large library, needed where a list is written only

        keys = np.frombuffer(self._keys, dtype=np.uint64) if self._keys else np.empty(0, np.uint64)
        for at in keys.argsort(kind="stable").astype(np.uint32):
            first = ends[at - 1] if at else 0
            yield self._keys[at], bytes(held[first : ends[at]])


def write_sorted(  # noqa: PLR0917 - the parts of a file
    path: Path,
    key: bytes,
    name: str,
    facts: dict[str, Any],
    count: int,
    entries: Iterable[tuple[int, bytes]],
    *,
    check: Callable[[], object] = lambda: None,
) -> None:
    """Write a list of exactly `count` entries, already in key order, without keeping them in memory.

    check: called once all are written; if it raises, the earlier list stays. Raises OSError; RecordError for
    another number of entries.
    """
    partial = path.with_name(path.name + ".partial")
    files.clear_place(partial)
    descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_TRUNC, files.PRIVATE_FILE)
    try:
        with os.fdopen(descriptor, "wb", closefd=False) as out:
            out.write(MAGIC)
            _put(out, seal(key, name, 0, encode([facts, count, BLOCK])))
            at = out.tell()
            out.seek(4 + NONCE + KEY_BYTES * count + GCM_TAG, os.SEEK_CUR)  # the keys are known at the end
            keys = array("Q")
            for number, block in enumerate(_blocks(entries, keys)):
                _put(out, seal(key, name, 2 + number, block))
            _demand_count(len(keys), count, name)
            check()
            out.seek(at)
            if sys.byteorder == "big":
                keys.byteswap()
            _put(out, seal(key, name, 1, memoryview(keys).cast("B")))
        files.sync_file(descriptor)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    partial.replace(path)
    files.sync_dir(path.parent)


def _demand_count(found: int, count: int, name: str) -> None:
    if found != count:
        raise RecordError(f"{found} entries where the header says {count}", where=f"hot list {name}")


def _blocks(entries: Iterable[tuple[int, bytes]], keys: array[int]) -> Iterator[bytes]:
    """Yield blocks of entries, ready to be sealed; adds their keys to `keys`."""
    block: list[bytes] = []
    for one, data in entries:
        keys.append(one)
        block.append(len(data).to_bytes(4, "big") + data)
        if len(block) == BLOCK:
            yield b"".join(block)
            block.clear()
    if block:
        yield b"".join(block)


def _put(out: Any, stored: bytes) -> None:
    out.write(len(stored).to_bytes(4, "big"))
    out.write(stored)


class HotListFile:
    """A hot list on the card, open for lookups. Thread-safe, since it never changes."""

    def __init__(self, path: Path, key: bytes, name: str) -> None:
        """Raises OSError, SealError, RecordError."""
        self.name, self._key = name, key
        # opened only once: a newer list may replace the file at any moment
        try:
            with files.open_evidence(path) as opened:
                self._descriptor = os.dup(opened.fileno())
        except NotPlainError as error:
            raise RecordError(error.what, where=str(path)) from None
        self.close = weakref.finalize(self, os.close, self._descriptor)  # at the latest by the last reference
        with os.fdopen(self._descriptor, "rb", closefd=False) as stream:
            if os.fstat(stream.fileno()).st_size > MAX_FILE_BYTES:
                raise RecordError(f"is over {MAX_FILE_BYTES} bytes", where=str(path))
            if stream.read(len(MAGIC)) != MAGIC:
                raise RecordError("is not a hot list", where=str(path))
            head = decode(unseal(key, name, 0, _section(stream)), limit=1 << 20)
            self.facts: dict[str, Any] = head[0]
            self.count, self._block_size = int(head[1]), int(head[2])
            raw = unseal(key, name, 1, _section(stream))
            self._keys = array("Q", raw)
            if sys.byteorder == "big":
                self._keys.byteswap()
            if len(self._keys) != self.count:
                raise RecordError("does not hold as many keys as it says", where=str(path))
            self._at: list[tuple[int, int]] = []
            for _ in range(-(-self.count // self._block_size)):
                length = int.from_bytes(stream.read(4), "big")
                self._at.append((stream.tell(), length))
                stream.seek(length, os.SEEK_CUR)
        self._block = lru_cache(maxsize=16)(self._open_block)

    def __contains__(self, key: int) -> bool:
        at = bisect_left(self._keys, key)
        return at < self.count and self._keys[at] == key

    def under(self, key: int) -> Iterator[bytes]:
        """Yield the entries under a key, usually none; a defective list may have all of its entries under one
        key. Raises SealError for a damaged block.
        """
        first = bisect_left(self._keys, key)
        while first < self.count and self._keys[first] == key:
            block, within = divmod(first, self._block_size)
            yield self._block(block)[within]
            first += 1

    def keys_over(self, most: int) -> Iterator[int]:
        """Yield each key with more than `most` entries; a run that long covers a multiple of `most`."""
        keys, last, found = self._keys, self.count - 1, -1
        for at in range(0, self.count, most):
            key = keys[at]
            if key != found and key in (keys[max(at - 1, 0)], keys[min(at + 1, last)]):
                first = bisect_left(keys, key)
                if first + most < self.count and keys[first + most] == key:
                    found = key
                    yield key

    def entries(self) -> Iterator[tuple[int, bytes]]:
        """Yield every (key, entry), in key order."""
        for number in range(len(self._at)):
            block = self._open_block(number)
            at = number * self._block_size
            yield from zip(map(int, self._keys[at : at + len(block)]), block, strict=True)

    def _open_block(self, number: int) -> tuple[bytes, ...]:
        at, length = self._at[number]
        plain = unseal(self._key, self.name, 2 + number, os.pread(self._descriptor, length, at))
        made: list[bytes] = []
        offset = 0
        while offset < len(plain):
            size = int.from_bytes(plain[offset : offset + 4], "big")
            made.append(plain[offset + 4 : offset + 4 + size])
            offset += 4 + size
        return tuple(made)


def _section(stream: Any) -> bytes:
    length = int.from_bytes(stream.read(4), "big")
    if length > MAX_FILE_BYTES:
        raise RecordError("a section is too long", where="hot list")
    return bytes(stream.read(length))
