"""Sharing (463.6): the written request, the gate, review and approval, the scope, the count."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from desk_asking import code_of
from desk_root import problems
from desk_twins import GROUND, Department
from desk_units import Pass, UnitTwin
from flipped import flip
from packages import signed_again, unpacked

from storage.errors import PackageError
from storage.record_base import ClockState
from storage.times import DAY_US
from sync.department.content import package
from sync.department.desk.inquiry.forms import Answer, NothingForm, RunForm
from sync.department.desk.people.calls import AccountForm
from sync.department.desk.sharing import rules
from sync.department.desk.sharing.calls import (
    DecisionForm,
    DeliverForm,
    Delivery,
    Letter,
    Recorded,
    ReviewForm,
    ShareForm,
    SharingRequestForm,
)
from sync.department.journal.entries import LogRead, Refused
from sync.department.journal.inquiry_entries import Access, Query
from sync.department.journal.sharing_entries import Scope, ShareAsked, ShareRouted
from sync.department.policy.refusals import DeskRefusal, FormError
from sync.department.policy.roles import Role

Tokens = Callable[[str], str]

LETTER = b"%PDF Dear Chief, in case H-1 we ask for ..."
SHERIFF = "Los Angeles County Sheriff's Department"
SHERIFFS = {"agency_kind": "law-enforcement", "agency_state": "CA"}


@pytest.fixture
def scope(department: Department) -> Scope:
    now = department.clock.us
    return Scope(plates=("8XYZ123", "7ABC003"), since_us=now - 5 * DAY_US, until_us=now, images=False)


@pytest.fixture
def form(scope: Scope) -> ShareForm:
    return ShareForm(
        agency=SHERIFF,
        agency_kind="law-enforcement",
        state="CA",
        person="Det. Ruiz",
        purpose="homicide investigation",
        number="H-26-77",
        letter=LETTER,
        letter_name="letter.pdf",
        scope=scope,
        agreement="lasd",
    )


def recorded(department: Department, token: str, form: ShareForm) -> int:
    made = department.call("share/record", token, form)
    assert isinstance(made, Recorded)
    assert made.routed == ""
    return made.entry


def approved(department: Department, tokens: Tokens, form: ShareForm) -> int:
    request = recorded(department, tokens("super"), form)
    department.call("share/review", tokens("chief"), ReviewForm(request=request, note="letter is complete"))
    department.call(
        "share/decide", tokens("deputy"), DecisionForm(request=request, approved=True, note="yes", **SHERIFFS)
    )
    return request


@pytest.mark.parametrize("field", ["agency", "person", "purpose", "number", "letter", "letter_name"])
def test_a_written_request_lacking_a_part_is_refused(
    department: Department, tokens: Tokens, form: ShareForm, field: str
) -> None:
    empty: object = b"" if field == "letter" else " "
    with pytest.raises(DeskRefusal) as refused:
        department.call("share/record", tokens("super"), replace(form, **{field: empty}))  # type: ignore[arg-type]
    assert refused.value.clause.startswith("463.6 (a)")


@pytest.mark.parametrize(
    ("kind", "state", "passes"),
    [
        ("law-enforcement", "CA", True),
        ("prosecutor", "CA", True),
        ("law-enforcement", "NV", False),
        ("prosecutor", "TX", False),
        ("federal", "US", False),
        ("law-enforcement", "US", False),
        ("out-of-state", "AZ", False),
    ],
)
def test_the_gate_lets_only_agencies_of_this_state_pass(
    department: Department, tokens: Tokens, form: ShareForm, kind: str, state: str, passes: bool
) -> None:
    form = replace(form, agency="Agency", agency_kind=kind, state=state, agreement="")
    if passes:
        recorded(department, tokens("super"), form)
        return
    with pytest.raises(DeskRefusal) as refused:
        department.call("share/record", tokens("super"), form)
    assert (refused.value.code, refused.value.clause) == ("share-gate", "Civil Code 1798.90.55 (b)")


@pytest.mark.parametrize("kind", ["private", "insurer", "newspaper", "university"])
def test_others_are_routed_to_records_release(
    department: Department, tokens: Tokens, form: ShareForm, kind: str
) -> None:
    made = department.call("share/record", tokens("super"), replace(form, agency_kind=kind, agreement=""))
    assert isinstance(made, Recorded)
    assert made.routed == "Records Maintenance and Release Policy"
    assert isinstance(department.desk.log.entry(made.entry).note, ShareRouted)
    with pytest.raises(DeskRefusal) as refused:
        department.call("share/review", tokens("chief"), ReviewForm(request=made.entry, note="let us see"))
    assert refused.value.code == "no-request"


def test_nothing_is_delivered_before_review_and_approval(
    department: Department, tokens: Tokens, form: ShareForm, scope: Scope
) -> None:
    request = recorded(department, tokens("super"), form)
    delivery = DeliverForm(request=request, scope=scope, ground=GROUND)
    yes = DecisionForm(request=request, approved=True, note="yes", **SHERIFFS)
    for name, user, what, code in (
        ("share/deliver", "super", delivery, "not-approved"),
        ("share/decide", "deputy", yes, "not-reviewed"),
    ):
        with pytest.raises(DeskRefusal) as refused:
            department.call(name, tokens(user), what)
        assert refused.value.code == code
    department.call("share/review", tokens("deputy"), ReviewForm(request=request, note="letter is complete"))
    with pytest.raises(DeskRefusal) as refused:
        department.call("share/deliver", tokens("super"), delivery)
    assert refused.value.code == "not-approved"
    department.call("share/decide", tokens("deputy"), replace(yes, approved=False))
    with pytest.raises(DeskRefusal) as refused:
        department.call("share/deliver", tokens("super"), delivery)
    assert refused.value.code == "declined"


def test_a_request_names_a_hundred_plates_at_most_and_an_older_one_leaves_in_parts(
    department: Department, tokens: Tokens, form: ShareForm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each plate is a search with entries, all made at once while others wait."""
    many = replace(form.scope, plates=tuple(f"8XY{number:04}" for number in range(101)))
    with pytest.raises(FormError, match="101 plates are named; at most 100"):
        department.call("share/record", tokens("super"), replace(form, scope=many))
    two = replace(form.scope, plates=("8XYZ123", "7ABC000"))
    request = recorded(department, tokens("super"), replace(form, scope=two))
    department.call("share/review", tokens("deputy"), ReviewForm(request=request, note="letter is complete"))
    yes = DecisionForm(request=request, approved=True, note="yes", **SHERIFFS)
    department.call("share/decide", tokens("deputy"), yes)
    monkeypatch.setattr(rules, "MOST_PLATES", 1)
    with pytest.raises(FormError, match="deliver it in parts"):
        department.call("share/deliver", tokens("super"), DeliverForm(request=request, ground=GROUND))
    part = DeliverForm(request=request, ground=GROUND, scope=replace(two, plates=("7ABC000",)))
    assert isinstance(department.call("share/deliver", tokens("super"), part), Delivery)


