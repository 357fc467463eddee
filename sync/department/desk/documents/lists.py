"""Hot lists at the desk: two people import a source's file under the policy and offer it to units.

The file is read before the proposal, so that the second person approves the resulting list. Another agency's
list is accepted only while the policy switches that agency on.
"""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from storage.errors import StorageError
from storage.times import HOUR_US
from sync.department.desk.context import DeskContext
from sync.department.desk.desk import Caller, Desk, Plan
from sync.department.desk.documents.own_entries import lists_shown
from sync.department.desk.words import demand_words
from sync.department.journal.change_entries import ChangeProposed, ChangeUsed, DocumentSigned, ListSent
from sync.department.journal.entries import Entry, LogRead
from sync.department.journal.machine_entries import DocumentSent
from sync.department.journal.statements import form_fields, proposal_digest
from sync.department.policy.policy import Policy
from sync.department.policy.refusals import BUSY, FormError, NotYetError, demand, refuse_each
from sync.department.policy.roles import Call
from sync.department.units.hot_lists import Offer, Published
from sync.errors import InvalidInputError, StoreAwayError
from sync.hot_lists.document import (
    LOCAL,
    LONGEST_HOURS,
    MAX_ID,
    MAX_WORDS,
    ListHead,
    head_name,
    is_list_id,
    is_words,
)
from sync.hot_lists.importing import ImportedList, ListRefusedError, import_list
from sync.hot_lists.layout import shipped

CLAUSE = "463.7"
PUSH = "hotlist/push"
MUCH_GONE = 10  # if more than one entry in so many goes, the proposal asks whether the file is whole


@dataclass(frozen=True, slots=True, kw_only=True)
class ListForm:
    """A list to import and send. `layout`: one that comes with the project, e.g. ncic.

    `category`: that of every entry, if the file has no column for it; a line with another category is left
    out and counted. `issuer`, `source`: who made the list, and which extract it is; `agency`: the other
    agency whose list it is, empty for the department's own sources. `extracted_us`: when it was extracted; 0
    for now. `propose`, `approval`: as for every call that needs a second person.
    """

    list_id: str
    layout: str
    body: bytes = field(repr=False)
    category: str = ""
    issuer: str
    source: str
    agency: str = ""
    extracted_us: int = 0
    hours: int = 24
    reason: str
    propose: bool = False
    approval: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """The result of a push. `proposal`: set if it only asked for a second person."""

    entry: int
    list_id: str
    version: int
    entries: int
    removed: int
    added: int
    as_snapshot: bool
    said: str
    proposal: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class ListLine:
    """The newest version of a list that units are offered."""

    list_id: str
    version: int
    entries: int
    issuer: str
    source: str
    agency: str
    extracted_us: int
    expires_us: int
    expired: bool


@contextmanager
def reading(front: DeskContext, token: str) -> Iterator[None]:
    """Wait for the turn to read a list, since reading takes seconds and much memory.

    If the turn is taken, enters and raises NotYetError, so that callers who wait hold no thread of the desk.
    """
    if not front.reading.acquire(blocking=False):
        refusal = NotYetError(
            "another hot list is being read",
            code=BUSY,
            clause=CLAUSE,
            cure="try again in a minute; nothing was changed",
        )
        front.desk.refuse(token, Call.DOCUMENT_SIGN, refusal)
    try:
        yield
    finally:
        front.reading.release()


def push(front: DeskContext, token: str, form: ListForm) -> Pushed:
    """Import a list, and sign and offer its next version. The entry comes first."""
    desk = front.desk
    desk.demand(token, Call.DOCUMENT_SIGN, trained=True)
    with reading(front, token):
        made = _push(front, token, form)
    if made.entry >= 0:
        desk.try_cover(made.entry)
    return made


