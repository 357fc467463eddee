"""Prints figures of the department's end; asserts nothing.

python tests/tools/department_bench.py upload --reads 2000 --image-bytes 2000
python tests/tools/department_bench.py upload --reads 300 --image-bytes 150000
python tests/tools/department_bench.py units --units 50 --reads 40
python tests/tools/department_bench.py lookup --reads 10000000
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import cast

from storage.times import DAY_US

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[1] / "twins"), str(HERE.parents[2])]

import httpx  # noqa: E402
import structlog  # noqa: E402
from postgres_twin import postgres_cluster  # noqa: E402
from sqlalchemy import text  # noqa: E402
from sync_twins import Unit, bare_home, checked, issue_code, running  # noqa: E402
from year_of_reads import DAYS, LOGS, SOUGHT, TIMES, OpenDoor, Year, plate_of  # noqa: E402

from storage import leaf as leaves  # noqa: E402
from sync import messages  # noqa: E402
from sync.department.content.key_door import Cover, KeyDoor  # noqa: E402
from sync.department.content.key_service import LocalKeyService  # noqa: E402
from sync.department.content.read_store import StoreReads  # noqa: E402
from sync.department.ground.department_time import Clocks  # noqa: E402
from sync.department.ground.tls import tls_context  # noqa: E402
from sync.department.journal.inquiry_entries import Query  # noqa: E402
from sync.department.server.server import Department  # noqa: E402
from sync.department.units.authority import Authority  # noqa: E402
from sync.transport import server_context  # noqa: E402
from tests.tools.ports import free_port  # noqa: E402
from tests.tools.sync_catch_up import fill  # noqa: E402

PLAIN = """
import asyncio, sys, uvicorn, os
place = sys.argv[1]
count = 0
async def app(scope, receive, send):
    global count
    count += 1
    with open(f"{place}/{count}", "wb") as file:
        while True:
            part = await receive()
            file.write(part.get("body", b""))
            if not part.get("more_body"):
                break
        if sys.argv[5] == "sync":
            file.flush()
            os.fsync(file.fileno())
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), ssl_certfile=sys.argv[3], ssl_keyfile=sys.argv[4],
    log_level="error", http="h11", lifespan="off", access_log=False)
