"""What every entry of the access log has in common: its stamp, and the base of its record. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from storage.codec import later

SYSTEM = "system"  # entries that no person makes: the ceremony of init, witness, purge


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """Who made an entry, when, in which role, for which organisation, in which session (SHA-256, or
    empty).

    `proven`: the fresh proof in force then, as "password and code, entry 41" or "passkey, entry 41", or
    empty.
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
    """Base of all kinds. STATE: this kind changes what the desk knows, so it is read when the desk opens."""

    KIND: ClassVar[str] = ""
    STATE: ClassVar[bool] = True
