"""A stream of server-sent events about alerts: only number, state, sounded or silent, and counts.

    event: alert    {"alert", "state", "sounded", "open", "sounding", "overdue", "unopened"}
    event: counts   {"open", "sounding", "overdue", "unopened"}: at the start, and when only they changed
    event: again    more happened than the stream repeats: list the alerts again
    event: end      {"refused", "what", "cure"}: locked, over, or no longer allowed; do not connect again

`id` is the number of the access log's entry, and Last-Event-ID resumes after it. Following is checked like
alert/list at the start and before every event, and does not count as use of the session. It is one entry per
session: a stream that resumes after that entry continues it, as does a page that follows another. What a unit
sends is opened at once, as an access by the first person who follows. When a new version of a list lacks the
entry of an open alert, that alert becomes "recalled" here before its unit says so; when a version has it
again, the alert becomes "listed". These events have no `id`. HTML Living Standard, 9.2.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from dataclasses import asdict, dataclass

import anyio
from starlette.requests import Request

from storage.alert_life import AlertEvent
from storage.errors import ExplainedError
from sync.department.desk.alerts.opening import comparable, compared, open_waiting
from sync.department.desk.alerts.rules import AlertRow
from sync.department.desk.alerts.sight import open_for, sees
from sync.department.desk.alerts.watchers import Watcher, Watchers
from sync.department.desk.context import DeskContext
from sync.department.desk.desk import Caller, Plan
from sync.department.desk.inquiry.forms import NothingForm
from sync.department.desk.lasting import SEND_S, LastingAnswer
from sync.department.desk.signing import signing
from sync.department.journal.alert_entries import AlertKnown, AlertStepTaken
from sync.department.journal.entries import Entry, LogRead
from sync.department.journal.marking import watching
from sync.department.policy.refusals import DeskRefusal, FormError
from sync.department.policy.roles import Call

HEARTBEAT_S = 15.0
MOST_REPEATED = 1000
THREADS = 4
MOST_RESUMED = 1024
KINDS = (AlertKnown.KIND, AlertStepTaken.KIND)
LISTED = "listed"  # its list has the entry again
RETRY_MS = 2000


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts of the alerts that the person may see. `unopened`: received but not opened yet."""

    open: int
    sounding: int
    overdue: int
    unopened: int


class AlertStream:
    """One person's stream, an async iterator of bytes. `aclose` frees its place.

    `begun`: the first entry that is sent; `place`: the first that has not been sent yet. `lacks`: by an
    alert's number, whether its list lacked its entry at the last comparison. `unwitnessed`: the stream began
    while the witness was away.
    """

    def __init__(self, token: str, watcher: Watcher, watchers: Watchers, place: int) -> None:
        self.token, self.watcher, self.begun, self.place = token, watcher, place, place
        self.counts: Counts | None = None
        self.lacks: dict[int, bool | None] = {}
        self.compared: object = None
        self.unwitnessed = False
        self._watchers = watchers
        self._events: AsyncIterator[bytes] = _nothing()

    def begin(self, events: AsyncIterator[bytes], *, unwitnessed: bool) -> None:
        """Set what the stream sends. Call this before the stream is read."""
        self._events, self.unwitnessed = events, unwitnessed

    def __aiter__(self) -> AlertStream:
        return self

    async def __anext__(self) -> bytes:
        return await anext(self._events)

    async def aclose(self) -> None:
        """Close the stream, whether or not it was read."""
        self._watchers.leave(self.watcher)
        if isinstance(self._events, AsyncGenerator):
            await self._events.aclose()


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""


