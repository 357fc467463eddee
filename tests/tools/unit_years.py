"""Lives one unit through years by its own clock, and prints what a start and a purge plan cost then.

    python -m tests.tools.unit_years --years 5

Each day brings reads, a receipt of the department for each conversation, and the care that purges what is
due; the unit restarts each month. The log is verified at the end. Prints a line per year: records, the
seconds of CPU time that a start takes, the same without the snapshot of the book, and the milliseconds of the
purge plan. `--receipts` adds so many receipts at once instead, and measures only the starts.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "twins"))

from custody_twins import SteppedTime, add_reads

from hw.secure_slot import LoopbackSlot
from storage.home import Home
from storage.ledger import Ledger
from storage.log_records import UploadReceipt
from storage.times import DAY_US
from storage.verify import verify_home

YEAR_DAYS = 365


@dataclass(frozen=True, slots=True, kw_only=True)
class YearEnd:
    """The figures of a unit after ``day`` days."""

    day: int
    records: int
    receipts: int
    purges: int
    start_s: float
    cold_s: float
    plan_ms: float


class AgingUnit:
    """One unit in a folder."""

    def __init__(self, folder: Path) -> None:
        self.home, self._slot, self._time = folder / "home", LoopbackSlot(folder / "slot"), SteppedTime()
        self.ledger = Ledger.create(self.home, self._slot, self._time, boot=self._time.boot)
        self._sent = self.receipts = self.purges = 0

    def live(self, reads: int, conversations: int) -> None:
        """Live one day."""
        for number in range(conversations):
            add_reads(self.ledger, self._time, reads // conversations + (number < reads % conversations))
            self._time.run(DAY_US // conversations)
            self._take_receipt()
            self.purges += self.ledger.tend() is not None

    def restart(self, *, cold: bool = False) -> float:
        """Close and open the ledger; returns the seconds of CPU time that the opening took.

        `cold`: without the snapshot, from every record.
        """
        self.ledger.close()
        if cold:
            Home(self.home).book_snapshot.unlink(missing_ok=True)
        begun = time.process_time()
        self.ledger = Ledger.open(self.home, self._slot, self._time, boot=self._time.boot)
        return time.process_time() - begun

    def end_of_year(self, day: int) -> YearEnd:
        """Measure the starts and the purge plan."""
        cold_s, start_s = self.restart(cold=True), self.restart()
        begun = time.process_time()
        self.ledger.retention_plan()
        return YearEnd(
            day=day,
            records=self.ledger.store.log.size(),
            receipts=self.receipts,
            purges=self.purges,
            start_s=start_s,
            cold_s=cold_s,
            plan_ms=(time.process_time() - begun) * 1000,
        )

    def fill(self, receipts: int) -> None:
        """Add receipts, a thousand in a transaction."""
        for first in range(0, receipts, 1000):
            with self.ledger.store.adding():
                for _ in range(min(1000, receipts - first)):
                    self._take_receipt()

    def _take_receipt(self) -> None:
        store = self.ledger.store
        size = store.next_sequence()
        with store.adding():
            store.add_open(
                UploadReceipt(
                    receipt=bytes(300), ranges=((self._sent, size - 1),), received_us=self._time.now().us
                )
            )
        self._sent, self.receipts = size, self.receipts + 1


def age(folder: Path, days: int, *, reads: int = 4, conversations: int = 4) -> Iterator[YearEnd]:
    """Live ``days`` days; yields figures each year and at the end. Raises AssertionError for a wrong log."""
    unit = AgingUnit(folder)
    for day in range(1, days + 1):
        unit.live(reads, conversations)
        if day % YEAR_DAYS == 0 or day == days:
            yield unit.end_of_year(day)
        elif day % 30 == 0:
            unit.restart()
    unit.ledger.close()
    report = verify_home(Home(unit.home))
    assert report.ok, report.findings


def main(argv: list[str] | None = None) -> int:
    """Print a line per year."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.tools.unit_years",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--years", type=int, default=5, help="how long (default 5)")
    parser.add_argument("--conversations", type=int, default=4, help="with the department, a day (default 4)")
    parser.add_argument("--receipts", type=int, default=0, help="only so many receipts, and two starts")
    given = parser.parse_args(argv)
    if given.receipts:
        with tempfile.TemporaryDirectory(prefix="unit-years-") as folder:
            unit = AgingUnit(Path(folder))
            unit.fill(given.receipts)
            one = unit.end_of_year(0)
            unit.ledger.close()
        print(
            f"{one.receipts} receipts: a start takes {one.start_s:.2f} s, by every record {one.cold_s:.2f} s"
        )
        return 0
    heads = f"{'day':>5} {'records':>8} {'receipts':>8} {'purges':>6}"
    print(f"{heads} {'start, s':>9} {'cold, s':>9} {'plan, ms':>9}")
    with tempfile.TemporaryDirectory(prefix="unit-years-") as folder:
        for one in age(Path(folder), given.years * YEAR_DAYS, conversations=given.conversations):
            print(
                f"{one.day:>5} {one.records:>8} {one.receipts:>8} {one.purges:>6} {one.start_s:>9.2f} "
                f"{one.cold_s:>9.2f} {one.plan_ms:>9.1f}",
                flush=True,
            )
    print("the log verifies")
    return 0


if __name__ == "__main__":
    sys.exit(main())
