"""A passkey's signature as a certificate of a session's key (WebAuthn Level 3). No I/O.

The assertion's challenge is the SHA-256 of the certificate. So the authenticator's signature certifies the
session's key as its person's, just as a key from a password does. The signature is valid for only one site.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import cbor2

from storage import envelope
from storage.codec import from_bytes
from storage.errors import RecordError, SignatureError
from sync.department.journal.entry_base import Note
from sync.department.journal.statements import Certificate

MAX_BYTES = 16 * 1024
MAX_KEYS = 8  # per person
PROOF = "alpr-department/passkey-proof/v1"
UNLOCK = "session/unlock"
OWN_PASSWORD = "user/password"  # noqa: S105 - the name of a call
OF_PASSKEYS = ("user/passkey", "user/passkey-options", "user/remove-passkey")


@dataclass(frozen=True, slots=True, kw_only=True)
class PasskeySet(Note):
    """A person's passkey: its id, public key (COSE) and site. `active` False removes it."""

    KIND: ClassVar[str] = "passkey"
    user: str
    name: str
    credential_id: bytes
    public_key: bytes
    rp_id: str
    origin: str
    active: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenUse:
    """What a proof is for: the name of a call, or UNLOCK, and SHA-256 of its form."""

    use: str
    form: bytes

    @property
    def name(self) -> str:
        """A short name, for a client that proves one of several calls."""
        return hashlib.sha256(envelope.encode([PROOF, self.use, self.form])).hexdigest()[:32]

    def challenge(self, department: bytes, session: bytes, nonce: bytes) -> bytes:
        """The challenge that the person signs, for this department, session and use, once."""
        return hashlib.sha256(
            envelope.encode([PROOF, department, session, self.use, self.form, nonce])
        ).digest()


def proof_of(call: str, form: bytes) -> ProvenUse:
    """The use that a proof for a call with this form (`statements.form_bytes`) covers.

    Calls about the same passkeys are one use, since a registration takes two of them and its form is the
    authenticator's own answer. A new password has no digest, from which it could be guessed.
    """
    if call == OWN_PASSWORD:
        return ProvenUse(use=call, form=b"")
    if call in OF_PASSKEYS:
        return ProvenUse(use=OF_PASSKEYS[0], form=b"")
    return ProvenUse(use=call, form=hashlib.sha256(form).digest())


def passkey_certificate(certificate: bytes, response: str) -> bytes:
    """Combine a certificate with the authenticator's answer, for an entry."""
    return envelope.encode({"certificate": certificate, "response": response})


def is_passkey_certificate(message: bytes) -> bool:
    """Whether a certificate is by a passkey rather than a COSE_Sign1."""
    return message[:1] == b"\xa2"


def credential_of(message: bytes) -> bytes:
    """The id of the passkey that a certificate names. Raises StorageError."""
    return _raw_id(_parts(message)[1])


def answered_by(response: str) -> bytes:
    """The id of the passkey in an authenticator's answer. Raises RecordError."""
    return _raw_id(response)


def challenge_of(response: str) -> bytes:
    """The challenge in an authenticator's answer. Raises RecordError."""
    try:
        value: Any = json.loads(response)
        data = json.loads(_bytes(value["response"]["clientDataJSON"]))
        return _bytes(data["challenge"])
    except (ValueError, TypeError, KeyError):
        raise RecordError("is not an answer of an authenticator", where="passkey") from None


def open_passkey_certificate(message: bytes, key: PasskeySet) -> Certificate:
    """Open a certificate and check the passkey's signature over it. Raises SignatureError, RecordError."""
    certificate, response = _parts(message)
    demand_answer(response, hashlib.sha256(certificate).digest(), key)
    return from_bytes(Certificate, certificate)


def demand_answer(response: str, challenge: bytes, key: PasskeySet) -> None:
    """Raises SignatureError unless this passkey answered the challenge for a verified user."""
    import webauthn  # noqa: PLC0415 - a large library, needed only for passkeys
    from webauthn.helpers.exceptions import WebAuthnException  # noqa: PLC0415

    try:
        webauthn.verify_authentication_response(
            credential=response,
            expected_challenge=challenge,
            expected_rp_id=key.rp_id,
            expected_origin=key.origin,
            credential_public_key=key.public_key,
            credential_current_sign_count=0,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, TypeError, KeyError) as error:
        raise SignatureError(f"the passkey's signature is not valid: {type(error).__name__}") from None


def passkey_owner(note: PasskeySet, passkeys: Mapping[str, Iterable[PasskeySet]]) -> str:
    """Another person who has this passkey, or empty. `passkeys`: by person.

    Compares the keys, which sign; the id is only a number, which the authenticator does not sign.
    """
    same = (
        user
        for user, keys in passkeys.items()
        for one in keys
        if user != note.user
        and (_numbers(note.public_key) == _numbers(one.public_key) or note.credential_id == one.credential_id)
    )
    return next(same, "") if note.active else ""


def _numbers(key: bytes) -> object:
    """The signing part of a COSE key (RFC 9052, 7; RFC 8230), its point or modulus.

    Independent of the order of the fields and of other fields.
    """
    try:
        made = cbor2.loads(key)
        values = [made.get(label) for label in (-1, -2, -3)]
    except (cbor2.CBORError, ValueError, TypeError, AttributeError, EOFError, OverflowError, RecursionError):
        return key
    return [one.lstrip(b"\x00") if isinstance(one, bytes) else one for one in values]


def is_registered_by(response: str, key: PasskeySet) -> bool:
    """Whether an authenticator's answer to a registration is of this passkey.

    It then contains the length of the id, the id and the key in a row (WebAuthn Level 3, 6.5.1).
    """
    try:
        value = json.loads(response)["response"]
        attestation = _bytes(value["attestationObject"])
    except (ValueError, TypeError, KeyError, RecordError):
        return False
    name = key.credential_id
    return len(name) < 1 << 16 and len(name).to_bytes(2, "big") + name + key.public_key in attestation


def _parts(message: bytes) -> tuple[bytes, str]:
    value = envelope.decode(message, limit=MAX_BYTES)
    if not isinstance(value, dict) or set(value) != {"certificate", "response"}:
        raise RecordError("is not a certificate of a passkey", where="certificate")
    if not isinstance(value["certificate"], bytes) or not isinstance(value["response"], str):
        raise RecordError("is not a certificate of a passkey", where="certificate")
    return value["certificate"], value["response"]


def _raw_id(response: str) -> bytes:
    try:
        value: Any = json.loads(response)
        return _bytes(value["rawId"])
    except (ValueError, TypeError, KeyError):
        raise RecordError("is not an answer of an authenticator", where="passkey") from None


def _bytes(text: object) -> bytes:
    if not isinstance(text, str):
        raise RecordError("is not base64url", where="passkey")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise RecordError("is not base64url", where="passkey") from None
