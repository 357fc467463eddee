"""A person's signing key, derived from their password, and the session's key in a token. No I/O.

The key is Ed25519 over a seed derived from the password by argon2id (RFC 9106), or PBKDF2-HMAC-SHA-256 in the
FIPS profile. The salt binds it to one department and user, so that the same password gives different keys in
different places. Only the public half is ever logged.

A token is SECRET, which opens the session at the desk, or SECRET~PART. PART, which signs calls, is base64url
of deterministic CBOR [seed of the session's key, log id, user, microseconds that the desk's clock is ahead].
Over HTTP, a client sends only SECRET and its signatures; a browser sends both, and the server signs.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
from dataclasses import dataclass, field

from argon2.low_level import Type, hash_secret_raw
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from storage import envelope
from storage.errors import RecordError, StorageError
from storage.roster import PBKDF2_ROUNDS

SALT_BYTES = 16
SEED_BYTES = 32
MARK = "~"
_ARGON2 = re.compile(r"argon2id\$m=(\d{5,7}),t=(\d{1,2})")
_PBKDF2 = re.compile(r"pbkdf2-sha256\$(\d{6,8})")
MIN_KIB, MAX_KIB = 19 * 1024, 1 << 21  # OWASP's minimum, and the most that a client's machine must provide
_DOMAIN = b"alpr-department/person-key/v1\x00"


def argon2_scheme(memory_kib: int, passes: int) -> str:
    """The name of the scheme with these costs."""
    return f"argon2id$m={memory_kib},t={passes}"


def pbkdf2_scheme() -> str:
    """The name of the scheme of the FIPS profile."""
    return f"pbkdf2-sha256${PBKDF2_ROUNDS}"


def new_salt() -> bytes:
    """A fresh salt for one key."""
    return os.urandom(SALT_BYTES)


def derive_key(password: str, salt: bytes, scheme: str, *, department: bytes, user: str) -> Ed25519PrivateKey:
    """Derive a person's key. `department`: the access log's id.

    Raises RecordError for a scheme that is unknown or too weak.
    """
    bound = hashlib.sha256(_DOMAIN + envelope.encode([department, user, salt])).digest()
    if match := _ARGON2.fullmatch(scheme):
        memory_kib, passes = int(match[1]), int(match[2])
        if not (MIN_KIB <= memory_kib <= MAX_KIB and 2 <= passes <= 16):
            raise RecordError("costs out of range", where="person key")
        seed = hash_secret_raw(
            password.encode(),
            bound,
            time_cost=passes,
            memory_cost=memory_kib,
            parallelism=1,
            hash_len=SEED_BYTES,
            type=Type.ID,
        )
    elif match := _PBKDF2.fullmatch(scheme):
        rounds = int(match[1])
        if not PBKDF2_ROUNDS <= rounds <= 20 * PBKDF2_ROUNDS:
            raise RecordError("costs out of range", where="person key")
        seed = hashlib.pbkdf2_hmac("sha256", password.encode(), bound, rounds, SEED_BYTES)
    else:
        raise RecordError("is not a known scheme", where="person key")
    return Ed25519PrivateKey.from_private_bytes(seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionToken:
    """A parsed token. `key`: the session's key; None if calls are signed elsewhere or not at all."""

    secret: str = field(repr=False)
    key: Ed25519PrivateKey | None = field(default=None, repr=False)
    department: bytes = b""
    user: str = ""
    ahead_us: int = 0

    def text(self) -> str:
        """The token as text."""
        if self.key is None:
            return self.secret
        part = envelope.encode([self.key.private_bytes_raw(), self.department, self.user, self.ahead_us])
        return self.secret + MARK + base64.urlsafe_b64encode(part).decode().rstrip("=")


def secret_of(token: str) -> str:
    """The part of a token that opens the session at the desk."""
    return token.partition(MARK)[0]


def read_token(text: str) -> SessionToken:
    """Parse a token; without a valid second part, it has no key."""
    secret, _, part = text.partition(MARK)
    try:
        value = envelope.decode(
            base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True), limit=1024
        )
        seed, department, user, ahead_us = value
        key = Ed25519PrivateKey.from_private_bytes(seed)
    except (StorageError, binascii.Error, ValueError, TypeError):
        return SessionToken(secret=secret)
    if not (isinstance(department, bytes) and isinstance(user, str) and type(ahead_us) is int):
        return SessionToken(secret=secret)
    return SessionToken(secret=secret, key=key, department=department, user=user, ahead_us=ahead_us)
