"""What a person signs: certificates for keys, and statements for calls. No I/O.

Both are COSE_Sign1 (Ed25519) over deterministic CBOR, each in its own context. A certificate vouches for a
session's key, or for a person's next key, until a time. A statement has the call's name and form, so that
nothing else can be done with it. Both name the department's log and have a random number; `signers.py` has
the rules for when they count.

`offering` keeps the statement of a call for the entries that the call makes.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from storage import envelope
from storage.codec import from_bytes, to_bytes, to_plain
from storage.errors import RecordError
from storage.times import HOUR_US, MINUTE_US

CERTIFICATE = b"alpr-department/certificate/v1"
STATEMENT = b"alpr-department/statement/v1"
CHANGE = b"alpr-department/change/v1\x00"
SESSION, NEXT_KEY, CALL_PROOF = "session", "next-key", "proof"
LONGEST_US = 24 * HOUR_US
SHA256 = "sha256"
USED = "the signature was used before"
WHOLE_BYTES = 4096  # longer byte strings (a document, a letter) are in a statement as their digest
SIGNED_WITHIN_US = 10 * MINUTE_US  # how far the time of a signature and of its entry may differ
MAX_BYTES = 256 * 1024  # a form with the names of a thousand reads


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate of a public key, from `at_us` until `ends_us`.

    `public_key`: for a session, or the user's next key; for a proof, the challenge of a call
    (`passkeys.ProvenUse`).
    """

    department: bytes
    user: str
    use: str
    public_key: bytes
    at_us: int
    ends_us: int

    def check(self) -> None:
        if self.use not in {SESSION, NEXT_KEY, CALL_PROOF} or len(self.public_key) != 32:
            raise RecordError("use or key is malformed", where="certificate")
        if not 0 < self.ends_us - self.at_us <= LONGEST_US:
            raise RecordError("holds for at most a day", where="certificate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A call as signed by its caller. `form`: as from `form_bytes`."""

    department: bytes
    user: str
    call: str
    form: bytes = field(repr=False)
    at_us: int
    nonce: bytes

    def fields(self) -> dict[str, Any]:
        """The form's fields. Raises RecordError, EnvelopeError."""
        return dict(_fields_of(self.form))


@functools.lru_cache(maxsize=16)
def _fields_of(form: bytes) -> dict[str, Any]:
    """Parse a form; cached, since several rules judge the same statement."""
    value = envelope.decode(form, limit=MAX_BYTES)
    if not isinstance(value, dict):
        raise RecordError("is not a form", where="statement.form")
    return value


def form_fields(form: Any) -> dict[str, Any]:
    """The fields of a form as in a statement, with long byte strings as {"sha256": digest}."""
    plain: dict[str, Any] = to_plain(form)
    return {
        name: {SHA256: hashlib.sha256(value).digest()}
        if isinstance(value, bytes) and len(value) > WHOLE_BYTES
        else value
        for name, value in plain.items()
    }


def form_bytes(form: Any) -> bytes:
    """Canonical CBOR of a form's fields."""
    return envelope.encode(form_fields(form))


def proposal_digest(call: str, form: Mapping[str, Any]) -> bytes:
    """SHA-256 of the fields of a form as proposed: everything in it except the approval."""
    blank = {name: value for name, value in (("propose", False), ("approval", -1)) if name in form}
    return hashlib.sha256(CHANGE + call.encode() + b"\x00" + envelope.encode({**form, **blank})).digest()


def certify(  # noqa: PLR0917 - what a certificate says
    key: Ed25519PrivateKey, department: bytes, user: str, use: str, public: bytes, at_us: int
) -> bytes:
    """Sign a certificate with a person's key. public: 32 bytes, a public key or the challenge of a call."""
    made = Certificate(
        department=department,
        user=user,
        use=use,
        public_key=public,
        at_us=at_us,
        ends_us=at_us + LONGEST_US,
    )
    return envelope.sign(to_bytes(made), key, context=CERTIFICATE)


def open_certificate(message: bytes, public: bytes) -> Certificate:
    """Open a certificate and check its signature. Raises SignatureError, EnvelopeError, RecordError."""
    key = Ed25519PublicKey.from_public_bytes(public)
    return from_bytes(Certificate, envelope.open_signed(message, key, context=CERTIFICATE, limit=4096))


def sign_call(  # noqa: PLR0917 - what a statement says
    key: Ed25519PrivateKey, department: bytes, user: str, call: str, form: Any, at_us: int
) -> bytes:
    """Sign a statement of one call with a session's key."""
    made = Statement(
        department=department, user=user, call=call, form=form_bytes(form), at_us=at_us, nonce=os.urandom(16)
    )
    return envelope.sign(to_bytes(made), key, context=STATEMENT)


def open_statement(message: bytes, public: bytes) -> Statement:
    """Open a statement and check its signature. Raises SignatureError, EnvelopeError, RecordError."""
    key = Ed25519PublicKey.from_public_bytes(public)
    return from_bytes(
        Statement, envelope.open_signed(message, key, context=STATEMENT, limit=MAX_BYTES), limit=MAX_BYTES
    )


def said_in(message: bytes) -> Statement:
    """Parse a statement whose signature was already checked. Raises EnvelopeError, RecordError."""
    return from_bytes(Statement, envelope.split(message, limit=MAX_BYTES)[1], limit=MAX_BYTES)


@functools.lru_cache(maxsize=16)
def digest_of(said: Statement) -> bytes:
    """SHA-256 of a statement, which identifies the call; cached, since several rules need it."""
    return hashlib.sha256(to_bytes(said)).digest()


_offered: ContextVar[bytes] = ContextVar("statement", default=b"")


@contextlib.contextmanager
def offering(statement: bytes) -> Iterator[None]:
    """Set the statement of the call that is made during the block."""
    before = _offered.set(statement)
    try:
        yield
    finally:
        _offered.reset(before)


def offered() -> bytes:
    """The statement of the present call, or empty."""
    return _offered.get()
