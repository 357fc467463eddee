"""Times lookups in a hot list of a million entries, and its next version: python -m tests.tools.list_speed.

Each runs in its own process, so that its memory can be measured separately.
"""

from __future__ import annotations

import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from storage.hot_list_file import Collected, HotListFile, list_key, write_list
from sync.hot_lists.document import ListDelta, ListHead, digest_of, total_digest
from sync.hot_lists.entry import ListEntry
from sync.hot_lists.rewriting import ListChanges, rewrite
from tests.tools.memory import resident_mb

ENTRIES, LOOKUPS = 1_000_000, 200_000
LETTERS, DIGITS = "ABCDEFGHJKLMNPRSTUVWXYZ", "0123456789"


def entries(rng: random.Random) -> Iterator[tuple[int, bytes]]:
    """A million plates of the Californian form, each with a digest and entry."""
    for number in range(ENTRIES):
        plate = rng.choice(DIGITS) + "".join(rng.choices(LETTERS, k=3)) + "".join(rng.choices(DIGITS, k=3))
        case = f"26-{number:06}"
        made = ListEntry(plate=plate, category="stolen-vehicle", state="US-CA", make="TOYT", case=case)
        yield made.key, made.to_bytes()


def most_mb() -> float:
    """The most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def main() -> int:
    """Write a list, then look plates up and apply its next version, each in a child process."""
    rng = random.Random(1)
    if len(sys.argv) > 2:
        path = Path(sys.argv[2])
        return _look_up(path, rng) if sys.argv[1] == "lookup" else _change(path, sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "doj.list"
        write_list(path, list_key(bytes(32)), "doj", {}, entries(rng))
        for what in ("lookup", "change", "snapshot"):
            again = [sys.executable, "-m", "tests.tools.list_speed", what, str(path)]
            subprocess.run(again, check=True)
    return 0


def _head(data: Iterable[bytes], count: int) -> ListHead:
    digest = total_digest(map(digest_of, data))
    return ListHead(
        list_id="doj", sequence=2, organization="d", issuer="DOJ", source="SVS", agency="", extracted_us=1,
        expires_us=2, count=count, digest=digest, snapshot=1, parts=1,
    )  # fmt: skip


def _change(path: Path, what: str) -> int:
    """Apply a delta that replaces 100 entries, or all entries in another order, as a snapshot sends them."""
    held = HotListFile(path, list_key(bytes(32)), "doj")
    old = [data for _, data in islice(held.entries(), 100)]
    fresh = [
        ListEntry(plate=f"9ZZZ{number:03}", category="stolen-vehicle").to_bytes() for number in range(100)
    ]
    changes = ListChanges()
    changes.then(ListDelta(list_id="doj", sequence=2, removed=tuple(map(digest_of, old)), added=tuple(fresh)))
    head = _head((data for _, data in changes.applied(held.entries())), held.count)
    before, started = most_mb(), time.process_time()
    came: Iterable[tuple[int, bytes]] = held.entries()
    if what == "snapshot":
        came = Collected(held.entries())
    rewrite(path.with_name("next.list"), list_key(bytes(32)), head, changes.applied(came))
    spent = time.process_time() - started
    print(f"{what}: {spent:.1f} s of CPU, memory {before:.0f} to {most_mb():.0f} MB at most")
    held.close()
    return 0


def _look_up(path: Path, rng: random.Random) -> int:
    before = resident_mb()
    started = time.process_time()
    held = HotListFile(path, list_key(bytes(32)), "doj")
    loaded = time.process_time() - started
    spent = []
    for key in (rng.randrange(35**7) for _ in range(LOOKUPS)):
        at = time.perf_counter_ns()
        list(held.under(key))
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
