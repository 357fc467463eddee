"""Root at the desk invents what people did: trainings, alerts, hot lists, grants, releases, verdicts.

Root holds the log's key and writes any entry in anyone's name, even in an open session, or with a signature
that an accomplice gave for something else. The key service and `department verify` judge every entry, and
content that depends on a bad one stays closed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from desk_cars import Car
from desk_root import VICTIM, Root, account_form, problems
from desk_twins import GROUND, Department, take_call
from forged_notes import NO_QUERY, READ, grant, known, signed_document, training

from storage.alert_life import AlertAnswer, AlertEvent, AlertStep, Fit
from storage.times import DAY_US, HOUR_US
from sync.department.desk.alerts.calls import AlertForm
from sync.department.desk.holds.calls import AskReleaseForm, Exported, ExportForm
from sync.department.desk.inquiry.forms import Images, NothingForm, RunForm
from sync.department.desk.sessions import digest_of
from sync.department.journal.alert_entries import AlertKnown, AlertRecordsOpened, AlertStepTaken
from sync.department.journal.change_entries import (
    ChangeProposed,
    DesignationSet,
    GlassJudged,
    ListSent,
)
from sync.department.journal.entries import (
    AccessLogOpened,
    Disputed,
    Filed,
    FindingClosed,
    LockoutLifted,
    RequestAnswered,
    TrainingDone,
)
from sync.department.journal.entry_base import SYSTEM, Note
from sync.department.journal.hold_entries import (
    ASKED_DAYS,
    HoldBooked,
    HoldPlaced,
    HoldReleased,
    ReleaseAsked,
)
from sync.department.journal.inquiry_entries import InquiryAsked, SearchProposed
from sync.department.journal.machine_entries import ClockConfirmed, PurgeAllowed, StoreRestored, UnitRevoked
from sync.department.journal.made_by import MADE_KINDS
from sync.department.journal.office_entries import GrantsRevoked, IncidentSettled
from sync.department.journal.sharing_entries import ShareReviewed
from sync.department.journal.signed_log import SignedLog
from sync.department.journal.signers import SIGNER_KINDS
from sync.department.journal.unsigned import UnsignedError
from sync.department.policy.refusals import DeskRefusal
from sync.department.policy.roles import Role

Tokens = Callable[[str], str]
STEP = AlertStep(
    step=AlertEvent.ANSWERED,
    user=VICTIM,
    role="communications",
    at_us=1,
    answer=AlertAnswer.CONFIRMED,
    fit=Fit.YES,
)
INVENTED: dict[str, Note] = {
    "a training": training(),
    "an alert": known(),
    "a confirmation of an alert": AlertStepTaken(alert="11" * 32 + "/3", unit="", step=STEP),
    "a unit's step with an alert": AlertStepTaken(alert="11" * 32 + "/3", unit="car-8", step=STEP),
    "alerts that count as opened": AlertRecordsOpened(records=("11" * 32 + "/3",)),
    "an update": signed_document(),
    "a hot list": signed_document("hotlist/doj"),
    "the public facts of a list": ListSent(
        list_id="doj", source="SVS", agency="", entries=1, covert=0, categories=()
    ),
    "a grant": grant(),
    "a revocation": GrantsRevoked(names=("vendor1",), reason="because"),
    "a hold": HoldPlaced(access=1, reads=(READ,), ground="discovery", authority="Court", number="26-1"),
    "a request for a release": ReleaseAsked(hold=1, evidence_item="E-1"),
    "a release": HoldReleased(hold=1, access=1, evidence_item="E-1", asked_by="chief"),
    "a verdict on an emergency": GlassJudged(access=1, justified=True, reason="known to me"),
    "a request of an officer": InquiryAsked(query=NO_QUERY, ground=GROUND),
    "a proposal of a search": SearchProposed(query=NO_QUERY, ground=GROUND, request=-1),
    "a proposal of a change": ChangeProposed(call="user/set", about="pup", digest=bytes(32), summary="s"),
    "a dispute": Disputed(entry=3, reason="it was another person"),
    "a closed finding": FindingClosed(finding=1, verdict="justified", note="all is well here"),
    "a lifted lock-out": LockoutLifted(user="disp1", reason="called"),
    "a designation": DesignationSet(user="deputy", ends_us=1 << 60),
    "a settled incident": IncidentSettled(
        incident=1, kind="fork", unit="u", opened_us=1, finding="nothing to see", second=True
    ),
    "a confirmed clock": ClockConfirmed(wall_us=2, held_us=1, reason="by radio"),
    "a backlog that may go": PurgeAllowed(through=30_000, reason="because"),
    "a restore": StoreRestored(backup="2026-09-20", reason="the disk failed", lost=()),
    "a unit out of service": UnitRevoked(unit="car-1", reason="sold"),
    "a filed access": Filed(access=1, rms_number="RMS-1"),
    "a request that is declined": RequestAnswered(request=1, access=-1, reads=(), reason="no"),
    "a request that is answered": RequestAnswered(request=1, access=2, reads=(), reason=""),
    "a review of a request": ShareReviewed(request=1, note="all in order"),
}


@pytest.mark.parametrize("how", ["bare", "in an open session", "by the machine", "with another signature"])
def test_what_root_invents_in_a_persons_name_is_named(department: Department, how: str) -> None:
    """Every kind of entry about what a person did, each as well as root can make it."""
    assert problems(department) == ()
    root = Root(department)
    stamp, signed = root.stamp("super"), b""
    if how == "in an open session":
        stamp = root.stamp("super", digest_of(department.logon("super")))
    elif how == "by the machine":
        stamp = root.stamp(SYSTEM)
    elif how == "with another signature":
        stamp, signed = root.signed("super", "inquiry/run", RunForm(query=root.query(), ground=GROUND))
    entries = {root.write(note, stamp, signed): note for note in INVENTED.values()}
    found = problems(department)
    for entry, note in entries.items():
        named = [one for one in found if one.startswith(f"entry {entry}: {note.KIND}")]
        assert len(named) == 1, (entry, note.KIND, found)


def test_every_kind_that_a_person_makes_is_tried_or_rests_on_one_that_is() -> None:
    tried = {one.KIND for one in INVENTED.values()}
    rest = {
        "grant_delegated", "hold_rests", "hold_exported", "hold_booked", "glass_broken", "audit",
        "purge_asked", "unit_code", "closed_log", "reset_handed", "share_asked", "share_routed",
        "share_delivered", "redress_answered", "audit_begun",
    }  # fmt: skip
    assert tried | rest == MADE_KINDS


def test_a_training_that_root_wrote_opens_nothing(department: Department) -> None:
    """The year is over; root enters a new training, and a colluding desk makes the person's search."""
    department.clock.step(366 * DAY_US)
    for user in ("comm1", "super"):
        department.renew_password(user)
    root = Root(department)
    root.write(training(VICTIM, root.stamp().at_us), root.stamp("super"))
    look_up, form = root.look_up(), RunForm(query=root.query(), ground=GROUND)
    stamp, signed = root.signed(VICTIM, "inquiry/run", form)
    entry = root.write(look_up, stamp, signed)
    with pytest.raises(DeskRefusal) as refused:
        root.opens(entry)
    assert (refused.value.code, "no signed training" in refused.value.what) == ("unsigned", True)
    assert any(one.startswith(f"entry {entry}: access") for one in problems(department))


