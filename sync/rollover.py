"""Replaces a log that can no longer be trusted: sets it aside, opens another and records why.

The new log's first record has the last co-signed checkpoint and the reason. What still verifies of the old
log is delivered first. Its folder is kept under HOME/sync/old, with the epoch keys sealed to the department's
day keys, so that the department can open what could not be delivered. Two people close the incident there.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import structlog

from storage import codec, envelope, files, opening
from storage.checkpoint import TYPE_ED25519, NoteKey
from storage.clock_trust import LogStart, WallClock
from storage.damage import OF_NO_CONTENT, FailedStarts, card_error, is_damaged
from storage.database import DAMAGE, primary_code
from storage.day_keys import DayKey, DayKeys, EpochKeyForDay
from storage.errors import (
    CONTINUE,
    CardFailedError,
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
from storage.times import DAY_US, HOUR_US, now_us
from sync import messages
from sync.handover import KEYS_FILE, kept_keys
from sync.hot_lists.held import drop_lists
from sync.ledger_outbox import LedgerOutbox
from sync.membership import Member, SyncFolder, make_vouch
from sync.vouch import UnitKey

log_events = structlog.get_logger("uplink")
REASON_CHARS = 500
MOST_A_DAY = 3  # logs that a unit closes in a day; more would mean two units with one identity
LOOKED_AT, MAX_SEEN_BYTES = "looked-at", 1 << 20
OPEN_TRIES, OPEN_AGAIN_S = 4, 0.5
PASSING = frozenset({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


def keep_keys(folder: SyncFolder, log_id: bytes, keys: Iterable[EpochKeyForDay]) -> None:
    """Put the old log's epoch keys beside it, each sealed so that only the department can open it.

    Keys kept by an interrupted rollover stay, since the slot may already hold those of the next log.
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
    """As `keep_keys`, for all keys that the slot opens of a log that no process holds.

    Raises LedgerError, sqlite3.Error, OSError.
    """
    kept = salvage(old, slot, _day_keys(folder), now_us=clock.now().us)
    keep_keys(folder, kept.log_id, kept.keys)
    return kept


def _make_old(folder: SyncFolder, log_id: bytes) -> Path:
    """Make and sync the folder for a closed log, so that a power cut cannot lose the log with the folder."""
    old = folder.path / "old"
    files.make_dir(old)
    files.make_dir(old / log_id.hex()[:16])
    return old / log_id.hex()[:16]


def demand_no_copy(folder: SyncFolder, *, at_us: int | None = None) -> None:
    """Raises LedgerError if logs were closed again and again, since a copy of this unit must be closing them.

    Another new log would close the copy's in turn, forever. The unit continues once a person has looked,
    which `looked_at` records.
    """
    old, seen = folder.path / "old", list[bytes]()
    now_ns = (now_us() if at_us is None else at_us) * 1000
    latest_ns = now_ns + HOUR_US * 1000  # what is dated later was closed under a clock that was ahead
    with contextlib.suppress(OSError, LedgerError):
        seen = files.read_bounded(old / LOOKED_AT, MAX_SEEN_BYTES).split()
    closed = sum(
        now_ns - DAY_US * 1000 < path.stat().st_ctime_ns <= latest_ns
        for path in old.glob("*/store")
        if os.fsencode(path.parent.name) not in seen
    )
    if closed >= MOST_A_DAY:
        raise LedgerError(
            f"{closed} logs were closed within a day: another device acts as this unit",
            where=str(old),
            cure="find the copy of this card; then: reader sync now --new-log",
        )


def looked_at(folder: SyncFolder) -> None:
    """Record that a person has looked, so that new logs may be opened again.

    The mark names the logs that are closed by now, since this unit's clock may be set back after the look.
    """
    mark = folder.path / "old" / LOOKED_AT
    files.make_dirs(mark.parent)
    seen = sorted(os.fsencode(path.parent.name) + b"\n" for path in mark.parent.glob("*/store"))
    files.replace(mark, b"".join(seen))


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

    start: the old log's time, so that a clock that was set back cannot make an expired grant valid again;
    None if it cannot be read. After an interruption, calling this again completes it. Raises LedgerError,
    SlotError, NotEnrolledError.
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
    """Rewrite slot.uri if it is missing or wrong: it names the slot of the log that is set aside."""
    with contextlib.suppress(OSError, StorageError):
        with contextlib.suppress(LedgerError):
            if paths.read_slot_uri() == slot.uri:
                return
        files.clear_place(paths.slot_uri)
        files.replace(paths.slot_uri, slot.uri.encode() + b"\n")


