"""Seals epoch keys to the department's day key: HPKE, RFC 9180. No I/O.

DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM, base mode, single shot; `info` binds the log id and
the epoch. The result is enc (65 bytes) || ciphertext (48 bytes).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from storage.envelope import encode
from storage.errors import KeyLostError, RecordError, SealError
from storage.times import DAY_US

SUITE = Suite(KEM.P256, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
INFO_TAG = "alpr-reader/epoch-key/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class DayKey:
    """The public key for one UTC day. `day`: days since 1970-01-01; `point`: 65 bytes, uncompressed."""

    day: int
    point: bytes

    def check(self) -> None:
        self.public()

    @property
    def key_id(self) -> bytes:
        """SHA-256 of the point."""
        return hashlib.sha256(self.point).digest()

    def public(self) -> ec.EllipticCurvePublicKey:
        try:
            return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), self.point)
        except ValueError:
            raise RecordError("is not a point on P-256", where=f"day key {self.day}") from None

    @classmethod
    def of(cls, day: int, private: ec.EllipticCurvePrivateKey) -> DayKey:
        point = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return cls(day=day, point=point)


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochKeyForDay:
    """An epoch's key, sealed to the day key with id `day_key` (HPKE, 113 bytes)."""

    epoch: int
    day_key: bytes
    sealed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DayKeys:
    """A signed set of day keys, sent in advance. `version` only rises."""

    version: int
    keys: tuple[DayKey, ...]


def info_of(log_id: bytes, epoch: int) -> bytes:
    """HPKE `info`: CBOR [tag, log id, epoch]."""
    return encode([INFO_TAG, log_id, epoch])


def seal_to_day(epoch_key: bytes, day_key: DayKey, log_id: bytes, epoch: int) -> bytes:
    """Seal the epoch key so that only the department can open it."""
    return SUITE.encrypt(epoch_key, day_key.public(), info=info_of(log_id, epoch))


def open_from_day(sealed: bytes, private: ec.EllipticCurvePrivateKey, log_id: bytes, epoch: int) -> bytes:
    """Open a sealed epoch key, at the department. Raises SealError."""
    try:
        return SUITE.decrypt(sealed, private, info=info_of(log_id, epoch))
    except (InvalidTag, ValueError):
        raise SealError("does not open under this day key", where=f"epoch {epoch}") from None


def key_for(keys: Sequence[DayKey], us: int | None) -> DayKey:
    """The key for the day of `us`; the last key if that day is later or unknown (None).

    Raises KeyLostError if there are no keys.
    """
    if not keys:
        raise KeyLostError("no day key of the department is on this unit", cure="sync, or enroll again")
    ahead = [] if us is None else [key for key in keys if key.day >= us // DAY_US]
    return min(ahead, key=lambda key: key.day) if ahead else max(keys, key=lambda key: key.day)