def held(department: Department) -> tuple[int, int]:
    """Make a hold and book it in. Returns (its number, its access)."""
    token = department.logon("super")
    hold = department.held(token)
    note = department.desk.log.entry(hold).note
    assert isinstance(note, HoldPlaced)
    made = department.call("hold/export", token, ExportForm(hold=hold, medium="USB 1", ground=GROUND))
    assert isinstance(made, Exported)
    department.call("hold/book", token, AskReleaseForm(hold=hold, evidence_item="E-26-0042"))
    return hold, note.access


@pytest.mark.parametrize(
    "how",
    [
        "both words invented",
        "the second word invented",
        "one person, twice",
        "another hold's key",
        "another item number",
    ],
)
def test_root_destroys_no_held_evidence(department: Department, how: str) -> None:
    hold, access = held(department)
    book = AskReleaseForm(hold=hold, evidence_item="E-26-0042")
    root = Root(department)
    if how == "both words invented":
        root.write(ReleaseAsked(hold=hold, evidence_item="E-26-0042"), root.stamp("super"))
    else:
        department.call("hold/ask-release", department.logon("super"), book)
    note = HoldReleased(hold=hold, access=access, evidence_item="E-26-0042", asked_by="super")
    if how == "another item number":  # booked again in between, which the desk would refuse
        other_book = AskReleaseForm(hold=hold, evidence_item="E-26-0043")
        stamp, signed = root.signed("super", "hold/book", other_book)
        root.write(HoldBooked(hold=hold, evidence_item="E-26-0043"), stamp, signed)
        stamp, signed = root.signed("chief", "hold/release", other_book)
        entry = root.write(replace(note, evidence_item="E-26-0043"), stamp, signed)
    elif how in {"one person, twice", "another hold's key"}:
        other = how == "another hold's key"  # both approvals are real, but for a hold with another key
        stamp, signed = root.signed("chief" if other else "super", "hold/release", book)
        entry = root.write(replace(note, access=access - 1) if other else note, stamp, signed)
    else:
        entry = root.write(note, root.stamp("chief", digest_of(department.logon("chief"))))
    with pytest.raises(DeskRefusal, match="ends no hold") as refused:
        department.front.door.release(department.desk.covered(entry))
    assert refused.value.code == "unsigned"
    export = ExportForm(hold=hold, medium="USB 2", ground=GROUND)
    again = department.call("hold/export", department.logon("super"), export)
    assert isinstance(again, Exported)  # the key is there


