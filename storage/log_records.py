"""Records that a log keeps about itself: epochs, purges, receipts, signed files, incidents. No I/O.

All are stored in clear, so that a stranger can check them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from storage.record_base import ClockState, KeyClass, Record


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOpened(Record):
    """The first record of a log; `previous`: the last co-signed checkpoint of the log that it replaces."""

    KIND: ClassVar[str] = "log_opened"
    KEY_CLASS: ClassVar[KeyClass] = KeyClass.OPEN
    public_key: bytes
    format: int
    slot: str
    demo: bool
    opened_us: int
    clock_state: ClockState
    previous: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochOpened(Record):
    """A new epoch of a key class. `key_at`: where its key is (kek, day or memory)."""

    KIND: ClassVar[str] = "epoch_opened"
    KEY_CLASS: ClassVar[KeyClass] = KeyClass.OPEN
    epoch: int
    key_class: KeyClass
    opened_us: int
    clock_state: ClockState
    key_at: str
    day_key: bytes | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochPurged:
    """One epoch in a purge: how many records and stored elements it had, the clause, and the reason."""

    epoch: int
    key_class: KeyClass
    records: int
    clause: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeIntent(Record):
    """Written before anything is destroyed. `generation`: the KEK generation once the purge is done."""

    KIND: ClassVar[str] = "purge_intent"
    KEY_CLASS: ClassVar[KeyClass] = KeyClass.OPEN
    generation: int
    epochs: tuple[EpochPurged, ...]
    at_us: int
    clock_state: ClockState
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeReceipt(Record):
    """Written after a purge: what was destroyed, and the kind of slot that guarantees it."""

    KIND: ClassVar[str] = "purge_receipt"
    KEY_CLASS: ClassVar[KeyClass] = KeyClass.OPEN
    intent: int
    generation: int
    epochs: tuple[EpochPurged, ...]
    at_us: int
    clock_state: ClockState
    slot: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeAbandoned(Record):
    """An intent that did not reach the slot: nothing was destroyed, and its keyring is discarded."""

    KIND: ClassVar[str] = "purge_abandoned"
    KEY_CLASS: ClassVar[KeyClass] = KeyClass.OPEN
    intent: int
    at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldEnded(Record):
    """The epoch of a released hold (its release is an audit record): its content is due."""

    KIND: ClassVar[str] = "hold_ended"
    KEY_CLASS: ClassVar[KeyClass] = KeyClass.OPEN
    epoch: int
    release: int
    at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Resealed(Record):
    """A held record's content under its own key; its elements keep the old commitments."""

    KIND: ClassVar[str] = "resealed"
    KEY_CLASS: ClassVar[KeyClass] = KeyClass.OPEN
    record: int
    hold: int
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadReceipt(Record):
    """The department's signed receipt (COSE) for leaves whose content it has opened and stored durably."""

    KIND: ClassVar[str] = "upload_receipt"
    KEY_CLASS: ClassVar[KeyClass] = KeyClass.OPEN
    receipt: bytes
    ranges: tuple[tuple[int, int], ...]
    received_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FileInForce(Record):
    """A signed file came into force: its version and digest; `record`: the sealed record that contains it."""

    KIND: ClassVar[str] = "file_in_force"
    KEY_CLASS: ClassVar[KeyClass] = KeyClass.OPEN
    name: str
    version: int
    digest: bytes
    record: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantTaken(Record):
    """A person logged in at the console with this grant; the department compares it with those that it
    issued.

    `digest`: SHA-256 of the signed grant. `at_us`: by the console's clock, which counts for nothing else.
    """

    KIND: ClassVar[str] = "grant_taken"
    KEY_CLASS: ClassVar[KeyClass] = KeyClass.OPEN
    grant_id: str
    digest: bytes
    at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident(Record):
    """Something to record: a loss, a fork, a damaged record, a refused server."""

    KIND: ClassVar[str] = "incident"
    KEY_CLASS: ClassVar[KeyClass] = KeyClass.OPEN
    what: str
    detail: str
    at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UncleanStart(Record):
    """A start after a run that did not stop cleanly.

    Counts: records found; those newer than every anchor, whose loss would show nowhere else; sealed images
    without a record.
    """

    KIND: ClassVar[str] = "unclean_start"
    KEY_CLASS: ClassVar[KeyClass] = KeyClass.OPEN
    records: int
    unanchored: int
    images: int
    at_us: int
    clock_state: ClockState
