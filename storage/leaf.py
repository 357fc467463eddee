"""The leaf: the part of a record that is signed, hashed and never purged. Strictly parsed. No I/O.

Payload, deterministic CBOR:  {1: version, 2: log id, 3: kind, 4: sequence, 5: epoch, 6: key class,
7: {element name: [commitment, SHA-256 of the stored bytes]}}.  Nothing else is in clear.
The leaf is the COSE_Sign1 over it; its hash in the tree is SHA-256(0x00 || leaf).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from storage import envelope
from storage.errors import RecordError, UnknownFormError
from storage.record_base import KeyClass
from storage.records import RECORDS

VERSION = 1
CONTEXT = b"alpr-reader/leaf/v1"
MAX_LEAF_BYTES = 64 * 1024
MAX_ELEMENTS = 16
ELEMENT_NAME = re.compile(r"[a-z][a-z_]{0,31}")
KEY_CLASSES = tuple(one.value for one in KeyClass)
ENTRY = "entry"
IMAGES = ("overview", "patch")
KEYRING = "keyring"
WRAP = "wrap"
ESCROW = "escrow"


def log_id_of(public: Ed25519PublicKey) -> bytes:
    """32 bytes that name a log: a new log key is a new log."""
    return hashlib.sha256(b"alpr-reader/log/v1\x00" + envelope.raw_public(public)).digest()


def origin_of(log_id: bytes) -> str:
    """The log's name in checkpoints."""
    return f"alpr-reader/log/{log_id.hex()[:32]}"


@dataclass(frozen=True, slots=True)
class Mark:
    """A leaf's statement about one element: its commitment and the SHA-256 of its stored bytes."""

    commitment: bytes
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """The signed statement of one record."""

    log_id: bytes
    kind: str
    sequence: int
    epoch: int
    key_class: KeyClass
    elements: dict[str, Mark]
    version: int = VERSION

    def payload(self) -> bytes:
        marks = {name: [mark.commitment, mark.digest] for name, mark in self.elements.items()}
        return envelope.encode(
            {
                1: self.version,
                2: self.log_id,
                3: self.kind,
                4: self.sequence,
                5: self.epoch,
                6: self.key_class.value,
                7: marks,
            }
        )

    def sign(self, key: Ed25519PrivateKey) -> bytes:
        """The leaf bytes."""
        return envelope.sign(self.payload(), key, context=CONTEXT)

    @classmethod
    def parse(cls, payload: bytes) -> Leaf:
        """Parse a payload. Raises EnvelopeError, RecordError."""
        value = envelope.decode(payload, limit=MAX_LEAF_BYTES)
        if not (isinstance(value, dict) and set(value) == {1, 2, 3, 4, 5, 6, 7}):
            raise RecordError("a leaf has the fields 1 to 7", where="leaf")
        version, log_id, kind, sequence, epoch, key_class, marks = (value[at] for at in range(1, 8))
        if version != VERSION:
            raise UnknownFormError(f"version {version} is unknown, {VERSION} is known", where="leaf")
        if not isinstance(kind, str) or kind not in RECORDS:
            raise UnknownFormError("of an unknown kind", where="leaf")
        if not (isinstance(log_id, bytes) and len(log_id) == 32 and key_class in KEY_CLASSES):
            raise RecordError("log id or key class malformed", where="leaf")
        for number in (sequence, epoch):
            if type(number) is not int or not 0 <= number < 1 << 63:
                raise RecordError("sequence or epoch malformed", where="leaf")
        if not isinstance(marks, dict) or not 1 <= len(marks) <= MAX_ELEMENTS:
            raise RecordError(f"has 1 to {MAX_ELEMENTS} elements", where="leaf")
        elements = {_name(name): _mark(mark) for name, mark in marks.items()}
        return cls(
            log_id=log_id,
            kind=kind,
            sequence=sequence,
            epoch=epoch,
            key_class=KeyClass(key_class),
            elements=elements,
        )


def _name(name: object) -> str:
    if not isinstance(name, str) or not ELEMENT_NAME.fullmatch(name):
        raise RecordError("element name malformed", where="leaf")
    return name


def _mark(mark: object) -> Mark:
    parts = mark if isinstance(mark, list) else []
    if len(parts) != 2 or not all(isinstance(part, bytes) and len(part) == 32 for part in parts):
        raise RecordError("an element is [commitment, digest], 32 bytes each", where="leaf")
    return Mark(*parts)


def open_leaf(data: bytes, public: Ed25519PublicKey) -> Leaf:
    """The leaf, if its signature is valid. Raises EnvelopeError, SignatureError, RecordError."""
    return Leaf.parse(envelope.open_signed(data, public, context=CONTEXT, limit=MAX_LEAF_BYTES))


def unchecked(data: bytes) -> Leaf:
    """The leaf without a check of its signature, to read our own log, which `verify` checks."""
    return Leaf.parse(envelope.split(data, limit=MAX_LEAF_BYTES)[1])


@dataclass(frozen=True, slots=True)
class LeafRef:
    """The place of a record: its sequence number and its leaf hash."""

    sequence: int
    leaf_hash: bytes