@pytest.mark.parametrize("how", ["a week", "the account", "the role", "the policy"])
def test_the_first_word_for_a_release_ends_at_the_key_service_too(department: Department, how: str) -> None:
    """Root and the second person cannot destroy evidence on a request by a person who has lost that right."""
    hold, access = held(department)
    book, root = AskReleaseForm(hold=hold, evidence_item="E-26-0042"), Root(department)
    department.call("hold/ask-release", department.logon("super"), book)
    account = department.desk.book.roster.accounts["super"]
    if how == "a week":
        department.clock.step(ASKED_DAYS * DAY_US + 2 * HOUR_US)
    elif how == "the policy":
        take_call(department, "ccat-supervisor", "hold.release")
    elif how == "the account":
        department.call("user/set", department.logon("chief"), account_form(account, active=False))
    else:
        form = account_form(account, roles=(Role.DISPATCHER,))
        department.two_hands("user/set", department.logon("chief"), form, second="deputy")
    stamp, signed = root.signed("chief", "hold/release", book)
    note = HoldReleased(hold=hold, access=access, evidence_item="E-26-0042", asked_by="super")
    entry = root.write(note, stamp, signed)
    with pytest.raises(DeskRefusal, match="ends no hold"):
        department.front.door.release(department.desk.covered(entry))
    assert [one for one in problems(department) if one.startswith(f"entry {entry}: ")]


def test_two_peoples_release_ends_a_hold_even_weeks_later(department: Department) -> None:
    """The control: after a crash between the entry and the key, the daily run destroys the key."""
    hold, _ = held(department)
    book = AskReleaseForm(hold=hold, evidence_item="E-26-0042")
    department.call("hold/ask-release", department.logon("super"), book)
    made = department.call("hold/release", department.logon("chief"), book)
    department.clock.step(20 * DAY_US)
    department.front.door.release(department.desk.covered(made.entry))  # type: ignore[attr-defined]
    assert problems(department) == ()


def test_what_units_raised_is_signed_by_the_look_that_opened_it(
    department: Department, tokens: Tokens
) -> None:
    car = Car(department)
    try:
        alert = car.raises()
        token = tokens("disp1")
        department.call("alert/list", token, NothingForm())
        entries = list(department.desk.log.entries(kinds=(AlertKnown.KIND,)))
        assert [bool(one.signed) for one in entries] == [True]
        assert isinstance(department.call("alert/show", token, AlertForm(alert=alert)), Images)
    finally:
        car.unit.close()
    assert problems(department) == ()


def test_an_older_log_demands_a_kind_from_its_first_signed_entry_on(department: Department) -> None:
    """In a log from before all entries were signed, unsigned entries of that time stay valid."""

    entries = list(department.desk.log.entries())
    first = entries[0].note
    assert isinstance(first, AccessLogOpened)
    older = SignedLog()
    older.judge(replace(entries[0], note=replace(first, signs=0)))
    trained = [one for one in entries if isinstance(one.note, TrainingDone)]
    assert all(one.signed for one in trained)
    for entry in entries[1 : trained[-1].sequence]:
        if entry.note.KIND in SIGNER_KINDS:
            bare = isinstance(entry.note, TrainingDone)
            older.judge(replace(entry, signed=b"") if bare else entry)
    older.judge(trained[-1])  # the first signed entry
    with pytest.raises(UnsignedError):
        older.judge(replace(trained[-1], signed=b""))
