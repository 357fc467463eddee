"""Entries of the administrator's office: maintenance grants (463.3), closing of incidents. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sync.department.journal.entry_base import Note


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantIssued(Note):
    """A technician or vendor got access: person, purpose, units, commands, start and end.

    `holder`: fingerprint of the person's SSH key; `digest`: SHA-256 of the signed grant; `signer`: command,
    or the designee whose key signed it.
    """

    KIND: ClassVar[str] = "grant"
    grant_id: str
    person: str
    organisation: str
    role: str
    holder: str
    purpose: str
    work_order: str
    units: tuple[str, ...]
    commands: tuple[str, ...]
    from_us: int
    to_us: int
    digest: bytes
    signer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantsRevoked(Note):
    """Grants were revoked, by grant id, person or fingerprint."""

    KIND: ClassVar[str] = "grants_revoked"
    names: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantDelegated(Note):
    """A designee's key may sign repair grants for a limited time."""

    KIND: ClassVar[str] = "grant_delegated"
    designee: str
    public_key: bytes
    from_us: int
    to_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentSettled(Note):
    """One person declares an incident settled and says what was found. `second`: this closes it."""

    KIND: ClassVar[str] = "incident"
    incident: int
    kind: str
    unit: str
    opened_us: int
    finding: str
    second: bool
