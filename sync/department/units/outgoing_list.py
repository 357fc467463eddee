"""A list that is about to be sent: the turn to change lists, and the entries that the log will name.

The log's entry comes before the list. Without turns, two people who change a list at once would each send it
without the other's change. Without what is kept here, a crash or a full disk after the entry would leave
units without a wanted vehicle, or with a withdrawn one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from storage import files
from storage.errors import StorageError
from storage.hot_list_file import HotListFile, write_list
from sync.department.ground.home import DepartmentHome
from sync.department.units.list_seal import list_key_of
from sync.hot_lists.entry import ListEntry
from sync.hot_lists.held import lists_folder

log_events = structlog.get_logger("department.lists")
LOCK_FILE = "change.lock"
SUFFIX = ".next"  # beside the lists themselves


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptList:
    """The kept entries of a list. `after`: the log's size then; the entry that names them comes later."""

    entries: tuple[ListEntry, ...]
    after: int


class OutgoingList:
    """One list of a department, for both threads and commands."""

    def __init__(self, home: DepartmentHome, list_id: str) -> None:
        self._home, self._list_id = home, list_id
        self._folder = lists_folder(home.path)
        self._path = self._folder / f"{list_id}{SUFFIX}"

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the turn to change any list, from reading what is held until the next version is sent."""
        files.make_dir(self._folder)
        with files.turn(self._folder / LOCK_FILE):
            yield

    def keep(self, entries: Sequence[ListEntry], after: int) -> None:
        """Keep, sealed, what is about to be entered. Raises StorageError, OSError."""
        pairs = ((one.key, one.to_bytes()) for one in entries)
        write_list(self._path, list_key_of(self._home, first=True), self._list_id, {"after": after}, pairs)

    def kept(self) -> KeptList | None:
        """What was kept but not sent; a damaged file is set aside. Raises StorageError without the key."""
        if not self._path.exists():
            return None
        key = list_key_of(self._home)  # without it nothing says that the file is damaged
        try:
            return self._read(key)
        except StorageError:
            self._path.replace(self._path.with_suffix(f"{SUFFIX}.damaged"))
            log_events.warning("kept_list_damaged", list=self._list_id, cure="enter or withdraw again")
            return None

    def _read(self, key: bytes) -> KeptList:
        held = HotListFile(self._path, key, self._list_id)
        try:
            after = held.facts.get("after")
            if not isinstance(after, int):
                raise StorageError("does not say after which entry it comes", where=str(self._path))
            return KeptList(
                entries=tuple(ListEntry.from_bytes(one) for _, one in held.entries()), after=after
            )
        finally:
            held.close()

    def drop(self) -> None:
        """Delete what was kept, since it was sent or never entered."""
        self._path.unlink(missing_ok=True)
