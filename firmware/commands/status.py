"""`reader status`: health of the unit, without a plate."""

from __future__ import annotations

import argparse
import json
from typing import Any

from firmware.commands import Subparsers
from firmware.custody.asking import asking
from firmware.custody.opening import enrolled_us
from firmware.errors import DONE
from firmware.health.health_file import newest_report
from firmware.health.report import Custody, HealthWatch, report_lines
from hw.clock import SystemClock
from hw.vitals import SysfsBoard
from sync.membership import SyncFolder


def add_parser(subparsers: Subparsers) -> None:
    """Add `status` to the command line."""
    subparsers.add_parser(
        "status",
        help="health of the unit, without a plate",
        description="Tells how the unit is: clock, camera, reads an hour, log and anchors, sync, disk, board "
        "and alarms. Shows no plate. Beside a running reader the numbers are the reader's own.",
        epilog="example: reader status --json",
    )


def run(args: argparse.Namespace) -> int:
    """Print the report."""
    with asking(args.home) as ask:
        custody = ask("status", {})
    folder = SyncFolder.of(args.home)
    facts = newest_report(args.home)
    running = facts is not None
    if facts is None:
        succeeded = folder.status().get("succeeded_us")
        watch = HealthWatch(
            board=SysfsBoard(args.home),
            now=SystemClock().now,
            custody=lambda: Custody(
                log_records=custody["records"],
                newer_than_anchors=custody["newer_than_anchors"],
                unacknowledged=custody["unreceived"],
                last_sync_us=succeeded if isinstance(succeeded, int) and succeeded > 0 else None,
                enrolled=custody["enrolled"],
                enrolled_us=enrolled_us(folder),
            ),
            watching=False,
        )
        facts = watch.report()
    if args.json:
        print(json.dumps(facts.plain() | {"running": running, "custody": _plain(custody)}))
        return DONE
    print(f"reader       {'running' if running else 'not running'}")
    for line in report_lines(facts):
        print(line)
    print(f"slot         {custody['slot']}: {custody['slot_promise']}")
    print(f"keys         {custody['keys_on_card']}; local query {'on' if custody['local_query'] else 'off'}")
    print(f"anchors      {custody['newer_than_anchors']} records are newer than every anchor")
    return DONE


def _plain(custody: dict[str, Any]) -> dict[str, Any]:
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in custody.items()}
