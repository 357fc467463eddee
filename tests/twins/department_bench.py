"""Figures of the department's end. Prints them; asserts nothing.

python tests/twins/department_bench.py upload --reads 2000 --image-bytes 2000
python tests/twins/department_bench.py upload --reads 300 --image-bytes 150000
python tests/twins/department_bench.py units --units 50 --reads 40
python tests/twins/department_bench.py lookup --reads 10000000
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parent), str(HERE.parents[2])]

import httpx  # noqa: E402
import structlog  # noqa: E402
from postgres_twin import postgres_cluster  # noqa: E402
from sqlalchemy import text  # noqa: E402
from sync_catch_up import fill  # noqa: E402
from sync_twins import Unit, checked, found_department, free_port, issue_code, running  # noqa: E402

from storage import leaf as leaves  # noqa: E402
from sync import messages as m  # noqa: E402
from sync.department.authority import Authority  # noqa: E402
from sync.department.held import reads_by_token  # noqa: E402
from sync.department.server import tls_context  # noqa: E402
from sync.department.store import open_store  # noqa: E402
from sync.transport import server_context  # noqa: E402

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
    """Our uplink against a plain HTTPS upload of the same bytes, one after the other on one machine."""
    home = found_department(place / "department")
    unit = Unit(place / "unit")
    with running(home):
        unit.enrol(issue_code(home, "bench"))
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
        found += [outbox.stored(leaf.sequence, name) for name in m.travelling(leaf)]
    return found


def plain(place: Path, bodies: list[bytes], sync: str) -> float:
    """Seconds that a plain upload takes: the same TLS, the same server program, bytes to a file."""
    authority = Authority.create(place / f"plain-{time.time_ns()}", "plain")
    certificate, key = authority.server_files(("localhost",))
    tls_context(certificate, key)
    port, into = free_port(), Path(tempfile.mkdtemp(dir=place))
    command = [sys.executable, "-c", PLAIN, str(into), str(port), str(certificate), str(key), sync]
    process = subprocess.Popen(command)
    try:
        pem = (authority.folder / "ca.pem").read_bytes()
        with httpx.Client(verify=server_context(pem), trust_env=False, timeout=60) as client:
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
    """Many units at once."""
    home = found_department(place / "department")
    with running(home):
        made = [Unit(place / f"unit-{at}") for at in range(count)]
        for at, unit in enumerate(made):
            unit.enrol(issue_code(home, f"unit {at}"))
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


def chunks(total: int, days: int) -> Iterator[tuple[int, int]]:
    for day in range(days):
        yield day, total // days


def lookup(reads: int) -> None:
    """One plate among a year of reads on PostgreSQL, by its token of each day; then the purge of one day."""
    days, first = 365, 20_000
    with postgres_cluster() as url:
        store = open_store(url)
        started = time.monotonic()
        for day, count in chunks(reads, days):
            store.open_day(first + day)
            with store.write() as connection:
                connection.execute(
                    text(
                        f"INSERT INTO tokens_{first + day} SELECT {first + day}, "  # noqa: S608 - whole numbers
                        f"decode(md5({day}::text || '/' || n::text), 'hex'), 1, {day}::bigint * 1000000 + n "
                        f"FROM generate_series(1, {count}) n"
                    )
                )
        with store.write() as connection:
            connection.execute(text("ANALYZE tokens"))
        print(f"{reads} reads in {days} days of receipt made in {time.monotonic() - started:.0f} s")
        times = []
        for _ in range(300):
            wanted = {first + day: os.urandom(16) for day in range(days)}
            started = time.monotonic()
            with store.read() as connection:
                reads_by_token(connection, wanted)
            times.append((time.monotonic() - started) * 1000)
        times.sort()
        print(f"look-up of one plate over the year: median {statistics.median(times):.1f} ms, "
              f"99th percentile {times[int(len(times) * 0.99)]:.1f} ms")  # fmt: skip
        started = time.monotonic()
        with store.write() as connection:
            store.drop_day(connection, first)
        print(f"purge of one day ({reads // days} reads): {(time.monotonic() - started) * 1000:.0f} ms")
        store.close()


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__
    )
    parser.add_argument("what", choices=("upload", "units", "lookup"))
    parser.add_argument("--reads", type=int, required=True)
    parser.add_argument("--image-bytes", type=int, default=2000)
    parser.add_argument("--units", type=int, default=50)
    args = parser.parse_args()
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    if args.what == "lookup":
        lookup(args.reads)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        if args.what == "upload":
            upload(Path(folder), args.reads, args.image_bytes)
        else:
            units(Path(folder), args.units, args.reads)
    return 0


if __name__ == "__main__":
    sys.exit(main())
