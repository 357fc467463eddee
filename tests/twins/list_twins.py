"""Versions of the department's list, and an enrolled unit to which a line may send anything."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from receiver_twins import Joined

from storage.errors import StorageError
from storage.times import HOUR_US, now_us
from sync.department.server.server import Department
from sync.department.units.documents import out
from sync.department.units.hot_lists import Offer, publish_list
from sync.department.units.list_seal import unsealing
from sync.hot_lists.entry import ListEntry
from sync.hot_lists.held import HeldLists

VERSIONS: tuple[frozenset[int], ...] = (
    frozenset(range(60)),
    frozenset(range(1, 61)),  # one removed, one added
    frozenset(range(1, 60)),  # the added one removed again
    frozenset(range(60)) - {7},  # the first back again, another removed
    frozenset(range(1, 62)) - {7},
)


def entry(number: int) -> ListEntry:
    return ListEntry(plate=f"7ABC{number:03}", category="stolen-vehicle", state="US-CA")


def push(department: Department, numbers: frozenset[int]) -> None:
    offer = Offer(
        list_id="doj", issuer="DOJ", source="SVS", agency="", extracted_us=now_us() - HOUR_US, hours=24
    )
    publish_list(department.home, department.store, offer, map(entry, sorted(numbers)), now_us())


def sent(department: Department, name: str) -> bytes:
    """The newest message of this name that the department offers units."""
    with department.store.read() as connection:
        _, message = out(connection, name)
    assert message
    return unsealing(department.home)(name, message)


class Unit:
    """An enrolled unit that takes whatever the line sends."""

    def __init__(self, folder: Path, department: Department) -> None:
        self.joined = Joined(folder, department, folder.name)
        home = self.joined.folder.path.parent
        self.home, self.inbox = home, self.joined.folder.inbox
        self.held = self.open_lists()

    def open_lists(self) -> HeldLists:
        ledger = self.joined.ledger
        taken = lambda: ledger.store.book.files  # noqa: E731
        return HeldLists(self.home, self.inbox, ledger.hot_list_key(), self.joined.folder.member, taken)

    def hears(self, name: str, message: bytes) -> None:
        with suppress(StorageError):
            self.joined.outbox.take_document(name, message)
        self.held.refresh()

    @property
    def version(self) -> int:
        return max((one.head.sequence for one in self.held.lists), default=0)

    @property
    def holds(self) -> frozenset[int]:
        return frozenset(
            number
            for number in range(70)
            if any(list(one.under(entry(number).key)) for one in self.held.lists)
        )

    def close(self) -> None:
        self.held.close()
        self.joined.close()
