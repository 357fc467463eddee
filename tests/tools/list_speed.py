"""Look-ups in a hot list of a million entries: python -m tests.tools.list_speed."""

from __future__ import annotations

import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from storage.hot_list_file import HotListFile, list_key, write_list
from sync.hot_lists.entry import Entry

ENTRIES, LOOKUPS = 1_000_000, 200_000
LETTERS, DIGITS = "ABCDEFGHJKLMNPRSTUVWXYZ", "0123456789"


def entries(rng: random.Random) -> Iterator[tuple[int, bytes]]:
    """Plates of the Californian form."""
    for number in range(ENTRIES):
        plate = rng.choice(DIGITS) + "".join(rng.choices(LETTERS, k=3)) + "".join(rng.choices(DIGITS, k=3))
        case = f"26-{number:06}"
        made = Entry(plate=plate, category="stolen-vehicle", state="US-CA", make="TOYT", case=case)
        yield made.key, made.to_bytes()


def resident_mb() -> float:
    """The memory that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def main() -> int:
    """Write a list in a child's stead, open it, look plates up."""
    rng = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "doj.list"
        if len(sys.argv) > 1:
            return _look_up(Path(sys.argv[1]), rng)
        write_list(path, list_key(bytes(32)), "doj", {}, entries(rng))
        again = [sys.executable, "-m", "tests.tools.list_speed", str(path)]
        return subprocess.run(again, check=False).returncode


def _look_up(path: Path, rng: random.Random) -> int:
    before = resident_mb()
    started = time.process_time()
    held = HotListFile(path, list_key(bytes(32)), "doj")
    loaded = time.process_time() - started
    spent = []
    for key in (rng.randrange(35**7) for _ in range(LOOKUPS)):
        at = time.perf_counter_ns()
        held.find(key)
        spent.append(time.perf_counter_ns() - at)
    spent.sort()
    print(f"{held.count:,} entries, {path.stat().st_size / 1e6:.0f} MB; loaded in {loaded:.2f} s of CPU")
    middle, last = spent[LOOKUPS // 2] / 1e3, spent[LOOKUPS * 99 // 100] / 1e3
    print(f"median {middle:.1f} us, 99th percentile {last:.1f} us")
    print(f"memory {before:.0f} to {resident_mb():.0f} MB")
    held.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
