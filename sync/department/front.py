"""What the desk's calls work with: the desk, the reads, the door to the keys, the vault of held content."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from storage.sealing import Opened
from sync.department.desk import Desk
from sync.department.reads import OpenedRead, Reads
from sync.department.search import KeyDoor


class Vault(Protocol):
    """Held content, under a key of its own for each hold."""

    def keep(self, hold: int, reads: list[OpenedRead]) -> None:
        """Seal and sync the reads of a hold."""
        ...

    def open(self, hold: int) -> list[OpenedRead]:
        """The reads of a hold."""
        ...

    def destroy(self, hold: int) -> None:
        """Destroy a hold's key and content."""
        ...


@dataclass(frozen=True, slots=True)
class Front:
    """One department's desk with its content behind it."""

    desk: Desk
    reads: Reads
    door: KeyDoor
    vault: Vault
    package: Callable[[list[OpenedRead], str], bytes]
    overdue_from_store: Callable[[int], list[tuple[str, str, str]]]
    opened: tuple[Callable[[], None], ...] = ()

    def close(self) -> None:
        """Close what was opened for this desk alone."""
        self.desk.close()
        for close in self.opened:
            close()


ELEMENTS = ("overview", "patch", "place", "text")
__all__ = ["ELEMENTS", "Front", "Opened", "Vault"]
