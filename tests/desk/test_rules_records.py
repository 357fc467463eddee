"""The rules of holds, sharing, redress and grants, each alone and at its limit."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from log_entries import GROUND, NOW_US, POLICY, code_of, entry, refused

from storage.grant_format import DEPARTMENT
from storage.times import DAY_US, HOUR_US
from sync.department.content.key_guard import read_name
from sync.department.desk.grants import rules as grants
from sync.department.desk.grants.rules import Grants
from sync.department.desk.holds import rules as holds
from sync.department.desk.holds.rules import MAX_READS, Holds
from sync.department.desk.redress import rules as redress
from sync.department.desk.redress.rules import (
    A_DAY,
    A_DAY_OF_AREA,
    AN_HOUR,
    OLDEST_US,
    REMEMBERED,
    AddressPace,
    Requests,
)
from sync.department.desk.sharing import rules as sharing
from sync.department.desk.sharing.rules import MAX_LETTER_BYTES, Shares
from sync.department.journal.change_entries import ChangeUsed, HoldRests
from sync.department.journal.entries import AccountSet
from sync.department.journal.entry_base import Note
from sync.department.journal.hold_entries import (
    HoldBooked,
    HoldExported,
    HoldPlaced,
    HoldReleased,
    ReleaseAsked,
)
from sync.department.journal.inquiry_entries import Ground
from sync.department.journal.office_entries import GrantDelegated, GrantIssued, GrantsRevoked
from sync.department.journal.redress_entries import RedressAnswered, RedressAsked
from sync.department.journal.sharing_entries import (
    Scope,
    ShareAsked,
    ShareDecided,
    ShareDelivered,
    ShareReviewed,
    ShareRouted,
)
from sync.department.policy.refusals import TooManyError

READS = tuple(read_name(bytes(32), at) for at in range(MAX_READS + 1))

# --- holds


@dataclass(frozen=True, kw_only=True)
class HoldForm:
    hold_ground: str = "discovery"
    authority: str = "DA"
    number: str = "26-001234"
    reads: tuple[str, ...] = READS[:1]
    ground: Ground = GROUND


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({}, ""),
        ({"reads": READS[:MAX_READS]}, ""),
        ({"reads": READS}, "reads"),
        ({"reads": ()}, "reads"),
        ({"reads": READS[:1] * 2}, "reads"),
        ({"reads": ("7XKR219",)}, "read-name"),
        ({"hold_ground": "curiosity"}, "ground"),
        ({"authority": "D."}, "authority"),
        ({"number": "none"}, "number"),
        ({"ground": replace(GROUND, purpose="x")}, "purpose"),
    ],
)
def test_a_hold_says_what_it_holds_on_which_ground_for_whom(form: dict[str, Any], code: str) -> None:
    assert code_of(holds.check_hold, POLICY, HoldForm(**form), NOW_US) == code


def held(*notes: tuple[str, Note]) -> Holds:
    """The hold 0, placed by ann after her access 7, and what followed."""
    made = Holds()
    placed = HoldPlaced(access=7, reads=READS[:2], ground="discovery", authority="DA", number="1")
    for at, (user, note) in enumerate((("ann", placed), *notes)):
        made.apply(entry(at, user, note))
    return made


RESTS = ("ann", HoldRests(access=7, searches=(3, 4), approval=-1))
EXPORTED = ("ann", HoldExported(hold=0, access=8, package=b"", medium="USB"))
BOOKED = ("ann", HoldBooked(hold=0, evidence_item="E-1"))
ASKED = ("ann", ReleaseAsked(hold=0, evidence_item="E-1"))
RELEASED = ("ben", HoldReleased(hold=0, access=9, evidence_item="E-1", asked_by="ann"))
STAFF = {
    "ann": AccountSet(
        user="ann", name="Ann", organisation="PD", roles=(), shift=None, active=True, reason="", ssh_keys=()
    )
}
STEPS = (RESTS, EXPORTED, BOOKED, ASKED, RELEASED)


@pytest.mark.parametrize(
    ("steps", "item", "booking", "asking", "releasing"),
    [
        (1, "E-1", "not-exported", "not-booked", "not-booked"),
        (2, "E-1", "", "not-booked", "not-booked"),
        (2, "E1", "item", "not-booked", "not-booked"),
        (2, "A" * 40, "", "not-booked", "not-booked"),
        (2, "A" * 41, "item", "not-booked", "not-booked"),
        (2, "e-1", "item", "not-booked", "not-booked"),
        (3, "E-1", "", "", "second-person"),
        (3, "E-2", "", "item", "item"),
        (4, "E-1", "asked", "asked", ""),
        (4, "E-2", "asked", "item", "item"),
        (5, "E-1", "released", "released", "released"),
    ],
)
def test_a_hold_goes_from_export_to_booking_to_release_and_not_back(
    steps: int, item: str, booking: str, asking: str, releasing: str
) -> None:
    made = held(*STEPS[:steps])
    asked = holds.asked_by(made, 0, STAFF, NOW_US)
    assert code_of(holds.to_book, made, 0, item, asked) == booking
    assert code_of(holds.to_ask_release, made, 0, item, asked) == asking
    assert code_of(holds.to_release, made, 0, item, asked, "ben") == releasing
    for call in (holds.to_book, holds.to_ask_release):
        refused("no-hold", call, made, 1, item, "")
    over = steps == 5
    assert made.held_reads() == (set() if over else set(READS[:2]))
    assert len(made.open_holds()) == (0 if over else 1)


def test_a_hold_is_released_by_another_person_than_who_asked() -> None:
    made = held(*STEPS[:4])
    assert holds.asked_by(made, 0, STAFF, NOW_US) == "ann"
    assert code_of(holds.to_release, made, 0, "E-1", "ann", "ben") == ""
    refused("second-person", holds.to_release, made, 0, "E-1", "ann", "ann")


def test_a_word_to_release_ends_after_a_week_and_with_the_account_and_is_given_again() -> None:
    made = held(*STEPS[:4])
    week_us = holds.ASKED_DAYS * DAY_US
    gone = {"ann": replace(STAFF["ann"], active=False)}
    assert holds.asked_by(made, 0, STAFF, NOW_US + week_us - 1) == "ann"
    for accounts, at_us in ((STAFF, NOW_US + week_us), (gone, NOW_US), ({}, NOW_US), (STAFF, NOW_US - 1)):
        asked = holds.asked_by(made, 0, accounts, at_us)
        refused("second-person", holds.to_release, made, 0, "E-1", asked, "ben")
        assert code_of(holds.to_ask_release, made, 0, "E-1", asked) == ""
        assert code_of(holds.to_book, made, 0, "E-2", asked) == "", "the wrong hold was asked for"
    made.apply(entry(9, "ann", ASKED[1], at_us=NOW_US + week_us))
    assert holds.asked_by(made, 0, STAFF, NOW_US + week_us) == "ann"


def test_the_searches_that_a_hold_rests_on_are_its_placers_alone() -> None:
    made = held(RESTS)
    assert holds.searches_of(made, 0, "ann") == (3, 4)
    assert holds.searches_of(made, 0, "ben") == ()
    assert holds.searches_of(made, 1, "ann") == ()
    assert holds.searches_of(held(), 0, "ann") == ()


# --- sharing

SCOPE = Scope(plates=("8XYZ123", "7ABC000"), since_us=10, until_us=20, images=False)


@dataclass(frozen=True, kw_only=True)
class Letter:
    letter: bytes = field(default=b"x", repr=False)
    letter_name: str = "letter.pdf"
    agency: str = "Los Angeles County Sheriff's Department"
    agency_kind: str = "law-enforcement"
    state: str = "CA"
    person: str = "R. Diaz"
    purpose: str = "a robbery"
    number: str = "4-17"
    scope: Scope = SCOPE
    agreement: str = ""


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({}, ""),
        ({"letter": b""}, "share-letter"),
        ({"letter": bytes(MAX_LETTER_BYTES)}, ""),
        ({"letter": bytes(MAX_LETTER_BYTES + 1)}, "share-letter"),
        ({"letter_name": " "}, "share-letter"),
        ({"agency": "..."}, "share-form"),
        ({"person": "..."}, "share-form"),
        ({"purpose": "..."}, "share-form"),
        ({"number": "..."}, "share-form"),
        ({"state": "Cal"}, "share-form"),
        ({"state": " ca"}, ""),
        ({"agreement": "lasd"}, ""),
        ({"agreement": "lapd"}, "agreement"),
        ({"agreement": "lasd", "agency": "Burbank PD"}, "agreement"),
        ({"scope": replace(SCOPE, plates=("8XYZ123", "7ABC*"))}, "plate"),
        ({"scope": replace(SCOPE, plates=("8X",))}, "plate"),
        ({"scope": replace(SCOPE, plates=("A" * 17,))}, "plate"),
        ({"agency_kind": "newspaper", "purpose": "..."}, ""),  # another office answers it
        ({"agency_kind": "newspaper", "person": "..."}, "share-form"),
        ({"agency_kind": "federal", "purpose": "..."}, "share-form"),
        ({"agency_kind": "out-of-state", "purpose": "..."}, "share-form"),
    ],
)
def test_a_written_request_says_who_asks_for_which_plates_and_why(form: dict[str, Any], code: str) -> None:
    assert code_of(sharing.check_form, POLICY, Letter(**form), NOW_US) == code


@pytest.mark.parametrize(
    ("kind", "state", "code"),
    [
        ("law-enforcement", "CA", ""),
        ("prosecutor", "CA", ""),
        ("law-enforcement", "NV", "share-gate"),
        ("federal", "CA", "share-gate"),
        ("school", "CA", "share-gate"),
    ],
)
def test_no_agency_beyond_the_state_or_of_another_kind_gets_anything(
    kind: str, state: str, code: str
) -> None:
    assert code_of(sharing.gate, POLICY, kind, state) == code
    both = replace(POLICY.sharing, refused_kinds=("prosecutor",))
    refused("share-gate", sharing.gate, replace(POLICY, sharing=both), "prosecutor", "CA")


def shares(*notes: tuple[str, Note], **asked: Any) -> Shares:
    made = Shares()
    note: dict[str, Any] = {
        "agency": "LASD", "agency_kind": "law-enforcement", "state": "CA", "person": "R", "purpose": "p",
        "number": "1", "letter": b"", "letter_name": "", "scope": SCOPE, "agreement": "lasd",
    }  # fmt: skip
    for at, (user, one) in enumerate((("ann", ShareAsked(**note | asked)), *notes)):
        made.apply(entry(at, user, one))
    return made


REVIEWED = ("rae", ShareReviewed(request=0, note=""))
APPROVED = ("chief", ShareDecided(request=0, approved=True, note=""))
DECLINED = ("chief", ShareDecided(request=0, approved=False, note=""))
SENT = ("ann", ShareDelivered(request=0, access=9, count=1, package=b""))
NEVADA = replace(POLICY, sharing=replace(POLICY.sharing, home_state="NV"))


@pytest.mark.parametrize(
    ("notes", "approver", "policy", "deciding", "delivering"),
    [
        ((), "chief", POLICY, "not-reviewed", "not-approved"),
        ((REVIEWED,), "chief", POLICY, "", "not-approved"),
        ((REVIEWED,), "ann", POLICY, "own-request", "not-approved"),
        ((REVIEWED,), "chief", NEVADA, "share-gate", "not-approved"),
        ((REVIEWED, APPROVED), "chief", POLICY, "decided", ""),
        ((REVIEWED, APPROVED), "chief", NEVADA, "decided", "share-gate"),
        ((REVIEWED, DECLINED), "chief", POLICY, "decided", "declined"),
    ],
)
def test_a_request_is_reviewed_then_decided_by_another_person_then_delivered(
    notes: tuple[tuple[str, Note], ...], approver: str, policy: Any, deciding: str, delivering: str
) -> None:
    made = shares(*notes)
    assert code_of(sharing.to_decide, policy, made, 0, approver) == deciding
    assert code_of(sharing.to_deliver, policy, made, 0, SCOPE, NOW_US) == delivering
    assert sharing.scope_of(made, 0) == SCOPE
    refused("no-request", sharing.to_decide, policy, made, 1, approver)
    refused("no-request", sharing.to_deliver, policy, made, 1, SCOPE, NOW_US)
    refused("no-request", sharing.scope_of, made, 1)


def test_a_request_of_before_that_reached_into_the_future_is_delivered_whole_up_to_then() -> None:
    asked = replace(SCOPE, until_us=NOW_US + 400 * DAY_US)
    made = shares(REVIEWED, APPROVED, scope=asked)
    whole = sharing.scope_of(made, 0)
    assert whole == replace(SCOPE, until_us=NOW_US + DAY_US)
    assert code_of(sharing.to_deliver, POLICY, made, 0, whole, NOW_US) == ""
    assert code_of(sharing.to_deliver, POLICY, made, 0, asked, NOW_US) == "scope"


@pytest.mark.parametrize(
    ("scope", "code"),
    [
        ({}, ""),
        ({"plates": ("7abc 000",)}, ""),
        ({"plates": ("7ABC000", "7ABC001")}, "scope"),
        ({"since_us": 11, "until_us": 19}, ""),
        ({"since_us": 9}, "scope"),
        ({"until_us": 21}, "scope"),
        ({"images": True}, "scope"),
    ],
)
def test_nothing_leaves_beyond_what_was_approved(scope: dict[str, Any], code: str) -> None:
    wanted = replace(SCOPE, **scope)
    assert code_of(sharing.to_deliver, POLICY, shares(REVIEWED, APPROVED), 0, wanted, NOW_US) == code
    with_images = shares(REVIEWED, APPROVED, scope=replace(SCOPE, images=True))
    if code == "" or wanted.images:
        assert sharing.to_deliver(POLICY, with_images, 0, wanted, NOW_US).agency == "LASD"


def test_an_approval_delivers_what_was_read_before_it_and_not_for_ever() -> None:
    """A request until 2046, entered by an earlier version or by mistake."""
    ahead = replace(SCOPE, until_us=NOW_US + 20 * 365 * DAY_US)
    made = shares(REVIEWED, APPROVED, scope=ahead)
    until_now = replace(ahead, until_us=NOW_US)
    month_us = sharing.DELIVER_DAYS * DAY_US
    for scope, at_us, code in (
        (until_now, NOW_US + month_us - 1, ""),
        (until_now, NOW_US + month_us, "approval"),
        (until_now, NOW_US - 1, "approval"),
        (replace(ahead, until_us=NOW_US + 2 * DAY_US), NOW_US + 3 * DAY_US, "scope"),
    ):
        assert code_of(sharing.to_deliver, POLICY, made, 0, scope, at_us) == code


@pytest.mark.parametrize(
    ("since_us", "until_us", "code"),
    [
        (NOW_US - 366 * DAY_US, NOW_US, ""),
        (NOW_US - 365 * DAY_US, NOW_US + DAY_US, ""),  # the end of today
        (NOW_US - 367 * DAY_US, NOW_US, "time"),
        (NOW_US, NOW_US + DAY_US + 1, "time"),
    ],
)
def test_a_request_is_for_a_time_that_is_over_and_that_a_search_can_take(
    since_us: int, until_us: int, code: str
) -> None:
    scope = replace(SCOPE, since_us=since_us, until_us=until_us)
    assert code_of(sharing.check_request, POLICY, request(scope), NOW_US) == code


def request(scope: Scope) -> ShareAsked:
    """A written request of a neighbor."""
    (asked, *_) = shares(scope=scope, agreement="").asked.values()
    assert isinstance(asked.note, ShareAsked)
    return replace(asked.note, purpose="a burglary", letter=b"%PDF", letter_name="letter.pdf")


def test_packages_are_counted_by_their_agreement() -> None:
    made = shares(
        REVIEWED, APPROVED, SENT, SENT, ("ann", ShareRouted(agency="x", person="", to="", letter_digest=b""))
    )
    assert (made.transfers("lasd"), made.transfers("lapd")) == (2, 0)
    assert [one.sequence for one in made.routed] == [5]


# --- redress


def test_an_address_asks_so_often_an_hour_and_others_are_not_in_its_way() -> None:
    pace = AddressPace()
    for at in range(AN_HOUR):
        pace.demand("a", NOW_US + at)
    with pytest.raises(TooManyError) as raised:
        pace.demand("a", NOW_US + HOUR_US - 1)
    assert (raised.value.code, raised.value.cure) == ("too-many", "ask in an hour")
    pace.demand("b", NOW_US)
    pace.demand("a", NOW_US + HOUR_US)
    refused("too-many", pace.demand, "a", NOW_US + HOUR_US)
    pace.demand("a", NOW_US - 1)  # times to come, of a clock that was set back, count against nobody


@pytest.mark.parametrize(
    ("mine", "other"),
    [
        ("192.0.2.{}", "198.51.100.7"),
        ("2001:db8:7:{}::1", "2001:db8:8::1"),
        ("::ffff:192.0.2.{}", "192.0.3.1"),
    ],
)
def test_one_person_with_many_addresses_takes_no_other_place(mine: str, other: str) -> None:
    pace, taken = AddressPace(), 0
    for number in range(250):
        with contextlib.suppress(TooManyError):
            pace.demand(mine.format(number), NOW_US + number)
            taken += 1
    assert taken == A_DAY_OF_AREA
    with pytest.raises(TooManyError) as raised:
        pace.demand(mine.format(251), NOW_US + 251)
    assert raised.value.cure == "ask tomorrow, or by letter"
    pace.demand(other, NOW_US)
    for number in range(3):  # one IPv6 subscriber is one address
        pace.demand(f"2001:db8:9:9::{number}", NOW_US)
    refused("too-many", pace.demand, "2001:db8:9:9::4", NOW_US)


def test_the_limits_of_records_are_what_their_pages_say() -> None:
    assert (MAX_READS, MAX_LETTER_BYTES) == (1000, 512 * 1024)
    assert (A_DAY, AN_HOUR, A_DAY_OF_AREA, REMEMBERED) == (100, 3, 10, 10_000)
    assert OLDEST_US == 366 * DAY_US
    assert sharing.is_late(NOW_US, NOW_US + sharing.ANSWER_DAYS * DAY_US)
    assert not sharing.is_late(NOW_US, NOW_US + sharing.ANSWER_DAYS * DAY_US - 1)


def test_the_oldest_addresses_are_forgotten_first() -> None:
    pace = AddressPace()
    for _ in range(AN_HOUR):
        pace.demand("first", NOW_US)
    for at in range(REMEMBERED - 1):
        pace.demand(str(at), NOW_US)
    refused("too-many", pace.demand, "first", NOW_US)
    pace.demand("one more", NOW_US)
    pace.demand("first", NOW_US)


def asked(received_us: int = 0, at_us: int = NOW_US, sequence: int = 1) -> Any:
    return entry(
        sequence, "", RedressAsked(about="stop", contact="", words="", received_us=received_us), at_us
    )


def test_an_answer_is_due_thirty_days_after_the_request_came() -> None:
    assert redress.due_us(asked()) == NOW_US + 30 * DAY_US
    assert redress.due_us(asked(received_us=7)) == 7 + 30 * DAY_US
    assert (redress.is_paper(asked()), redress.is_paper(asked(received_us=1))) == (False, True)


@pytest.mark.parametrize(
    ("received_us", "code"),
    [
        (NOW_US, ""),
        (NOW_US + 1, "received_us"),
        (NOW_US - OLDEST_US, ""),
        (NOW_US - OLDEST_US - 1, "received_us"),
    ],
)
def test_a_paper_form_is_of_the_last_year(received_us: int, code: str) -> None:
    assert code_of(redress.check_received, received_us, NOW_US) == code


@pytest.mark.parametrize(
    ("today", "paper", "ago_us", "code"),
    [
        (A_DAY - 1, 9, 0, ""),
        (A_DAY, 0, 0, "too-many"),
        (A_DAY, 0, DAY_US - 1, "too-many"),
        (A_DAY, 0, DAY_US, ""),
    ],
)
def test_a_day_takes_so_many_requests_and_every_paper_form(
    today: int, paper: int, ago_us: int, code: str
) -> None:
    made = Requests()
    for at in range(today + paper):
        made.apply(asked(received_us=int(at >= today), at_us=NOW_US - ago_us, sequence=at))
    assert code_of(redress.demand_room, made, NOW_US) == code
    assert len(made.waiting()) == today + paper


@dataclass(frozen=True, kw_only=True)
class Told:
    about: str = "stop"
    contact: str = "a@b.example"
    words: str = "stopped last night"


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ({}, ""),
        ({"about": "taxes"}, "about"),
        ({"contact": "a@b.c"}, "contact"),
        ({"contact": "5-5-5-5-5"}, ""),
        ({"words": "last night"}, "words"),
    ],
)
def test_a_request_for_redress_says_what_happened_and_how_to_answer(told: dict[str, str], code: str) -> None:
    assert code_of(redress.check_asked, Told(**told)) == code


@pytest.mark.parametrize(
    ("number", "outcome", "note", "code"),
    [
        (1, "corrected", "it was wrong", ""),
        (1, "won", "it was wrong", "outcome"),
        (1, "corrected", "was wrong", "note"),
        (2, "corrected", "it was wrong", "no-request"),
        (3, "corrected", "it was wrong", "answered"),
    ],
)
def test_an_open_request_is_answered_once_with_an_outcome(
    number: int, outcome: str, note: str, code: str
) -> None:
    made = Requests()
    for sequence in (1, 3):
        made.apply(asked(sequence=sequence))
    made.apply(entry(4, "chief", RedressAnswered(request=3, outcome="unclear", note="")))
    assert [one.sequence for one in made.waiting()] == [1]
    assert code_of(redress.check_answer, made, number, outcome, note) == code


# --- grants


def granted(*revoked: str, **changed: Any) -> Grants:
    made = Grants()
    note: dict[str, Any] = {
        "grant_id": "g1", "person": "v.kim", "organisation": "Acme", "role": "vendor", "holder": "SHA256:k",
        "purpose": "", "work_order": "", "units": ("car-7", DEPARTMENT), "commands": (), "from_us": 10,
        "to_us": 20, "digest": b"", "signer": "",
    }  # fmt: skip
    made.apply(entry(1, "chief", ChangeUsed(proposal=0, about=changed.pop("about", "v.kim"), second="ben")))
    made.apply(entry(2, changed.pop("by", "chief"), GrantIssued(**note | changed)))
    made.apply(entry(3, "chief", GrantDelegated(designee="dan", public_key=b"", from_us=1, to_us=2)))
    made.apply(entry(4, "chief", GrantsRevoked(names=revoked, reason="")))
    return made


@pytest.mark.parametrize(
    ("revoked", "changed", "now_us", "code"),
    [
        ((), {}, 10, ""),
        ((), {}, 19, ""),
        ((), {}, 9, "no-grant"),
        ((), {}, 20, "no-grant"),
        ((), {"person": "w.lee"}, 15, "no-grant"),
        ((), {"units": ("car-7",)}, 15, "no-grant"),
        (("g1",), {}, 15, "no-grant"),
        (("v.kim",), {}, 15, "no-grant"),
        (("SHA256:k",), {}, 15, "no-grant"),
        (("g2",), {}, 15, ""),
    ],
)
def test_a_vendor_is_at_the_server_while_a_grant_for_it_is_in_force(
    revoked: tuple[str, ...], changed: dict[str, Any], now_us: int, code: str
) -> None:
    made = granted(*revoked, **changed)
    assert code_of(grants.demand_grant, made, "v.kim", now_us) == code
    in_force = code == "" or bool(changed)
    for names in (("g1",), ("SHA256:k", "x"), (changed.get("person", "v.kim"),)):
        assert made.ended_by(names, now_us) == in_force
        assert made.knows(names[0])
    assert made.ended_by(("x",), now_us) == 0
    assert not made.knows("x")


def test_a_grant_shows_the_second_person_of_its_own_change() -> None:
    assert granted().seconds == {"g1": "ben"}
    assert granted(about="w.lee").seconds == {}
    assert granted(by="deputy").seconds == {}
    once = granted()
    again = once.issued["g1"].note
    assert isinstance(again, GrantIssued)
    once.apply(entry(5, "chief", replace(again, grant_id="g2")))
    assert once.seconds == {"g1": "ben"}
    assert set(once.delegated) == {"dan"}
