"""`department controls`: the CJIS control table with each figure in force."""

from __future__ import annotations

import argparse
import json
import ssl
from typing import Any

from sync.department.content.key_remote import address_of
from sync.department.desk.json_forms import to_json
from sync.department.ground.home import DepartmentHome
from sync.department.ground.tls import suites_beyond
from sync.department.policy.controls import Facts, table
from sync.department.server.open_desk import FOLDER_SCHEME, open_desk


def add_parser(subparsers: Any) -> None:
    """The arguments."""
    subparsers.add_parser(
        "controls",
        help="the CJIS control table with each figure in force",
        description="Prints each control, what it asks, the figure in force and what is lacking.",
        epilog="example: department controls --home /srv/alpr",
    )


def run(args: argparse.Namespace) -> int:
    """Print the table."""
    home = DepartmentHome.open(args.home)
    desk = open_desk(home)
    try:
        facts = Facts(
            keys_elsewhere=address_of(home) is not None,
            witness_here=desk.root.witness_url.startswith(FOLDER_SCHEME),
            database=home.database_url.partition(":")[0],
            tls_beyond=suites_beyond(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)),
        )
        rows = table(desk.policy, desk.root, facts)
    finally:
        desk.close()
    for row in rows:
        if args.json:
            print(json.dumps(to_json(row)))
        else:
            print(f"{row.control:11} {row.asks}: {row.in_force}")
            if row.gap:
                print(f"{'':11} LACKS: {row.gap}")
    return 0
