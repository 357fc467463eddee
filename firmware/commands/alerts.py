"""`reader alerts`: the open alerts of this unit, without a plate; officers handle them in the car."""

from __future__ import annotations

import json

from firmware.alerts.ops import alert_operations
from firmware.custody.asking import asking
from storage.counts import counted
from sync.command_frame import Common, verb
from sync.errors import DONE


@verb("alerts", example="reader alerts --json")
def alerts(common: Common) -> int:
    """List open alerts: category, why one did not sound, and what a person does next. Shows no plate.

    View, verify and close an alert on the unit's page, or at the department's desk. A unit that is not
    enrolled also lists alerts of earlier runs.
    """
    with asking(common.home, more=lambda ledger: alert_operations(ledger, None)) as ask:
        found = ask("alerts", {})
    if common.json:
        for one in found["alerts"]:
            print(json.dumps(one))
        return DONE
    for one in found["alerts"]:
        marks = [
            "sounded" if one["sounded"] else f"silent: {', '.join(one['silent'])}",
            *(["stale list"] if one["stale"] else []),
            *(["overdue"] if one["overdue"] else []),
            *(["an earlier run"] if one["earlier"] else []),
        ]
        print(f"{one['number']:>8}  {one['category']}  ({'; '.join(marks)})  {one['next']}")
    if not found["alerts"]:
        print("no alert is open" if found["running"] else "no reader runs, so no alert is open here")
    elif not found["enrolled"]:
        print("this unit has no department: alerts are worked on the page in the car once it is enrolled")
    if found["unstored"]:
        print(
            f"{counted(found['unstored'], 'hit')} could not be stored: no alert, only the warning in the car"
        )
    if found["left_to_the_desk"]:
        print(f"left to the desk: {counted(found['left_to_the_desk'], 'silent alert')}")
    if found["enrolled"]:
        print("alerts of earlier runs: only the department can open them, at its desk")
    return DONE
