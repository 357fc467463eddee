"""Opens a home's ledger with the slot that the home names, the only place that combines both; their state."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import structlog

from firmware.errors import UsageError
from firmware.fleet import sent_configuration
from firmware.health.custody import Custody
from hw.clock import Clock, SystemClock
from hw.clock_discipline import DisciplinedClock, Heard
from hw.errors import HardwareError, NoSuchSlotError
from hw.secure_slot import SecureSlot, open_slot, slots_of_chip
from hw.unit_chip import UnitChip, open_chip
from storage import files, opening, slot
from storage.damage import is_confirmed, settled
from storage.door import Door
from storage.errors import (
    CardFailedError,
    DamagedError,
    HomeLockedError,
    LedgerError,
    NewerLedgerError,
    NotOwnerError,
    NotPlainError,
    SlotError,
    StorageError,
    StoreFullError,
    causes_of,
)
from storage.home import SLOT_CURE, Home
from storage.ledger import Ledger
from storage.socket_door import DoorServer
from sync import rollover
from sync.errors import SyncError, UnitKeyError
from sync.handover import closed_logs
from sync.membership import SyncFolder, ran_since_success_s
from sync.rollover import last_set_aside

log_events = structlog.get_logger("home")
DEFAULT_SLOT = "file:slot"
# Those of an image with a chip, and of the packages. If a chip names the log, it is the slot, whatever a file
# says: if an old file were used, the key in the chip would stay forever.
USUAL_SLOTS = ("tpm:0x1500ab1", DEFAULT_SLOT)
NO_DAMAGE = (
    HomeLockedError, StoreFullError, CardFailedError, NewerLedgerError, NotPlainError, NotOwnerError
)  # fmt: skip
READ_TRIES, READ_AGAIN_S = 4, 0.5
LOCK_PATIENCE_S = 30.0  # a lookup on a full card takes seconds, and more on a busy unit
Result = TypeVar("Result")


class _SlotOnCard:
    """A slot that is a file of the home. If it cannot be read, the card is damaged, as with any other file:
    an enrolled unit then continues in a new log.
    """

    def __init__(self, file: SecureSlot, home: Home) -> None:
        self._file, self.uri, self.promise = file, file.uri, file.promise
        self._home, self._path = home.root, home.folder / file.uri.partition(":")[2]

    def read(self) -> bytes | None:
        """See SecureSlot.read. Raises SlotError; NotPlainError and NotOwnerError, which mean no damage."""
        tries = 0
        # In place of a folder or pipe the keys are gone; behind a dangling link they may be whole.
        if self._path.is_symlink() or self._path.is_file():
            files.demand_own(self._path, home=self._home)
        while True:
            try:
                return self._file.read()
            except HardwareError as error:
                tries += 1  # a passing error must not cost a log's keys
                if tries == READ_TRIES:
                    of_card = any(map(files.is_of_card, causes_of(error)))  # the file may be whole
                    cure = f"try again; {files.CARD_FAILS}" if of_card else slot.CURE
                    raise SlotError(str(error), where=self.uri, cure=cure) from None
            time.sleep(READ_AGAIN_S)

    def write(self, content: bytes) -> None:
        """See SecureSlot.write."""
        self._file.write(content)


def _slot_at(uri: str, home: Home) -> SecureSlot:
    found = open_slot(uri, home.folder)
    return found if slot.anchors(found.uri) else _SlotOnCard(found, home)


def slot_of(home: Path) -> SecureSlot:
    """The slot that the home's slot.uri names. Raises LedgerError, HardwareError."""
    paths = Home(home)
    if not paths.slot_uri.exists() and not SyncFolder.of(home).is_member():
        paths.need()
    uri = _slot_uri_of(paths)
    try:
        return _slot_at(uri, paths)
    except NoSuchSlotError as error:  # a truncated or foreign line
        raise LedgerError(str(error), where=str(paths.slot_uri), cure=SLOT_CURE) from None


