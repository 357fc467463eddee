"""Compares a signed call's form with the access that it made. No I/O.

Each call that opens content is listed here with the actions of its accesses; any other call opens nothing.
The entry must have the query, ground, reads, request and approval of the form. What the form only names by
number (a request, a proposal, a hold) is in the log itself.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Any, Protocol

from storage import envelope
from storage.codec import from_plain, later, to_plain
from storage.errors import StorageError
from storage.plate_text import normal_plate
from sync.department.journal.entry_base import Stamp
from sync.department.journal.inquiry_entries import Access, Ground, InquiryAsked, Query, SearchProposed
from sync.department.journal.made_by import MAKING_CALLS
from sync.department.journal.passkeys import PasskeySet, is_registered_by
from sync.department.journal.second_hand_facts import DECIDES
from sync.department.journal.statements import Statement
from sync.department.policy.roles import Call

ALERTS = frozenset({"alert", "alert-image"})
ACTIONS: dict[str, frozenset[str]] = {
    "inquiry/run": frozenset({"search"}),
    "inquiry/begin": frozenset({"search"}),
    "inquiry/break-glass": frozenset({"search"}),
    "inquiry/answer": frozenset({"answer"}),
    "inquiry/image": frozenset({"image"}),
    "inquiry/answer-image": frozenset({"image"}),
    "hold/place": frozenset({"hold"}),
    "hold/export": frozenset({"export"}),
    "share/deliver": frozenset({"delivery"}),
    "alert/show": ALERTS,  # of the alert named in its form
    **dict.fromkeys(
        ("alert/list", "alert/transcribe", "alert/answer", "alert/clets", "alert/close"),
        frozenset({"alert"}),
    ),
}
ACCESS_CALLS: dict[str, Call] = {
    "inquiry/run": Call.INQUIRY_RUN,
    "inquiry/begin": Call.INQUIRY_RUN,
    "inquiry/break-glass": Call.INQUIRY_BREAK_GLASS,
    "inquiry/answer": Call.INQUIRY_ANSWER,
    "inquiry/image": Call.IMAGE_VIEW,
    "inquiry/answer-image": Call.INQUIRY_ANSWER,
    "hold/place": Call.HOLD_PLACE,
    "hold/export": Call.HOLD_EXPORT,
    "share/deliver": Call.SHARE_DELIVER,
    "alert/list": Call.ALERT_LIST,
    **dict.fromkeys(
        ("alert/show", "alert/transcribe", "alert/answer", "alert/clets", "alert/close"), Call.ALERT_VERIFY
    ),
}
"""What a role must permit for each of these."""
ROSTER_CALLS = frozenset({"user/set", "user/import", "user/hand-over", "user/credential"})
BY_NUMBER = frozenset({"inquiry/run", "inquiry/begin", "inquiry/answer", "inquiry/answer-image"})
ANSWERS = frozenset({"inquiry/answer", "inquiry/answer-image"})
PASSKEY_CALLS = frozenset({"user/passkey", "user/remove-passkey"})
SIGNED_CALLS = frozenset(ACTIONS) | ROSTER_CALLS | PASSKEY_CALLS | frozenset(DECIDES) | MAKING_CALLS


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What a request or proposal asks for, as digests, and when it was made.

    `digest`: of plate and ground; `whole`: also of times, place and unit; `user`: who asks; `for_user`: whose
    request a proposal is to run.
    """

    digest: bytes
    whole: bytes
    at_us: int
    user: str
    for_user: str = later("")


