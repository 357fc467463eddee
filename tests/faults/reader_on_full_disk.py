"""A reader that starts on a disk without room for a record; run as root in a separate mount namespace.

    unshare -m python reader_on_full_disk.py FOLDER

Prints one JSON line: what it said about the full disk, what it announced once there was room, and its gaps.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from reader_process import TWO_CARS, Running

from firmware.custody.opening import open_ledger
from firmware.run.prepared_home import prepare_home
from storage.audit_records import Gap
from storage.home import Home
from storage.verify import verify_home

DISK, SPARE_BYTES = "48m", 48 << 10


def fill(path: Path) -> None:
    """Take all room but what SQLite needs to open its files, so that it can write nothing."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        while os.write(descriptor, bytes(4096)):
            pass
    except OSError:
        os.ftruncate(descriptor, os.fstat(descriptor).st_size - SPARE_BYTES)
    finally:
        os.close(descriptor)


def main() -> None:
    folder = Path(sys.argv[1])
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)], check=True)
    home, ballast = folder / "home", folder / "ballast"
    prepare_home(home)
    fill(ballast)
    running = Running(home, "--source", str(TWO_CARS), "--pace", "fast")
    assert running.process.stderr is not None
    events: list[str] = []
    for line in running.process.stderr:
        events += [json.loads(line)["event"]] if line.startswith("{") else []
        if "store_full" in events:
            break
    ballast.unlink()
    running.until_reads(2)
    status = running.end(signal.SIGTERM)
    with open_ledger(home) as ledger:
        numbers = [n for n in range(ledger.status().records) if ledger.store.leaf(n).kind == Gap.KIND]
        gaps = [ledger.store.record(n) for n in numbers]
    facts = {
        "events": events,
        "announced": len(running.announced),
        "lost": [gap.lost for gap in gaps if isinstance(gap, Gap)],
        "status": status,
        "verified": verify_home(Home(home)).ok,
    }
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