def _slot_uri_of(home: Home) -> str:
    """The line of the home's slot.uri. If that is missing, closed to this user, truncated or of another kind,
    the slot whose content names this home's log. Raises LedgerError.
    """
    try:
        uri = home.read_slot_uri()
    except LedgerError:
        fits = _fitting_slot(home)
        if fits is None:
            raise
        return fits
    return (_fitting_slot(home) or uri) if _leads_nowhere(uri, home) else uri


def _leads_nowhere(uri: str, home: Home) -> bool:
    """Whether a line is only the beginning of a usual one, or names no slot or a missing file. A chip that
    does not answer is no reason to use another slot.
    """
    if any(usual.startswith(uri) and usual != uri for usual in USUAL_SLOTS):
        return True
    scheme, _, name = uri.partition(":")
    try:
        open_slot(uri, home.folder)
    except NoSuchSlotError:
        return True
    except HardwareError:
        return False
    return scheme == "file" and not os.path.lexists(home.folder / name)


def _fitting_slot(home: Home) -> str | None:
    """The slot that names this home's log: a chip's usual one, another one of the chip, or a file of the
    home; else None. The chip comes first: see USUAL_SLOTS.
    """
    in_chip, in_files = ([uri for uri in USUAL_SLOTS if slot.anchors(uri) is chip] for chip in (True, False))
    files_here = [f"file:{name}" for name in home.file_slots() if not name.endswith(".new")]
    candidates = itertools.chain(in_chip, _others_of_chip(), in_files, files_here)
    return next((uri for uri in candidates if _names_log(uri, home)), None)


def _others_of_chip() -> Iterator[str]:
    """The chip's other slots, searched only if the usual one does not fit; none if no chip answers."""
    with contextlib.suppress(HardwareError):
        yield from slots_of_chip()


def _names_log(uri: str, home: Home) -> bool:
    """Whether a slot exists and belongs to this home's log, by its log.pub or its first record."""
    try:
        content = slot.load_slot(_slot_at(uri, home))
        return opening.is_log_of(home, content)
    except (LedgerError, HardwareError):
        return False


def create_ledger(home: Path, *, slot_uri: str = DEFAULT_SLOT, clock: Clock | None = None) -> Ledger:
    """Create the ledger of a new home. Raises LedgerError, SlotError, HardwareError."""
    return Ledger.create(home, open_slot(slot_uri, Home(home).folder), clock or SystemClock())


def replace_ledger(home: Path) -> Path:
    """Set a ledger aside and create a new one in the same slot; returns the path of the old one.

    For a unit without a department; an enrolled one does it without a command. Raises LedgerError,
    UsageError; OSError if the new one exists but an old key could not be destroyed, which each start retries.
    """
    if SyncFolder.of(home).is_member():
        raise UsageError("this unit belongs to a department: reader run itself replaces a damaged ledger")
    if _is_whole(home):
        raise UsageError(
            f"{home}: its ledger is whole; setting it aside would lose the keys to its reads, so nothing was "
            "done (for another unit, name another folder with --home)"
        )
    fresh = _slot_again(Home(home))
    aside = opening.set_aside(Home(home))
    store = opening.create(
        Home(home), fresh, SystemClock(), reason=f"the ledger before it is in {aside.name}"
    )
    with Ledger(store) as ledger:
        ledger.standing.make_demo()
    opening.erase_keys_aside(Home(home))
    return aside


def _slot_again(home: Home) -> SecureSlot:
    """The slot of the current ledger: one that names its log, else the usual file. In another slot, the old
    log's key would stay in its chip forever. Raises LedgerError, HardwareError.
    """
    try:
        uri = _slot_uri_of(home)
    except LedgerError:
        uri = DEFAULT_SLOT
    try:
        return open_slot(uri, home.folder)
    except NoSuchSlotError as error:
        raise LedgerError(str(error), where=str(home.slot_uri), cure=SLOT_CURE) from None


