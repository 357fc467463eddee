"""Every message between a unit and its department: schema, version, limits. No I/O.

A message is COSE_Sign1 (Ed25519) over deterministic CBOR. Its context names its kind, so that one kind never
passes as another. A unit and the department each sign with their own log key. Sizes and depth are checked
before anything is decoded; unknown, missing and mistyped fields are refused by name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from storage import codec, envelope
from storage.errors import EnvelopeError, RecordError, SignatureError
from storage.leaf import ENTRY, MAX_LEAF_BYTES, Leaf
from storage.record_base import KeyClass
from sync.errors import LinkError, MessageError

VERSION = 1
CONTENT_TYPE = "application/cbor"
DEPARTMENTS = "alpr-department/"  # prefix of a department's name in co-signatures
CONTEXT = "alpr-reader/sync/v1/"
NONCE_BYTES = 16
MAX_NOTE = 8 * 1024
MAX_LEAVES = 2048
MAX_LEAVES_BYTES = 4 << 20
MAX_ITEMS = 8192
MAX_KEYS = 512
MAX_HEADER_BYTES = 1 << 20
MAX_ELEMENT_BYTES = (16 << 20) + 1024  # storage's largest element with its frame and tag
MAX_PARCEL_BYTES = MAX_ELEMENT_BYTES + MAX_HEADER_BYTES
MAX_SMALL_BYTES = 64 * 1024
MAX_DOCUMENT_BYTES = 64 << 20
MAX_PART_BYTES = 256 * 1024
MAX_PROOF = 130
NO_DAY_KEY = "this day key is not here: destroyed after its year, or another department's"
MAX_TRIES = 3  # a record that is bad this often is an incident and no longer holds up the others

REFUSALS = {
    "malformed": "a message over its limit or not in its schema",
    "unknown-log": "a log that no enrolled unit vouched for",
    "signature": "an invalid signature",
    "revoked": "a unit that was revoked",
    "closed": "a log that was closed after an incident: open a new one",
    "fork": "a log whose history differs from the one co-signed here",
    "rollback": "a log shorter than the one co-signed here",
    "stale": "a hello to a challenge that is unknown or was used",
    "gap": "leaves that do not follow what is held here: ask for the state and resume",
    "wrong-device": "a log that another unit vouched for",
    "bad-leaf": "a leaf of another log or out of place",
    "code": "an enrollment code that is unknown, used or expired",
    "too-large": "a message over its limit",
    "too-slow": "a client that fell silent",
    "busy": "more connections than the server takes: try again later",
    "unavailable": "the department cannot store now: keep everything and try again later",
}
INCIDENTS = frozenset({"fork", "rollback", "wrong-device", "bad-leaf"})
"""Refusals that are an incident at both ends; the log is closed and a new one opened."""


def need(good: bool, what: str, where: str) -> None:
    """Raises RecordError for a field that is not good: what is wrong with it."""
    if not good:
        raise RecordError(what, where=where)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Base of all messages. Each kind sets KIND and LIMIT (bytes, signed)."""

    KIND: ClassVar[str] = ""
    LIMIT: ClassVar[int] = MAX_SMALL_BYTES

    version: int = VERSION

    def check(self) -> None:
        """Raises RecordError for another version or a field out of range."""
        need(self.version == VERSION, f"version {self.version} is unknown, {VERSION} is known", self.KIND)
        self.check_fields()

    def check_fields(self) -> None:
        """Checks the fields of this kind. Raises RecordError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello(Message):
    """Unit: opens a conversation with its newest checkpoint, and asks what the department holds."""

    KIND: ClassVar[str] = "hello"
    log_id: bytes
    nonce: bytes
    at_us: int
    checkpoint: str
    proof: tuple[
        bytes, ...
    ]  # consistency from `held`, the size that the department last sent, to the checkpoint
    held: int
    software: str

    def check_fields(self) -> None:
        need(len(self.log_id) == 32, "has 32 bytes", "hello.log_id")
        need(len(self.nonce) == NONCE_BYTES, f"has {NONCE_BYTES} bytes", "hello.nonce")
        need(len(self.checkpoint) <= MAX_NOTE, "is too long", "hello.checkpoint")
        need(0 <= self.held < 1 << 63, "out of range", "hello.held")
        _check_hashes(self.proof, "hello.proof")


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentRef:
    """The name and version of a signed document that waits for a unit."""

    name: str
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class State(Message):
    """Department: what it holds of this log. `complete_to`: all content before it is held, except `again`."""

    KIND: ClassVar[str] = "state"
    log_id: bytes
    nonce: bytes
    at_us: int
    size: int
    cosigned: str | None
    complete_to: int
    again: tuple[int, ...]  # records before complete_to whose content was bad and is wanted again
    documents: tuple[DocumentRef, ...]
    certificate_days: int

    def check_fields(self) -> None:
        need(0 <= self.complete_to <= self.size, "out of range", "state.complete_to")


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafBatch(Message):
    """Unit: leaves from `first` on, and the newest checkpoint that covers them (`proof`: consistency)."""

    KIND: ClassVar[str] = "leaves"
    LIMIT: ClassVar[int] = MAX_LEAVES_BYTES
    log_id: bytes
    first: int
    leaves: tuple[bytes, ...] = field(repr=False)
    checkpoint: str
    proof: tuple[bytes, ...]

    def check_fields(self) -> None:
        need(1 <= len(self.leaves) <= MAX_LEAVES, f"1 to {MAX_LEAVES} leaves", "leaves.leaves")
        need(max(map(len, self.leaves)) <= MAX_LEAF_BYTES, "a leaf is too long", "leaves.leaves")
        need(0 <= self.first < 1 << 62, "out of range", "leaves.first")
        need(len(self.checkpoint) <= MAX_NOTE, "is too long", "leaves.checkpoint")
        _check_hashes(self.proof, "leaves.proof")


@dataclass(frozen=True, slots=True, kw_only=True)
class LeavesHeld(Message):
    """Department: the size of its copy of the log, and the co-signed checkpoint once it is complete."""

    KIND: ClassVar[str] = "leaves-held"
    log_id: bytes
    size: int
    cosigned: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedKey:
    """An epoch's key, sealed to the day key with this id (HPKE: 65 + 48 bytes)."""

    epoch: int
    day_key: bytes
    sealed: bytes = field(repr=False)

    def check(self) -> None:
        need(len(self.day_key) == 32 and len(self.sealed) == 113, "malformed", "sealed key")
        need(0 <= self.epoch < 1 << 63, "out of range", "sealed key")


