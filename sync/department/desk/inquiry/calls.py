"""Inquiries at the desk: ask, propose, approve, run, answer, look, dispute, file (463.2, 463.5).

Each call: the desk's decision and entries first, the witness's co-signature next, then the keys, then the
entry of how it ended, then the answer.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from storage.plate_text import normal_plate
from storage.times import HOUR_US
from sync.department.content.key_guard import Cover
from sync.department.content.reads import FoundRead, OpenedRead, parse_name
from sync.department.desk.audit.rules import ACCESS_KINDS, AlprRequest, requests_of
from sync.department.desk.context import Front
from sync.department.desk.desk import Caller, Plan
from sync.department.desk.inquiry import rules as inquiry
from sync.department.desk.people.training import demand_current
from sync.department.journal.entries import (
    Access,
    AccessResult,
    ApprovalUsed,
    Disputed,
    Entry,
    Filed,
    Ground,
    InquiryAsked,
    LogRead,
    Query,
    Refused,
    RequestAnswered,
    SearchApproved,
    SearchProposed,
)
from sync.department.journal.entry_base import Note
from sync.department.policy.refusals import DeskRefusal, FormError, NotYetError
from sync.department.policy.roles import Call, allowing_role

IMAGES = ("overview", "patch")


@dataclass(frozen=True, slots=True, kw_only=True)
class AskForm:
    """What is asked for, and why."""

    query: Query
    ground: Ground


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposeForm:
    """A search without a full plate, for a second person; `request`: the queue entry it answers, or -1."""

    query: Query
    ground: Ground
    request: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class RunForm:
    """A search to run now. `request`: the queue entry it answers; `proposal`: the approved proposal;
    or -1."""

    query: Query
    ground: Ground
    request: int = -1
    proposal: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class DecideForm:
    """A second person's word on a proposal."""

    proposal: int
    granted: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclineForm:
    """A request that will not be run, and why."""

    request: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestForm:
    """One request of the queue."""

    request: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeForm:
    """An entry that says it was made by you or in your name, and was not."""

    entry: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageForm:
    """Images of one read that a search of yours found."""

    read: str
    access: int
    ground: Ground


@dataclass(frozen=True, slots=True, kw_only=True)
class FileForm:
    """An access that was filed in the RMS as an ALPR Request."""

    access: int
    rms_number: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NothingForm:
    """No fields."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """A call that only makes an entry: its number."""

    entry: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A search's answer. `count`: all matches; `reads`: at most the policy's number of them."""

    access: int
    count: int
    reads: tuple[FoundRead, ...]
    unwitnessed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A request or proposal that waits for somebody. `kind`: request or proposal."""

    kind: str
    entry: int
    at_us: int
    user: str
    query: Query
    ground: Ground
    request: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """Images of a read: JPEG or PNG."""

    access: int
    read: str
    patch: bytes = field(repr=False)
    overview: bytes = field(repr=False)
    unwitnessed: bool


def _tidy(query: Query) -> Query:
    return replace(query, plate=normal_plate(query.plate))


def _first(entries: list[Entry]) -> Entered:
    return Entered(entry=entries[0].sequence)


def ask(front: Front, token: str, form: AskForm) -> Entered:
    """Put a request into the queue."""
    desk, query = front.desk, _tidy(form.query)

    def plan(caller: Caller) -> Plan[Entered]:
        inquiry.check_query(desk.policy, query, caller.at_us)
        _demand_unit(front, query)
        inquiry.check_ground(desk.policy, form.ground)
        inquiry.check_wide(desk.policy, query, form.ground)
        return [InquiryAsked(query=query, ground=form.ground)], _first

    return desk.act(token, Call.INQUIRY_REQUEST, plan)


def propose(front: Front, token: str, form: ProposeForm) -> Entered:
    """Propose a search without a full plate to a second person."""
    desk, query = front.desk, _tidy(form.query)

    def plan(caller: Caller) -> Plan[Entered]:
        _check_search(front, caller, query, form.ground, form.request)
        if not inquiry.check_wide(desk.policy, query, form.ground):
            raise FormError(
                "a search for a full plate needs no second person", code="full", clause="463.5 (a)"
            )
        return [SearchProposed(query=query, ground=form.ground, request=form.request)], _first

    return desk.act(token, Call.INQUIRY_RUN, plan)


def decide(front: Front, token: str, form: DecideForm) -> Entered:
    """The second person's yes or no."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[Entered]:
        inquiry.proposal_to_decide(desk.book.queue, form.proposal, caller.user)
        if not form.reason.strip():
            raise FormError("say why", code="reason", clause="463.5 (a)")
        note = SearchApproved(proposal=form.proposal, granted=form.granted, reason=form.reason)
        return [note], _first

    return desk.act(token, Call.INQUIRY_APPROVE, plan)


