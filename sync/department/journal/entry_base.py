"""What all entries of the access log have in common: the stamp, and the base of the record. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from storage.codec import later

SYSTEM = "system"  # makes entries without a person: the ceremony of init, witness, purge


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """Who made an entry, when, in which role, for which organisation, in which session (SHA-256, or
    empty).

    `proven`: the fresh proof at that time, as "password and code, entry 41" or "passkey, entry 41", or empty.
    """

    at_us: int
    user: str
    role: str
    organisation: str
    session: bytes
    demo: bool
    proven: str = later("")


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Base of all kinds. STATE: this kind changes the desk's state, so it is read when the desk opens."""

    KIND: ClassVar[str] = ""
    STATE: ClassVar[bool] = True
