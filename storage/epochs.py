"""The facts in the open records: epochs, purges, holds, receipts. Built by reading the log forward. No I/O.

The writer keeps this book in memory, and `verify` rebuilds it only from signed leaves.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from storage.errors import LedgerError
from storage.late_epochs import parse_reason
from storage.log_records import (
    EpochOpened,
    FileInForce,
    GrantTaken,
    HoldEnded,
    Incident,
    LogOpened,
    PurgeAbandoned,
    PurgeIntent,
    PurgeReceipt,
    Resealed,
    UncleanStart,
    UploadReceipt,
)
from storage.received import ReceiptCoverage, later
from storage.record_base import KeyClass, Record


@dataclass(slots=True)
class EpochFacts:
    """One epoch: its class, when it opened, where its key is. `sequence`: of the record that opened it."""

    epoch: int
    key_class: KeyClass
    opened_us: int
    key_at: str
    sequence: int
    closed: bool = False
    closed_us: int | None = None
    purged_by: int | None = None


@dataclass(slots=True)
class LogFacts:
    """All facts of a log, by its open records in order."""

    opened: LogOpened | None = None
    epochs: dict[int, EpochFacts] = field(default_factory=dict)
    generation: int = 1
    keyring_at: int = 0
    turned_us: int | None = None
    pending: tuple[int, PurgeIntent] | None = None
    resealed: dict[int, list[tuple[int, Resealed]]] = field(default_factory=dict)
    files: dict[str, FileInForce] = field(default_factory=dict)
    released: set[int] = field(default_factory=set)
    received: ReceiptCoverage = field(default_factory=ReceiptCoverage)
    newest_us: int = 0
    incidents: int = 0
    notes: int = 0
    dated: int = field(default=0, compare=False)  # how often epochs and receipts were re-dated

    def note(self, sequence: int, record: Record) -> None:  # noqa: PLR0912 - one case per kind
        """Take the next open record. Raises LedgerError if it contradicts what came before."""
        self.notes += 1
        match record:
            case LogOpened():
                if sequence:
                    raise LedgerError(
                        "opens the log a second time", where=f"record {sequence}", leaf_index=sequence
                    )
                self.opened = record  # its date is only the clock's if that is ahead of the earlier log
            case EpochOpened():
                self._open(sequence, record)
            case PurgeIntent():
                self.pending = (sequence, record)
                self._time(record.at_us)
            case PurgeReceipt():
                self._purged(sequence, record)
            case PurgeAbandoned():
                if self.pending is None or self.pending[0] != record.intent:
                    raise LedgerError(
                        "abandons a purge that was not begun", where=f"record {sequence}", leaf_index=sequence
                    )
                self.pending = None
            case FileInForce():
                known = self.files.get(record.name)
                again = (
                    known is not None and record.digest == known.digest and record.version == known.version
                )
                if known is not None and record.version <= known.version and not again:
                    raise LedgerError(
                        "a file's version goes back", where=f"record {sequence}", leaf_index=sequence
                    )
                self.files[record.name] = record
            case HoldEnded():
                self.released.add(record.epoch)
            case Resealed():
                self.resealed.setdefault(record.record, []).append((sequence, record))
            case UploadReceipt():
                for first, last in record.ranges:
                    self.received.add(first, last, record.received_us)
                self._time(record.received_us)
            case Incident():
                self.incidents += 1
            case UncleanStart():
                self._time(record.at_us)
            case GrantTaken():
                pass  # dated by the console's clock, which a person may set: it must not affect a purge
            case _:
                raise LedgerError(
                    f"a record of kind {record.KIND} is not open",
                    where=f"record {sequence}",
                    leaf_index=sequence,
                )

    def _time(self, us: int) -> None:
        self.newest_us = max(self.newest_us, us)

    def _open(self, sequence: int, record: EpochOpened) -> None:
        if record.epoch != self.next_epoch():
            raise LedgerError(
                f"opens epoch {record.epoch}, but {self.next_epoch()} is next",
                where=f"record {sequence}",
                leaf_index=sequence,
            )
        late = parse_reason(record.reason)
        if late is not None:
            self._date(*late, record.opened_us)
        self.close(record.key_class, record.opened_us)
        self.epochs[record.epoch] = EpochFacts(
            record.epoch, record.key_class, record.opened_us, record.key_at, sequence
        )
        self._time(record.opened_us)

    def _date(self, first: int, since_us: int, by_us: int, now_us: int) -> None:
        """Date epochs from `first` on, and receipts since `since_us`, later by `by_us`, but not after
        `now_us`: those after the leap already have the right time.
        """
        self.received.date(since_us, by_us, now_us)
        for facts in self.epochs.values():
            if facts.epoch >= first:
                facts.opened_us = later(facts.opened_us, by_us, now_us)
                facts.closed_us = None if facts.closed_us is None else later(facts.closed_us, by_us, now_us)
        self.dated += 1

    def close(self, key_class: KeyClass, at_us: int) -> None:
        """Close the open epoch of a class to further records."""
        if key_class is KeyClass.HOLD:
            return  # each hold has its own epoch
        for facts in self.epochs.values():
            if facts.key_class is key_class and not facts.closed:
                facts.closed, facts.closed_us = True, at_us

    def _purged(self, sequence: int, record: PurgeReceipt) -> None:
        pending = self.pending
        if pending is None or pending[0] != record.intent or pending[1].epochs != record.epochs:
            raise LedgerError(
                "a purge receipt without its intent", where=f"record {sequence}", leaf_index=sequence
            )
        for purged in record.epochs:
            facts = self.epochs.get(purged.epoch)
            if facts is None or facts.purged_by is not None:
                raise LedgerError(
                    f"purges epoch {purged.epoch}, which does not exist",
                    where=f"record {sequence}",
                    leaf_index=sequence,
                )
            facts.closed, facts.purged_by = True, sequence
        if record.generation != self.generation:
            self.generation, self.keyring_at = record.generation, record.intent
            self.turned_us = record.at_us
        self.pending = None
        self._time(record.at_us)

    def next_epoch(self) -> int:
        return len(self.epochs) + 1

    def current(self, key_class: KeyClass) -> EpochFacts | None:
        """The epoch of a class that receives new records."""
        return next(
            (f for f in reversed(self.epochs.values()) if f.key_class is key_class and not f.closed), None
        )

    def gone(self, epoch: int) -> bool:
        """Whether a receipt says that this epoch's content was purged."""
        facts = self.epochs.get(epoch)
        return facts is not None and facts.purged_by is not None

    def going(self, epoch: int) -> bool:
        """Whether a purge of this epoch has begun but has no receipt yet."""
        return self.pending is not None and any(one.epoch == epoch for one in self.pending[1].epochs)

    def resealed_under(self, epoch: int) -> list[int]:
        """Sequence numbers of the re-sealing records whose content is under a hold's epoch."""
        return [at for entries in self.resealed.values() for at, one in entries if one.epoch == epoch]

    def is_received(self, sequence: int) -> bool:
        """Whether the department's receipt covers a record."""
        return sequence in self.received