def queue(front: Front, token: str, form: NothingForm) -> tuple[Pending, ...]:  # noqa: ARG001
    """Requests and proposals that wait."""
    desk = front.desk

    def plan(_caller: Caller) -> Plan[tuple[Entered, tuple[Pending, ...]]]:
        waiting = [*desk.book.queue.open_requests(), *desk.book.queue.waiting()]
        pending = tuple(_pending(entry) for entry in waiting)
        return [LogRead(elements="queue", count=len(pending))], lambda made: (_first(made), pending)

    entered, pending = desk.act(token, Call.INQUIRY_QUEUE, plan)
    desk.covered(entered.entry)
    return pending


def _pending(entry: Entry) -> Pending:
    note = entry.note
    if not isinstance(note, InquiryAsked | SearchProposed):
        raise TypeError("a request or a proposal")
    return Pending(
        kind="request" if isinstance(note, InquiryAsked) else "proposal",
        entry=entry.sequence,
        at_us=entry.stamp.at_us,
        user=entry.stamp.user,
        query=note.query,
        ground=note.ground,
        request=note.request if isinstance(note, SearchProposed) else -1,
    )


def decline(front: Front, token: str, form: DeclineForm) -> Entered:
    """Say no to a request, with a reason that its asker sees."""
    desk = front.desk

    def plan(_caller: Caller) -> Plan[Entered]:
        if form.request not in {one.sequence for one in desk.book.queue.open_requests()}:
            raise FormError("there is no such open request", code="no-request", clause="463.5 (b)")
        if not form.reason.strip():
            raise FormError("say why", code="reason", clause="463.5 (a)")
        return [RequestAnswered(request=form.request, access=-1, reads=(), reason=form.reason)], _first

    return desk.act(token, Call.INQUIRY_RUN, plan)


def _demand_unit(front: Front, query: Query) -> None:
    """A slip in a unit's name would be answered with no results, as if none had passed. Raises FormError."""
    if query.unit and not front.reads.knows_unit(query.unit):
        raise FormError(
            "no unit has that name", code="unit", clause="463.5 (b) 2", cure="see: department enrol --list"
        )


def _check_search(front: Front, caller: Caller, query: Query, ground: Ground, request: int) -> str:
    """What every search is asked, and in whose name it is made ("" for one's own). Raises DeskRefusal."""
    desk = front.desk
    inquiry.check_query(desk.policy, query, caller.at_us)
    _demand_unit(front, query)
    inquiry.check_ground(desk.policy, ground)
    if request < 0:
        return ""
    entry = inquiry.request_to_run(desk.book.queue, request, query, ground, caller.user)
    asker = desk.book.roster.accounts.get(entry.stamp.user)
    if asker is None or not asker.active:
        raise DeskRefusal("the requester is no longer on the roster", code="requester", clause="463.3")
    roles = desk.policy.effective_roles(asker.roles)
    allowing_role(desk.policy.grants, roles, Call.INQUIRY_REQUEST)
    who = f"{asker.user}, who asked, has"
    demand_current(desk.policy, desk.book.trainings, asker.user, caller.at_us, who=who)
    return asker.user


