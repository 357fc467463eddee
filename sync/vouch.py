"""How the unit key vouches for the other keys: COSE_Sign1 with ECDSA on P-256 (ESP256, RFC 9864). No I/O.

The unit key (P-256, in a chip if there is one, else in a file) signs one kind of statement: it names the
unit's log key (Ed25519) and TLS key (P-256). If a log replaces another, `previous` and `reason` are included.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from storage import codec, envelope
from storage.errors import EnvelopeError, RecordError
from sync.errors import MessageError

ALG_ESP256 = -9
CONTEXT = b"alpr-reader/vouch/v1"
MAX_VOUCH_BYTES = 16 * 1024
VERSION = 1


class UnitKey(Protocol):
    """The unit's own key, which never leaves the chip or file."""

    def public_der(self) -> bytes:
        """SubjectPublicKeyInfo (DER) of the P-256 key."""

    def sign(self, data: bytes) -> bytes:
        """ECDSA with SHA-256 over `data`, DER."""


@dataclass(frozen=True, slots=True)
class FileUnitKey:
    """The unit key without a chip: a PKCS 8 file, 0600."""

    private: ec.EllipticCurvePrivateKey

    def public_der(self) -> bytes:
        return public_der(self.private.public_key())

    def sign(self, data: bytes) -> bytes:
        return self.private.sign(data, ec.ECDSA(hashes.SHA256()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Vouch:
    """The signed statement. `log_public`: 32 bytes; `tls_public`: SubjectPublicKeyInfo, P-256."""

    version: int = VERSION
    unit: bytes
    log_public: bytes
    tls_public: bytes
    at_us: int
    previous: str | None = None
    reason: str | None = None

    def check(self) -> None:
        if self.version != VERSION or len(self.log_public) != 32:
            raise RecordError("version or log key malformed", where="vouch")
        if len(self.unit) > 256 or len(self.tls_public) > 256:
            raise RecordError("a P-256 public key is shorter", where="vouch")
        if len(self.previous or "") > 8192 or len(self.reason or "") > 500:
            raise RecordError("previous or reason is too long", where="vouch")


def public_der(key: ec.EllipticCurvePublicKey) -> bytes:
    """SubjectPublicKeyInfo, DER."""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def p256(der: bytes, where: str = "public key") -> ec.EllipticCurvePublicKey:
    """A P-256 public key. Raises MessageError."""
    try:
        key = serialization.load_der_public_key(der)
    except ValueError:
        raise MessageError("is not a public key", where=where) from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise MessageError("is not a P-256 key", where=where)
    return key


def unit_id_of(unit_der: bytes) -> str:
    """The id of a unit: 32 hex digits derived from its key."""
    return hashlib.sha256(unit_der).hexdigest()[:32]


def _to_be_signed(protected: bytes, payload: bytes) -> bytes:
    return cbor2.dumps(["Signature1", protected, CONTEXT, payload])


def sign_vouch(vouch: Vouch, key: UnitKey) -> bytes:
    """Sign a statement with the unit key."""
    payload = codec.to_bytes(vouch)
    kid = hashlib.sha256(key.public_der()).digest()[:8]
    protected = cbor2.dumps({1: ALG_ESP256, 4: kid}, canonical=True)
    r, s = decode_dss_signature(key.sign(_to_be_signed(protected, payload)))
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return envelope.TAG_SIGN1 + cbor2.dumps([protected, {}, payload, signature], canonical=True)


def _split(data: bytes) -> tuple[bytes, bytes, bytes]:
    """Split a COSE_Sign1 message into (protected, payload, signature). Raises EnvelopeError."""
    if data[:1] != envelope.TAG_SIGN1:
        raise EnvelopeError("not a COSE_Sign1 message")
    parts = envelope.decode(data[1:], limit=MAX_VOUCH_BYTES)
    if not (isinstance(parts, list) and len(parts) == 4 and parts[1] == {}):
        raise EnvelopeError("COSE_Sign1 must be [protected, {}, payload, signature]")
    protected, _, payload, signature = parts
    if not (isinstance(protected, bytes) and isinstance(payload, bytes) and isinstance(signature, bytes)):
        raise EnvelopeError("COSE_Sign1 parts must be byte strings")
    return protected, payload, signature


def open_vouch(data: bytes, unit_der: bytes | None = None) -> Vouch:
    """Open a statement that is signed by the unit key that it names; `unit_der`, if given, must be that key.

    Raises MessageError.
    """
    try:
        protected, payload, signature = _split(data)
        vouch = codec.from_bytes(Vouch, payload, limit=MAX_VOUCH_BYTES)
    except (EnvelopeError, RecordError) as error:
        raise MessageError(error.what, where="vouch") from None
    expected = {1: ALG_ESP256, 4: hashlib.sha256(vouch.unit).digest()[:8]}
    if protected != cbor2.dumps(expected, canonical=True) or len(signature) != 64:
        raise MessageError("is not signed by the unit key that it names", where="vouch")
    if unit_der is not None and vouch.unit != unit_der:
        raise MessageError("acts for another unit", where="vouch")
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    try:
        p256(vouch.unit, "vouch.unit").verify(
            encode_dss_signature(r, s), _to_be_signed(protected, payload), ec.ECDSA(hashes.SHA256())
        )
    except InvalidSignature:
        raise MessageError("the unit key's signature is not valid", where="vouch") from None
    return vouch
