"""Hot lists of a unit, in HOME/hotlists: brought up to the signed head by deltas, else by the snapshot.

A list is sealed in `ID.list`. `ID.need` beside it asks the next sync for the snapshot. Documents of
lists are sealed in the inbox, too. What does not lead exactly to the head changes nothing: the old version
continues matching until it expires. The unit's log says which lists were taken: one that is gone since, or
cannot be read, is missing until a sync brings it again.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from storage import codec, files
from storage.errors import RecordError, SealError, StorageError
from storage.hot_list_file import Collected, HotListFile, seal, unseal, write_list
from storage.log_records import FileInForce
from sync.documents import FRAME_BYTES, Carried, demand_current, inbox_file, open_carried
from sync.hot_lists.document import (
    DELTA,
    HEAD,
    PART,
    ListHead,
    delta_name,
    head_name,
    parse_delta,
    parse_head,
    part_name,
    unpack_part,
)
from sync.hot_lists.entry import ListEntry
from sync.hot_lists.rewriting import ListChanges, rewrite
from sync.membership import Member
from sync.messages import MAX_DOCUMENT_BYTES

FOLDER = "hotlists"
LIST_FILE = re.compile(r"([A-Za-z0-9-]{1,24})\.list")
CLEARED = "hot-list-cleared/all"
MUTED = "hot-list-muted/all"
OWN = ".own"  # beside a list that this unit imported itself
KINDS = frozenset({HEAD, PART, DELTA, CLEARED.partition("/")[0], MUTED.partition("/")[0]})


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearedPairs:
    """What people found not to be an entry's: `cleared_name` of plate and entry."""

    pairs: tuple[bytes, ...]

    def check(self) -> None:
        if len(self.pairs) > 100_000 or any(len(one) != 32 for one in self.pairs):
            raise RecordError("holds at most 100,000 digests of 32 bytes", where="cleared")


@dataclass(frozen=True, slots=True, kw_only=True)
class MutedSources:
    """Sources whose hits were rejected too often: theirs are listed silently until that changes."""

    sources: tuple[str, ...]

    def check(self) -> None:
        if len(self.sources) > 1000 or any(not one or len(one) > 200 for one in self.sources):
            raise RecordError("names at most 1,000 sources", where="muted")


def lists_folder(home: Path) -> Path:
    """Where a unit keeps its lists."""
    return home / FOLDER


def is_hot_list(name: str) -> bool:
    """Whether a document belongs to a hot list."""
    return name.partition("/")[0] in KINDS


def snapshot_of(name: str) -> str | None:
    """The id of the list whose snapshot a document is a part of."""
    kind, _, rest = name.partition("/")
    return rest.rpartition(".")[0] if kind == PART else None


def is_lost(folder: Path, inbox: Path, key: bytes, taken: FileInForce) -> bool:
    """Whether a document of a list that the log took is of use and no longer in the inbox as it came."""
    kind, _, rest = taken.name.partition("/")
    if kind in {PART, DELTA} and not needs_snapshot(folder, rest.rpartition(".")[0]):  # it is in the list
        return kind == DELTA and not (inbox / inbox_file(taken.name)).exists()
    try:
        message = _unsealed(inbox, key, taken.name)
    except (OSError, StorageError):
        return True
    return hashlib.sha256(message).digest() != taken.digest


def _unsealed(inbox: Path, key: bytes, name: str) -> bytes:
    """A document of a list as it came. Raises OSError, StorageError."""
    message = files.read_bounded(inbox / inbox_file(name), MAX_DOCUMENT_BYTES + FRAME_BYTES)
    return unseal(key, f"inbox {name}", 0, message)


def needs_snapshot(folder: Path, list_id: str) -> bool:
    """Whether a list is not here, or cannot be brought up to its head by deltas."""
    path = folder / f"{list_id}.list"
    try:
        return not path.exists() or any((folder / f"{list_id}{end}").exists() for end in (".need", OWN))
    except OSError:  # the folder is shut to this user
        return True


def drop_lists(home: Path, inbox: Path) -> None:
    """Remove the lists, and their documents, that the log before this one sealed: its key is gone. The next
    sync brings them; one that cannot be removed is not used, and comes with the sync after."""
    found = [*lists_folder(home).glob("*.list"), *inbox.glob("*.cbor")]
    for path in found:
        if path.suffix == ".list" or path.name.partition("_")[0] in KINDS:
            with contextlib.suppress(OSError):
                path.unlink()


def seal_document(key: bytes, name: str, message: bytes) -> bytes:
    """A document of a list as it is in the inbox."""
    return seal(key, f"inbox {name}", 0, message)