def test_a_read_whose_time_is_not_known_is_not_shared_by_the_day_it_came(
    department: Department, tokens: Tokens, form: ShareForm
) -> None:
    """The department's searches find it; another agency gets only reads from the approved time."""
    unit = UnitTwin(department.home, Ed25519PrivateKey.generate(), "car-1970")
    unit.deliver(
        [Pass(plate="5CLK400", at_us=1, clock=ClockState.UNKNOWN)], received_us=department.clock.us - DAY_US
    )
    unit.close()
    scope = replace(form.scope, plates=("5CLK400",))
    query = Query(plate="5CLK400", since_us=scope.since_us, until_us=scope.until_us)
    found = department.call("inquiry/run", tokens("comm1"), RunForm(query=query, ground=GROUND))
    assert isinstance(found, Answer)
    assert found.count == 1
    request = approved(department, tokens, replace(form, scope=scope))
    made = department.call("share/deliver", tokens("super"), DeliverForm(request=request, ground=GROUND))
    assert isinstance(made, Delivery)
    assert made.count == 0


def test_no_person_approves_a_request_that_they_entered(
    department: Department, tokens: Tokens, form: ShareForm
) -> None:
    request = recorded(department, tokens("deputy"), form)
    department.call("share/review", tokens("deputy"), ReviewForm(request=request, note="letter is complete"))
    with pytest.raises(DeskRefusal) as refused:
        department.call(
            "share/decide",
            tokens("deputy"),
            DecisionForm(request=request, approved=True, note="known case", **SHERIFFS),
        )
    assert refused.value.code == "own-request"


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"agency_kind": "law-enforcement"}, ("agency_state",)),
        ({"agency_kind": "prosecutor", "agency_state": "CA"}, ("agency_kind",)),
        ({"agency_kind": "law-enforcement", "agency_state": "AZ"}, ("agency_state",)),
    ],
)
def test_who_approves_a_request_says_what_the_agency_is_by_its_letter(
    department: Department, tokens: Tokens, form: ShareForm, change: dict[str, str], fields: tuple[str, ...]
) -> None:
    """A sheriff in Arizona may have been entered as one in California: the gate depends on these fields."""
    maricopa = replace(form, agency="Maricopa County Sheriff's Office", agreement="")
    request = recorded(department, tokens("super"), maricopa)
    rows: Any = department.call("share/list", tokens("deputy"), NothingForm())
    (row,) = rows
    assert (row.agency_kind, row.agency_state) == ("law-enforcement", "CA")
    department.call("share/review", tokens("chief"), ReviewForm(request=request, note="letter is complete"))
    yes = DecisionForm(request=request, approved=True, note="known case", **change)
    with pytest.raises(FormError) as refused:
        department.call("share/decide", tokens("deputy"), yes)
    assert (refused.value.code, refused.value.fields) == ("agency", fields)
    bare = DecisionForm(request=request, approved=True, note="known case")
    with pytest.raises(FormError, match=r"the kind of agency .*; to approve, give the agency's state"):
        department.call("share/decide", tokens("deputy"), bare)
    department.call("share/decide", tokens("deputy"), replace(bare, approved=False))  # not for a no


