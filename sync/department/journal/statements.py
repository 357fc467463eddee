"""What a person signs: a certificate for a key, and a statement for each call that opens content. No I/O.

Both are COSE_Sign1 (Ed25519) over deterministic CBOR, each under its own context. A certificate makes a
session's key, or a person's next key, theirs until a time. A statement holds the call's name and its form,
so that its holder can do only what the form asks. Both name the department's log and
hold a random number; the rules for when they count are in `signers.py`.

`offering` keeps the statement that a call came with, for the entries that the call makes.
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
WHOLE_BYTES = 4096  # a document, a letter: longer bytes are in a statement as their digest
SIGNED_WITHIN_US = 10 * MINUTE_US  # how far two clocks may differ: a signature's and that of what it signs
MAX_BYTES = 256 * 1024  # a form with the names of a thousand reads


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """`public_key` is this user's for a session or as the next key, from `at_us` until `ends_us`; of a proof
    it is the challenge of one call (`passkeys.ProvenUse`)."""

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
    """A call as its caller made it. `form`: as `form_bytes` has it."""

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
    """A statement is judged by several rules, each of which looks at its form."""
    value = envelope.decode(form, limit=MAX_BYTES)
    if not isinstance(value, dict):
        raise RecordError("is not a form", where="statement.form")
    return value


def form_fields(form: Any) -> dict[str, Any]:
    """The fields of a form as a statement has them: long byte strings each as {"sha256": digest}."""
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
    """SHA-256 of the fields of a form as it was proposed: everything in it but the approval itself."""
    blank = {name: value for name, value in (("propose", False), ("approval", -1)) if name in form}
    return hashlib.sha256(CHANGE + call.encode() + b"\x00" + envelope.encode({**form, **blank})).digest()


def certify(  # noqa: PLR0917 - what a certificate says
    key: Ed25519PrivateKey, department: bytes, user: str, use: str, public: bytes, at_us: int
) -> bytes:
    """A certificate by a person's key of 32 bytes: a public key, or the challenge of a call."""
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
    """The certificate, once its signature holds. Raises SignatureError, EnvelopeError, RecordError."""
    key = Ed25519PublicKey.from_public_bytes(public)
    return from_bytes(Certificate, envelope.open_signed(message, key, context=CERTIFICATE, limit=4096))


def sign_call(  # noqa: PLR0917 - what a statement says
    key: Ed25519PrivateKey, department: bytes, user: str, call: str, form: Any, at_us: int
) -> bytes:
    """A statement of one call by a session's key."""
    made = Statement(
        department=department, user=user, call=call, form=form_bytes(form), at_us=at_us, nonce=os.urandom(16)
    )
    return envelope.sign(to_bytes(made), key, context=STATEMENT)


def open_statement(message: bytes, public: bytes) -> Statement:
    """The statement, once its signature holds. Raises SignatureError, EnvelopeError, RecordError."""
    key = Ed25519PublicKey.from_public_bytes(public)
    return from_bytes(
        Statement, envelope.open_signed(message, key, context=STATEMENT, limit=MAX_BYTES), limit=MAX_BYTES
    )


def said_in(message: bytes) -> Statement:
    """A statement whose signature was found to hold before. Raises EnvelopeError, RecordError."""
    return from_bytes(Statement, envelope.split(message, limit=MAX_BYTES)[1], limit=MAX_BYTES)


@functools.lru_cache(maxsize=16)
def digest_of(said: Statement) -> bytes:
    """SHA-256 of a statement: which call it was. Several rules ask, one after another."""
    return hashlib.sha256(to_bytes(said)).digest()


_offered: ContextVar[bytes] = ContextVar("statement", default=b"")


@contextlib.contextmanager
def offering(statement: bytes) -> Iterator[None]:
    """The call that is made inside came with this statement."""
    before = _offered.set(statement)
    try:
        yield
    finally:
        _offered.reset(before)


def offered() -> bytes:
    """The statement of the call under way, or nothing."""
    return _offered.get()
