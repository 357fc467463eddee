"""Hot lists at the department: kept sealed, and offered to units as a signed head, snapshot and deltas."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import structlog
from sqlalchemy import delete

from storage import codec, envelope, files
from storage.errors import SealError, StorageError
from storage.hot_list_file import HotListFile, write_list
from storage.times import HOUR_US
from sync.department.ground.home import DepartmentHome
from sync.department.store.database import Store
from sync.department.store.tables import documents
from sync.department.units.documents import Said, out, send, unsaid, version_out
from sync.department.units.list_seal import list_key_of
from sync.documents import Carried
from sync.errors import InvalidInputError
from sync.hot_lists.document import (
    DELTAS,
    LONGEST_HOURS,
    MAX_DELTA_ENTRIES,
    MAX_PARTS,
    ListDelta,
    ListHead,
    delta_name,
    difference,
    digest_of,
    head_name,
    in_parts,
    pack_part,
    part_name,
    total_digest,
)
from sync.hot_lists.entry import ListEntry
from sync.hot_lists.held import lists_folder
from sync.messages import MAX_DOCUMENT_BYTES

log_events = structlog.get_logger("department.lists")

SENDING = ".sending"  # beside the lists: a version that is being sent
SNAPSHOT_SHARE = 4  # a change of more than a fourth of the list is sent as a snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """The facts about a list that is about to be sent."""

    list_id: str
    issuer: str
    source: str
    agency: str
    extracted_us: int
    hours: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One version that was sent."""

    head: ListHead
    removed: int
    added: int
    as_snapshot: bool


