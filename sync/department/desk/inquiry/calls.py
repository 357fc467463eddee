"""Inquiries at the desk: ask, propose, approve, run, answer, list own accesses, dispute (463.2, 463.5)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from functools import partial

from sync.department.content.reads import FoundRead
from sync.department.desk.audit.rules import AlprRequest, Findings, OwnAccess, closed_after, dispute_state
from sync.department.desk.changes.rules import already_proposed
from sync.department.desk.context import DeskContext
from sync.department.desk.desk import Caller, Desk, Plan
from sync.department.desk.inquiry import rules
from sync.department.desk.inquiry.alert_looks import shown_to
from sync.department.desk.inquiry.forms import (
    Answer,
    AskForm,
    DeclineForm,
    DisputeForm,
    Entered,
    InquiryDecideForm,
    MyRequest,
    NothingForm,
    Pending,
    ProposeForm,
    RequestForm,
    RunForm,
    first_entered,
)
from sync.department.desk.inquiry.images import answered_request
from sync.department.desk.inquiry.searching import (
    carry_out,
    check_search,
    demand_asked,
    has_ended,
    on_local_clock,
    open_reads,
    pending_search,
    plan_search,
    result_of,
    tidy,
)
from sync.department.desk.people.on_roster import demand_proposer
from sync.department.desk.words import demand_words
from sync.department.journal.entries import Disputed, Entry, EntryOf, LogRead, RequestAnswered
from sync.department.journal.inquiry_entries import (
    Access,
    InquiryAsked,
    Query,
    SearchApproved,
    SearchProposed,
)
from sync.department.policy.refusals import DeskRefusal, FormError, NotYetError
from sync.department.policy.roles import Call

AT_ONE_GO = 5_000  # the most reads that a search opens without steps, in about three seconds


def ask(front: DeskContext, token: str, form: AskForm) -> Entered:
    """Put a request into the queue."""
    desk, query = front.desk, tidy(form.query)

    def plan(caller: Caller) -> Plan[Entered]:
        demand_asked(front, query, form.ground, caller.at_us)
        rules.check_wide(desk.policy, query, form.ground)
        return [InquiryAsked(query=query, ground=form.ground)], first_entered

    return desk.act(token, Call.INQUIRY_REQUEST, plan)


def propose(front: DeskContext, token: str, form: ProposeForm) -> Entered:
    """Propose a search without a full plate to a second person."""
    desk = front.desk
    query, ground, request = pending_search(front, form.query, form.ground, form.request, -1)

    def plan(caller: Caller) -> Plan[Entered]:
        check_search(front, caller, query, ground, request)
        if not rules.check_wide(desk.policy, query, ground):
            raise FormError(
                "a search for a full plate needs no second person", code="full", clause="463.5 (a)"
            )
        wanted = SearchProposed(query=query, ground=ground, request=request)
        number = rules.same_waiting(_waiting(desk, caller.at_us), wanted, caller.user)
        if number >= 0:
            raise already_proposed(number, "463.5 (a)")
        return [wanted], first_entered

    return desk.act(token, Call.INQUIRY_RUN, plan)


def _waiting(desk: Desk, now_us: int) -> Iterator[EntryOf[SearchProposed]]:
    """The proposals that a second person can decide."""
    return (one for one in desk.book.queue.waiting() if rules.can_be_run(desk.book.roster, one, now_us))


def decide(front: DeskContext, token: str, form: InquiryDecideForm) -> Entered:
    """Enter the second person's yes or no to a proposed search."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[Entered]:
        proposed = rules.proposal_to_decide(desk.book.queue, form.proposal, caller.user, now_us=caller.at_us)
        demand_proposer(desk.book.roster, proposed, "463.5 (a)")
        demand_words(form.reason, "say why", code="reason", clause="463.5 (a)")
        note = SearchApproved(proposal=form.proposal, granted=form.granted, reason=form.reason)
        return [note], first_entered

    return desk.act(token, Call.INQUIRY_APPROVE, plan)


