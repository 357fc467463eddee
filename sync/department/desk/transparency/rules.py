"""What anybody may know: counts over the access log, with no plate, no person and no case. No I/O.

The counts come from the log's entries and nothing else, so that any holder of the log counts the same; the
newest co-signed checkpoint says which log it was, and the witness that no entry was taken out of it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from sync.department.journal.change_entries import (
    CasesCompared,
    DayCounted,
    DocumentSigned,
    GlassBroken,
    GlassJudged,
)
from sync.department.journal.entries import (
    Access,
    AuditDone,
    Entry,
    FindingClosed,
    FindingOpened,
    Refused,
    RootSet,
    WitnessAway,
)
from sync.department.journal.hold_entries import HoldPlaced, HoldReleased, Purged
from sync.department.journal.sharing_entries import ShareAsked, ShareDecided, ShareDelivered, ShareRouted

FORMAT = 1
KINDS = tuple(
    kind.KIND
    for kind in (
        Access, AuditDone, CasesCompared, DayCounted, DocumentSigned, FindingClosed, FindingOpened,
        GlassBroken, GlassJudged, HoldPlaced, HoldReleased, Purged, Refused, RootSet, ShareAsked,
        ShareDecided, ShareDelivered, ShareRouted, WitnessAway,
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many there were of one kind: an action, a purpose, a detector, a verdict."""

    name: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Agency:
    """What left for one agency. `transfers`: packages; `reads`: how many reads were in them."""

    agency: str
    requests: int
    approved: int
    refused: int
    transfers: int
    reads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Emergencies:
    """Searches on one person's word, and how a second person judged them."""

    searches: int
    justified: int
    unjustified: int
    waiting: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseNumbers:
    """Look-ups held against CAD and RMS. `share`: of those with a number that exists, or -1 before any."""

    compared: int
    existing: int
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Transparency:
    """The public counts. `checkpoint`: the newest co-signed tree head.

    `witnesses`: by name; `quorum`: how many of them must co-sign a tree head.
    """

    format: int
    department: str
    policy_version: int
    as_of_us: int
    entries: int
    days_counted: int
    reads_received: int
    days_purged: int
    reads_purged: int
    accesses: tuple[Tally, ...]
    inquiries_by_purpose: tuple[Tally, ...]
    refusals: int
    emergencies: Emergencies
    case_numbers: CaseNumbers
    sharing: tuple[Agency, ...]
    sent_to_records_release: int
    findings_opened: tuple[Tally, ...]
    findings_closed: tuple[Tally, ...]
    audits: int
    holds_placed: int
    holds_released: int
    hot_lists_signed: int
    witness_absences: int
    witnesses: tuple[str, ...]
    quorum: int
    checkpoint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is beside the entries: whose log it is, how far it goes, who co-signs it."""

    department: str
    policy_version: int
    as_of_us: int
    entries: int
    witnesses: tuple[str, ...]
    quorum: int
    checkpoint: str


def _tallies(counter: Counter[str]) -> tuple[Tally, ...]:
    return tuple(Tally(name=name, count=number) for name, number in sorted(counter.items()))


def count(entries: Iterable[Entry], seen: Seen) -> Transparency:  # noqa: PLR0912 - one case per kind
    """The public counts over these entries."""
    tally: Counter[str] = Counter()
    accesses: Counter[str] = Counter()
    purposes: Counter[str] = Counter()
    opened: Counter[str] = Counter()
    closed: Counter[str] = Counter()
    days: dict[str, int] = {}
    asked: dict[int, str] = {}
    agencies: dict[str, Counter[str]] = defaultdict(Counter)
    judged: dict[int, bool] = {}
    for entry in entries:
        note = entry.note
        if isinstance(note, Access):
            accesses[note.action] += 1
            if note.action == "search":
                purposes[note.ground.purpose] += 1
        elif isinstance(note, DayCounted):
            days[note.day] = note.reads
        elif isinstance(note, Purged):
            tally["days_purged"] += 1
            tally["reads_purged"] += note.reads
        elif isinstance(note, GlassBroken):
            tally["glass"] += 1
        elif isinstance(note, GlassJudged):
            judged[note.access] = note.justified
        elif isinstance(note, CasesCompared):
            tally["compared"] += note.accesses
            tally["existing"] += note.known
        elif isinstance(note, ShareAsked):
            asked[entry.sequence] = note.agency
            agencies[note.agency]["requests"] += 1
        elif isinstance(note, ShareDecided):
            agencies[asked[note.request]]["approved" if note.approved else "refused"] += 1
        elif isinstance(note, ShareDelivered):
            agencies[asked[note.request]]["transfers"] += 1
            agencies[asked[note.request]]["reads"] += note.count
        elif isinstance(note, FindingOpened):
            opened[note.detector] += 1
        elif isinstance(note, FindingClosed):
            closed[note.verdict] += 1
        elif isinstance(note, DocumentSigned):
            tally["hot_lists"] += note.name.startswith("hot-list/")
        else:
            tally[note.KIND] += 1
    return Transparency(
        format=FORMAT,
        department=seen.department,
        policy_version=seen.policy_version,
        as_of_us=seen.as_of_us,
        entries=seen.entries,
        days_counted=len(days),
        reads_received=sum(days.values()),
        days_purged=tally["days_purged"],
        reads_purged=tally["reads_purged"],
        accesses=_tallies(accesses),
        inquiries_by_purpose=_tallies(purposes),
        refusals=tally[Refused.KIND],
        emergencies=Emergencies(
            searches=tally["glass"],
            justified=sum(judged.values()),
            unjustified=len(judged) - sum(judged.values()),
            waiting=tally["glass"] - len(judged),
        ),
        case_numbers=CaseNumbers(
            compared=tally["compared"],
            existing=tally["existing"],
            share=tally["existing"] / tally["compared"] if tally["compared"] else -1.0,
        ),
        sharing=tuple(
            Agency(
                agency=name,
                requests=one["requests"],
                approved=one["approved"],
                refused=one["refused"],
                transfers=one["transfers"],
                reads=one["reads"],
            )
            for name, one in sorted(agencies.items())
        ),
        sent_to_records_release=tally[ShareRouted.KIND],
        findings_opened=_tallies(opened),
        findings_closed=_tallies(closed),
        audits=tally[AuditDone.KIND],
        holds_placed=tally[HoldPlaced.KIND],
        holds_released=tally[HoldReleased.KIND],
        hot_lists_signed=tally["hot_lists"],
        witness_absences=tally[WitnessAway.KIND],
        witnesses=seen.witnesses,
        quorum=seen.quorum,
        checkpoint=seen.checkpoint,
    )
