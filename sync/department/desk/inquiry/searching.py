"""How a search runs at the desk: its checks, its entry, its pages (463.5).

The order is: the entry, the witness's co-signature, the keys, the entry of how the search ended, the answer.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from storage.counts import counted
from sync.department.content.key_door import Cover
from sync.department.content.key_guard import OPENS_FOR_US
from sync.department.content.reads import FoundRead, OpenedRead, ResultPage
from sync.department.desk.context import DeskContext
from sync.department.desk.desk import Caller, Desk, Plan
from sync.department.desk.inquiry import rules
from sync.department.desk.inquiry.forms import Answer, AskForm, Estimate, PageForm
from sync.department.desk.machine.naming_logs import name_logs_of
from sync.department.desk.people.on_roster import demand_approver, demand_proposer, is_here
from sync.department.desk.people.training import demand_current
from sync.department.ground.local_time import local
from sync.department.ground.unit_names import alike
from sync.department.journal.change_entries import RequestTaken
from sync.department.journal.entries import Entry, LogRead, Refused, RequestAnswered
from sync.department.journal.entry_base import Note
from sync.department.journal.inquiry_entries import (
    Access,
    AccessEnded,
    ApprovalUsed,
    Ground,
    InquiryAsked,
    Query,
    SearchEnded,
    SearchProposed,
)
from sync.department.journal.query_rules import check_query, plate_of
from sync.department.policy.refusals import DeskRefusal, FormError, NotYetError, demand, refuse_each
from sync.department.policy.roles import Call

NAMED = 12  # how many units a refusal names
MUCH = "much"  # a refusal's word: run the search step by step


def tidy(query: Query) -> Query:
    """The query with its plate in normal form. Raises FormError for letters that no plate has."""
    return replace(query, plate=plate_of(query.plate))


def demand_asked(front: DeskContext, query: Query, ground: Ground, now_us: int) -> None:
    """Check what is searched for, and why. Raises FormError naming each wrong field."""
    refuse_each(
        lambda: check_query(front.desk.policy.inquiry, query, now_us),
        lambda: demand_unit(front, query),
        lambda: rules.check_ground(front.desk.policy, ground),
    )


def demand_unit(front: DeskContext, query: Query) -> None:
    """Check that the unit exists. Raises FormError.

    A misspelled unit would return no results, as if nothing had passed.
    """
    if query.unit and not front.reads.knows_unit(query.unit):
        names = [one.name for one in front.state.units(front.desk.now_us())]
        meant = alike(query.unit, names)
        more = f", and {len(names) - NAMED} more" if len(names) > NAMED else ""
        raise FormError(
            "no unit has that name",
            code="unit",
            clause="463.5 (b) 2",
            cure=f"did you mean {meant}?"
            if meant
            else f"one of: {', '.join(names[:NAMED])}{more}; or leave it empty",
        )


def pending_search(
    front: DeskContext, query: Query | None, ground: Ground | None, request: int, proposal: int
) -> tuple[Query, Ground, int]:
    """(query, ground, request) of a search: as given, else those of the waiting proposal or request.

    Raises FormError if there is neither.
    """
    if query is not None and ground is not None:
        return tidy(query), ground, request
    with front.desk.log.writing():  # no other thread takes in entries meanwhile
        front.desk.refresh()
        queue = front.desk.book.queue
    entry = queue.proposed.get(proposal) or queue.asked.get(request)
    note = entry.note if entry is not None else None
    if query is not None or ground is not None or not isinstance(note, InquiryAsked | SearchProposed):
        named = f"request {request}" if request >= 0 else f"proposal {proposal}"
        if query is None and ground is None and max(request, proposal) >= 0:
            what, cure = f"there is no {named}", "see what waits: department inquiry queue"
            raise FormError(what, code="no-request", clause="463.5 (b)", cure=cure)
        raise FormError(
            "give query and ground, or the request or proposal that has both",
            code="no-request",
            clause="463.5 (b)",
        )
    return note.query, note.ground, note.request if isinstance(note, SearchProposed) else request


def check_search(front: DeskContext, caller: Caller, query: Query, ground: Ground, request: int) -> str:
    """Check what applies to every search. Raises DeskRefusal.

    Returns in whose name the search is made, "" for the caller's own.
    """
    desk = front.desk
    demand_asked(front, query, ground, caller.at_us)
    if request < 0:
        return ""
    ended = partial(has_ended, desk)
    entry = rules.request_to_run(
        desk.book.queue, request, query, ground, caller.user, ended, now_us=caller.at_us
    )
    asker = desk.book.roster.accounts.get(entry.stamp.user)
    if asker is None or not is_here(desk.book.roster, entry):
        raise DeskRefusal(
            "the person who asked has since been removed: the request ends by itself",
            code="requester",
            clause="463.3",
            cure="have it asked for again",
        )
    roles = desk.policy.effective_roles(desk.book.roster.roles_of(asker.user, caller.at_us))
    desk.policy.allowing_role(roles, Call.INQUIRY_REQUEST)
    who = f"{asker.user}, who asked, has"
    demand_current(desk.policy, desk.book.trainings, asker.user, caller.at_us, who=who)
    return asker.user


def has_ended(desk: Desk, access: int) -> bool:
    """Whether a search that runs step by step is done or cancelled."""
    found = (entry.note for entry in desk.log.entries(access, kinds=(SearchEnded.KIND,)))
    return any(isinstance(one, SearchEnded) and one.access == access for one in found)


def is_exact(query: Query) -> bool:
    """Whether a query has a plate without wildcards: tokens then find it, and only matching reads are
    opened."""
    return bool(query.plate) and not set(query.plate) & {"*", "?"}


def plan_search(
    front: DeskContext, query: Query, ground: Ground, request: int, proposal: int, *, most: int = 0
) -> Callable[[Caller], Plan[Entry]]:
    """Plan a search: its checks, its access entry, the approval that it uses.

    `most`: how many reads it may open in one call; 0 for any number.
    """
    desk = front.desk

    def plan(caller: Caller) -> Plan[Entry]:
        name = check_search(front, caller, query, ground, request)
        wide = rules.check_wide(desk.policy, query, ground)
        demand(
            wide or proposal < 0,
            "a search for a full plate needs no second person",
            code="full",
            clause="463.5 (a)",
            cure="leave the proposal out",
            fields=("proposal",),
        )
        access = search_entry(
            query, ground, on_behalf_of=name, request=request, approval=proposal if wide else -1
        )
        notes: list[Note] = [access]
        if request >= 0:  # of two dispatchers at once, the first one answers it
            notes.append(RequestTaken(request=request))
        if wide:
            wanted = SearchProposed(query=query, ground=ground, request=request)
            second = rules.approval_to_use(
                desk.policy, desk.book.queue, proposal, wanted, caller.user, now_us=caller.at_us
            )
            demand_proposer(desk.book.roster, desk.book.queue.proposed[proposal], "463.5 (a)")
            given = Call.INQUIRY_APPROVE, proposal, second.stamp.user
            demand_approver(desk.book.signers.second, *given, "463.5 (a)")
            notes.append(ApprovalUsed(proposal=proposal))
        if most and not is_exact(query):
            _demand_few(front, query, most)
        return notes, lambda made: made[0]

    return plan


def _demand_few(front: DeskContext, query: Query, most: int) -> None:
    """Refuse a large search, which must run step by step. Raises NotYetError."""
    days, reads = front.reads.extent(query)
    if reads > most:
        raise NotYetError(
            f"this search would open {counted(reads, 'read')} of {counted(days, 'day')}, in about "
            f"{counted(round(front.pace.seconds(days, reads)), 'second')}",
            code=MUCH,
            clause="463.5 (a)",
            cure="run it step by step (inquiry/begin), which you can cancel, or narrow the search",
        )


def search_entry(
    query: Query, ground: Ground, *, on_behalf_of: str = "", request: int = -1, approval: int = -1
) -> Access:
    """The access entry of a search."""
    return Access(
        action="search",
        elements=query.text(),
        plate=query.plate,
        ground=ground,
        on_behalf_of=on_behalf_of,
        request=request,
        approval=approval,
        reads=(),
    )


def carry_out(front: DeskContext, entry: Entry, query: Query, *, request: int = -1) -> Answer:
    """Answer a search whose access entry was made, with its first page."""
    desk = front.desk
    name_logs_of(front, query)
    cover = desk.covered(entry.sequence)
    page = front.reads.find(front.door, cover, query, desk.policy.inquiry.results_max)
    names = tuple(one.read for one in (*page.reads, *page.near))
    last = desk.follow_up(entry.stamp, result_of(entry, cover, page.count, names))[-1]
    if request >= 0:
        last = enter_answer(front, entry, request, entry.sequence, names)
    ended = desk.covered(last.sequence)
    return _answer(front, entry.sequence, query, page, unwitnessed=cover.unwitnessed or ended.unwitnessed)


def enter_answer(front: DeskContext, entry: Entry, request: int, access: int, reads: Sequence[str]) -> Entry:
    """Enter the answer to a request, after the search's result. Raises DeskRefusal.

    The result stays even if the session has ended and signs no answer, or another person declined the
    request.
    """
    desk = front.desk
    with desk.deciding():
        rules.demand_open(desk.book.queue, request)
        note = RequestAnswered(request=request, access=access, reads=tuple(reads), reason="")
        return desk.follow_up(entry.stamp, note)[-1]


def more(front: DeskContext, token: str, form: PageForm) -> Answer:
    """Show the next page of your own search, within the hour for which its entry opens content."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[tuple[Entry, Entry, Query]]:
        source = desk.log.entry(form.access) if 0 <= form.access < desk.log.size() else None
        access = source.note if source is not None and source.stamp.user == caller.user else None
        if source is None or not isinstance(access, Access) or access.action != "search":
            raise DeskRefusal("that is not a search of yours", code="other-search", clause="463.5 (b)")
        if not 0 <= caller.at_us - source.stamp.at_us <= OPENS_FOR_US:
            raise DeskRefusal(
                "that search is more than an hour old",
                code="old-search",
                clause="463.5 (b)",
                cure="search again",
            )
        if not form.after:
            raise FormError("name the cursor of the last page", code="cursor", clause="463.5 (b) 2")
        note = LogRead(elements=f"next page of entry {form.access}", count=-1)
        query = Query.of_text(access.elements)
        return [note], lambda made: (made[0], source, query)

    read, source, query = desk.act(token, Call.INQUIRY_RUN, plan)
    name_logs_of(front, query)
    desk.covered(read.sequence)
    cover = desk.covered(form.access)
    with note_refusal(front, read, Call.INQUIRY_RUN):
        page = front.reads.find(front.door, cover, query, desk.policy.inquiry.results_max, form.after)
    names = tuple(one.read for one in (*page.reads, *page.near))
    ended = desk.follow_up(read.stamp, result_of(source, cover, page.count, names))[0]
    unwitnessed = desk.covered(ended.sequence).unwitnessed or cover.unwitnessed
    return _answer(front, form.access, query, page, unwitnessed=unwitnessed)