def _push(front: DeskContext, token: str, form: ListForm) -> Pushed:
    desk = front.desk
    digest, policy = hashlib.sha256(form.body).digest(), desk.policy_document
    try:  # a long list takes seconds, so no lock is held yet and other calls run
        made, version = imported(desk, form, desk.now_us()), _version(front, form.list_id)
        change = _change(front, form, version, made)
    except FormError as refusal:
        desk.refuse(token, Call.DOCUMENT_SIGN, refusal)
    name, words = head_name(form.list_id), f"; {change}; SHA-256 {digest.hex()[:16]}; {form.reason}"

    def plan(caller: Caller) -> Plan[tuple[Entry, int, bool]]:
        if (policy, version) != (desk.policy_document, _version(front, form.list_id)):
            what = "another version of the list or of the policy came out while this one was read"
            raise NotYetError(what, code="list", clause=CLAUSE, cure="try again")
        unsent = _unsent(desk, form, caller, _summarize(form, made))
        if unsent is not None and _approved_words(desk, form.approval).endswith(words):
            return [], lambda _entries: (unsent, unsent.stamp.at_us, False)
        summary = f"{name}: {made.summary()}{words}"
        second = desk.second_person(caller, PUSH, form, about=name, summary=summary)
        if isinstance(second, ChangeProposed):
            return [second], lambda entries: (entries[0], caller.at_us, True)
        demand(
            not second or _approved_words(desk, form.approval).endswith(words),
            "what the second person saw of this list is not what would be sent now",
            code="list",
            clause=CLAUSE,
            cure="propose it again",
            fields=("approval",),
        )
        note = DocumentSigned(
            name=name,
            digest=digest,
            size=len(form.body),
            unit="",
            expires_us=caller.at_us + form.hours * HOUR_US,
        )
        return [*second, _summarize(form, made), note], lambda entries: (
            entries[-1],
            caller.at_us,
            False,
        )

    entry, at_us, proposed = desk.act(token, Call.DOCUMENT_SIGN, plan)
    if proposed:
        return _pushed(form, made, None, entry=-1, proposal=entry.sequence)
    out = _publish(front, form, made, at_us)
    front.bell.ring()
    return _pushed(form, made, out, entry=entry.sequence, proposal=-1)


def _publish(front: DeskContext, form: ListForm, made: ImportedList, at_us: int) -> Published:
    """Offer the next version to units, after its entry. Raises FormError."""
    offer = Offer(
        list_id=form.list_id,
        issuer=form.issuer,
        source=form.source,
        agency=form.agency,
        extracted_us=form.extracted_us or at_us,
        hours=form.hours,
    )
    try:
        with front.own_list.turn():
            return front.publish_list(offer, made.entries, at_us)
    except (OSError, StoreAwayError):
        what, cure = "the list cannot be written", "make room on the disk, and see that the database runs"
        cure = f"{cure}; then push it again with the same approval: it is entered"
        raise FormError(what, code="document", clause=CLAUSE, cure=cure) from None
    except (InvalidInputError, StorageError) as error:
        raise FormError(error.what, code="document", clause=CLAUSE, cure=error.cure) from None


def _unsent(desk: Desk, form: ListForm, caller: Caller, facts: ListSent) -> Entry | None:
    """The caller's entry of exactly this list under this approval, if the list never went out.

    It spares a second approval after a disk was full. facts: those of the list now, which the entry must
    have.
    """
    proposed = desk.book.changes.proposed.get(form.approval)
    if proposed is None or form.approval not in desk.book.changes.used:
        return None
    if proposed.stamp.user != caller.user or proposed.note.digest != proposal_digest(PUSH, form_fields(form)):
        return None
    kinds = (ChangeUsed.KIND, ListSent.KIND, DocumentSigned.KIND, DocumentSent.KIND)
    used, last = False, None
    for entry in desk.log.entries(form.approval, kinds=kinds):
        if isinstance(entry.note, ChangeUsed):
            used = entry.note.proposal == form.approval
        elif isinstance(entry.note, ListSent):
            used = used and entry.note == facts
        elif isinstance(entry.note, DocumentSigned | DocumentSent) and entry.note.name == proposed.note.about:
            last = entry if used else None
    signed = (
        last is not None and isinstance(last.note, DocumentSigned) and caller.at_us < last.note.expires_us
    )
    return last if signed else None


