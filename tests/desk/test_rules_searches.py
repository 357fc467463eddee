"""The rules of searches, changes and emergencies, each alone and at its limits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from log_entries import GROUND, NOW_US, POLICY, account, accounts, code_of, entry, refused

from storage.times import DAY_US, HOUR_US, MINUTE_US
from sync.department.desk.changes import rules as changes
from sync.department.desk.changes.rules import ChangeStates, WantedChange
from sync.department.desk.inquiry import rules as inquiry
from sync.department.desk.inquiry.forms import RunForm
from sync.department.desk.inquiry.rules import SAME_US, TAKEN_US, InquiryQueue
from sync.department.journal.change_entries import (
    ChangeDecided,
    ChangeUsed,
    RequestTaken,
)
from sync.department.journal.entries import Disputed, RequestAnswered
from sync.department.journal.entry_base import Note
from sync.department.journal.inquiry_entries import (
    ApprovalUsed,
    Area,
    Ground,
    InquiryAsked,
    Query,
    SearchApproved,
    SearchProposed,
)
from sync.department.journal.query_rules import FORM_US, check_query
from sync.department.journal.second_hand_facts import SignedDecision
from sync.department.journal.second_hands import SecondHands
from sync.department.policy.refusals import FormError
from sync.department.policy.roles import Call, Role

TERMS = POLICY.inquiry
QUERY = Query(plate="8XYZ123", since_us=NOW_US - DAY_US, until_us=NOW_US)
AREA = Area(latitude=34.1, longitude=-118.0, radius_m=50.0)
APPROVAL_US = TERMS.approval_hours * HOUR_US


# --- what is searched


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({}, ""),
        ({"plate": "A" * 16}, ""),
        ({"plate": "A" * 17}, "plate"),
        ({"plate": "8X*"}, ""),
        ({"plate": "*A"}, ""),
        ({"plate": "?*?"}, "plate"),
        ({"plate": "8XYZ-12&"}, "plate"),
        ({"plate": "8xyz 123"}, ""),
        ({"plate": "8XYZ·123"}, ""),
        ({"plate": "8XYZı23"}, "plate"),
        ({"plate": ""}, "elements"),
        ({"plate": "", "area": AREA}, ""),
        ({"plate": "", "unit": "car-7"}, ""),
        ({"plate": "", "area": replace(AREA, latitude=91.0)}, "latitude"),
        ({"since_us": 0, "until_us": 1}, ""),
        ({"since_us": -1}, "time"),
        ({"since_us": NOW_US}, "time"),
        ({"since_us": NOW_US, "until_us": NOW_US + 1}, ""),
        ({"since_us": NOW_US + 1, "until_us": NOW_US + 2}, "time"),
        ({"since_us": NOW_US - TERMS.days_max * DAY_US}, ""),
        ({"since_us": NOW_US - TERMS.days_max * DAY_US - 1}, "time"),
    ],
)
def test_a_query_asks_for_something_in_particular(query: dict[str, Any], code: str) -> None:
    found = code_of(check_query, POLICY.inquiry, replace(QUERY, **query), NOW_US)
    assert code in found
    assert bool(found) is bool(code)


def test_what_could_be_read_of_a_form_is_checked() -> None:
    good = RunForm(query=QUERY, ground=GROUND)
    assert code_of(inquiry.check_form, POLICY, good, NOW_US) == ""
    assert (
        code_of(inquiry.check_form, POLICY, replace(good, query=replace(QUERY, plate="")), NOW_US)
        == "elements"
    )
    for unread in ({"query": None}, {"ground": None}):
        assert code_of(inquiry.check_form, POLICY, replace(good, **unread), NOW_US) == ""  # type: ignore[arg-type]


def test_the_hours_and_minutes_of_searches_are_as_long_as_they_are_said_to_be() -> None:
    assert (TAKEN_US, SAME_US, FORM_US) == (5 * MINUTE_US, 10 * MINUTE_US, 60 * MINUTE_US)


@pytest.mark.parametrize(
    ("plate", "full"), [("A" * TERMS.full_plate_min, True), ("A" * (TERMS.full_plate_min - 1), False),
                        ("8XYZ12?", False), ("8XYZ*", False)],
)  # fmt: skip
def test_a_full_plate_has_no_wildcard_and_is_long_enough(plate: str, full: bool) -> None:
    query = replace(QUERY, plate=plate)
    assert inquiry.is_full(POLICY, plate) is full
    assert inquiry.check_wide(POLICY, query, GROUND) is not full
    cad = replace(GROUND, number_kind="cad")
    assert code_of(inquiry.check_wide, POLICY, query, cad) == ("" if full else "case-number")


@pytest.mark.parametrize(
    ("ground", "code"),
    [
        ({}, ""),
        ({"purpose": ""}, "purpose"),
        ({"purpose": "curiosity"}, "purpose"),
        ({"basis": "bolo"}, "basis"),
        ({"basis": "civil-action"}, ""),
        ({"purpose": "wanted-person", "basis": "civil-action"}, "basis"),
        ({"purpose": "wanted-person"}, ""),
        ({"number_kind": "phone"}, "number"),
        ({"number": "26-0012-AB"}, ""),
        ({"number": "0000"}, "number"),
        ({"number_kind": "cad"}, "number"),
        ({"number_kind": "cad", "number": "CAD-2611-0042"}, ""),
        ({"number_kind": "cad", "number": "IA-26-004"}, "number"),
        ({"number_kind": "action", "number": "IA-26-004"}, ""),
        ({"justification": "abcdef ghijkl"}, ""),
        ({"justification": "abcdef ghijk"}, "justification"),
        ({"justification": "abcdefghijkl"}, "justification"),
        ({"justification": "abab ababababa"}, "justification"),
    ],
)
def test_a_ground_has_a_purpose_a_basis_its_number_and_a_reason(ground: dict[str, str], code: str) -> None:
    assert code_of(inquiry.check_ground, POLICY, replace(GROUND, **ground)) == code


def test_a_refused_number_shows_one_as_the_policy_writes_it() -> None:
    for kind, cure in (("case", "e.g. 26-001234"), ("cad", "CAD-2611-0042"), ("action", "IA-26-004")):
        with pytest.raises(FormError) as raised:
            inquiry.check_ground(POLICY, replace(GROUND, number="none", number_kind=kind))
        assert cure in raised.value.cure
    with pytest.raises(FormError, match="a purpose must be given"):
        inquiry.check_ground(POLICY, replace(GROUND, purpose=""))
    with pytest.raises(FormError, match="not one of the authorized purposes"):
        inquiry.check_ground(POLICY, replace(GROUND, purpose="x"))


# --- requests, proposals and approvals


def queue(*notes: tuple[int, str, Note, int]) -> InquiryQueue:
    made = InquiryQueue()
    for sequence, user, note, at_us in notes:
        made.apply(entry(sequence, user, note, at_us))
    return made


def never(_access: int) -> bool:
    return False


ASKED = (1, "ann", InquiryAsked(query=QUERY, ground=GROUND), NOW_US)
OTHER = Ground(purpose="x", basis="x", number="x", number_kind="x", justification="x")


@pytest.mark.parametrize(
    ("taken_by", "ago_us", "code"),
    [
        ("cat", 0, "answered"),
        ("cat", TAKEN_US - 1, "answered"),
        ("cat", TAKEN_US, ""),
        ("cat", -1, ""),
        ("ben", 0, ""),
    ],
)
def test_a_request_that_another_person_is_answering_waits_five_minutes(
    taken_by: str, ago_us: int, code: str
) -> None:
    waits = queue(ASKED, (2, taken_by, RequestTaken(request=1), NOW_US - ago_us))
    assert code_of(inquiry.request_to_run, waits, 1, QUERY, GROUND, "ben", never, now_us=NOW_US) == code
    ended = {1}.__contains__  # the search of the previous entry, done or cancelled
    assert not code_of(inquiry.request_to_run, waits, 1, QUERY, GROUND, "ben", ended, now_us=NOW_US)


def test_a_request_is_answered_once_as_it_was_asked_by_another_person() -> None:
    waits = queue(ASKED)
    found = inquiry.request_to_run(waits, 1, QUERY, GROUND, "ben", never, now_us=NOW_US)
    assert waits.open_requests() == [found]
    refused("no-request", inquiry.request_to_run, waits, 2, QUERY, GROUND, "ben", never, now_us=NOW_US)
    refused("own-request", inquiry.request_to_run, waits, 1, QUERY, GROUND, "ann", never, now_us=NOW_US)
    other = replace(QUERY, plate="7ABC000")
    refused("other-search", inquiry.request_to_run, waits, 1, other, GROUND, "ben", never, now_us=NOW_US)
    refused("other-search", inquiry.request_to_run, waits, 1, QUERY, OTHER, "ben", never, now_us=NOW_US)
    answered = RequestAnswered(request=1, access=2, reads=(), reason="")
    waits.apply(entry(3, "ben", answered))
    assert waits.open_requests() == []
    refused("answered", inquiry.request_to_run, waits, 1, QUERY, GROUND, "ben", never, now_us=NOW_US)
    waits.apply(entry(4, "ann", Disputed(entry=2, reason="not mine")))
    assert [one.sequence for one in waits.disputes] == [4]


WIDE = SearchProposed(query=replace(QUERY, plate="8X*"), ground=GROUND, request=1)
PROPOSED = (5, "ben", WIDE, NOW_US)


@pytest.mark.parametrize(
    ("user", "moved", "ground", "found"),
    [
        ("ben", (0, 0), GROUND, 5),
        ("ben", (SAME_US, -SAME_US), GROUND, 5),
        ("ben", (SAME_US + 1, 0), GROUND, -1),
        ("ben", (0, SAME_US + 1), GROUND, -1),
        ("ben", (0, -SAME_US - 1), GROUND, -1),
        ("cat", (0, 0), GROUND, -1),
        ("ben", (0, 0), OTHER, -1),
    ],
)
def test_the_same_search_a_little_later_is_the_same_proposal(
    user: str, moved: tuple[int, int], ground: Ground, found: int
) -> None:
    query = replace(WIDE.query, since_us=QUERY.since_us + moved[0], until_us=QUERY.until_us + moved[1])
    wanted = replace(WIDE, query=query, ground=ground)
    assert inquiry.same_waiting(queue(PROPOSED).waiting(), wanted, user) == found
    decided = queue(PROPOSED, (6, "cat", SearchApproved(proposal=5, granted=True, reason=""), NOW_US))
    assert decided.waiting() == []
    assert inquiry.same_waiting(decided.waiting(), wanted, user) == -1


@pytest.mark.parametrize(
    ("second", "code"), [("cat", ""), ("ben", "second-person"), ("ann", "second-person")]
)
def test_neither_who_proposes_nor_who_asked_is_the_second_person(second: str, code: str) -> None:
    waits = queue(ASKED, PROPOSED)
    assert code_of(inquiry.proposal_to_decide, waits, 5, second, now_us=NOW_US) == code


def test_what_waited_longer_than_the_key_service_knows_it_is_asked_for_again() -> None:
    waits, late_us = queue(ASKED, PROPOSED), NOW_US + 92 * DAY_US
    refused("old-request", inquiry.request_to_run, waits, 1, QUERY, GROUND, "ben", never, now_us=late_us)
    refused("old-proposal", inquiry.proposal_to_decide, waits, 5, "cat", now_us=late_us)
    waits.apply(entry(6, "cat", SearchApproved(proposal=5, granted=True, reason=""), late_us - 1))
    refused("old-proposal", inquiry.approval_to_use, POLICY, waits, 5, WIDE, "ben", now_us=late_us)


@pytest.mark.parametrize(
    ("granted", "ago_us", "user", "wanted", "used", "code"),
    [
        (True, 0, "ben", WIDE, False, ""),
        (True, APPROVAL_US, "ben", WIDE, False, ""),
        (True, APPROVAL_US + 1, "ben", WIDE, False, "old-approval"),
        (True, -1, "ben", WIDE, False, "old-approval"),
        (False, 0, "ben", WIDE, False, "declined"),
        (True, 0, "cat", WIDE, False, "other-approval"),
        (True, 0, "ben", replace(WIDE, request=-1), False, "other-approval"),
        (True, 0, "ben", WIDE, True, "used-approval"),
    ],
)
def test_an_approval_is_for_one_search_by_one_person_once_within_its_hours(
    granted: bool, ago_us: int, user: str, wanted: SearchProposed, used: bool, code: str
) -> None:
    waits = queue(PROPOSED)
    refused("second-person", inquiry.approval_to_use, POLICY, waits, 9, WIDE, "ben", now_us=NOW_US)
    refused("second-person", inquiry.approval_to_use, POLICY, waits, 5, WIDE, "ben", now_us=NOW_US)
    waits.apply(entry(6, "cat", SearchApproved(proposal=5, granted=granted, reason=""), NOW_US - ago_us))
    if used:
        waits.apply(entry(7, "ben", ApprovalUsed(proposal=5)))
    assert code_of(inquiry.approval_to_use, POLICY, waits, 5, wanted, user, now_us=NOW_US) == code


# --- changes of two people


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    what: str
    propose: bool = False
    approval: int = -1


CALL = WantedChange(call="user/set", about="dan", summary="", user="ben", now_us=NOW_US)
HERE = [("ann", account(user, Role.CCAT_SUPERVISOR)) for user in ("cat", "ben")]
CAT = accounts(*HERE)
MAY_APPROVE = (Role.CCAT_SUPERVISOR, Role.DESIGNEE)
PROPOSAL = changes.proposal_of("user/set", Form(what="a"), "dan", "")


def states(*, ago_us: int = 0, decided_us: int | None = None, granted: bool = True) -> ChangeStates:
    made = ChangeStates()
    made.apply(entry(5, "ben", PROPOSAL, NOW_US - ago_us))
    if decided_us is not None:
        decision = ChangeDecided(proposal=5, granted=granted, reason="")
        made.apply(entry(6, "cat", decision, NOW_US - decided_us))
    return made


@pytest.mark.parametrize(
    ("second", "ago_us", "code"),
    [
        ("cat", 0, ""),
        ("cat", APPROVAL_US, ""),
        ("cat", APPROVAL_US + 1, "old-proposal"),
        ("cat", -1, "old-proposal"),
        ("ben", 0, "second-person"),
        ("dan", 0, "second-person"),
    ],
)
def test_a_change_is_decided_in_time_by_a_person_whom_it_is_not_about(
    second: str, ago_us: int, code: str
) -> None:
    waits = states(ago_us=ago_us)
    assert code_of(changes.to_decide, POLICY, waits, 5, second, NOW_US) == code
    in_time = code in {"", "second-person"}
    assert bool(waits.waiting(POLICY, NOW_US)) is in_time
    assert changes.state_of(POLICY, waits, waits.proposed[5], NOW_US) == (
        "waiting" if in_time else "out of date"
    )
    refused("no-proposal", changes.to_decide, POLICY, waits, 6, "cat", NOW_US)


def test_a_decided_change_waits_no_more() -> None:
    waits = states(decided_us=0)
    refused("decided", changes.to_decide, POLICY, waits, 5, "cat", NOW_US)
    assert waits.waiting(POLICY, NOW_US) == []


@pytest.mark.parametrize(
    ("made", "form", "wanted", "code", "state"),
    [
        ({"decided_us": 0}, {}, {}, "", "approved"),
        ({"decided_us": APPROVAL_US, "ago_us": APPROVAL_US * 2}, {}, {}, "", "approved"),
        ({"decided_us": APPROVAL_US + 1}, {}, {}, "old-approval", "out of date"),
        ({"decided_us": -1}, {}, {}, "old-approval", "out of date"),
        ({"decided_us": 0, "granted": False}, {}, {}, "declined", "refused"),
        ({}, {}, {}, "second-person", "waiting"),
        ({"decided_us": 0}, {"approval": -1}, {}, "second-person", "approved"),
        ({"decided_us": 0}, {"approval": 7}, {}, "other-approval", "approved"),
        ({"decided_us": 0}, {"what": "b"}, {}, "other-approval", "approved"),
        ({"decided_us": 0}, {}, {"call": "user/credential"}, "other-approval", "approved"),
        ({"decided_us": 0}, {}, {"user": "cat"}, "other-approval", "approved"),
    ],
)
def test_an_approved_change_is_that_form_by_that_person(
    made: dict[str, Any], form: dict[str, Any], wanted: dict[str, Any], code: str, state: str
) -> None:
    waits = states(**made)
    asked = replace(Form(what="a", approval=5), **form)
    assert code_of(changes.to_use, POLICY, waits, CAT, asked, replace(CALL, **wanted)) == code
    assert changes.state_of(POLICY, waits, waits.proposed[5], NOW_US) == state


def test_an_approved_change_is_made_once() -> None:
    waits, form = states(decided_us=0), Form(what="a", approval=5)
    used = changes.to_use(POLICY, waits, CAT, form, CALL)
    assert used == ChangeUsed(proposal=5, about="dan", second="cat")
    assert changes.used_for(used, "eve").about == "eve"
    waits.apply(entry(7, "ben", used))
    refused("used-approval", changes.to_use, POLICY, waits, CAT, form, CALL)
    assert changes.state_of(POLICY, waits, waits.proposed[5], NOW_US) == "made"


@pytest.mark.parametrize(
    ("held", "kept", "counts"),
    [
        ((Role.CCAT_SUPERVISOR,), [(Role.CCAT_SUPERVISOR, Role.OFFICER)], True),
        ((Role.CCAT_SUPERVISOR, Role.OFFICER), [(Role.OFFICER,)], False),
        ((Role.CCAT_SUPERVISOR,), [(Role.DESIGNEE,)], False),  # decided as a supervisor
        ((Role.CCAT_SUPERVISOR,), [(), (Role.CCAT_SUPERVISOR,)], False),  # left and came back
        (None, [], True),  # as an earlier version stored it
        (None, [(Role.OFFICER,)], False),
        (None, [(Role.CCAT_SUPERVISOR,)], True),
    ],
)
@pytest.mark.parametrize("call", [Call.CHANGE_APPROVE, Call.SHARE_APPROVE, Call.HOLD_RELEASE])
def test_a_word_counts_by_the_roles_that_gave_it_and_that_its_person_kept(
    held: tuple[Role, ...] | None, kept: list[tuple[Role, ...]], counts: bool, call: Call
) -> None:
    word = SignedDecision(user="cat", at_us=NOW_US, roles=held)
    second = SecondHands(
        decided={5: word}, shares={5: word}, asked_release={5: word}, permits={call.value: MAY_APPROVE}
    )
    for roles in kept:
        second.keep_roles("cat", roles)
        second.keep_roles("ben", ())
    assert second.counts(call, 5, "cat") is counts
    assert not second.counts(call, 5, "ben")
    assert not second.counts(call, 6, "cat")
    second.permits = {}
    assert second.counts(call, 5, "cat") is (held is None and not kept)


def test_what_a_person_proposed_who_left_is_proposed_again_and_its_approval_is_used_by_no_one() -> None:
    left, back = (("ann", account("ben", Role.CCAT_SUPERVISOR, active=active)) for active in (False, True))
    gone = accounts(*HERE, left, back)
    gone.left["ben"] = 7
    form = Form(what="a", approval=5)
    refused("proposer-gone", changes.to_use, POLICY, states(decided_us=0), gone, form, CALL)
    again = changes.second_person(POLICY, states(), gone, replace(form, propose=True), CALL, needed=True)
    assert again == PROPOSAL


def test_the_same_change_is_proposed_once_by_a_person_and_only_where_one_is_needed() -> None:
    waits, form = states(), Form(what="a", propose=True)

    def owed(form: Form, user: str = "ben", **how: bool) -> object:
        return changes.second_person(POLICY, waits, CAT, form, replace(CALL, user=user), **how)

    refused("proposed", owed, form, needed=True)
    assert owed(form, "eve", needed=True) == PROPOSAL
    assert owed(replace(form, what="b"), needed=True) != PROPOSAL
    refused("no-second", owed, form, needed=False)
    assert owed(Form(what="a"), needed=False) == []
    assert owed(Form(what="a"), needed=True, alone=True) == []
    refused("no-second", owed, Form(what="a", approval=5), needed=False)
    refused("no-second", owed, Form(what="a", approval=5), needed=True, alone=True)
    refused("second-person", owed, Form(what="a"), needed=True)
