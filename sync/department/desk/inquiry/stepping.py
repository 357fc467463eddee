"""A search without a whole plate, run step by step until it is done or cancelled (463.5).

    begin   the access entry; how much the search opens and about how long; nothing is opened
    step    the entry of this part, co-signed; the part is opened; the entry of what it found
    stop    the entry of how far it went; no further step is made

Each step says where the next one begins, so that a search resumes after a broken connection or a restart of
the server. What no step asks for is never opened. Every part is entered in the log before it is opened.
"""

from __future__ import annotations

import time

from sync.department.content.key_guard import OPENS_FOR_US
from sync.department.content.reads import FoundRead
from sync.department.desk.context import DeskContext
from sync.department.desk.desk import Caller, Plan
from sync.department.desk.inquiry import rules
from sync.department.desk.inquiry.forms import BegunSearch, RunForm, Step, StepForm, StopForm, StoppedSearch
from sync.department.desk.inquiry.pace import SearchProgress
from sync.department.desk.inquiry.searching import (
    enter_answer,
    found_by,
    is_exact,
    note_refusal,
    on_local_clock,
    pending_search,
    plan_search,
    tidy,
)
from sync.department.desk.machine.naming_logs import name_logs_of
from sync.department.journal.entries import Entry
from sync.department.journal.entry_base import Note
from sync.department.journal.inquiry_entries import Access, AccessEnded, Query, SearchEnded, SearchStep
from sync.department.policy.refusals import DeskRefusal, FormError, NotYetError
from sync.department.policy.roles import Call

STEP_KINDS = (SearchStep.KIND, AccessEnded.KIND, SearchEnded.KIND)


def begin(front: DeskContext, token: str, form: RunForm) -> BegunSearch:
    """Begin a search that opens every read of its time. It answers how many and about how long; nothing is
    opened yet."""
    desk = front.desk
    query, ground, request = pending_search(front, form.query, form.ground, form.request, form.proposal)
    if is_exact(query):
        raise FormError(
            "a search for one plate is run at once", code="full", clause="463.5 (b)", cure="inquiry/run"
        )
    days, reads = front.reads.extent(query)
    entry = desk.act(token, Call.INQUIRY_RUN, plan_search(front, query, ground, request, form.proposal))
    front.under_way.put(entry.sequence, SearchProgress(of=reads))
    cover = desk.covered(entry.sequence)
    return BegunSearch(
        access=entry.sequence,
        query=query,
        days=days,
        reads=reads,
        seconds=front.pace.seconds(days, reads),
        unwitnessed=cover.unwitnessed,
        days_left_out=front.reads.days_left_out(query),
    )


def step(front: DeskContext, token: str, form: StepForm) -> Step:
    """Open the next part of your search."""
    query = tidy(form.query)
    source = _own(front, token, form.access)
    progress = _progress(front, form.access)
    if not progress.busy.acquire(blocking=False):
        raise NotYetError("a step of this search is under way", code="under-way", clause="463.5 (b)")
    try:
        return _step(front, token, form, query, source, progress)
    finally:
        progress.busy.release()


def _step(  # noqa: PLR0917 - a step, and what is known of its search
    front: DeskContext, token: str, form: StepForm, query: Query, source: Entry, progress: SearchProgress
) -> Step:
    desk = front.desk
    part = front.reads.part(query, form.after, front.pace.step())
    progress.of = progress.of or front.reads.extent(query)[1]
    note = SearchStep(access=form.access, after=form.after, reads=len(part.named))

    def plan(caller: Caller) -> Plan[Entry]:
        _demand_going_on(progress, query, source, caller)
        if isinstance(source.note, Access) and source.note.request >= 0:
            rules.demand_open(desk.book.queue, source.note.request)
        return [note], lambda made: made[0]

    entry = desk.act(token, Call.INQUIRY_RUN, plan)
    desk.covered(entry.sequence)
    name_logs_of(front, query)
    cover = desk.covered(form.access)
    started = time.monotonic()
    with note_refusal(front, entry, Call.INQUIRY_RUN):
        opened, found = front.reads.match(front.door, cover, query, part, lambda: not progress.asked_to_stop)
    front.pace.took(opened, time.monotonic() - started)
    progress.opened += opened
    progress.found += len(found)
    found.sort(key=lambda one: (-one.first_us, one.read))
    stopped = progress.asked_to_stop
    unwitnessed = _enter_found(front, entry, source, progress, found, _how(part.after, stopped=stopped))
    return Step(
        access=form.access,
        reads=on_local_clock(front, found),
        opened=progress.opened,
        of=progress.of,
        found=progress.found,
        after="" if stopped else part.after,
        cancelled=stopped,
        unwitnessed=cover.unwitnessed or unwitnessed,
    )