def run(front: Front, token: str, form: RunForm) -> Answer:
    """Run a search. The access entry is in the log, and covered by the witness, before a key is used."""
    desk, query = front.desk, _tidy(form.query)

    def plan(caller: Caller) -> Plan[Entry]:
        name = _check_search(front, caller, query, form.ground, form.request)
        wide = inquiry.check_wide(desk.policy, query, form.ground)
        notes: list[Note] = [
            Access(
                action="search",
                elements=query.text(),
                plate=query.plate,
                ground=form.ground,
                on_behalf_of=name,
                request=form.request,
                approval=form.proposal if wide else -1,
                reads=(),
            )
        ]
        if wide:
            wanted = SearchProposed(query=query, ground=form.ground, request=form.request)
            inquiry.approval_to_use(
                desk.policy, desk.book.queue, form.proposal, wanted, caller.user, now_us=caller.at_us
            )
            notes.append(ApprovalUsed(proposal=form.proposal))
        return notes, lambda made: made[0]

    entry = desk.act(token, Call.INQUIRY_RUN, plan)
    cover = desk.covered(entry.sequence)
    found, count = front.reads.find(front.door, cover, query, desk.policy.inquiry.results_max)
    names = tuple(one.read for one in found)
    after: list[Note] = [_result(entry, cover, count, names)]
    if form.request >= 0:
        after.append(RequestAnswered(request=form.request, access=entry.sequence, reads=names, reason=""))
    ended = desk.covered(desk.follow_up(entry.stamp, *after)[-1].sequence)
    return Answer(
        access=entry.sequence,
        count=count,
        reads=tuple(found),
        unwitnessed=cover.unwitnessed or ended.unwitnessed,
    )


def _result(entry: Entry, cover: Cover, count: int, reads: Sequence[str]) -> AccessResult:
    return AccessResult(access=entry.sequence, count=count, reads=tuple(reads), unwitnessed=cover.unwitnessed)


@contextlib.contextmanager
def told(front: Front, entry: Entry, call: Call) -> Iterator[None]:
    """A refusal that comes after the access was entered is the entry of how it ended."""
    try:
        yield
    except DeskRefusal as error:
        front.desk.follow_up(entry.stamp, Refused(call=call.value, code=error.code, clause=error.clause))
        raise


def open_reads(
    front: Front, entry: Entry, call: Call, names: Sequence[str], elements: Sequence[str]
) -> tuple[list[OpenedRead], bool]:
    """Open the reads that an access entry names, and enter how it ended: (reads, unwitnessed)."""
    desk = front.desk
    cover = desk.covered(entry.sequence)
    with told(front, entry, call):
        opened = front.reads.open(front.door, cover, names, elements)
    ended = desk.follow_up(entry.stamp, _result(entry, cover, len(opened), names))[0]
    return opened, desk.covered(ended.sequence).unwitnessed or cover.unwitnessed


def answer(front: Front, token: str, form: RequestForm) -> Answer:
    """The requester looks at the answer to his own request, while it is there; each look is an access."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[tuple[Entry, tuple[str, ...]]]:
        asked = desk.book.queue.asked.get(form.request)
        answered = desk.book.queue.answered.get(form.request)
        if asked is None or asked.stamp.user != caller.user or not isinstance(asked.note, InquiryAsked):
            raise DeskRefusal("that is no request of yours", code="other-request", clause="463.5 (a)")
        if answered is None or not isinstance(answered.note, RequestAnswered):
            raise NotYetError("that request has not been answered yet", code="unanswered", clause="463.5 (c)")
        if answered.note.access < 0:
            raise DeskRefusal(
                f"that request was declined: {answered.note.reason}", code="declined", clause="463.5 (c)"
            )
        hours = desk.policy.inquiry.answer_hours
        if caller.at_us - answered.stamp.at_us > hours * HOUR_US:
            raise DeskRefusal(f"answers can be seen for {hours} hours", code="old-answer", clause="463.5 (a)")
        note = Access(
            action="answer",
            elements=asked.note.query.text(),
            plate=asked.note.query.plate,
            ground=asked.note.ground,
            on_behalf_of="",
            request=form.request,
            approval=-1,
            reads=answered.note.reads,
        )
        reads = answered.note.reads
        return [note], lambda made: (made[0], reads)

    entry, names = desk.act(token, Call.INQUIRY_ANSWER, plan)
    opened, unwitnessed = open_reads(front, entry, Call.INQUIRY_ANSWER, names, ("text", "place"))
    reads = tuple(FoundRead.of(one) for one in opened)
    return Answer(access=entry.sequence, count=len(reads), reads=reads, unwitnessed=unwitnessed)


def read_log(
    front: Front,
    token: str,
    call: Call,
    elements: str,
    wanted: Callable[[AlprRequest, str], bool],
    *,
    check: Callable[[], None] | None = None,
) -> tuple[AlprRequest, ...]:
    """ALPR Requests for somebody who may have them. `wanted` is given each one and the caller's name;
    `check` may refuse.

    The entry first, co-signed; then the reading, which holds nobody up however long the log is; then the
    entry of how many there were.
    """
    desk = front.desk

    def plan(_caller: Caller) -> Plan[Entry]:
        if check is not None:
            check()
        return [LogRead(elements=elements, count=-1)], lambda made: made[0]

    entry = desk.act(token, call, plan)
    cover = desk.covered(entry.sequence)
    user = entry.stamp.user
    requests = requests_of(desk.log.entries(0, entry.sequence, ACCESS_KINDS))
    found = tuple(one for one in requests if wanted(one, user))
    ended = desk.follow_up(entry.stamp, _result(entry, cover, len(found), ()))[0]
    desk.covered(ended.sequence)
    return found


def mine(front: Front, token: str, form: NothingForm) -> tuple[AlprRequest, ...]:  # noqa: ARG001
    """What was accessed by me or in my name, to see and to dispute."""
    return read_log(
        front, token, Call.INQUIRY_ANSWER, "own", lambda one, user: user in {one.username, one.on_behalf_of}
    )


def dispute(front: Front, token: str, form: DisputeForm) -> Entered:
    """Say that an access or request in one's name was not one's own; the next audit assigns it."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[Entered]:
        entry = desk.log.entry(form.entry) if 0 <= form.entry < desk.log.size() else None
        mine = entry is not None and (
            (isinstance(entry.note, Access) and caller.user in {entry.note.on_behalf_of, entry.stamp.user})
            or (isinstance(entry.note, InquiryAsked) and entry.stamp.user == caller.user)
        )
        if not mine:
            raise DeskRefusal(
                "that is no access or request in your name", code="other-entry", clause="463.5 (b)"
            )
        if not form.reason.strip():
            raise FormError("say what is wrong with it", code="reason", clause="463.5 (b)")
        if any(
            isinstance(one.note, Disputed) and one.note.entry == form.entry and one.stamp.user == caller.user
            for one in desk.book.queue.disputes
        ):
            raise NotYetError(
                "you disputed it before: the next audit assigns it", code="disputed", clause="463.5 (b)"
            )
        return [Disputed(entry=form.entry, reason=form.reason)], _first

    return desk.act(token, Call.INQUIRY_DISPUTE, plan)


