"""`reader status`: health of the unit, without a plate."""

from __future__ import annotations

import json
import textwrap
from typing import Any

from firmware.custody.asking import asking
from firmware.custody.opening import enrolled_us
from firmware.health.health_file import newest_report
from firmware.health.report import Custody, HealthWatch, report_lines
from hw.clock import SystemClock
from hw.vitals import SysfsBoard
from sync.command_frame import Common, verb
from sync.errors import DONE
from sync.membership import SyncFolder


@verb("status", example="reader status --json")
def status(common: Common) -> int:
    """Show the unit's health: clock, camera, reads per hour, log and anchors, sync, disk, board and alarms.
    Shows no plate. While a reader runs, the numbers come from the reader.
    """
    with asking(common.home) as ask:
        custody = ask("status", {})
    folder = SyncFolder.of(common.home)
    facts = newest_report(common.home)
    running = facts is not None
    if facts is None:
        succeeded = folder.status().get("succeeded_us")
        watch = HealthWatch(
            board=SysfsBoard(common.home),
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
    if common.json:
        print(json.dumps(facts.plain() | {"running": running, "custody": _plain(custody)}))
        return DONE
    print(f"reader       {'running' if running else 'not running'}")
    for line in report_lines(facts):
        print(line)
    print(f"slot         {custody['slot']}")
    for line in textwrap.wrap(custody["slot_promise"], 67):
        print(f"             {line}")
    print(f"keys         {custody['keys_on_card']}; local query {'on' if custody['local_query'] else 'off'}")
    print(f"anchors      {custody['newer_than_anchors']} records are newer than every anchor")
    return DONE


def _plain(custody: dict[str, Any]) -> dict[str, Any]:
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in custody.items()}
