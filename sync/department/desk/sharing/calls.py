"""Sharing at the desk: the written request, its review, the decision, the delivery (463.6)."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from sync.department.content import package_words
from sync.department.content.key_door import Cover
from sync.department.content.package import PackageOrder
from sync.department.content.reads import OpenedRead
from sync.department.desk import sheet_people
from sync.department.desk.context import ELEMENTS, DeskContext
from sync.department.desk.desk import Caller, Desk, Plan
from sync.department.desk.inquiry import rules as inquiry
from sync.department.desk.inquiry.forms import Entered, NothingForm, first_entered
from sync.department.desk.inquiry.searching import note_refusal
from sync.department.desk.people.on_roster import demand_approver
from sync.department.desk.sharing import rules as sharing
from sync.department.desk.words import demand_sentence, demand_words
from sync.department.journal.entries import Entry, LogRead
from sync.department.journal.inquiry_entries import Access, AccessEnded, Ground, Query, SheetPerson
from sync.department.journal.query_rules import check_query, plate_of
from sync.department.journal.sharing_entries import (
    Scope,
    ShareAsked,
    ShareDecided,
    ShareDelivered,
    ShareReviewed,
    ShareRouted,
    written_digest,
    written_of,
)
from sync.department.policy.policy import Policy
from sync.department.policy.refusals import DeskRefusal, FormError
from sync.department.policy.roles import Call


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareForm:
    """An agency's written request as it came (463.6 (a)). `agency_kind`: law-enforcement, prosecutor and so
    on."""

    agency: str
    agency_kind: str
    state: str
    person: str
    purpose: str
    number: str
    letter: bytes = field(repr=False)
    letter_name: str
    scope: Scope
    agreement: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A request that was recorded. `routed`: where it was sent if it is not answered here, else empty."""

    entry: int
    routed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewForm:
    """The reviewer's note on a request."""

    request: int
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionForm:
    """A decision on a request, with a note.

    `agency_kind`, `agency_state`: for an approval, what the agency is according to its letter. Unless that is
    what was entered, nothing is approved.
    """

    request: int
    approved: bool
    note: str
    agency_kind: str = ""
    agency_state: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverForm:
    """What to deliver under an approved request: `scope`, by default everything approved."""

    request: int
    ground: Ground
    scope: Scope | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The package (ZIP) that leaves, and how many reads are in it.

    `entry`: the access of its last plate, an ALPR Request, as the cover sheet names it; `transfer`: which
    transfer under the agreement it is; `days_left_out`: days of receipt that it leaves out (463.8), as a
    search does.
    """

    entry: int
    count: int
    digest: str
    transfer: int
    unwitnessed: bool
    package: bytes = field(repr=False)
    days_left_out: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareRow:
    """A written request. `state`: asked, reviewed, approved, refused or routed.

    `agency_kind`, `agency_state`: what the agency is, as entered; empty if the request was routed away.
    `transfers`: packages that left under its agreement, or under the request if it names none.
    """

    request: int
    at_us: int
    agency: str
    agency_kind: str
    agency_state: str
    person: str
    purpose: str
    number: str
    agreement: str
    entered_by: str
    state: str
    reviewed_by: str
    decided_by: str
    delivered: int
    transfers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SharingRequestForm:
    """One request."""

    request: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """The written request as it came, and the scope that was asked for."""

    request: int
    name: str
    letter: bytes = field(repr=False)
    scope: Scope


def listed(front: DeskContext, token: str, form: NothingForm) -> tuple[ShareRow, ...]:  # noqa: ARG001
    """List all written requests, newest first. Reading them makes an entry."""
    desk = front.desk

    def look(_caller: Caller) -> tuple[LogRead, tuple[ShareRow, ...]]:
        shares = desk.book.shares
        rows = [_row(shares, entry, entry.note) for entry in shares.asked.values()]
        rows += [_routed(entry, entry.note) for entry in shares.routed]
        rows.sort(key=lambda one: -one.request)
        return LogRead(elements="sharing requests", count=len(rows)), tuple(rows)

    return desk.show(token, Call.SHARE_READ, look)


def _row(shares: sharing.Shares, entry: Entry, note: ShareAsked) -> ShareRow:
    reviewed, decided = shares.reviewed.get(entry.sequence), shares.decided.get(entry.sequence)
    state = "asked" if reviewed is None else "reviewed"
    if decided is not None:
        state = "approved" if decided.note.approved else "refused"
    delivered = len(shares.delivered.get(entry.sequence, []))
    return ShareRow(
        request=entry.sequence,
        at_us=entry.stamp.at_us,
        agency=note.agency,
        agency_kind=note.agency_kind,
        agency_state=note.state,
        person=note.person,
        purpose=note.purpose,
        number=note.number,
        agreement=note.agreement,
        entered_by=entry.stamp.user,
        state=state,
        reviewed_by=reviewed.stamp.user if reviewed else "",
        decided_by=decided.stamp.user if decided else "",
        delivered=delivered,
        transfers=shares.transfers(note.agreement) if note.agreement else delivered,
    )


def _routed(entry: Entry, note: ShareRouted) -> ShareRow:
    return ShareRow(
        request=entry.sequence,
        at_us=entry.stamp.at_us,
        agency=note.agency,
        agency_kind="",
        agency_state="",
        person=note.person,
        purpose="",
        number="",
        agreement="",
        entered_by=entry.stamp.user,
        state=f"routed to: {note.to}",
        reviewed_by="",
        decided_by="",
        delivered=0,
        transfers=0,
    )


def letter(front: DeskContext, token: str, form: SharingRequestForm) -> Letter:
    """Read a written request, to review it or later. Reading it makes an entry (463.6 (b), (c))."""
    desk = front.desk

    def look(_caller: Caller) -> tuple[LogRead, Letter]:
        entry = desk.book.shares.asked.get(form.request)
        if entry is None:
            raise FormError("there is no such request", code="no-request", clause="463.6 (a)")
        shown = Letter(
            request=form.request,
            name=entry.note.letter_name,
            letter=entry.note.letter,
            scope=entry.note.scope,
        )
        return LogRead(elements=f"letter of request {form.request}", count=1), shown

    return desk.show(token, Call.SHARE_READ, look)


def record(front: DeskContext, token: str, form: ShareForm) -> Recorded:
    """Enter a written request. One that is not from law enforcement or a prosecutor is routed away."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[Recorded]:
        sharing.check_form(desk.policy, form, caller.at_us)
        if sharing.routes_away(desk.policy, form.agency_kind):
            to = desk.policy.sharing.records_release
            digest = hashlib.sha256(form.letter).digest()
            routed = ShareRouted(agency=form.agency, person=form.person, to=to, letter_digest=digest)
            return [routed], lambda made: Recorded(entry=made[0].sequence, routed=to)
        asked = ShareAsked(
            agency=form.agency,
            agency_kind=form.agency_kind,
            state=form.state.strip().upper(),
            person=form.person,
            purpose=form.purpose,
            number=form.number,
            letter=form.letter,
            letter_name=form.letter_name,
            scope=form.scope,
            agreement=form.agreement,
        )
        sharing.gate(desk.policy, asked.agency_kind, asked.state)
        sharing.demand_new(desk.book.shares, asked, caller.at_us, functools.partial(_counts, desk))
        return [asked], lambda made: Recorded(entry=made[0].sequence, routed="")

    return desk.act(token, Call.SHARE_RECORD, plan)


