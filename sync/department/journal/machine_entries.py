"""Entries about the machine and the offices: clock, purges, an administrator named by root keys. No I/O."""

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
    """Two people confirmed the server's clock. `wall_us`: its time; `held_us`: trusted until then."""

    KIND: ClassVar[str] = "clock_confirmed"
    wall_us: int
    held_us: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeAllowed(Note):
    """Two people allowed the purge of the backlog of days of receipt up to `through` (days since 1970)."""

    KIND: ClassVar[str] = "purge_allowed"
    through: int
    reason: str


LostRows: TypeAlias = tuple[str, str, int, int, bytes]
"""What a store has less of than the log counted: `elements`, `given up`, `rows` or `log`; of which (a day and
an element's name, a day, a table with its first and last day, a log's number); how many were counted; how
many are here; SHA-256 over rows that are here, else empty."""


def digest_of_losses(lost: Iterable[LostRows]) -> str:
    """The name by which two people confirm the losses: 32 hexadecimal characters of SHA-256."""
    return hashlib.sha256(envelope.encode([list(one) for one in lost])).hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreRestored(Note):
    """Two people confirmed that the store was restored from a backup of a day (YYYY-MM-DD).

    `lost`: what the machine then found to be missing compared with the log's counts; `verify` expects exactly
    that to be missing.
    """

    KIND: ClassVar[str] = "store_restored"
    backup: str
    reason: str
    lost: tuple[LostRows, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitCodeIssued(Note):
    """A one-time code was made, with which a new unit can join under this name.

    `digest`: of the code, as in the store (`enrollment_code.py`); empty in older entries.
    """

    KIND: ClassVar[str] = "unit_code"
    name: str
    digest: bytes = later(b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitsListed(Note):
    """The ids of the joined units, and of the revoked ones, when the log began to name codes; once."""

    KIND: ClassVar[str] = "units_listed"
    units: tuple[str, ...]
    revoked: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitLogsNamed(Note):
    """A unit's name and the ids of its logs in hex; a search of one unit opens only reads of these."""

    KIND: ClassVar[str] = "unit_logs"
    unit: str
    name: str
    logs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysListSeen(Note):
    """How many lines the key service's list had, and the SHA-256 of the last; it never gets shorter."""

    KIND: ClassVar[str] = "keys_list_seen"
    lines: int
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentSent(Note):
    """A signed document was offered to units: its name and version, for one unit or all.

    `digest`: as units record it: SHA-256 of the signed message; for policy, roster and day keys, of the
    signed content. `baseline`: it was offered before the log had entries of this kind. `signing`: lets
    `verify` reproduce the message of a document that follows from the log (`server/following.py`).
    """

    KIND: ClassVar[str] = "document_sent"
    name: str
    version: int
    unit: str
    digest: bytes
    baseline: bool
    signing: bytes = later(b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorsRan(Note):
    """The daily run of the detectors examined every entry before its findings, which this entry follows.

    `rules`: the version of the detectors (`detectors.RULES`); `opened`: how many findings it opened.
    """

    KIND: ClassVar[str] = "detectors_ran"
    rules: int
    opened: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitRevoked(Note):
    """A unit was revoked, by name or id."""

    KIND: ClassVar[str] = "unit_revoked"
    unit: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeAsked(Note):
    """A person started the purge of what is due, ahead of the daily run."""

    KIND: ClassVar[str] = "purge_asked"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedLogBrought(Note):
    """A closed log from a unit on the bench was taken in.

    Its id in hex, how many of its records verify, and SHA-256 over their leaves.
    """

    KIND: ClassVar[str] = "closed_log"
    log: str
    records: int
    digest: bytes
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetHanded(Note):
    """A person handed in the destruction receipt of a unit that was reset; has its SHA-256."""

    KIND: ClassVar[str] = "reset_handed"
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class AdministratorNamed(Note):
    """Two of the three offices named an administrator. `statement`: the signed bytes."""

    KIND: ClassVar[str] = "administrator_named"
    user: str
    statement: bytes
