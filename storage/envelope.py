"""Canonical CBOR and COSE_Sign1, strictly parsed. No I/O.

Encoding is the deterministic form of RFC 8949, 4.2.1. The parser accepts nothing that it would not
write itself: bytes are decoded, checked for plain types, encoded again and compared. Map keys are all
text or all non-negative integers, so that the two orders in use (RFC 7049 and RFC 8949) agree.

COSE_Sign1 (RFC 9052) with Ed25519 (algorithm -19, RFC 9864); the key id is the first 8 bytes of the SHA-256
of the raw public key. `context` is COSE's external_aad, so that a leaf's signature is never valid for a
batch.
"""

from __future__ import annotations

import functools
import hashlib
import math
from typing import Any

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from storage.errors import EnvelopeError, SignatureError

MAX_DEPTH = 12  # our deepest record has 5
LEAST, MOST = -(1 << 63), (1 << 64) - 1  # integers
MAX_BYTES = 1 << 20  # a record; callers with larger wire messages name their own limit
ALG_ED25519 = -19
TAG_SIGN1 = b"\xd2"
HEADER_ALG = 1
HEADER_KID = 4


def encode(value: object) -> bytes:
    """Deterministic CBOR of plain values. Raises EnvelopeError for anything else (NaN, sets, mixed keys)."""
    return cbor2.dumps(value, canonical=not _check_plain(value, 0))


def decode(data: bytes, *, limit: int = MAX_BYTES) -> Any:
    """Parse deterministic CBOR to plain values.

    Raises EnvelopeError on size, depth, tags, any other encoding, or trailing bytes.
    """
    if len(data) > limit:
        raise EnvelopeError(f"{len(data)} bytes where at most {limit} are allowed")
    try:
        value = cbor2.loads(data, max_depth=MAX_DEPTH + 2, allow_indefinite=False)
    except (cbor2.CBORError, ValueError, TypeError, OverflowError, RecursionError, MemoryError) as error:
        raise EnvelopeError(f"not CBOR: {type(error).__name__}") from None
    if encode(value) != data:
        raise EnvelopeError("not in canonical form (RFC 8949, 4.2.1)")
    return value


def _check_plain(value: object, depth: int) -> bool:
    """Whether the usual encoding is the deterministic one: map keys in order, no float to shorten.

    What was decoded nearly always is, and cbor2 orders keys at several times the cost of encoding them.
    """
    kind = type(value)  # exact types
    if kind is dict:
        ordered = _in_order(value)  # type: ignore[arg-type]
        items = value.values()  # type: ignore[attr-defined]
    elif kind is list or kind is tuple:
        ordered, items = True, value
    else:
        return _check_single(value)
    if items and depth == MAX_DEPTH:
        raise EnvelopeError(f"nested deeper than {MAX_DEPTH}")
    for item in items:  # frequent types inline: this runs for every value of every record
        kind = type(item)
        if kind is not bytes and kind is not str and (kind is not int or not LEAST <= item <= MOST):
            ordered = _check_plain(item, depth + 1) and ordered
    return ordered


def _in_order(items: dict[Any, Any]) -> bool:
    """Whether a map's keys are in order; says no if any is not ASCII, as it does not count bytes."""
    kinds = set(map(type, items))
    if kinds == {int} and min(items) >= 0:
        return list(items) == sorted(items)
    if not kinds <= {str}:
        raise EnvelopeError("map keys must be all text or all non-negative integers")
    last, size = "", 0
    for key in items:  # shorter keys first
        length = len(key)
        if length < size or (length == size and key < last):
            return False
        last, size = key, length
    return "".join(items).isascii()


def _check_single(value: object) -> bool:
    kind = type(value)
    if kind is bytes or kind is str or kind is bool or value is None:
        return True
    if kind is int:
        if not LEAST <= value <= MOST:  # type: ignore[operator]
            raise EnvelopeError("integer beyond 64 bits")
        return True
    if kind is not float:
        raise EnvelopeError(f"a {kind.__name__} has no plain CBOR form")
    if not math.isfinite(value):  # type: ignore[arg-type]
        raise EnvelopeError("a number that is not finite")
    return False


