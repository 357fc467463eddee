"""The statement by which two of the three offices name an administrator, and its signers. No I/O.

Deterministic CBOR {"statement": ..., "signatures": [COSE_Sign1 over its SHA-256]} by the root's keys. It
names the current root and the size of the log when it was drafted, and is valid once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from storage import envelope
from storage.codec import from_bytes, later, to_bytes, to_plain
from storage.envelope import encode
from storage.errors import StorageError
from storage.times import DAY_US
from sync.department.journal.unsigned import UnsignedError
from sync.root_file import THRESHOLD, Root

CONTEXT = b"alpr-department/administrator/v1"
MAX_BYTES = 16 * 1024
ENDS_US = 14 * DAY_US  # so that a forgotten paper has no force


@dataclass(frozen=True, slots=True, kw_only=True)
class AdministratorStatement:
    """Names the administrator under a root, for a log that had `log_size` entries at the time.

    Drafted at `at_us` (0: before statements were dated); expires `ENDS_US` later.
    """

    department: str
    user: str
    name: str
    root: bytes
    log_size: int
    at_us: int = later(0)

    def digest(self) -> bytes:
        """What the offices sign. A statement without a date has the older form."""
        said = to_plain(self)
        if not self.at_us:
            del said["at_us"]
        return hashlib.sha256(encode(said)).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    statement: bytes
    signatures: tuple[bytes, ...]


def is_over(statement: AdministratorStatement, at_us: int, *, dated: bool) -> bool:
    """Whether a statement has expired at this time. `dated`: one without a date is not valid."""
    return (dated or statement.at_us > 0) and not 0 <= at_us - statement.at_us < ENDS_US


def unsigned(statement: AdministratorStatement) -> bytes:
    """A statement as an unsigned file."""
    return to_bytes(_File(statement=to_bytes(statement), signatures=()))


def parse(data: bytes) -> tuple[AdministratorStatement, tuple[bytes, ...]]:
    """Parse a file into the statement and its signatures. Raises StorageError."""
    file = from_bytes(_File, data, limit=MAX_BYTES)
    return from_bytes(AdministratorStatement, file.statement, limit=MAX_BYTES), file.signatures


def is_statement(data: bytes) -> bool:
    """Whether a file is such a statement rather than a root file."""
    try:
        parse(data)
    except StorageError:
        return False
    return True


def add_signature(data: bytes, key: Ed25519PrivateKey) -> bytes:
    """Add an office's signature to the file; signing twice changes nothing."""
    statement, signatures = parse(data)
    kid = envelope.key_id(key.public_key())
    kept = tuple(one for one in signatures if envelope.split(one)[3] != kid)
    signed = envelope.sign(statement.digest(), key, context=CONTEXT)
    return to_bytes(_File(statement=to_bytes(statement), signatures=(*kept, signed)))


def demand_named(
    message: bytes, user: str, root: Root | None, *, sizes: range, at_us: int, dated: bool
) -> None:
    """Raises UnsignedError unless two offices of this root name this person in time.

    `sizes`: allowed sizes of the log; `dated`: as in `is_over`.
    """
    try:
        said, signatures = parse(message)
    except StorageError:
        raise UnsignedError("the offices' statement is malformed") from None
    if root is None or said.root != root.digest() or said.user != user:
        raise UnsignedError("the offices' statement names another root file or person")
    if said.log_size not in sizes:
        raise UnsignedError("the offices' statement was used before")
    if is_over(said, at_us, dated=dated):
        raise UnsignedError("the offices' statement had expired")
    if len(signers(root, said, signatures)) < THRESHOLD:
        raise UnsignedError("fewer than two offices signed the statement")


def signers(root: Root, statement: AdministratorStatement, signatures: Sequence[bytes]) -> list[str]:
    """The offices with a valid signature, each once."""
    found = []
    for key in root.keys:
        public = Ed25519PublicKey.from_public_bytes(key.public)
        for one in signatures:
            try:
                if envelope.open_signed(one, public, context=CONTEXT) == statement.digest():
                    found.append(key.holder)
                    break
            except StorageError:
                continue
    return found
