"""A unit of a department after a few days of work, its chip, and what an attacker does to a copy of it."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from custody_twins import DAY_US, Department, SteppedTime, add_reads, check

from hw.secure_slot import LoopbackSlot
from storage.audit_records import Gap
from storage.findings import UnitReport
from storage.ledger import Ledger
from storage.record_base import KeyClass
from storage.store import UnitStore

SQL = Callable[[sqlite3.Connection], object]


class Unit:
    """A unit of a department after a few days of work, its chip, and its attacker."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home, self.chip = folder, folder / "home", LoopbackSlot(folder / "chip")
        self.department, self.time = Department(), SteppedTime()

    def live(self) -> None:
        ledger = Ledger.create(self.home, self.chip, self.time, boot=self.time.boot)
        add_reads(ledger, self.time, 2)
        self.department.enroll(ledger)
        add_reads(ledger, self.time, 3)
        add_reads(ledger, self.time, 1, hit=True)
        self.department.cosign(ledger)
        self.department.receipt(ledger, 0, 3)
        with ledger.store.adding():
            for number in range(260):
                ledger.append(Gap(reason="test", from_us=number, to_us=number, lost=0))
        ledger.close()

    def open(self) -> Ledger:
        return Ledger.open(self.home, self.chip, self.time, boot=self.time.boot)

    def check(self, *, slot: bool = True) -> UnitReport:
        return check(self.home, self.chip if slot else None, self.department.note_key)

    def sql(self, attack: SQL) -> None:
        database = sqlite3.connect(self.home / "store" / "ledger.sqlite3")
        with database:
            attack(database)
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.close()


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Unit:
    unit = Unit(tmp_path_factory.mktemp("original"))
    unit.live()
    report = unit.check()
    assert report.ok, report.findings
    assert report.notes == []
    return unit


@pytest.fixture
def unit(original: Unit, tmp_path: Path) -> Unit:
    """A fresh copy for each attack; its slot.uri names the copied chip."""
    shutil.copytree(original.folder, tmp_path / "unit")
    copy = Unit(tmp_path / "unit")
    copy.department = original.department
    copy.time.clock.step(original.time.now().us - copy.time.now().us)
    copy.time.boot_us = original.time.boot_us
    return copy


def said(report: UnitReport) -> list[str]:
    return [f"{one.where}: {one.what}" for one in report.findings]


def epoch_of(store: UnitStore, key_class: KeyClass, *, purged: bool = False, last: bool = False) -> int:
    found = [
        one.epoch
        for one in store.book.epochs.values()
        if one.key_class is key_class and (one.purged_by is not None) == purged
    ]
    return found[-1 if last else 0]


def purge_a_year_later(ledger: Ledger, time: SteppedTime) -> None:
    """Run the clock for 366 days and purge what is due."""
    for _ in range(366):
        time.run(DAY_US)
        ledger.store.time.now()
    assert ledger.apply_retention(by="test") is not None
