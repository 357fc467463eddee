"""The desk's access to the keys: a guard in this process, or clients of a key service elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from sync.department.content.key_door import KeyDoor
from sync.department.content.key_guard import GuardedKeys
from sync.department.content.key_remote import ADDRESS_FILE, address_of, remote
from sync.department.content.key_service import ContentKeys, LocalKeyService, ReceivingKeys
from sync.department.content.opened_list import DATABASE, OpenedCheck, OpenedList, demand_list, list_in
from sync.department.content.proven_door import ProvenDoor
from sync.department.desk.desk import Desk
from sync.department.desk.owed import Overdue
from sync.department.ground.home import DepartmentHome
from sync.department.policy.refusals import NotYetError
from sync.department.server.keys_reach import KeysReach
from sync.department.server.retention import keep_days_of
from sync.errors import HomeError
from sync.root_file import KEY_SERVICE, Root


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskKeys:
    """What a desk uses of its key service.

    `receiving`: seals what arrives and destroys what is purged; `door`: opens content for an entry of the
    log; `lines_from`: the service's own list, from a line on; `overdue`: why it does not serve;
    `elsewhere`: whether it runs on a separate machine; `close`: closes what was opened here.
    """

    receiving: ReceivingKeys
    door: KeyDoor
    lines_from: Callable[[int], list[bytes]]
    overdue: Callable[[], list[Overdue]]
    elsewhere: bool
    close: Callable[[], None]


def open_keys(
    home: DepartmentHome, desk: Desk, keys: ReceivingKeys | None, clock: Callable[[], int]
) -> DeskKeys:
    """Open the key service of a home. `keys`: the one that the server already has open. Raises HomeError."""
    address = address_of(home)
    if address is not None:
        client, remote_door = remote(address, approved=home.fips)
        return DeskKeys(
            receiving=keys or client,
            door=ProvenDoor(lambda: remote_door, desk.log),
            lines_from=client.lines_from,
            overdue=KeysReach(client).overdue,
            elsewhere=True,
            close=client.close,
        )
    service = keys or LocalKeyService(home.keys, clock, keep_days=lambda: keep_days_of(home))
    if not isinstance(service, LocalKeyService):
        raise HomeError("no key service opens content here", where=str(home.path / ADDRESS_FILE))
    listed = OpenedList(home.keys)

    def close() -> None:
        listed.close()
        if keys is None:
            service.close()

    return DeskKeys(
        receiving=service,
        door=ProvenDoor(RootedGuard(desk, service, listed), desk.log),
        lines_from=listed.all_messages,
        overdue=list,
        elsewhere=False,
        close=close,
    )


class RootedGuard:
    """Makes the guard of a key service in this process, for the log and witnesses of the root in force."""

    def __init__(self, desk: Desk, service: ContentKeys, opened: OpenedList) -> None:
        self._desk, self._service, self._opened = desk, service, opened
        self._guard: tuple[int, GuardedKeys] | None = None
        self._making = threading.Lock()  # two guards would each follow the log and count the grace

    def __call__(self) -> GuardedKeys:
        """The guard, made at the first call. Raises NotYetError if the root names no witness."""
        with self._making:
            root = self._desk.root
            if self._guard is None or self._guard[0] != root.version:
                self._guard = (root.version, self._made(root))
            return self._guard[1]

    def _made(self, root: Root) -> GuardedKeys:
        witnesses = root.witnessing()
        if witnesses is None:
            raise NotYetError("the root file names no witness", code="no-witness", clause="463.5")
        return GuardedKeys(
            self._service,
            self._desk.log.note_key,
            self._desk.log.log_id,
            witnesses,
            self._opened,
            grace_minutes=self._desk.policy.witness.grace_minutes,
            clock=self._desk.now_us,
        )


def opened_of(home: DepartmentHome, root: Root) -> OpenedCheck | None:
    """The key service's own list, checked with the key that the root file names for it.

    A service in this process provides its own key. Raises LedgerError for a forged list, KeyServiceError if
    the service does not answer.
    """
    address = address_of(home)
    if address is None:
        demand_list(home.keys)
        if not (home.keys / DATABASE).is_file():
            return None
        public, lines = list_in(home.keys)
    else:
        service = remote(address, approved=home.fips)[0]
        try:
            public, lines = service.listed()
        finally:
            service.close()
    named = root.other(KEY_SERVICE) or public
    return OpenedCheck.of(lines, Ed25519PublicKey.from_public_bytes(named))