def test_a_delivery_cannot_exceed_its_scope(
    department: Department, tokens: Tokens, form: ShareForm, scope: Scope
) -> None:
    request = approved(department, tokens, form)
    for beyond in (
        replace(scope, plates=("8XYZ123", "7ABC004")),
        replace(scope, since_us=scope.since_us - 1),
        replace(scope, until_us=scope.until_us + 1),
        replace(scope, images=True),
    ):
        delivery = DeliverForm(request=request, scope=beyond, ground=GROUND)
        with pytest.raises(DeskRefusal) as refused:
            department.call("share/deliver", tokens("super"), delivery)
        assert refused.value.code == "scope"


def test_a_delivery_that_the_key_service_would_not_open_is_not_entered(
    department: Department, form: ShareForm
) -> None:
    """It forgets requests after 92 days: the access would open nothing, and `verify` would name it."""
    request = approved(department, department.logon, form)
    waits = recorded(department, department.logon("super"), replace(form, number="H-26-78"))
    department.call(
        "share/review", department.logon("chief"), ReviewForm(request=waits, note="letter is complete")
    )
    decided = department.desk.book.shares.decided
    department.arrive(department.clock.us + 95 * DAY_US)
    decided[request] = replace(
        decided[request], stamp=replace(decided[request].stamp, at_us=department.clock.us)
    )
    recorded(department, department.logon("super"), form)
    size = department.desk.log.size()
    with pytest.raises(DeskRefusal) as refused:
        department.call(
            "share/deliver", department.logon("super"), DeliverForm(request=request, ground=GROUND)
        )
    assert (refused.value.code, "request again" in refused.value.cure) == ("old-request", True)
    assert not list(department.desk.log.entries(size, kinds=(Access.KIND,)))
    yes = DecisionForm(request=waits, approved=True, note="late", **SHERIFFS)
    deputy = department.logon("deputy")
    assert code_of(department, "share/decide", deputy, yes) == "old-request"
    department.call("share/decide", deputy, replace(yes, approved=False, note="too late"))


def test_transfers_under_the_agreement_are_counted(
    department: Department, tokens: Tokens, form: ShareForm, scope: Scope
) -> None:
    request = approved(department, tokens, form)
    for number in (1, 2):
        narrower = replace(scope, plates=("8XYZ123",)) if number == 2 else scope
        made = department.call(
            "share/deliver", tokens("super"), DeliverForm(request=request, scope=narrower, ground=GROUND)
        )
        assert isinstance(made, Delivery)
        assert made.transfer == number
    assert department.desk.book.shares.transfers("lasd") == 2
    deliveries = [
        entry.note
        for entry in department.desk.log.entries(kinds=(Access.KIND,))
        if isinstance(entry.note, Access) and entry.note.action == "delivery"
    ]
    assert len(deliveries) == 3  # one entry for each plate of each package


def test_the_letter_is_retained_in_the_log(department: Department, tokens: Tokens, form: ShareForm) -> None:
    request = approved(department, tokens, form)
    note = department.desk.log.entry(request).note
    assert isinstance(note, ShareAsked)
    assert (note.letter, note.person, note.scope) == (LETTER, "Det. Ruiz", form.scope)
    shares = department.desk.book.shares
    assert request in shares.reviewed
    assert request in shares.decided


