"""A new log where the old one can no longer be believed: set the old one aside, open another, say why.

The new log's first record holds the last co-signed checkpoint and the reason. What still verifies of the old
log is delivered first; its folder is kept under HOME/sync/old, with the epoch keys sealed to the department's
day keys, so that the department can open what could not be delivered. Two people close the incident there.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import sqlite3
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import structlog

from storage import codec, envelope, files, opening
from storage.checkpoint import TYPE_ED25519, NoteKey
from storage.clock_trust import LogStart, WallClock
from storage.day_keys import DayKey, DayKeys, EpochKeyForDay
from storage.errors import (
    DamagedError,
    LedgerError,
    OutdatedError,
    RolledBackError,
    SlotError,
    StorageError,
    StoreFullError,
    causes_of,
)
from storage.home import Home
from storage.leaf import log_id_of
from storage.ledger import Ledger
from storage.salvage import Salvage, salvage
from storage.slot import EffaceableSlot, anchors, load_slot
from storage.standing import DAY_KEYS, DOCUMENTS, MAX_DOCUMENT_BYTES, UnitEnrollment, context_of
from storage.times import DAY_US, now_us
from sync import messages
from sync.handover import KEYS_FILE, kept_keys
from sync.hot_lists.held import drop_lists
from sync.ledger_outbox import LedgerOutbox
from sync.membership import Member, SyncFolder, make_vouch
from sync.vouch import UnitKey

log_events = structlog.get_logger("uplink")
REASON_CHARS = 500
MOST_A_DAY = 3  # logs that a unit closes in a day: more mean two units with one identity
LOOKED_AT = "looked-at"
OPEN_TRIES, OPEN_AGAIN_S = 4, 0.5
PASSING = frozenset({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


def keep_keys(folder: SyncFolder, log_id: bytes, keys: Iterable[EpochKeyForDay]) -> None:
    """Put the old log's epoch keys beside it, each openable by the department alone.

    Those that a rollover which was cut off kept there stay: the slot may hold the next log's by now.
    """
    beside = _make_old(folder, log_id)
    found = {
        key.epoch: messages.SealedKey(epoch=key.epoch, day_key=key.day_key, sealed=key.sealed) for key in keys
    }
    for kept in kept_keys(beside):
        found.setdefault(kept.epoch, kept)
    listed = tuple(found[epoch] for epoch in sorted(found))
    header = messages.ParcelHeader(log_id=log_id, keys=listed, items=())
    files.replace(beside / KEYS_FILE, codec.to_bytes(header))


def keep_all_keys(old: Home, slot: EffaceableSlot, clock: WallClock, folder: SyncFolder) -> Salvage:
    """As `keep_keys`, of all that the slot opens of a log that no process holds.

    Raises LedgerError, sqlite3.Error, OSError.
    """
    kept = salvage(old, slot, _day_keys(folder), now_us=clock.now().us)
    keep_keys(folder, kept.log_id, kept.keys)
    return kept


def _make_old(folder: SyncFolder, log_id: bytes) -> Path:
    """The folder that keeps a closed log. Its name lasts before the log goes into it: else a power cut could
    take the log with it.
    """
    old = folder.path / "old"
    files.make_dir(old)
    files.make_dir(old / log_id.hex()[:16])
    return old / log_id.hex()[:16]


def demand_no_copy(folder: SyncFolder, *, at_us: int | None = None) -> None:
    """Raises LedgerError if logs were closed again and again: a copy of this unit closes them in turn.

    Opening one more would close the other's, for ever. It continues once a person has looked, which
    `looked_at` notes.
    """
    old = folder.path / "old"
    looked_ns = (old / LOOKED_AT).stat().st_mtime_ns if (old / LOOKED_AT).exists() else 0
    since_ns = max((now_us() if at_us is None else at_us) * 1000 - DAY_US * 1000, looked_ns)
    closed = sum(path.stat().st_ctime_ns > since_ns for path in old.glob("*/store"))
    if closed >= MOST_A_DAY:
        raise LedgerError(
            f"{closed} logs were closed within a day: another device acts as this unit",
            where=str(old),
            cure="find the copy of this card; then: reader sync now --new-log",
        )


def looked_at(folder: SyncFolder) -> None:
    """A person has looked: new logs may be opened again."""
    mark = folder.path / "old" / LOOKED_AT
    files.make_dirs(mark.parent)
    files.replace(mark, b"")


def roll_over(
    home: Path,
    slot: EffaceableSlot,
    clock: WallClock,
    folder: SyncFolder,
    *,
    previous: str | None,
    reason: str,
    start: LogStart | None = None,
) -> Ledger:
    """Set the home's log aside and open a new one for the same department. No process may hold the home.

    start: the old log's time, so that no clock which was set back makes an ended grant good again in the new
    one; None where nothing of it can be read. Raises LedgerError, SlotError, NotEnrolledError. A cut
    half-way is ended by calling it again.
    """
    member, paths = folder.member(), Home(home)
    if paths.exists() or paths.is_rest():
        log_id = _log_id_in(paths, slot)
        beside = _make_old(folder, log_id)
        if (beside / "store").exists():
            raise LedgerError("was set aside before", where=str(beside), cure="move it elsewhere first")
        _name_slot(paths, slot)
        paths.folder.rename(beside / "store")
        files.sync_dir(beside)
        files.sync_dir(home)
    drop_lists(home, folder.inbox)
    store = opening.create(paths, slot, clock, previous=previous, reason=reason[:REASON_CHARS], start=start)
    ledger = Ledger(store)
    try:
        _take_over(ledger, member, folder)
    except BaseException:
        ledger.close()
        raise
    _erase_old_slots(folder)
    return ledger


def _name_slot(paths: Home, slot: EffaceableSlot) -> None:
    """Write slot.uri again where it is gone or wrong: by it the slot of the log set aside is found."""
    with contextlib.suppress(OSError, StorageError):
        with contextlib.suppress(LedgerError):
            if paths.read_slot_uri() == slot.uri:
                return
        files.clear_place(paths.slot_uri)
        files.replace(paths.slot_uri, slot.uri.encode() + b"\n")


def _erase_old_slots(folder: SyncFolder) -> None:
    """Destroy the key-encryption key of a closed log that was in a file of its own, once its keys are beside
    it for the department alone.
    """
    with contextlib.suppress(OSError):  # the folder is shut to this user, or the card fails: the next start
        for keys in (folder.path / "old").glob(f"*/{KEYS_FILE}"):
            with contextlib.suppress(OSError, StorageError):
                if kept_keys(keys.parent):
                    Home(keys.parent).erase_file_slots()


def open_or_roll_over(
    home: Path,
    slot: EffaceableSlot,
    clock: WallClock,
    folder: SyncFolder,
    *,
    on_new_log: Callable[[str], None] = lambda _reason: None,
) -> Ledger:
    """Open the home's log; one that contradicts an anchor, or is damaged, gives way to a new one.

    So does one whose slot is a file that is damaged: it is on the same card. What a chip holds, or not, says
    which unit this is, and stays an error. on_new_log: called with the reason of a new log. Also finishes an
    interrupted rollover. A unit of no department has no one to close the incident, so the error remains.
    Raises as `Ledger.open` and `roll_over`.
    """
    paths = Home(home)
    if paths.exists() or (paths.is_rest() and folder.is_member()):
        try:
            ledger = _whole(_opened(home, slot, clock, patient=folder.is_member()), folder)
        except (RolledBackError, DamagedError, SlotError) as error:
            if not folder.is_member() or (isinstance(error, SlotError) and anchors(slot.uri)):
                raise
            old, reason = paths, str(error)
        else:
            _erase_old_slots(folder)  # a power cut may have come before it
            return ledger
    else:
        left = last_set_aside(folder)
        if left is None and not folder.is_member():
            paths.need()
        old, reason = paths, "its ledger is gone, and no picture of a read is here"
        if left is not None:
            old, reason = left, "the log before was set aside, and a power cut came before this one was open"
    previous = start = None
    with contextlib.suppress(StorageError):
        start = LogStart(us=load_slot(slot).anchor_us)
    with contextlib.suppress(
        StorageError, sqlite3.Error
    ):  # of a damaged ledger not even this may be readable
        kept = keep_all_keys(old, slot, clock, folder)
        previous = kept.previous
        start = None if start is None else replace(start, lead_us=kept.lead_us)
    on_new_log(reason)
    return roll_over(home, slot, clock, folder, previous=previous, reason=reason, start=start)


def _opened(home: Path, slot: EffaceableSlot, clock: WallClock, *, patient: bool) -> Ledger:
    """The home's log. Raises as Ledger.open; an error of the card that may pass only once it has not passed:
    what it ends is a whole log.
    """
    tries = 1
    while True:
        try:
            return Ledger.open(home, slot, clock)
        except DamagedError as error:
            if not patient or tries == OPEN_TRIES or not _may_pass(error):
                raise
        tries += 1
        time.sleep(OPEN_AGAIN_S)


def _may_pass(error: BaseException) -> bool:
    """Whether the card, or another process, and no content, caused an error."""
    for cause in causes_of(error):
        code = getattr(cause, "sqlite_errorcode", None) or 0
        if code & 0xFF in PASSING or (isinstance(cause, OSError) and cause.errno == errno.EIO):
            return True
    return False


def _whole(ledger: Ledger, folder: SyncFolder) -> Ledger:
    """The log with its membership, where a power cut came between it and the log before."""
    try:
        if folder.is_member() and ledger.standing.enrollment is None:
            _take_over(ledger, folder.member(), folder)
    except BaseException:
        ledger.close()
        raise
    return ledger


def last_set_aside(folder: SyncFolder) -> Home | None:
    """The log that was set aside last, with the name of its slot beside it; None if none was."""
    stores = sorted((folder.path / "old").glob("*/store"), key=lambda path: path.stat().st_ctime_ns)
    return Home(stores[-1].parent) if stores else None


def _day_keys(folder: SyncFolder) -> tuple[DayKey, ...]:
    """The day keys as the department sent them last; none if they do not verify."""
    try:
        signed = files.read_bounded(folder.inbox / f"{DAY_KEYS}.cbor", messages.MAX_DOCUMENT_BYTES)
        public = folder.member().command_public()
        document = envelope.open_signed(
            signed, public, context=context_of(DAY_KEYS), limit=MAX_DOCUMENT_BYTES
        )
        return codec.from_bytes(DayKeys, document, limit=MAX_DOCUMENT_BYTES).keys
    except (OSError, StorageError):
        return ()


def _log_id_in(paths: Home, slot: EffaceableSlot) -> bytes:
    with contextlib.suppress(StorageError):  # log.pub may be another log's; so may the slot, of the next one
        content = load_slot(slot)
        if opening.is_log_of(paths, content):
            return content.log_id
    try:
        return log_id_of(paths.read_public_key().public)
    except LedgerError:  # damaged: the slot names the log, as for its keys
        with contextlib.suppress(StorageError):
            return load_slot(slot).log_id
    return hashlib.sha256(f"unreadable {now_us()}".encode()).digest()  # so that nothing else is overwritten


def _take_over(ledger: Ledger, member: Member, folder: SyncFolder) -> None:
    """The same department, and its documents as they came, without asking it, in one transaction.

    A document that is damaged, too, comes again with the next sync.
    """
    outbox = LedgerOutbox(ledger, folder.inbox)
    department = member.department_public()
    with ledger.store.adding():
        outbox.take_membership(
            UnitEnrollment(
                version=now_us(),
                organisation=member.department,
                unit=member.unit_id,
                command_key=member.command_key,
                department=NoteKey(messages.department_origin(department), department, TYPE_ED25519).text(),
            )
        )
        for name in DOCUMENTS:
            kept = folder.inbox / f"{name}.cbor"
            try:
                if kept.exists():
                    outbox.take_document(name, files.read_bounded(kept, messages.MAX_DOCUMENT_BYTES))
            except StoreFullError:
                raise
            except (StorageError, OSError) as error:
                if not isinstance(error, OutdatedError):
                    log_events.warning("kept_document_damaged", name=name, kind=type(error).__name__)


def registration(
    outbox: LedgerOutbox, folder: SyncFolder, unit: UnitKey, *, previous: str | None, reason: str | None
) -> bytes:
    """The message by which the department learns of the new log."""
    vouch = make_vouch(folder, unit, outbox.log_public, previous=previous, reason=reason)
    return messages.seal_message(messages.NewLog(vouch=vouch), outbox.sign)
