"""Reads as the desk sees them: their records, the interface to find and open them, result pages. No I/O."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from storage import leaf as leaves
from storage.codec import from_bytes
from storage.counts import counted
from storage.read_records import Position, ReadPlace, ReadText
from storage.sealing import Opened
from storage.times import day_text
from sync.department.content import likeness
from sync.department.content.key_door import Cover, KeyDoor, MatchedRead, Row, read_name
from sync.department.content.read_times import TimeDoubt, doubt_of
from sync.department.journal.inquiry_entries import Query
from sync.department.policy.refusals import FormError
from sync.department.store.received import ReceivedDay

NEAREST = 0.999  # a near read never counts as the plate itself


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedRead:
    """A read with its elements and proofs: the unit's signed leaf, its log's public key, the tlog-proof."""

    read: str
    unit: str
    log_id: bytes
    sequence: int
    leaf: bytes
    public: bytes
    proof: str
    elements: dict[str, Opened]
    closed_log: bool = False  # it came after its log was closed
    day: int | None = None  # of receipt


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRead:
    """One result of a search, as in the answer. The repr shows no plate.

    `jurisdiction`: the state on the plate; `time_error_us`, `clock`: how sure the unit was of the time;
    `local_time`: `first_us` in the department's local time; `fit`: 1 for the searched plate, less for near
    ones; `received`: the day of receipt, UTC; `time_doubt`: why the time is not trusted, or empty.
    """

    read: str
    plate: str = field(repr=False)
    confidence: float
    jurisdiction: str | None
    first_us: int
    last_us: int
    time_error_us: int
    clock: str
    local_time: str
    fit: float
    position: Position | None
    direction: str
    lane: int | None
    unit: str
    camera: str
    demo: bool
    closed_log: bool = False  # it came after its log was closed: its signature is valid, its place unproven
    received: str = ""
    time_doubt: TimeDoubt = TimeDoubt.NONE

    @classmethod
    def of(cls, one: OpenedRead, plate: str = "") -> FoundRead:
        """Make a result from a read that was opened by name. Raises StorageError.

        `plate`: the searched plate, for the fit.
        """
        return found_read(
            one.log_id,
            one.unit,
            MatchedRead(
                one.sequence,
                from_bytes(ReadText, one.elements["text"].content),
                from_bytes(ReadPlace, one.elements["place"].content),
            ),
            "" if set(plate) & {"*", "?"} else plate,
            closed_log=one.closed_log,
            day=one.day,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultPage:
    """A page of the reads that a search found, newest first, and separately those near its plate.

    `count`, `near_count`: how many there are in total; `reads` and `near` together have at most the page's
    limit; `next`: the cursor of the next page, or empty. `days_shut`: days of receipt whose key is missing.
    """

    count: int
    near_count: int
    reads: tuple[FoundRead, ...]
    near: tuple[FoundRead, ...]
    next: str
    days_shut: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRead:
    """A read that is still sealed: `row` has its elements under the key of its day or of a hold."""

    read: str
    unit: str
    log_id: bytes
    leaf: bytes
    public: bytes
    proof: str
    row: Row

    def under(self, stored: dict[str, bytes]) -> StoredRead:
        """This read with its elements sealed under another key."""
        return replace(self, row=replace(self.row, elements=stored))

    def opened(self, elements: dict[str, Opened], day: int | None = None) -> OpenedRead:
        """This read with opened elements. `day`: of receipt."""
        return OpenedRead(
            read=self.read,
            unit=self.unit,
            log_id=self.log_id,
            sequence=self.row.sequence,
            leaf=self.leaf,
            public=self.public,
            proof=self.proof,
            elements=elements,
            closed_log=leaves.unchecked(self.leaf).log_id != self.log_id,
            day=day,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The next reads of a search, only by name: (day of receipt, log number, record), newest day first.

    `after`: where the next part begins, or empty.
    """

    named: tuple[tuple[int, int, int], ...]
    after: str


