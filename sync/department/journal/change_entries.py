"""Entries about second persons: changes that wait for one, emergencies that get one afterwards.

Also those about signed documents and the comparison of case numbers. No I/O.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from storage.codec import later
from storage.errors import RecordError
from sync.department.journal.entry_base import Note


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeProposed(Note):
    """A call that waits for a second person.

    `digest`: SHA-256 of its form; `about`: the user, hold or document that it changes; `summary`: the change
    in words, for the person who decides.
    """

    KIND: ClassVar[str] = "change_proposed"
    call: str
    about: str
    digest: bytes
    summary: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeDecided(Note):
    """The second person approved or declined a proposed change."""

    KIND: ClassVar[str] = "change_decided"
    proposal: int
    granted: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeUsed(Note):
    """An approved change was carried out, which used up the approval. `second`: who approved it."""

    KIND: ClassVar[str] = "change_used"
    proposal: int
    about: str
    second: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticatorKept(Note):
    """Belongs to a new password: the authenticator's codes up to `used_step` count as used, kept or new."""

    KIND: ClassVar[str] = "authenticator_kept"
    user: str
    used_step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DayCounted(Note):
    """How many reads the department received on a day (YYYY-MM-DD, UTC); entered when the day is over.

    `elements`: (name, how many) of everything received that day, by name; `given_up`: how many elements were
    given up that day. Older entries have () and -1.

    `rows`: (table, how many, SHA-256) of the rows from the last entry with rows to the end of this day, by
    table (`store/dated_rows.py`); None in other entries. `sizes`: (number, co-signed records) of the units'
    logs that grew since then.
    """

    KIND: ClassVar[str] = "day_counted"
    day: str
    reads: int
    elements: tuple[tuple[str, int], ...] = later(())
    given_up: int = later(-1)
    rows: tuple[tuple[str, int, bytes], ...] | None = later(None)
    sizes: tuple[tuple[int, int], ...] = later(())


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldRests(Note):
    """The basis of a hold: searches by the same person that found its reads, or a second person's approval.

    `access`: the hold's access entry; `approval`: the approved proposal, or -1; `content`: SHA-256 of each
    read's held file, sealed under the hold's key; empty in older entries.
    """

    KIND: ClassVar[str] = "hold_rests"
    access: int
    searches: tuple[int, ...]
    approval: int
    content: tuple[bytes, ...] = later(())


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestTaken(Note):
    """A queued request is being run, so that another person who starts it is refused."""

    KIND: ClassVar[str] = "request_taken"
    request: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DesignationSet(Note):
    """463.6 (b): until when a person is the administrator's designee."""

    KIND: ClassVar[str] = "designation"
    user: str
    ends_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GlassBroken(Note):
    """An emergency search, run by one person because a life was in danger.

    `access`: its access entry; `due_us`: when a second person must have judged it.
    """

    KIND: ClassVar[str] = "glass_broken"
    access: int
    danger: str = field(repr=False)
    due_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GlassJudged(Note):
    """The second person's judgment of an emergency search, afterwards."""

    KIND: ClassVar[str] = "glass_judged"
    access: int
    justified: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentSigned(Note):
    """A person had a document for units signed: a hot list, a configuration, an update.

    `digest`: SHA-256 of its body; `unit`: the only unit that it is for, or empty; `expires_us`: -1 for never.
    """

    KIND: ClassVar[str] = "document_signed"
    name: str
    digest: bytes
    size: int
    unit: str
    expires_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ListSent(Note):
    """The public facts about a hot list that was sent: its source and its categories.

    `agency`: the other agency that shares it, or empty; `entries`: how many in total; `covert`: how many
    whose alerts only named people see; `categories`: (category, entries that are not covert). Older versions
    also counted covert entries in their categories.
    """

    KIND: ClassVar[str] = "list_sent"
    STATE: ClassVar[bool] = False
    list_id: str
    source: str
    agency: str
    entries: int
    covert: int
    categories: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CasesCompared(Note):
    """The lookups of a period, compared with the case and incident numbers of CAD or RMS.

    `unknown`: accesses whose number is not in the export; `users`: in whose name each was made; `source`:
    SHA-256 of the export; `found`: accesses that an earlier export lacked but this one has; `left`: accesses
    of the person who compared, left for the next comparison.
    """

    KIND: ClassVar[str] = "cases_compared"
    from_us: int
    to_us: int
    accesses: int
    known: int
    unknown: tuple[int, ...]
    users: tuple[str, ...]
    source: bytes
    found: tuple[int, ...] = later(())
    left: tuple[int, ...] = later(())

    def check(self) -> None:
        if len(self.unknown) != len(self.users):
            raise RecordError("names one person for each unknown number", where="cases_compared.users")
