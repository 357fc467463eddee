"""`department purge`: what is kept until when (463.8), and purge what is due now."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from sync.department.ground.home import DepartmentHome
from sync.department.ground.local_time import now_us
from sync.department.server import daily
from sync.department.server.open_desk import front_of
from sync.department.server.server import Department


def add_parser(subparsers: Any) -> None:
    """The arguments."""
    parser = subparsers.add_parser(
        "purge",
        help="purge what was received over a year ago; --plan shows what is due when",
        description="Purge every day of receipt that has been kept its full year (463.8), and print the "
        "receipts. The running server does the same by itself every day.",
        epilog="example: department purge --plan",
    )
    parser.add_argument("--plan", action="store_true", help="only show what is held and when it goes")


def _day(day: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)).strftime("%Y-%m-%d")


def run(args: argparse.Namespace) -> int:
    """Plan or purge."""
    department = Department(DepartmentHome.open(args.home))
    try:
        if args.plan:
            for one in department.retention.plan():
                records, parts = department.retention.counted(one.day)
                goes = _day(one.due_us // 86_400_000_000)
                overdue = one.overdue_days(now_us())
                if args.json:
                    facts = {"received": _day(one.day), "goes": goes, "records": records, "elements": parts}
                    print(json.dumps(facts | {"overdue_days": overdue}))
                else:
                    late = f"  OVERDUE {overdue} days" if overdue else ""
                    print(f"received {_day(one.day)}  goes {goes}  {records} records, {parts} elements{late}")
            return 0
        receipts = department.retain()
        front = front_of(department)
        if front is not None:
            try:
                daily.enter_purges(front.desk, department.retention)
            finally:
                front.close()
    finally:
        department.close()
    for receipt in receipts:
        if args.json:
            print(json.dumps(asdict(receipt)))
        else:
            print(
                f"purged: received {_day(receipt.day)}, {receipt.records} records, "
                f"{receipt.elements} elements, {receipt.packs} packs, {receipt.clause}"
            )
    if not receipts and not args.json:
        print("nothing is due")
    return 0
