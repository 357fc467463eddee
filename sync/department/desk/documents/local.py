"""Hot list entries that the department makes: case, requester, another person's approval, an end within days.

A covert entry also needs named recipients, and an administrator among the two people. The list is "local". It
is sent again after every entry and every withdrawal, one change at a time. The log's entry never holds the
plate.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from storage.barred_words import barred_in, is_latin
from storage.counts import counted
from storage.errors import RecordError, StorageError
from storage.plate_states import known_state
from storage.plate_text import fold, normal_plate
from storage.times import DAY_US, HOUR_US, iso_text
from sync.department.desk.context import DeskContext
from sync.department.desk.desk import Caller, Desk, Plan
from sync.department.desk.documents.covert import entry_of, is_heard
from sync.department.desk.documents.lists import demand_name
from sync.department.desk.documents.own_entries import knows, same_vehicle
from sync.department.desk.inquiry.rules import example_of, is_number
from sync.department.desk.words import demand_words
from sync.department.journal.change_entries import ChangeProposed, DocumentSigned, ListSent
from sync.department.journal.entries import Entry
from sync.department.journal.statements import form_fields
from sync.department.policy.policy import Policy
from sync.department.policy.refusals import DeskRefusal, FormError, demand, refuse_each
from sync.department.policy.roles import Call, Role
from sync.department.units.hot_lists import Offer
from sync.errors import InvalidInputError
from sync.hot_lists.document import LOCAL, LONGEST_HOURS, digest_of, head_name
from sync.hot_lists.entry import PLATE, ListEntry

LIST = LOCAL
CLAUSE = "463.7"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalForm:
    """A vehicle that this department looks for. `until_us`: when the entry expires.

    `recipients`: the only people who see the alerts of a covert entry; empty for everybody on duty.
    `propose`, `approval`: as for every call that needs a second person.
    """

    plate: str = field(repr=False)
    state: str = ""
    category: str
    case: str = field(repr=False)
    reason: str = field(repr=False)
    until_us: int
    make: str = ""
    model: str = ""
    color: str = ""
    plate_class: str = ""
    recipients: tuple[str, ...] = ()
    propose: bool = False
    approval: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawForm:
    """End the entries of a case now. `plate`: only that vehicle's, for example after a typing error; empty
    for all.

    One person may do this alone, because fewer alerts harm no one. If that person neither requested nor
    approved the entries, the audit gets a finding.
    """

    case: str = field(repr=False)
    reason: str
    plate: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalChanged:
    """The number of local entries that the caller may know of.

    `proposal`: set if the call asked for a second person and has changed nothing yet.
    """

    entry: int
    entries: int
    covert: int
    proposal: int = -1


def add(front: DeskContext, token: str, form: LocalForm) -> LocalChanged:
    """Enter a vehicle that this department looks for, with a second person's approval, and send the list to
    units."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[tuple[Entry, Caller, list[ListEntry] | None]]:
        desk.demand_trained(caller)
        fresh = _entry(desk, form, caller)
        held = _without_older(_in_time(front, caller.at_us), fresh, caller)
        summary = _proposal_words(desk.policy, form)
        second = desk.second_person(caller, "hotlist/add", form, about=head_name(LIST), summary=summary)
        if isinstance(second, ChangeProposed):
            return [second], lambda made: (made[0], caller, None)
        approver = second[0].second
        if form.recipients:
            _demand_administrator(desk, caller, approver)
            _demand_verifier(desk, form, caller, {caller.user, approver})
        fresh = replace(fresh, approver=approver)
        entries = [*held, fresh]
        _keep(front, entries)
        return [*second, *_notes(entries, caller.at_us)], lambda made: (made[-1], caller, entries)

    with _turn(front):
        entry, caller, entries = desk.act(token, Call.DOCUMENT_SIGN, plan)
        if entries is None:
            return LocalChanged(entry=-1, entries=0, covert=0, proposal=entry.sequence)
        _out(front, caller.at_us, entries)
    return _changed(front, entry, caller, entries)


def _without_older(held: list[ListEntry], fresh: ListEntry, caller: Caller) -> list[ListEntry]:
    """The entries that remain beside a fresh one.

    The fresh entry replaces one with the same vehicle, case and recipients that ends sooner. Raises FormError
    if the older one lasts as long, since the vehicle would then raise two alerts.
    """
    vehicle = same_vehicle(fresh)
    older = [one for one in held if same_vehicle(one) == vehicle and knows(one, caller)]
    lasting = [one.until_us for one in older if one.until_us and fresh.until_us]
    if fresh.until_us is not None and lasting and max(lasting) >= fresh.until_us:
        raise FormError(
            f"that vehicle of that case is on the list until {iso_text(max(lasting), to='second')}",
            code="on-list",
            clause=CLAUSE,
            cure="nothing is left to do; to look for it beyond that, enter it with a later end",
        )
    return [one for one in held if one not in older]


