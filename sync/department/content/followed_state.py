"""The key service's state of a followed log, by which it judges entries, and each entry's effect on it.
No I/O.

An entry about a person's action, or the signed form in it, can name a plate (a search, a hot list, a letter's
scope). For those kinds only a `Result` is kept: what later entries are judged by, without the entry's words.
`result_of` extracts it from an entry that was just judged; `take_result` restores the same state from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from storage.codec import later
from storage.times import HOUR_US, MINUTE_US
from sync.department.journal.change_entries import (
    ChangeDecided,
    DesignationSet,
    GlassBroken,
    GlassJudged,
)
from sync.department.journal.concerned import people_in
from sync.department.journal.entries import Entry, Filed, FindingClosed, RequestAnswered, TrainingDone
from sync.department.journal.entry_base import Note
from sync.department.journal.hold_entries import HoldBooked, HoldPlaced, HoldReleased, ReleaseAsked
from sync.department.journal.inquiry_entries import Access, SearchApproved
from sync.department.journal.machine_entries import UnitCodeIssued
from sync.department.journal.made_by import MADE, MADE_KINDS
from sync.department.journal.malformed import form_of
from sync.department.journal.office_entries import GrantIssued, IncidentSettled
from sync.department.journal.second_hand_facts import (
    AskedScope,
    PlacedHold,
    Proposal,
    SignedDecision,
    Spent,
    Training,
    WaitingEmergency,
)
from sync.department.journal.second_hands import SecondHands
from sync.department.journal.sharing_entries import ShareDecided, ShareReviewed
from sync.department.journal.signed_forms import NamedAlert, OpenedRecords, RunRequest, Waiting
from sync.department.journal.signed_log import SignedLog
from sync.department.journal.statements import said_in
from sync.department.journal.unit_logs import LogsOfUnits
from sync.department.journal.unsigned import UnsignedError

JUDGED_US = HOUR_US + 10 * MINUTE_US  # an access opens content for an hour
LATER = {"later": True}  # as `codec.later`, for a field that is another record
WORDED: tuple[type[Note], ...] = (Access, ChangeDecided, SearchApproved, ShareDecided, *MADE)
WORDED_KINDS = frozenset(cls.KIND for cls in WORDED)
"""Kinds whose entry, or the signed form in it, can name a plate: only their `Result` is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedAccess:
    """Why an access does not count as its person's (empty if it does), and when it was made.

    `unproven_until_us`: see `PersonProofs.unproven_until`.
    """

    reason: str
    at_us: int
    unproven_until_us: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The effect of an entry that can name a plate: what later entries are judged by, without the plate.

    `is_signed`: its kind must be signed from now on; `opened`: records of alerts, opened by the statement
    with digest `opened_by`; `about`: the person of a training or designation, or the name of a searched unit.
    """

    judged: JudgedAccess
    used: tuple[bytes, ...] = ()
    waiting: Waiting | None = None
    alert: NamedAlert | None = None
    proposal: Proposal | None = None
    decides: int = -1  # a proposal, or the request of a sharing
    decision: SignedDecision | None = None
    sharing: bool = False
    is_signed: bool = False
    emergency: WaitingEmergency | None = None
    emergency_at: int = -1  # the emergency search that it made or is about
    opened: OpenedRecords | None = None
    opened_by: bytes = b""
    once: bytes = b""  # so that its signed call cannot be repeated
    spends: int = -1  # the approval that it used
    spent: Spent | None = None
    asked: AskedScope | None = None
    placed: PlacedHold | None = None
    holding: Spent | None = None  # the access of a hold, and its call
    settled: tuple[int, str] = (-1, "")  # `settling` of an older version, with only the person
    proof: int = -1  # the person's proof that its call used up
    proof_by: bytes = b""
    seen: bool = False  # `SecondHands.seen_by_two`
    about: str = later("")
    trained: Training | None = field(default=None, metadata=LATER)
    designated_us: int = later(-1)
    unit_asked: bool = later(False)
    ending: int = later(-1)  # a hold whose end was requested
    end_asked: SignedDecision | None = field(default=None, metadata=LATER)
    ended: bool = later(False)
    gave: bytes = later(b"")  # the statement that gave a grant
    by_two: bool = later(False)  # `Signers.grants_by_two`
    wrote: bool = later(False)  # `SecondHands.seen_written`
    settling: int = later(-1)  # an incident whose first decision waits for a second
    first_word: SignedDecision | None = field(default=None, metadata=LATER)
    marking: int = later(-1)  # a hold that was booked, or whose export began
    marked: PlacedHold | None = field(default=None, metadata=LATER)
    reviewing: int = later(-1)  # a request that was reviewed, or decided
    reviewed: bool = later(False)  # whether it now waits for a decision
    waits: bool = later(True)  # whether what it decides is still open
    closed: int = later(-1)  # a finding
    runs: RunRequest | None = field(default=None, metadata=LATER)
    people: tuple[str, ...] = later(())
    number: bytes = later(b"")  # digest of the number of an access
    plate: bytes = later(b"")  # digest of the plate of a search
    filed: tuple[int, ...] = later(())
    declined: int = later(-1)  # a request
    doubted: int = later(-1)  # the access of a hold that its entry does not prove


@dataclass(slots=True)
class Followed:
    """The state of the followed part of a log.

    `doubted`: accesses of holds whose entry is not proven; such a hold may be a person's all the same.
    """

    peaks: tuple[bytes, ...] = ()
    signed: SignedLog = field(default_factory=SignedLog)
    judged: dict[int, JudgedAccess] = field(default_factory=dict)
    logs: LogsOfUnits = field(default_factory=LogsOfUnits)
    newest_us: int = 0
    doubted: set[int] = field(default_factory=set)


def judge(known: Followed, entry: Entry) -> None:
    """Take in an entry; remember whether it is its person's for as long as it could open anything."""
    reason, at_us = "", entry.stamp.at_us
    try:
        _demand_in_order(known, at_us)
        known.signed.judge(entry)
        known.logs.apply(entry)
    except UnsignedError as error:
        reason = str(error)
        if isinstance(entry.note, HoldPlaced):
            known.doubted.add(entry.note.access)
    known.newest_us = max(known.newest_us, at_us)
    while known.judged:
        first = next(iter(known.judged))
        if known.newest_us - known.judged[first].at_us < JUDGED_US:
            break
        del known.judged[first]
    unproven_us = 0 if reason else _unproven_until(known, entry)
    known.judged[entry.sequence] = JudgedAccess(reason=reason, at_us=at_us, unproven_until_us=unproven_us)