class AlertEvents:
    """The alert streams of one desk."""

    def __init__(self, front: DeskContext, *, heartbeat_s: float = HEARTBEAT_S) -> None:
        self._front, self._heartbeat_s = front, heartbeat_s
        self._threads = anyio.CapacityLimiter(THREADS)
        self._opened_at = -1  # the bell's count when everything that waited was opened
        self._asking = threading.Lock()
        self._compared: tuple[object, dict[int, bool | None]] = (None, {})  # of these lists and alerts
        self._entered: OrderedDict[bytes, int] = OrderedDict()  # by session: its entry of following
        self._left = dict[bytes, dict[int, bool | None]]()  # by session: `lacks` of its newest stream

    async def follow(self, token: str, last_id: str = "") -> AlertStream:
        """Open the stream of a session, starting after `last_id`. Close it, whether or not it was read.

        Raises DeskRefusal as alert/list does, for a `last_id` that is not a number, and for too many streams.
        """
        return await anyio.to_thread.run_sync(self._begin, token, last_id, limiter=self._threads)

    def _begin(self, token: str, last_id: str) -> AlertStream:
        desk = self._front.desk
        after = _number(last_id)
        watchers = self._front.watchers
        if after is not None and (session := self._resumed(token, after)):
            stream = AlertStream(token, watchers.join(session), watchers, min(after + 1, desk.log.size()))
            stream.lacks = self._left.get(session, {})
            stream.begin(self._events(stream), unwitnessed=False)
            return stream

        def plan(caller: Caller) -> Plan[tuple[Entry, bytes]]:
            note = LogRead(elements="alert events", count=len(open_for(desk, caller.user, caller.at_us)))
            return [note], lambda made: (made[0], caller.session)

        with watching() as mark:
            entry, session = desk.act(token, Call.ALERT_LIST, plan, touch=False)
            desk.covered(entry.sequence)
        self._entered[session] = entry.sequence
        while len(self._entered) > MOST_RESUMED:
            self._left.pop(self._entered.popitem(last=False)[0], None)
        size = desk.log.size()
        place = size if after is None else min(after + 1, size)
        stream = AlertStream(token, watchers.join(session), watchers, place)
        self._compare(stream)  # an entry that is already gone is no news
        stream.begin(self._events(stream), unwitnessed=mark.unwitnessed)
        return stream

    def _resumed(self, token: str, after: int) -> bytes:
        """The session whose entry already covers what comes after this number, or b""."""
        try:
            session = self._front.desk.still(token, Call.ALERT_LIST).session
        except DeskRefusal:
            return b""  # refused as every call is, with an entry
        return session if after >= self._entered.get(session, after + 1) else b""

    async def _events(self, stream: AlertStream) -> AsyncIterator[bytes]:
        bell, clock = self._front.bell, asyncio.get_running_loop().time
        yield f"retry: {RETRY_MS}\n\n".encode()
        beat_s = (
            clock() + self._heartbeat_s
        )  # kept whatever rings: a ring for other people must not show in this stream
        while not bell.closed and not stream.watcher.dropped:
            heard = bell.count
            try:
                sent = await anyio.to_thread.run_sync(self._next, stream, heard, limiter=self._threads)
            except DeskRefusal as refusal:
                yield _event("end", {"refused": refusal.code, "what": refusal.what, "cure": refusal.cure})
                return
            for one in sent:
                yield one
            if clock() >= beat_s or not await bell.heard(heard, beat_s - clock()):
                beat_s = clock() + self._heartbeat_s
                yield b":\n\n"

    def _next(self, stream: AlertStream, heard: int) -> list[bytes]:
        """The events to send now. Raises DeskRefusal if the session may no longer follow."""
        desk = self._front.desk
        caller = desk.still(stream.token, Call.ALERT_LIST)
        self._open(stream.token, heard)
        return list(self._lines(stream, caller))

    def _open(self, token: str, heard: int) -> None:
        """Open what arrived. What fails to open stays counted and is retried at each heartbeat."""
        if self._opened_at == heard and not self._front.planting.is_due(self._front.desk.now_us()):
            return
        try:
            with signing(self._front.desk, token, "alert/list", NothingForm()):
                open_waiting(self._front, token, touch=False)
        except ExplainedError:
            return
        self._opened_at = heard

    def _lines(self, stream: AlertStream, caller: Caller) -> Iterator[bytes]:
        desk = self._front.desk
        size = desk.log.size()
        entries = desk.log.entries(stream.place, size, KINDS)
        stream.place = size
        alerts, sent = desk.book.alerts, 0
        counts = self._counts(caller)
        for entry in entries:
            note = entry.note
            name = note.alert if isinstance(note, AlertKnown | AlertStepTaken) else ""
            row = alerts.rows.get(name)
            if row is None or not sees(desk, row, caller.user, caller.at_us):
                continue
            sent += 1
            if sent > MOST_REPEATED:
                yield _event("again", {}, number=size - 1)
                break
            stream.counts = counts
            state = "raised" if isinstance(note, AlertKnown) else note.step.step.value  # type: ignore[attr-defined]
            yield _event("alert", _facts(row, state, counts), number=entry.sequence)
        for row, state in self._compare(stream):
            if sees(desk, row, caller.user, caller.at_us):
                stream.counts = counts
                yield _event("alert", _facts(row, state, counts))
        if caller.session in self._entered:
            self._left[caller.session] = stream.lacks
        if stream.counts != counts:
            stream.counts = counts
            yield _event("counts", asdict(counts), number=size - 1)

    def _compare(self, stream: AlertStream) -> list[tuple[AlertRow, str]]:
        """The open alerts that lost or regained their entry since this stream compared them, each with its
        new state.

        It compares again once a list's newest version is in place, which may be later than the entry of its
        offer. One stream opens the lists for all streams. The first comparison of an alert that is older than
        the stream is no news.
        """
        front = self._front
        with front.desk.looking() as book:
            rows = book.alerts.open()
        of = front.lists_mark(), frozenset(row.number for row in comparable(front, rows))
        if stream.compared == of:
            return []
        stream.compared = of
        with self._asking:
            if self._compared[0] != of:
                self._compared = (of, compared(front, rows))
            found = self._compared[1]
        before, news = stream.lacks, []
        for row in rows:
            lacks, was = found.get(row.number), before.get(row.number)
            if lacks and not was and (row.number in before or row.number >= stream.begun):
                news.append((row, AlertEvent.RECALLED.value))
            elif lacks is False and was:
                news.append((row, LISTED))
        said = {number: lacks for number, lacks in found.items() if lacks is not None}
        known = dict.fromkeys(found) | before | said
        stream.lacks = {row.number: known[row.number] for row in rows if row.number in known}
        return news

    def _counts(self, caller: Caller) -> Counts:
        desk = self._front.desk
        with desk.looking() as book:
            alerts, terms = book.alerts, desk.policy.alerts
            rows = open_for(desk, caller.user, caller.at_us)
        return Counts(
            open=len(rows),
            sounding=sum(not row.known.silent for row in rows),
            overdue=sum(row.state.overdue(caller.at_us, terms.outcome_hours) for row in rows),
            unopened=len(self._front.alerts.waiting(alerts.opened)),
        )


class EventStream(LastingAnswer):
    """The events of one stream."""

    media_type = "text/event-stream"

    def __init__(self, stream: AlertStream, *, send_s: float = SEND_S) -> None:
        super().__init__(stream, unwitnessed=stream.unwitnessed, send_s=send_s)


def _facts(row: AlertRow, state: str, counts: Counts) -> dict[str, object]:
    return {"alert": str(row.number), "state": state, "sounded": not row.known.silent, **asdict(counts)}


def last_id_of(request: Request) -> str:
    """The last event that a client says it saw, from the header or, on a page's first request, `after`."""
    return str(request.headers.get("last-event-id") or request.query_params.get("after", ""))


def _number(last_id: str) -> int | None:
    if not last_id:
        return None
    if not (last_id.isascii() and last_id.isdigit()) or len(last_id) > 15:
        raise FormError("Last-Event-ID is not a number of an event", code="form", clause="463.7")
    return int(last_id)


def _event(kind: str, facts: Mapping[str, object], *, number: int | None = None) -> bytes:
    head = "" if number is None else f"id: {number}\n"
    return f"{head}event: {kind}\ndata: {json.dumps(facts)}\n\n".encode()