@dataclass(frozen=True, slots=True, kw_only=True)
class ParcelElement:
    """One element in a parcel. `length` 0: its bytes were purged before they could be sent."""

    sequence: int
    name: str
    length: int

    def check(self) -> None:
        need(0 <= self.length <= MAX_ELEMENT_BYTES, "out of range", "item.length")
        need(0 <= self.sequence < 1 << 63 and 1 <= len(self.name) <= 32, "malformed", "item")


@dataclass(frozen=True, slots=True, kw_only=True)
class ParcelHeader(Message):
    """Unit: the keys and elements that follow. With `leaf`: one alert, ahead of its turn."""

    KIND: ClassVar[str] = "parcel"
    LIMIT: ClassVar[int] = MAX_HEADER_BYTES
    log_id: bytes
    keys: tuple[SealedKey, ...]
    items: tuple[ParcelElement, ...]
    leaf: bytes | None = field(default=None, repr=False)

    def check_fields(self) -> None:
        need(len(self.keys) <= MAX_KEYS, f"at most {MAX_KEYS} keys", "parcel.keys")
        need(len(self.items) <= MAX_ITEMS, f"at most {MAX_ITEMS} items", "parcel.items")
        total = sum(item.length for item in self.items)
        need(total <= MAX_ELEMENT_BYTES, f"at most {MAX_ELEMENT_BYTES} bytes of elements", "parcel.items")
        need(self.leaf is None or len(self.leaf) <= MAX_LEAF_BYTES, "is too long", "parcel.leaf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bad:
    """An element that could not be taken, and why. `final`: it is an incident; do not send it again."""

    sequence: int
    name: str
    reason: str
    final: bool


def part_keyless(bad: Iterable[Bad]) -> tuple[list[Bad], list[Bad]]:
    """Splits bad elements into damaged ones and those whose day key the department no longer has."""
    damaged, keyless = list[Bad](), list[Bad]()
    for one in bad:
        (keyless if one.reason == NO_DAY_KEY else damaged).append(one)
    return damaged, keyless


def summed_up(bad: Iterable[Bad], *, final: bool) -> list[str]:
    """One line per reason: how many elements, and from which record to which."""
    by_reason: dict[str, list[int]] = {}
    for one in bad:
        if one.final is final:
            by_reason.setdefault(one.reason, []).append(one.sequence)
    return [
        f"{len(numbers)} elements of records {min(numbers)} to {max(numbers)}: {reason}"
        for reason, numbers in by_reason.items()
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class ParcelHeld(Message):
    """Department: everything in the parcel except `bad` was opened, matched and synced."""

    KIND: ClassVar[str] = "parcel-held"
    LIMIT: ClassVar[int] = MAX_HEADER_BYTES
    log_id: bytes
    complete_to: int
    bad: tuple[Bad, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptWanted(Message):
    """Unit: asks for a receipt for the records from `first` on."""

    KIND: ClassVar[str] = "receipt-wanted"
    log_id: bytes
    first: int

    def check_fields(self) -> None:
        need(0 <= self.first < 1 << 62, "out of range", "receipt-wanted.first")


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt(Message):
    """Department: the content of these records was opened, matched to its commitments and synced.

    `ranges`: inclusive (first, last) pairs. Only a receipt lets a unit destroy content early; a co-signed
    checkpoint acknowledges only leaves. `note` says what is known about the day keys' end.
    """

    KIND: ClassVar[str] = "receipt"
    LIMIT: ClassVar[int] = MAX_HEADER_BYTES
    department: str
    log_id: bytes
    ranges: tuple[tuple[int, int], ...]
    size: int
    root: bytes
    at_us: int
    note: str

    def check_fields(self) -> None:
        before = -1
        for first, last in self.ranges:
            need(before < first <= last < self.size, "ranges must rise within the log", "receipt.ranges")
            before = last


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentWanted(Message):
    """Unit: asks for a document from this byte on."""

    KIND: ClassVar[str] = "document-wanted"
    log_id: bytes
    name: str
    document_version: int
    offset: int

    def check_fields(self) -> None:
        need(0 <= self.offset <= MAX_DOCUMENT_BYTES and len(self.name) <= 64, "malformed", "document-wanted")


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentPart(Message):
    """Department: a piece of a document; the whole is signed by the key that its kind requires."""

    KIND: ClassVar[str] = "document-part"
    LIMIT: ClassVar[int] = MAX_PART_BYTES + 1024
    log_id: bytes
    name: str
    document_version: int
    total: int
    offset: int
    data: bytes = field(repr=False)

    def check_fields(self) -> None:
        need(0 <= self.offset <= self.total <= MAX_DOCUMENT_BYTES, "out of range", "document-part")
        need(len(self.data) <= MAX_PART_BYTES, "is too long", "document-part.data")


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrollRequest(Message):
    """Unit, signed by its log key: the secret of the one-time code, and the vouch of the unit key."""

    KIND: ClassVar[str] = "enrol"
    secret: bytes = field(repr=False)
    vouch: bytes
    software: str

    def check_fields(self) -> None:
        need(len(self.secret) == 16 and len(self.software) <= 64, "malformed", "enroll")


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedDocument:
    """A document as the command key signed it; `name` determines its context."""

    name: str
    message: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrollAnswer(Message):
    """Department: the unit is enrolled. Certificates are DER; `unit_address` is HOST:PORT."""

    KIND: ClassVar[str] = "enrolled"
    LIMIT: ClassVar[int] = MAX_HEADER_BYTES
    unit_id: str
    name: str
    department: str
    certificate: bytes
    authority: bytes
    unit_address: str
    documents: tuple[SignedDocument, ...]
    at_us: int

    def check_fields(self) -> None:
        need(len(self.documents) <= 16, "at most 16", "enrolled.documents")
        need(len(self.unit_id) == 32 and 1 <= len(self.name) <= 64, "malformed", "enrolled")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLog(Message):
    """Unit, signed by the new log's key: the unit key's vouch for it, with what it replaces and why."""

    KIND: ClassVar[str] = "new-log"
    vouch: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewed(Message):
    """Department: a new certificate (DER) for the TLS key in the vouch; also says that a new log is taken."""

    KIND: ClassVar[str] = "renewed"
    unit_id: str
    certificate: bytes
    authority: bytes  # the CA's current certificate (DER); its key never changes without a new root


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal(Message):
    """Department: a refusal; `code` is one of REFUSALS."""

    KIND: ClassVar[str] = "refusal"
    code: str
    what: str
    held: int | None = None

    def check_fields(self) -> None:
        need(self.code in REFUSALS, "is not a known refusal", "refusal.code")


M = TypeVar("M", bound=Message)


def _check_hashes(hashes: Sequence[bytes], where: str) -> None:
    need(len(hashes) <= MAX_PROOF and all(len(one) == 32 for one in hashes), "malformed proof", where)


def department_origin(public: Ed25519PublicKey) -> str:
    """The department's name in co-signatures, derived from its log key."""
    return DEPARTMENTS + hashlib.sha256(envelope.raw_public(public)).hexdigest()[:16]


def context_of(kind: type[Message]) -> bytes:
    """COSE's external_aad of a kind."""
    return (CONTEXT + kind.KIND).encode()


Signer = Callable[[bytes, bytes], bytes]
"""(body, context) -> COSE_Sign1 by a key that stays where it is."""


def seal_message(message: Message, key: Ed25519PrivateKey | Signer) -> bytes:
    """Sign a message. Raises MessageError if it is over the kind's limit."""
    body, context = codec.to_bytes(message), context_of(type(message))
    if isinstance(key, Ed25519PrivateKey):
        data = envelope.sign(body, key, context=context)
    else:
        data = key(body, context)
    if len(data) > message.LIMIT:
        raise MessageError(f"{len(data)} bytes, but {message.LIMIT} are allowed", where=message.KIND)
    return data


def open_message(kind: type[M], data: bytes, public: Ed25519PublicKey) -> M:
    """Open a message and check its signature and every field. Raises MessageError, SignatureError."""
    try:
        payload = envelope.open_signed(data, public, context=context_of(kind), limit=kind.LIMIT)
        return codec.from_bytes(kind, payload, limit=kind.LIMIT)
    except SignatureError:
        raise
    except (EnvelopeError, RecordError) as error:
        raise MessageError(error.what, where=error.where or kind.KIND) from None


def open_answer(kind: type[M], data: bytes, department: Ed25519PublicKey) -> M:
    """Open the department's answer to a message. Raises LinkError for one that is not its own."""
    try:
        return open_message(kind, data, department)
    except (MessageError, SignatureError) as error:
        raise LinkError(f"an answer that is not the department's: {error}") from None


def claimed_field(kind: type[Message], data: bytes, name: str) -> bytes:
    """A byte field of a message whose signature cannot be checked yet. Raises MessageError."""
    try:
        payload = envelope.split(data, limit=kind.LIMIT)[1]
        value = envelope.decode(payload, limit=kind.LIMIT)
    except EnvelopeError as error:
        raise MessageError(error.what, where=kind.KIND) from None
    claimed = value.get(name) if isinstance(value, dict) else None
    if not isinstance(claimed, bytes):
        raise MessageError(f"{name} is not there", where=kind.KIND)
    return claimed


def claimed_log(kind: type[Message], data: bytes) -> bytes:
    """The log id that an unchecked message claims. Raises MessageError."""
    log_id = claimed_field(kind, data, "log_id")
    if len(log_id) != 32:
        raise MessageError("log_id malformed", where=kind.KIND)
    return log_id


def traveling(leaf: Leaf) -> tuple[str, ...]:
    """Names of the elements of a record that go to the department, in the leaf's order.

    Reads and hits go in full. Of open records, the entry goes but never a wrapped key. Access entries and
    held content stay on the unit.
    """
    if leaf.key_class in {KeyClass.READ, KeyClass.HIT}:
        return tuple(leaf.elements)
    if leaf.key_class is KeyClass.OPEN and ENTRY in leaf.elements:
        return (ENTRY,)
    return ()
