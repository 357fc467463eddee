"""Fills a tiny disk at every write point; run as root in a separate mount namespace.

    unshare -m python storage_filler.py FOLDER STEPS

At each step the disk has slightly less or more room than the work takes: reads until one is refused, then
a lookup, a hold, a gap and a purge. Prints one line per step: `ok <what happened>`; any other line is a
failure. An action that found no room must have left nothing behind, and must work once there is room.

    unshare -m python storage_filler.py FOLDER reserve

The home has its reserve, and a read that is due for purging, when the last byte of the disk is taken.
Prints one JSON line: what was done with the disk that full, and whether the reserve came back.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

from custody_twins import SteppedTime, ask_signed, check, make_read, query_body

from hw.secure_slot import LoopbackSlot
from storage.audit_records import Gap
from storage.door import Door, hold_subject
from storage.errors import StorageError, StoreFullError
from storage.ledger import Ledger
from storage.times import DAY_US

DISK_KB, STEP_BYTES, SPAN_BYTES = 8192, 9973, 200_000
ROOMY_KB = 40 << 10  # the reserve is made only if reads still have room beside it
STEPS_A_HOME, MOST_READS = 10, 1000
IMAGE = bytes(range(256)) * 240


class Bench:
    """One home on the tiny disk, and what it announced."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder, folder / "home"
        self.time, self.slot = SteppedTime(), LoopbackSlot(folder.parent / "chip")
        (folder.parent / "chip").unlink(missing_ok=True)
        shutil.rmtree(self.home, ignore_errors=True)
        self.stored: list[int] = []
        self.start(Ledger.create(self.home, self.slot, self.time, boot=self.time.boot))
        self.read()

    def start(self, ledger: Ledger) -> None:
        self.ledger, self.door = ledger, Door(ledger, boot=self.time.boot)
        ledger.free_bytes = lambda: 1 << 40  # no early warning: the disk itself must refuse

    def restart(self) -> None:
        self.ledger.close()
        self.start(Ledger.open(self.home, self.slot, self.time, boot=self.time.boot))

    def fill(self, leave: int) -> None:
        """Fill the disk except for about `leave` bytes."""
        with (self.folder / "ballast").open("wb") as file:
            file.write(bytes(max(0, shutil.disk_usage(self.folder).free - leave)))

    def read(self) -> bool:
        """Store a read. Returns whether all of its images found room."""
        self.time.run(1_000_000)
        ref = self.ledger.append_read(make_read(self.time.now().us), patch=IMAGE[:900], overview=IMAGE)
        self.stored.append(ref.sequence)
        return len(self.ledger.store.leaf(ref.sequence).elements) == 4

    def query(self) -> None:
        answer = self.door.answer("query", query_body(self.door, self.ledger))
        assert len(answer["reads"]) == len(self.stored)

    def hold(self) -> None:
        order = (tuple(self.stored[-1:]), "discovery", "Superior Court", "BC-1")
        body = ask_signed(self.door, self.ledger, "demo-admin", "administrator", "hold", hold_subject(*order))
        fields = {"records": list(order[0]), "ground": order[1], "authority": order[2], "number": order[3]}
        self.door.answer("hold", body | fields)

    def gap(self) -> None:
        self.ledger.append(Gap(reason="store full", from_us=1, to_us=2, lost=1))

    def check(self) -> str:
        """What is wrong, or an empty text."""
        for sequence in self.stored:
            self.ledger.read(sequence)
        report = check(self.home, self.slot)
        return "" if report.ok else f"BAD {report.findings}"


def step(bench: Bench, number: int) -> str:
    """Try one fill level. Returns what happened."""
    bench.fill(4096 + number * STEP_BYTES % SPAN_BYTES)
    count, complete, refused = 0, True, []
    while count < MOST_READS:
        try:
            complete = bench.read() and complete
        except StoreFullError:
            break
        count += 1
    bench.fill(number * STEP_BYTES % SPAN_BYTES // 4)
    for name in ("gap", "query", "hold"):
        try:
            getattr(bench, name)()
        except StoreFullError:
            refused.append(name)
    problem = bench.check()
    (bench.folder / "ballast").unlink()
    for name in refused:  # with room again, what was refused works
        getattr(bench, name)()
    problem = problem or bench.check()
    if problem or count == MOST_READS:
        return problem or "BAD no read was refused"
    return f"ok {count} {'complete' if complete else 'without-images'} {' '.join(refused)}"


def purge(bench: Bench, number: int) -> str:
    """Purge on a full disk, which may find no room and say so, but then works once there is room."""
    for _ in range(366):
        bench.time.run(DAY_US)
        bench.ledger.store.time.now()
    bench.fill(number * STEP_BYTES % SPAN_BYTES // 2)
    said = "purged"
    try:
        bench.ledger.apply_retention(by="fault test")
    except StorageError as error:
        if not isinstance(error, StoreFullError):
            return f"BAD {error!r}"
        said = "purge-refused"
    (bench.folder / "ballast").unlink()
    bench.restart()
    bench.time.run(DAY_US)
    bench.ledger.apply_retention(by="fault test")
    gone = [one for one in bench.stored if bench.ledger.store.book.gone(bench.ledger.store.leaf(one).epoch)]
    report = check(bench.home, bench.slot)
    if not report.ok or gone != bench.stored:
        return f"BAD purge: {len(gone)} of {len(bench.stored)} gone, {report.findings}"
    return said


def without_a_byte(folder: Path) -> dict[str, bool]:
    """What works at a home whose disk is full to the last byte, while it is open and while it is closed."""
    bench, ballast = Bench(folder), folder / "ballast"
    reserve = bench.home / "reserve"
    done = {"reserve": reserve.exists()}
    for _ in range(366):
        bench.time.run(DAY_US)
        bench.ledger.store.time.now()
    take_all(ballast)
    bench.gap()
    done["spent"] = not reserve.exists()
    ballast.unlink()
    bench.restart()
    take_all(ballast)
    bench.restart()
    bench.gap()
    bench.time.run(DAY_US)
    bench.gap()  # an append tends
    done["purged"] = bench.ledger.store.book.turned_us is not None
    ballast.unlink()
    bench.restart()
    return done | {"again": reserve.exists(), "whole": check(bench.home, bench.slot).ok}


def take_all(path: Path) -> None:
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass


def mount(folder: Path, size_kb: int) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_kb}k", "tmpfs", str(folder)], check=True)


def main() -> None:
    folder = Path(sys.argv[1])
    if sys.argv[2] == "reserve":
        mount(folder, ROOMY_KB)
        print(json.dumps(without_a_byte(folder)))
        return
    steps = int(sys.argv[2])
    mount(folder, DISK_KB)
    bench = Bench(folder)
    for number in range(steps):
        line = step(bench, number)
        if number % STEPS_A_HOME == STEPS_A_HOME - 1:
            line += " " + purge(bench, number)
            bench.ledger.close()
            bench = Bench(folder)
        print(line, flush=True)
    bench.ledger.close()


if __name__ == "__main__":
    main()
