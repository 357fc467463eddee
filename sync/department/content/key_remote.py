"""Two clients of a key service on a separate machine: one for the receiver and purge, one for the desk.

HOME/keys.remote (TOML, 0600) names the service: url, token and, if its certificate needs one, ca (PEM).
"""

from __future__ import annotations

import re
import ssl
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import httpx

from storage.codec import from_bytes, to_bytes
from storage.day_keys import DayKey
from storage.errors import StorageError
from storage.sealing import Opened
from sync.department.content.key_door import Cover, HeadAskedError, KeyDoor, MatchedRead, Row
from sync.department.content.key_messages import NO_SUCH_CALL, SECONDS, No, read_result, to_wire
from sync.department.content.key_service import MOST_DAYS, Kept, LocalKeyService
from sync.department.content.search_tokens import IndexedText, StoredElement
from sync.department.ground.home import DepartmentHome
from sync.department.ground.tls import (
    EXPIRED,
    NOT_YET,
    OTHER_NAME,
    UNTRUSTED,
    certificate_fault,
    client_context,
)
from sync.department.journal.access_log import LogPart
from sync.department.journal.inquiry_entries import Query
from sync.department.policy.refusals import DeskRefusal
from sync.errors import InvalidInputError, KeyServiceAwayError, KeyServiceError, OlderKeyServiceError

ADDRESS_FILE = "keys.remote"
REACH_SECONDS = 5.0
NOT_ADMITTED, UNAVAILABLE = 401, 503
_RENEW = "the office that runs the key service renews its certificate (keys serve takes the new files itself)"
CERTIFICATES = {
    EXPIRED: f"{_RENEW}; check this server's clock",
    NOT_YET: f"check this server's clock; if it is right, {_RENEW}",
    OTHER_NAME: f"compare url in {ADDRESS_FILE} with the name in the key service's certificate",
    UNTRUSTED: f"name the authority of its certificate, a PEM file, as ca in {ADDRESS_FILE}; without "
    "ca it must be a public one",
}
"""What is wrong with its certificate, and what to do."""
_URL = re.compile(r"https://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._-]+)*")
_TOKEN = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """The key service's URL and the secret that admits the department's server, which the repr hides.

    `file`: the file with this address.
    """

    url: str
    token: str = field(repr=False)
    ca: str = ""
    file: str = ADDRESS_FILE


def address_of(home: DepartmentHome) -> Address | None:
    """A home's remote key service, or None if it runs in the server's process. Raises InvalidInputError."""
    path = home.path / ADDRESS_FILE
    if not path.exists():
        return None
    try:
        found = Address(**tomllib.loads(path.read_text()), file=str(path))
    except (TypeError, tomllib.TOMLDecodeError, OSError, UnicodeDecodeError):
        raise InvalidInputError(
            "must be TOML: url and token, and ca (a PEM file) where its certificate needs one",
            where=str(path),
        ) from None
    for name, good, wanted in (
        (
            "url",
            _URL,
            "is https://HOST:PORT: the token and what is opened never travel unencrypted",
        ),
        ("token", _TOKEN, "is the one line of keys/service.token, where keys serve runs"),
    ):
        if not isinstance(value := getattr(found, name), str) or not good.fullmatch(value):
            raise InvalidInputError(wanted, where=f"{path}: {name}")
    try:
        if found.ca:
            ssl.create_default_context(cafile=found.ca)
    except (OSError, TypeError):  # includes SSLError
        what = "is a PEM file with the authority of its certificate; left out for a public one"
        raise InvalidInputError(what, where=f"{path}: ca") from None
    return found