def _demand_in_order(known: Followed, at_us: int) -> None:
    """Raises UnsignedError for a backdated entry.

    It could reuse what is remembered as used for only an hour.
    """
    if at_us < known.newest_us:
        raise UnsignedError("it is dated before the entry before it")


def _unproven_until(known: Followed, entry: Entry) -> int:
    signers = known.signed.signers
    session = signers.sessions.get(entry.stamp.session)
    if session is None or not (entry.signed and isinstance(entry.note, Access)):
        return 0
    return signers.proven.unproven_until(entry, said_in(entry.signed), session.from_us)


def result_of(known: Followed, entry: Entry) -> Result:
    """The result of the entry that `judge` has just taken in."""
    signed, at_us, at = known.signed, entry.stamp.at_us, entry.sequence
    signers, second = signed.signers, signed.signers.second
    used, used_us = _newest(signed.used)
    once, once_us = _newest(signers.once)
    spends, spent = next(reversed(second.spent.items()), (-1, None))
    if spent is None or spent.entry != at:
        spends, spent = -1, None
    proof, proven = signers.proven.named(entry.stamp)
    return Result(
        judged=known.judged[at],
        used=(used,) if used_us == at_us else (),
        waiting=signed.waiting.get(at),
        alert=signed.alerts.get(at),
        proposal=second.proposed.get(at),
        is_signed=entry.note.KIND in signers.signed_kinds,
        once=once if once_us == at_us else b"",
        spends=spends,
        spent=spent,
        asked=second.requests.get(at),
        placed=second.holds.get(at),
        runs=signed.running.get(at),
        holding=next((one for one in reversed(signed.holding.values()) if one.entry == at), None),
        proof=proof if proven is not None and proven.by else -1,
        proof_by=proven.by if proven is not None else b"",
        seen=second.seen_by_two,
        ended=at in second.releases,
        by_two=signers.grants_by_two,
        wrote=second.seen_written,
        people=tuple(sorted(people_in(entry))),
        number=signed.named.unfiled.get(at, b""),
        plate=signed.named.plates.get(at, b""),
        **_result_by_kind(known, entry),
    )