def test_requests_are_listed_and_the_letter_is_read_by_who_reviews_it_as_an_entry(
    department: Department, tokens: Tokens, form: ShareForm, scope: Scope
) -> None:
    request = recorded(department, tokens("super"), form)
    department.call("share/record", tokens("super"), replace(form, agency_kind="insurer", agreement=""))
    shown = department.call("share/letter", tokens("deputy"), SharingRequestForm(request=request))
    assert isinstance(shown, Letter)
    assert (shown.letter, shown.name, shown.scope) == (LETTER, "letter.pdf", scope)
    entry = list(department.desk.log.entries(kinds=(LogRead.KIND,)))[-1]
    assert (entry.stamp.user, entry.note.elements) == ("deputy", f"letter of request {request}")  # type: ignore[attr-defined]
    for user, code in (("officer1", "role"), ("vendor1", "role")):
        with pytest.raises(DeskRefusal) as refused:
            department.call("share/letter", tokens(user), SharingRequestForm(request=request))
        assert refused.value.code == code

    def states() -> list[tuple[str, int]]:
        rows = department.call("share/list", tokens("reviewer1"), NothingForm())
        return [(one.state, one.transfers) for one in rows]  # type: ignore[attr-defined]

    routed = "routed to: Records Maintenance and Release Policy"
    assert states() == [(routed, 0), ("asked", 0)]
    department.call("share/review", tokens("chief"), ReviewForm(request=request, note="letter is complete"))
    assert states() == [(routed, 0), ("reviewed", 0)]
    department.call(
        "share/decide", tokens("deputy"), DecisionForm(request=request, approved=True, note="yes", **SHERIFFS)
    )
    department.call(
        "share/deliver", tokens("super"), DeliverForm(request=request, scope=scope, ground=GROUND)
    )
    assert states() == [(routed, 0), ("approved", 1)]


