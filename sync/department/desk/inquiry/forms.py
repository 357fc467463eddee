"""What the inquiry calls are sent and what they answer. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field

from sync.department.content.reads import FoundRead
from sync.department.journal.entries import Entry
from sync.department.journal.inquiry_entries import Ground, Query


@dataclass(frozen=True, slots=True, kw_only=True)
class AskForm:
    """What is asked for, and why."""

    query: Query
    ground: Ground


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposeForm:
    """A search without a full plate, for a second person; `request`: the queue entry it answers, or -1.

    Without `query` and `ground`: as the request has them.
    """

    query: Query | None = None
    ground: Ground | None = None
    request: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class RunForm:
    """A search to run now. `request`: the queue entry it answers; `proposal`: the approved proposal; or -1.

    Without `query` and `ground`: as the proposal or the request has them.
    """

    query: Query | None = None
    ground: Ground | None = None
    request: int = -1
    proposal: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class InquiryDecideForm:
    """A second person's word on a proposal."""

    proposal: int
    granted: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclineForm:
    """A request that will not be run, and why."""

    request: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestForm:
    """One request of the queue."""

    request: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeForm:
    """An entry that was made by you or in your name, and should not have been, or that has a mistake."""

    entry: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageForm:
    """Images of one read that a search of yours found."""

    read: str
    access: int
    ground: Ground


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerImageForm:
    """Images of one read in the answer to a request of yours."""

    request: int
    read: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PageForm:
    """The next page of a search of yours: its access entry, and the cursor of the last page."""

    access: int
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileForm:
    """An access that was filed in the RMS as an ALPR Request."""

    access: int
    rms_number: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCaseForm:
    """All accesses under one case, action or CAD number that were filed in the RMS under one number."""

    number: str
    rms_number: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Filing:
    """One line of an import of RMS numbers: an access entry, or a case number, and the RMS number."""

    access: int = -1
    number: str = ""
    rms_number: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileManyForm:
    """RMS numbers as the RMS exported them: all lines are entered, or none."""

    filings: tuple[Filing, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FiledMany:
    """How many accesses got an RMS number."""

    filed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NothingForm:
    """No fields."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """A call that only makes an entry: its number."""

    entry: int


def first_entered(entries: list[Entry]) -> Entered:
    """The answer of a call whose first note is what it was for."""
    return Entered(entry=entries[0].sequence)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A search's answer, the newest read first. `count`: all matches; `reads`: those of this page.

    `near`, `near_count`: reads that fit the plate by what readers confuse (O and 0, I and 1, B and 8, S and
    5, an unreadable character): verify each against its picture. `next`: the next page's cursor, or empty.
    `days_left_out`: days of receipt that were left out though what came on them is still here: their year is
    over (463.8), or their key is gone.
    """

    access: int
    count: int
    reads: tuple[FoundRead, ...]
    near_count: int = 0
    near: tuple[FoundRead, ...] = ()
    next: str = ""
    unwitnessed: bool
    days_left_out: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a search would open: days and reads, and how long that takes about.

    `opens_all`: without a whole plate (wildcards, a place, a unit) every read is opened. `days_left_out`: as
    in its answer.
    """

    days: int
    reads: int
    opens_all: bool
    seconds: float = 0.0
    days_left_out: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BegunSearch:
    """A search that is carried out step by step: its access entry, its query, what it will open.

    `days_left_out`: days that it leaves out, as in an answer.
    """

    access: int
    query: Query
    days: int
    reads: int
    seconds: float
    unwitnessed: bool
    days_left_out: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StepForm:
    """The next step of a search of yours: its access entry, its query again, where the last step ended."""

    access: int
    query: Query
    after: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one step found, the newest first. `opened`, `found`: of all steps so far, of `of` reads in all.

    `after`: where the next step begins; empty once the search is done. `cancelled`: it was, during this step.
    """

    access: int
    reads: tuple[FoundRead, ...]
    opened: int
    of: int
    found: int
    after: str = ""
    cancelled: bool = False
    unwitnessed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StopForm:
    """End a search of yours that is carried out step by step; what was found until then stays found."""

    access: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppedSearch:
    """How far a search went: reads opened, of how many, and found; the entry that says so."""

    entry: int
    opened: int
    of: int
    found: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A request or proposal that waits. `kind`: request or proposal."""

    kind: str
    entry: int
    at_us: int
    user: str
    query: Query
    ground: Ground
    request: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """Images of a read: JPEG or PNG. `read`: LOG/number; empty for an alert, which is named by its own."""

    access: int
    read: str
    patch: bytes = field(repr=False)
    overview: bytes = field(repr=False)
    unwitnessed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MyRequest:
    """A request of yours. `state`: waiting, out of date (ask again), answered, declined; `reason`: why it was
    declined."""

    request: int
    at_us: int
    state: str
    query: Query
    ground: Ground
    access: int
    reason: str