def raw_public(key: Ed25519PublicKey) -> bytes:
    """The 32 raw bytes of an Ed25519 public key."""
    return key.public_bytes_raw()


def private_of(raw: bytes) -> Ed25519PrivateKey:
    """An Ed25519 private key from its 32 bytes."""
    return Ed25519PrivateKey.from_private_bytes(raw)


def key_id(public: Ed25519PublicKey) -> bytes:
    """The 8 bytes by which an envelope names its key."""
    return hashlib.sha256(raw_public(public)).digest()[:8]


def _to_be_signed(protected: bytes, context: bytes, payload: bytes) -> bytes:
    return cbor2.dumps(["Signature1", protected, context, payload])


def sign(payload: bytes, key: Ed25519PrivateKey, *, context: bytes) -> bytes:
    """COSE_Sign1 (tagged) over `payload`, bound to `context`. RFC 9052, 4.2."""
    protected = cbor2.dumps({HEADER_ALG: ALG_ED25519, HEADER_KID: key_id(key.public_key())})
    signature = key.sign(_to_be_signed(protected, context, payload))
    return joined(protected, payload, signature)


@functools.lru_cache(maxsize=256)  # a log names few keys, but thousands of times
def _key_named(protected: bytes) -> bytes:
    """The key id in a protected header. Raises EnvelopeError."""
    header = decode(protected)
    if not (isinstance(header, dict) and set(header) == {HEADER_ALG, HEADER_KID}):
        raise EnvelopeError("protected header must hold the algorithm and the key id, and nothing else")
    kid = header[HEADER_KID]
    if header[HEADER_ALG] != ALG_ED25519:
        raise EnvelopeError("algorithm is not Ed25519 (-19)")
    if not (isinstance(kid, bytes) and len(kid) == 8):
        raise EnvelopeError("the key id must be 8 bytes")
    return kid


def split(message: bytes, *, limit: int = MAX_BYTES) -> tuple[bytes, bytes, bytes, bytes]:
    """(protected, payload, signature, key id) of a COSE_Sign1 message; checks the form, not the signature."""
    if message[:1] != TAG_SIGN1:
        raise EnvelopeError("not a COSE_Sign1 message (tag 18)")
    parts = decode(message[1:], limit=limit)
    if not (isinstance(parts, list) and len(parts) == 4 and parts[1] == {}):
        raise EnvelopeError("COSE_Sign1 must be [protected, {}, payload, signature]")
    protected, _, payload, signature = parts
    if not (isinstance(protected, bytes) and isinstance(payload, bytes) and isinstance(signature, bytes)):
        raise EnvelopeError("COSE_Sign1 parts must be byte strings")
    kid = _key_named(protected)
    if len(signature) != 64:
        raise EnvelopeError("the signature must be 64 bytes")
    return protected, payload, signature, kid


def joined(protected: bytes, payload: bytes, signature: bytes) -> bytes:
    """The message that `split` takes apart into these parts."""
    return TAG_SIGN1 + cbor2.dumps([protected, {}, payload, signature])


def open_signed(message: bytes, public: Ed25519PublicKey, *, context: bytes, limit: int = MAX_BYTES) -> bytes:
    """The payload of `message`, if its signature is valid. Raises EnvelopeError, SignatureError."""
    protected, payload, signature, kid = split(message, limit=limit)
    if kid != key_id(public):
        raise SignatureError("signed by another key")
    try:
        verify_ed25519(public, signature, _to_be_signed(protected, context, payload))
    except InvalidSignature:
        raise SignatureError("the signature is not valid") from None
    return payload


def verify_ed25519(public: Ed25519PublicKey, signature: bytes, message: bytes) -> None:
    """Raise cryptography's InvalidSignature unless `public` signed the message. RFC 8032, 5.1.7."""
    public.verify(signature, message)