def queue(front: DeskContext, token: str, form: NothingForm) -> tuple[Pending, ...]:  # noqa: ARG001
    """List requests and proposals that wait."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[tuple[Entered, tuple[Pending, ...]]]:
        asked = (
            one
            for one in desk.book.queue.open_requests()
            if rules.can_be_run(desk.book.roster, one, caller.at_us)
        )
        pending = (*map(_pending, asked), *map(_pending, _waiting(desk, caller.at_us)))
        return [LogRead(elements="queue", count=len(pending))], lambda made: (first_entered(made), pending)

    entered, pending = desk.act(token, Call.INQUIRY_QUEUE, plan)
    desk.covered(entered.entry)
    return pending


def _pending(entry: EntryOf[InquiryAsked] | EntryOf[SearchProposed]) -> Pending:
    note = entry.note
    return Pending(
        kind="request" if isinstance(note, InquiryAsked) else "proposal",
        entry=entry.sequence,
        at_us=entry.stamp.at_us,
        user=entry.stamp.user,
        query=note.query,
        ground=note.ground,
        request=note.request if isinstance(note, SearchProposed) else -1,
    )


def decline(front: DeskContext, token: str, form: DeclineForm) -> Entered:
    """Say no to a request, with a reason that its asker sees."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[Entered]:
        if form.request not in desk.book.queue.asked:
            raise FormError("there is no such request", code="no-request", clause="463.5 (b)")
        rules.demand_open(desk.book.queue, form.request)
        ended = partial(has_ended, desk)
        rules.demand_untaken(desk.book.queue, form.request, caller.user, ended, caller.at_us)
        demand_words(form.reason, "say why", code="reason", clause="463.5 (a)")
        return [RequestAnswered(request=form.request, access=-1, reads=(), reason=form.reason)], first_entered

    return desk.act(token, Call.INQUIRY_RUN, plan)


def run(front: DeskContext, token: str, form: RunForm) -> Answer:
    """Run a search. Its access entry is in the log and co-signed before a key is used."""
    desk = front.desk
    query, ground, request = pending_search(front, form.query, form.ground, form.request, form.proposal)

    plan = plan_search(front, query, ground, request, form.proposal, most=AT_ONE_GO)
    entry = desk.act(token, Call.INQUIRY_RUN, plan)
    return carry_out(front, entry, query, request=request)


def answer(front: DeskContext, token: str, form: RequestForm) -> Answer:
    """Show the requester the answer to their own request while it is available. Each look is an access."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[tuple[Entry, tuple[str, ...]]]:
        asked, reads = answered_request(desk, form.request, caller)
        note = Access(
            action="answer",
            elements=asked.query.text(),
            plate=asked.query.plate,
            ground=asked.ground,
            on_behalf_of="",
            request=form.request,
            approval=-1,
            reads=reads,
        )
        return [note], lambda made: (made[0], reads)

    entry, names = desk.act(token, Call.INQUIRY_ANSWER, plan)
    access = desk.access(entry.sequence)
    opened, unwitnessed = open_reads(front, entry, Call.INQUIRY_ANSWER, names, ("text", "place"))
    found = [FoundRead.of(one, access.plate) for one in opened]
    shown = on_local_clock(front, sorted(found, key=lambda one: (-one.first_us, one.read)))
    return Answer(
        access=entry.sequence,
        count=sum(one.fit == 1.0 for one in shown),
        reads=tuple(one for one in shown if one.fit == 1.0),
        near_count=sum(one.fit < 1.0 for one in shown),
        near=tuple(one for one in shown if one.fit < 1.0),
        unwitnessed=unwitnessed,
        days_left_out=front.reads.days_left_out(Query.of_text(access.elements)),
    )


def my_requests(front: DeskContext, token: str, form: NothingForm) -> tuple[MyRequest, ...]:  # noqa: ARG001
    """List your requests, newest first: waiting, out of date, answered, or declined with the reason."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[tuple[MyRequest, ...]]:
        queue = desk.book.queue
        rows = [
            _my_request(desk, entry, entry.note, queue.answered.get(number), caller.at_us)
            for number, entry in queue.asked.items()
            if entry.stamp.user == caller.user
        ]
        return [], lambda _entries: tuple(reversed(rows))

    return desk.act(token, Call.INQUIRY_ANSWER, plan)


def _my_request(
    desk: Desk, entry: Entry, note: InquiryAsked, answered: EntryOf[RequestAnswered] | None, now_us: int
) -> MyRequest:
    said = answered.note if answered is not None else None
    if said is None:
        state = "waiting" if rules.can_be_run(desk.book.roster, entry, now_us) else "out of date"
    else:
        state = "answered" if said.access >= 0 else "declined"
    return MyRequest(
        request=entry.sequence,
        at_us=entry.stamp.at_us,
        state=state,
        query=note.query,
        ground=note.ground,
        access=said.access if said else -1,
        reason=said.reason if said else "",
    )