def _erase_old_slots(folder: SyncFolder) -> None:
    """Destroy a closed log's key-encryption key if it is in a file, once its keys are sealed beside it."""
    with contextlib.suppress(OSError):  # the folder is unreadable or the card fails: retry at the next start
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
    """Open the home's log; if it contradicts an anchor or is damaged, replace it by a new one.

    The same holds if its slot is a damaged file, which is on the same card. A wrong or missing key in a chip
    remains an error, since the chip identifies the unit. A unit without a department also keeps the error,
    since nothing could close the incident. on_new_log: called with the reason for a new log. Also completes
    an interrupted rollover. Raises as `Ledger.open` and `roll_over`.
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
            _erase_old_slots(folder)  # a power cut may have prevented it
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
    with contextlib.suppress(StorageError, sqlite3.Error):  # a damaged ledger may not give even this
        kept = keep_all_keys(old, slot, clock, folder)
        previous = kept.previous
        start = None if start is None else replace(start, lead_us=kept.lead_us)
    on_new_log(reason)
    return roll_over(home, slot, clock, folder, previous=previous, reason=reason, start=start)


def _opened(home: Path, slot: EffaceableSlot, clock: WallClock, *, patient: bool) -> Ledger:
    """Open the home's log. Raises as Ledger.open.

    patient: an error of the card that may be temporary would end a whole log, so it is tried again for two
    seconds, and then CardFailedError ends this start. The start is counted: a DamagedError ends the log once
    the card failed in several starts, a minute apart. If the count cannot be kept, this start goes through
    that time. One look at the whole database decides for all tries.
    """
    database = Home(home).database
    tries, looked, starts = 0, functools.cache(lambda: is_damaged(database)), FailedStarts(database)
    while True:
        try:
            ledger = Ledger.open(home, slot, clock)
        except (LedgerError, sqlite3.OperationalError) as error:
            if not patient or isinstance(error, StoreFullError):
                raise
            if not _may_pass(error, looked):
                if isinstance(error, DamagedError) or not _database_failed(error):
                    raise
                raise _lasting(error, database) from error
            tries += 1
            if tries >= OPEN_TRIES:
                given_up, counted = starts.add()
                if given_up:
                    starts.forget()  # they were this log's, and not the next one's
                    raise _lasting(error, database) from error
                if counted:
                    raise _next_start(error, database) from error
                if tries == OPEN_TRIES:
                    log_events.warning("card_failed", reason=str(_next_start(error, database)))
        else:
            starts.forget()
            return ledger
        time.sleep(OPEN_AGAIN_S)


def _lasting(error: Exception, database: Path) -> DamagedError:
    return DamagedError(f"cannot be read: {error}", where=str(database), cure=CONTINUE)


def _next_start(error: Exception, database: Path) -> CardFailedError:
    """What a person sees of a start that the card ended."""
    then = "the reader tries again by itself, and opens a new log if this lasts for minutes"
    return card_error(error, database, then=then)


def _may_pass(error: BaseException, is_damage: Callable[[], bool]) -> bool:
    """Whether the card or another process, rather than content, caused an error.

    is_damage: asked if SQLite called the database malformed, or if damage may explain its failure.
    """
    named = isinstance(error, DamagedError)  # without the name, what is not the card's keeps its own error
    for cause in causes_of(error):
        code = primary_code(cause)
        if code in PASSING or files.is_of_card(cause):
            return True
        in_doubt = code in DAMAGE or (named and code not in {0, sqlite3.SQLITE_ERROR})
        if in_doubt and (code in OF_NO_CONTENT or not is_damage()):
            return True
    return False


def _database_failed(error: BaseException) -> bool:
    """Whether SQLite itself calls the database malformed."""
    return primary_code(error) in DAMAGE


def _whole(ledger: Ledger, folder: SyncFolder) -> Ledger:
    """Add the membership to a log if a power cut separated it from the log before."""
    try:
        if folder.is_member() and ledger.standing.enrollment is None:
            _take_over(ledger, folder.member(), folder)
    except BaseException:
        ledger.close()
        raise
    return ledger


def last_set_aside(folder: SyncFolder) -> Home | None:
    """The last log that was set aside, with the name of its slot beside it; None if there is none."""
    stores = sorted((folder.path / "old").glob("*/store"), key=lambda path: path.stat().st_ctime_ns)
    return Home(stores[-1].parent) if stores else None


def _day_keys(folder: SyncFolder) -> tuple[DayKey, ...]:
    """The day keys that the department sent last; none if they do not verify."""
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
    with contextlib.suppress(StorageError):  # log.pub may be another log's; the slot may be the next one's
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
    """Take over the department and its documents from the old log, offline and in one transaction.

    A damaged document is fetched again with the next sync.
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
    """The message that announces the new log to the department."""
    vouch = make_vouch(folder, unit, outbox.log_public, previous=previous, reason=reason)
    return messages.seal_message(messages.NewLog(vouch=vouch), outbox.sign)
