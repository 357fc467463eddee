"""What is kept of second persons: what was proposed, decided, asked for, placed and used."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A change that was proposed: its call, the digest of its form, by whom, when."""

    call: str
    digest: bytes
    user: str
    at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedDecision:
    """A second person's yes."""

    user: str
    at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedScope:
    """What another agency asked for: digests of the plates, the time; `user`: who entered the request;
    `agency`: its kind and its state."""

    agency: tuple[str, str]
    plates: tuple[bytes, ...]
    since_us: int
    until_us: int
    user: str
    at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedHold:
    """The access that a hold's key is named after, and a digest of its reads."""

    access: int
    reads: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """An approval that was used: by the entry that used it first, and the statement that it came with."""

    entry: int
    by: bytes
    at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """A training as its signed entry has it."""

    held_us: int
    topics: tuple[str, ...]