def _counts(desk: Desk, request: int, approver: str) -> bool:
    """Whether a person's approval still counts. It does not if they have left since."""
    try:
        demand_approver(desk.book.signers.second, Call.SHARE_APPROVE, request, approver, "463.6 (b)")
    except DeskRefusal:
        return False
    return True


def review(front: DeskContext, token: str, form: ReviewForm) -> Entered:
    """Enter the review of a request."""
    desk = front.desk

    def plan(_caller: Caller) -> Plan[Entered]:
        sharing.to_review(desk.book.shares, form.request)
        what = "say what was reviewed, in at least two words"
        demand_sentence(form.note, what, code="note", clause="463.6 (b)", least=2)
        return [ShareReviewed(request=form.request, note=form.note)], first_entered

    return desk.act(token, Call.SHARE_REVIEW, plan)


def decide(front: DeskContext, token: str, form: DecisionForm) -> Entered:
    """Approve or refuse a reviewed request."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[Entered]:
        request, approved = form.request, form.approved
        asked = sharing.to_decide(desk.policy, desk.book.shares, request, caller.user, approved=approved)
        demand_words(form.note, "say why it was approved or refused", code="note", clause="463.6 (b)")
        if approved:
            sharing.demand_fresh(desk.book.shares, request, caller.at_us)
            sharing.demand_agency(asked, form.agency_kind, form.agency_state.strip().upper())
        return [ShareDecided(request=request, approved=approved, note=form.note)], first_entered

    return desk.act(token, Call.SHARE_APPROVE, plan)


_Deliverable: TypeAlias = tuple[ShareAsked, Scope, list[tuple[Query, Entry]], tuple[SheetPerson, ...]]


def deliver(front: DeskContext, token: str, form: DeliverForm) -> Delivery:
    """Build the package of an approved request: an access entry for each plate, then one for the transfer."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[_Deliverable]:
        scope = form.scope or sharing.scope_of(desk.book.shares, form.request)
        asked = _demand_deliverable(desk, form, scope, caller)
        queries = _queries_of(desk.policy, scope, caller.at_us)
        people = sheet_people.of_delivery(desk.book, form.request, caller.user)
        notes = [replace(_access_of(form, query, asked), people=people) for query in queries]
        return notes, lambda made: (asked, scope, list(zip(queries, made, strict=True)), people)

    asked, scope, searches, people = desk.act(token, Call.SHARE_DELIVER, plan)
    found, covers, left_out = _search_each(front, searches, ELEMENTS if scope.images else ("place", "text"))
    last = searches[-1][1]
    agency, purpose, number = written_of(asked)
    facts = package_words.of_delivery(agency, purpose, form.request, last.sequence, last.stamp, people=people)
    package = front.package(found, PackageOrder(number=number, entries=tuple(covers), facts=facts))
    sent = ShareDelivered(
        request=form.request,
        access=last.sequence,
        count=len(found),
        package=hashlib.sha256(package).digest(),
    )
    covers.append(desk.covered(desk.follow_up(last.stamp, sent)[0].sequence))
    with desk.looking() as book:
        transfer = book.shares.transfers(asked.agreement) if asked.agreement else 0
    return Delivery(
        entry=last.sequence,
        count=len(found),
        digest=sent.package.hex(),
        transfer=transfer,
        unwitnessed=any(cover.unwitnessed for cover in covers),
        package=package,
        days_left_out=left_out,
    )


