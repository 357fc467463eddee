"""A card without a free byte: run as root in a mount namespace of its own.

    unshare -m python storage_reserve.py FOLDER

The home has its reserve, and a read that is due for purging, when the last byte of the disk is taken.
Prints one JSON line: what was done with the disk as full as that, and whether the reserve came back.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from custody_twins import check
from storage_filler import Bench

from storage.times import DAY_US

DISK = "40m"


def take_all(path: Path) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        while os.write(descriptor, bytes(4096)):
            pass
    except OSError:
        pass
    finally:
        os.close(descriptor)


def main() -> None:
    folder = Path(sys.argv[1])
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)], check=True)
    bench = Bench(folder)
    reserve, ballast = bench.home / "reserve", folder / "ballast"
    done = {"reserve": reserve.exists()}
    for _ in range(366):
        bench.time.run(DAY_US)
        bench.ledger.store.time.now()
    take_all(ballast)  # with the ledger open
    bench.gap()
    done["spent"] = not reserve.exists()
    ballast.unlink()
    bench.restart()
    take_all(ballast)
    bench.restart()  # and with the ledger closed
    bench.gap()
    bench.time.run(DAY_US)
    bench.gap()  # an append tends
    done["purged"] = bench.ledger.store.book.turned_us is not None
    ballast.unlink()
    bench.restart()
    done["again"] = reserve.exists()
    done["whole"] = check(bench.home, bench.slot).ok
    print(json.dumps(done))


if __name__ == "__main__":
    main()
