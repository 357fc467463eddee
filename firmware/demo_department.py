"""The demo's second half: a real department server on loopback; the demo's unit joins it and sends its reads.

python -m firmware.demo_department --reader HOME --department HOME
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
from pathlib import Path

from firmware.custody import open_ledger
from firmware.errors import DONE, FOUND_WRONG
from firmware.record import software_version
from sync.department import cli as department
from sync.enrolment import join
from sync.ledger_outbox import LedgerOutbox
from sync.membership import SyncFolder
from sync.runner import Runner
from sync.schedule import Schedule

HOST = "localhost"
STOP_S = 15


def free_port() -> int:
    """A port on loopback that nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _issue_code(home: Path) -> str:
    command = [
        sys.executable,
        "-m",
        "sync.department.cli",
        "enrol",
        "--home",
        str(home),
        "--json",
        "--name",
        "Demo",
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - our own program
    return str(json.loads(done.stdout)["code"])


def main(argv: list[str] | None = None) -> int:
    """Found, serve, enrol, sync, verify; the exit status of the verification."""
    parser = argparse.ArgumentParser(prog="python -m firmware.demo_department", description=__doc__)
    parser.add_argument("--reader", type=Path, required=True, help="the unit's home")
    parser.add_argument("--department", type=Path, required=True, help="the department's new home")
    args = parser.parse_args(argv)
    home: Path = args.department
    unit_port, desk_port = free_port(), free_port()
    founding = ["init", "--home", str(home), "--host", HOST, "--listen", "127.0.0.1", "--demo", "--json"]
    ports = ["--unit-port", str(unit_port), "--desk-port", str(desk_port)]
    if (status := department.main(founding + ports)) != DONE:
        return status
    server = [sys.executable, "-m", "sync.department.cli", "serve", "--home", str(home), "--json"]
    with (home / "serve.log").open("wb") as events:
        process = subprocess.Popen(server, stdout=subprocess.PIPE, stderr=events)  # noqa: S603
        try:
            if process.stdout is None or not process.stdout.readline():
                print(f"the department's server did not start: {home / 'serve.log'}", file=sys.stderr)
                return FOUND_WRONG
            outcome = _send(args.reader, home)
        finally:
            process.terminate()
            process.wait(timeout=STOP_S)
            if process.stdout is not None:
                process.stdout.close()
    if outcome != DONE:
        return outcome
    return department.main(["verify", "--home", str(home)])


def _send(reader: Path, home: Path) -> int:
    folder = SyncFolder.of(reader)
    with open_ledger(reader) as ledger:
        outbox = LedgerOutbox(ledger, folder.inbox)
        member = join(outbox, folder, _issue_code(home), software=software_version()[:64])
        print(
            f"enrolled as {member.name} of {member.department}; the server listens on {member.unit_address}"
        )
        made = Runner(outbox, folder, Schedule()).attempt()
    progress = made.progress
    if made.outcome != "done":
        print(f"the uplink did not finish: {made.what}", file=sys.stderr)
        return FOUND_WRONG
    print(
        f"sent {progress.leaves} records, {progress.elements} sealed parts, {progress.sent_bytes} bytes; "
        f"the department co-signed {progress.cosigned_size} records and gave its receipt"
    )
    return DONE


if __name__ == "__main__":
    sys.exit(main())
