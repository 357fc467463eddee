"""Entries about keys that people sign with: a person's key, a session's key. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from storage.codec import later
from storage.errors import RecordError
from sync.department.journal.entry_base import Note

CODE, PASSKEY = "code", "passkey"


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonKeySet(Note):
    """The public key that a person's password makes, with what a client needs to make it again.

    `proof`: the certificate of this key by the key before it; empty for a first key, which only an account
    that never had one gets, or one whose reset another person signed.
    """

    KIND: ClassVar[str] = "person_key"
    user: str
    public_key: bytes
    salt: bytes
    scheme: str
    proof: bytes

    def check(self) -> None:
        if len(self.public_key) != 32:
            raise RecordError("an Ed25519 key has 32 bytes", where="person_key.public_key")


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshProof(Note):
    """The person of an open session proved again that they sit there. `how`: code or passkey.

    `totp_step`: of the code, or -1; `credential_id`: of the passkey, or empty. It proves one call: `use` and
    `form` as `passkeys.proof_of` has them, `nonce`; over the challenge of these is `response`, the
    authenticator's answer, or, with a code, `certificate` by the key that the password makes. `once`: 1, the
    call is made once. Empty in entries of before: a code proved whatever followed.
    """

    KIND: ClassVar[str] = "proof"
    how: str
    totp_step: int
    credential_id: bytes
    use: str = later("")
    form: bytes = later(b"")
    nonce: bytes = later(b"")
    response: str = later("")
    certificate: bytes = later(b"")
    once: int = later(0)

    def check(self) -> None:
        if self.how not in {CODE, PASSKEY} or (self.how == PASSKEY) != bool(self.credential_id):
            raise RecordError("is a code or a passkey", where="proof.how")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionKeySet(Note):
    """The key that signs the calls of a session. `certificate`: by the person's key (`statements.py`)."""

    KIND: ClassVar[str] = "session_key"
    session: bytes
    user: str
    certificate: bytes
