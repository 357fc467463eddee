"""Writes a home and prints what it announces; the fault tests run it under strace, or kill it.

    python storage_writer.py HOME CHIP READS [--together N] [--hits] [--purge] [--without SYNC]

Each line on stdout is an announcement: `read <sequence>` once append_read returned, `purged <epoch>...`
once a receipt was printed. `--without` takes one sync (images, names, database) out of the code, to show
that the test would notice.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from custody_twins import SteppedTime, make_read

from hw.secure_slot import LoopbackSlot
from storage import files, schema
from storage.home import Home
from storage.ledger import Ledger, NewRead
from storage.read_records import Alert
from storage.times import DAY_US


def say(line: str) -> None:
    os.write(1, line.encode() + b"\n")


def take_out(what: str) -> None:
    """Remove one sync."""
    if what == "images and names":
        files.sync_system = lambda descriptor: None
    elif what == "images":  # as on a kernel without syncfs
        files._SYNCFS = False
        files.sync_file = lambda descriptor: None
    elif what == "names":
        files._SYNCFS = False
        files.sync_dir = lambda path: None
    elif what == "database":
        connect = schema.connect

        def careless(path: Path, *, readonly: bool = False) -> object:
            database = connect(path, readonly=readonly)
            database.conn.execute("PRAGMA synchronous=OFF")
            return database

        schema.connect = careless  # type: ignore[assignment]


def make_alert(read: int) -> Alert:
    return Alert(
        read=read, list_id="svs", list_version=1, source="SVS", entry=b"", category="stolen-vehicle",
        score=1.0, twin=False, disagrees=(), silent=(), stale=False, at_us=1,
    )  # fmt: skip


def main() -> None:
    home, chip, count = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    options = sys.argv[4:]
    if "--without" in options:
        take_out(options[options.index("--without") + 1])
    together = int(options[options.index("--together") + 1]) if "--together" in options else 1
    time, slot = SteppedTime(), LoopbackSlot(chip)
    if Home(home).exists():
        ledger = Ledger.open(home, slot, time, boot=time.boot)
    else:
        ledger = Ledger.create(home, slot, time, boot=time.boot)
        say("made")
    number = 0
    while number < count or count == 0:
        time.run(60_000_000)
        images = [os.urandom(700) + bytes(4) for _ in range(together)]
        new = [NewRead(read=make_read(time.now().us), patch=one[:300], overview=one) for one in images]
        if together > 1:
            refs = ledger.append_reads(new)
        elif "--hits" in options:
            numbers = ledger.append_hit(new[0], lambda read: [make_alert(read)])
            say(f"read {numbers[0]}")
            refs = []
        else:
            refs = [ledger.append_read(one.read, patch=one.patch, overview=one.overview) for one in new]
        for ref in refs:
            say(f"read {ref.sequence}")
        number += 1
        if "--purge" in options and number == count // 2:
            for _ in range(366):
                time.run(DAY_US)
                ledger.store.time.now()
            receipt = ledger.apply_retention(by="fault test")
            if receipt is not None:
                say("purged " + " ".join(str(one.epoch) for one in receipt.record.epochs))
    ledger.close()
    say("closed")


if __name__ == "__main__":
    main()