def image(front: Front, token: str, form: ImageForm) -> Images:
    """View the images of a read that a search of one's own found: an access of its own."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[Entry]:
        parse_name(form.read)
        inquiry.check_ground(desk.policy, form.ground)
        if form.read not in results_of(front, form.access, caller.user):
            raise DeskRefusal("no search of yours found that read", code="other-read", clause="463.5 (b)")
        source = desk.log.entry(form.access).note
        plate = source.plate if isinstance(source, Access) else ""
        note = Access(
            action="image",
            elements=f"images of {form.read}",
            plate=plate,
            ground=form.ground,
            on_behalf_of="",
            request=-1,
            approval=-1,
            reads=(form.read,),
        )
        return [note], lambda made: made[0]

    entry = desk.act(token, Call.IMAGE_VIEW, plan)
    opened, unwitnessed = open_reads(front, entry, Call.IMAGE_VIEW, (form.read,), IMAGES)
    parts = opened[0].elements
    return Images(
        access=entry.sequence,
        read=form.read,
        patch=parts["patch"].content if "patch" in parts else b"",
        overview=parts["overview"].content if "overview" in parts else b"",
        unwitnessed=unwitnessed,
    )


def results_of(front: Front, access: int, user: str) -> set[str]:
    """The reads that an access by this user ended with."""
    log = front.desk.log
    found: set[str] = set()
    for entry in log.entries(access, kinds=(AccessResult.KIND,)):
        note = entry.note
        if isinstance(note, AccessResult) and note.access == access:  # there is one, and it comes soon after
            return set(note.reads) if entry.stamp.user == user else found
    return found


def file(front: Front, token: str, form: FileForm) -> Entered:
    """Enter the RMS number under which an access was filed as an ALPR Request."""
    desk = front.desk

    def plan(_caller: Caller) -> Plan[Entered]:
        known = 0 <= form.access < desk.log.size() and isinstance(desk.log.entry(form.access).note, Access)
        if not known:
            raise FormError("there is no such access", code="no-access", clause="463.5 (b)")
        number = form.rms_number.strip()
        if not 3 <= len(number) <= 40 or not number.isprintable():
            raise FormError("an RMS number has 3 to 40 characters", code="rms-number", clause="463.5 (b)")
        return [Filed(access=form.access, rms_number=number)], _first

    return desk.act(token, Call.RMS_FILE, plan)
