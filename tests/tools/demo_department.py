"""The second half of the demo: its unit joins a real department server on loopback and sends its reads.

python -m tests.tools.demo_department --reader HOME --department HOME
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

from firmware.commands.sync import health_without_reader
from firmware.custody.opening import open_ledger, sync_folder
from firmware.settings.software import software_version
from sync.enrollment import join
from sync.errors import DONE, FOUND_WRONG
from sync.ledger_outbox import LedgerOutbox
from sync.runner import Runner
from sync.schedule import Schedule
from tests.tools.local_department import LocalDepartment, LocalDepartmentError


def main(argv: list[str] | None = None) -> int:
    """Found, serve, enroll, sync, verify; returns the exit status of the verification."""
    parser = argparse.ArgumentParser(prog="python -m tests.tools.demo_department", description=__doc__)
    parser.add_argument("--reader", type=Path, required=True, help="the unit's home")
    parser.add_argument("--department", type=Path, required=True, help="the department's new home")
    args = parser.parse_args(argv)
    department = LocalDepartment(args.department)
    try:
        department.found()
        with department:
            outcome = _send(args.reader, department)
    except LocalDepartmentError as error:
        print(error, file=sys.stderr)
        return FOUND_WRONG
    return department.verify() if outcome == DONE else outcome


def _send(reader: Path, department: LocalDepartment) -> int:
    folder = sync_folder(reader)
    with open_ledger(reader) as ledger:
        outbox = LedgerOutbox(ledger, folder.inbox)
        member = join(outbox, folder, department.code("Demo"), software=software_version()[:64])
        print(
            f"enrolled as {member.name} of {member.department}; the server listens on {member.unit_address}"
        )
        health = partial(health_without_reader, reader, ledger, folder)
        made = Runner(outbox, folder, Schedule(), health=health).attempt()
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
