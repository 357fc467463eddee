"""How long an auditor's bundle takes over a long access log: made by the desk, checked offline.

python tests/tools/bundle_speed.py --entries 100000

Makes a department, fills its log with signed look-ups, has the witness see it, makes the bundle as
`department audit bundle` does and checks it as `department verify BUNDLE` does, in a process of its own.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[1] / "twins"), str(HERE.parents[2])]

import structlog  # noqa: E402
from desk_twins import found_department, open_copy  # noqa: E402

from sync.department.desk.audit.number_calls import Bundled  # noqa: E402
from sync.department.desk.inquiry.forms import NothingForm  # noqa: E402
from tests.tools.log_growth import fill  # noqa: E402


def main() -> int:
    """Run it; the status is that of the check."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--entries", type=int, default=100_000)
    given = parser.parse_args()
    structlog.configure(processors=[], logger_factory=structlog.ReturnLoggerFactory())
    with tempfile.TemporaryDirectory() as place:
        department = open_copy(found_department(Path(place)))
        fill(department, given.entries)
        print(f"load {os.getloadavg()[0]:.1f}")
        token = department.logon("super")
        started = time.monotonic()
        made = department.call("audit/bundle", token, NothingForm())
        if not isinstance(made, Bundled):
            raise TypeError("a bundle")
        print(f"made in {time.monotonic() - started:.1f} s, {len(made.bundle) / 1e6:.1f} MB", flush=True)
        path = Path(place) / "audit.zip"
        path.write_bytes(made.bundle)
        witnesses = [key for one in department.desk.root.witnesses for key in one.keys]
        keys = [word for key in witnesses for word in ("--witness-key", key)]
        command = [sys.executable, "-m", "sync.department.cli", "verify", str(path)]
        started = time.monotonic()
        done = subprocess.run(
            [*command, "--key", department.desk.log.note_key.text(), *keys],
            check=False,
            capture_output=True,
            text=True,
        )
        print(f"checked offline in {time.monotonic() - started:.1f} s, status {done.returncode}")
        print(done.stdout[-600:], done.stderr[-600:])
        department.close()
        return done.returncode


if __name__ == "__main__":
    raise SystemExit(main())