class _Wire:
    def __init__(self, address: Address, client: httpx.Client | None, *, approved: bool) -> None:
        self._address = address
        self._client = client or httpx.Client(
            verify=client_context(address.ca, approved=approved), timeout=SECONDS
        )

    def close(self) -> None:
        self._client.close()

    def ask(self, name: str, *arguments: Any, seconds: float = SECONDS) -> Any:
        """Make one call of the table, within `seconds`.

        Raises the guard's DeskRefusal, and KeyServiceError for everything else.
        """
        headers = {"authorization": f"Bearer {self._address.token}"}
        try:
            got = self._client.post(
                f"{self._address.url}/keys/{name}",
                content=to_bytes(arguments),
                headers=headers,
                timeout=seconds,
            )
        except httpx.HTTPError as error:
            fault = certificate_fault(error)
            raise self._away(fault or f"no answer: {type(error).__name__}", "url and ca") from None
        try:
            if got.status_code == 200:
                return read_result(name, got.content)
            no = from_bytes(No, got.content)
        except StorageError:
            raise self._away(f"answered {got.status_code}", "url and ca") from None
        if no.code == "head" and no.what.isascii() and no.what.isdecimal():
            raise HeadAskedError(int(no.what))
        if no.code:
            raise DeskRefusal(no.what, code=no.code, clause=no.clause)
        if no.what == NO_SUCH_CALL:
            raise OlderKeyServiceError(
                "is of an earlier version, which does not know this check",
                where="key service",
                cure="update the machine where keys serve runs",
            )
        if got.status_code == NOT_ADMITTED:
            raise self._away(no.what, "token (the line of keys/service.token there)")
        if got.status_code == UNAVAILABLE:
            raise self._away(no.what, "url")
        raise KeyServiceError(no.what, where="key service")

    def _away(self, what: str, compare: str) -> KeyServiceAwayError:
        where = f"key service {self._address.url}"
        if what in CERTIFICATES:
            return KeyServiceAwayError(what, where=where, cure=CERTIFICATES[what])
        return KeyServiceAwayError(
            what,
            where=where,
            cure="it must run on its machine (department keys serve); if it does, compare "
            f"{compare} in {self._address.file}",
        )


def _in_order(epoch_keys: dict[int, tuple[bytes, bytes]]) -> tuple[tuple[int, bytes, bytes], ...]:
    """Epoch keys in the order of the wire format."""
    return tuple((epoch, *parts) for epoch, parts in sorted(epoch_keys.items()))


class RemoteKeyService:
    """The client of the receiver and the purge, which cannot open content."""

    def __init__(self, wire: _Wire) -> None:
        self._wire = wire

    def close(self) -> None:
        self._wire.close()

    def issue_day_keys(self, first_day: int, count: int) -> tuple[DayKey, ...]:
        made: tuple[DayKey, ...] = self._wire.ask("issue", first_day, count)
        return made

    def open_and_reseal(
        self,
        day: int,
        public: bytes,
        epoch_keys: dict[int, tuple[bytes, bytes]],
        arrived: Sequence[StoredElement],
    ) -> list[Kept]:
        return list(self._wire.ask("reseal", day, public, _in_order(epoch_keys), tuple(arrived)))

    def reseal_again(
        self,
        day: int,  # noqa: ARG002 - the service knows the day itself
        public: bytes,
        epoch_keys: dict[int, tuple[bytes, bytes]],
        arrived: Sequence[StoredElement],
    ) -> list[tuple[int, Kept]]:
        return list(self._wire.ask("reseal_again", public, _in_order(epoch_keys), tuple(arrived)))

    def check_stored(self, day: int, log_id: bytes, wanted: Sequence[StoredElement]) -> list[str | None]:
        return list(self._wire.ask("check", day, log_id, tuple(wanted)))

    def check_tokens(self, day: int, log_id: bytes, wanted: Sequence[IndexedText]) -> list[str | None]:
        return list(self._wire.ask("check_tokens", day, log_id, tuple(wanted)))

    def check_held(self, hold: str, log_id: bytes, wanted: Sequence[StoredElement]) -> list[str | None]:
        return list(self._wire.ask("check_held", hold, log_id, tuple(wanted)))

    def destroy_store_key(self, day: int) -> None:
        self._wire.ask("destroy", day)

    def destroy_day_keys_before(self, day: int) -> int:
        return int(self._wire.ask("destroy_before", day))

    def listed(self) -> tuple[bytes, list[bytes]]:
        """The key of the service's own list, and all of its signed lines."""
        return self.listed_from(0)

    def lines_from(self, first: int) -> list[bytes]:
        """The signed lines of that list from `first` on."""
        return self.listed_from(first)[1]

    def listed_from(self, first: int) -> tuple[bytes, list[bytes]]:
        """The key of the list, and its signed lines from `first` on."""
        public, lines = b"", list[bytes]()
        while True:
            public, more = self._wire.ask("list", first + len(lines))
            if not more:
                return public, lines
            lines += more

    def demand_served(self) -> None:
        """Raises KeyServiceError unless the service answers this department within seconds."""
        self._wire.ask("has", 0, seconds=REACH_SECONDS)

    def has_store_key(self, day: int) -> bool:
        return bool(self._wire.ask("has", day))

    def days_with_keys(self, days: Sequence[int]) -> set[int]:
        found = set[int]()
        for at in range(0, len(days), MOST_DAYS):
            some = tuple(days[at : at + MOST_DAYS])
            try:
                found.update(set(some).intersection(self._wire.ask("which", some)))
            except OlderKeyServiceError:  # a purge does not wait for its update
                found.update(day for day in some if self.has_store_key(day))
        return found


