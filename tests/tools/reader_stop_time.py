"""How long an enrolled reader takes to end after SIGTERM while its line to the department is silent.

python tests/tools/reader_stop_time.py --stops 5
"""

from __future__ import annotations

import argparse
import dataclasses
import signal
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[1] / "twins"), str(HERE.parents[2])]

from reader_process import CLIP, Running  # noqa: E402
from sync_twins import HOST, DepartmentProcess, FaultProxy, bare_home, issue_code  # noqa: E402

from firmware.custody.opening import create_ledger  # noqa: E402
from firmware.settings.config import Config, SyncSettings, write_config  # noqa: E402
from sync.enrollment import join  # noqa: E402
from sync.ledger_outbox import LedgerOutbox  # noqa: E402
from sync.membership import SyncFolder  # noqa: E402


def stop_times(folder: Path, stops: int) -> list[float]:
    """The seconds that each stop takes."""
    server, home = DepartmentProcess(bare_home(folder / "office")), folder / "home"
    server.start()
    home.mkdir()
    write_config(home, Config(sync=SyncSettings(interval_s=10, jitter=0.0)))
    sync = SyncFolder.of(home)
    with create_ledger(home) as ledger:
        join(LedgerOutbox(ledger, sync.inbox), sync, issue_code(server.home, "stops"), software="test")
    proxy = FaultProxy(server.home.settings.unit_port)
    proxy.delay_s = 3600.0  # accepts everything and passes nothing on
    sync.save_member(dataclasses.replace(sync.member(), unit_address=f"{HOST}:{proxy.port}"))
    times = []
    try:
        for _ in range(stops):
            process = Running(home, "--source", str(CLIP), "--pace", "source")
            process.until_reads(2)
            sync.wanted.touch()
            time.sleep(3)
            began_s = time.monotonic()
            if process.end(signal.SIGTERM):
                raise RuntimeError("the reader did not end well")
            times.append(round(time.monotonic() - began_s, 2))
    finally:
        server.kill()
        proxy.close()
    return times


def main() -> int:
    """Print the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stops", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(*stop_times(Path(folder), args.stops))
    return 0


if __name__ == "__main__":
    sys.exit(main())