def estimate(front: DeskContext, token: str, form: AskForm) -> Estimate:
    """Estimate how much a search would open before it is made. This uses no key, and makes an entry."""
    desk, query = front.desk, tidy(form.query)

    def plan(caller: Caller) -> Plan[None]:
        check_search(front, caller, query, form.ground, -1)
        return [LogRead(elements=f"estimate: {query.text()}", count=-1)], lambda _entries: None

    desk.act(token, Call.INQUIRY_RUN, plan)
    days, reads = front.reads.extent(query)
    opens_all = not is_exact(query)
    seconds = front.pace.seconds(days, reads if opens_all else 0)
    over = front.reads.days_left_out(query)
    return Estimate(days=days, reads=reads, opens_all=opens_all, seconds=seconds, days_left_out=over)


def _answer(front: DeskContext, access: int, query: Query, page: ResultPage, *, unwitnessed: bool) -> Answer:
    return Answer(
        access=access,
        count=page.count,
        reads=on_local_clock(front, page.reads),
        near_count=page.near_count,
        near=on_local_clock(front, page.near),
        next=page.next,
        unwitnessed=unwitnessed,
        days_left_out=front.reads.days_left_out(query) + page.days_shut,
    )


def on_local_clock(front: DeskContext, reads: Sequence[FoundRead]) -> tuple[FoundRead, ...]:
    """The same reads, with the department's local time beside UTC."""
    zone = front.desk.policy.zone
    return tuple(replace(one, local_time=local(one.first_us, zone).isoformat()) for one in reads)


