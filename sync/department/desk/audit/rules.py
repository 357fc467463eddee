"""Rules of the audit (463.5 (b), (c)): accesses become ALPR Requests; no one reviews findings on own
searches.

No I/O. Makes rows from entries and the CSV text, and decides the state of findings and who may review what.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from storage.spreadsheet import csv_of_fields
from storage.times import iso_text
from sync.department.content.likeness import one_spelling
from sync.department.content.query_match import can_be_one
from sync.department.desk.audit.look_up_detectors import Flag, LookUp
from sync.department.desk.people.rules import Accounts
from sync.department.desk.words import demand_sentence
from sync.department.journal.change_entries import ChangeDecided, GlassJudged
from sync.department.journal.entries import (
    AuditBegun,
    AuditDone,
    Entry,
    EntryOf,
    Filed,
    FindingClosed,
    FindingOpened,
    is_of,
)
from sync.department.journal.inquiry_entries import Access, AccessEnded, Ground, SearchApproved
from sync.department.journal.machine_entries import DetectorsRan
from sync.department.policy.policy import Policy
from sync.department.policy.refusals import DeskRefusal, FormError, NotYetError, demand, done_already
from sync.department.policy.roles import Role

NOT_FILED = "not filed"
CLASSIFICATION = "ALPR Request"
DISPUTED = "disputed"
"""The detector of findings that people ask for."""
WILD = frozenset("*?")
VERDICTS = ("justified", "unclear", "misuse")
ACCESS_KINDS = (
    Access.KIND,
    AccessEnded.KIND,
    Filed.KIND,
    SearchApproved.KIND,
    ChangeDecided.KIND,
    GlassJudged.KIND,
)


def demand_period(since_us: int, until_us: int) -> None:
    """Refuse a period that holds no time: its empty list would look as if nothing was there. Raises
    FormError."""
    demand(
        since_us < until_us,
        "the time asked for ends before it begins",
        code="time",
        clause="463.5 (c)",
        cure="give a From that is before To",
        fields=("since_us", "until_us"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AlprRequest:
    """One access with all that 463.5 (b) and Civil Code 1798.90.52 ask for."""

    entry: int
    classification: str
    at_us: int
    date_time: str
    data_elements: str = field(repr=False)
    plate: str = field(repr=False)
    request: int
    username: str
    role: str
    organisation: str
    action: str
    on_behalf_of: str
    purpose: str
    basis: str
    number: str
    justification: str = field(repr=False)
    results: int | None
    unwitnessed: bool
    rms_number: str
    demo: bool
    second_person: str
    reads: tuple[str, ...] = field(repr=False)
    proven: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnAccess(AlprRequest):
    """An access by you or in your name.

    `dispute`: what became of your dispute of it: waits for an audit, in review, reviewed; empty if you made
    none; `dispute_reason`: your words.
    """

    dispute: str
    dispute_reason: str = field(repr=False)


CSV_COLUMNS = (
    "entry",
    "classification",
    "date_time",
    "data_elements",
    "username",
    "role",
    "organisation",
    "action",
    "on_behalf_of",
    "purpose",
    "basis",
    "number",
    "justification",
    "results",
    "unwitnessed",
    "rms_number",
    "demo",
    "second_person",
    "proven",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which accesses to pick: a period, a user, a purpose, a plate. What is empty selects all.

    `user`: who ran the access, or in whose name. `plate`: what the search asks for (`_asks_for`). `entries`:
    only these, and what answered them if they are requests; None for any.
    """

    since_us: int
    until_us: int
    user: str
    purpose: str
    plate: str = field(repr=False)
    entries: frozenset[int] | None = None


class RequestFold:
    """Joins accesses with their results and RMS numbers, entry after entry."""

    def __init__(self) -> None:
        self.requests: dict[int, AlprRequest] = {}
        self._second: dict[int, str] = {}

    def apply(self, entry: Entry) -> None:
        """Add the next entry."""
        note = entry.note
        if isinstance(note, Access):
            self.requests[entry.sequence] = _request(entry, note, self._second.get(note.approval, ""))
        elif isinstance(note, AccessEnded):
            self._change(note.access, results=note.count, unwitnessed=note.unwitnessed)
        elif isinstance(note, Filed):
            for access, number in note.numbers():
                self._change(access, rms_number=number)
        elif isinstance(note, GlassJudged):
            self._change(note.access, second_person=entry.stamp.user)
        elif isinstance(note, SearchApproved | ChangeDecided) and note.granted:
            self._second[note.proposal] = entry.stamp.user

    def _change(self, access: int, **said: Any) -> None:
        known = self.requests.get(access)  # reading the log has a result too
        if known is not None:
            self.requests[access] = replace(known, **said)


