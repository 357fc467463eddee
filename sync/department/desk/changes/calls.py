"""Changes at the desk: list what waits for a second person, and be that person (463.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from storage.codec import read_field
from storage.errors import RecordError
from storage.times import iso_text
from sync.department.desk.changes import rules
from sync.department.desk.context import DeskContext
from sync.department.desk.desk import Caller, Desk, Plan
from sync.department.desk.field_help import label_of
from sync.department.desk.inquiry.forms import NothingForm
from sync.department.desk.people.on_roster import demand_proposer, is_here
from sync.department.desk.words import demand_words
from sync.department.journal.change_entries import ChangeDecided, ChangeProposed
from sync.department.journal.entries import Entry, EntryOf, LogRead
from sync.department.journal.malformed import form_of
from sync.department.journal.second_hand_facts import WITH_DATA
from sync.department.journal.statements import SHA256
from sync.department.policy.policy import Policy
from sync.department.policy.refusals import DeskRefusal
from sync.department.policy.roles import Call, Role

SECOND = frozenset({"propose", "approval"})


@dataclass(frozen=True, slots=True, kw_only=True)
class DecideForm:
    """The second person's decision on a proposed change, and the reason."""

    proposal: int
    granted: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A decision: its entry, its proposal, and what that proposal asks for."""

    entry: int
    proposal: int
    granted: bool
    call: str
    about: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRow:
    """A change that waits. `call`: the call to make; `about`: the user, hold or document that it changes."""

    proposal: int
    at_us: int
    user: str
    call: str
    about: str
    summary: str = field(repr=False)


def listed(front: DeskContext, token: str, form: NothingForm) -> tuple[ChangeRow, ...]:  # noqa: ARG001
    """List changes that wait for a second person, oldest first."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[tuple[ChangeRow, ...]]:
        rows = tuple(
            ChangeRow(
                proposal=entry.sequence,
                at_us=entry.stamp.at_us,
                user=entry.stamp.user,
                call=entry.note.call,
                about=entry.note.about,
                summary=_summary(desk, entry),
            )
            for entry in desk.book.changes.waiting(desk.policy, caller.at_us)
            if is_here(desk.book.roster, entry) and may_know(desk, entry, caller.user, caller.at_us)
        )
        return [], lambda _entries: rows

    return desk.act(token, Call.CHANGE_APPROVE, plan)


@dataclass(frozen=True, slots=True, kw_only=True)
class MyChange:
    """A change that the caller proposed. `state`: waiting, approved, refused, made, out of date.

    `second`: who decided; `reason`: why.
    """

    proposal: int
    at_us: int
    call: str
    about: str
    summary: str = field(repr=False)
    state: str
    second: str
    reason: str


