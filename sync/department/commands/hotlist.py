"""`department hotlist push`: sign a hot list, and offer it to units. `list`: what is out."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select

from sync.department.ground.home import DepartmentHome
from sync.department.ground.local_time import now_us
from sync.department.server.server import Department
from sync.department.store.tables import documents
from sync.department.units import documents as down
from sync.errors import ConfigError

MAX_HOURS = 24 * 31
HOUR_US = 3_600_000_000


def add_parser(subparsers: Any) -> None:
    """The arguments."""
    parser = subparsers.add_parser(
        "hotlist",
        help="sign a hot list and offer it to units; see what is out",
        description="Sign a hot list with the command key and offer it to units. After its hours it no "
        "longer matches; push it again before that.",
        epilog="example: department hotlist push --id stolen --hours 24 stolen.csv",
    )
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    push = verbs.add_parser("push", help="sign and offer a list")
    push.add_argument("file", type=Path, help="the list, as `reader hotlist import` takes it")
    push.add_argument("--id", required=True, help="the list's name: letters, digits, . _ -")
    push.add_argument("--hours", type=int, default=24, help=f"how long it matches, 1 to {MAX_HOURS}")
    push.add_argument("--unit", default="", help="for this unit alone (its id)")
    verbs.add_parser("list", help="what is out")


def run(args: argparse.Namespace) -> int:
    """Push or list."""
    home = DepartmentHome.open(args.home)
    department = Department(home)
    try:
        if args.verb == "list":
            return _list(department, as_json=args.json)
        if not 1 <= args.hours <= MAX_HOURS:
            raise ConfigError(f"1 to {MAX_HOURS}", where="--hours")
        try:
            body = args.file.read_bytes()
        except OSError as error:
            raise ConfigError(f"cannot be read: {error.strerror}", where=str(args.file)) from None
        name, now = f"hot-list/{args.id}", now_us()
        expires = now + args.hours * HOUR_US
        version = down.send(home, department.store, name, body, now, args.unit, expires)
        print(
            json.dumps({"name": name, "version": version}) if args.json else f"out: {name}, version {version}"
        )
    finally:
        department.close()
    return 0


def _list(department: Department, *, as_json: bool) -> int:
    with department.store.read() as connection:
        rows = connection.execute(
            select(documents.c.name, documents.c.unit_id, documents.c.version, documents.c.at_us).order_by(
                documents.c.name
            )
        ).all()
    for row in rows:
        since = datetime.fromtimestamp(row.at_us / 1e6, UTC).strftime("%Y-%m-%d %H:%MZ")
        if as_json:
            print(json.dumps({"name": row.name, "unit": row.unit_id, "version": row.version, "since": since}))
        else:
            print(f"{since}  {row.name}  version {row.version}  {row.unit_id or 'every unit'}")
    return 0
