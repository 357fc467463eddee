"""`department verify`: check the store."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import Any

from sync.department.commands import verify_log
from sync.department.ground.home import DepartmentHome
from sync.department.server.server import Department
from sync.department.server.verify import Checker


def add_parser(subparsers: Any) -> None:
    """The arguments."""
    parser = subparsers.add_parser(
        "verify",
        help="check every signature, tree, receipt and element of the store",
        description="Check the store: every leaf and its signature, every tree against what was co-signed, "
        "every receipt, every element against its commitment; what is missing must be purged by receipt.",
        epilog="example: department verify --home /srv/alpr",
    )
    verify_log.add_options(parser)
    parser.add_argument("--quick", action="store_true", help="signatures and trees alone, no content")


def run(args: argparse.Namespace) -> int:
    """Check; 1 when something is wrong."""
    if verify_log.asked(args):
        return verify_log.run(args)
    home = DepartmentHome.open(args.home)
    department = Department(home)
    try:
        public = home.log_key().public_key()
        checker = Checker(department.store, department.keys, department.packs, public)
        report = checker.run(content=not args.quick)
    finally:
        department.close()
    if args.json:
        print(json.dumps(asdict(report)))
    else:
        print(
            f"{report.logs} logs, {report.records} records, {report.elements} elements, "
            f"{report.receipts} receipts, {report.purged_days} purged days, {report.given_up} given up"
        )
        for problem in report.problems:
            print(f"WRONG {problem}")
        print("the store verifies" if not report.problems else f"{len(report.problems)} things are wrong")
    wrong_log = verify_log.of_home(home, args)
    return 1 if report.problems or wrong_log else 0