def publish_list(
    home: DepartmentHome,
    store: Store,
    offer: Offer,
    entries: Iterable[ListEntry],
    now_us: int,
    *,
    said: Said = unsaid,
) -> Published:
    """Sign the next version of a list and offer it to every unit.

    It is sent whole (as a snapshot) if it is the first, if it changes a large part of the list, or if the
    store was restored to a state before the version that units hold, so that it lacks the deltas in between.

    Raises InvalidInputError for hours out of range or an extract from the future, StorageError, OSError.
    """
    _check_offer(offer, now_us)
    finish_sending(home, store, offer.list_id)
    new = sorted({one.to_bytes() for one in entries})
    before = held_list(home, offer.list_id)
    old = [] if before is None else [one for _, one in before.entries()]
    last = None if before is None else codec.from_plain(ListHead, before.facts)
    gone, came = difference(old, new)
    sequence = 1 if last is None else last.sequence + 1
    changes = len(gone) + len(came)
    as_delta = last if not _is_behind(store, offer.list_id, said) else None
    if as_delta is not None and (
        sequence - as_delta.snapshot >= DELTAS
        or changes > min(MAX_DELTA_ENTRIES, max(100, len(new) // SNAPSHOT_SHARE))
    ):
        as_delta = None
    parts = list(in_parts(new)) if as_delta is None else []
    head = ListHead(
        list_id=offer.list_id,
        sequence=sequence,
        organization=home.settings.name,
        issuer=offer.issuer,
        source=offer.source,
        agency=offer.agency,
        extracted_us=min(offer.extracted_us, now_us),
        expires_us=now_us + offer.hours * HOUR_US,
        count=len(new),
        digest=total_digest(map(digest_of, new)),
        snapshot=sequence if as_delta is None else as_delta.snapshot,
        parts=len(parts) if as_delta is None else as_delta.parts,
    )
    head.check()

    def offer_document(name: str, body: bytes) -> None:
        send(home, store, name, body, now_us, expires_us=head.expires_us, said=said)

    with _keeping(home, head, new):
        if as_delta is None:
            _withdraw(store, [part_name(offer.list_id, number) for number in range(len(parts), MAX_PARTS)])
            for number, part in enumerate(parts):
                offer_document(part_name(offer.list_id, number), pack_part(offer.list_id, sequence, part))
        else:
            delta = ListDelta(
                list_id=offer.list_id, sequence=sequence, removed=tuple(gone), added=tuple(came)
            )
            offer_document(delta_name(offer.list_id, sequence), codec.to_bytes(delta))
        offer_document(head_name(offer.list_id), codec.to_bytes(head))
    return Published(head=head, removed=len(gone), added=len(came), as_snapshot=as_delta is None)


def _check_offer(offer: Offer, now_us: int) -> None:
    """Raises InvalidInputError."""
    if not 1 <= offer.hours <= LONGEST_HOURS:
        raise InvalidInputError(f"1 to {LONGEST_HOURS} hours", where="--hours")
    if offer.extracted_us > now_us + HOUR_US:
        raise InvalidInputError(
            "was extracted in the future", where=offer.list_id, cure="check the extract's time"
        )


def _is_behind(store: Store, list_id: str, said: Said) -> bool:
    """Whether the access log has a newer version of a list than the store, so that the store was restored."""
    name = head_name(list_id)
    with store.read() as connection:
        return version_out(connection, name) < said(name, "")


def _withdraw(store: Store, names: list[str]) -> None:
    """Stop offering these documents."""
    with store.write() as connection:
        connection.execute(delete(documents).where(documents.c.name.in_(names)))


def held_list(home: DepartmentHome, list_id: str) -> HotListFile | None:
    """The newest version of a list that the department keeps, if any. Raises StorageError."""
    path = lists_folder(home.path) / f"{list_id}.list"
    if not path.exists():
        return None
    key = list_key_of(home)
    try:
        return HotListFile(path, key, list_id)
    except SealError as error:
        raise SealError(error.what, where=str(path), cure=error.cure) from None


def listed(home: DepartmentHome) -> list[ListHead]:
    """The newest version of every list."""
    folder = lists_folder(home.path)
    names = sorted(path.stem for path in folder.glob("*.list")) if folder.is_dir() else []
    found = []
    for name in names:
        held = held_list(home, name)
        if held is not None:
            found.append(codec.from_plain(ListHead, held.facts))
            held.close()
    return found


def marks(home: DepartmentHome) -> frozenset[tuple[str, int, int]]:
    """(name, inode, time of change in ns) of every list's newest version; changes when a list does."""
    found = set()
    for path in lists_folder(home.path).glob("*.list"):
        with suppress(FileNotFoundError):
            held = path.stat()
            found.add((path.name, held.st_ino, held.st_mtime_ns))
    return frozenset(found)


def damaged(home: DepartmentHome) -> list[str]:
    """A line for each kept list that does not open completely, without any of its content."""
    found = []
    for path in sorted(lists_folder(home.path).glob("*.list")):
        try:
            entries_of(home, path.stem)
        except (StorageError, OSError) as error:
            what = error.what if isinstance(error, StorageError) else type(error).__name__
            cure = (
                "restore it with hotlists.key from the backup; without them, move it away and send the list"
            )
            found.append(f"hot list {path.name} does not open: {what}: {cure} again: department hotlist push")
    return found


def entries_of(home: DepartmentHome, list_id: str) -> list[ListEntry]:
    """The entries of the newest version of a list; none if there is no such list. Raises StorageError."""
    held = held_list(home, list_id)
    if held is None:
        return []
    try:
        return [ListEntry.from_bytes(one) for _, one in held.entries()]
    finally:
        held.close()


def entries_under(home: DepartmentHome, list_id: str, keys: Collection[int]) -> list[ListEntry] | None:
    """The entries under these keys in the newest version of a list; None without one. Raises StorageError."""
    held = held_list(home, list_id)
    if held is None:
        return None
    try:
        return [ListEntry.from_bytes(one) for key in keys for one in held.under(key)]
    finally:
        held.close()


def finish_all(home: DepartmentHome, store: Store, needed: str) -> None:
    """Finish the sending of every list that was interrupted. The caller must hold the turn to change lists.

    A list other than `needed` that cannot be finished waits for its next version. Raises StorageError,
    OSError.
    """
    folder = lists_folder(home.path)
    for path in sorted(folder.glob(f"*{SENDING}")):
        try:
            finish_sending(home, store, path.stem)
        except (StorageError, OSError) as error:
            if path.stem == needed:
                raise
            what = error.what if isinstance(error, StorageError) else type(error).__name__
            log_events.warning("list_not_finished", list=path.stem, what=what, cure="push that list again")
    for path in folder.glob("*.partial"):
        with suppress(OSError):  # it does no harm
            path.unlink(missing_ok=True)


def finish_sending(home: DepartmentHome, store: Store, list_id: str) -> None:
    """Keep an interrupted version that is beside its list if units are offered it; else it was never sent.

    Without this, the kept list would be behind the one that units hold, and the next version would get the
    number of this one, so that those units would ignore it. Raises StorageError, OSError.
    """
    folder = lists_folder(home.path)
    beside = folder / f"{list_id}{SENDING}"
    if not beside.exists():
        return
    key = list_key_of(home)  # without it, a damaged file cannot be recognized
    try:
        held = HotListFile(beside, key, list_id)
    except StorageError:
        beside.unlink()
        return
    try:
        is_out = codec.from_plain(ListHead, held.facts) == _head_out(store, list_id)
    finally:
        held.close()
    if is_out:
        beside.replace(folder / f"{list_id}.list")
        files.sync_dir(folder)
    beside.unlink(missing_ok=True)


def _head_out(store: Store, list_id: str) -> ListHead | None:
    """The head of a list that units are offered, if any, as signed by this department."""
    with store.read() as connection:
        _, message = out(connection, head_name(list_id))
    if not message:
        return None
    _, payload, _, _ = envelope.split(message, limit=MAX_DOCUMENT_BYTES)
    carried = codec.from_bytes(Carried, payload, limit=MAX_DOCUMENT_BYTES)
    return codec.from_bytes(ListHead, carried.body)


@contextmanager
def _keeping(home: DepartmentHome, head: ListHead, entries: list[bytes]) -> Iterator[None]:
    """Write this version before it is sent, so that a full disk cannot leave a sent version unkept.

    It gets its final name once it is sent.
    """
    folder = lists_folder(home.path)
    files.make_dir(folder)
    beside = folder / f"{head.list_id}{SENDING}"
    pairs = ((ListEntry.from_bytes(one).key, one) for one in entries)
    write_list(beside, list_key_of(home, first=True), head.list_id, codec.to_plain(head), pairs)
    try:
        yield
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    beside.replace(folder / f"{head.list_id}.list")
    files.sync_dir(folder)
