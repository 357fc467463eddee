"""Sharing with other agencies: 463.6 and the gate of California Civil Code 1798.90.55 (b). No I/O.

Written request (agency, person, purpose, the letter), review, approval by the administrator or a designee,
retention of all of it, and a delivery that cannot exceed the scope. An agency that is neither law enforcement
nor a prosecutor is routed to records release; federal and out-of-state receivers are refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from sync.department.desk.inquiry.rules import PLATE, is_full, plate_of
from sync.department.desk.words import demand_words
from sync.department.journal.entries import Entry
from sync.department.journal.sharing_entries import (
    Scope,
    ShareAsked,
    ShareDecided,
    ShareDelivered,
    ShareReviewed,
    ShareRouted,
)
from sync.department.policy.policy import Policy
from sync.department.policy.refusals import DeskRefusal, FormError, NotYetError

MAX_LETTER_BYTES = 512 * 1024


@dataclass(slots=True)
class Shares:
    """What the log says of sharing requests."""

    asked: dict[int, Entry] = field(default_factory=dict)
    reviewed: dict[int, Entry] = field(default_factory=dict)
    decided: dict[int, Entry] = field(default_factory=dict)
    delivered: dict[int, list[Entry]] = field(default_factory=dict)
    routed: list[Entry] = field(default_factory=list)

    def apply(self, entry: Entry) -> None:
        note = entry.note
        if isinstance(note, ShareAsked):
            self.asked[entry.sequence] = entry
        elif isinstance(note, ShareReviewed):
            self.reviewed[note.request] = entry
        elif isinstance(note, ShareDecided):
            self.decided[note.request] = entry
        elif isinstance(note, ShareDelivered):
            self.delivered.setdefault(note.request, []).append(entry)
        elif isinstance(note, ShareRouted):
            self.routed.append(entry)

    def transfers(self, agreement: str) -> int:
        """How many packages left under a standing agreement."""
        return sum(
            len(self.delivered.get(number, []))
            for number, entry in self.asked.items()
            if isinstance(entry.note, ShareAsked) and entry.note.agreement == agreement
        )


def gate(policy: Policy, kind: str, state: str) -> None:
    """Who may receive at all: 1798.90.55 (b). Raises DeskRefusal. `state`: two letters, or US."""
    terms = policy.sharing
    clause = "Civil Code 1798.90.55 (b)"
    if kind in terms.refused_kinds or kind not in terms.allowed_kinds:
        raise DeskRefusal("this kind of agency gets no ALPR data", code="share-gate", clause=clause)
    if state != terms.home_state:
        raise DeskRefusal(
            f"agencies outside {terms.home_state} get no ALPR data", code="share-gate", clause=clause
        )


def routes_away(policy: Policy, kind: str) -> bool:
    """Not law enforcement and not a prosecutor: processed under the records release policy (463.6)."""
    return kind not in {*policy.sharing.allowed_kinds, "federal", "out-of-state"}


def _demand(value: str, what: str, clause: str) -> None:
    demand_words(value, f"the request lacks {what}", code="share-form", clause=clause, least=1)


def check_asker(agency: str, person: str, letter: bytes, letter_name: str) -> None:
    """Who asks, and the letter: of every written request, answered here or not. Raises FormError."""
    _demand(agency, "the name of the agency", "463.6 (a) 1")
    _demand(person, "the name of the person requesting", "463.6 (a) 2")
    if not 0 < len(letter) <= MAX_LETTER_BYTES or not letter_name.strip():
        raise FormError(
            f"the written request itself must be with it (to {MAX_LETTER_BYTES // 1024} KiB)",
            code="share-letter",
            clause="463.6 (a)",
        )


def check_request(policy: Policy, request: ShareAsked) -> None:
    """463.6 (a) 1 to 3, the letter, the gate, the scope and the agreement. Raises FormError, DeskRefusal."""
    check_asker(request.agency, request.person, request.letter, request.letter_name)
    _demand(request.purpose, "the intended purpose", "463.6 (a) 3")
    _demand(request.number, "the agency's case or request number", "463.6 (a) 3")
    if not re.fullmatch("[A-Z]{2}", request.state):
        raise FormError(
            "an agency's state is two capital letters, US for a federal one",
            code="share-form",
            clause="463.6 (a) 1",
        )
    gate(policy, request.agency_kind, request.state)
    _check_scope(policy, request.scope)
    if request.agreement:
        known = policy.agreement(request.agreement)
        if known is None or known.agency != request.agency:
            raise FormError(
                "the policy knows no such agreement with that agency", code="agreement", clause="463.6 (d)"
            )


def _check_scope(policy: Policy, scope: Scope) -> None:
    """Full plates and a time: what could not be delivered is not asked for either. Raises FormError."""
    scope.check()
    for plate in scope.plates:
        if not PLATE.fullmatch(plate_of(plate)) or not is_full(policy, plate_of(plate)):
            raise FormError(
                "a request names full plates, without wildcards",
                code="plate",
                clause="463.6 (a)",
                cure="ask the agency which plates it means",
            )


def to_review(shares: Shares, number: int) -> Entry:
    """The request a reviewer looks at. Raises DeskRefusal."""
    entry = shares.asked.get(number)
    if entry is None:
        raise FormError("there is no such request", code="no-request", clause="463.6 (a)")
    if number in shares.decided:
        raise NotYetError("that request was decided", code="decided", clause="463.6 (b)")
    return entry


def to_decide(policy: Policy, shares: Shares, number: int, approver: str) -> Entry:
    """The reviewed request that an approver decides; not the person who entered it. Raises DeskRefusal."""
    entry = to_review(shares, number)
    if number not in shares.reviewed:
        raise NotYetError("that request has not been reviewed", code="not-reviewed", clause="463.6 (b)")
    if entry.stamp.user == approver:
        raise DeskRefusal(
            "a request that you entered is approved by another person", code="own-request", clause="463.6 (b)"
        )
    if isinstance(entry.note, ShareAsked):
        gate(policy, entry.note.agency_kind, entry.note.state)
    return entry


def scope_of(shares: Shares, number: int) -> Scope:
    """Everything that a request asked for. Raises FormError if there is none."""
    entry = shares.asked.get(number)
    if entry is None or not isinstance(entry.note, ShareAsked):
        raise FormError("there is no such request", code="no-request", clause="463.6 (a)")
    return entry.note.scope


def to_deliver(policy: Policy, shares: Shares, number: int, scope: Scope) -> ShareAsked:
    """The approved request under which something leaves, never more than its scope. Raises DeskRefusal."""
    entry = shares.asked.get(number)
    decision = shares.decided.get(number)
    if entry is None or not isinstance(entry.note, ShareAsked):
        raise FormError("there is no such request", code="no-request", clause="463.6 (a)")
    if decision is None or not isinstance(decision.note, ShareDecided):
        raise NotYetError("that request has not been approved", code="not-approved", clause="463.6 (b)")
    if not decision.note.approved:
        raise DeskRefusal("that request was refused", code="declined", clause="463.6 (b)")
    asked = entry.note
    gate(policy, asked.agency_kind, asked.state)  # the policy may have changed since
    allowed = {plate_of(plate) for plate in asked.scope.plates}
    beyond = (
        not {plate_of(plate) for plate in scope.plates} <= allowed
        or scope.since_us < asked.scope.since_us
        or scope.until_us > asked.scope.until_us
        or (scope.images and not asked.scope.images)
    )
    if beyond:
        raise DeskRefusal("this exceeds what was asked for and approved", code="scope", clause="463.6 (b)")
    return asked
