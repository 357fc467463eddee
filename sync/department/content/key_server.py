"""The HTTPS interface of a key service on a separate machine.

It offers less than the service can do. It receives and purges (`issue`, `reseal`, `reseal_again`, `check`,
`check_tokens`, `check_held`, `which`, `held_keys`, `destroy`); and it opens, holds or releases content for a
caller that shows a covered entry (`tokens`, `match`, `open`, `hold`, `open_held`, `abandon`, `release`).
`GuardedKeys` on that machine checks the entry against a root file that was put there by hand, and against the
log that it follows (`follow`). So root on the department's server can destroy content that is not held, but
cannot read any without an entry in the witnessed log that its person signed.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from typing import Any

import anyio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from storage.checkpoint import NoteKey
from storage.codec import to_bytes
from storage.day_keys import DayKey, DayKeys
from storage.errors import ExplainedError, RecordError
from storage.leaf import log_id_of
from storage.sealing import Opened
from storage.times import DAY_US
from sync.department.content.key_door import HeadAskedError
from sync.department.content.key_guard import GuardedKeys
from sync.department.content.key_messages import (
    MAX_MESSAGE_BYTES,
    SECONDS,
    No,
    of_wire,
    read_arguments,
)
from sync.department.content.key_service import (
    MOST_DAY_KEYS,
    MOST_DAYS,
    NOT_OF_DAY,
    ONLY_TODAY,
    Kept,
    KeyService,
)
from sync.department.content.opened_list import FROM_HERE, OpenedList
from sync.department.content.search_tokens import StoredElement
from sync.department.ground.http_body import Budget, read_body
from sync.department.ground.problem import exact
from sync.department.ground.sparingly import Sparingly, kinds_behind
from sync.department.journal.access_log import origin_of
from sync.department.policy.refusals import DeskRefusal
from sync.department.policy.system_terms import MAX_GRACE_MINUTES
from sync.errors import HomeError, RefusedByDepartmentError
from sync.root_file import LOG, describe, open_first

MOST_HOLDS = 4000  # named in one answer
TOKEN_FILE = "service.token"  # noqa: S105 - a file's name


def guard_of(
    service: KeyService, opened: OpenedList, root_file: bytes, clock: Callable[[], int]
) -> GuardedKeys:
    """Make the guard for the log and witnesses that a root file names. Raises StorageError, HomeError."""
    root = open_first(root_file, describe(root_file)[0].digest())
    log, witnesses = root.other(LOG), root.witnessing()
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
        self._received = opened.received_days()
        self._work: dict[str, Callable[..., Any]] = {
            "issue": self._issue,
            "reseal": self._reseal,
            "reseal_again": self._reseal_again,
            "check": service.check_stored,
            "check_tokens": service.check_tokens,
            "check_held": service.check_held,
            "destroy": self._destroy,
            "destroy_before": service.destroy_day_keys_before,
            "has": service.has_store_key,
            "which": self._which,
            "list": lambda first: (opened.public.public_bytes_raw(), opened.messages(first)),
            "follow": guard.follow,
            "tokens": lambda *asked: sorted(guard.tokens(*asked).items()),
            "match": lambda *asked: guard.match(*_with_rows(asked)),
            "open": lambda *asked: _opened(guard.open(*_with_rows(asked))),
            "hold": lambda *asked: [sorted(row.items()) for row in guard.hold(*_with_rows(asked))],
            "open_held": lambda *asked: _opened(guard.open_held(*_with_rows(asked))),
            "held_keys": lambda after: [one for one in guard.held_keys() if one > after][:MOST_HOLDS],
            "abandon": guard.abandon,
            "release": guard.release,
        }

    def answer(self, name: str, body: bytes) -> bytes:
        """Answer a message. Raises RecordError for an unknown or malformed one, and as the service does."""
        arguments = read_arguments(name, body)
        return to_bytes(self._work[name](*arguments))

    def _issue(self, first: int, count: int) -> tuple[DayKey, ...]:
        if not 0 < count <= MOST_DAY_KEYS:
            raise RecordError(f"1 to {MOST_DAY_KEYS} days", where="issue.count")
        made = self._service.issue_day_keys(first, count)
        last = made[-1].day
        body = to_bytes(DayKeys(version=last, keys=made))  # as `documents.refresh` offers them
        self._opened.add_day_keys(last, hashlib.sha256(body).digest(), at_us=self._clock())
        return made

    def _reseal(
        self,
        day: int,
        public: bytes,
        epochs: tuple[tuple[int, bytes, bytes], ...],
        arrived: tuple[StoredElement, ...],
    ) -> list[Kept]:
        if abs(self._clock() // DAY_US - day) > 1:
            raise RecordError(ONLY_TODAY, where="reseal.day")
        made = self._service.open_and_reseal(day, _log_key(public), _by_epoch(epochs), arrived)
        self._received.keep(
            day, [one for one, kept in zip(arrived, made, strict=True) if kept.refused is None]
        )
        return made

    def _reseal_again(
        self,
        public: bytes,
        epochs: tuple[tuple[int, bytes, bytes], ...],
        arrived: tuple[StoredElement, ...],
    ) -> list[tuple[int, Kept]]:
        """Reseal only what was sealed before for its day, so that no tokens of guessed plates can be made."""
        unknown = Kept(b"", refused=NOT_OF_DAY)
        made = [(-1 if day is None else day, unknown) for day in self._received.days_of(arrived)]
        for day in sorted({day for day, _ in made if day >= 0 and self._service.has_store_key(day)}):
            places = [place for place, (one, _) in enumerate(made) if one == day]
            again = [arrived[place] for place in places]
            sealed = self._service.open_and_reseal(day, _log_key(public), _by_epoch(epochs), again)
            for place, kept in zip(places, sealed, strict=True):
                made[place] = day, kept
        return made

    def _which(self, days: tuple[int, ...]) -> list[int]:
        if len(days) > MOST_DAYS:
            raise RecordError(f"at most {MOST_DAYS:,} days", where="which.days")
        return sorted(self._service.days_with_keys(days))

    def _destroy(self, day: int) -> None:
        self._service.destroy_store_key(day)
        self._received.forget(day)


def _log_key(public: bytes) -> bytes:
    if len(public) != 32:
        raise RecordError("a log's key has 32 bytes", where="reseal.public")
    return public


def _by_epoch(epochs: Sequence[tuple[int, bytes, bytes]]) -> dict[int, tuple[bytes, bytes]]:
    return {epoch: (key_id, sealed) for epoch, key_id, sealed in epochs}


def _with_rows(asked: tuple[Any, ...]) -> tuple[Any, ...]:
    """Converts the last argument to rows."""
    return (*asked[:-1], of_wire(asked[-1]))


def _opened(rows: Sequence[dict[str, Opened]]) -> list[list[Opened]]:
    return [[row[name] for name in sorted(row)] for row in rows]


def key_app(
    service: KeyService,
    opened: OpenedList,
    root_file: bytes,
    token: str,
    clock: Callable[[], int],
) -> Starlette:
    """The HTTP interface of a key service."""
    opened.add_day_keys(0, FROM_HERE, at_us=clock())
    answers = _Service(service, guard_of(service, opened, root_file, clock), opened, clock)
    budget = Budget(2 * MAX_MESSAGE_BYTES)
    limiter = anyio.CapacityLimiter(4)
    events = Sparingly("department.keys")

    async def endpoint(request: Request) -> Response:  # noqa: PLR0911 - one answer per kind of error
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
        except Exception as error:  # noqa: BLE001 - e.g. a full disk or an unreadable key file
            events.report("cannot_answer", kind=type(error).__name__, cause=kinds_behind(error))
            return Response(to_bytes(No(code="", clause="", what="the key service cannot answer now")), 503)

    return exact(Starlette(routes=[Route("/keys/{name}", endpoint, methods=["POST"])]))