def _is_whole(home: Path) -> bool:
    """Whether the home's ledger opens. Raises the errors that mean no damage: HomeLockedError,
    StoreFullError, CardFailedError, NotPlainError, NotOwnerError, NewerLedgerError, HardwareError.
    """
    try:
        open_ledger(home).close()
    except NO_DAMAGE:
        raise
    except StorageError as error:
        shown = settled(error)  # a failed read of the card must not cost a log's keys
        if shown is not error:
            raise shown from error
        if not isinstance(error, DamagedError) and not is_confirmed(error, Home(home).database):
            raise
        return False
    return True


def open_ledger(home: Path, *, clock: Clock | None = None) -> Ledger:
    """Open a home's ledger as its only writer. Raises HomeLockedError, RolledBackError, LedgerError."""
    return Ledger.open(home, slot_of(home), clock or SystemClock())


def retry_while_locked(
    work: Callable[[], Result],
    *,
    patience_s: float = LOCK_PATIENCE_S,
    ended: Callable[[], bool] = lambda: False,
) -> Result:
    """Do work that needs the home for itself; retries for patience_s while the home is locked.

    A command that looks something up holds the home for a moment, and must not stop a reader from starting.
    ended: whether a person has asked for the end, which ends the retries. Raises HomeLockedError.
    """
    until_s = time.monotonic() + patience_s
    while True:
        try:
            return work()
        except HomeLockedError:
            if ended() or time.monotonic() >= until_s:
                raise
        time.sleep(0.05)


def open_or_roll_over(home: Path, *, clock: Clock | None = None, on_new_log: Callable[[str], None]) -> Ledger:
    """Open like `open_ledger`; on an enrolled unit, a new log replaces one that contradicts an anchor.

    on_new_log: called with the reason for a new log.
    """
    folder = SyncFolder.of(home)
    here = Home(home).exists() or Home(home).is_rest()
    left = None if here or not folder.is_member() else last_set_aside(folder)
    held = slot_of(home if left is None else left.root)
    if left is not None and not slot.anchors(held.uri):
        held = _slot_at(held.uri, Home(home))  # the new log's own file
    return rollover.open_or_roll_over(home, held, clock or SystemClock(), folder, on_new_log=on_new_log)


class _ChipOfUnit:
    """The chip for the sync room: turns its failures into that room's errors."""

    def __init__(self, chip: UnitChip) -> None:
        self._chip = chip

    def public_der(self) -> bytes:
        return self._asked(self._chip.public_der)

    def sign(self, data: bytes) -> bytes:
        return self._asked(lambda: self._chip.sign(data))

    def seal(self, secret: bytes) -> bytes:
        return self._asked(lambda: self._chip.seal(secret))

    def unseal(self, sealed: bytes) -> bytes:
        return self._asked(lambda: self._chip.unseal(sealed))

    @staticmethod
    def _asked(call: Callable[[], bytes]) -> bytes:
        try:
            return call()
        except HardwareError as error:
            raise UnitKeyError(str(error), where="the unit's chip") from None


def sync_folder(home: Path) -> SyncFolder:
    """HOME/sync, with the unit's keys in the chip that the home's slot names, if it names one."""
    paths = Home(home)
    if os.path.lexists(paths.slot_uri):
        return folder_with_chip(home, _slot_uri_of(paths))
    uri = _fitting_slot(paths) if paths.exists() else None
    return SyncFolder.of(home) if uri is None else folder_with_chip(home, uri)


def folder_with_chip(home: Path, slot_uri: str) -> SyncFolder:
    """HOME/sync, with the unit's keys in the chip of this slot, if it has one. Raises HardwareError."""
    chip = open_chip(slot_uri)
    return SyncFolder.of(home, None if chip is None else _ChipOfUnit(chip))


Operation: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]


