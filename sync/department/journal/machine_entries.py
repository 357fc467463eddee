"""Entries about the machine and the offices: clock, purges, an administrator by the root keys. No I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from storage import envelope
from storage.codec import later
from sync.department.journal.entry_base import Note


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockConfirmed(Note):
    """Two people said that the server's clock is right. `wall_us`: what it read; `held_us`: what was believed
    until then."""

    KIND: ClassVar[str] = "clock_confirmed"
    wall_us: int
    held_us: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeAllowed(Note):
    """Two people said that the backlog of days of receipt up to `through` (days since 1970) may be purged."""

    KIND: ClassVar[str] = "purge_allowed"
    through: int
    reason: str


LostRows: TypeAlias = tuple[str, str, int, int, bytes]
"""What a store has less of than the log counted: `elements`, `given up`, `rows` or `log`; of which (a day and
an element's name, a day, a table with its first and last day, a log's number); how many were counted; how
many are here; SHA-256 over rows that are here, else empty."""


def digest_of_losses(lost: Iterable[LostRows]) -> str:
    """What two people name by it: 32 hexadecimal characters of SHA-256."""
    return hashlib.sha256(envelope.encode([list(one) for one in lost])).hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreRestored(Note):
    """Two people said that the store was restored from a backup of a day (YYYY-MM-DD). `lost`: what it has
    less of than the log counted, as the machine found it then: `verify` expects just that to be missing."""

    KIND: ClassVar[str] = "store_restored"
    backup: str
    reason: str
    lost: tuple[LostRows, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitCodeIssued(Note):
    """A one-time code was made, with which a new unit of this name can join. `digest`: as the store keeps the
    code (`enrollment_code.py`); empty in entries of before."""

    KIND: ClassVar[str] = "unit_code"
    name: str
    digest: bytes = later(b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitsListed(Note):
    """The units that had joined, and those of them that were revoked, when the log began to name each code:
    by their ids, once."""

    KIND: ClassVar[str] = "units_listed"
    units: tuple[str, ...]
    revoked: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitLogsNamed(Note):
    """Logs of a unit, by their ids in hex, and its name: a search of one unit opens reads of these alone."""

    KIND: ClassVar[str] = "unit_logs"
    unit: str
    name: str
    logs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysListSeen(Note):
    """How many lines the key service's own list had, and the SHA-256 of the last: it never gets shorter."""

    KIND: ClassVar[str] = "keys_list_seen"
    lines: int
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentSent(Note):
    """A signed document was offered to units: its name and version, for one unit or all.

    `digest`: as units record it: SHA-256 of the signed message; of policy, roster and day keys, of what was
    signed. `baseline`: it was out before the log had entries of this kind. `signing`: with it `verify` makes
    the message of one that follows from the log again (`server/following.py`).
    """

    KIND: ClassVar[str] = "document_sent"
    name: str
    version: int
    unit: str
    digest: bytes
    baseline: bool
    signing: bytes = later(b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitRevoked(Note):
    """A unit, by name or id, was revoked."""

    KIND: ClassVar[str] = "unit_revoked"
    unit: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeAsked(Note):
    """A person had what is due purged now, ahead of the daily run."""

    KIND: ClassVar[str] = "purge_asked"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedLogBrought(Note):
    """A closed log was brought from a unit on the bench and is taken in: its id in hex, how many records of
    it verify, SHA-256 over their leaves."""

    KIND: ClassVar[str] = "closed_log"
    log: str
    records: int
    digest: bytes
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetHanded(Note):
    """A destruction receipt of a unit that was reset was handed in by a person: its SHA-256."""

    KIND: ClassVar[str] = "reset_handed"
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class AdministratorNamed(Note):
    """Two of the three offices named an administrator. `statement`: what they signed, as it is."""

    KIND: ClassVar[str] = "administrator_named"
    user: str
    statement: bytes
