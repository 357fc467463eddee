"""Sharing with other agencies: 463.6 and California Civil Code 1798.90.55 (b). No I/O.

It takes a written request (agency, person, purpose, the letter), a review, an approval by the administrator
or a designee, retention of all of it, and a delivery that cannot exceed the scope. An agency that is neither
law enforcement nor a prosecutor is routed to records release. Federal and out-of-state receivers are refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from storage.counts import counted
from storage.times import DAY_US
from sync.department.desk.inquiry.rules import demand_young, is_full, is_old
from sync.department.journal.entries import Entry, EntryOf, is_of
from sync.department.journal.query_rules import PLATE, plate_of
from sync.department.journal.sharing_entries import (
    DELIVER_DAYS,
    TODAY_US,
    Scope,
    ShareAsked,
    ShareDecided,
    ShareDelivered,
    ShareReviewed,
    ShareRouted,
    read_by,
)
from sync.department.policy.desk_terms import weight
from sync.department.policy.policy import Policy
from sync.department.policy.refusals import (
    DeskRefusal,
    FormError,
    NotYetError,
    decided_already,
    demand,
    refuse_each,
)

GATE = "Civil Code 1798.90.55 (b)"
MAX_LETTER_BYTES = 512 * 1024
MOST_PLATES = 100  # per request and per delivery: each is a search with its entries, while others wait
AGAIN = "enter the agency's request again, and have it reviewed and approved"
ANSWER_DAYS = 14  # the longest that a written request waits for review and decision


def is_late(asked_us: int, now_us: int) -> bool:
    """Whether a written request of this time should have been decided by now."""
    return now_us - asked_us >= ANSWER_DAYS * DAY_US


@dataclass(slots=True)
class Shares:
    """What the log says of sharing requests."""

    asked: dict[int, EntryOf[ShareAsked]] = field(default_factory=dict)
    reviewed: dict[int, EntryOf[ShareReviewed]] = field(default_factory=dict)
    decided: dict[int, EntryOf[ShareDecided]] = field(default_factory=dict)
    delivered: dict[int, list[EntryOf[ShareDelivered]]] = field(default_factory=dict)
    routed: list[EntryOf[ShareRouted]] = field(default_factory=list)

    def apply(self, entry: Entry) -> None:
        if is_of(entry, ShareAsked):
            self.asked[entry.sequence] = entry
        elif is_of(entry, ShareReviewed):
            self.reviewed[entry.note.request] = entry
        elif is_of(entry, ShareDecided):
            self.decided[entry.note.request] = entry
        elif is_of(entry, ShareDelivered):
            self.delivered.setdefault(entry.note.request, []).append(entry)
        elif is_of(entry, ShareRouted):
            self.routed.append(entry)

    def transfers(self, agreement: str) -> int:
        """How many packages left under a standing agreement."""
        return sum(
            len(self.delivered.get(number, []))
            for number, entry in self.asked.items()
            if entry.note.agreement == agreement
        )


def gate(policy: Policy, kind: str, state: str) -> None:
    """Refuse agencies that may receive nothing (1798.90.55 (b)). Raises DeskRefusal. `state`: two letters, or
    US."""
    terms = policy.sharing
    if not terms.may_get(kind, terms.home_state):
        raise DeskRefusal("this kind of agency gets no ALPR data", code="share-gate", clause=GATE)
    if state != terms.home_state:
        raise DeskRefusal(
            f"agencies outside {terms.home_state} get no ALPR data", code="share-gate", clause=GATE
        )


def routes_away(policy: Policy, kind: str) -> bool:
    """Whether an agency is neither law enforcement nor a prosecutor, so that records release handles it
    (463.6)."""
    return kind not in {*policy.sharing.allowed_kinds, "federal", "out-of-state"}


def _demand_said(request: _Request, name: str, what: str, clause: str) -> None:
    given = weight(getattr(request, name))
    demand(given, f"the request lacks {what}", code="share-form", clause=clause, fields=(name,))


class _Request(Protocol):
    """What a written request says."""

    @property
    def letter(self) -> bytes: ...
    @property
    def letter_name(self) -> str: ...
    @property
    def agency(self) -> str: ...
    @property
    def agency_kind(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def scope(self) -> Scope: ...
    @property
    def agreement(self) -> str: ...


def check_asker(request: _Request) -> None:
    """Check who asks, and the letter, whether or not the request is answered here.

    Raises FormError naming each wrong field.
    """

    def check_letter() -> None:
        size, most = -(-len(request.letter) // 1024), MAX_LETTER_BYTES // 1024
        letter = {"code": "share-letter", "clause": "463.6 (a)"}
        if size > most:
            what, cure = (
                f"the letter has {size:,} KiB; at most {most} are accepted",
                "scan it in black and white",
            )
            raise FormError(what, cure=cure, fields=("letter",), **letter)
        there = request.letter and request.letter_name.strip()
        what = "the written request itself is missing"
        demand(there, what, cure="name the file of the letter", fields=("letter",), **letter)

    refuse_each(
        lambda: _demand_said(request, "agency", "the name of the agency", "463.6 (a) 1"),
        lambda: _demand_said(request, "person", "the name of the person requesting", "463.6 (a) 2"),
        check_letter,
    )


def check_form(policy: Policy, form: _Request, now_us: int) -> None:
    """Check a written request, whether or not it is answered here. Raises FormError naming each wrong
    field."""

    def check_answered() -> None:
        if not routes_away(policy, form.agency_kind):
            check_request(policy, form, now_us)

    refuse_each(lambda: check_asker(form), check_answered)


def check_request(policy: Policy, request: _Request, now_us: int) -> None:
    """Check the purpose (463.6 (a) 3), the scope and the agreement. Raises FormError naming each wrong
    field."""
    number = "the agency's case or request number"

    def check_agreement() -> None:
        known = policy.agreement(request.agreement)
        fits = not request.agreement or (known is not None and known.agency == request.agency)
        what = "the policy knows no such agreement with that agency"
        demand(fits, what, code="agreement", clause="463.6 (d)")

    refuse_each(
        lambda: _demand_said(request, "purpose", "the intended purpose", "463.6 (a) 3"),
        lambda: _demand_said(request, "number", number, "463.6 (a) 3"),
        lambda: demand(
            re.fullmatch("[A-Z]{2}", request.state.strip().upper()),
            "an agency's state is two capital letters, US for a federal one",
            code="share-form",
            clause="463.6 (a) 1",
            fields=("state",),
        ),
        lambda: _check_scope(policy, request.scope, now_us),
        check_agreement,
    )


def _check_scope(policy: Policy, scope: Scope, now_us: int) -> None:
    """Demand full plates and a time that is over. Raises FormError.

    A request must not ask for what cannot be delivered, and an approval must not cover later reads.
    """

    def check_time() -> None:
        what = "a request is for what was read until now, and for at most "
        over = scope.until_us <= now_us + TODAY_US
        demand(
            over and policy.inquiry.may_span(scope.since_us, scope.until_us),
            what + counted(policy.inquiry.days_max, "day"),
            code="time",
            clause="463.6 (a)",
            cure="for what is read later, the agency asks again",
            fields=("until_us", "scope.until_us"),
        )

    def check_plates() -> None:
        each_full = (
            PLATE.fullmatch(plate_of(one)) and is_full(policy, plate_of(one)) for one in scope.plates
        )
        demand(
            all(each_full),
            "a request names full plates, without wildcards",
            code="plate",
            clause="463.6 (a)",
            cure="ask the agency which plates it means",
            fields=("plates", "scope.plates"),
        )

    refuse_each(
        scope.check,
        lambda: _demand_few(scope, "ask the agency for a second request"),
        check_plates,
        check_time,
    )


def _demand_few(scope: Scope, cure: str) -> None:
    demand(
        len(scope.plates) <= MOST_PLATES,
        f"{len(scope.plates)} plates are named; at most {MOST_PLATES} are accepted",
        code="plates",
        clause="463.6 (a)",
        cure=cure,
        fields=("plates", "scope.plates"),
    )


def demand_new(shares: Shares, asked: ShareAsked, now_us: int, counts: Callable[[int, str], bool]) -> None:
    """Refuse a letter that was entered before, which would be approved and delivered twice.

    Raises NotYetError naming a request of the same agency under the same number that waits, or may still be
    delivered, if it covers what is asked. An agency that writes again under a case's number asks for more.

    counts: whether a person's approval of a request still counts.
    """

    def covers(one: Scope, other: Scope) -> bool:
        plates = {plate_of(plate) for plate in other.plates} <= {plate_of(plate) for plate in one.plates}
        times = one.since_us <= other.since_us and other.until_us <= one.until_us
        return plates and times and one.images >= other.images

    def letter(one: ShareAsked) -> tuple[list[str], list[str]]:
        return one.agency.casefold().split(), one.number.casefold().split()

    for number, entry in shares.asked.items():
        known, decided = entry.note, shares.decided.get(number)
        if decided is not None and not (
            decided.note.approved
            and 0 <= now_us - decided.stamp.at_us < DELIVER_DAYS * DAY_US
            and counts(number, decided.stamp.user)
        ):
            continue
        if letter(known) == letter(asked) and covers(known.scope, asked.scope) and not is_old(entry, now_us):
            todo = "decide that request; if it was entered wrongly, refuse it and enter the letter again"
            raise NotYetError(
                f"{entry.stamp.user} entered that letter before: request {number} has its number and plates",
                code="recorded",
                clause="463.6 (c)",
                cure=todo if decided is None else "it is approved: deliver that one",
            )


def to_review(shares: Shares, number: int) -> EntryOf[ShareAsked]:
    """The request that a reviewer looks at. Raises DeskRefusal."""
    entry = shares.asked.get(number)
    if entry is None:
        raise FormError("there is no such request", code="no-request", clause="463.6 (a)")
    decided = shares.decided.get(number)
    if decided is not None:
        granted = decided.note.approved
        raise decided_already(decided.stamp.user, "request", granted=granted, clause="463.6 (b)")
    return entry


def demand_fresh(shares: Shares, number: int, now_us: int) -> None:
    """Refuse to approve what waited too long; it can still be refused. Raises DeskRefusal."""
    demand_young(shares.asked[number], "old-request", now_us, "463.6 (b)", AGAIN)


def demand_agency(asked: ShareAsked, kind: str, state: str) -> None:
    """Demand that the approver names the agency's kind and state as entered. Raises FormError.

    The approver reads them in the letter, as did the person who entered it, because `gate` depends on them.
    `state`: as `ShareAsked.state`.
    """

    def check(name: str, said: str, entered: str, what: str) -> None:
        demand(
            said,
            f"to approve, give {what} as the letter says",
            code="agency",
            clause=GATE,
            fields=(name,),
        )
        demand(
            said == entered,
            f"{what} is not what was entered",
            code="agency",
            clause=GATE,
            cure="look at the letter; refuse a request that was entered wrongly, and have it entered again",
            fields=(name,),
        )

    refuse_each(
        lambda: check("agency_kind", kind, asked.agency_kind, "the kind of agency"),
        lambda: check("agency_state", state, asked.state, "the agency's state"),
    )


def to_decide(
    policy: Policy, shares: Shares, number: int, approver: str, *, approved: bool = True
) -> ShareAsked:
    """The reviewed request that an approver, who did not enter it, decides. Raises DeskRefusal.

    If it is `approved`, `gate` is applied again, since the policy may have changed.
    """
    entry = to_review(shares, number)
    if number not in shares.reviewed:
        what, cure = "that request has not been reviewed", "review it first"
        raise NotYetError(what, code="not-reviewed", clause="463.6 (b)", cure=cure)
    if entry.stamp.user == approver:
        raise DeskRefusal(
            "a request that you entered is approved by another person", code="own-request", clause="463.6 (b)"
        )
    if approved:
        gate(policy, entry.note.agency_kind, entry.note.state)
    return entry.note


def scope_of(shares: Shares, number: int) -> Scope:
    """Everything that a request asked for and that had been read by then. Raises FormError for an unknown
    request."""
    entry = shares.asked.get(number)
    if entry is None:
        raise FormError("there is no such request", code="no-request", clause="463.6 (a)")
    asked = entry.note.scope
    return replace(asked, until_us=read_by(asked.until_us, entry.stamp.at_us))


def to_deliver(policy: Policy, shares: Shares, number: int, scope: Scope, now_us: int) -> ShareAsked:
    """The approved request for a delivery. Raises DeskRefusal.

    Nothing leaves beyond its scope, nor what was read after it was entered, nor long after its approval.
    """
    entry = shares.asked.get(number)
    decision = shares.decided.get(number)
    if entry is None:
        raise FormError("there is no such request", code="no-request", clause="463.6 (a)")
    if decision is None:
        raise NotYetError("that request has not been approved", code="not-approved", clause="463.6 (b)")
    if not decision.note.approved:
        raise DeskRefusal("that request was refused", code="declined", clause="463.6 (b)")
    if not 0 <= now_us - decision.stamp.at_us < DELIVER_DAYS * DAY_US:
        raise NotYetError(
            f"that request was approved more than {counted(DELIVER_DAYS, 'day')} ago",
            code="approval",
            clause="463.6 (b)",
            cure=AGAIN,
        )
    demand_fresh(shares, number, now_us)
    asked = entry.note
    gate(policy, asked.agency_kind, asked.state)  # the policy may have changed since
    _demand_few(scope, "deliver it in parts: name some of the plates in each")
    allowed = {plate_of(plate) for plate in asked.scope.plates}
    parts = {
        "the plates": not {plate_of(plate) for plate in scope.plates} <= allowed,
        "the beginning of its time": scope.since_us < asked.scope.since_us,
        "the end of its time": scope.until_us > read_by(asked.scope.until_us, entry.stamp.at_us),
        "the images": scope.images and not asked.scope.images,
    }
    beyond = [part for part, exceeds in parts.items() if exceeds]
    if beyond:
        raise DeskRefusal(
            f"this exceeds what was asked for and approved, in {', '.join(beyond)}",
            code="scope",
            clause="463.6 (b)",
            cure="deliver what was approved, or have the agency ask for the rest in a new letter",
        )
    return asked
