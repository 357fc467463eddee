"""Changes that need a second person: proposed, approved by another person, carried out once. No I/O.

An approval is good for exactly one form, whose SHA-256 is in the proposal. The person who approves is neither
the proposer nor the person whom the change is about.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from storage.times import HOUR_US
from sync.department.desk.people.on_roster import demand_proposer, is_here
from sync.department.desk.people.rules import Accounts
from sync.department.journal.change_entries import ChangeDecided, ChangeProposed, ChangeUsed
from sync.department.journal.entries import Entry, EntryOf, is_of
from sync.department.journal.statements import form_fields, proposal_digest
from sync.department.policy.policy import Policy
from sync.department.policy.refusals import DeskRefusal, FormError, NotYetError, decided_already

CLAUSE = "463.4"


class ChangeForm(Protocol):
    """A form that may need a second person. With `propose`, it only asks for one."""

    @property
    def propose(self) -> bool: ...

    @property
    def approval(self) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedChange:
    """A call that may need a second person: who makes it, whom or what it is about, and a summary.

    `instead`: what makes a second person unnecessary, for the refusal; empty if nothing does.
    """

    call: str
    about: str
    summary: str = field(repr=False)
    user: str
    now_us: int
    instead: str = ""


@dataclass(slots=True)
class ChangeStates:
    """What the log says of changes that wait for a second person."""

    proposed: dict[int, EntryOf[ChangeProposed]] = field(default_factory=dict)
    decided: dict[int, EntryOf[ChangeDecided]] = field(default_factory=dict)
    used: set[int] = field(default_factory=set)

    def apply(self, entry: Entry) -> None:
        if is_of(entry, ChangeProposed):
            self.proposed[entry.sequence] = entry
        elif is_of(entry, ChangeDecided):
            self.decided[entry.note.proposal] = entry
        elif is_of(entry, ChangeUsed):
            self.used.add(entry.note.proposal)

    def waiting(self, policy: Policy, now_us: int) -> list[EntryOf[ChangeProposed]]:
        """Proposals that have no decision and have not expired."""
        return [
            entry
            for number, entry in self.proposed.items()
            if number not in self.decided and _in_time(policy, entry, now_us)
        ]


def _in_time(policy: Policy, entry: Entry, now_us: int) -> bool:
    return 0 <= now_us - entry.stamp.at_us <= policy.inquiry.approval_hours * HOUR_US


def state_of(policy: Policy, changes: ChangeStates, entry: Entry, now_us: int) -> str:
    """The state of a proposal: waiting, approved, refused, made, out of date."""
    decision = changes.decided.get(entry.sequence)
    if entry.sequence in changes.used:
        return "made"
    if decision is not None and not decision.note.granted:
        return "refused"
    if not _in_time(policy, decision or entry, now_us):
        return "out of date"
    return "waiting" if decision is None else "approved"


def proposal_of(call: str, form: Any, about: str, summary: str) -> ChangeProposed:
    """The entry that asks for a second person."""
    return ChangeProposed(
        call=call, about=about, digest=proposal_digest(call, form_fields(form)), summary=summary
    )


def no_proposal() -> FormError:
    """The refusal of a number that is not a proposal, or not one that the person may know of."""
    return FormError("there is no such proposal", code="no-proposal", clause=CLAUSE)


def to_decide(
    policy: Policy, changes: ChangeStates, number: int, second: str, now_us: int, *, granted: bool = True
) -> ChangeProposed:
    """The proposal that a second person decides. Its proposer may only refuse it. Raises DeskRefusal."""
    entry = changes.proposed.get(number)
    if entry is None:
        raise no_proposal()
    decided = changes.decided.get(number)
    if decided is not None:
        was = decided.note.granted
        raise decided_already(decided.stamp.user, "proposal", granted=was, clause=CLAUSE)
    if second == entry.note.about or (granted and second == entry.stamp.user):
        raise DeskRefusal("the second person must be another person", code="second-person", clause=CLAUSE)
    if not _in_time(policy, entry, now_us):
        raise DeskRefusal(
            "that proposal is out of date", code="old-proposal", clause=CLAUSE, cure="propose it again"
        )
    return entry.note


def to_use(
    policy: Policy, changes: ChangeStates, roster: Accounts, form: ChangeForm, wanted: WantedChange
) -> ChangeUsed:
    """The second person's fresh, unused yes to exactly this form by this person. Raises DeskRefusal.

    The desk checks whether it still counts.
    """
    number = form.approval
    entry, decision = changes.proposed.get(number), changes.decided.get(number)
    if number < 0:
        raise NotYetError(
            "this needs a second person",
            code="second-person",
            clause=CLAUSE,
            cure="propose it; once another person approved it under Changes, carry it out with that approval"
            + (f"; or {wanted.instead}" if wanted.instead else ""),
        )
    digest = proposal_digest(wanted.call, form_fields(form))
    if entry is None or entry.stamp.user != wanted.user or entry.note.digest != digest:
        raise DeskRefusal(  # the same for a number that is not a proposal: a person may not know of some
            "there is no approval of that number for you and this change",
            code="other-approval",
            clause=CLAUSE,
            cure="see what you proposed under Changes, or: department change mine",
        )
    if decision is None:
        raise NotYetError("that proposal waits for a second person", code="second-person", clause=CLAUSE)
    if not decision.note.granted:
        what = f"{decision.stamp.user} refused it"
        cure = "see why under Changes, or: department change mine"
        raise DeskRefusal(what, code="declined", clause=CLAUSE, cure=cure)
    if number in changes.used:
        what, cure = "that approval was used: it was carried out", "to do it once more, propose it again"
        raise DeskRefusal(what, code="used-approval", clause=CLAUSE, cure=cure)
    if not _in_time(policy, decision, wanted.now_us):
        what, cure = "that approval is out of date", "propose it again"
        raise DeskRefusal(what, code="old-approval", clause=CLAUSE, cure=cure)
    demand_proposer(roster, entry, CLAUSE)
    return ChangeUsed(proposal=number, about=wanted.about, second=decision.stamp.user)


def _demand_new(
    policy: Policy, changes: ChangeStates, roster: Accounts, proposed: ChangeProposed, wanted: WantedChange
) -> None:
    """Refuse a form that already waits. Raises NotYetError naming the proposal that waits."""
    for entry in changes.waiting(policy, wanted.now_us):
        same = entry.note.digest == proposed.digest
        if same and entry.stamp.user == wanted.user and is_here(roster, entry):
            raise already_proposed(entry.sequence, CLAUSE)


def already_proposed(number: int, clause: str) -> NotYetError:
    """The refusal of a second proposal of the same change."""
    return NotYetError(
        f"you proposed exactly this already: proposal {number} waits for a second person",
        code="proposed",
        clause=clause,
        cure="have another person decide it",
    )


def used_for(used: ChangeUsed, about: str) -> ChangeUsed:
    """The same approval for another of the people it is about."""
    return replace(used, about=about)


def second_person(
    policy: Policy,
    changes: ChangeStates,
    roster: Accounts,
    form: ChangeForm,
    wanted: WantedChange,
    *,
    needed: bool,
    alone: bool = False,
) -> ChangeProposed | list[ChangeUsed]:
    """What the log needs of two people: the proposal, if the form only asks; else the approval that it uses.

    `needed`: whether this form needs a second person; `alone`: whether there is none yet. Raises DeskRefusal.
    """
    if form.propose:
        if not needed:
            raise FormError(
                "this needs no second person: send it without proposing", code="no-second", clause=CLAUSE
            )
        proposed = proposal_of(wanted.call, form, wanted.about, wanted.summary)
        _demand_new(policy, changes, roster, proposed, wanted)
        return proposed
    if not needed or alone:
        if form.approval >= 0:  # the signed call would name a second person who is in no entry
            what, cure = "this needs no second person", "send it without an approval"
            raise FormError(what, code="no-second", clause=CLAUSE, cure=cure, fields=("approval",))
        return []
    return [to_use(policy, changes, roster, form, wanted)]