def _how(after: str, *, stopped: bool) -> str:
    """How a search ends with a step, or empty if it continues."""
    return "cancelled" if stopped else "" if after else "done"


def stop(front: DeskContext, token: str, form: StopForm) -> StoppedSearch:
    """Cancel your search. A step under way ends first; what it opened is in the log."""
    _own(front, token, form.access)
    progress = _progress(front, form.access)
    progress.asked_to_stop = True
    with progress.busy:
        if not progress.ended:
            ending = _ending(form.access, progress, "cancelled")
            entry = front.desk.act(token, Call.INQUIRY_RUN, lambda _caller: ([ending], lambda made: made[0]))
            progress.ended = True
            front.desk.try_cover(entry.sequence)
    return _ended_as(front, form.access)


def _own(front: DeskContext, token: str, access: int) -> Entry:
    """The entry of the caller's own search. Raises DeskRefusal."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[Entry]:
        source = desk.log.entry(access) if 0 <= access < desk.log.size() else None
        mine = source is not None and isinstance(source.note, Access) and source.stamp.user == caller.user
        if source is None or not mine or desk.access(access).action != "search":
            raise DeskRefusal("that is not a search of yours", code="other-search", clause="463.5 (b)")
        return [], lambda _made: source

    return desk.act(token, Call.INQUIRY_RUN, plan)


def _demand_going_on(progress: SearchProgress, query: Query, source: Entry, caller: Caller) -> None:
    access = source.note
    if not isinstance(access, Access) or access.elements != query.text() or is_exact(query):
        raise DeskRefusal("that is another search", code="other-search", clause="463.5 (b)")
    if not 0 <= caller.at_us - source.stamp.at_us <= OPENS_FOR_US:
        raise DeskRefusal(
            "that search is more than an hour old", code="old-search", clause="463.5 (b)", cure="search again"
        )
    if progress.ended:
        raise DeskRefusal(
            "that search has ended", code="ended", clause="463.5 (b)", cure="search again to open more"
        )


def _enter_found(  # noqa: PLR0917 - a step, and what is known of its search
    front: DeskContext,
    step_entry: Entry,
    source: Entry,
    progress: SearchProgress,
    found: list[FoundRead],
    how: str,
) -> bool:
    """Enter what a step found and, if it was the last, the end. Returns whether the witness did not see
    it."""
    desk, number, access = front.desk, source.sequence, source.note
    names = tuple(one.read for one in found)
    notes: list[Note] = [AccessEnded(access=number, count=progress.found, reads=names, unwitnessed=False)]
    if how:
        progress.ended = True
        notes.append(_ending(number, progress, how))
    last = desk.follow_up(step_entry.stamp, *notes)[-1]
    if how == "done" and isinstance(access, Access) and access.request >= 0:
        every = sorted(found_by(front, number, source.stamp.user) | set(names))
        last = enter_answer(front, step_entry, access.request, number, every)
    return desk.covered(last.sequence).unwitnessed


def _ending(access: int, progress: SearchProgress, how: str) -> SearchEnded:
    return SearchEnded(access=access, how=how, opened=progress.opened, of=progress.of, found=progress.found)


def _progress(front: DeskContext, access: int) -> SearchProgress:
    """The progress of a search, from this process or else from the log."""
    known = front.under_way.get(access)
    if known is not None:
        return known
    found = SearchProgress()
    for entry in front.desk.log.entries(access, kinds=STEP_KINDS):
        said = entry.note
        if isinstance(said, SearchStep) and said.access == access:
            found.opened += said.reads
        elif isinstance(said, AccessEnded) and said.access == access:
            found.found = said.count
        elif isinstance(said, SearchEnded) and said.access == access:
            found.ended = True
    return front.under_way.put(access, found)


def _ended_as(front: DeskContext, access: int) -> StoppedSearch:
    for entry in front.desk.log.entries(access, kinds=(SearchEnded.KIND,)):
        said = entry.note
        if isinstance(said, SearchEnded) and said.access == access:
            return StoppedSearch(entry=entry.sequence, opened=said.opened, of=said.of, found=said.found)
    raise NotYetError("that search has not ended", code="under-way", clause="463.5 (b)")
