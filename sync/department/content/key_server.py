"""The key service's own end: its HTTPS interface, on a separate machine.

What the wire offers is less than what the service can do: to receive and purge (`issue`, `reseal`, `check`,
`check_held`, `destroy`), and to open, hold or release content for a caller that shows a covered entry
(`tokens`, `match`, `open`, `hold`, `open_held`, `release`, checked by `GuardedKeys` over there, against a
root file that was put there by hand, and against the log that it follows, `follow`). So root on the
department's server can destroy content that is not held, and cannot read any without an entry in the
witnessed log that its person signed.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Any

import anyio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from storage.checkpoint import NoteKey
from storage.codec import from_bytes, to_bytes
from storage.day_keys import DayKeys
from storage.errors import ExplainedError, RecordError
from storage.leaf import log_id_of
from storage.times import DAY_US, now_us
from sync.department.content.key_guard import GuardedKeys, HeadAskedError
from sync.department.content.key_messages import (
    MAX_MESSAGE_BYTES,
    SECONDS,
    AskContent,
    AskHeld,
    AskRelease,
    AskTokens,
    Checked,
    CheckHeld,
    CheckPlates,
    DayKeysMade,
    Days,
    HeldRows,
    ListPart,
    Matches,
    No,
    Number,
    OpenedRows,
    Reseal,
    ResealedRows,
    Tokens,
    WireMatch,
    of_wire,
)
from sync.department.content.key_service import KeyService
from sync.department.content.opened_list import FROM_HERE, OpenedList
from sync.department.ground.http_body import Budget, read_body
from sync.department.ground.sparingly import Sparingly
from sync.department.journal.access_log import LogPart, origin_of
from sync.department.policy.refusals import DeskRefusal
from sync.department.policy.system_terms import MAX_GRACE_MINUTES
from sync.errors import HomeError, RefusedByDepartmentError
from sync.root_file import describe, open_first

TOKEN_FILE = "service.token"  # noqa: S105 - a file's name


def guard_of(
    service: KeyService, opened: OpenedList, root_file: bytes, clock: Callable[[], int] = now_us
) -> GuardedKeys:
    """The guard for the log and witnesses that a root file names. Raises StorageError kinds, HomeError."""
    root = open_first(root_file, describe(root_file)[0].digest())
    log, witnesses = root.other("log"), root.witnessing()
    if log is None or witnesses is None:
        raise HomeError("the root file names no log key or no witness", where="root file")
    key = Ed25519PublicKey.from_public_bytes(log)
    log_id = log_id_of(key)
    return GuardedKeys(
        service,
        NoteKey(origin_of(log_id), key),
        log_id,
        witnesses,
        opened,
        grace_minutes=MAX_GRACE_MINUTES,
        clock=clock,
        root=root,
    )


class _Service:
    """Answers messages: name and bytes in, bytes out."""

    def __init__(
        self, service: KeyService, guard: GuardedKeys, opened: OpenedList, clock: Callable[[], int]
    ) -> None:
        self._service, self._guard, self._opened, self._clock = service, guard, opened, clock

    def answer(self, name: str, body: bytes) -> bytes:
        """Raises RecordError for an unknown name or a malformed message, and what the service raises."""
        work: Callable[[bytes], Any] | None = getattr(self, f"_{name}", None) if name in CALLS else None
        if work is None:
            raise RecordError("there is no such call", where="key service")
        return to_bytes(work(body))

    def _issue(self, body: bytes) -> DayKeysMade:
        ask = from_bytes(Days, body)
        if not 0 < ask.count <= 1000:
            raise RecordError("1 to 1000 days", where="issue.count")
        made = self._service.issue_day_keys(ask.first, ask.count)
        last = made[-1].day
        body = to_bytes(DayKeys(version=last, keys=made))  # as `documents.refresh` offers them
        self._opened.add_day_keys(last, hashlib.sha256(body).digest(), at_us=self._clock())
        return DayKeysMade(keys=made)

    def _reseal(self, body: bytes) -> ResealedRows:
        ask = from_bytes(Reseal, body, limit=MAX_MESSAGE_BYTES)
        if abs(ask.day - self._clock() // DAY_US) > 1:  # no token of a guessed plate for days gone by
            raise RecordError("content can be received only for today", where="reseal.day")
        epochs = {epoch: (key_id, sealed) for epoch, key_id, sealed in ask.epochs}
        if len(ask.public) != 32:
            raise RecordError("a log's key has 32 bytes", where="reseal.public")
        kept = self._service.open_and_reseal(ask.day, ask.public, epochs, ask.arrived)
        return ResealedRows(kept=tuple(kept))

    def _check(self, body: bytes) -> Checked:
        ask = from_bytes(CheckPlates, body, limit=MAX_MESSAGE_BYTES)
        found = self._service.check_stored(ask.day, ask.log_id, ask.wanted)
        return Checked(found=tuple(one or "" for one in found))

    def _check_held(self, body: bytes) -> Checked:
        ask = from_bytes(CheckHeld, body, limit=MAX_MESSAGE_BYTES)
        found = self._service.check_held(ask.hold, ask.log_id, ask.wanted)
        return Checked(found=tuple(one or "" for one in found))

    def _destroy(self, body: bytes) -> Number:
        self._service.destroy_store_key(from_bytes(Days, body).first)
        return Number(value=1)

    def _destroy_before(self, body: bytes) -> Number:
        return Number(value=self._service.destroy_day_keys_before(from_bytes(Days, body).first))

    def _has(self, body: bytes) -> Number:
        return Number(value=int(self._service.has_store_key(from_bytes(Days, body).first)))

    def _list(self, body: bytes) -> ListPart:
        first = from_bytes(Days, body).first
        return ListPart(
            public=self._opened.public.public_bytes_raw(), lines=tuple(self._opened.messages(first))
        )

    def _follow(self, body: bytes) -> Number:
        return Number(value=self._guard.follow(from_bytes(LogPart, body, limit=MAX_MESSAGE_BYTES)))

    def _tokens(self, body: bytes) -> Tokens:
        ask = from_bytes(AskTokens, body)
        return Tokens(tokens=tuple(sorted(self._guard.tokens(ask.cover, ask.query, ask.days).items())))

    def _match(self, body: bytes) -> Matches:
        ask = from_bytes(AskContent, body, limit=MAX_MESSAGE_BYTES)
        if ask.query is None:
            raise RecordError("a match needs a query", where="match.query")
        found = self._guard.match(ask.cover, ask.query, ask.day, ask.log_id, of_wire(ask.rows))
        return Matches(
            matches=tuple(WireMatch(sequence=one.sequence, text=one.text, place=one.place) for one in found)
        )

    def _open(self, body: bytes) -> OpenedRows:
        ask = from_bytes(AskContent, body, limit=MAX_MESSAGE_BYTES)
        opened = self._guard.open(ask.cover, ask.day, ask.log_id, of_wire(ask.rows))
        return OpenedRows(rows=tuple(tuple(row[name] for name in sorted(row)) for row in opened))

    def _hold(self, body: bytes) -> HeldRows:
        ask = from_bytes(AskContent, body, limit=MAX_MESSAGE_BYTES)
        sealed = self._guard.hold(ask.cover, ask.day, ask.log_id, of_wire(ask.rows))
        return HeldRows(rows=tuple(tuple(row[name] for name in sorted(row)) for row in sealed))

    def _open_held(self, body: bytes) -> OpenedRows:
        ask = from_bytes(AskHeld, body, limit=MAX_MESSAGE_BYTES)
        opened = self._guard.open_held(ask.cover, ask.access, ask.log_id, of_wire(ask.rows))
        return OpenedRows(rows=tuple(tuple(row[name] for name in sorted(row)) for row in opened))

    def _release(self, body: bytes) -> Number:
        self._guard.release(from_bytes(AskRelease, body).cover)
        return Number(value=1)


RECEIVES = frozenset(
    {"issue", "reseal", "check", "check_held", "destroy", "destroy_before", "has", "list", "follow"}
)
SHOWS_AN_ENTRY = frozenset({"tokens", "match", "open", "hold", "open_held", "release"})
CALLS = RECEIVES | SHOWS_AN_ENTRY


def key_app(
    service: KeyService,
    opened: OpenedList,
    root_file: bytes,
    token: str,
    clock: Callable[[], int] = now_us,
) -> Starlette:
    """The HTTP interface of a key service."""
    opened.add_day_keys(0, FROM_HERE, at_us=clock())
    answers = _Service(service, guard_of(service, opened, root_file, clock), opened, clock)
    budget = Budget(2 * MAX_MESSAGE_BYTES)
    limiter = anyio.CapacityLimiter(4)
    events = Sparingly("department.keys")

    async def endpoint(request: Request) -> Response:  # noqa: PLR0911 - one answer for each kind of error
        given = request.headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
            return Response(to_bytes(No(code="", clause="", what="not admitted")), 401)
        try:
            with budget.taking() as add:
                body = await read_body(request, MAX_MESSAGE_BYTES, SECONDS, add)
                name = request.path_params["name"]
                data = await anyio.to_thread.run_sync(answers.answer, name, body, limiter=limiter)
            return Response(data, 200)
        except HeadAskedError as error:
            return Response(to_bytes(No(code=error.code, clause="", what=str(error.size))), 409)
        except DeskRefusal as error:
            return Response(to_bytes(No(code=error.code, clause=error.clause, what=error.what)), 403)
        except RefusedByDepartmentError as error:
            return Response(to_bytes(No(code="", clause="", what=error.what)), 413)
        except ExplainedError as error:
            return Response(to_bytes(No(code="", clause="", what=error.what)), 409)
        except Exception as error:  # noqa: BLE001 - a full disk, a key file that cannot be read
            events.tell("cannot_answer", kind=type(error).__name__)
            return Response(to_bytes(No(code="", clause="", what="the key service cannot answer now")), 503)

    return Starlette(routes=[Route("/keys/{name}", endpoint, methods=["POST"])])
