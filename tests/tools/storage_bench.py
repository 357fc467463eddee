"""Figures of custody: sealed reads against plain SQLite inserts, times by size of store, slot writes.

    python -m tests.tools.storage_bench [--records 10000 1000000] [--images 200] [--verify] [--folder DIR]

The ledger's own append fills the large stores, with `synchronous` off and 1,000 reads in a transaction;
for every measured operation `synchronous` is full again.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from storage import codec, merkle, sealing, search, slot
from storage.ledger import Ledger
from storage.read_records import Read
from storage.record_base import ClockState, KeyClass
from storage.times import DAY_US, HOUR_US
from storage.verify import verify_home

IMAGE_BYTES = 60_000
START_US = 1_780_000_000_000_000


@dataclass
class Now:
    """A reading of the bench's clock."""

    us: int
    error_us: int = 1000
    state: str = "disciplined"


class BenchTime:
    """A clock and a boot time that the bench moves."""

    def __init__(self) -> None:
        self.us = START_US

    def now(self) -> Now:
        return Now(self.us)

    def boot(self) -> int:
        return self.us - START_US


class MemorySlot:
    """A slot in memory that counts its writes, since the bench measures no chip."""

    uri, promise = "loopback:/memory", "none: for measuring"  # of a kind that `verify` knows

    def __init__(self) -> None:
        self._content: bytes | None = None
        self.writes = 0
        self.keys: set[bytes] = set()

    def read(self) -> bytes | None:
        return self._content

    def write(self, content: bytes) -> None:
        self._content = content
        self.writes += 1
        self.keys.add(slot.SlotContent.parse(content, where=self.uri).kek)


def make_read(at_us: int, number: int) -> Read:
    """A read as the pipeline makes it; its text is the number."""
    text = f"{number:07d}"
    return Read(
        text=text,
        confidence=0.9,
        slots=bytes(37 * 4 * 7),
        candidates=((text, 0.9),),
        first_us=at_us,
        last_us=at_us,
        time_error_us=1000,
        clock_state=ClockState.DISCIPLINED,
        camera="bench",
        plate_box=(1.0, 2.0, 3.0, 4.0),
    )


def sealed_against_plain(folder: Path, count: int) -> None:
    """Compare reads with two images of 60 kB, sealed and logged, with plain inserts of the same bytes."""
    patch, overview = os.urandom(IMAGE_BYTES), os.urandom(IMAGE_BYTES)
    moments = BenchTime()
    ledger = Ledger.create(folder / "sealed", MemorySlot(), moments, boot=moments.boot)
    plain = sqlite3.connect(folder / "plain.sqlite3")
    plain.execute("PRAGMA journal_mode=WAL")
    plain.execute("PRAGMA synchronous=FULL")
    plain.execute("CREATE TABLE reads (id INTEGER PRIMARY KEY, facts BLOB, patch BLOB, overview BLOB)")

    def seal(number: int) -> None:
        ledger.append_read(make_read(moments.us + number, number), patch=patch, overview=overview)

    def insert(number: int) -> None:
        facts = codec.to_bytes(make_read(moments.us + number, number).text_part())
        with plain:
            plain.execute("INSERT INTO reads VALUES (?, ?, ?, ?)", (number, facts, patch, overview))

    seconds = {"sealed": 0.0, "plain": 0.0}
    for number in range(count):  # in turn, so that other load on the machine affects both the same
        for name, work in (("sealed", seal), ("plain", insert)):
            begun = time.perf_counter()
            work(number)
            seconds[name] += time.perf_counter() - begun
    ledger.close()
    plain.close()
    rates = {name: count / value for name, value in seconds.items()}
    print(f"reads/s with two images of {IMAGE_BYTES // 1000} kB: sealed {rates['sealed']:.0f}, ", end="")
    print(f"plain insert {rates['plain']:.0f}, ratio {rates['sealed'] / rates['plain']:.2f} ({count} each)")


def fill(ledger: Ledger, moments: BenchTime, count: int) -> None:
    """Add reads without images, a thousand in a transaction, over 100 days."""
    store = ledger.store
    store.db.execute("PRAGMA synchronous=OFF")
    done = 0
    while done < count:
        sample = make_read(moments.us, 0)
        text, place = codec.to_bytes(sample.text_part()), codec.to_bytes(sample.place_part())
        with store.adding():
            for number in range(done, min(done + 1000, count)):
                epoch = store.epoch_for(KeyClass.READ).epoch
                sequence, key = store.next_sequence(), store.live[epoch]
                parts = {"text": text.replace(sample.text.encode(), f"{number:07d}".encode()), "place": place}
                sealed = [
                    sealing.seal(key, store.log_id, sequence, sealing.fresh(name, part))
                    for name, part in parts.items()
                ]
                store.add_leaf("read", epoch, KeyClass.READ, sealed)
        done = min(done + 1000, count)
        moments.us = START_US + 100 * DAY_US * done // count
    store.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    store.db.execute("PRAGMA synchronous=FULL")