def _newest(dated: dict[bytes, int]) -> tuple[bytes, int]:
    """The last one added, with its time; (b"", -1) if there is none."""
    return next(reversed(dated.items()), (b"", -1))


def _result_by_kind(known: Followed, entry: Entry) -> dict[str, Any]:  # noqa: PLR0911, PLR0912 - one case a kind
    """The fields of a result that are specific to the entry's kind."""
    signed, note, at_us = known.signed, entry.note, entry.stamp.at_us
    second, at = signed.signers.second, entry.sequence
    match note:
        case ShareDecided():
            number, waits = note.request, note.request in second.requests
            decided = {"decides": number, "decision": second.shares.get(number), "sharing": True}
            return {**decided, "waits": waits, **_reviewed(second, number)}
        case SearchApproved() | ChangeDecided():
            number = note.proposal
            waits = number in signed.waiting or number in second.proposed
            return {"decides": number, "decision": second.decided.get(number), "waits": waits}
        case ShareReviewed():
            return _reviewed(second, note.request)
        case FindingClosed():
            return {"closed": note.finding} if note.finding not in second.findings else {}
        case Filed():
            gone = (one for one, _ in note.numbers() if one not in signed.named.unfiled)
            return {"filed": tuple(gone)}
        case Access(action="export"):
            hold = form_of(entry.signed).get("hold")
            return {"marking": hold, "marked": second.holds.get(hold)} if type(hold) is int else {}
        case RequestAnswered(access=-1) if note.request not in signed.waiting:
            return {"declined": note.request}
        case HoldPlaced():
            return {"doubted": note.access} if note.access in known.doubted else {}
        case HoldBooked():
            return {"marking": note.hold, "marked": second.holds.get(note.hold)}
        case Access():
            by, opened = next(reversed(signed.opened.items()), (b"", None))
            fresh = opened is not None and opened.at_us == at_us
            return _emergency(second, at) | ({"opened": opened, "opened_by": by} if fresh else {})
        case GlassBroken() | GlassJudged():
            return _emergency(second, note.access)
        case IncidentSettled():
            return {"settling": note.incident, "first_word": second.settled.get(note.incident)}
        case TrainingDone():
            return {"about": note.user, "trained": second.trained.get(note.user)}
        case DesignationSet():
            ends_us = signed.signers.designations.get(note.user, -1)
            return {"about": note.user, "designated_us": ends_us}
        case UnitCodeIssued():
            return {"about": note.name, "unit_asked": note.name in known.logs.asked}
        case ReleaseAsked() | HoldReleased():
            return {"ending": note.hold, "end_asked": second.asked_release.get(note.hold)}
        case GrantIssued():
            gave, gave_us = _newest(second.given)
            return {"gave": gave} if gave_us == at_us else {}
    return {}


def _emergency(second: SecondHands, access: int) -> dict[str, Any]:
    return {"emergency_at": access, "emergency": second.emergencies.get(access)}


