"""The two clients of a key service on a separate machine: for the receiver and the purge, and for the desk.

HOME/keys.remote (TOML, 0600) names the service: url, token, and ca (PEM) where its certificate needs one.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx

from storage.codec import from_bytes, to_bytes
from storage.day_keys import DayKey
from storage.errors import StorageError
from storage.sealing import Opened
from sync.department.content.key_guard import Cover, HeadAskedError, KeyDoor, MatchedRead, Row
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
    to_wire,
)
from sync.department.content.key_service import Arrived, Kept, LocalKeyService, StoredElement
from sync.department.ground.home import DepartmentHome
from sync.department.ground.tls import client_context
from sync.department.journal.access_log import LogPart
from sync.department.journal.inquiry_entries import Query
from sync.department.policy.refusals import DeskRefusal
from sync.errors import InvalidInputError, KeyServiceError

ADDRESS_FILE = "keys.remote"
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where the key service is, and the secret that admits the department's server. The repr hides it."""

    url: str
    token: str = field(repr=False)
    ca: str = ""


def address_of(home: DepartmentHome) -> Address | None:
    """The key service that a home uses, or None for one in its own process. Raises InvalidInputError."""
    path = home.path / ADDRESS_FILE
    if not path.exists():
        return None
    try:
        return Address(**tomllib.loads(path.read_text()))
    except (TypeError, tomllib.TOMLDecodeError, OSError, UnicodeDecodeError):
        raise InvalidInputError(
            "must be TOML: url and token, and ca (a PEM file) where its certificate needs one",
            where=str(path),
        ) from None


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
        self,
        day: int,
        public: bytes,
        epoch_keys: dict[int, tuple[bytes, bytes]],
        arrived: Sequence[Arrived],
    ) -> list[Kept]:
        epochs = tuple((epoch, *parts) for epoch, parts in sorted(epoch_keys.items()))
        ask = Reseal(day=day, public=public, epochs=epochs, arrived=tuple(arrived))
        return list(self._wire.ask("reseal", ask, ResealedRows).kept)

    def check_stored(self, day: int, log_id: bytes, wanted: Sequence[StoredElement]) -> list[str | None]:
        ask = CheckPlates(day=day, log_id=log_id, wanted=tuple(wanted))
        return [one or None for one in self._wire.ask("check", ask, Checked).found]

    def check_held(self, hold: str, log_id: bytes, wanted: Sequence[StoredElement]) -> list[str | None]:
        ask = CheckHeld(hold=hold, log_id=log_id, wanted=tuple(wanted))
        return [one or None for one in self._wire.ask("check_held", ask, Checked).found]

    def destroy_store_key(self, day: int) -> None:
        self._wire.ask("destroy", Days(first=day), Number)

    def destroy_day_keys_before(self, day: int) -> int:
        return self._wire.ask("destroy_before", Days(first=day), Number).value

    def listed(self) -> tuple[bytes, list[bytes]]:
        """(the key that signs it, every signed line) of the service's own list."""
        return self.listed_from(0)

    def lines_from(self, first: int) -> list[bytes]:
        """The signed lines of that list from `first` on."""
        return self.listed_from(first)[1]

    def listed_from(self, first: int) -> tuple[bytes, list[bytes]]:
        """The same from line `first` on."""
        public, lines = b"", list[bytes]()
        while True:
            part = self._wire.ask("list", Days(first=first + len(lines)), ListPart)
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

    def match(
        self, cover: Cover, query: Query, day: int, log_id: bytes, rows: Sequence[Row]
    ) -> list[MatchedRead]:
        ask = AskContent(cover=cover, query=query, day=day, log_id=log_id, rows=to_wire(rows))
        return [
            MatchedRead(one.sequence, one.text, one.place)
            for one in self._wire.ask("match", ask, Matches).matches
        ]

    def open(self, cover: Cover, day: int, log_id: bytes, rows: Sequence[Row]) -> list[dict[str, Opened]]:
        ask = AskContent(cover=cover, query=None, day=day, log_id=log_id, rows=to_wire(rows))
        return [{one.name: one for one in row} for row in self._wire.ask("open", ask, OpenedRows).rows]

    def hold(self, cover: Cover, day: int, log_id: bytes, rows: Sequence[Row]) -> list[dict[str, bytes]]:
        ask = AskContent(cover=cover, query=None, day=day, log_id=log_id, rows=to_wire(rows))
        sealed = self._wire.ask("hold", ask, HeldRows).rows
        return [
            dict(zip(sorted(row.elements), parts, strict=True))
            for row, parts in zip(rows, sealed, strict=True)
        ]

    def open_held(
        self, cover: Cover, access: int, log_id: bytes, rows: Sequence[Row]
    ) -> list[dict[str, Opened]]:
        ask = AskHeld(cover=cover, access=access, log_id=log_id, rows=to_wire(rows))
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
