"""Elements of a record: salted commitments, AES-256-GCM sealing, and their opening. No I/O.

An element is framed as  salt (32) || length (4, big endian) || content || zeros  to a multiple of 256
bytes, so that a ciphertext's length reveals little about short content. Sealed it is
nonce (12) || AES-256-GCM(frame), AAD = CBOR [tag, log id, sequence number, element name].
Commitment = SHA-256(tag || element name || 0x00 || salt || content).

Records that anyone must be able to read without a key (purge receipts, epochs) are *open*: the frame itself
is stored, and the leaf binds it in the same way.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from storage.envelope import encode
from storage.errors import SealError

KEY_BYTES = 32
SALT_BYTES = 32
NONCE_BYTES = 12
PAD_TO = 256
MAX_ELEMENT_BYTES = 16 << 20
COMMITMENT_TAG = b"alpr-reader/commitment/v1\x00"
SEAL_TAG = "alpr-reader/seal/v1"
WRAP_TAG = "alpr-reader/wrap/v1"


@dataclass(frozen=True, slots=True)
class Sealed:
    """One element as stored: the `stored` bytes, their SHA-256 `digest`, and the `commitment`."""

    name: str
    commitment: bytes
    digest: bytes
    stored: bytes

    def __repr__(self) -> str:
        return f"Sealed({self.name}, {len(self.stored)} bytes)"


@dataclass(frozen=True, slots=True)
class Opened:
    """One element in clear: its `salt` (32 bytes) and `content`. The repr shows neither."""

    name: str
    salt: bytes
    content: bytes

    def commitment(self) -> bytes:
        return commitment(self.name, self.salt, self.content)

    def __repr__(self) -> str:
        return f"Opened({self.name}, {len(self.content)} bytes)"


def new_key() -> bytes:
    """A fresh AES-256 key."""
    return os.urandom(KEY_BYTES)


def commitment(name: str, salt: bytes, content: bytes) -> bytes:
    """A leaf's hiding commitment to one element, 32 bytes."""
    if len(salt) != SALT_BYTES:
        raise SealError(f"a salt has {SALT_BYTES} bytes", where=name)
    return hashlib.sha256(COMMITMENT_TAG + name.encode() + b"\x00" + salt + content).digest()


def aad_of(log_id: bytes, sequence: int, name: str) -> bytes:
    """The AAD that binds a ciphertext to its record and element."""
    return encode([SEAL_TAG, log_id, sequence, name])


def _frame(opened: Opened) -> bytes:
    if len(opened.content) > MAX_ELEMENT_BYTES:
        raise SealError(f"longer than {MAX_ELEMENT_BYTES} bytes", where=opened.name)
    body = opened.salt + len(opened.content).to_bytes(4, "big") + opened.content
    return body + bytes(-len(body) % PAD_TO)


def _content_of(name: str, frame: bytes) -> memoryview:
    """The content in a frame. Raises SealError."""
    head = SALT_BYTES + 4
    length = int.from_bytes(frame[SALT_BYTES:head], "big")
    if len(frame) % PAD_TO or not head + length <= len(frame) < head + length + PAD_TO:
        raise SealError("frame length is wrong", where=name)
    if any(frame[head + length :]):
        raise SealError("padding is not zero", where=name)
    return memoryview(frame)[head : head + length]


def unframe(name: str, frame: bytes) -> Opened:
    """Take a frame apart; the caller checks the commitment. Raises SealError."""
    return Opened(name, frame[:SALT_BYTES], bytes(_content_of(name, frame)))


def seal(key: bytes, log_id: bytes, sequence: int, opened: Opened) -> Sealed:
    """Seal an element for the record (log id, sequence), with a new random nonce each time."""
    nonce = os.urandom(NONCE_BYTES)
    stored = nonce + AESGCM(key).encrypt(nonce, _frame(opened), aad_of(log_id, sequence, opened.name))
    return Sealed(opened.name, opened.commitment(), hashlib.sha256(stored).digest(), stored)


def leave_open(opened: Opened) -> Sealed:
    """Store an open element: as its frame, without sealing."""
    stored = _frame(opened)
    return Sealed(opened.name, opened.commitment(), hashlib.sha256(stored).digest(), stored)


def fresh(name: str, content: bytes) -> Opened:
    """An element with a new random salt."""
    return Opened(name, os.urandom(SALT_BYTES), content)


def open_sealed(  # noqa: PLR0917 - the order in which a leaf gives them
    key: bytes, log_id: bytes, sequence: int, name: str, stored: bytes, expected: bytes
) -> Opened:
    """Open a sealed element and match it to the leaf's commitment. Raises SealError."""
    try:
        frame = AESGCM(key).decrypt(
            stored[:NONCE_BYTES], stored[NONCE_BYTES:], aad_of(log_id, sequence, name)
        )
    except (InvalidTag, ValueError):
        raise SealError("does not open under its key", where=f"record {sequence}, {name}") from None
    return _matched(unframe(name, frame), sequence, expected)


def reseal(  # noqa: PLR0917 - as `open_sealed`, with the key to come
    key: bytes,
    new_key: bytes,
    log_id: bytes,
    sequence: int,
    name: str,
    stored: bytes,
    expected: bytes,
    *,
    kept_as: bytes,
) -> tuple[memoryview, bytes]:
    """(content, stored bytes under `new_key`), after a check of the commitment. Raises SealError.

    Combines `open_sealed` and `seal` without their copies and second hashes; the frame stays the same.
    kept_as: 32 bytes to which it is bound from now on, besides its number and name.
    """
    aad = aad_of(log_id, sequence, name)
    try:
        frame = AESGCM(key).decrypt(stored[:NONCE_BYTES], memoryview(stored)[NONCE_BYTES:], aad)
    except (InvalidTag, ValueError):
        raise SealError("does not open under its key", where=f"record {sequence}, {name}") from None
    content = _content_of(name, frame)
    found = hashlib.sha256(COMMITMENT_TAG + name.encode() + b"\x00" + frame[:SALT_BYTES])
    found.update(content)
    if not hmac.compare_digest(found.digest(), expected):
        raise SealError("does not match its commitment", where=f"record {sequence}, {name}")
    nonce = os.urandom(NONCE_BYTES)
    return content, nonce + AESGCM(new_key).encrypt(nonce, frame, aad_of(kept_as, sequence, name))


def read_open(name: str, sequence: int, stored: bytes, expected: bytes) -> Opened:
    """Read an open element and match it to the leaf's commitment. Raises SealError."""
    return _matched(unframe(name, stored), sequence, expected)


def _matched(opened: Opened, sequence: int, expected: bytes) -> Opened:
    if not hmac.compare_digest(opened.commitment(), expected):
        raise SealError("does not match its commitment", where=f"record {sequence}, {opened.name}")
    return opened


def wrap(kek: bytes, log_id: bytes, generation: int, name: str, secret: bytes) -> bytes:
    """Wrap key material under the KEK of a generation: nonce || AES-256-GCM."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(kek).encrypt(nonce, secret, encode([WRAP_TAG, log_id, generation, name]))


def unwrap(kek: bytes, log_id: bytes, generation: int, name: str, wrapped: bytes) -> bytes:
    """Open what `wrap` made. Raises SealError."""
    aad = encode([WRAP_TAG, log_id, generation, name])
    try:
        return AESGCM(kek).decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], aad)
    except (InvalidTag, ValueError):
        raise SealError("does not open under the slot's key", where=f"wrap {name}") from None
