"""A person's password as a key: what a login proves with it, and the entries that follow.

The server sees a password that is typed into a browser. It makes the key in memory, signs the session's
certificate and forgets the key. A command makes the key on its own machine and sends only the certificate.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from storage.errors import StorageError
from sync.department.desk.people import rules
from sync.department.desk.people.rules import Credential
from sync.department.ground.person_key import SALT_BYTES, argon2_scheme, derive_key, new_salt, pbkdf2_scheme
from sync.department.journal.person_entries import PersonKeySet
from sync.department.journal.statements import (
    NEXT_KEY,
    SESSION,
    SIGNED_WITHIN_US,
    certify,
    open_certificate,
)
from sync.department.policy.system_terms import SecurityTerms


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """What a password proved. `key`: the person's key; `fresh`: their first one, which is yet to be
    entered."""

    matches: bool
    passkey: bool = False  # the authenticator verified its user, so no code is needed
    key: Ed25519PrivateKey | None = field(default=None, repr=False)
    fresh: PersonKeySet | None = None


def scheme_of(terms: SecurityTerms) -> str:
    """The scheme by which a new password makes its key."""
    if terms.approved:
        return pbkdf2_scheme()
    return argon2_scheme(terms.argon2_memory_kib, terms.argon2_passes)


def new_key(
    terms: SecurityTerms, department: bytes, user: str, password: str
) -> tuple[Ed25519PrivateKey, PersonKeySet]:
    """A key for a new password, with a fresh salt and without a certificate by the previous key."""
    salt, scheme = new_salt(), scheme_of(terms)
    key = derive_key(password, salt, scheme, department=department, user=user)
    public = key.public_key().public_bytes_raw()
    return key, PersonKeySet(user=user, public_key=public, salt=salt, scheme=scheme, proof=b"")


def prove(  # noqa: PLR0917 - a person, and what is known of them
    terms: SecurityTerms,
    department: bytes,
    user: str,
    credential: Credential | None,
    known: PersonKeySet | None,
    password: str,
) -> Proven:
    """Check a password against the person's key, or, before they have one, against its hash, and make the
    key.

    An unknown person takes as long as a wrong password. A first password has no key.
    """
    if credential is None or credential.first or known is None:
        matches = rules.password_matches(credential or rules.nobody(terms), password)
        if not matches or credential is None or credential.first:
            return Proven(matches=matches)
        key, fresh = new_key(terms, department, user, password)
        return Proven(matches=True, key=key, fresh=fresh)
    if not rules.is_password(password):
        return Proven(matches=False)
    key = derive_key(password, known.salt, known.scheme, department=department, user=user)
    if not hmac.compare_digest(key.public_key().public_bytes_raw(), known.public_key):
        return Proven(matches=False)
    return Proven(matches=True, key=key)


def like(user: str, secret: bytes, users: Iterable[str]) -> str | None:
    """The user whose account an unknown name imitates, or None if there are no accounts.

    It stays the same while that account does. `secret`: 32 bytes for this name that only the server can make.

    Schemes, salts and passkeys differ with the age of an account. Answers to unknown names are spread in the
    same way, so that no answer reveals which names exist.
    """
    others = (one for one in users if one != user)
    return max(others, key=lambda one: hashlib.sha256(secret + one.encode()).digest(), default=None)


def stand_in(user: str, secret: bytes, keys: Mapping[str, PersonKeySet]) -> PersonKeySet | None:
    """A key for an unknown name, which no password makes; None if no account has a key."""
    other = like(user, secret, keys)
    if other is None:
        return None
    salt = hashlib.sha256(secret + keys[other].salt).digest()
    return replace(
        keys[other], user=user, salt=salt[:SALT_BYTES], public_key=hashlib.sha256(salt).digest(), proof=b""
    )


def certified(  # noqa: PLR0917 - a certificate, and what it must say
    known: PersonKeySet | None,
    department: bytes,
    user: str,
    certificate: bytes,
    at_us: int,
    use: str = SESSION,
    of: bytes = b"",
) -> bool:
    """Whether this person's key made a certificate for this use in the last few minutes.

    `of`: the 32 bytes that it must certify.
    """
    if known is None:
        return False
    try:
        said = open_certificate(certificate, known.public_key)
    except (StorageError, ValueError):
        return False
    said_well = (said.department, said.user, said.use) == (department, user, use)
    return said_well and of in {b"", said.public_key} and abs(said.at_us - at_us) <= SIGNED_WITHIN_US


def next_key(  # noqa: PLR0917 - a person, and what is known of them
    terms: SecurityTerms,
    department: bytes,
    user: str,
    password: str,
    before: Ed25519PrivateKey | None,
    at_us: int,
) -> PersonKeySet:
    """The key of a new password, certified by the previous key."""
    _, made = new_key(terms, department, user, password)
    if before is None:
        return made
    proof = certify(before, department, user, NEXT_KEY, made.public_key, at_us)
    return PersonKeySet(
        user=user, public_key=made.public_key, salt=made.salt, scheme=made.scheme, proof=proof
    )