def _request(entry: Entry, note: Access, second: str) -> AlprRequest:
    """A new request: without a result, and not filed."""
    stamp = entry.stamp
    ground: Ground = note.ground
    return AlprRequest(
        entry=entry.sequence,
        classification=CLASSIFICATION,
        at_us=stamp.at_us,
        date_time=iso_text(stamp.at_us, to="second"),
        data_elements=note.elements,
        plate=note.plate,
        request=note.request,
        username=stamp.user,
        role=stamp.role,
        organisation=stamp.organisation,
        action=note.action,
        on_behalf_of=note.on_behalf_of,
        purpose=ground.purpose,
        basis=ground.basis,
        number=ground.number,
        justification=ground.justification,
        results=None,
        unwitnessed=False,
        rms_number=NOT_FILED,
        demo=stamp.demo,
        second_person=second,
        reads=note.reads,
        proven=stamp.proven,
    )


def pick(requests: Iterable[AlprRequest], wanted: AuditFilter) -> list[AlprRequest]:
    """The requests that a filter selects."""
    return [
        one
        for one in requests
        if wanted.since_us <= one.at_us < wanted.until_us
        and wanted.user in {"", one.username, one.on_behalf_of}
        and wanted.purpose in {"", one.purpose}
        and _asks_for(one.plate, wanted.plate)
        and (wanted.entries is None or bool({one.entry, one.request} & wanted.entries))
    ]


def _asks_for(searched: str, wanted: str) -> bool:
    """Whether a search for `searched` lists reads of the plate `wanted` (empty: any).

    The plate may match exactly, as one that a reader confuses with it, or by wildcards. If `wanted` has
    wildcards, some plate that fits it must be listed. A search only by place or unit asks for no plate.
    """
    if not wanted or searched == wanted:
        return True
    if not searched:
        return False
    if WILD & set(searched):
        return can_be_one(searched, wanted)
    return can_be_one(one_spelling(searched), one_spelling(wanted))


def csv_text(requests: Sequence[AlprRequest]) -> str:
    """The hand-over to the RMS as CSV (RFC 4180), with one ALPR Request per line."""
    return csv_of_fields(CSV_COLUMNS, requests)


def look_ups_of(requests: Iterable[AlprRequest]) -> list[LookUp]:
    """The lookups that the detectors examine: every kind of access, in order of time."""
    found = [
        LookUp(
            sequence=one.entry,
            at_us=one.at_us,
            user=one.username,
            on_behalf_of=one.on_behalf_of,
            plate=one.plate,
            number=one.number,
            action=one.action,
            reads=one.reads,
        )
        for one in requests
    ]
    return sorted(found, key=lambda one: (one.at_us, one.sequence))


def look_up_of(entry: Entry, note: Access) -> LookUp:
    """A lookup from its entry alone."""
    return LookUp(
        sequence=entry.sequence,
        at_us=entry.stamp.at_us,
        user=entry.stamp.user,
        on_behalf_of=note.on_behalf_of,
        plate=note.plate,
        number=note.ground.number,
        action=note.action,
        reads=note.reads,
    )


@dataclass(slots=True)
class Findings:
    """What the log says of findings and audits."""

    opened: dict[int, EntryOf[FindingOpened]] = field(default_factory=dict)
    closed: dict[int, EntryOf[FindingClosed]] = field(default_factory=dict)
    audits: list[EntryOf[AuditDone]] = field(default_factory=list)
    begun: EntryOf[AuditBegun] | None = None
    ran: int = -1  # the newest run of the detectors

    def apply(self, entry: Entry) -> None:
        if is_of(entry, FindingOpened):
            self.opened[entry.sequence] = entry
        elif is_of(entry, FindingClosed):
            self.closed[entry.note.finding] = entry
        elif is_of(entry, AuditDone):
            self.audits.append(entry)
            self.begun = None
        elif is_of(entry, AuditBegun):
            self.begun = entry
        elif is_of(entry, DetectorsRan):
            self.ran = entry.sequence

    def open_findings(self) -> list[EntryOf[FindingOpened]]:
        return [entry for number, entry in self.opened.items() if number not in self.closed]

    def covered(self) -> dict[tuple[str, str], tuple[set[int], set[int]]]:
        """By detector and person: (entries that such findings cover, those of them in open findings)."""
        found: dict[tuple[str, str], tuple[set[int], set[int]]] = {}
        for number, entry in self.opened.items():
            note = entry.note
            covered, still_open = found.setdefault((note.detector, note.about), (set(), set()))
            covered.update(note.accesses)
            if number not in self.closed:
                still_open.update(note.accesses)
        return found


def entries_of(findings: Findings, number: int) -> tuple[int, ...]:
    """The entries that a finding names. Raises FormError."""
    entry = findings.opened.get(number)
    if entry is None:
        raise FormError("there is no such finding", code="no-finding", clause="463.5 (c)")
    return entry.note.accesses