def waiting_of(note: InquiryAsked | SearchProposed, stamp: Stamp, for_user: str = "") -> Waiting:
    """Make the digests of an entry."""
    return Waiting(
        for_user=for_user,
        digest=ask_digest(note.query.plate, note.ground),
        whole=ask_digest(note.query.plate, note.ground, note.query.text()),
        at_us=stamp.at_us,
        user=stamp.user,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedAlert:
    """An alert's record at the unit, and its read."""

    alert: str
    read: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedRecords:
    """The units' records that an access to alerts opened, and when."""

    records: tuple[str, ...]
    at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """The request for which a search was made, by whom, and when."""

    request: int
    user: str
    at_us: int


class Named(Protocol):
    """Gives what a form only names by number."""

    def asked(self, number: int) -> Waiting | None:
        """A request or proposal, by its entry's number."""
        ...

    def alert(self, name: str) -> tuple[str, str]:
        """An alert's record and read, by its entry's number or by the record."""
        ...


def fits_access(statement: Statement, access: Access, named: Named) -> bool:
    """Whether an access is what the signed call asked for."""
    if access.action not in ACTIONS.get(statement.call, ()):
        return False
    try:
        form = statement.fields()
        query = None if form.get("query") is None else from_plain(Query, form["query"])
    except StorageError:
        return False
    said = (
        (query is None or (_same_query(query, access) and form.get("ground") is not None))
        and form.get("ground") in (None, to_plain(access.ground))
        and _same_reads(form, access, named)
        and _same_scope(form.get("scope"), access)
        and _same_facts(access, named)
        and (statement.call not in ANSWERS or _is_own(named.asked(access.request), statement.user))
    )
    proposal, request, approval = (form.get(one, -1) for one in ("proposal", "request", "approval"))
    numbers = all(type(one) is int for one in (proposal, request, approval))
    if not (
        said and numbers and access.approval in {-1, proposal, approval} and request in {-1, access.request}
    ):
        return False
    if statement.call not in BY_NUMBER:
        return bool(access.request == request)
    own = proposal == -1 or _is_own(named.asked(proposal), statement.user)
    numbered = [one for one in (proposal, request) if one != -1]
    if query is not None:
        as_asked = all(is_as_asked(named.asked(one), access) for one in numbered)
        return bool(access.request == request) and as_asked and own
    return bool(numbered) and is_as_asked(named.asked(numbered[0]), access) and own


def rests_on(statement: Statement) -> tuple[tuple[int, ...], int]:
    """The accesses and the request that found a call's reads. Raises RecordError, EnvelopeError.

    The request is -1 if the call names none or does not view an answer.
    """
    form = statement.fields()
    named = form.get("accesses")
    numbers = [*named, form.get("access")] if isinstance(named, list) else [form.get("access")]
    request = form.get("request") if statement.call in ANSWERS else -1
    return tuple(one for one in numbers if type(one) is int), request if type(request) is int else -1


def ask_digest(plate: str, ground: Ground, elements: str = "") -> bytes:
    """The digest by which a request or proposal is bound to its access."""
    return hashlib.sha256(envelope.encode([normal_plate(plate), to_plain(ground), elements])).digest()


def _is_own(asked: Waiting | None, user: str) -> bool:
    """Whether an answer is for the person who asked, or an approval for its proposer."""
    return asked is not None and asked.user == user


def is_as_asked(asked: Waiting | None, access: Access) -> bool:
    """Whether an access is what was asked for: a search in full, a picture by plate and ground."""
    if asked is None:
        return False
    if access.action == "image":
        return hmac.compare_digest(asked.digest, ask_digest(access.plate, access.ground))
    return hmac.compare_digest(asked.whole, ask_digest(access.plate, access.ground, access.elements))


def _same_query(query: Query, access: Access) -> bool:
    plate = normal_plate(query.plate)
    tidy = Query(
        plate=plate, since_us=query.since_us, until_us=query.until_us, area=query.area, unit=query.unit
    )
    return (access.plate, access.elements) == (plate, tidy.text())


def _same_reads(form: dict[str, Any], access: Access, named: Named) -> bool:
    if isinstance(form.get("reads"), list):
        return bool(list(access.reads) == form["reads"])
    if isinstance(form.get("read"), str):
        return access.reads == (form["read"],)
    if isinstance(form.get("alert"), str):
        record, read = named.alert(form["alert"])
        return access.reads == ((read,) if access.action == "alert-image" else (record,))
    return True


def _same_facts(access: Access, named: Named) -> bool:
    """Whether a search is in the name of its requester, if any, and only its query has a plate."""
    asked = named.asked(access.request) if access.action == "search" and access.request >= 0 else None
    if access.on_behalf_of != ("" if asked is None else asked.user):
        return False
    if access.written and access.action != "delivery":
        return False
    if access.people and access.action not in {"export", "delivery"}:
        return False
    return not access.plate or access.action in {"search", "answer", "image", "delivery"}


def _same_scope(scope: object, access: Access) -> bool:
    if not isinstance(scope, dict) or not isinstance(scope.get("plates"), list):
        return True
    return access.plate in {normal_plate(one) for one in scope["plates"] if isinstance(one, str)}


def fits_passkey(statement: Statement, key: PasskeySet) -> bool:
    """Whether this call registers or removes that passkey."""
    try:
        form = statement.fields()
    except StorageError:
        return False
    if key.active:
        response = form.get("response")
        asked = statement.call == "user/passkey" and isinstance(response, str)
        return asked and is_registered_by(str(response), key)
    return statement.call == "user/remove-passkey" and form.get("credential_id") == key.credential_id