@dataclass(frozen=True, slots=True)
class HeldList:
    """One list in force, open for lookups."""

    head: ListHead
    file: HotListFile

    def under(self, key: int) -> Iterator[bytes]:
        """The entries under a key, one by one. Raises SealError for a damaged block."""
        return self.file.under(key)

    def is_crowded(self, most: int, at_us: int, *, at_most_us: int, looked_at: int) -> bool:
        """Whether a plate has more than `most` entries that have begun and have not ended, or one of them
        after its first `looked_at` entries of any kind, where no match looks; times as for ListEntry.runs.
        Raises SealError, RecordError for a damaged list.
        """
        for key in self.file.keys_over(most):
            entries = enumerate(map(ListEntry.from_bytes, self.file.under(key)))
            running = (place for place, one in entries if one.runs(at_us, at_most_us=at_most_us))
            if any(count >= most or place >= looked_at for count, place in enumerate(running)):
                return True
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class ListChange:
    """What became of one list. `what`: updated, waits (for its snapshot), refused, missing (none matches)."""

    list_id: str
    what: str
    sequence: int
    count: int = 0
    why: str = ""


class HeldLists:
    """All lists of a unit. `refresh` from one thread; `lists` may be read from any."""

    def __init__(
        self,
        home: Path,
        inbox: Path,
        key: bytes,
        member: Callable[[], Member | None],
        taken: Callable[[], Mapping[str, FileInForce]] = dict,
    ) -> None:
        """key: Ledger.hot_list_key(). member: the unit's membership; None while it has no department.

        taken: the newest document of each name in the unit's log.
        """
        self._taken_of = taken
        self._folder, self._inbox, self._key, self._member = lists_folder(home), inbox, key, member
        self._held: dict[str, HeldList] = {}
        self.missing: tuple[str, ...] = ()  # as of the last refresh: taken once, and none of it matches now
        self._load()
        if member() is not None:
            self._drop_own()

    @property
    def lists(self) -> tuple[HeldList, ...]:
        """The lists on this unit, expired ones too."""
        return tuple(self._held.values())

    def close(self) -> None:
        """Let the files go."""
        for one in self._held.values():
            one.file.close()
        self._held = {}

    def refresh(self) -> list[ListChange]:
        """Bring every list up to its head in the inbox. Raises OSError where a folder cannot be read."""
        member = self._member()
        if member is None:
            return []
        self._drop_own()
        changes = []
        for list_id in sorted(self._announced()):
            change = self._bring_up(list_id, member)
            if change is not None:
                changes.append(change)
        self.missing = tuple(one.list_id for one in changes if one.what == "missing")
        return changes

    def cleared(self) -> frozenset[bytes]:
        """What the department cleared, each a `cleared_name`; none if it sent nothing that holds."""
        member = self._member()
        if member is None:
            return frozenset()
        try:
            body = self._document(CLEARED, member).body
            return frozenset(codec.from_bytes(ClearedPairs, body, limit=8 << 20).pairs)
        except (OSError, StorageError):
            return frozenset()

    def muted(self) -> frozenset[str]:
        """Sources that the department muted; none if it sent nothing that holds."""
        member = self._member()
        if member is None:
            return frozenset()
        try:
            return frozenset(codec.from_bytes(MutedSources, self._document(MUTED, member).body).sources)
        except (OSError, StorageError):
            return frozenset()

    def keep(self, head: ListHead, entries: Iterable[bytes]) -> None:
        """Write a list and put it into force. Raises OSError, StorageError."""
        files.make_dir(self._folder)
        path = self._folder / f"{head.list_id}.list"
        pairs = ((ListEntry.from_bytes(one).key, one) for one in entries)
        write_list(path, self._key, head.list_id, codec.to_plain(head), pairs)
        self._needed(head.list_id).unlink(missing_ok=True)
        self._open(path, head.list_id)

    def keep_own(self, head: ListHead, entries: Iterable[bytes]) -> None:
        """As `keep`, for a list that no department sent: it goes once there is one."""
        files.make_dir(self._folder)
        (self._folder / f"{head.list_id}{OWN}").touch(mode=files.PRIVATE_FILE)
        self.keep(head, entries)

    def _drop_own(self) -> None:
        """An enrolled unit's lists come from its department, by the words of two people, alone."""
        for mark in self._files():
            list_id = mark.name.removesuffix(OWN)
            if list_id == mark.name:
                continue
            self._held = {name: one for name, one in self._held.items() if name != list_id}
            with contextlib.suppress(OSError):  # a folder that this user may not change: they match no more
                (self._folder / f"{list_id}.list").unlink(missing_ok=True)
                mark.unlink(missing_ok=True)

    def drop_unreadable(self) -> None:
        """Read every list of the department through; one that does not open is removed until a sync
        brings it, one that the card does not give counts as missing until it is read again."""
        if self._member() is None:
            return
        for list_id, one in self._held.items():
            try:
                for _ in one.file.entries():
                    pass
            except (OSError, StorageError) as error:
                self._held = {name: held for name, held in self._held.items() if name != list_id}
                if not isinstance(error, OSError):  # a card that fails for a moment keeps its list
                    (self._folder / f"{list_id}.list").unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        """What is in the folder of lists; nothing where it is not there, or shut to this user: its lists are
        missing then, and no start waits for them."""
        try:
            return sorted(self._folder.iterdir())
        except OSError:
            return []

    def _load(self) -> None:
        """Open the stored lists; one that another log sealed is unreadable and is removed until a sync."""
        for path in self._files():
            found = LIST_FILE.fullmatch(path.name)
            if found is None:
                continue
            try:
                self._open(path, found[1])
            except (SealError, RecordError):
                with contextlib.suppress(OSError):  # a folder of that name: the list is missing
                    path.unlink()
            except OSError:
                continue  # the card does not give it: it is missing

    def _open(self, path: Path, list_id: str) -> None:
        made = HotListFile(path, self._key, list_id)
        try:
            head = codec.from_plain(ListHead, made.facts)
        except StorageError:
            made.close()
            raise
        # a lookup may be under way in the old one: its descriptor closes with its last reference
        self._held = {**self._held, list_id: HeldList(head, made)}

    def _announced(self) -> set[str]:
        """The lists of which a head came, by the inbox and by the log."""
        heads = self._inbox.glob(inbox_file(head_name("*"))) if self._inbox.is_dir() else ()
        logged = (name.partition("/") for name in self._taken_of())
        return {path.name.removeprefix(f"{HEAD}_").removesuffix(".cbor") for path in heads} | {
            list_id for kind, _, list_id in logged if kind == HEAD
        }

    def _document(self, name: str, member: Member) -> Carried:
        """A document of the inbox, checked again. Raises OSError, StorageError."""
        message = _unsealed(self._inbox, self._key, name)
        carried = open_carried(message, name, member.command_public(), member.unit_id)
        demand_current(carried, message, self._taken_of().get(name))
        return carried

    def _bring_up(self, list_id: str, member: Member) -> ListChange | None:
        sequence, held = 0, self._held.get(list_id)
        lacking = "missing" if held is None else "waits"
        try:
            head = parse_head(self._document(head_name(list_id), member).body)
            sequence = head.sequence
            if head.list_id != list_id:
                raise RecordError("is another list's", where=head_name(list_id))
            if head.organization != member.department:
                raise RecordError("belongs to another department", where=head_name(list_id))
            is_here = (self._folder / f"{list_id}.list").is_file()
            if held is not None and held.head.sequence >= head.sequence and is_here:
                self._needed(list_id).unlink(missing_ok=True)
                return None
            if not self._by_deltas(held, head, member) and not self._by_snapshot(head, member):
                self._ask_for(list_id)
                return ListChange(
                    list_id=list_id, what=lacking, sequence=sequence, why="its snapshot is missing"
                )
        except FileNotFoundError:
            self._ask_for(list_id)
            return ListChange(list_id=list_id, what="missing", sequence=sequence, why="its head is missing")
        except OSError as error:
            return ListChange(list_id=list_id, what=lacking, sequence=sequence, why=type(error).__name__)
        except StorageError as error:
            self._ask_for(list_id)
            return ListChange(list_id=list_id, what="refused", sequence=sequence, why=str(error))
        return ListChange(list_id=list_id, what="updated", sequence=sequence, count=head.count)

    def _needed(self, list_id: str) -> Path:
        return self._folder / f"{list_id}.need"

    def _ask_for(self, list_id: str) -> None:
        """The next sync brings what is not here as it came."""
        with contextlib.suppress(OSError):  # no room, or shut to this user: the next look asks again
            files.make_dir(self._folder)
            self._needed(list_id).touch(mode=files.PRIVATE_FILE)

    def _by_deltas(self, held: HeldList | None, head: ListHead, member: Member) -> bool:
        """Whether the deltas lead from the list that is held to the head, which is then in force."""
        if held is None:
            return False
        changes = self._changes(held.head.sequence, head, member)
        return changes is not None and self._taken(head, changes.applied(held.file.entries()))

    def _by_snapshot(self, head: ListHead, member: Member) -> bool:
        """The same from the snapshot that the head names."""
        changes = self._changes(head.snapshot, head, member)
        if changes is None:
            return False
        try:
            entries = Collected(
                (ListEntry.from_bytes(one).key, one)
                for number in range(head.parts)
                for one in self._part(head, number, member)
            )
        except (OSError, StorageError):
            return False
        return self._taken(head, changes.applied(entries))

    def _part(self, head: ListHead, number: int, member: Member) -> list[bytes]:
        body = self._document(part_name(head.list_id, number), member).body
        return unpack_part(body, head.list_id, head.snapshot)

    def _changes(self, sequence: int, head: ListHead, member: Member) -> ListChanges | None:
        """What the deltas after `sequence` come to; None if one is not here."""
        changes = ListChanges()
        for number in range(sequence + 1, head.sequence + 1):
            try:
                delta = parse_delta(self._document(delta_name(head.list_id, number), member).body)
            except (OSError, StorageError):
                return None
            if (delta.list_id, delta.sequence) != (head.list_id, number):
                return None
            changes.then(delta)
        return changes

    def _taken(self, head: ListHead, entries: Iterator[tuple[int, bytes]]) -> bool:
        """Put these entries into force, if they are those of the head. Raises OSError."""
        files.make_dir(self._folder)
        path = self._folder / f"{head.list_id}.list"
        try:
            rewrite(path, self._key, head, entries)
        except StorageError:
            return False
        self._needed(head.list_id).unlink(missing_ok=True)
        self._open(path, head.list_id)
        return True
