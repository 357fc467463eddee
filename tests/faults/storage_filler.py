"""Fills a tiny disk at every write point: run as root in a mount namespace of its own.

    unshare -m python storage_filler.py FOLDER STEPS

Prints one line a step: `ok <reads> <whether images had to go> <records>`; any other line is a failure.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from custody_twins import SteppedTime, check, make_read

from hw.secure_slot import LoopbackSlot
from storage.errors import StoreFullError
from storage.ledger import Ledger

DISK_KB, STEP_BYTES = 6144, 9973


def fill(ballast: Path, leave: int, folder: Path) -> None:
    """Take all of the disk but about `leave` bytes."""
    import shutil

    free = shutil.disk_usage(folder).free
    with ballast.open("wb") as file:
        file.write(bytes(max(0, free - leave)))


def main() -> None:
    folder, steps = Path(sys.argv[1]), int(sys.argv[2])
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_KB}k", "tmpfs", str(folder)], check=True)
    time, slot = SteppedTime(), LoopbackSlot(folder.parent / "chip")
    ledger = Ledger.create(folder / "home", slot, time, boot=time.boot)
    ledger.free_bytes = lambda: 1 << 40  # the early warning is off: the disk itself must say no
    stored: list[int] = []
    image = bytes(range(256)) * 240
    for step in range(steps):
        ballast = folder / "ballast"
        fill(ballast, 4096 + step * STEP_BYTES % 200_000, folder)
        count, complete = 0, True
        while count < 30:
            time.run(1_000_000)
            try:
                ref = ledger.append_read(make_read(time.now().us), patch=image[:900], overview=image)
            except StoreFullError:
                break
            stored.append(ref.sequence)
            complete = complete and len(ledger.store.leaf(ref.sequence).elements) == 4
            count += 1
        for sequence in stored:
            ledger.read(sequence)
        report = check(folder / "home", slot)
        print(
            "ok" if report.ok and count < 30 else f"BAD {report.findings}", count, not complete, len(stored)
        )
        ballast.unlink()
        if step % 10 == 9:  # a restart on the recovered disk
            ledger.close()
            ledger = Ledger.open(folder / "home", slot, time, boot=time.boot)
            ledger.free_bytes = lambda: 1 << 40
        ledger.store.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


if __name__ == "__main__":
    main()