def reviewer_for(roster: Accounts, load: Mapping[str, int], searchers: set[str]) -> str:
    """The least busy reviewer who ran none of the searches, or the administrator if no reviewer is left.

    Raises NotYetError if there is none.
    """
    for role in (Role.REVIEWER, Role.ADMINISTRATOR):
        free = [user for user in roster.holders(role) if user not in searchers]
        if free:
            return min(free, key=lambda user: (load.get(user, 0), user))
    raise NotYetError(
        "no reviewer is left who is not the searcher",
        code="no-reviewer",
        clause="463.5 (c)",
        cure="give another person the role reviewer",
    )


def demand_reviewer(
    policy: Policy, roster: Accounts, note: FindingOpened, people: Collection[str], user: str
) -> None:
    """Check that `user` is a finding's reviewer. If the reviewer left, or is concerned, anyone else may act
    who is not. `people`: whom it concerns. Raises DeskRefusal."""
    if note.reviewer == user and user not in people:
        return
    if note.reviewer not in people and roster.may_review(policy, note.reviewer):
        raise DeskRefusal(
            "that finding is assigned to another reviewer", code="other-reviewer", clause="463.5 (c)"
        )
    removers = {one.by for one in roster.removed_reviewers if one.user == note.reviewer}
    if user in people or user in removers:
        raise DeskRefusal(
            "a finding that names you, or whose reviewer you removed, is reviewed by another person",
            code="own-finding",
            clause="463.5 (c)",
        )


def new_findings(findings: Findings, flags: Sequence[Flag]) -> list[Flag]:
    """The flags over entries that no finding covers yet, one per pattern.

    A closed finding covers only what it found, so later entries make a new one. An open finding grows with
    its pattern; entries that it does not name are flagged once it is closed.
    """
    known = findings.covered() if flags else {}
    fresh = []
    for flag in flags:
        covered, still_open = known.setdefault((flag.detector, flag.about), (set(), set()))
        new = tuple(entry for entry in flag.entries if entry not in covered)
        if not new or still_open.intersection(flag.entries):
            continue
        covered.update(new)
        again = len(new) < len(flag.entries)
        fresh.append(replace(flag, entries=new, detail=flag.detail + ("; again" if again else "")))
    return fresh


def new_disputes(findings: Findings, disputes: Iterable[tuple[int, Flag]]) -> list[Flag]:
    """Flags of disputes that no finding covers, one per disputed entry. Each dispute: (its entry, its flag).

    An open finding covers every dispute of its entry, for its reviewer reads them all; a closed one only
    those before its end: who corrects a correction later is heard.
    """
    until = dict(_covers(findings))
    fresh = []
    for sequence, flag in disputes:
        (about,) = flag.entries
        end = until.get(about, -1)
        if end is None or sequence < end:
            continue
        until[about] = None
        fresh.append(replace(flag, detail=flag.detail + ("; again" if end >= 0 else "")))
    return fresh


def dispute_state(findings: Findings, about: int, last: int) -> str:
    """What became of the disputes of an entry, the last of which is the entry `last`."""
    ends = [end for entry, end in _covers(findings) if entry == about]
    if None in ends:
        return "in review"
    return "reviewed" if any(end is not None and end > last for end in ends) else "waits for an audit"


def closed_after(findings: Findings, about: int) -> int:
    """The last entry that closed a finding of this disputed entry, and so heard the disputes before it; -1 if
    none did."""
    ends = (end for entry, end in _covers(findings) if entry == about and end is not None)
    return max(ends, default=-1)


def _covers(findings: Findings) -> Iterator[tuple[int, int | None]]:
    """Each disputed entry of each finding, with the entry that closed the finding; None while it is open."""
    for number, entry in findings.opened.items():
        if entry.note.detector == DISPUTED:
            closed = findings.closed.get(number)
            for about in entry.note.accesses:
                yield about, closed.sequence if closed is not None else None


def to_close(findings: Findings, number: int, reviewer: str, verdict: str, note: str) -> None:
    """Demand a verdict, a note, and a reviewer whom the finding is not about. Raises DeskRefusal."""
    entry = findings.opened.get(number)
    if entry is None:
        raise FormError("there is no such finding", code="no-finding", clause="463.5 (c)")
    closed = findings.closed.get(number)
    if closed is not None:
        raise done_already(closed.stamp.user, "closed that finding", code="closed", clause="463.5 (c)")
    if entry.note.about == reviewer:
        raise DeskRefusal("another person must review your lookups", code="own-finding", clause="463.5 (c)")
    if verdict not in VERDICTS:
        raise FormError("that is not a verdict", code="verdict", clause="463.5 (c)", cure=", ".join(VERDICTS))
    demand_sentence(note, "say what was found, in at least three words", code="note", clause="463.5 (c)")