def test_a_request_that_an_earlier_version_took_is_delivered_whole(
    department: Department, tokens: Tokens, form: ShareForm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could cover future reads; what was read by then is delivered, and the log verifies."""
    later = replace(form, scope=replace(form.scope, until_us=form.scope.until_us + 5 * DAY_US))
    with monkeypatch.context() as patch:
        patch.setattr("sync.department.desk.sharing.rules.TODAY_US", 30 * DAY_US)
        request = approved(department, tokens, later)
    made = department.call("share/deliver", tokens("super"), DeliverForm(request=request, ground=GROUND))
    assert isinstance(made, Delivery)
    assert made.count
    assert problems(department) == ()


def test_an_approval_of_sharing_ends_with_the_account_that_gave_it(
    department: Department, tokens: Tokens, form: ShareForm, scope: Scope
) -> None:
    request = approved(department, tokens, form)
    gone = AccountForm(user="deputy", name="D", organisation="PD", roles=(), reason="left", active=False)
    department.call("user/set", tokens("chief"), gone)
    deliver = DeliverForm(request=request, scope=scope, ground=GROUND)
    with pytest.raises(DeskRefusal) as refused:
        department.call("share/deliver", tokens("super"), deliver)
    assert refused.value.code == "approver-gone"


def test_who_approved_a_request_does_not_deliver_it(
    department: Department, tokens: Tokens, form: ShareForm, scope: Scope
) -> None:
    """Even a person who has both roles needs another's approval."""
    chief = tokens("chief")
    both = AccountForm(
        user="super",
        name="S",
        organisation="Monrovia PD",
        roles=(Role.CCAT_SUPERVISOR, Role.DESIGNEE),
        reason="stands in",
    )
    department.two_hands("user/set", chief, both, second="deputy")
    request = recorded(department, chief, form)
    department.call("share/review", tokens("super"), ReviewForm(request=request, note="letter is complete"))
    department.call(
        "share/decide",
        tokens("super"),
        DecisionForm(request=request, approved=True, note="known case", **SHERIFFS),
    )
    with pytest.raises(DeskRefusal) as refused:
        department.call(
            "share/deliver", tokens("super"), DeliverForm(request=request, scope=scope, ground=GROUND)
        )
    assert refused.value.code == "own-decision"


def test_a_plate_that_a_letter_names_twice_is_delivered_once(
    department: Department, tokens: Tokens, form: ShareForm
) -> None:
    twice = replace(form.scope, plates=("8XYZ123", "8xyz 123"))
    request = approved(department, tokens, replace(form, scope=twice))
    made = department.call("share/deliver", tokens("super"), DeliverForm(request=request, ground=GROUND))
    assert isinstance(made, Delivery)
    assert made.count == 3
    assert len(package.check(made.package, department.desk.log.public).head.reads) == 3
    assert problems(department) == ()


def test_a_stranger_verifies_the_package_and_finds_every_change(
    department: Department, tokens: Tokens, form: ShareForm, scope: Scope
) -> None:
    request = approved(department, tokens, replace(form, scope=replace(scope, images=True)))
    made = department.call(
        "share/deliver",
        tokens("super"),
        DeliverForm(request=request, scope=replace(scope, images=True), ground=GROUND),
    )
    assert isinstance(made, Delivery)
    public = department.desk.log.public
    head = package.check(made.package, public).head
    assert (head.number, len(head.reads), made.count) == ("H-26-77", 4, 4)
    names = zipfile.ZipFile(BytesIO(made.package)).namelist()
    assert "reads/0/record.tlog-proof" in names
    files = unpacked(made.package)
    key = department.home.log_key()
    entries = [name for name in files if name.startswith("entries/")]
    assert len(entries) >= 6  # the search and what it found
    found = sorted({name.split(".")[0] for name in entries})[1]
    bare = {name: data for name, data in files.items() if not name.startswith(f"{found}.")}
    with pytest.raises(PackageError):  # a plate is not enough: the log names each read
        package.check(signed_again(bare, key), public)
    assert "reads/0/overview.jpg" in names
    for name in names:
        out = BytesIO()
        with zipfile.ZipFile(BytesIO(made.package)) as source, zipfile.ZipFile(out, "w") as target:
            for one in names:
                content = source.read(one)
                changed = flip(content, 0) if one == name else content
                target.writestr(one, changed)
        with pytest.raises((PackageError, Exception), match=r".+"):
            package.check(out.getvalue(), public)
    with pytest.raises(PackageError):
        package.check(made.package[:-30], public)


@pytest.mark.parametrize("field", ["agency", "person", "letter", "letter_name"])
def test_a_request_for_records_release_says_who_asks_too(
    department: Department, tokens: Tokens, form: ShareForm, field: str
) -> None:
    empty: object = b"" if field == "letter" else " "
    asked = replace(form, agency_kind="insurer", agreement="", **{field: empty})  # type: ignore[arg-type]
    with pytest.raises(DeskRefusal) as refused:
        department.call("share/record", tokens("super"), asked)
    assert refused.value.code in {"share-form", "share-letter"}
    assert department.desk.book.shares.routed == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        pytest.param({"plates": ("8XYZ*",)}, "plate", id="a wildcard"),
        pytest.param({"plates": ("8X",)}, "plate", id="a part of a plate"),
        pytest.param({"plates": ()}, "form", id="no plate"),
        pytest.param({"until_us": 5}, "form", id="a time that runs back"),
    ],
)
def test_a_scope_that_could_not_be_delivered_is_refused_and_entered_as_refused(
    department: Department, tokens: Tokens, form: ShareForm, change: dict[str, object], code: str
) -> None:
    scope = replace(form.scope, **change)  # type: ignore[arg-type]
    with pytest.raises(DeskRefusal) as refused:
        department.call("share/record", tokens("super"), replace(form, scope=scope))
    assert (refused.value.code, refused.value.clause) == (code, "463.6 (a)")
    assert "8X" not in str(refused.value)
    last = department.desk.log.entry(department.desk.log.size() - 1).note
    assert isinstance(last, Refused)
    assert (last.call, last.code) == ("share.record", code)


def test_a_state_is_two_letters_however_they_are_typed(
    department: Department, tokens: Tokens, form: ShareForm
) -> None:
    assert recorded(department, tokens("super"), replace(form, state=" ca ")) > 0
    for state in ("California", "", "C", "C4"):
        with pytest.raises(DeskRefusal) as refused:
            department.call("share/record", tokens("super"), replace(form, state=state))
        assert refused.value.code == "share-form"


def test_a_decision_says_why(department: Department, tokens: Tokens, form: ShareForm) -> None:
    request = recorded(department, tokens("super"), form)
    department.call("share/review", tokens("chief"), ReviewForm(request=request, note="letter is complete"))
    for yes in (True, False):
        with pytest.raises(DeskRefusal) as refused:
            department.call(
                "share/decide", tokens("chief"), DecisionForm(request=request, approved=yes, note=" ")
            )
        assert refused.value.code == "note"