def listed(front: DeskContext, token: str, _form: object) -> tuple[ListLine, ...]:
    """List the newest version of each source's list. The department's own entries are in `hotlist/own`."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[tuple[ListLine, ...]]:
        rows = tuple(_line(one, caller.at_us) for one in lists_shown(front))
        return [LogRead(elements="hot lists", count=len(rows))], lambda _entries: rows

    return desk.act(token, Call.ALERT_LIST, plan)


def _line(head: ListHead, now_us: int) -> ListLine:
    return ListLine(
        list_id=head.list_id,
        version=head.sequence,
        entries=head.count,
        issuer=head.issuer,
        source=head.source,
        agency=head.agency,
        extracted_us=head.extracted_us,
        expires_us=head.expires_us,
        expired=now_us >= head.expires_us,
    )


def _out(front: DeskContext, list_id: str) -> ListHead | None:
    """The version of a list that units are offered, if any."""
    return next((one for one in front.lists_out() if one.list_id == list_id), None)


def _version(front: DeskContext, list_id: str) -> int:
    """The number of the version that units are offered; 0 for none."""
    out = _out(front, list_id)
    return out.sequence if out is not None else 0


def _change(front: DeskContext, form: ListForm, version: int, made: ImportedList) -> str:
    """What a list changes in the version that units are offered, for the second person and the log; no
    plate."""
    if not version:
        return "the first version"
    old, new = ({one.to_bytes() for one in of} for of in (front.list_entries(form.list_id), made.entries))
    gone = len(old - new)
    text = f"{gone} removed and {len(new - old)} added since version {version}"
    much = MUCH_GONE * gone > len(old)
    if much:
        text = f"{text}: more than a tenth of the list goes, is the file whole?"
    out = _out(front, form.list_id)
    older = form.extracted_us and out is not None and form.extracted_us < out.extracted_us
    return f"{text}; an older extract than the one that is out" if older else text


def _approved_words(desk: Desk, approval: int) -> str:
    known = desk.book.changes.proposed.get(approval)
    return known.note.summary if known else ""


def _summarize(form: ListForm, made: ImportedList) -> ListSent:
    """The public facts of the list."""
    categories = Counter(one.category for one in made.entries if not one.covert)
    return ListSent(
        list_id=form.list_id,
        source=form.source,
        agency=form.agency,
        entries=len(made.entries),
        covert=sum(one.covert for one in made.entries),
        categories=tuple(sorted(categories.items())),
    )


def demand_name(policy: Policy) -> None:
    """Refuse a department that no list can name: each list would fail after two people signed. Raises
    FormError."""
    demand(
        is_words(policy.department),
        f"no hot list can carry the department's name: it has over {MAX_WORDS} characters, or invisible ones",
        code="department",
        clause=CLAUSE,
        cure="shorten it in department.toml and in a newly signed policy, then enroll the units again",
    )


def check_list(policy: Policy, form: ListForm, now_us: int) -> None:
    """Check what the policy asks of a list's form. Raises FormError naming each wrong field."""
    terms = policy.alerts
    refuse_each(
        lambda: demand_name(policy),
        lambda: demand_words(form.reason, "say why", code="reason", clause=CLAUSE),
        lambda: demand_words(form.issuer, "say who issued the list", code="issuer", clause=CLAUSE),
        lambda: demand_words(form.source, "say which source it is", code="source", clause=CLAUSE),
        *(
            lambda name=name: demand(
                is_words(getattr(form, name)),
                f"ListForm.{name}: needs at most {MAX_WORDS} printable characters",
                code=name,
                clause=CLAUSE,
                cure="type it by hand: pasted text may hold spaces of another kind",
            )
            for name in ("issuer", "source", "agency")
        ),
        lambda: demand(
            0 <= form.extracted_us <= now_us + HOUR_US,
            "ListForm.extracted_us: the list was extracted in the future, or before 1970",
            code="extracted_us",
            clause=CLAUSE,
            cure="check the extract's time",
        ),
        lambda: demand(
            is_list_id(form.list_id),
            f"ListForm.list_id: is 1 to {MAX_ID} letters, digits and -",
            code="list_id",
            clause=CLAUSE,
        ),
        lambda: demand(
            form.list_id != LOCAL,
            "the local list is made of entries, each with its case and a second person",
            code="local",
            clause=CLAUSE,
            cure="enter it under Hot lists, or with: department hotlist add",
            fields=("list_id",),
        ),
        lambda: demand(
            form.layout in shipped(),
            "there is no such layout",
            code="layout",
            clause=CLAUSE,
            cure=f"one of {', '.join(shipped())}",
        ),
        lambda: demand(
            not form.agency or form.agency in terms.agencies,
            "lists of that agency are off",
            code="agency",
            clause=CLAUSE,
            cure="the signed policy switches an agency on: [alerts] agencies",
        ),
        lambda: demand(
            1 <= form.hours <= LONGEST_HOURS,
            f"a hot list matches for 1 to {LONGEST_HOURS} hours",
            code="hours",
            clause=CLAUSE,
        ),
        lambda: demand(form.body, "the list's file is empty", code="list", clause=CLAUSE, fields=("body",)),
    )


def imported(desk: Desk, form: ListForm, now_us: int) -> ImportedList:
    """Import the entries of a list's file under the policy. Raises FormError."""
    check_list(desk.policy, form, now_us)
    terms, layout = desk.policy.alerts, shipped()[form.layout]
    try:
        return import_list(
            io.BytesIO(form.body),
            layout,
            terms,
            name=f"list {form.list_id}",
            category=form.category or None,
            now_us=now_us,
        )
    except ListRefusedError as error:
        raise FormError(str(error), code="list", clause=CLAUSE) from None


def _pushed(
    form: ListForm, made: ImportedList, out: Published | None, *, entry: int, proposal: int
) -> Pushed:
    return Pushed(
        entry=entry,
        list_id=form.list_id,
        version=0 if out is None else out.head.sequence,
        entries=len(made.entries),
        removed=0 if out is None else out.removed,
        added=0 if out is None else out.added,
        as_snapshot=False if out is None else out.as_snapshot,
        said=made.summary(),
        proposal=proposal,
    )