def result_of(entry: Entry, cover: Cover, count: int, reads: Sequence[str]) -> AccessEnded:
    """The entry of how an access ended."""
    return AccessEnded(access=entry.sequence, count=count, reads=tuple(reads), unwitnessed=cover.unwitnessed)


@contextlib.contextmanager
def note_refusal(front: DeskContext, entry: Entry, call: Call) -> Iterator[None]:
    """Enter a refusal after the access entry as the end of the access."""
    try:
        yield
    except DeskRefusal as error:
        front.desk.follow_up(entry.stamp, Refused(call=call.value, code=error.code, clause=error.clause))
        raise


def open_reads(
    front: DeskContext, entry: Entry, call: Call, names: Sequence[str], elements: Sequence[str]
) -> tuple[list[OpenedRead], bool]:
    """Open the reads that an access entry names, and enter how it ended: (reads, unwitnessed)."""
    desk = front.desk
    cover = desk.covered(entry.sequence)
    with note_refusal(front, entry, call):
        opened = front.reads.open(front.door, cover, names, elements)
    ended = desk.follow_up(entry.stamp, result_of(entry, cover, len(opened), names))[0]
    return opened, desk.covered(ended.sequence).unwitnessed or cover.unwitnessed


def found_by(front: DeskContext, access: int, user: str) -> set[str]:
    """The reads that a search by this user ended with, on all its pages; empty for any other entry."""
    log = front.desk.log
    if not 0 <= access < log.size():
        return set()
    source = log.entry(access)
    if not isinstance(source.note, Access) or source.note.action != "search" or source.stamp.user != user:
        return set()
    until_us = source.stamp.at_us + 2 * OPENS_FOR_US  # its last page came within the hour
    found: set[str] = set()
    for entry in log.entries(access, kinds=(AccessEnded.KIND,)):
        if entry.stamp.at_us > until_us:
            break
        if isinstance(entry.note, AccessEnded) and entry.note.access == access and entry.stamp.user == user:
            found.update(entry.note.reads)
    return found
