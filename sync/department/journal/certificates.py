"""Certificates in the log, by which a person's key vouches for another key or for a call. No I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from storage.codec import to_bytes
from storage.errors import StorageError
from storage.times import HOUR_US
from sync.department.ground.department_time import apart_text
from sync.department.journal.passkeys import PasskeySet, credential_of, open_passkey_certificate
from sync.department.journal.person_entries import SessionKeySet
from sync.department.journal.second_hand_facts import forget
from sync.department.journal.statements import SESSION, SIGNED_WITHIN_US, Certificate, open_certificate
from sync.department.journal.unsigned import UnsignedError


def certified(  # noqa: PLR0917 - a certificate and what it must say
    department: bytes, at_us: int, message: bytes, by: bytes, user: str, use: str
) -> Certificate:
    """Open a certificate by a person's public key, for this use and about this time. Raises UnsignedError."""
    try:
        said = open_certificate(message, by)
    except (StorageError, ValueError) as error:
        raise UnsignedError(f"{user}'s key did not sign it: {type(error).__name__}") from None
    return _fresh(said, department, at_us, user, use)


def certified_by_passkey(
    department: bytes, at_us: int, note: SessionKeySet, keys: Iterable[PasskeySet]
) -> Certificate:
    """Open the certificate of a session's key by one of these passkeys. Raises UnsignedError."""
    try:
        wanted = credential_of(note.certificate)
        key = next(one for one in keys if one.credential_id == wanted)
        said = open_passkey_certificate(note.certificate, key)
    except StopIteration:
        raise UnsignedError(f"{note.user} has no such passkey") from None
    except StorageError as error:
        raise UnsignedError(f"{note.user}'s passkey did not sign it: {type(error).__name__}") from None
    return _fresh(said, department, at_us, note.user, SESSION)


def use_certificate(recent: dict[bytes, int], said: Certificate, at_us: int, *, opens: bool) -> None:
    """Use up a certificate, which opens a session with a new key, or opens one again. Raises UnsignedError.

    `recent`: the hour's certificates and keys of sessions.
    """
    forget(recent, lambda one: at_us - one >= HOUR_US)
    made = hashlib.sha256(to_bytes(said)).digest()
    if made in recent or (opens and said.public_key in recent):
        raise UnsignedError("the certificate was used before")
    for key in (made, said.public_key):
        recent.pop(key, None)
        recent[key] = at_us


def _fresh(said: Certificate, department: bytes, at_us: int, user: str, use: str) -> Certificate:
    if (said.department, said.user, said.use) != (department, user, use):
        raise UnsignedError("the certificate is for another person, department or use")
    if abs(said.at_us - at_us) > SIGNED_WITHIN_US:
        raise UnsignedError(f"the certificate was made at another time: {apart_text(said.at_us, at_us)}")
    return said