def mine(front: DeskContext, token: str, form: NothingForm) -> tuple[MyChange, ...]:  # noqa: ARG001
    """List your proposals with their state, newest first."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[tuple[MyChange, ...]]:
        known = desk.book.changes
        rows = [
            _my_change(desk, entry, caller.at_us)
            for entry in known.proposed.values()
            if entry.stamp.user == caller.user
        ]
        return [], lambda _entries: tuple(rows[::-1])

    return desk.act(token, Call.POLICY_READ, plan)


def _my_change(desk: Desk, entry: EntryOf[ChangeProposed], now_us: int) -> MyChange:
    note, decided = entry.note, desk.book.changes.decided.get(entry.sequence)
    decision = decided.note if decided is not None else None
    return MyChange(
        proposal=entry.sequence,
        at_us=entry.stamp.at_us,
        call=note.call,
        about=note.about,
        summary=note.summary,
        state=rules.state_of(desk.policy, desk.book.changes, entry, now_us),
        second=decided.stamp.user if decided is not None else "",
        reason=decision.reason if decision is not None else "",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowForm:
    """Which proposal to open."""

    proposal: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownProposal:
    """A proposal as its proposer signed it. `fields`: (name, value) of the form; for a large file, its
    digest."""

    proposal: int
    at_us: int
    user: str
    call: str
    summary: str = field(repr=False)
    fields: tuple[tuple[str, str], ...] = field(repr=False)


def show(front: DeskContext, token: str, form: ShowForm) -> ShownProposal:
    """Show the whole form that a proposal asks to carry out, to the second person or for a later review.

    The form comes from the proposer's signed call. The look makes an entry. If the form is about plates or
    reads, the look takes current training, and the entry is co-signed first. A covert entry of the local list
    is shown only to administrators and to its recipients.
    """
    desk = front.desk

    def plan(caller: Caller) -> Plan[tuple[int, ShownProposal]]:
        entry = _known(desk, form.proposal, caller)
        if entry.note.call in WITH_DATA:
            desk.demand_trained(caller)
        said, titles = form_of(entry.signed), _titles(desk.policy)
        if not _is_of_its_people(entry, caller.user):
            _demand_administrator(desk, caller)
        made = ShownProposal(
            proposal=entry.sequence,
            at_us=entry.stamp.at_us,
            user=entry.stamp.user,
            call=entry.note.call,
            summary=_summary(desk, entry),
            fields=tuple(
                (name, _words(value, titles, name)) for name, value in said.items() if name not in SECOND
            ),
        )
        note = LogRead(elements=f"form of proposal {entry.sequence}", count=len(made.fields))
        return [note], lambda entries: (entries[0].sequence, made)

    look, shown = desk.act(token, Call.CHANGE_APPROVE, plan)
    if shown.call in WITH_DATA:
        desk.covered(look)
    return shown


def _summary(desk: Desk, entry: EntryOf[ChangeProposed]) -> str:
    """A proposal in words. For an account that gets another name, this includes its present name."""
    note, known = entry.note, desk.book.roster.accounts.get(entry.note.about)
    if note.call != "user/set" or known is None:
        return note.summary
    name = form_of(entry.signed).get("name", known.name)
    return note.summary if name == known.name else f"{note.summary}; its name is {known.name} now"


def _is_of_its_people(entry: Entry, user: str) -> bool:
    """Whether everybody may see a proposal, or this person may.

    That of a covert entry is for its proposer and its recipients. If its recipients cannot be read, it has
    none.
    """
    try:
        said = form_of(entry.signed).get("recipients", [])
        recipients: tuple[str, ...] = read_field(tuple[str, ...], said, "recipients")
    except RecordError:
        return user == entry.stamp.user
    return not recipients or user in {*recipients, entry.stamp.user}


def may_know(desk: Desk, entry: Entry, user: str, at_us: int) -> bool:
    """Whether a person may know of a proposal.

    That of a covert entry is known to its people and to administrators; if an administrator proposed it, to
    everyone who may be the second person.
    """
    return _is_of_its_people(entry, user) or any(
        _is_administrator(desk, one, at_us) for one in (user, entry.stamp.user)
    )


def _known(desk: Desk, number: int, caller: Caller) -> EntryOf[ChangeProposed]:
    """A proposal that the caller may know of. Raises FormError."""
    entry = desk.book.changes.proposed.get(number)
    if entry is None or not may_know(desk, entry, caller.user, caller.at_us):
        raise rules.no_proposal()
    return entry


def _is_administrator(desk: Desk, user: str, at_us: int) -> bool:
    return Role.ADMINISTRATOR in desk.policy.effective_roles(desk.book.roster.roles_of(user, at_us))


def _demand_administrator(desk: Desk, caller: Caller) -> None:
    if not _is_administrator(desk, caller.user, caller.at_us):
        raise DeskRefusal(
            "a covert entry is shown to administrators and its recipients alone",
            code="administrator",
            clause="463.7",
            cure="have an administrator decide",
        )


def _titles(policy: Policy) -> Mapping[str, Mapping[str, str]]:
    """What the codes in a form mean, by field, in the policy's words if it has some."""
    roles = {str(one.id): one.title for one in policy.roles}
    return {
        "purpose": {one.id: one.text for one in policy.purposes},
        "basis": {one: one.replace("-", " ") for one in policy.inquiry.bases},
        "hold_ground": {one.id: one.text for one in policy.holds},
        "category": {one.id: one.says for one in policy.alerts.categories},
        "role": roles,
        "roles": roles,
        "keep_roles": roles,
    }


def _words(value: Any, titles: Mapping[str, Mapping[str, str]], name: str = "") -> str:  # noqa: PLR0911 - one case per type
    """A form's field for a person to read. A record shows each part that is not empty, with its label; a
    code of `titles`, what it means."""
    if isinstance(value, dict) and SHA256 in value:
        return f"SHA-256 {value[SHA256].hex()}"
    if isinstance(value, dict):
        said = ((one, _words(part, titles, one)) for one, part in value.items())
        return "; ".join(f"{label_of(one)}: {words}" for one, words in said if words)
    if name.endswith("_us") and type(value) is int:
        return iso_text(value, to="second") if value > 0 else ""
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, list | tuple):
        return ", ".join(_words(one, titles, name) for one in value)
    return titles.get(name, {}).get(str(value), str(value))


def decide(front: DeskContext, token: str, form: DecideForm) -> Decided:
    """Enter the second person's yes or no, or the proposer's own no.

    A yes to a proposal about plates or reads takes current training.
    """
    desk = front.desk

    def plan(caller: Caller) -> Plan[Decided]:
        if _known(desk, form.proposal, caller).note.call in WITH_DATA and form.granted:
            desk.demand_trained(caller)
        known, granted = desk.book.changes, form.granted
        asked = rules.to_decide(desk.policy, known, form.proposal, caller.user, caller.at_us, granted=granted)
        demand_proposer(desk.book.roster, known.proposed[form.proposal], rules.CLAUSE)
        demand_words(form.reason, "say why", code="reason", clause=rules.CLAUSE)
        note = ChangeDecided(proposal=form.proposal, granted=granted, reason=form.reason)
        about, call = asked.about, asked.call
        return [note], lambda made: Decided(
            entry=made[0].sequence, proposal=form.proposal, granted=granted, call=call, about=about
        )

    return desk.act(token, Call.CHANGE_APPROVE, plan)
