"""Which signed call makes an entry of each kind, in which role, and what its form must say. No I/O.

Root at the department's server can write any entry, but cannot make the signature of a person's session. So
an entry about a person's action (a training, a grant, a hot list, a release, a verdict) is compared with the
form that this person signed. Accesses, accounts, credentials, keys and decisions have their own rules
(`signed_forms.py`, `signers.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from storage.alert_life import AlertEvent
from storage.codec import from_plain, to_plain
from storage.errors import StorageError
from storage.plate_states import typed_state
from storage.plate_text import normal_plate
from storage.times import DAY_US, HOUR_US, parse_utc
from sync.department.journal.alert_entries import AlertKnown, AlertRecordsOpened, AlertStepTaken
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
    AccountSet,
    AuditBegun,
    AuditDone,
    Disputed,
    Filed,
    FindingClosed,
    LockoutLifted,
    RequestAnswered,
    TrainingDone,
)
from sync.department.journal.entry_base import Note
from sync.department.journal.granted import is_signed_grant
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
from sync.department.journal.office_entries import GrantDelegated, GrantIssued, GrantsRevoked, IncidentSettled
from sync.department.journal.redress_entries import RedressAnswered
from sync.department.journal.second_hand_facts import change_digest
from sync.department.journal.sharing_entries import ShareAsked, ShareDelivered, ShareReviewed, ShareRouted
from sync.department.journal.signed_roster import earlier_words_of, words_of
from sync.department.journal.statements import SHA256, SIGNED_WITHIN_US, Statement
from sync.department.journal.unsigned import UnsignedError
from sync.department.policy.roles import Call
from sync.hot_lists.document import LOCAL, head_name

Form = Mapping[str, Any]
Accounts = Mapping[str, AccountSet]
TYPED = ("plate", "fit", "practicable", "text", "outcome")
STEP_CALLS = {
    AlertEvent.VIEWED: "alert/show",
    AlertEvent.TRANSCRIBED: "alert/transcribe",
    AlertEvent.ANSWERED: "alert/answer",
    AlertEvent.CLETS: "alert/clets",
    AlertEvent.CLOSED: "alert/close",
}


@dataclass(frozen=True, slots=True)
class Rule:
    """The rule for a kind of entry.

    `calls`: those that make it, by a person whose role may make them. `same`: fields that must equal those of
    the form, if the form has them; `fits`: a further check; `two`: calls that take two people.
    """

    calls: Mapping[str, Call | None]
    same: tuple[str, ...] = ()
    fits: Callable[[Any, Form, Statement], bool] | None = None
    two: frozenset[str] = frozenset()


def _rule(calls: str, call: Call | None, same: str = "", **more: Any) -> Rule:
    return Rule(dict.fromkeys(calls.split(), call), tuple(same.split()), **more)


def _of_class(note: TrainingDone, form: Form, said: Statement) -> bool:
    """Whether the trained person signed the class's sheet, and is not the person who records it."""
    users = form.get("users")
    return note.user != said.user and (users is None or note.user in users)


def _body_digest(value: object) -> bytes | None:
    """SHA-256 of the document in a form, which has the document or its digest."""
    if isinstance(value, dict):
        value = value.get(SHA256)
        return value if isinstance(value, bytes) else None
    return hashlib.sha256(value).digest() if isinstance(value, bytes) else None


def _of_document(note: DocumentSigned, form: Form, said: Statement) -> bool:
    if said.call == "document/sign":
        kind, name = form.get("kind"), form.get("name")
        named = note.name == ("configuration" if kind == "configuration" else f"{kind}/{name}")
        return named and note.digest == _body_digest(form.get("body"))
    if note.name != head_name(_list_of(form, said)) or note.unit:
        return False
    if said.call != "hotlist/push":
        return True
    in_time = note.expires_us <= said.at_us + form["hours"] * HOUR_US + SIGNED_WITHIN_US
    return in_time and note.digest == _body_digest(form.get("body"))


def _list_of(form: Form, said: Statement) -> str:
    """The list that a call is about: the named one, or the department's own."""
    return str(form["list_id"]) if said.call == "hotlist/push" else LOCAL


