"""The key service on a machine of its own: its HTTPS interface, and the two clients that the department uses.

What the wire offers is less than what the service can do: to receive and purge (`issue`, `reseal`, `check`,
`destroy`), and to open, hold or release content for whoever shows a covered entry (`tokens`, `match`, `open`,
`hold`, `open_held`, `release`, checked by `GuardedKeys` over there, against a root file that was put there by
hand, and against the log that it follows, `follow`). So root on the department's server can destroy content
that is not held, and cannot read any without an entry in the witnessed log that its person signed.

HOME/keys.remote (TOML, 0600) names the service: url, token, and ca (PEM) where its certificate needs one.
"""

from __future__ import annotations

import hmac
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import anyio
import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from storage.checkpoint import NoteKey
from storage.codec import from_bytes, to_bytes
from storage.day_keys import DayKey
from storage.errors import RecordError, StorageError
from storage.leaf import log_id_of
from storage.read_records import ReadPlace, ReadText
from storage.sealing import Opened
from storage.times import DAY_US, now_us
from sync.department.content.key_guard import Cover, GuardedKeys, HeadAskedError, KeyDoor, Match, Row
from sync.department.content.key_service import Arrived, Kept, KeyService, LocalKeyService
from sync.department.content.opened_list import OpenedList
from sync.department.ground.home import DepartmentHome
from sync.department.ground.http_body import Budget, read_body
from sync.department.ground.sparingly import Sparingly
from sync.department.ground.tls import client_context
from sync.department.journal.access_log import LogPart, origin_of
from sync.department.journal.entries import Query
from sync.department.policy.refusals import DeskRefusal
from sync.department.policy.system_terms import MAX_GRACE_MINUTES
from sync.errors import ConfigError, HomeError, KeyServiceError, RefusedByDepartmentError, SyncError
from sync.root_file import describe, open_first

ADDRESS_FILE = "keys.remote"
TOKEN_FILE = "service.token"  # noqa: S105 - a file's name
MAX_MESSAGE_BYTES = 96 << 20
SECONDS = 120.0
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where the key service is, and the secret that admits the department's server. The repr hides it."""

    url: str
    token: str = field(repr=False)
    ca: str = ""


def address_of(home: DepartmentHome) -> Address | None:
    """The key service that a home uses, or None for one in its own process. Raises ConfigError."""
    path = home.path / ADDRESS_FILE
    if not path.exists():
        return None
    try:
        return Address(**tomllib.loads(path.read_text()))
    except (TypeError, tomllib.TOMLDecodeError, OSError, UnicodeDecodeError):
        raise ConfigError(
            "must be TOML: url and token, and ca (a PEM file) where its certificate needs one",
            where=str(path),
        ) from None