def serve_door(ledger: Ledger, more: Mapping[str, Operation] | None = None) -> DoorServer:
    """A context manager in which other commands can ask this process, which holds the home.

    more: further operations for the home's own user, by name.
    """

    def unserved(error: OSError) -> None:  # the unit reads, purges and syncs without a door
        log_events.error("door_not_served", reason=str(error))

    return DoorServer(door_of(ledger, more), ledger.store.home, unserved=unserved)


def joining(join: Callable[[str], str]) -> Mapping[str, Operation]:
    """The operation that joins the department of a code; it answers with a line about the outcome."""

    def enroll(body: dict[str, Any]) -> dict[str, Any]:
        try:
            return {"said": join(str(body["code"]))}
        except SyncError as error:
            raise LedgerError(str(error), where="enrollment") from None

    return {"enroll": enroll}


class _WiderDoor(Door):
    """The ledger's door with added operations of other rooms."""

    def __init__(self, ledger: Ledger, more: Mapping[str, Operation]) -> None:
        super().__init__(ledger)
        self._more = more

    def answer(self, op: str, body: dict[str, Any]) -> dict[str, Any]:
        """See Door.answer."""
        operation = self._more.get(op)
        return super().answer(op, body) if operation is None else operation(body)


def door_of(ledger: Ledger, more: Mapping[str, Operation] | None) -> Door:
    """The ledger's door; its evidence packages include what the models' cards say about their errors."""
    return _WiderDoor(ledger, more or {})


def custody_of(ledger: Ledger, folder: SyncFolder) -> Custody:
    """The health report's figures about storage and sync."""
    status = ledger.status()
    return custody_by({name: getattr(status, name) for name in type(status).__slots__}, folder)


def custody_by(status: Mapping[str, Any], folder: SyncFolder) -> Custody:
    """The same figures from the door's answer to `status`, if another process holds the ledger.

    On an enrolled unit, the count of waiting records is that after the last scheduled sync: the current one
    would reveal each hit to a technician, since a hit adds a record and is sent at once.
    """
    last = folder.status()
    succeeded, enrolled = last.get("succeeded_us"), status["enrolled"]
    newer, waiting = status["newer_than_anchors"], status["unreceived"]
    if enrolled:
        newer, waiting = last.get("left_newer", newer), last.get("left_unreceived", 0)
    sent = sent_configuration.newest(folder)
    return Custody(
        log_records=status["records"],
        newer_than_anchors=newer, unacknowledged=waiting, enrolled=enrolled,
        last_sync_us=succeeded if isinstance(succeeded, int) and succeeded > 0 else None,
        last_sync_ran_s=ran_since_success_s(last),
        enrolled_us=enrolled_us(folder), configuration_refused=sent is not None and bool(sent.refused),
        closed_log=bool(closed_logs(folder)), clock_in_doubt=bool(status["clock_alarm"]),
        purge_failed=str(status.get("purge_failed", "")),
    )  # fmt: skip


def hear_department(ledger: Ledger, clock: Clock) -> None:
    """Give the clock the time of the department's co-signature; it counts from the clock's next refresh."""
    heard = ledger.store.time.heard
    if heard is not None and isinstance(clock, DisciplinedClock):
        clock.hear(Heard(us=heard[0], running_s=heard[1] / 1e6))


def know_signed_time(ledger: Ledger, clock: Clock) -> None:
    """Give the clock the newest time of the department's receipts, to compare a receiver's date with."""
    with ledger.store.lock:
        signed_us = ledger.store.book.received.newest_us
    if signed_us is not None and isinstance(clock, DisciplinedClock):
        clock.know(signed_us)


def enrolled_us(folder: SyncFolder) -> int | None:
    """When the unit joined, by the file of its membership; None if it has not."""
    try:
        return (folder.path / "member.cbor").stat().st_mtime_ns // 1000
    except OSError:
        return None