def _of_list(note: ListSent, form: Form, said: Statement) -> bool:
    return note.list_id == _list_of(form, said)


def _of_query(note: InquiryAsked | SearchProposed, form: Form, _said: Statement) -> bool:
    """Whether it is exactly this search, with its plate in the normal form.

    A proposal may name a request only by its number (`signed_log.py`).
    """
    if form.get("query") is None:
        return isinstance(note, SearchProposed)
    query = from_plain(Query, form["query"])
    return note.ground == from_plain(Ground, form["ground"]) and note.query == replace(
        query, plate=normal_plate(query.plate)
    )


def _day_of(form: Form, name: str) -> int:
    return parse_utc(str(form[name]), assume_utc=True) // DAY_US


def _of_days(note: PurgeAllowed, form: Form, _said: Statement) -> bool:
    return note.through == _day_of(form, "through")


def _of_losses(note: StoreRestored, form: Form, _said: Statement) -> bool:
    return digest_of_losses(note.lost) == str(form["lost"])


def _of_clock(note: ClockConfirmed, form: Form, _said: Statement) -> bool:
    return abs(note.wall_us // DAY_US - _day_of(form, "day")) <= 1


def _of_loan(note: GrantDelegated, form: Form, said: Statement) -> bool:
    """Whether a delegation begins now and is no longer than the form's days."""
    return (
        abs(note.from_us - said.at_us) <= SIGNED_WITHIN_US
        and note.to_us - note.from_us <= form["days"] * DAY_US
    )


def _of_request(note: ShareAsked, form: Form, _said: Statement) -> bool:
    """Whether letter, state and scope are those of the agency's request."""
    said = (to_plain(note.scope), note.state) == (form["scope"], str(form["state"]).strip().upper())
    return said and hashlib.sha256(note.letter).digest() == _body_digest(form["letter"])


def _of_letter(note: ShareRouted, form: Form, _said: Statement) -> bool:
    return note.letter_digest == _body_digest(form["letter"])


def _of_receipt(note: ResetHanded, form: Form, _said: Statement) -> bool:
    return note.digest == _body_digest(form["receipt"])


def _of_searches(note: HoldRests, form: Form, _said: Statement) -> bool:
    return list(note.searches) == (form["accesses"] if form["approval"] < 0 else [])


def _of_period(note: AuditBegun | AuditDone, form: Form, _said: Statement) -> bool:
    named = ((note.from_us, form["since_us"]), (note.to_us, form["until_us"]))
    return all(wanted < 0 or entered == wanted for entered, wanted in named)


def _of_step(note: AlertStepTaken, form: Form, said: Statement) -> bool:
    """Whether it is this person's step at the desk, as typed, or a unit's, opened by a view of the list."""
    step = to_plain(note.step)
    if note.unit:
        return said.call == "alert/list"
    typed = all(step[one] == form[one] for one in TYPED if one in form)
    typed = typed and ("state" not in form or note.step.state == typed_state(form["state"]))
    return typed and note.step.user == said.user and said.call == STEP_CALLS.get(note.step.step)


def _of_proposal(note: ChangeProposed, form: Form, said: Statement) -> bool:
    return form.get("propose") is True and note.call == said.call and note.digest == change_digest(said)


def _of_names(note: GrantsRevoked, form: Form, _said: Statement) -> bool:
    names = form.get("names")
    return isinstance(names, list) and set(note.names) == {str(one).strip() for one in names}


def _of_hold(note: HoldPlaced, form: Form, _said: Statement) -> bool:
    return note.ground == form.get("hold_ground")


def _of_filing(note: Filed, form: Form, said: Statement) -> bool:
    """Whether each access, or its case, is named in a line with this number.

    `named_entries.py` knows the case of an access.
    """
    lines = filed_by(form, said)
    of_cases = {rms for name, rms in lines if isinstance(name, str)}
    return all((access, rms) in lines or rms in of_cases for access, rms in note.numbers())


def filed_by(form: Form, said: Statement) -> set[tuple[object, str]]:
    """For each line of a filing: the access or case number that it names, and the RMS number."""
    lines = form["filings"] if said.call == "inquiry/file-many" else [form]
    return {(one.get("number") or one["access"], str(one["rms_number"]).strip()) for one in lines}


def _of_answer(note: RequestAnswered, form: Form, said: Statement) -> bool:
    """Whether a request was answered as in the form.

    It was declined with that reason; or run, under the request or proposal that the form names; or this is
    the last step of that access's search.
    """
    if said.call == "inquiry/decline":
        named = (form["request"], form["reason"]) == (note.request, note.reason)
        return named and note.access == -1 and not note.reads
    if note.access < 0 or note.reason:
        return False
    if said.call == "inquiry/step":
        return bool(form["access"] == note.access)
    return bool(form["request"] == note.request or (form["request"] == -1 and form["proposal"] >= 0))


CHANGES = (
    "user/set user/import user/hand-over user/credential hold/place hold/export document/sign hotlist/push "
    "hotlist/add clock/confirm backlog/allow restore/enter "
    "grant/issue"
)
RULES: Mapping[type[Note], Rule] = {
    TrainingDone: _rule(
        "training/record training/record-class",
        Call.TRAINING_RECORD,
        "user trainer course policy_version topics held_us",
        fits=_of_class,
    ),
    AlertKnown: _rule("alert/list", Call.ALERT_LIST),
    AlertRecordsOpened: _rule("alert/list", Call.ALERT_LIST),
    AlertStepTaken: _rule(" ".join(("alert/list", *STEP_CALLS.values())), Call.ALERT_LIST, fits=_of_step),
    DocumentSigned: _rule(
        "document/sign hotlist/push hotlist/add hotlist/withdraw",
        Call.DOCUMENT_SIGN,
        "unit",
        fits=_of_document,
        two=frozenset({"document/sign", "hotlist/push", "hotlist/add"}),
    ),
    ListSent: _rule(
        "hotlist/push hotlist/add hotlist/withdraw", Call.DOCUMENT_SIGN, "source agency", fits=_of_list
    ),
    GrantIssued: Rule(
        {"grant/issue": Call.GRANT_ISSUE, "grant/enter": Call.GRANT_ENTER},
        ("person", "organisation", "role", "purpose", "work_order"),
        fits=is_signed_grant,
    ),
    GrantDelegated: _rule("grant/lend", Call.GRANT_ISSUE, "designee", fits=_of_loan),
    GrantsRevoked: _rule("grant/revoke", Call.GRANT_ISSUE, "reason", fits=_of_names),
    HoldPlaced: _rule("hold/place", Call.HOLD_PLACE, "reads authority number", fits=_of_hold),
    HoldRests: _rule("hold/place", Call.HOLD_PLACE, "approval", fits=_of_searches),
    HoldExported: _rule("hold/export", Call.HOLD_EXPORT, "hold medium"),
    HoldBooked: _rule("hold/book", Call.HOLD_BOOK, "hold evidence_item"),
    ReleaseAsked: _rule("hold/ask-release", Call.HOLD_RELEASE, "hold evidence_item reason"),
    HoldReleased: _rule("hold/release", Call.HOLD_RELEASE, "hold evidence_item"),
    GlassBroken: _rule("inquiry/break-glass", Call.INQUIRY_BREAK_GLASS, "danger"),
    GlassJudged: _rule("inquiry/judge", Call.INQUIRY_APPROVE, "access justified reason"),
    InquiryAsked: _rule("inquiry/request", Call.INQUIRY_REQUEST, fits=_of_query),
    SearchProposed: _rule("inquiry/propose", Call.INQUIRY_RUN, "request", fits=_of_query),
    ChangeProposed: _rule(CHANGES, None, fits=_of_proposal),
    Disputed: _rule("inquiry/dispute", Call.INQUIRY_DISPUTE, "entry reason"),
    RequestAnswered: _rule("inquiry/decline inquiry/run inquiry/step", Call.INQUIRY_RUN, fits=_of_answer),
    Filed: _rule("inquiry/file inquiry/file-case inquiry/file-many", Call.RMS_FILE, fits=_of_filing),
    FindingClosed: _rule("audit/close", Call.AUDIT_REVIEW, "finding verdict note"),
    AuditBegun: _rule("audit/run", Call.AUDIT_RUN, fits=_of_period),
    AuditDone: _rule("audit/run", Call.AUDIT_RUN, fits=_of_period),
    LockoutLifted: _rule("user/lift-lockout", Call.USER_MANAGE, "user reason"),
    DesignationSet: _rule("user/set", Call.USER_MANAGE, "user"),
    IncidentSettled: _rule("incident/close", Call.INCIDENT_CLOSE, "incident kind unit opened_us finding"),
    ClockConfirmed: _rule(
        "clock/confirm", Call.CHANGE_APPROVE, "reason", fits=_of_clock, two=frozenset({"clock/confirm"})
    ),
    PurgeAllowed: _rule(
        "backlog/allow", Call.CHANGE_APPROVE, "reason", fits=_of_days, two=frozenset({"backlog/allow"})
    ),
    StoreRestored: _rule(
        "restore/enter",
        Call.CHANGE_APPROVE,
        "backup reason",
        fits=_of_losses,
        two=frozenset({"restore/enter"}),
    ),
    PurgeAsked: _rule("retention/purge", Call.CHANGE_APPROVE),
    UnitCodeIssued: _rule("unit/enroll", Call.DOCUMENT_SIGN, "name"),
    UnitRevoked: _rule("unit/revoke", Call.DOCUMENT_SIGN, "unit reason"),
    ClosedLogBrought: _rule("incident/bring", Call.INCIDENT_CLOSE, "log records digest reason"),
    ResetHanded: _rule("incident/reset", Call.INCIDENT_CLOSE, fits=_of_receipt),
    ShareAsked: _rule(
        "share/record",
        Call.SHARE_RECORD,
        "agency agency_kind person purpose number letter_name agreement",
        fits=_of_request,
    ),
    ShareRouted: _rule("share/record", Call.SHARE_RECORD, "agency person", fits=_of_letter),
    ShareReviewed: _rule("share/review", Call.SHARE_REVIEW, "request note"),
    ShareDelivered: _rule("share/deliver", Call.SHARE_DELIVER, "request"),
    RedressAnswered: _rule("redress/answer", Call.REDRESS_ANSWER, "request outcome note"),
}
MADE = tuple(RULES)
SIGNED_LATE = (RequestAnswered, Filed)  # need no signature in logs before `BY_OWN_HAND`
MADE_KINDS = frozenset(one.KIND for one in RULES)
MAKING_CALLS = frozenset().union(*(one.calls for one in RULES.values()))


def _is_worded(
    note: ChangeProposed, form: Form, said: Statement, accounts: Accounts | None, *, earlier: bool
) -> bool:
    """Whether a proposal shows its second person what is asked for. `earlier`: accept older words too."""
    words = words_of(said.call, form, said.user, accounts)
    known = (words, *(earlier_words_of(said.call, form, said.user) if earlier else ()))
    return words is None or (note.about, note.summary) in known


def demand_made(
    note: Note, said: Statement, *, earlier: bool = False, accounts: Accounts | None = None
) -> Rule:
    """The rule of an entry's kind. Raises UnsignedError unless this signed call makes exactly this entry.

    `earlier`: the log may have proposals in older words; `accounts`: see `words_of`.
    """
    rule = RULES[type(note)]
    if said.call not in rule.calls:
        raise UnsignedError("the signed call does not allow this entry")
    try:
        form = said.fields()
    except StorageError:
        raise UnsignedError("the signed form is malformed") from None
    if form.get("propose", False) is not False and not isinstance(note, ChangeProposed):
        raise UnsignedError("the signed call only proposes it")
    plain = to_plain(note)
    if not all(plain[name] == form[name] for name in rule.same if name in form):
        raise UnsignedError("the signed call does not match the entry")
    try:
        fits = rule.fits is None or rule.fits(note, form, said)
        if isinstance(note, ChangeProposed):
            fits = fits and _is_worded(note, form, said, accounts, earlier=earlier)
    except (StorageError, KeyError, TypeError, ValueError):
        fits = False  # the form lacks a field or has a wrong type in it
    if not fits:
        raise UnsignedError("the signed call does not match the entry")
    return rule


def is_configuration(said: Statement) -> bool:
    """Whether a call signs a configuration for units."""
    return said.call == "document/sign" and said.fields().get("kind") == "configuration"
