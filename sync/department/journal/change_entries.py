"""Entries of the second person: changes that wait for one, emergencies that get one afterwards, signed
documents, and the comparison of case numbers. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from storage.codec import later
from sync.department.journal.entry_base import Note


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeProposed(Note):
    """A call that needs a second person, and waits for one.

    `digest`: SHA-256 of its form; `about`: the user, hold or document that it changes; `summary`: the same in
    words, for the person who decides.
    """

    KIND: ClassVar[str] = "change_proposed"
    call: str
    about: str
    digest: bytes
    summary: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeDecided(Note):
    """The second person's yes or no to a proposed change."""

    KIND: ClassVar[str] = "change_decided"
    proposal: int
    granted: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeUsed(Note):
    """An approved change was carried out; its approval is used up. `second`: who approved it."""

    KIND: ClassVar[str] = "change_used"
    proposal: int
    about: str
    second: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticatorKept(Note):
    """With a new password: codes of the authenticator up to `used_step` count as used, whether it was kept or
    is new."""

    KIND: ClassVar[str] = "authenticator_kept"
    user: str
    used_step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DayCounted(Note):
    """How many reads the department received on a day (YYYY-MM-DD, UTC), entered when the day is over.

    `elements`: (name, how many) of everything received on it, by name; `given_up`: how many elements were
    given up on it. Entries of before these were counted have neither: () and -1.

    `rows`: (table, how many, SHA-256) of the rows that came since the last entry that has them, up to this
    day's end, by table (`store/dated_rows.py`); None in others. `sizes`: (number, co-signed records) of
    logs of units that had grown since.
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
    """What a hold rests on: the searches by its own person that found its reads, or the second person's yes.

    `access`: the hold's access entry; `approval`: the proposal that was approved, or -1; `content`: SHA-256
    of the held file of each read, sealed under the hold's key (entries of before have none).
    """

    KIND: ClassVar[str] = "hold_rests"
    access: int
    searches: tuple[int, ...]
    approval: int
    content: tuple[bytes, ...] = later(())


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestTaken(Note):
    """A queued request is being run; a second person who starts it too is refused."""

    KIND: ClassVar[str] = "request_taken"
    request: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DesignationSet(Note):
    """463.6 (b): how long a person is the administrator's designee."""

    KIND: ClassVar[str] = "designation"
    user: str
    ends_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GlassBroken(Note):
    """A search that ran on one person's word because a life was in danger. `access`: its access entry;
    `due_us`: when a second person must have judged it."""

    KIND: ClassVar[str] = "glass_broken"
    access: int
    danger: str = field(repr=False)
    due_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GlassJudged(Note):
    """The second person's word on an emergency search, afterwards."""

    KIND: ClassVar[str] = "glass_judged"
    access: int
    justified: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentSigned(Note):
    """A person had a document for units signed: a hot list, a configuration, an update.

    `digest`: SHA-256 of its body; `unit`: for that unit alone, or empty; `expires_us`: -1 for never.
    """

    KIND: ClassVar[str] = "document_signed"
    name: str
    digest: bytes
    size: int
    unit: str
    expires_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ListSent(Note):
    """What a hot list holds that was sent, for the public: where it comes from and of which categories.

    `agency`: the other agency that shares it, or empty; `entries`: all of them; `covert`: those whose alerts
    only named people see; `categories`: (category, entries that are not covert). An earlier version counted
    the covert ones in their categories, too.
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
    """The look-ups of a period, held against the case and incident numbers of CAD or RMS.

    `unknown`: accesses whose number the export does not have, `users`: in whose name each was made;
    `source`: SHA-256 of the export; `found`: accesses that an earlier export lacked, and this one has;
    `left`: those of the person who compared, for the next comparison.
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
