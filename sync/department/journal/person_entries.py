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
    """The public key derived from a person's password, with what a client needs to derive it again.

    `proof`: the certificate of this key by the key before it; empty for a first key, which only an account
    gets that never had one, or whose reset another person signed.
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
    """The person of an open session proved their identity again. `how`: code or passkey.

    `totp_step`: of the code, or -1; `credential_id`: of the passkey, or empty. It is for one call: `use` and
    `form` (see `passkeys.proof_of`) and `nonce` give the challenge, which `response`, the authenticator's
    answer, signs; with a code, `certificate` by the key from the password does. `once`: 1 if the call may be
    made only once. Empty in older entries, in which a code proved whatever followed.
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
    """The key that signs a session's calls. `certificate`: by the person's key (`statements.py`)."""

    KIND: ClassVar[str] = "session_key"
    session: bytes
    user: str
    certificate: bytes
