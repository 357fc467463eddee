"""What all record kinds share: key classes, the state of the clock, the base class. No I/O.

A kind names the key class that seals its content, and so how long the content stays readable:

    read     reads that matched no hot list      hit      reads and alerts that did
    audit    who asked, decided, changed, worked open     not secret: anyone must be able to check it

Times are int64 microseconds UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar


class KeyClass(StrEnum):
    """The family of keys that seals a record's content."""

    READ = "read"
    HIT = "hit"
    HOLD = "hold"
    AUDIT = "audit"
    OPEN = "open"


class ClockState(StrEnum):
    """How far the clock can be trusted."""

    DISCIPLINED = "disciplined"
    HOLDOVER = "holdover"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Base of all kinds; each names its KIND and KEY_CLASS."""

    KIND: ClassVar[str] = ""
    KEY_CLASS: ClassVar[KeyClass] = KeyClass.AUDIT
