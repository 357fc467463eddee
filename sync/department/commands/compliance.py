"""`department compliance`: what is overdue; exit 1 if anything is. Shows no plate and opens no content."""

from __future__ import annotations

import json
import time

from sync.command_frame import DONE, FOUND_WRONG, Common, verb
from sync.department.desk import compliance as due
from sync.department.desk.audit import rules as audit
from sync.department.desk.endings import endings
from sync.department.desk.json_forms import to_json
from sync.department.ground.home import DepartmentHome
from sync.department.server.open_desk import open_front


@verb("compliance", example="department compliance --home /srv/alpr")
def compliance(common: Common) -> int:
    """List what is overdue, and what ends soon; the exit status is 1 if anything is overdue.

    Overdue audits, training, purges, silent units, findings, requests not filed, sharing requests and holds.
    For a person at the machine or a timer: it asks for no logon and shows no plate.
    """
    front = open_front(DepartmentHome.open(common.home))
    try:
        desk, now_us = front.desk, time.time_ns() // 1000
        requests = audit.requests_of(desk.log.entries(kinds=audit.ACCESS_KINDS))
        found = due.overdue(desk.policy, desk.book, requests, now_us)
        found += due.from_store(front.overdue_from_store(now_us))
        found += due.open_incidents(
            ((one.number, one.kind, one.at_us) for one in front.incidents.listed()), desk.book, now_us
        )
        soon = endings(desk.policy, desk.book, now_us)
    finally:
        front.close()
    for one in found:
        print(json.dumps(to_json(one)) if common.json else f"OVERDUE {one.kind:9} {one.clause:10} {one.what}")
    for end in soon:
        print(json.dumps(to_json(end)) if common.json else f"SOON    {end.kind:9} {end.clause:10} {end.what}")
    if not found and not common.json:
        print("nothing is overdue")
    return FOUND_WRONG if found else DONE
