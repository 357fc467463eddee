"""The rules of sharing, each alone and at its limits."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from desk_twins import GROUND
from log_entries import NOW_US, POLICY, code_of, entry, refused

from storage.times import DAY_US
from sync.department.cli import main
from sync.department.desk.sharing import rules as sharing
from sync.department.desk.sharing.calls import DecisionForm
from sync.department.desk.sharing.rules import MAX_LETTER_BYTES, Shares
from sync.department.journal.entries import BOUND_WHOLE, DRAWN_BY_PERSON, AccessLogOpened, EntryOf
from sync.department.journal.entry_base import Note, Stamp
from sync.department.journal.inquiry_entries import Access, Query
from sync.department.journal.second_hand_facts import AskedScope, SignedDecision, plate_digest
from sync.department.journal.second_hands import WAITS_US, SecondHands
from sync.department.journal.sharing_entries import (
    DELIVER_DAYS,
    Scope,
    ShareAsked,
    ShareDecided,
    ShareDelivered,
    ShareReviewed,
    ShareRouted,
)
from sync.department.journal.signers import Signers
from sync.department.journal.statements import Statement, form_bytes
from sync.department.journal.unsigned import UnsignedError
from sync.department.policy.refusals import DeskRefusal, NotYetError

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
        ({"agency_kind": "newspaper", "purpose": "..."}, ""),  # another office answers this
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
    no = code_of(sharing.to_decide, policy, made, 0, approver, approved=False)
    assert no == deciding.replace("share-gate", "")  # what the gate now forbids must not wait
    assert code_of(sharing.to_deliver, policy, made, 0, SCOPE, NOW_US) == delivering
    assert sharing.scope_of(made, 0) == SCOPE
    refused("no-request", sharing.to_decide, policy, made, 1, approver)
    refused("no-request", sharing.to_deliver, policy, made, 1, SCOPE, NOW_US)
    refused("no-request", sharing.scope_of, made, 1)


def test_an_older_request_that_reached_into_the_future_is_delivered_whole_up_to_then() -> None:
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


def test_a_delivery_that_goes_beyond_its_approval_says_in_what() -> None:
    wide = replace(SCOPE, plates=("7ABC001",), since_us=9, until_us=21, images=True)
    late = replace(SCOPE, until_us=21)
    whole = "the plates, the beginning of its time, the end of its time, the images"
    for scope, parts in ((wide, whole), (late, "the end of its time")):
        with pytest.raises(DeskRefusal) as raised:
            sharing.to_deliver(POLICY, shares(REVIEWED, APPROVED), 0, scope, NOW_US)
        assert raised.value.what == f"this exceeds what was asked for and approved, in {parts}"


def test_an_approval_delivers_what_was_read_before_it_and_not_for_ever() -> None:
    """For example, a request until 2046, entered by an earlier version or by mistake."""
    ahead = replace(SCOPE, until_us=NOW_US + 20 * 365 * DAY_US)
    made = shares(REVIEWED, APPROVED, scope=ahead)
    until_now = replace(ahead, until_us=NOW_US)
    month_us = DELIVER_DAYS * DAY_US
    for scope, at_us, code in (
        (until_now, NOW_US + month_us - 1, ""),
        (until_now, NOW_US + month_us, "approval"),
        (until_now, NOW_US - 1, "approval"),
        (replace(ahead, until_us=NOW_US + 2 * DAY_US), NOW_US + 3 * DAY_US, "scope"),
    ):
        assert code_of(sharing.to_deliver, POLICY, made, 0, scope, at_us) == code


def test_a_request_that_waited_too_long_is_entered_again() -> None:
    """The key service forgets a request after 92 days, so a delivery would open nothing."""
    made, late_us = shares(REVIEWED), NOW_US + WAITS_US
    assert code_of(sharing.demand_fresh, made, 0, late_us - 1) == ""
    refused("old-request", sharing.demand_fresh, made, 0, late_us)
    made.apply(entry(2, *APPROVED, late_us - DAY_US))
    assert code_of(sharing.to_deliver, POLICY, made, 0, SCOPE, late_us - 1) == ""
    refused("old-request", sharing.to_deliver, POLICY, made, 0, SCOPE, late_us)


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


@pytest.mark.parametrize(
    ("decision", "again", "refuses"),
    [
        pytest.param(None, {}, "decide that request", id="waiting"),
        pytest.param(None, {"number": " h-26-77 ", "agency": "LASD  "}, "request 1", id="typed otherwise"),
        pytest.param(None, {"number": "H-26-78"}, "", id="another letter"),
        pytest.param(None, {"scope": replace(SCOPE, plates=("9ZZZ999",))}, "", id="its other plates"),
        pytest.param(None, {"scope": replace(SCOPE, since_us=20, until_us=30)}, "", id="another time"),
        pytest.param(
            None, {"scope": replace(SCOPE, until_us=SCOPE.until_us + 9)}, "", id="and the next week"
        ),
        pytest.param(
            None, {"scope": replace(SCOPE, plates=(*SCOPE.plates, "9ZZZ999"))}, "", id="one plate more"
        ),
        pytest.param(None, {"scope": replace(SCOPE, images=True)}, "", id="its pictures too"),
        pytest.param(True, {}, "deliver that one", id="approved"),
        pytest.param(False, {}, "", id="refused, as it was entered wrongly"),
    ],
)
def test_a_letter_is_entered_once(decision: bool | None, again: dict[str, Any], refuses: str) -> None:
    asked = replace(request(SCOPE), agency="LASD", number="H-26-77")
    known = Shares()
    known.apply(entry(1, "super", asked))
    if decision is not None:
        known.apply(entry(2, "chief", ShareDecided(request=1, approved=decision, note="read it")))
    if not refuses:
        sharing.demand_new(known, replace(asked, **again), NOW_US, here)
        return
    with pytest.raises(NotYetError, match="request 1") as refused_by:
        sharing.demand_new(known, replace(asked, **again), NOW_US, here)
    assert refused_by.value.code == "recorded"
    assert refuses in str(refused_by.value) + refused_by.value.cure
    later_us = NOW_US + max(WAITS_US, DELIVER_DAYS * DAY_US) + DAY_US
    sharing.demand_new(known, replace(asked, **again), later_us, here)
    if decision:
        sharing.demand_new(known, asked, NOW_US, lambda _request, _approver: False)  # the approver has left


def here(_request: int, approver: str) -> bool:
    """Approve as a person who is still there."""
    return approver == "chief"


def request(scope: Scope) -> ShareAsked:
    """A written request from a neighboring agency."""
    (asked, *_) = shares(scope=scope, agreement="").asked.values()
    assert isinstance(asked.note, ShareAsked)
    return replace(asked.note, purpose="a burglary", letter=b"%PDF", letter_name="letter.pdf")


def test_packages_are_counted_by_their_agreement() -> None:
    made = shares(
        REVIEWED, APPROVED, SENT, SENT, ("ann", ShareRouted(agency="x", person="", to="", letter_digest=b""))
    )
    assert (made.transfers("lasd"), made.transfers("lapd")) == (2, 0)
    assert [one.sequence for one in made.routed] == [5]


def test_the_limits_of_sharing_are_what_its_pages_say() -> None:
    assert MAX_LETTER_BYTES == 512 * 1024
    assert sharing.is_late(NOW_US, NOW_US + sharing.ANSWER_DAYS * DAY_US)
    assert not sharing.is_late(NOW_US, NOW_US + sharing.ANSWER_DAYS * DAY_US - 1)


def test_in_an_older_log_approvals_named_no_agency_until_one_did() -> None:
    scope = AskedScope(
        agency=("law-enforcement", "CA"), plates=(), since_us=0, until_us=1, user="super", at_us=0
    )
    second = SecondHands(requests={3: scope})

    def decide(**named: str) -> None:
        form = DecisionForm(request=3, approved=True, note="yes", **named)
        said = Statement(
            department=bytes(32),
            user="chief",
            call="share/decide",
            form=form_bytes(form),
            at_us=5,
            nonce=b"",
        )
        stamp = Stamp(at_us=5, user="chief", role="", organisation="", session=b"", demo=False)
        second.decide(EntryOf(7, stamp, ShareDecided(request=3, approved=True, note="yes")), said, ())

    decide()
    with pytest.raises(UnsignedError, match="another kind of agency"):
        decide(agency_kind="law-enforcement", agency_state="NV")
    decide(agency_kind="law-enforcement", agency_state=" ca")
    with pytest.raises(UnsignedError, match="another kind of agency"):
        decide()


@pytest.mark.parametrize("left_out", ["--kind", "--state"])
def test_no_agency_counts_as_a_californian_police_department_by_default(
    left_out: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"--kind": "law-enforcement", "--state": "CA", "--letter": "x", "--since": "2026-05-01"}
    given["--until"] = "2026-05-08"
    words = [word for name, value in given.items() if name != left_out for word in (name, value)]
    assert main(["share", "record", *words]) == 2
    assert left_out in capsys.readouterr().err


def delivered(second: SecondHands, written: bytes) -> None:
    """A delivery of all that `SCOPE` covers, under a request with the digest `b"as asked"`."""
    (plate, *_), user = SCOPE.plates, "super"
    second.requests[0] = AskedScope(
        agency=("law-enforcement", "CA"), plates=(plate_digest(plate),), since_us=SCOPE.since_us,
        until_us=SCOPE.until_us, user=user, at_us=SCOPE.until_us, written=b"as asked",
    )  # fmt: skip
    second.shares[0] = SignedDecision(user="chief", at_us=SCOPE.until_us)
    query = Query(plate=plate, since_us=SCOPE.since_us, until_us=SCOPE.until_us)
    access = Access(
        action="delivery", elements=query.text(), plate=plate, ground=GROUND, on_behalf_of="", request=0,
        approval=-1, reads=(), written=written,
    )  # fmt: skip
    said = Statement(
        department=bytes(32), user=user, call="share/deliver", form=form_bytes(request(SCOPE)),
        at_us=SCOPE.until_us, nonce=b"",
    )  # fmt: skip
    stamp = Stamp(at_us=SCOPE.until_us, user=user, role="", organisation="", session=b"", demo=False)
    second.demand_access(said, EntryOf(9, stamp, access), access)


def opened_log(form: int) -> Signers:
    """The judge of a log in this form, after its first entry."""
    signers = Signers()
    key = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    stamp = Stamp(at_us=1, user="system", role="", organisation="", session=b"", demo=False)
    note = AccessLogOpened(public_key=key, root_digest=bytes(32), signs=form)
    signers.apply(EntryOf(0, stamp, note))
    return signers


def test_no_delivery_of_a_new_log_leaves_out_its_recipient() -> None:
    new, older = opened_log(BOUND_WHOLE).second, opened_log(DRAWN_BY_PERSON).second
    for second in (new, older):
        delivered(second, b"as asked")
        with pytest.raises(UnsignedError, match="its agency, purpose or number is not"):
            delivered(second, b"as others asked")
    with pytest.raises(UnsignedError, match="its agency, purpose or number is not"):
        delivered(new, b"")
    delivered(older, b"")  # allowed until the first one with it; later, root could omit it
    older.seen_written = True
    with pytest.raises(UnsignedError, match="its agency, purpose or number is not"):
        delivered(older, b"")
