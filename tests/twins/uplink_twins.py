"""A unit's log and a department in memory, which record what is asked, sent and kept in a conversation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from storage import envelope
from storage import leaf as leaf_format
from storage.day_keys import EpochKeyForDay
from storage.errors import StorageError
from storage.record_base import KeyClass
from sync import messages
from sync.health import HealthHeld, HealthMessage
from sync.parcel_size import ParcelSize
from sync.pieces import PieceHeader, PieceHeld
from sync.uplink import Conversation, SyncProgress

KB, MB = 1 << 10, 1 << 20

UNIT, OFFICE = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()

LOG_ID = leaf_format.log_id_of(UNIT.public_key())


def a_leaf(
    number: int, kind: str = "read", key_class: KeyClass = KeyClass.READ, epoch: int = 1,
    names: Sequence[str] = ("text",), log_id: bytes = LOG_ID,
) -> bytes:  # fmt: skip
    """A leaf on its own; only the department checks its signature."""
    marks = {name: leaf_format.Mark(bytes(32), bytes(32)) for name in names}
    made = leaf_format.Leaf(
        log_id=log_id, kind=kind, sequence=number, epoch=epoch, key_class=key_class, elements=marks
    )
    return envelope.sign(made.payload(), UNIT, context=leaf_format.CONTEXT)


@dataclass
class Log:
    """A unit's log in memory, as the uplink sees it; `done`: what the uplink did to it."""

    rows: list[bytes] = field(default_factory=list)
    content: dict[tuple[int, str], bytes | StorageError] = field(default_factory=dict)
    lost_keys: set[int] = field(default_factory=set)
    hits: list[int] = field(default_factory=list)
    anchored: int = 0
    joined: int | None = None
    received: int = 0
    sealed: Callable[[int, int], bool] = lambda _first, _end: True
    versions: dict[str, int] = field(default_factory=dict)
    unwanted: set[str] = field(default_factory=set)
    fails: StorageError | None = None  # raised when a co-signature or a document is taken
    done: list[Any] = field(default_factory=list)
    log_id: bytes = LOG_ID

    def reads(self, count: int, size: int = 10, **changes: Any) -> Log:
        """Append this many records, each with one element of `size` bytes."""
        for _ in range(count):
            number = len(self.rows)
            self.rows.append(a_leaf(number, **changes))
            for name in changes.get("names", ("text",)):
                self.content[number, name] = bytes(size)
        return self

    def size(self) -> int:
        return len(self.rows)

    def head(self) -> str:
        return f"head of {len(self.rows)}"

    def leaves(self, first: int, count: int) -> list[bytes]:
        return self.rows[first : first + count]

    def consistency(self, first: int, second: int) -> list[bytes]:
        return [first.to_bytes(32, "big"), second.to_bytes(32, "big")]

    def stored(self, sequence: int, name: str) -> bytes:
        found = self.content[sequence, name]
        if isinstance(found, StorageError):
            raise found
        return found

    def key_for_department(self, epoch: int) -> EpochKeyForDay | None:
        self.done.append(("key", epoch))
        if epoch in self.lost_keys:
            return None
        return EpochKeyForDay(epoch=epoch, day_key=bytes(32), sealed=bytes(113))

    def sign(self, body: bytes, context: bytes) -> bytes:
        return envelope.sign(body, UNIT, context=context)

    def take_cosigned(self, note: str) -> None:
        self.done.append(("cosigned", note))
        if self.fails:
            raise self.fails

    def take_receipt(self, message: bytes) -> None:
        ranges = messages.open_message(messages.Receipt, message, OFFICE.public_key()).ranges
        self.done.append(("receipt", ranges))

    def take_document(self, name: str, message: bytes) -> None:
        if self.fails:
            raise self.fails
        self.done.append(("document", name, message))

    def document_version(self, name: str) -> int:
        return self.versions.get(name, 0)

    def wants_document(self, name: str) -> bool:
        return name not in self.unwanted

    def note_incident(self, what: str, detail: str) -> None:
        self.done.append(("incident", what, detail))

    def joined_at(self) -> int | None:
        return self.joined

    def hits_from(self, first: int) -> list[int]:
        return [one for one in self.hits if one >= first]

    def content_between(self, first: int, end: int) -> bool:
        self.done.append(("content", first, end))
        return self.sealed(first, end)

    def received_to(self) -> int:
        return self.received

    def left(self) -> tuple[int, int]:
        return 0, 0

    def anchored_size(self) -> int:
        return self.anchored