def _proposal_words(policy: Policy, form: LocalForm) -> str:
    """What the list of proposals shows to everybody who may decide.

    It has neither the plate nor a covert entry's case. They are in the form, and opening that (`change/show`)
    makes an entry.
    """
    category = policy.alerts.category(form.category)
    ends = f"{category.says if category else form.category}, until {iso_text(form.until_us, to='second')}"
    if form.recipients:
        return f"covert entry: {ends}"
    return f"entry of case {form.case}: {ends}; {form.reason}"


def withdraw(front: DeskContext, token: str, form: WithdrawForm) -> LocalChanged:
    """End the entries of a case that the caller may know of. Units recall their open alerts at the next
    sync."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[tuple[Entry, Caller, list[ListEntry]]]:
        demand_words(form.reason, "say why", code="reason", clause=CLAUSE)
        held = front.list_entries(LIST)
        plate = fold(normal_plate(form.plate))
        demand(
            plate or not form.plate,
            "WithdrawForm.plate: is 1 to 16 letters and digits",
            code="plate",
            clause=CLAUSE,
            cure="leave it empty to end all entries of the case",
        )
        entries = [
            one
            for one in held
            if one.case != form.case or (plate and fold(one.plate) != plate) or not knows(one, caller)
        ]
        if len(entries) == len(held):
            what = f"no entry of that case{' and plate' if plate else ''} is on the local list"
            raise FormError(what, code="no-entry", clause=CLAUSE)
        left = [one for one in entries if _is_in_time(one, caller.at_us)]
        _keep(front, left)
        return [*_notes(left, caller.at_us)], lambda made: (made[-1], caller, left)

    with _turn(front):
        entry, caller, left = desk.act(token, Call.DOCUMENT_SIGN, plan)
        _out(front, caller.at_us, left)
    return _changed(front, entry, caller, left)


def send_kept(front: DeskContext) -> None:
    """Send the list that a crash or a full disk held back after its entry.

    A list that went out just before a crash is kept. Raises FormError, StorageError.
    """
    with _turn(front):
        pass


@contextmanager
def _turn(front: DeskContext) -> Iterator[None]:
    """Wait for the turn to change the list, then take in the newest version that went out.

    Another list that an interrupt left unfinished does not block this one. Raises FormError, StorageError,
    OSError.
    """
    with front.own_list.turn():
        try:
            front.finish_lists(LIST)
        except (StorageError, OSError) as error:
            what = error.what if isinstance(error, StorageError) else "the list cannot be read or written"
            cure = "see the department's disk and its hotlists.key; nothing was changed"
            raise FormError(what, code="document", clause=CLAUSE, cure=cure) from None
        _send_kept(front)
        yield


def _send_kept(front: DeskContext) -> None:
    kept = front.own_list.kept()
    if kept is None:
        return
    named = (head_name(LIST), _digest(kept.entries))
    notes = (entry.note for entry in front.desk.log.entries(kept.after))
    if any(isinstance(note, DocumentSigned) and (note.name, note.digest) == named for note in notes):
        _out(front, front.desk.now_us(), kept.entries)
    front.own_list.drop()


def check_entry(policy: Policy, form: LocalForm, now_us: int) -> None:
    """Check what the policy asks of an entry's form. Raises FormError naming each wrong field."""
    terms = policy.alerts

    def check_category() -> None:
        category = terms.category(form.category)
        if category is None:
            allowed = ", ".join(one.id for one in terms.categories)
            raise FormError(
                "the policy does not name that category",
                code="category",
                clause=CLAUSE,
                cure=f"one of {allowed}",
            )
        demand(is_latin(form.reason), "a letter is not Latin", code="reason", clause=CLAUSE)
        barred = barred_in(category.never, form.reason)
        what = f"an entry of this category is never {barred}"
        demand(barred is None, what, code="category", clause=CLAUSE, fields=("category", "reason"))

    refuse_each(
        lambda: demand_name(policy),
        lambda: demand(
            PLATE.fullmatch(normal_plate(form.plate)),
            "LocalForm.plate: is 1 to 16 letters and digits",
            code="plate",
            clause=CLAUSE,
        ),
        lambda: _state(form.state),
        lambda: demand(
            is_number(policy, form.case, "case"),
            "a local entry needs a case number",
            code="case",
            clause=CLAUSE,
            cure=f"as the policy writes one: {example_of(policy, 'case')}",
        ),
        lambda: demand_words(form.reason, "say why", code="reason", clause=CLAUSE),
        check_category,
        lambda: demand(
            0 < form.until_us - now_us <= terms.local_days * DAY_US,
            f"a local entry ends within {counted(terms.local_days, 'day')}",
            code="until",
            clause=CLAUSE,
            cure="enter it again then, with a new approval",
            fields=("until_us",),
        ),
    )


