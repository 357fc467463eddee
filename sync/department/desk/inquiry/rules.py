"""Rules of inquiries: what one must state, when it needs a second person, the queue of requests. No I/O.

The clauses are 463.2 (purpose), 463.5 (a) (basis with its number) and 463.5 (c) (who runs one). Without a
full plate, a search needs a case number and a second person, who agrees to exactly that search, once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from storage.counts import counted
from storage.times import DAY_US, HOUR_US, MINUTE_US
from sync.department.desk.inquiry.forms import AskForm, ProposeForm, RunForm
from sync.department.desk.people.on_roster import is_here
from sync.department.desk.people.rules import Accounts
from sync.department.journal.change_entries import RequestTaken
from sync.department.journal.entries import Disputed, Entry, EntryOf, RequestAnswered, is_of
from sync.department.journal.inquiry_entries import (
    ApprovalUsed,
    Ground,
    InquiryAsked,
    Query,
    SearchApproved,
    SearchProposed,
)
from sync.department.journal.query_rules import check_query
from sync.department.journal.second_hands import WAITS_US
from sync.department.policy.desk_terms import NUMBER_KINDS
from sync.department.policy.policy import Policy
from sync.department.policy.refusals import (
    DeskRefusal,
    FormError,
    NotYetError,
    decided_already,
    done_already,
    refuse_all,
    refuse_each,
)

TAKEN_US = 5 * MINUTE_US  # an answer that was cut off can be made again after this time
SAME_US = 10 * MINUTE_US  # how far apart the ranges of one search proposed twice may end


def is_full(policy: Policy, plate: str) -> bool:
    """Whether a plate has no wildcards and is long enough to be a plate."""
    return len(plate) >= policy.inquiry.full_plate_min and not set(plate) & {"*", "?"}


def check_ask(policy: Policy, query: Query, ground: Ground, now_us: int) -> None:
    """Check what is searched for, and why. Raises FormError naming each wrong field."""
    refuse_each(lambda: check_query(policy.inquiry, query, now_us), lambda: check_ground(policy, ground))


def check_form(policy: Policy, form: AskForm | RunForm | ProposeForm, now_us: int) -> None:
    """Check as much of a form as could be read. Raises FormError."""
    if form.query is not None and form.ground is not None:
        check_ask(policy, form.query, form.ground, now_us)


def check_ground(policy: Policy, ground: Ground) -> None:
    """Check purpose, basis, number and justification. Raises FormError naming each wrong field."""
    refuse_all(list(_wrong_ground(policy, ground)))


def _wrong_ground(policy: Policy, ground: Ground) -> Iterator[FormError]:
    if policy.purpose(ground.purpose) is None:
        yield FormError(
            "that is not one of the authorized purposes" if ground.purpose else "a purpose must be given",
            code="purpose",
            clause="463.2",
            cure=", ".join(one.id for one in policy.purposes),
        )
    bases = policy.inquiry.bases_for(ground.purpose)
    if ground.basis not in bases:
        what = "the basis is a criminal investigation, or a civil or administrative action of the department"
        if ground.basis in policy.inquiry.bases:
            what = "that purpose does not fit this basis"
        yield FormError(what, code="basis", clause="463.5 (a)", cure=", ".join(bases))
    if ground.number_kind not in NUMBER_KINDS:
        yield FormError(
            "say what kind of number it is", code="number", clause="463.5 (a)", cure=", ".join(NUMBER_KINDS)
        )
    elif not is_number(policy, ground.number, ground.number_kind):
        example = example_of(policy, ground.number_kind)
        yield FormError(
            "the basis must be named by its case, action or CAD incident number",
            code="number",
            clause="463.5 (a)",
            cure=f"as the policy has it, e.g. {example}" if example else "",
        )
    if not policy.inquiry.says_why(ground.justification):
        yield FormError(
            f"say why, in at least two words and {policy.inquiry.justification_min} letters",
            code="justification",
            clause="463.5 (a)",
        )


def example_of(policy: Policy, kind: str) -> str:
    """A number of this kind as the policy writes it; "" if it gives no example."""
    return next((one.text for one in policy.inquiry.numbers if one.kind == kind), "")


def is_number(policy: Policy, number: str, kind: str) -> bool:
    """Whether the signed policy allows a number: it has the form of its kind, and is not one that means no
    number."""
    return policy.inquiry.is_number(number, kind)


def check_wide(policy: Policy, query: Query, ground: Ground) -> bool:
    """Whether the query needs a second person. Raises FormError if it also needs a case number and lacks
    it."""
    if is_full(policy, query.plate):
        return False
    if ground.number_kind != "case":
        raise FormError(
            "a search without a full plate needs a case number; no other number will do",
            code="case-number",
            clause="463.5 (a)",
            cure="name the case, or type the full plate; if a life is in danger, make an emergency search",
        )
    return True


@dataclass(slots=True)
class InquiryQueue:
    """What the log says of requests, proposals, approvals and disputes."""

    asked: dict[int, EntryOf[InquiryAsked]] = field(default_factory=dict)
    answered: dict[int, EntryOf[RequestAnswered]] = field(default_factory=dict)
    proposed: dict[int, EntryOf[SearchProposed]] = field(default_factory=dict)
    decided: dict[int, EntryOf[SearchApproved]] = field(default_factory=dict)
    used: set[int] = field(default_factory=set)
    taken: dict[int, EntryOf[RequestTaken]] = field(default_factory=dict)
    disputes: list[EntryOf[Disputed]] = field(default_factory=list)

    def apply(self, entry: Entry) -> None:
        if is_of(entry, InquiryAsked):
            self.asked[entry.sequence] = entry
        elif is_of(entry, RequestAnswered):
            self.answered[entry.note.request] = entry
        elif is_of(entry, SearchProposed):
            self.proposed[entry.sequence] = entry
        elif is_of(entry, SearchApproved):
            self.decided[entry.note.proposal] = entry
        elif is_of(entry, Disputed):
            self.disputes.append(entry)
        elif is_of(entry, RequestTaken):
            self.taken[entry.note.request] = entry
        elif is_of(entry, ApprovalUsed):
            self.used.add(entry.note.proposal)

    def open_requests(self) -> list[EntryOf[InquiryAsked]]:
        return [entry for number, entry in self.asked.items() if number not in self.answered]

    def waiting(self) -> list[EntryOf[SearchProposed]]:
        return [entry for number, entry in self.proposed.items() if number not in self.decided]


def is_old(entry: Entry, now_us: int) -> bool:
    """Whether a request or a proposal waited too long, so that the key service opens nothing for it."""
    return now_us - entry.stamp.at_us >= WAITS_US


def demand_answer_young(policy: Policy, answered: Entry, at_us: int) -> None:
    """Refuse a look at an answer after the policy's hours. Raises DeskRefusal. `answered`: its entry."""
    hours = policy.inquiry.answer_hours
    if at_us - answered.stamp.at_us > hours * HOUR_US:
        raise DeskRefusal(
            f"answers can be seen for {counted(hours, 'hour')}",
            code="old-answer",
            clause="463.5 (a)",
            cure="request the search again",
        )


