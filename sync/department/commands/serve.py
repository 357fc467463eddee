"""`department serve`: run the receiver, the enrolment and the desk."""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import Any

from sync.department.desk import api
from sync.department.desk.context import Front
from sync.department.ground.home import DepartmentHome
from sync.department.server import daily
from sync.department.server.open_desk import front_of
from sync.department.server.retention import Retention
from sync.department.server.server import Department, serve


def add_parser(subparsers: Any) -> None:
    """The arguments."""
    subparsers.add_parser(
        "serve",
        help="run the server: receiver, enrolment, desk, daily purge",
        description="Run the department's server until it is told to stop (Ctrl-C, SIGTERM). Events go to "
        "stderr as JSON lines, never with a plate.",
        epilog="example: department serve --home /srv/alpr",
    )


def run(args: argparse.Namespace) -> int:
    """Serve."""
    home = DepartmentHome.open(args.home)

    def ready(unit_port: int, desk_port: int) -> None:
        if args.json:
            print(json.dumps({"unit_port": unit_port, "desk_port": desk_port}), flush=True)
        else:
            print(f"units: port {unit_port}; desk and enrolment: port {desk_port}; Ctrl-C ends", flush=True)

    with home.locked():
        department = Department(home)
        try:
            front = front_of(department)
            try:
                asyncio.run(
                    serve(department, api.routes(front), ready, lambda: _daily(front, department.retention))
                )
            finally:
                if front is not None:
                    front.close()
        finally:
            department.close()
    return 0


def _daily(front: Front | None, retention: Retention) -> None:
    if front is not None:
        daily.run(front, retention)