def _state(text: str) -> str:
    """The state as lists spell it. Raises FormError."""
    try:
        return known_state(text)
    except RecordError as error:
        raise FormError(error.what, code="state", clause=CLAUSE, cure=error.cure) from None


def _entry(desk: Desk, form: LocalForm, caller: Caller) -> ListEntry:
    """The entry as it would go out. Raises FormError naming what is missing."""
    check_entry(desk.policy, form, caller.at_us)
    accounts = desk.book.roster.accounts
    absent = [one for one in form.recipients if one not in accounts or not accounts[one].active]
    if absent:
        raise FormError(
            f"no account here: {', '.join(absent)}",
            code="recipients",
            clause=CLAUSE,
            cure="name recipients by their user names, as the roster has them",
        )
    _demand_verifier(desk, form, caller, {caller.user})
    try:
        return entry_of(form_fields(form), caller.user, "", caller.at_us)
    except RecordError as error:
        raise FormError(error.what, code="entry", clause=CLAUSE) from None


def _demand_administrator(desk: Desk, caller: Caller, approver: str) -> None:
    """Demand that an administrator requests or approves a covert entry."""
    for user in (caller.user, approver):
        roles = desk.policy.effective_roles(desk.book.roster.roles_of(user, caller.at_us))
        if Role.ADMINISTRATOR in roles:
            return
    raise DeskRefusal(
        "an administrator must approve a covert entry",
        code="administrator",
        clause=CLAUSE,
        cure="have the administrator approve it",
    )


def _demand_verifier(desk: Desk, form: LocalForm, caller: Caller, barred: Set[str]) -> None:
    """Demand a recipient who may verify a covert entry's alerts, which its requester and approver may not."""
    known = desk.policy, desk.book.roster
    if form.recipients and not is_heard(*known, form.recipients, barred, caller.at_us):
        raise FormError(
            "no recipient may verify its alerts, and no one else would see them",
            code="recipients",
            clause=CLAUSE,
            cure="name a colleague who verifies alerts, and who neither requests nor approves this entry",
        )


def _in_time(front: DeskContext, now_us: int) -> list[ListEntry]:
    """The local entries that have not expired."""
    return [one for one in front.list_entries(LIST) if _is_in_time(one, now_us)]


def _is_in_time(entry: ListEntry, now_us: int) -> bool:
    return entry.until_us is None or now_us < entry.until_us


def _notes(entries: list[ListEntry], now_us: int) -> list[ListSent | DocumentSigned]:
    """What the log says of the list: counts for the public, and a digest; no plate."""
    categories = Counter(one.category for one in entries if not one.covert)
    return [
        ListSent(
            list_id=LIST,
            source=LIST,
            agency="",
            entries=len(entries),
            covert=sum(one.covert for one in entries),
            categories=tuple(sorted(categories.items())),
        ),
        DocumentSigned(
            name=head_name(LIST),
            digest=_digest(entries),
            size=len(entries),
            unit="",
            expires_us=now_us + LONGEST_HOURS * HOUR_US,
        ),
    ]


def _digest(entries: Sequence[ListEntry]) -> bytes:
    return hashlib.sha256(b"".join(sorted(digest_of(one.to_bytes()) for one in entries))).digest()


def _keep(front: DeskContext, entries: Sequence[ListEntry]) -> None:
    """Keep the entries before the log names them. Raises FormError if there is no room."""
    try:
        front.own_list.keep(entries, front.desk.log.size())
    except (StorageError, OSError) as error:
        what = error.what if isinstance(error, StorageError) else "the list cannot be written"
        cure = "make room on the department's disk; nothing was changed"
        raise FormError(what, code="document", clause=CLAUSE, cure=cure) from None


def _out(front: DeskContext, at_us: int, entries: Sequence[ListEntry]) -> None:
    """Send the list. Raises FormError; the list then stays saved for the next change or the daily run."""
    offer = Offer(
        list_id=LIST,
        issuer=front.desk.policy.department,
        source=LIST,
        agency="",
        extracted_us=at_us,
        hours=LONGEST_HOURS,
    )
    try:
        front.publish_list(offer, entries, at_us)
    except (InvalidInputError, StorageError, OSError) as error:
        what = "the list cannot be written" if isinstance(error, OSError) else error.what
        cure = "it is entered, and is sent with the next change or the daily run: make room on the disk"
        raise FormError(what, code="document", clause=CLAUSE, cure=cure) from None
    front.own_list.drop()
    front.bell.ring()  # those who follow the alerts hear which ones lost their entry


def _changed(front: DeskContext, entry: Entry, caller: Caller, entries: Sequence[ListEntry]) -> LocalChanged:
    front.desk.try_cover(entry.sequence)
    known = [one for one in entries if knows(one, caller)]
    return LocalChanged(entry=entry.sequence, entries=len(known), covert=sum(one.covert for one in known))
