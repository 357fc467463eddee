"""`department compliance`: what is overdue; exit 1 if anything is. Shows no plate and opens no content."""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from sync.department.desk import compliance
from sync.department.desk.audit import rules as audit
from sync.department.desk.json_forms import to_json
from sync.department.ground.home import DepartmentHome
from sync.department.server.open_desk import open_front


def add_parser(subparsers: Any) -> None:
    """The arguments."""
    subparsers.add_parser(
        "compliance",
        help="list what is overdue; exit 1 if anything is",
        description="Lists overdue audits, training, purges, silent units, findings, requests not "
        "filed, sharing "
        "requests and holds. For a person at the machine or a timer; it asks for no logon and shows "
        "no plate.",
        epilog="example: department compliance --home /srv/alpr",
    )


def run(args: argparse.Namespace) -> int:
    """List; 1 if anything is overdue."""
    front = open_front(DepartmentHome.open(args.home))
    try:
        desk, now_us = front.desk, time.time_ns() // 1000
        requests = audit.requests_of(desk.log.entries(kinds=audit.ACCESS_KINDS))
        found = compliance.overdue(desk.policy, desk.book, requests, now_us)
        found += compliance.from_store(front.overdue_from_store(now_us))
        found += compliance.open_incidents(
            ((one.number, one.kind, one.at_us) for one in front.incidents.listed()), desk.book, now_us
        )
    finally:
        front.close()
    for one in found:
        print(json.dumps(to_json(one)) if args.json else f"OVERDUE {one.kind:9} {one.clause:10} {one.what}")
    if not found and not args.json:
        print("nothing is overdue")
    return 1 if found else 0
