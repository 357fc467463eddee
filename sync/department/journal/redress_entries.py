"""Entries about redress: a member of the public asks, the department answers. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from storage.codec import later
from sync.department.journal.entry_base import Note


@dataclass(frozen=True, slots=True, kw_only=True)
class RedressAsked(Note):
    """A person asks about a wrong read, a stop or an access. `about`: wrong-read, stop, access, other.

    `contact`: how to answer; `words`: what happened. Neither name nor plate is asked for, and where it came
    from is not kept. `received_us`: when a paper form came, which the stamp's person entered; else 0.
    """

    KIND: ClassVar[str] = "redress_asked"
    about: str
    contact: str = field(repr=False)
    words: str = field(repr=False)
    received_us: int = later(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RedressAnswered(Note):
    """How a request for redress was settled. `outcome`: corrected, nothing-found, referred, unclear."""

    KIND: ClassVar[str] = "redress_answered"
    request: int
    outcome: str
    note: str = field(repr=False)
