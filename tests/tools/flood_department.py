"""Floods a department's server on loopback while a unit syncs, and prints the outcome.

python tests/tools/flood_department.py --bare 10000 --silent 300 --logons 1000 --rounds 3
"""

from __future__ import annotations

import argparse
import resource
import ssl
import sys
import tempfile
from pathlib import Path

TWINS = Path(__file__).resolve().parent.parent / "twins"
sys.path[:0] = [str(TWINS), str(TWINS.parent.parent)]

import httpx  # noqa: E402
from flood import bare_connections, logons, silent_clients  # noqa: E402
from sync_twins import Unit, bare_home, issue_code, running  # noqa: E402

from sync.department.server.open_desk import first_administrator  # noqa: E402
from tests.tools.memory import resident_mb  # noqa: E402


def main() -> int:
    """Flood; returns 1 if a unit or a person was shut out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--bare", type=int, default=10_000)
    parser.add_argument("--silent", type=int, default=300)
    parser.add_argument("--logons", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    shut_out = 0
    with tempfile.TemporaryDirectory() as temporary:
        home = bare_home(Path(temporary) / "home")
        first_administrator(home, "chief", "Chief Example")
        unit = Unit(Path(temporary) / "unit")
        with running(home) as server:
            unit.enroll(issue_code(home, "car-1"))
            context = ssl.create_default_context(cafile=str(home.authority / "ca.pem"))
            before = resident_mb(server.pid)
            for number in range(args.rounds):
                unit.add(2)
                with (
                    bare_connections(home.settings.unit_port, args.bare) as bare,
                    silent_clients(home.settings.desk_port, args.silent) as silent,
                ):
                    statuses = logons(home.settings.desk_port, args.logons)
                    outcome = unit.attempt().outcome
                    with httpx.Client(verify=context, trust_env=False, timeout=60) as client:
                        health = client.get(f"https://localhost:{home.settings.desk_port}/health").status_code
                shut_out += outcome != "done" or health != 200
                lines = len((home.path / "serve.log").read_text().splitlines())
                print(
                    f"round {number + 1}: {bare} bare, {silent} silent, logins {statuses}; unit {outcome}, "
                    f"health {health}, {lines} event lines, {before} to {resident_mb(server.pid)} MB",
                    flush=True,
                )
        unit.close()
    return 1 if shut_out else 0


if __name__ == "__main__":
    sys.exit(main())