def can_be_run(roster: Accounts, entry: Entry, now_us: int) -> bool:
    """Whether a request or a proposal is not too old, and its person is still on the roster."""
    return is_here(roster, entry) and not is_old(entry, now_us)


def demand_young(
    entry: Entry,
    code: str,
    now_us: int,
    clause: str,
    cure: str = "ask that person to request or propose it again",
) -> None:
    """Refuse what waited too long and must be asked for again. Raises DeskRefusal."""
    if is_old(entry, now_us):
        days = counted(WAITS_US // DAY_US, "day")
        what = f"that has waited for {days}: the reason for it may no longer exist"
        raise DeskRefusal(what, code=code, clause=clause, cure=cure)


def request_to_run(  # noqa: PLR0917 - what is searched, by whom, and what is known of searches
    queue: InquiryQueue,
    number: int,
    query: Query,
    ground: Ground,
    runner: str,
    ended: Callable[[int], bool],
    *,
    now_us: int,
) -> Entry:
    """The open request that a search answers. Raises DeskRefusal unless it is another person's and the same
    search."""
    entry = queue.asked.get(number)
    if entry is None:
        raise FormError("there is no such request", code="no-request", clause="463.5 (b)")
    demand_open(queue, number)
    demand_young(entry, "old-request", now_us, "463.5 (b)")
    demand_untaken(queue, number, runner, ended, now_us)
    if (entry.note.query, entry.note.ground) != (query, ground):
        raise DeskRefusal(
            "this is not the search that was asked for", code="other-search", clause="463.5 (b)"
        )
    if entry.stamp.user == runner:
        raise DeskRefusal("another person must answer your request", code="own-request", clause="463.5 (c)")
    return entry


def demand_open(queue: InquiryQueue, number: int) -> None:
    """Refuse a second answer to a request. Raises DeskRefusal."""
    answered = queue.answered.get(number)
    if answered is not None:
        did = f"{'declined' if answered.note.access < 0 else 'answered'} that request"
        raise done_already(answered.stamp.user, did, code="answered", clause="463.5 (b)")


def demand_untaken(
    queue: InquiryQueue, number: int, user: str, ended: Callable[[int], bool], now_us: int
) -> None:
    """Refuse a request that another person is answering now. Raises NotYetError.

    `ended`: whether the search of an entry has ended. The search that takes a request is the entry before.
    """
    taken = queue.taken.get(number)
    if taken is None or taken.stamp.user == user or ended(taken.sequence - 1):
        return
    if 0 <= now_us - taken.stamp.at_us < TAKEN_US:
        what, cure = f"{taken.stamp.user} is answering that request", "list the queue again"
        raise NotYetError(what, code="answered", clause="463.5 (b)", cure=cure)


def same_waiting(waiting: Iterable[EntryOf[SearchProposed]], wanted: SearchProposed, user: str) -> int:
    """The person's own waiting proposal of the same search, or -1.

    A range that ends now counts as the same if it is proposed again a little later.
    """
    for entry in waiting:
        note = entry.note
        if entry.stamp.user != user:
            continue
        moved = max(
            abs(note.query.since_us - wanted.query.since_us), abs(note.query.until_us - wanted.query.until_us)
        )
        at = replace(note.query, since_us=wanted.query.since_us, until_us=wanted.query.until_us)
        if moved <= SAME_US and replace(note, query=at) == wanted:
            return entry.sequence
    return -1


def proposal_to_decide(queue: InquiryQueue, number: int, second: str, *, now_us: int) -> Entry:
    """The proposal that a second person decides. Raises DeskRefusal if it is their own or is already
    decided."""
    entry = queue.proposed.get(number)
    if entry is None:
        raise FormError(
            "there is no such proposal", code="no-proposal", clause="463.5 (a)", cure="list the queue"
        )
    decided = queue.decided.get(number)
    if decided is not None:
        granted = decided.note.granted
        raise decided_already(decided.stamp.user, "proposal", granted=granted, clause="463.5 (a)")
    demand_young(entry, "old-proposal", now_us, "463.5 (a)")
    asker = queue.asked.get(entry.note.request)
    if second == entry.stamp.user or (asker is not None and asker.stamp.user == second):
        raise DeskRefusal(
            "the second person must be another person", code="second-person", clause="463.5 (a)"
        )
    return entry


def approval_to_use(
    policy: Policy, queue: InquiryQueue, number: int, wanted: SearchProposed, user: str, *, now_us: int
) -> Entry:
    """The fresh, unused yes to exactly this search by this person. Raises DeskRefusal."""
    entry = queue.proposed.get(number)
    decision = queue.decided.get(number)
    clause = "463.5 (a)"
    if entry is None:
        raise NotYetError(
            "a search without a full plate needs a second person",
            code="second-person",
            clause=clause,
            cure="propose it, have it approved, then run it",
        )
    if entry.stamp.user != user or entry.note != wanted:
        raise DeskRefusal(
            "that approval is for another person or search",
            code="other-approval",
            clause=clause,
            cure="give only its number: a search beside it must have exactly the proposal's times",
        )
    if decision is None:
        raise NotYetError("that proposal waits for a second person", code="second-person", clause=clause)
    demand_young(entry, "old-proposal", now_us, clause)
    if not decision.note.granted:
        what, cure = f"{decision.stamp.user} refused it", "propose another search"
        raise DeskRefusal(what, code="declined", clause=clause, cure=cure)
    if number in queue.used:
        what, cure = "that approval was used: the search was run", "to run it once more, propose it again"
        raise DeskRefusal(what, code="used-approval", clause=clause, cure=cure)
    if not 0 <= now_us - decision.stamp.at_us <= policy.inquiry.approval_hours * HOUR_US:
        what, cure = "that approval is out of date", "propose the search again"
        raise DeskRefusal(what, code="old-approval", clause=clause, cure=cure)
    return decision
