"""The forms and the answers of the inquiry calls. No I/O."""

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
    """A search without a full plate, for a second person. `request`: the queue entry that it answers, or -1.

    `query`, `ground`: by default those of the request.
    """

    query: Query | None = None
    ground: Ground | None = None
    request: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class RunForm:
    """A search to run now. `request`: the queue entry that it answers; `proposal`: the approved proposal; or
    -1.

    `query`, `ground`: by default those of the proposal or the request.
    """

    query: Query | None = None
    ground: Ground | None = None
    request: int = -1
    proposal: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class InquiryDecideForm:
    """A second person's decision on a proposal."""

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
    """An entry made by you or in your name that should not exist or has a mistake."""

    entry: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageForm:
    """A read that a search of yours found, to see its images."""

    read: str
    access: int
    ground: Ground


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerImageForm:
    """A read in the answer to a request of yours, to see its images."""

    request: int
    read: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PageForm:
    """The next page of a search of yours: its access entry, and the cursor of the last page."""

    access: int
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileForm:
    """An access that was filed in the RMS as an ALPR Request, and its RMS number."""

    access: int
    rms_number: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCaseForm:
    """All accesses under one case, action or CAD number, which were filed in the RMS under one number."""

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
    """The answer of a call that only makes an entry: the entry's number."""

    entry: int


def first_entered(entries: list[Entry]) -> Entered:
    """The answer of a call whose first note is its own entry."""
    return Entered(entry=entries[0].sequence)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A search's answer, newest read first. `count`: how many matches in all; `reads`: the matches on this
    page.

    `near`, `near_count`: reads that match the plate if characters that readers confuse count as equal (O and
    0, I and 1, B and 8, S and 5, an unreadable one); verify each against its picture. `next`: the next page's
    cursor, or empty. `days_left_out`: days of receipt whose reads are still here but were left out, because
    their year is over (463.8) or their key is gone.
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
    """What a search would open: days and reads, and about how long that takes.

    `opens_all`: every read is opened, because there is no whole plate (wildcards, a place, a unit).
    `days_left_out`: as in the answer.
    """

    days: int
    reads: int
    opens_all: bool
    seconds: float = 0.0
    days_left_out: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BegunSearch:
    """A search that runs step by step: its access entry, its query, what it will open.

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
    """The next step of your search: its access entry, its query again, and where the last step ended."""

    access: int
    query: Query
    after: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one step found, newest first. `opened`, `found`: totals of all steps so far, out of `of` reads.

    `after`: where the next step begins; empty once the search is done. `cancelled`: whether it was cancelled
    during this step.
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
    """A search of yours that runs step by step and is to end now. What it has found stays found."""

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
    """Images of a read: JPEG or PNG. `read`: LOG/number; empty for an alert, which has its own name."""

    access: int
    read: str
    patch: bytes = field(repr=False)
    overview: bytes = field(repr=False)
    unwitnessed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MyRequest:
    """A request of yours.

    `state`: waiting, out of date (ask again), answered, declined; `reason`: why it was declined.
    """

    request: int
    at_us: int
    state: str
    query: Query
    ground: Ground
    access: int
    reason: str