"""


def upload(place: Path, reads: int, image_bytes: int) -> None:
    """Compare our uplink with a plain HTTPS upload of the same bytes, one after the other on one machine."""
    home = bare_home(place / "department")
    unit = Unit(place / "unit")
    with running(home):
        unit.enroll(issue_code(home, "bench"))
        fill(unit, reads, image_bytes)
        parts = stored_of(unit)
        started = time.monotonic()
        made = unit.attempt()
        ours = time.monotonic() - started
    assert made.outcome == "done", made.what
    mb = sum(map(len, parts)) / 1e6
    print(f"reads {reads}, sealed parts {len(parts)}, {mb:.1f} MB; verified: {not checked(home).problems}")
    print(f"uplink, opened, re-sealed, synced, receipted   {ours:8.2f} s  {mb / ours:8.1f} MB/s")
    per_read = [b"".join(parts[at : at + 4]) for at in range(0, len(parts), 4)]
    for name, bodies, sync in (
        ("plain HTTPS, one request a read, each synced", per_read, "sync"),
        ("plain HTTPS, one request a read, not synced ", per_read, "no"),
        ("plain HTTPS, one long request, synced        ", [b"".join(parts)], "sync"),
    ):
        seconds = plain(place, bodies, sync)
        print(f"{name}  {seconds:8.2f} s  {mb / seconds:8.1f} MB/s  uplink is {seconds / ours:.2f} of it")
    unit.close()


def stored_of(unit: Unit) -> list[bytes]:
    """The stored parts that the uplink is about to send."""
    outbox, found = unit.outbox, []
    for data in outbox.leaves(0, outbox.size()):
        leaf = leaves.unchecked(data)
        found += [outbox.stored(leaf.sequence, name) for name in messages.traveling(leaf)]
    return found


def plain(place: Path, bodies: list[bytes], sync: str) -> float:
    """Seconds that a plain upload takes, with the same TLS and server program, into files."""
    authority = Authority.create(place / f"plain-{time.time_ns()}", "plain")
    certificate, key = authority.server_files(("localhost",))
    tls_context(certificate, key)
    port, into = free_port(), Path(tempfile.mkdtemp(dir=place))
    command = [sys.executable, "-c", PLAIN, str(into), str(port), str(certificate), str(key), sync]
    process = subprocess.Popen(command)
    try:
        pem = (authority.folder / "ca.pem").read_bytes()
        with httpx.Client(verify=server_context(pem, passed_us=0), trust_env=False, timeout=60) as client:
            url = f"https://localhost:{port}/"
            wait_for(client, url)
            started = time.monotonic()
            for body in bodies:
                client.post(url, content=body)
            return time.monotonic() - started
    finally:
        process.terminate()
        process.wait()


def wait_for(client: httpx.Client, url: str) -> None:
    for _ in range(200):
        try:
            client.post(url, content=b"")
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return


def units(place: Path, count: int, reads: int) -> None:
    """Measure many units that sync at once."""
    home = bare_home(place / "department")
    with running(home):
        made = [Unit(place / f"unit-{at}") for at in range(count)]
        for at, unit in enumerate(made):
            unit.enroll(issue_code(home, f"unit {at}"))
            unit.add(reads, size=2000)
        outcomes: list[str] = []

        def speak(unit: Unit) -> None:
            while (outcome := unit.attempt().outcome) != "done":
                outcomes.append(outcome)
            outcomes.append("done")

        threads = [threading.Thread(target=speak, args=(unit,)) for unit in made]
        started = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.monotonic() - started
    report = checked(home)
    print(
        f"{count} units at once, {reads} reads each: {seconds:.1f} s, {count * reads / seconds:.0f} reads/s, "
        f"{len(outcomes) - count} attempts repeated, {len(report.problems)} problems"
    )
    for unit in made:
        unit.close()


FAST_FILL = (  # a year arrives in minutes here, so the vacuum of each day is done once, at the end
    "wal_level=minimal",
    "max_wal_senders=0",
    "max_wal_size=8GB",
    "maintenance_work_mem=256MB",
    "autovacuum=off",
)
NO_COVER = Cover(
    leaf=b"", sequence=0, salt=b"", content=b"", size=0, inclusion=(), checkpoint="", unwitnessed=True
)


def lookup(place: Path, reads: int) -> None:
    """Find and open one plate among a year of reads on PostgreSQL; then purge one day."""
    now = [time.time_ns() // 1000]
    first = now[0] // DAY_US - DAYS + 1
    place.chmod(0o755)  # the database runs as another user
    with postgres_cluster(*FAST_FILL, parent=place) as url:
        department = Department(
            bare_home(place / "department", database=url), Clocks.simulated(lambda: now[0])
        )
        started = time.monotonic()
        keys = department.keys
        assert isinstance(keys, LocalKeyService)
        year = Year(department.store, keys, first, reads)
        for offset in range(DAYS):
            year.add_day(offset)
        engine = department.store.engine.execution_options(isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text("VACUUM (ANALYZE) tokens"))
            connection.execute(text("ANALYZE leaves, elements"))
        with department.store.read() as connection:
            size = connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one()
        print(
            f"{year.reads} reads in {DAYS} days of receipt and {LOGS} logs, {size / 1e9:.1f} GB: "
            f"made in {time.monotonic() - started:.0f} s",
            flush=True,
        )
        times = timed_look_ups(department, first)
        middle, late = statistics.median(times), times[int(len(times) * 0.99)]
        print(
            f"lookup of one plate over the year, {TIMES} reads found and opened, {len(times)} lookups: "
            f"median {middle:.0f} ms, 99th percentile {late:.0f} ms, slowest {times[-1]:.0f} ms",
            flush=True,
        )
        now[0] = (first + 1 + DAYS) * DAY_US
        started = time.monotonic()
        (receipt,) = department.retention.run()
        print(f"purge of one day ({receipt.records} reads, {receipt.elements} elements): "
              f"{(time.monotonic() - started) * 1000:.0f} ms")  # fmt: skip
        department.close()


def timed_look_ups(department: Department, first: int) -> list[float]:
    """Sorted milliseconds of a lookup of each plate in the store; each must be found completely."""
    keys = department.keys
    assert isinstance(keys, LocalKeyService)
    reads, door, times = StoreReads(department.store, department.packs), OpenDoor(keys), []
    for number in range(SOUGHT):
        query = Query(plate=plate_of(number), since_us=first * DAY_US, until_us=1 << 60)
        started = time.monotonic()
        page = reads.find(cast("KeyDoor", door), NO_COVER, query, 100)
        times.append((time.monotonic() - started) * 1000)
        assert (page.count, {one.plate for one in page.reads}) == (TIMES, {plate_of(number)})
    return sorted(times)


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__
    )
    parser.add_argument("what", choices=("upload", "units", "lookup"))
    parser.add_argument("--reads", type=int, required=True)
    parser.add_argument("--image-bytes", type=int, default=2000)
    parser.add_argument("--units", type=int, default=50)
    parser.add_argument("--folder", type=Path, default=None, help="where to work (else the temporary folder)")
    args = parser.parse_args()
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        if args.what == "lookup":
            lookup(Path(folder), args.reads)
        elif args.what == "upload":
            upload(Path(folder), args.reads, args.image_bytes)
        else:
            units(Path(folder), args.units, args.reads)
    return 0


if __name__ == "__main__":
    sys.exit(main())