class RemoteDoor:
    """The guard of the remote key service, as the desk's door."""

    def __init__(self, wire: _Wire) -> None:
        self._wire = wire

    def follow(self, part: LogPart) -> int:
        return int(self._wire.ask("follow", part))

    def tokens(self, cover: Cover, query: Query, days: Sequence[int]) -> dict[int, tuple[bytes, ...]]:
        return dict(self._wire.ask("tokens", cover, query, tuple(days)))

    def match(
        self, cover: Cover, query: Query, day: int, log_id: bytes, rows: Sequence[Row]
    ) -> list[MatchedRead]:
        return list(self._wire.ask("match", cover, query, day, log_id, to_wire(rows)))

    def open(self, cover: Cover, day: int, log_id: bytes, rows: Sequence[Row]) -> list[dict[str, Opened]]:
        return _by_name(self._wire.ask("open", cover, day, log_id, to_wire(rows)))

    def hold(self, cover: Cover, day: int, log_id: bytes, rows: Sequence[Row]) -> list[dict[str, bytes]]:
        return [dict(row) for row in self._wire.ask("hold", cover, day, log_id, to_wire(rows))]

    def open_held(
        self, cover: Cover, access: int, log_id: bytes, rows: Sequence[Row]
    ) -> list[dict[str, Opened]]:
        return _by_name(self._wire.ask("open_held", cover, access, log_id, to_wire(rows)))

    def held_keys(self) -> list[int]:
        found = list[int]()
        while more := self._wire.ask("held_keys", last := found[-1] if found else -1):
            if any(one <= before for before, one in pairwise((last, *more))):  # it would never end
                raise KeyServiceError("the key service names its holds out of order", where="key service")
            found += more
        return found

    def abandon(self, cover: Cover) -> None:
        self._wire.ask("abandon", cover)

    def release(self, cover: Cover) -> None:
        self._wire.ask("release", cover)


def _by_name(rows: Sequence[Sequence[Opened]]) -> list[dict[str, Opened]]:
    return [{one.name: one for one in row} for row in rows]


def remote(
    address: Address, client: httpx.Client | None = None, *, approved: bool = False
) -> tuple[RemoteKeyService, KeyDoor]:
    """Make both clients of a key service. `approved`: use TLS of the FIPS profile."""
    wire = _Wire(address, client, approved=approved)
    return RemoteKeyService(wire), RemoteDoor(wire)


def service_of(
    home: DepartmentHome, clock: Callable[[], int], keep_days: Callable[[], int], *, makes: bool = True
) -> LocalKeyService | RemoteKeyService:
    """A home's key service: in this process, or the one that HOME/keys.remote names.

    `makes`: as for LocalKeyService.
    """
    address = address_of(home)
    if address is None:
        return LocalKeyService(home.keys, clock, keep_days=keep_days, makes=makes)
    return remote(address, approved=home.fips)[0]