# messages
# -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """A first day and a count, or one day."""

    first: int
    count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DayKeysMade:
    keys: tuple[DayKey, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reseal:
    day: int
    epochs: tuple[tuple[int, bytes, bytes], ...]
    arrived: tuple[Arrived, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resealed:
    kept: tuple[Kept, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    day: int
    log_id: bytes
    wanted: tuple[tuple[int, str, bytes, bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    found: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AskTokens:
    cover: Cover
    query: Query
    days: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    tokens: tuple[tuple[int, tuple[bytes, ...]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WireRow:
    sequence: int
    elements: tuple[tuple[str, bytes, bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AskContent:
    """To match (with a query) or to open (without) reads of one day and log."""

    cover: Cover
    query: Query | None
    day: int
    log_id: bytes
    rows: tuple[WireRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AskHeld:
    """To open held elements; `access`: the entry that the hold's key is named after."""

    cover: Cover
    access: int
    log_id: bytes
    rows: tuple[WireRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AskRelease:
    """To destroy a hold's key; the cover shows its release."""

    cover: Cover


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldRows:
    """Each row's elements under the hold's key, in the order of their names."""

    rows: tuple[tuple[bytes, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WireMatch:
    sequence: int
    text: ReadText
    place: ReadPlace


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    matches: tuple[WireMatch, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedRows:
    rows: tuple[tuple[Opened, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPart:
    """Signed lines of the service's own list, from the one asked for on, and the key that signs them."""

    public: bytes
    lines: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class No:
    """A refusal; `code` empty where it was no refusal of the desk's kind."""

    code: str
    clause: str
    what: str


def _wire(rows: Sequence[Row]) -> tuple[WireRow, ...]:
    return tuple(
        WireRow(
            sequence=row.sequence,
            elements=tuple((name, *parts) for name, parts in sorted(row.elements.items())),
        )
        for row in rows
    )


def _rows(rows: Sequence[WireRow]) -> list[Row]:
    return [Row(row.sequence, {name: (stored, mark) for name, stored, mark in row.elements}) for row in rows]


# the service's end
# --------------------------------------------------------------------------------------------


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
        return DayKeysMade(keys=self._service.issue_day_keys(ask.first, ask.count))

    def _reseal(self, body: bytes) -> Resealed:
        ask = from_bytes(Reseal, body, limit=MAX_MESSAGE_BYTES)
        if abs(ask.day - self._clock() // DAY_US) > 1:  # no token of a guessed plate for days gone by
            raise RecordError("content is received today", where="reseal.day")
        epochs = {epoch: (key_id, sealed) for epoch, key_id, sealed in ask.epochs}
        return Resealed(kept=tuple(self._service.open_and_reseal(ask.day, epochs, ask.arrived)))

    def _check(self, body: bytes) -> Checked:
        ask = from_bytes(Check, body, limit=MAX_MESSAGE_BYTES)
        found = self._service.check_stored(ask.day, ask.log_id, ask.wanted)
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
            raise RecordError("a match has a query", where="match.query")
        found = self._guard.match(ask.cover, ask.query, ask.day, ask.log_id, _rows(ask.rows))
        return Matches(
            matches=tuple(WireMatch(sequence=one.sequence, text=one.text, place=one.place) for one in found)
        )

    def _open(self, body: bytes) -> OpenedRows:
        ask = from_bytes(AskContent, body, limit=MAX_MESSAGE_BYTES)
        opened = self._guard.open(ask.cover, ask.day, ask.log_id, _rows(ask.rows))
        return OpenedRows(rows=tuple(tuple(row[name] for name in sorted(row)) for row in opened))

    def _hold(self, body: bytes) -> HeldRows:
        ask = from_bytes(AskContent, body, limit=MAX_MESSAGE_BYTES)
        sealed = self._guard.hold(ask.cover, ask.day, ask.log_id, _rows(ask.rows))
        return HeldRows(rows=tuple(tuple(row[name] for name in sorted(row)) for row in sealed))

    def _open_held(self, body: bytes) -> OpenedRows:
        ask = from_bytes(AskHeld, body, limit=MAX_MESSAGE_BYTES)
        opened = self._guard.open_held(ask.cover, ask.access, ask.log_id, _rows(ask.rows))
        return OpenedRows(rows=tuple(tuple(row[name] for name in sorted(row)) for row in opened))

    def _release(self, body: bytes) -> Number:
        self._guard.release(from_bytes(AskRelease, body).cover)
        return Number(value=1)


RECEIVES = frozenset({"issue", "reseal", "check", "destroy", "destroy_before", "has", "list", "follow"})
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
        except (SyncError, StorageError) as error:
            return Response(to_bytes(No(code="", clause="", what=error.what)), 409)
        except Exception as error:  # noqa: BLE001 - a full disk, a key file that cannot be read
            events.tell("cannot_answer", kind=type(error).__name__)
            return Response(to_bytes(No(code="", clause="", what="the key service cannot answer now")), 503)

    return Starlette(routes=[Route("/keys/{name}", endpoint, methods=["POST"])])


# the department's end
# -----------------------------------------------------------------------------------------


class _Wire:
    def __init__(self, address: Address, client: httpx.Client | None, *, approved: bool) -> None:
        self._address = address
        self._client = client or httpx.Client(
            verify=client_context(address.ca, approved=approved), timeout=SECONDS
        )

    def close(self) -> None:
        self._client.close()

    def ask(self, name: str, message: Any, answer: type[T]) -> T:
        """Raises DeskRefusal as the guard did, KeyServiceError for everything else."""
        headers = {"authorization": f"Bearer {self._address.token}"}
        try:
            got = self._client.post(
                f"{self._address.url}/keys/{name}", content=to_bytes(message), headers=headers
            )
        except httpx.HTTPError as error:
            raise KeyServiceError(
                f"no answer: {type(error).__name__}", where=f"key service {self._address.url}"
            ) from None
        try:
            if got.status_code == 200:
                return from_bytes(answer, got.content, limit=MAX_MESSAGE_BYTES)
            no = from_bytes(No, got.content)
        except StorageError:
            raise KeyServiceError(f"answered {got.status_code}", where="key service") from None
        if no.code == "head" and no.what.isascii() and no.what.isdecimal():
            raise HeadAskedError(int(no.what))
        if no.code:
            raise DeskRefusal(no.what, code=no.code, clause=no.clause)
        raise KeyServiceError(no.what, where="key service")


class RemoteKeyService:
    """What the receiver and the purge ask; opening content this way is not offered over there."""

    def __init__(self, wire: _Wire) -> None:
        self._wire = wire

    def close(self) -> None:
        self._wire.close()

    def issue_day_keys(self, first_day: int, count: int) -> tuple[DayKey, ...]:
        return self._wire.ask("issue", Days(first=first_day, count=count), DayKeysMade).keys

    def open_and_reseal(
        self, day: int, epoch_keys: dict[int, tuple[bytes, bytes]], arrived: Sequence[Arrived]
    ) -> list[Kept]:
        epochs = tuple((epoch, *parts) for epoch, parts in sorted(epoch_keys.items()))
        return list(
            self._wire.ask("reseal", Reseal(day=day, epochs=epochs, arrived=tuple(arrived)), Resealed).kept
        )

    def check_stored(
        self, day: int, log_id: bytes, wanted: Sequence[tuple[int, str, bytes, bytes]]
    ) -> list[str | None]:
        ask = Check(day=day, log_id=log_id, wanted=tuple(wanted))
        return [one or None for one in self._wire.ask("check", ask, Checked).found]

    def destroy_store_key(self, day: int) -> None:
        self._wire.ask("destroy", Days(first=day), Number)

    def destroy_day_keys_before(self, day: int) -> int:
        return self._wire.ask("destroy_before", Days(first=day), Number).value

    def listed(self) -> tuple[bytes, list[bytes]]:
        """(the key that signs it, every signed line) of the service's own list."""
        public, lines = b"", list[bytes]()
        while True:
            part = self._wire.ask("list", Days(first=len(lines)), ListPart)
            public = part.public
            if not part.lines:
                return public, lines
            lines += part.lines

    def has_store_key(self, day: int) -> bool:
        return bool(self._wire.ask("has", Days(first=day), Number).value)


class RemoteDoor:
    """The guard over there, as the desk's door."""

    def __init__(self, wire: _Wire) -> None:
        self._wire = wire

    def follow(self, part: LogPart) -> int:
        return self._wire.ask("follow", part, Number).value

    def tokens(self, cover: Cover, query: Query, days: Sequence[int]) -> dict[int, tuple[bytes, ...]]:
        return dict(
            self._wire.ask("tokens", AskTokens(cover=cover, query=query, days=tuple(days)), Tokens).tokens
        )

    def match(self, cover: Cover, query: Query, day: int, log_id: bytes, rows: Sequence[Row]) -> list[Match]:
        ask = AskContent(cover=cover, query=query, day=day, log_id=log_id, rows=_wire(rows))
        return [
            Match(one.sequence, one.text, one.place) for one in self._wire.ask("match", ask, Matches).matches
        ]

    def open(self, cover: Cover, day: int, log_id: bytes, rows: Sequence[Row]) -> list[dict[str, Opened]]:
        ask = AskContent(cover=cover, query=None, day=day, log_id=log_id, rows=_wire(rows))
        return [{one.name: one for one in row} for row in self._wire.ask("open", ask, OpenedRows).rows]

    def hold(self, cover: Cover, day: int, log_id: bytes, rows: Sequence[Row]) -> list[dict[str, bytes]]:
        ask = AskContent(cover=cover, query=None, day=day, log_id=log_id, rows=_wire(rows))
        sealed = self._wire.ask("hold", ask, HeldRows).rows
        return [
            dict(zip(sorted(row.elements), parts, strict=True))
            for row, parts in zip(rows, sealed, strict=True)
        ]

    def open_held(
        self, cover: Cover, access: int, log_id: bytes, rows: Sequence[Row]
    ) -> list[dict[str, Opened]]:
        ask = AskHeld(cover=cover, access=access, log_id=log_id, rows=_wire(rows))
        return [{one.name: one for one in row} for row in self._wire.ask("open_held", ask, OpenedRows).rows]

    def release(self, cover: Cover) -> None:
        self._wire.ask("release", AskRelease(cover=cover), Number)


def remote(
    address: Address, client: httpx.Client | None = None, *, approved: bool = False
) -> tuple[RemoteKeyService, KeyDoor]:
    """Both clients of one key service. `approved`: TLS of the FIPS profile."""
    wire = _Wire(address, client, approved=approved)
    return RemoteKeyService(wire), RemoteDoor(wire)


def service_of(
    home: DepartmentHome, clock: Callable[[], int], keep_days: Callable[[], int]
) -> LocalKeyService | RemoteKeyService:
    """The key service that a home uses: in this process, or the one that HOME/keys.remote names."""
    address = address_of(home)
    if address is None:
        return LocalKeyService(home.keys, clock, keep_days=keep_days)
    return remote(address, approved=home.fips)[0]