def _demand_deliverable(desk: Desk, form: DeliverForm, scope: Scope, caller: Caller) -> ShareAsked:
    """The approved request that a delivery is for. Raises DeskRefusal if it allows no such delivery."""
    shares = desk.book.shares
    asked = sharing.to_deliver(desk.policy, shares, form.request, scope, caller.at_us)
    decision = shares.decided[form.request]
    if decision.stamp.user == caller.user:
        raise DeskRefusal(
            "you approved this request: another person must deliver it",
            code="own-decision",
            clause="463.6",
        )
    given = Call.SHARE_APPROVE, form.request, decision.stamp.user
    demand_approver(desk.book.signers.second, *given, "463.6 (b)")
    inquiry.check_ground(desk.policy, form.ground)
    return asked


def _queries_of(policy: Policy, scope: Scope, now_us: int) -> list[Query]:
    """One search for each plate of a scope, however often it names the plate. Raises FormError."""
    plates = dict.fromkeys(map(plate_of, scope.plates))
    queries = [
        Query(plate=plate, since_us=scope.since_us, until_us=scope.until_us, area=None, unit="")
        for plate in plates
    ]
    for query in queries:
        check_query(policy.inquiry, query, now_us)
        if not inquiry.is_full(policy, query.plate):
            raise FormError(
                "a delivery names full plates",
                code="plate",
                clause="463.6 (a)",
                cure="no part of a plate, and no * or ?",
            )
    return queries


def _access_of(form: DeliverForm, query: Query, asked: ShareAsked) -> Access:
    return Access(
        action="delivery",
        elements=query.text(),
        plate=query.plate,
        ground=form.ground,
        on_behalf_of="",
        request=form.request,
        approval=-1,
        reads=(),
        written=written_digest(*written_of(asked)),
    )


def _search_each(
    front: DeskContext, searches: list[tuple[Query, Entry]], shown: tuple[str, ...]
) -> tuple[list[OpenedRead], list[Cover], int]:
    """Run each search and enter its result.

    Returns the opened reads, the covers of all entries, and how many days of receipt were left out. Raises
    FormError if a plate has more reads than one delivery holds.
    """
    desk = front.desk
    limit = desk.policy.inquiry.results_max
    found: list[OpenedRead] = []
    covers: list[Cover] = []
    left_out = 0
    for query, entry in searches:
        cover = desk.covered(entry.sequence)
        page = front.reads.find(front.door, cover, query, limit)
        left_out = max(left_out, front.reads.days_left_out(query) + page.days_shut)
        names = tuple(one.read for one in page.reads)  # the agency did not ask for near matches
        with note_refusal(front, entry, Call.SHARE_DELIVER):
            if page.next:
                what = f"one delivery holds at most {limit} reads per plate"
                raise FormError(what, code="scope", clause="463.6")
            opened = front.reads.open(front.door, cover, names, shown)
        found += opened
        result = AccessEnded(
            access=entry.sequence,
            count=page.count,
            reads=names,
            unwitnessed=cover.unwitnessed,
            received=tuple(one.day for one in opened if one.day is not None),
        )
        ended = desk.follow_up(entry.stamp, result)[0]
        covers += [cover, desk.covered(ended.sequence)]
    return found, covers, left_out
