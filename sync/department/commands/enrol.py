"""`department enrol`: one-time codes for units; their list; their revocation."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from typing import Any

from sync.department.ground.home import DepartmentHome
from sync.department.ground.local_time import now_us
from sync.department.server.server import Department
from sync.department.units import documents as down
from sync.root_file import describe


def add_parser(subparsers: Any) -> None:
    """The arguments."""
    parser = subparsers.add_parser(
        "enrol",
        help="issue a unit's one-time code; list or revoke units",
        description="Issue the one-time code with which a unit joins (`reader enrol CODE`). The code is good "
        "for one unit, once, for the hours that the settings say.",
        epilog="example: department enrol --name 'Car 12'",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--name", help="the new unit's name")
    what.add_argument("--list", action="store_true", help="list the units")
    what.add_argument("--revoke", metavar="UNIT", help="this unit (name or id) may speak no more")
    parser.add_argument("--why", default="", help="with --revoke: the reason, for the record")


def _moment(us: int | None) -> str:
    return "-" if us is None else datetime.fromtimestamp(us / 1e6, UTC).strftime("%Y-%m-%d %H:%MZ")


def run(args: argparse.Namespace) -> int:
    """Issue, list or revoke."""
    home = DepartmentHome.open(args.home)
    department = Department(home)
    try:
        enrolment = department.enrolment
        if args.list:
            for unit in enrolment.listed():
                if args.json:
                    facts = {
                        "unit": unit.unit_id,
                        "name": unit.name,
                        "enrolled_us": unit.enrolled_us,
                        "seen_us": unit.seen_us,
                        "revoked_us": unit.revoked_us,
                    }
                    print(json.dumps(facts))
                else:
                    state = "revoked" if unit.revoked_us else "enrolled"
                    print(f"{unit.unit_id}  {state:8}  seen {_moment(unit.seen_us):16}  {unit.name}")
            return 0
        if args.revoke:
            enrolment.revoke(args.revoke, args.why)
            print(f"revoked: {args.revoke}")
            return 0
        down.refresh(home, department.store, department.keys, now_us())
        root, _ = describe(enrolment.root_file())
        code = enrolment.issue_code(args.name, root.digest()).text()
        if args.json:
            print(json.dumps({"name": args.name, "code": code, "hours": home.settings.code_hours}))
        else:
            print(code)
    finally:
        department.close()
    return 0