def read_log(
    front: DeskContext,
    token: str,
    call: Call,
    elements: str,
    wanted: Callable[[AlprRequest, str], bool],
    *,
    check: Callable[[], None] | None = None,
    audits: bool = False,
) -> tuple[AlprRequest, ...]:
    """Read ALPR Requests for a person who may read them.

    `wanted` gets each request and the caller's name; `check` may refuse. `audits`: the caller is an auditor
    and also sees which records a look at alerts opened, and how many. To a verifier, an old record would
    reveal a planted mismatch, and a look at a covert entry's alert is shown only to those who may know of it.

    The entry comes first and is co-signed. The reading follows, outside the transaction, then the entry of
    the number of requests.
    """
    return _read_by(front, token, call, elements, wanted, check, audits=audits)[1]


def _read_by(  # noqa: PLR0917 - as `read_log`
    front: DeskContext,
    token: str,
    call: Call,
    elements: str,
    wanted: Callable[[AlprRequest, str], bool],
    check: Callable[[], None] | None = None,
    *,
    audits: bool = False,
) -> tuple[str, tuple[AlprRequest, ...]]:
    """The caller's name, and what `read_log` returns."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[tuple[Entry, Caller]]:
        if check is not None:
            check()
        return [LogRead(elements=elements, count=-1)], lambda made: (made[0], caller)

    entry, caller = desk.act(token, call, plan)
    cover = desk.covered(entry.sequence)
    requests = front.requests.of(desk.log, entry.sequence)
    found = tuple(one for one in requests if wanted(one, caller.user))
    if not audits:
        found = tuple(shown_to(desk, caller, found))
    ended = desk.follow_up(entry.stamp, result_of(entry, cover, len(found), ()))[0]
    desk.covered(ended.sequence)
    return caller.user, found


def mine(front: DeskContext, token: str, form: NothingForm) -> tuple[OwnAccess, ...]:  # noqa: ARG001
    """List accesses by you or in your name, to check and dispute, and what became of your disputes."""
    user, found = _read_by(
        front, token, Call.INQUIRY_ANSWER, "own", lambda one, user: user in {one.username, one.on_behalf_of}
    )
    said: dict[int, list[EntryOf[Disputed]]] = {}
    with front.desk.looking() as book:
        for one in book.queue.disputes:
            if one.stamp.user == user:  # another person's may be about this one
                said.setdefault(one.note.entry, []).append(one)
        return tuple(_own(one, said.get(one.entry, ()), book.findings) for one in found)


def _own(one: AlprRequest, disputes: Sequence[EntryOf[Disputed]], findings: Findings) -> OwnAccess:
    facts = {each.name: getattr(one, each.name) for each in fields(AlprRequest)}
    state = dispute_state(findings, one.entry, disputes[-1].sequence) if disputes else ""
    reasons = dict.fromkeys(each.note.reason for each in disputes)
    return OwnAccess(**facts, dispute=state, dispute_reason="; ".join(reasons))


def dispute(front: DeskContext, token: str, form: DisputeForm) -> Entered:
    """Dispute an access or request in your name. The next audit assigns it to a reviewer.

    This is also how to correct a mistake, such as another case's number. The entry stays unchanged, and the
    reason, which says what is right, stays with the finding. Another dispute corrects a mistyped correction:
    the reviewer reads both, and one after the finding is closed makes a new finding.
    """
    desk = front.desk

    def plan(caller: Caller) -> Plan[Entered]:
        entry = desk.log.entry(form.entry) if 0 <= form.entry < desk.log.size() else None
        mine = entry is not None and (
            (isinstance(entry.note, Access) and caller.user in {entry.note.on_behalf_of, entry.stamp.user})
            or (isinstance(entry.note, InquiryAsked) and entry.stamp.user == caller.user)
        )
        if not mine:
            raise DeskRefusal(
                "that is neither an access nor a request in your name", code="other-entry", clause="463.5 (b)"
            )
        demand_words(form.reason, "say what is wrong with it", code="reason", clause="463.5 (b)")
        heard = closed_after(desk.book.findings, form.entry)
        if any(
            (one.note.entry, one.note.reason, one.stamp.user) == (form.entry, form.reason, caller.user)
            for one in desk.book.queue.disputes
            if one.sequence > heard
        ):
            raise NotYetError(
                "you disputed it with these words before: a reviewer gets them",
                code="disputed",
                clause="463.5 (b)",
                cure="to correct them, say what is right",
            )
        return [Disputed(entry=form.entry, reason=form.reason)], first_entered

    return desk.act(token, Call.INQUIRY_DISPUTE, plan)