KINDS: dict[str, type[messages.Message]] = {
    "hello": messages.Hello, "leaves": messages.LeafBatch, "parcel": messages.ParcelHeader,
    "alert": messages.ParcelHeader, "piece": PieceHeader, "receipt": messages.ReceiptWanted,
    "document": messages.DocumentWanted, "health": HealthMessage,
}  # fmt: skip

Answer = Callable[[Any], messages.Message | bytes]


class Office:
    """A department in memory with `state`; `asked`: every message as received."""

    depth, sent_bytes = 1, 0

    def __init__(self, *, size: int = 0, complete_to: int = 0, **state: Any) -> None:
        self.state = messages.State(
            log_id=LOG_ID, nonce=bytes(16), at_us=1, size=size, complete_to=complete_to, certificate_days=9,
            **{"cosigned": None, "again": (), "documents": ()} | state,
        )  # fmt: skip
        self.asked: list[tuple[str, Any]] = []
        self.bodies: list[tuple[str, bytes]] = []
        self.bad: tuple[messages.Bad, ...] = ()
        self.instead: dict[str, Answer] = {}
        self.ranges: tuple[tuple[int, int], ...] = ()
        self.document = b"a document"

    def close(self) -> None:
        return

    def post(self, name: str, pieces: Sequence[bytes]) -> bytes:
        self.sent_bytes += sum(map(len, pieces))
        if name == "challenge":
            self.asked.append((name, None))
            return bytes(16)
        data = pieces[1] if name in {"parcel", "alert", "piece"} else b"".join(pieces)
        message = messages.open_message(KINDS[name], data, UNIT.public_key())
        self.bodies += [(name, b"".join(pieces[2:]))] if name in {"parcel", "alert"} else []
        self.asked.append((name, message))
        given = self.instead.get(name, getattr(self, name))(message)
        return given if isinstance(given, bytes) else messages.seal_message(given, OFFICE)

    def hello(self, asked: messages.Hello) -> messages.Message:
        return replace(self.state, nonce=asked.nonce)

    def leaves(self, asked: messages.LeafBatch) -> messages.Message:
        return messages.LeavesHeld(log_id=LOG_ID, size=asked.first + len(asked.leaves), cosigned=None)

    def parcel(self, asked: messages.ParcelHeader) -> messages.Message:
        names = {(one.sequence, one.name) for one in asked.items}
        bad = tuple(one for one in self.bad if (one.sequence, one.name) in names)
        return messages.ParcelHeld(log_id=LOG_ID, complete_to=0, bad=bad)

    alert = parcel

    def piece(self, asked: PieceHeader) -> messages.Message:
        held = asked.offset + asked.length
        return PieceHeld(log_id=LOG_ID, held=held, done=held == asked.total, bad=())

    def receipt(self, asked: messages.ReceiptWanted) -> messages.Message:
        return messages.Receipt(
            department="d", log_id=LOG_ID, ranges=self.ranges, size=1 << 20, root=bytes(32), at_us=1, note=""
        )

    def document_part(self, asked: messages.DocumentWanted, most: int = 4) -> messages.Message:
        data = self.document[asked.offset : asked.offset + most]
        return messages.DocumentPart(
            log_id=LOG_ID, name=asked.name, document_version=asked.document_version,
            total=len(self.document), offset=asked.offset, data=data,
        )  # fmt: skip

    def health(self, asked: HealthMessage) -> messages.Message:
        return HealthHeld(log_id=LOG_ID, at_us=asked.at_us)

    def names(self) -> list[str]:
        return [name for name, _ in self.asked]

    def sent(self, name: str) -> list[Any]:
        return [message for one, message in self.asked if one == name]

    def records(self, name: str = "parcel") -> list[list[int]]:
        """The records in each parcel."""
        return [[item.sequence for item in one.items] for one in self.sent(name)]


def talk(log: Log, office: Office, size: ParcelSize | None = None, **options: Any) -> SyncProgress:
    office.instead.setdefault("document", office.document_part)
    return conversation(log, office, size).run(**options)


def conversation(log: Log, office: Office, size: ParcelSize | None = None, **options: Any) -> Conversation:
    return Conversation(log, office, OFFICE.public_key(), size or ParcelSize(), lambda: 77, **options)


def times(count: int) -> Callable[[], bool]:
    """A `may_continue` that agrees this often."""
    left = [count]

    def may_continue() -> bool:
        left[0] -= 1
        return left[0] >= 0

    return may_continue
