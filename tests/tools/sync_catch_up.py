"""Syncs weeks of reads through cut connections and killed processes: nothing is lost or stored twice.

As a program it prints the figures:
    python tests/tools/sync_catch_up.py --reads 100000 --image-bytes 2000 --cuts 30 --kills 5
    python tests/tools/sync_catch_up.py --reads 1000 --image-bytes 150000 --cuts 30 --kills 5
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[1] / "twins"), str(HERE.parents[2])]

import structlog  # noqa: E402
from sqlalchemy import func, select  # noqa: E402
from sync_twins import DepartmentProcess, FaultProxy, Unit, bare_home, checked, issue_code  # noqa: E402

from sync.department.server.server import Department  # noqa: E402
from sync.department.store.tables import elements, leaves, tokens  # noqa: E402

AT_ONCE = 500

SPEAK = """
import logging, sys
sys.path[:0] = [sys.argv[2], sys.argv[3]]
import structlog
structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
from pathlib import Path
from hw.clock import SystemClock
from hw.secure_slot import LoopbackSlot
from storage.ledger import Ledger
from sync.ledger_outbox import LedgerOutbox
from sync.membership import SyncFolder
from sync.runner import Runner
from sync.schedule import Schedule
path = Path(sys.argv[1])
home = path / "home"
folder = SyncFolder.of(home)
with Ledger.open(home, LoopbackSlot(path / "chip"), SystemClock()) as ledger:
    runner = Runner(LedgerOutbox(ledger, folder.inbox), folder, Schedule())
    print("speaking", flush=True)
    for _ in range(int(sys.argv[4])):
        made = runner.attempt()
        print(made.outcome, made.what, flush=True)
        if made.outcome == "done":
            break
"""


@dataclass(frozen=True, kw_only=True)
class Result:
    """The outcome of a catch-up."""

    reads: int
    seconds: float
    content_bytes: int
    cuts: int
    kills: int
    lost: int
    twice: int
    problems: int


def fill(unit: Unit, reads: int, image_bytes: int) -> int:
    """Store the reads of the weeks offline; returns the bytes of their images."""
    for first in range(0, reads, AT_ONCE):
        unit.add(min(AT_ONCE, reads - first), size=image_bytes // 3 if image_bytes > 10_000 else image_bytes)
    return sum(path.stat().st_size for path in unit.ledger.store.home.blobs.rglob("*") if path.is_file())


def speak(unit: Unit, attempts: int = 1) -> subprocess.Popen[str]:
    """Start a reader process that syncs with the department."""
    command = [
        sys.executable,
        "-c",
        SPEAK,
        str(unit.path),
        str(HERE.parents[2]),
        str(HERE.parents[1] / "twins"),
    ]
    process = subprocess.Popen([*command, str(attempts)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def count(server: DepartmentProcess) -> tuple[int, int, int]:
    """(leaves, elements, tokens) that the department holds."""
    department = Department(server.home)
    try:
        with department.store.read() as connection:
            found = [
                int(connection.execute(select(func.count()).select_from(table)).scalar_one())
                for table in (leaves, elements, tokens)
            ]
    finally:
        department.close()
    return found[0], found[1], found[2]


def catch_up(  # noqa: PLR0915 - one story, in order
    path: Path, *, reads: int, image_bytes: int, cuts: int, kills: int, seed: int = 1
) -> Result:
    """Sync offline reads over a bad line, with kills of both ends, until the uplink reports `done`."""
    rng = random.Random(seed)
    server = DepartmentProcess(bare_home(path / "department"))
    server.start()
    unit = Unit(path / "unit")
    unit.enroll(issue_code(server.home, "catch-up"))
    content = fill(unit, reads, image_bytes)
    total = content + reads * 600
    proxy = FaultProxy(server.home.settings.unit_port, seed)
    proxy.cuts_left = cuts
    proxy.cut_after = (2_000, max(20_000, 2 * total // max(1, cuts + kills)))
    unit.through(proxy.port)
    unit.close()
    started, killed = time.monotonic(), 0
    done = False
    pace = max(0.3, min(4.0, total / 20e6 / max(1, kills)))
    try:
        while not done:
            process = speak(unit)
            if killed < kills:
                try:
                    process.wait(rng.uniform(0.1, pace))
                except subprocess.TimeoutExpired:
                    killed += 1
                    if killed % 2:
                        server.kill()
                        server.start()
                    else:
                        process.send_signal(signal.SIGKILL)
            out, _ = process.communicate()
            done = out.startswith("done") and killed >= kills and proxy.cuts_left <= 0
            if out.startswith("done") and not done:  # more reads for the faults that are left
                proxy.cut_after = (1_000, 20_000)
                unit.reopen()
                unit.add(20, size=2000)
                unit.close()
                reads += 20
            assert time.monotonic() - started < 3600
        seconds = time.monotonic() - started
        unit.reopen()
        book = unit.ledger.store.book
        size = unit.outbox.size()
        unit.attempt()
        held, parts, found = count(server)
        received = {n for first, last, _ in book.received for n in range(first, last + 1)}
    finally:
        proxy.close()
        server.stop()
        unit.close()
    report = checked(server.home)
    return Result(
        reads=reads,
        seconds=seconds,
        content_bytes=content,
        cuts=proxy.cuts,
        kills=killed,
        lost=max(0, size - held) + max(0, reads - len(received)),
        twice=max(0, found - reads) + max(0, parts - report.elements),
        problems=len(report.problems),
    )


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--reads", type=int, default=100_000)
    parser.add_argument("--image-bytes", type=int, default=2_000)
    parser.add_argument("--cuts", type=int, default=30)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=None, help="where to work (else the temporary folder)")
    args = parser.parse_args()
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        result = catch_up(
            Path(folder),
            reads=args.reads,
            image_bytes=args.image_bytes,
            cuts=args.cuts,
            kills=args.kills,
            seed=args.seed,
        )
    print(result)
    return 1 if result.lost or result.twice or result.problems else 0


if __name__ == "__main__":
    sys.exit(main())
