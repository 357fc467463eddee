"""Opens a home's ledger with the slot that the home names; the only place where ledger meets slot."""

from __future__ import annotations

from pathlib import Path

from hw.clock import Clock, SystemClock
from hw.secure_slot import SecureSlot, open_slot
from storage.door import Door
from storage.home import Home
from storage.ledger import Ledger
from storage.socket_door import DoorServer

DEFAULT_SLOT = "file:slot"


def slot_of(home: Path) -> SecureSlot:
    """The slot that the home's slot.uri names. Raises LedgerError, HardwareError."""
    paths = Home(home)
    paths.need()
    return open_slot(paths.slot_uri.read_text(encoding="utf-8"), paths.folder)


def create_ledger(home: Path, *, slot_uri: str = DEFAULT_SLOT, clock: Clock | None = None) -> Ledger:
    """Make the ledger of a new home. Raises LedgerError, SlotError, HardwareError."""
    slot = open_slot(slot_uri, Home(home).folder)
    return Ledger.create(home, slot, clock or SystemClock())


def open_ledger(home: Path, *, clock: Clock | None = None) -> Ledger:
    """Open a home's ledger as its one writer. Raises HomeLockedError, RolledBackError, LedgerError."""
    return Ledger.open(home, slot_of(home), clock or SystemClock())


def serve_door(ledger: Ledger) -> DoorServer:
    """For `with`: other commands can ask this process while it holds the home."""
    return DoorServer(Door(ledger), ledger.store.home)
