"""Joins a department: at a console, where earlier reads must not go along, or as the home's user."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from firmware.console.errors import UnitRefusedError
from firmware.custody.opening import sync_folder
from firmware.settings.software import software_version
from storage import purge
from storage.ledger import Ledger
from storage.record_base import KeyClass
from sync.enrollment import fetch_root, join
from sync.enrollment_code import EnrollmentCode
from sync.ledger_outbox import LedgerOutbox

_CONTENT = frozenset({KeyClass.READ, KeyClass.HIT})


def join_as_owner(home: Path, ledger: Ledger, code: str) -> str:
    """Join, and return a line that says so. Earlier reads go along. Raises SyncError, StorageError."""
    folder = sync_folder(home)
    member = join(LedgerOutbox(ledger, folder.inbox), folder, code, software=software_version()[:64])
    return f"this unit is {member.name} ({member.unit_id}) of {member.department}"


def join_at_console(home: Path, ledger: Ledger, code: str) -> str:
    """Destroy every earlier read, then join, since anyone with a cable and a code can name a department.

    Destroys nothing if the code's department does not answer. Raises SyncError, StorageError,
    UnitRefusedError.
    """
    fetch_root(EnrollmentCode.parse(code))
    destroy_reads(ledger)
    return join_as_owner(home, ledger, code)


def destroy_reads(ledger: Ledger) -> int:
    """Purge every read of a unit that is not enrolled; returns their number. Raises StorageError."""
    store = ledger.store
    with store.lock:
        if store.enrolled:
            raise UnitRefusedError("this unit is enrolled: a factory reset destroys what it holds")
        purge.settle(store)
        held = [item for item in ledger.retention_plan() if item.key_class is KeyClass.HOLD and item.records]
        if held:
            raise UnitRefusedError("this unit holds evidence (463.8): export and release it first")
        gone = tuple(
            replace(item.purged(), reason="stored before the unit was enrolled")
            for item in ledger.retention_plan()
            if item.key_class in _CONTENT
        )
        if not gone:
            return 0
        epochs = [one.epoch for one in gone]
        store.end_running(epochs)
        ledger.standing.carry_over(epochs)
        purge.carry_out(store, gone, by="the enrollment at the console")
        return sum(one.records for one in gone)