class Reads(Protocol):
    """The desk's source of reads."""

    def knows_unit(self, name: str) -> bool:
        """Whether a unit was ever enrolled under this name."""
        ...

    def days_of(self, names: Sequence[str]) -> tuple[int, ...]:
        """The day of receipt of each read (days since 1970, UTC). Raises FormError for an unknown read."""
        ...

    def find(self, door: KeyDoor, cover: Cover, query: Query, limit: int, after: str = "") -> ResultPage:
        """At most `limit` matches after a cursor, newest first."""
        ...

    def received(self) -> list[ReceivedDay]:
        """What arrived on every day that is not purged, and what was given up."""
        ...

    def extent(self, query: Query) -> tuple[int, int]:
        """How many (days, reads) a search would open. Uses no key."""
        ...

    def days_left_out(self, query: Query) -> int:
        """How many days of receipt with existing content a search leaves out.

        Their year is over, or their destruction has begun.
        """
        ...

    def part(self, query: Query, after: str, limit: int) -> Part:
        """The next reads that a search without a whole plate opens. Uses no key. Raises FormError."""
        ...

    def match(
        self, door: KeyDoor, cover: Cover, query: Query, part: Part, going_on: Callable[[], bool]
    ) -> tuple[int, list[FoundRead]]:
        """Open the reads of a part until it must stop; returns how many were opened and those that match."""
        ...

    def open(
        self, door: KeyDoor, cover: Cover, names: Sequence[str], elements: Sequence[str]
    ) -> list[OpenedRead]:
        """Open reads by name. Raises FormError for an unknown read."""
        ...

    def hold(
        self, door: KeyDoor, cover: Cover, names: Sequence[str], elements: Sequence[str]
    ) -> list[StoredRead]:
        """Reads by name, sealed under the key of the hold whose entry is shown. Raises FormError."""
        ...


def parse_name(name: str) -> tuple[bytes, int]:
    """Parse a read's name into (log id, sequence). Raises FormError."""
    log, _, number = name.partition("/")
    try:
        log_id, sequence = bytes.fromhex(log), int(number)
    except ValueError:
        log_id, sequence = b"", -1
    if len(log_id) != 32 or sequence < 0 or read_name(log_id, sequence) != name:
        raise FormError("a read is named by its log and number", code="read-name", clause="463.5 (b) 2")
    return log_id, sequence


def left_out(days: int) -> str:
    """The addition to an answer that leaves out days of receipt; empty if there are none."""
    why = "their year is over, or their key is gone"
    return f", {counted(days, 'day')} of receipt left out: {why}" if days else ""


def cursor_of(one: FoundRead) -> str:
    """The cursor after a result."""
    return f"{one.first_us}:{one.read}"


def page_of(found: Iterable[FoundRead], limit: int, after: str) -> ResultPage:
    """Make a page of matches, newest first. Raises FormError for an invalid cursor."""
    ordered = sorted(found, key=lambda one: (-one.first_us, one.read))
    rest = ordered
    if after:
        time, _, read = after.partition(":")
        if not re.fullmatch(r"[0-9]{1,19}", time):
            raise FormError("that is not an answer's cursor", code="cursor", clause="463.5 (b) 2")
        rest = [one for one in ordered if (-one.first_us, one.read) > (-int(time), read)]
    shown = rest[:limit]
    return ResultPage(
        count=sum(one.fit == 1.0 for one in ordered),
        near_count=sum(one.fit < 1.0 for one in ordered),
        reads=tuple(one for one in shown if one.fit == 1.0),
        near=tuple(one for one in shown if one.fit < 1.0),
        next=cursor_of(shown[-1]) if len(rest) > len(shown) and shown else "",
    )


def found_read(
    log_id: bytes, unit: str, one: MatchedRead, plate: str, *, closed_log: bool, day: int | None
) -> FoundRead:
    """Make a result of a search. `plate`: searched, without wildcards, or empty; `day`: of receipt."""
    return FoundRead(
        read=read_name(log_id, one.sequence),
        plate=one.text.text,
        confidence=one.text.confidence,
        jurisdiction=one.text.jurisdiction,
        first_us=one.place.first_us,
        last_us=one.place.last_us,
        time_error_us=one.place.time_error_us,
        clock=str(one.place.clock_state),
        local_time="",
        fit=min(likeness.fit(plate, one.text), NEAREST) if plate not in {"", one.text.text} else 1.0,
        position=one.place.position,
        direction=one.place.direction,
        lane=one.place.lane,
        unit=unit,
        camera=one.place.camera,
        demo=one.text.demo,
        closed_log=closed_log,
        received="" if day is None else day_text(day),
        time_doubt=doubt_of(one.place, day),
    )
