"""The chip with a unit's identity: a P-256 key that never leaves it, and sealing of small secrets to it.

`tpm:...` is a TPM 2.0 (`unit_chip_tpm.py`). `loopback:/PATH` is its twin: files next to the slot's twin,
outside the home. A `file:` slot has no chip: the unit's keys are then files in the home, mode 0600.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hw.errors import ChipFailedError

MAX_SECRET_BYTES = 64
_SEAL_AAD = b"alpr-reader/unit-chip/v1"
NONCE_BYTES = 12


class UnitChip(Protocol):
    """One chip. Each call opens it separately, so that other programs can use it too."""

    @property
    def promise(self) -> str:
        """What the chip can promise, as a sentence for people."""

    def public_der(self) -> bytes:
        """SubjectPublicKeyInfo (DER) of the unit's P-256 key, always the same. Raises ChipFailedError."""

    def sign(self, data: bytes) -> bytes:
        """An ECDSA signature (SHA-256, DER) over `data`. Raises ChipFailedError."""

    def seal(self, secret: bytes) -> bytes:
        """Seal 1 to 64 bytes, so that only this chip can open them. Raises ChipFailedError."""

    def unseal(self, sealed: bytes) -> bytes:
        """Open what was sealed. Raises ChipFailedError if another chip sealed it or it is damaged."""


class LoopbackChip:
    """The twin: a key in a file outside the home, which a copy of the home does not carry."""

    promise = "a stand-in for a chip: a copy of its file can pass for the unit"

    def __init__(self, path: Path) -> None:
        self._key_path, self._seal_path = (path.with_name(path.name + end) for end in (".unit", ".seal"))

    def public_der(self) -> bytes:
        """See UnitChip.public_der."""
        return (
            self._key()
            .public_key()
            .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        )

    def sign(self, data: bytes) -> bytes:
        """See UnitChip.sign."""
        return self._key().sign(data, ec.ECDSA(hashes.SHA256()))

    def seal(self, secret: bytes) -> bytes:
        """See UnitChip.seal."""
        check_secret(secret)
        nonce = os.urandom(NONCE_BYTES)
        return nonce + AESGCM(self._kept(self._seal_path, os.urandom(32))).encrypt(nonce, secret, _SEAL_AAD)

    def unseal(self, sealed: bytes) -> bytes:
        """See UnitChip.unseal."""
        key = AESGCM(self._kept(self._seal_path, os.urandom(32)))
        try:
            return key.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _SEAL_AAD)
        except (InvalidTag, ValueError):
            raise ChipFailedError("the chip does not open this: sealed by another one, or damaged") from None

    def _key(self) -> ec.EllipticCurvePrivateKey:
        made = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        key = serialization.load_der_private_key(self._kept(self._key_path, made), password=None)
        return cast("ec.EllipticCurvePrivateKey", key)

    @staticmethod
    def _kept(path: Path, fresh: bytes) -> bytes:
        """The file's content, or `fresh` if there is no file yet."""
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return path.read_bytes()
        except OSError as error:
            raise ChipFailedError(f"chip {path}: cannot be written: {error.strerror}") from None
        with os.fdopen(descriptor, "wb") as file:
            file.write(fresh)
            file.flush()
            os.fsync(file.fileno())
        return fresh


def check_secret(secret: bytes) -> None:
    """Raise ChipFailedError for a secret whose length no chip seals."""
    if not 0 < len(secret) <= MAX_SECRET_BYTES:
        raise ChipFailedError(f"a chip seals 1 to {MAX_SECRET_BYTES} bytes")


def open_chip(slot_uri: str) -> UnitChip | None:
    """The chip behind a home's slot; None if the slot is a file.

    Raises MissingDriverError if a library is absent or no chip answers.
    """
    scheme, _, rest = slot_uri.strip().partition(":")
    if scheme == "loopback" and rest.startswith("/"):
        return LoopbackChip(Path(rest))
    if scheme == "tpm":
        from hw.unit_chip_tpm import open_tpm_chip  # noqa: PLC0415 - a driver imports late

        return open_tpm_chip(rest)
    return None
