"""Every field of an entry is one that its person signed, or one that the server must add.

Each kind is made from its call's form; then every field of the entry is changed in turn under the same
signature. A field that may change undetected must be listed here. Only the rules are tested, without a log.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any

import pytest
from desk_twins import COURSE, GROUND, TOPICS
from flipped import flip

from storage.times import DAY_US, day_text
from sync.department.desk.audit.calls import AuditCloseForm, PeriodForm
from sync.department.desk.break_glass.calls import GlassForm, JudgeForm
from sync.department.desk.documents.calls import SignForm
from sync.department.desk.documents.lists import ListForm
from sync.department.desk.documents.local import WithdrawForm
from sync.department.desk.grants.calls import LendForm, SignedForm
from sync.department.desk.grants.revoking import RevokeForm
from sync.department.desk.holds.calls import AskReleaseForm, BookForm, ExportForm, HoldForm, ReleaseForm
from sync.department.desk.incidents.calls import SettleForm
from sync.department.desk.inquiry.forms import AskForm, DisputeForm, ProposeForm
from sync.department.desk.machine.calls import ClockForm, PurgeForm
from sync.department.desk.machine.restored import RestoreForm
from sync.department.desk.machine.unit_calls import BringForm, ResetForm, RevokeUnitForm, UnitForm
from sync.department.desk.people.bulk import ImportForm, PersonLine
from sync.department.desk.people.calls import AccountForm, CredentialForm, HandoverForm, UserForm
from sync.department.desk.people.training_calls import ClassForm, TrainingForm
from sync.department.desk.redress.calls import RedressAnswerForm
from sync.department.desk.sharing.calls import DeliverForm, ReviewForm, ShareForm
from sync.department.journal.change_entries import (
    ChangeProposed,
    DesignationSet,
    DocumentSigned,
    GlassBroken,
    GlassJudged,
    HoldRests,
    ListSent,
)
from sync.department.journal.entries import (
    ISSUED,
    KEPT,
    AccountSet,
    AuditBegun,
    AuditDone,
    CredentialSet,
    Disputed,
    FindingClosed,
    LockoutLifted,
    Shift,
    TrainingDone,
)
from sync.department.journal.entry_base import Note
from sync.department.journal.hold_entries import (
    HoldBooked,
    HoldExported,
    HoldPlaced,
    HoldReleased,
    ReleaseAsked,
)
from sync.department.journal.inquiry_entries import Ground, InquiryAsked, Query, SearchProposed
from sync.department.journal.machine_entries import (
    ClockConfirmed,
    ClosedLogBrought,
    PurgeAllowed,
    PurgeAsked,
    ResetHanded,
    StoreRestored,
    UnitCodeIssued,
    UnitRevoked,
    digest_of_losses,
)
from sync.department.journal.made_by import MADE, demand_made
from sync.department.journal.office_entries import GrantDelegated, GrantIssued, GrantsRevoked, IncidentSettled
from sync.department.journal.redress_entries import RedressAnswered
from sync.department.journal.second_hand_facts import change_digest
from sync.department.journal.sharing_entries import (
    Scope,
    ShareAsked,
    ShareDelivered,
    ShareReviewed,
    ShareRouted,
)
from sync.department.journal.signed_roster import by_offices, fits_account, fits_credential, fits_designation
from sync.department.journal.statements import Statement, form_bytes
from sync.department.journal.unsigned import UnsignedError
from sync.department.policy.roles import Role
from sync.hot_lists.document import head_name

NOW = 20_000 * DAY_US
BODY, LETTER = b"body" * 500, b"letter" * 500
QUERY = Query(plate="8XYZ*", since_us=NOW - DAY_US, until_us=NOW, area=None, unit="")
SCOPE = Scope(plates=("8XYZ123",), since_us=1, until_us=2, images=False)
KEYS = ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl",)
SHARE = ShareForm(
    agency="LASD", agency_kind="law-enforcement", state=" ca", person="D. Eputy", purpose="theft",
    number="26-1", letter=LETTER, letter_name="letter.pdf", scope=SCOPE,
)  # fmt: skip
HOLD = HoldForm(
    reads=("00" * 32 + "/7",),
    hold_ground="discovery",
    authority="Court",
    number="26-1",
    ground=GROUND,
    accesses=(4, 5),
)
LIST = ListForm(
    list_id="doj", layout="ncic", body=BODY, issuer="DOJ", source="SVS", agency="LASD", reason="daily"
)


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def said(call: str, form: object, user: str = "chief") -> Statement:
    return Statement(
        department=bytes(32), user=user, call=call, form=form_bytes(form), at_us=NOW, nonce=bytes(16)
    )


@dataclass(frozen=True)
class Case:
    """An entry as its call makes it, and the names of the fields that the server adds."""

    call: str
    form: object
    note: Note
    added: str = ""


DOCUMENT = DocumentSigned(name=head_name("doj"), digest=sha(BODY), size=2000, unit="", expires_us=NOW)
CASES = (
    Case(
        "training/record",
        TrainingForm(user="o1", trainer="super", course=COURSE, policy_version=1, topics=TOPICS, held_us=5),
        TrainingDone(user="o1", trainer="super", course=COURSE, policy_version=1, topics=TOPICS, held_us=5),
    ),
    Case(
        "training/record-class",
        ClassForm(users=("o1",), trainer="super", course=COURSE, policy_version=1, topics=TOPICS, held_us=5),
        TrainingDone(user="o1", trainer="super", course=COURSE, policy_version=1, topics=TOPICS, held_us=5),
    ),
    Case(
        "document/sign",
        SignForm(kind="update", name="9.9", body=BODY, reason="a fix"),
        replace(DOCUMENT, name="update/9.9"),
        added="size expires_us",
    ),
    Case("hotlist/push", LIST, DOCUMENT, added="size"),
    Case(
        "hotlist/withdraw",
        WithdrawForm(case="26-1", reason="found"),
        replace(DOCUMENT, name=head_name("local")),
        added="digest size expires_us",
    ),
    Case(
        "hotlist/push",
        LIST,
        ListSent(list_id="doj", source="SVS", agency="LASD", entries=1, covert=0, categories=()),
        added="entries covert categories",
    ),
    Case(
        "hotlist/withdraw",
        WithdrawForm(case="26-1", reason="found"),
        ListSent(list_id="local", source="local", agency="", entries=1, covert=0, categories=()),
        added="source agency entries covert categories",
    ),
    Case(
        "grant/lend",
        LendForm(designee="deputy", days=30),
        GrantDelegated(designee="deputy", public_key=bytes(32), from_us=NOW, to_us=NOW + 30 * DAY_US),
        added="public_key",
    ),
    Case(
        "grant/revoke", RevokeForm(names=("v1",), reason="sold"), GrantsRevoked(names=("v1",), reason="sold")
    ),
    Case(
        "hold/place",
        HOLD,
        HoldPlaced(access=1, reads=HOLD.reads, ground="discovery", authority="Court", number="26-1"),
        added="access received",  # access: checked by `signers.py`; received: days in the store
    ),
    Case("hold/place", HOLD, HoldRests(access=1, searches=(4, 5), approval=-1), added="access content"),
    Case(
        "hold/export",
        ExportForm(hold=3, medium="USB 1", ground=GROUND),
        HoldExported(hold=3, access=5, package=bytes(32), medium="USB 1"),
        added="access package",
    ),
    Case("hold/book", BookForm(hold=3, evidence_item="E-1"), HoldBooked(hold=3, evidence_item="E-1")),
    Case(
        "hold/ask-release",
        AskReleaseForm(hold=3, reason="of another car"),
        ReleaseAsked(hold=3, evidence_item="", reason="of another car"),
    ),
    Case(
        "hold/release",
        ReleaseForm(hold=3, evidence_item="E-1"),
        HoldReleased(hold=3, access=1, evidence_item="E-1", asked_by="super"),
        added="access asked_by",  # of the hold and its first approval: `second_hands.py`
    ),
    Case(
        "inquiry/break-glass",
        GlassForm(query=QUERY, ground=GROUND, danger="a child"),
        GlassBroken(access=1, danger="a child", due_us=NOW),
        added="access due_us",
    ),
    Case(
        "inquiry/judge",
        JudgeForm(access=1, justified=True, reason="known to me"),
        GlassJudged(access=1, justified=True, reason="known to me"),
    ),
    Case(
        "inquiry/request",
        AskForm(query=replace(QUERY, plate="8 xyz *"), ground=GROUND),
        InquiryAsked(query=QUERY, ground=GROUND),
    ),
    Case(
        "inquiry/propose",
        ProposeForm(query=QUERY, ground=GROUND, request=7),
        SearchProposed(query=QUERY, ground=GROUND, request=7),
    ),
    Case("inquiry/dispute", DisputeForm(entry=4, reason="not me"), Disputed(entry=4, reason="not me")),
    Case(
        "audit/close",
        AuditCloseForm(finding=4, verdict="misuse", note="his neighbor"),
        FindingClosed(finding=4, verdict="misuse", note="his neighbor"),
    ),
    Case(
        "audit/run",
        PeriodForm(since_us=1, until_us=NOW),
        AuditDone(from_us=1, to_us=NOW, accesses=1, findings=(), tree_size=9),
        added="accesses findings tree_size begun head",
    ),
    Case("audit/run", PeriodForm(since_us=1, until_us=NOW), AuditBegun(from_us=1, to_us=NOW)),
    Case(
        "user/lift-lockout", UserForm(user="o1", reason="called"), LockoutLifted(user="o1", reason="called")
    ),
    Case(
        "incident/close",
        SettleForm(incident=4, kind="fork", unit="u", opened_us=1, finding="a copied card"),
        IncidentSettled(
            incident=4, kind="fork", unit="u", opened_us=1, finding="a copied card", second=False
        ),
        added="second",  # a second person's approval: `second_hands.py`
    ),
    Case(
        "clock/confirm",
        ClockForm(day=day_text(20_000), reason="by radio"),
        ClockConfirmed(wall_us=NOW, held_us=1, reason="by radio"),
        added="held_us",
    ),
    Case(
        "backlog/allow",
        PurgeForm(through=day_text(19_000), reason="a year off"),
        PurgeAllowed(through=19_000, reason="a year off"),
    ),
    Case(
        "restore/enter",
        RestoreForm(backup=day_text(19_000), reason="the disk failed", lost=digest_of_losses(())),
        StoreRestored(backup=day_text(19_000), reason="the disk failed", lost=()),
    ),
    Case(
        "unit/enroll", UnitForm(name="car 8"), UnitCodeIssued(name="car 8", digest=bytes(32)), added="digest"
    ),
    Case(
        "unit/revoke", RevokeUnitForm(unit="car 8", reason="sold"), UnitRevoked(unit="car 8", reason="sold")
    ),
    Case(
        "incident/bring",
        BringForm(log="aa", records=3, digest=bytes(32), reason="on the bench"),
        ClosedLogBrought(log="aa", records=3, digest=bytes(32), reason="on the bench"),
    ),
    Case("incident/reset", ResetForm(receipt=BODY), ResetHanded(digest=sha(BODY))),
    Case(
        "share/record",
        SHARE,
        ShareAsked(
            agency="LASD",
            agency_kind="law-enforcement",
            state="CA",
            person="D. Eputy",
            purpose="theft",
            number="26-1",
            letter=LETTER,
            letter_name="letter.pdf",
            scope=SCOPE,
            agreement="",
        ),
    ),
    Case(
        "share/record",
        SHARE,
        ShareRouted(agency="LASD", person="D. Eputy", to="records", letter_digest=sha(LETTER)),
        added="to",
    ),
    Case("share/review", ReviewForm(request=4, note="in order"), ShareReviewed(request=4, note="in order")),
    Case(
        "share/deliver",
        DeliverForm(request=4, ground=GROUND),
        ShareDelivered(request=4, access=1, count=1, package=bytes(32)),
        added="access count package",
    ),
    Case(
        "redress/answer",
        RedressAnswerForm(request=4, outcome="corrected", note="the read was wrong"),
        RedressAnswered(request=4, outcome="corrected", note="the read was wrong"),
    ),
)
ELSEWHERE = {
    "PurgeAsked": "has no field",
    "GrantIssued": "rebuilt whole from its form: test_two_person_grants.py",
    "DesignationSet": "with the roster, below",
    "ChangeProposed": "with the roster, below; its digest is of the whole form: test_attack_second.py",
    "RequestAnswered": "test_own_hand.py",
    "Filed": "test_own_hand.py",
    **dict.fromkeys(("AlertKnown", "AlertRecordsOpened"), "what a unit recorded: test_alert_binding.py"),
    "AlertStepTaken": "as typed: test_alert_binding.py",
}


def changed(value: Any) -> list[Any]:
    """Yield other values of the same type."""
    other: Any = None
    match value:
        case bool():
            other = not value
        case StrEnum():
            other = next(one for one in type(value) if one is not value)
        case int():
            other = value + 40 * DAY_US
        case str():
            other = value + "X"
        case bytes():
            other = flip(value, -1)
        case tuple():
            other = (*changed(value[0])[:1], *value[1:]) if value else ("x",)
        case Query() | Ground() | Scope() | Shift():
            inner = (
                (one.name, other) for one in fields(value) for other in changed(getattr(value, one.name))
            )
            return [replace(value, **{name: other}) for name, other in inner]
    return [] if other is None else [other]


def holds(note: Note, statement: Statement) -> bool:
    try:
        demand_made(note, statement)
    except UnsignedError:
        return False
    return True


def variants(note: Note, added: str) -> list[tuple[str, Note]]:
    """Yield the entry with each signed field changed in turn."""
    return [
        (one.name, replace(note, **{one.name: other}))
        for one in fields(note)
        if one.name not in added.split()
        for other in changed(getattr(note, one.name))
    ]


@pytest.mark.parametrize("case", CASES, ids=lambda one: f"{one.note.KIND} by {one.call}")
def test_no_field_of_what_a_person_made_can_be_turned_under_its_signature(case: Case) -> None:
    statement = said(case.call, case.form)
    assert holds(case.note, statement)
    for name, turned in variants(case.note, case.added):
        assert not holds(turned, statement), f"{case.note.KIND}.{name} was turned"


def test_every_kind_is_tried_here_or_bound_elsewhere() -> None:
    tried = {type(one.note).__name__ for one in CASES}
    assert tried | ELSEWHERE.keys() == {one.__name__ for one in MADE}
    assert not fields(PurgeAsked)


# the roster ----------------------------------------------------------------------------------------------

OFFICER = AccountSet(
    user="o1", name="O. Fficer", organisation="Monrovia PD", roles=(Role.OFFICER,),
    shift=Shift(start_min=0, end_min=60), active=True, reason="hired", ssh_keys=(),
)  # fmt: skip
RESET = CredentialForm(user="o1", reason="lost")
FIRST = CredentialSet(user="o1", digest=bytes(32), first=True, authenticator=ISSUED)
CHIEF = replace(OFFICER, user="chief", roles=(Role.ADMINISTRATOR,))
SET = AccountForm(
    user="o1",
    name="O. Fficer",
    organisation="Monrovia PD",
    roles=(Role.OFFICER,),
    shift=OFFICER.shift,
    reason="hired",
)
IMPORT = ImportForm(people=(PersonLine(user="o1", name="O. Fficer", roles=(Role.OFFICER,)),), reason="hired")
OVER = HandoverForm(user="o1", reason="retires", keep_roles=(Role.OFFICER,))
HEIR = replace(OFFICER, roles=(Role.OFFICER, Role.ADMINISTRATOR), reason="retires")
LEFT = replace(CHIEF, roles=(Role.OFFICER,), reason="retires")
Fits = Callable[[Any], bool]
ROSTER: dict[str, tuple[Fits, Note, str]] = {
    "an account": (lambda one: fits_account(said("user/set", SET), one, OFFICER), OFFICER, ""),
    "an account of a list": (
        lambda one: fits_account(said("user/import", IMPORT), one, None),
        replace(OFFICER, shift=None),
        "organisation reason",
    ),
    "who takes the office over": (
        lambda one: fits_account(said("user/hand-over", OVER), one, OFFICER), HEIR, "",
    ),
    "who hands it over": (lambda one: fits_account(said("user/hand-over", OVER), one, CHIEF), LEFT, ""),
    "whom the offices named": (
        lambda one: by_offices(one, OFFICER, "o1"),
        replace(OFFICER, roles=(Role.ADMINISTRATOR,)),
        "name organisation reason",
    ),
    "who was administrator": (
        lambda one: by_offices(one, CHIEF, "o1"), replace(CHIEF, roles=(), active=False), "reason",
    ),
    "a first password": (
        lambda one: fits_credential(said("user/credential", RESET), one),
        FIRST,
        "digest authenticator",
    ),
    "a designation": (
        lambda one: fits_designation(said("user/set", replace(SET, ends_us=NOW + DAY_US)), one, NOW, 365),
        DesignationSet(user="o1", ends_us=NOW + DAY_US),
        "user",  # checked by its rule
    ),
}  # fmt: skip


PROPOSED: dict[str, tuple[object, str, str]] = {
    "user/set": (SET, "o1", f"o1, {SET.name}: sworn-officer; hired"),
    "user/import": (IMPORT, "o1", "o1: sworn-officer"),
    "user/hand-over": (OVER, "o1", "chief hands the office over to o1; retires"),
    "user/credential": (RESET, "o1", "new first password for o1; lost"),
}


@pytest.mark.parametrize("call", PROPOSED)
def test_a_second_person_reads_what_was_proposed(call: str) -> None:
    form, about, words = PROPOSED[call]
    statement = said(call, replace(form, propose=True))  # type: ignore[type-var]
    note = ChangeProposed(call=call, about=about, digest=change_digest(statement), summary=words)
    assert holds(note, statement)
    for name, turned in variants(note, ""):
        assert not holds(turned, statement), f"{call}: {name} was turned"


def test_a_proposed_account_in_the_words_of_an_earlier_log_still_counts() -> None:
    statement = said("user/set", replace(SET, active=False, propose=True))
    for words in ("o1: sworn-officer; hired", f"o1, {SET.name}: sworn-officer; hired"):
        note = ChangeProposed(call="user/set", about="o1", digest=change_digest(statement), summary=words)
        demand_made(note, statement, earlier=True)


def test_a_grant_in_a_file_that_no_form_holds_is_not_the_one_that_was_signed() -> None:
    note = GrantIssued(
        grant_id="ab", person="v1", organisation="ACME", role="vendor", holder="x", purpose="repair",
        work_order="1", units=(), commands=(), from_us=NOW, to_us=NOW, digest=bytes(32), signer="deputy",
    )  # fmt: skip
    assert not holds(note, said("grant/enter", SignedForm(bundle=b"bundle" * 1000)))


@pytest.mark.parametrize("what", ROSTER)
def test_no_field_of_the_roster_can_be_turned_under_its_signature(what: str) -> None:
    fits, note, added = ROSTER[what]
    assert fits(note)
    for name, turned in variants(note, added):
        assert not fits(turned), f"{what}: {name} was turned"


OTHERS: dict[str, tuple[Statement, AccountSet | CredentialSet]] = {
    "a reset by a change": (said("user/set", SET), FIRST),
    "a reset by a proposal": (said("user/credential", replace(RESET, propose=True)), FIRST),
    "one's own reset": (said("user/credential", RESET, "o1"), FIRST),
    "a reset that keeps the phone": (said("user/credential", RESET), replace(FIRST, authenticator=KEPT)),
    "an account by a reset": (said("user/credential", RESET), OFFICER),
    "an account by a proposal": (said("user/set", replace(SET, propose=True)), OFFICER),
    "one's own account": (said("user/set", SET, "o1"), OFFICER),
    "an account without its key": (said("user/set", replace(SET, ssh_keys=KEYS)), OFFICER),
    "an account that was there": (said("user/import", IMPORT), replace(OFFICER, shift=None)),
}


@pytest.mark.parametrize("what", OTHERS)
def test_a_signature_for_one_change_of_the_roster_does_not_count_for_another(what: str) -> None:
    statement, note = OTHERS[what]
    if isinstance(note, CredentialSet):
        assert not fits_credential(statement, note)
    else:
        assert not fits_account(statement, note, OFFICER)