def _reviewed(second: SecondHands, request: int) -> dict[str, Any]:
    return {"reviewing": request, "reviewed": request in second.reviewed}


def take_result(known: Followed, sequence: int, kind: str, result: Result) -> None:
    """Restore the effect of an entry from its result."""
    signed = known.signed
    known.judged[sequence] = result.judged
    known.newest_us = max(known.newest_us, result.judged.at_us)
    signed.named.keep(sequence, result.people, result.number)
    known.doubted |= {result.doubted} - {-1}
    if result.plate:
        signed.named.keep_search(sequence, result.plate)
    signed.named.drop(result.closed, *result.filed)
    signed.end_request(result.declined)
    signed.used |= dict.fromkeys(result.used, result.judged.at_us)
    if result.waiting is not None:
        signed.waiting[sequence] = result.waiting
    if result.runs is not None:
        signed.running[sequence] = result.runs
    if result.alert is not None:
        signed.alerts[sequence] = result.alert
    proven = signed.signers.proven.made
    if result.proof in proven:
        proven[result.proof] = replace(proven[result.proof], by=result.proof_by)
    second = signed.signers.second
    if result.is_signed and kind in MADE_KINDS:
        signed.signers.signed_kinds.add(kind)
    if result.once:
        signed.signers.once[result.once] = result.judged.at_us
    signed.signers.grants_by_two = signed.signers.grants_by_two or result.by_two
    if result.designated_us >= 0:
        signed.signers.designations[result.about] = result.designated_us
    if result.unit_asked:
        known.logs.asked.add(result.about)
    _take_second(second, sequence, result)
    if not result.waits and not result.sharing:
        signed.waiting.pop(result.decides, None)
    _take_made(second, sequence, result)
    if result.holding is not None:
        signed.holding[result.holding.by] = result.holding
    if result.opened is not None:
        signed.opened[result.opened_by] = result.opened


def _take_second(second: SecondHands, sequence: int, result: Result) -> None:
    """Restore the effect on second persons."""
    second.seen_by_two = second.seen_by_two or result.seen
    second.seen_written = second.seen_written or result.wrote
    second.emergencies.pop(result.emergency_at, None)
    if result.emergency is not None:
        second.emergencies[result.emergency_at] = result.emergency
    if result.spent is not None:
        second.spent[result.spends] = result.spent
    if result.asked is not None:
        second.requests[sequence] = result.asked
    if result.placed is not None:
        second.holds[sequence] = result.placed
    if result.marked is not None:
        second.holds[result.marking] = result.marked
    incident, first = _settled(result)
    if first is not None:
        second.settled[incident] = first
    else:
        second.settled.pop(incident, None)
    if result.proposal is not None:
        second.proposed[sequence] = result.proposal
    if result.decides >= 0:
        decided = second.shares if result.sharing else second.decided
        decided.pop(result.decides, None)
        if result.decision is not None:
            decided[result.decides] = result.decision
        if not result.waits:
            (second.requests if result.sharing else second.proposed).pop(result.decides, None)
    second.reviewed.discard(result.reviewing)
    if result.reviewed:
        second.reviewed.add(result.reviewing)
    second.findings.pop(result.closed, None)


def _settled(result: Result) -> tuple[int, SignedDecision | None]:
    """An incident, and the decision on it that waits for a second one."""
    incident, user = result.settled
    if user:
        return incident, SignedDecision(user=user, at_us=result.judged.at_us)
    return max(incident, result.settling), result.first_word


def _take_made(second: SecondHands, sequence: int, result: Result) -> None:
    """Restore the effect on trainings, ending holds and grants."""
    if result.trained is not None:
        second.trained[result.about] = result.trained
    second.asked_release.pop(result.ending, None)
    if result.end_asked is not None:
        second.asked_release[result.ending] = result.end_asked
    if result.ended:
        second.releases.add(sequence)
    if result.gave:
        second.given[result.gave] = result.judged.at_us