def median_ms(work: Callable[[int], object], times: int) -> float:
    """The median milliseconds of a call."""
    samples = []
    for number in range(times):
        begun = time.perf_counter()
        work(number)
        samples.append((time.perf_counter() - begun) * 1000)
    return statistics.median(samples)


def at_size(folder: Path, count: int, *, verify: bool) -> None:
    """Time append, proof, query and purge with `count` reads in the store."""
    moments = BenchTime()
    ledger = Ledger.create(folder / f"store-{count}", MemorySlot(), moments, boot=moments.boot)
    begun = time.perf_counter()
    fill(ledger, moments, count)
    filled = time.perf_counter() - begun
    store, image = ledger.store, b"\xff\xd8" + bytes(2000)
    append = median_ms(
        lambda n: ledger.append_read(make_read(moments.us, n), patch=image, overview=image), 50
    )
    proof = median_ms(lambda n: store.log.inclusion(n * 97 % count, store.log.frontier.size), 50)

    def look(since_us: int) -> int:
        query = search.UnitQuery(plate=f"{count // 2:07d}", since_us=since_us, until_us=moments.us + DAY_US)
        epochs = search.candidates(store.book.epochs, store.live, query)
        return sum(1 for _ in search.find_texts(store.home, epochs, store.live, store.log_id, query.plate))

    whole = median_ms(lambda _: look(0), 1)
    week = median_ms(lambda _: look(moments.us - 7 * DAY_US), 1)
    for _ in range(270):
        moments.us += DAY_US
        store.time.now()
    verified = ""
    if verify:
        begun = time.perf_counter()
        report = verify_home(store.home, None, slot.load_slot(store.slot))
        verdict = "consistent" if report.ok else "WRONG"
        verified = f", whole verify {time.perf_counter() - begun:.0f} s ({verdict})"
    item = next(one for one in ledger.retention_plan() if one.due)
    due = sum(one.due for one in ledger.retention_plan())
    records = sum(one.records for one in ledger.retention_plan() if one.due)
    purge = median_ms(lambda _: ledger.apply_retention(by="bench"), 1)
    size_mb = store.home.database.stat().st_size / 1e6
    reopened = time.perf_counter()
    ledger.close()
    again = Ledger.open(folder / f"store-{count}", store.slot, moments, boot=moments.boot)
    opened = (time.perf_counter() - reopened) * 1000
    again.close()
    print(
        f"{count:>9} reads: append {append:.1f} ms, proof {proof:.1f} ms, one plate in all {whole:.0f} ms, "
        f"in the last week {week:.0f} ms, purge of {due} days with {records} reads {purge:.0f} ms "
        f"(oldest epoch {item.epoch}), start {opened:.0f} ms{verified}; database {size_mb:.0f} MB; "
        f"filled at {count / filled:.0f} reads/s"
    )


def tree_growth() -> None:
    """Print the microseconds of hashing that one more leaf costs at a thousand and at ten million leaves."""
    for size in (1_000, 10_000_000):
        frontier = merkle.Frontier(size, [os.urandom(32) for _ in range(size.bit_count())])
        begun = time.perf_counter()
        for number in range(20_000):
            frontier.append(merkle.leaf_hash(number.to_bytes(4, "big")))
            frontier.root()
        each = (time.perf_counter() - begun) / 20_000 * 1e6
        print(f"tree of {size:>10} leaves: one more, with its root, {each:.1f} us")


def slot_writes(folder: Path) -> None:
    """Print the slot writes of one day: with one-hour epochs kept a day, and with memory-only classes."""
    for name, memory in (("one-hour epochs", ()), ("memory-only classes", ("read", "hit"))):
        moments, chip = BenchTime(), MemorySlot()
        ledger = Ledger.create(folder / name.replace(" ", "-"), chip, moments, boot=moments.boot)
        values = {"epoch_hours": 1, "keep_days": 1, "memory_only": memory}
        ledger.store.policy = codec.from_plain(
            type(ledger.store.policy), codec.to_plain(ledger.store.policy) | _plain(values)
        )
        image = bytes(2000)
        for hour in range(72):
            if hour == 48:
                writes, keys = chip.writes, len(chip.keys)
            moments.us += HOUR_US
            ledger.append_read(make_read(moments.us, hour), patch=image, overview=image)
        print(
            f"{name}: {len(chip.keys) - keys} key rewrites and {chip.writes - writes} slot writes a day ",
            end="",
        )
        print("(the rest are anchors)")
        ledger.close()


def _plain(values: Mapping[str, object]) -> dict[str, object]:
    return {name: list(one) if isinstance(one, tuple) else one for name, one in values.items()}


def main() -> None:
    """Print the figures, one per line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records", nargs="*", type=int, default=[10_000, 100_000])
    parser.add_argument("--images", type=int, default=200, help="reads with images to time")
    parser.add_argument("--verify", action="store_true", help="time a whole verify of each store too")
    parser.add_argument("--folder", type=Path, help="where to measure (default: the temporary folder)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = Path(name)
        sealed_against_plain(folder, args.images)
        slot_writes(folder)
        tree_growth()
        for count in args.records:
            at_size(folder, count, verify=args.verify)


if __name__ == "__main__":
    main()
