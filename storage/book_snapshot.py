"""The facts of a log's open records, saved with a signed tree head, so that a start reads only newer records.

`HOME/store/book.snapshot`: COSE_Sign1 by the log key in the context `alpr-reader/book/v1`. It is used only if
its root is that of the first `size` records here; otherwise every record is read. A start writes it, only
from records. `verify` reads every record and compares.
"""

from __future__ import annotations

import hmac
import sys
from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from storage import codec, envelope, files
from storage.epochs import EpochFacts, LogFacts
from storage.errors import LedgerError, StorageError
from storage.home import Home
from storage.log_records import FileInForce, LogOpened, PurgeIntent, Resealed
from storage.received import ReceiptCoverage
from storage.record_base import KeyClass

CONTEXT = b"alpr-reader/book/v1"
MAX_BYTES = 64 << 20
EVERY = 500  # open records since the last snapshot: a week of receipts


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptEpoch:
    """An epoch as in its records."""

    epoch: int
    key_class: KeyClass
    opened_us: int
    key_at: str
    sequence: int
    closed: bool
    closed_us: int | None
    purged_by: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BookSnapshot:
    """`LogFacts` after `size` records with this root. `received`: (first, last, us), little-endian int64."""

    size: int
    root: bytes
    opened: LogOpened | None
    epochs: tuple[KeptEpoch, ...]
    generation: int
    keyring_at: int
    turned_us: int | None
    pending: PurgeIntent | None
    pending_at: int
    resealed: tuple[tuple[int, Resealed], ...]
    files: tuple[FileInForce, ...]
    released: tuple[int, ...]
    received: bytes = field(repr=False)
    newest_us: int
    incidents: int
    notes: int


def of_book(book: LogFacts, size: int, root: bytes) -> BookSnapshot:
    """Make a snapshot of facts, which must come only from records."""
    at, intent = book.pending if book.pending is not None else (-1, None)
    resealed = sorted((pair for found in book.resealed.values() for pair in found), key=lambda pair: pair[0])
    return BookSnapshot(
        size=size,
        root=root,
        opened=book.opened,
        epochs=tuple(
            KeptEpoch(**{name: getattr(one, name) for name in KeptEpoch.__dataclass_fields__})
            for one in book.epochs.values()
        ),
        generation=book.generation,
        keyring_at=book.keyring_at,
        turned_us=book.turned_us,
        pending=intent,
        pending_at=at,
        resealed=tuple(resealed),
        files=tuple(one for _, one in sorted(book.files.items())),
        released=tuple(sorted(book.released)),
        received=_packed(number for one in book.received for number in one),
        newest_us=book.newest_us,
        incidents=book.incidents,
        notes=book.notes,
    )


def to_book(kept: BookSnapshot) -> LogFacts:
    """Rebuild the facts. Raises LedgerError for truncated ranges."""
    book = LogFacts(
        opened=kept.opened,
        generation=kept.generation,
        keyring_at=kept.keyring_at,
        turned_us=kept.turned_us,
        pending=None if kept.pending is None else (kept.pending_at, kept.pending),
        files={one.name: one for one in kept.files},
        released=set(kept.released),
        newest_us=kept.newest_us,
        incidents=kept.incidents,
        notes=kept.notes,
    )
    for one in kept.epochs:
        facts = {name: getattr(one, name) for name in KeptEpoch.__dataclass_fields__}
        book.epochs[one.epoch] = EpochFacts(**facts)
    for at, record in kept.resealed:
        book.resealed.setdefault(record.record, []).append((at, record))
    numbers = _unpacked(kept.received)
    book.received = ReceiptCoverage.of(zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True))
    return book


def read(
    home: Home, public: Ed25519PublicKey, root_at: Callable[[int], bytes], size: int
) -> tuple[BookSnapshot, LogFacts] | None:
    """The snapshot and its facts, if it is valid for the first `size` records here; else None. `root_at`:
    roots of this log."""
    try:
        kept = opened(home, public)
        held = kept is not None and 0 < kept.size <= size
        if kept is None or not held or not hmac.compare_digest(root_at(kept.size), kept.root):
            return None
        return kept, to_book(kept)
    except (OSError, StorageError, ValueError):
        return None


def opened(home: Home, public: Ed25519PublicKey) -> BookSnapshot | None:
    """The snapshot, once its signature verifies; None without a file. Raises OSError, StorageError."""
    if not home.book_snapshot.exists():
        return None
    message = files.read_bounded(home.book_snapshot, MAX_BYTES)
    body = envelope.open_signed(message, public, context=CONTEXT, limit=MAX_BYTES)
    return codec.from_bytes(BookSnapshot, body, limit=MAX_BYTES)


def write(home: Home, kept: BookSnapshot, sign: Callable[[bytes, bytes], bytes]) -> None:
    """Save it. Raises OSError."""
    files.replace(home.book_snapshot, sign(codec.to_bytes(kept), CONTEXT))


def _packed(numbers: Iterable[int]) -> bytes:
    made = array("q", numbers)
    if sys.byteorder == "big":
        made.byteswap()
    return made.tobytes()


def _unpacked(data: bytes) -> array[int]:
    if len(data) % 24:
        raise LedgerError("its receipts are cut off", where="book.snapshot")
    made = array("q")
    made.frombytes(data)
    if sys.byteorder == "big":
        made.byteswap()
    return made
