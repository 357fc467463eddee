"""`reader selftest`: tests every part, without a plate."""

from __future__ import annotations

import argparse
import json

from firmware.commands import Subparsers
from firmware.console.consoles import own_camera
from firmware.console.plate_spots import PlateSpots
from firmware.console.selftest import self_test
from firmware.custody.opening import open_ledger
from firmware.errors import DONE, FOUND_WRONG, PART_LACKING, UsageError
from firmware.run.app import prepare_home
from firmware.settings.config import load_config
from hw.clock import SystemClock
from hw.vitals import SysfsBoard
from storage.errors import HomeLockedError


def add_parser(subparsers: Subparsers) -> None:
    """Add `selftest` to the command line."""
    parser = subparsers.add_parser(
        "selftest",
        help="test every part, without a plate",
        description="Tests key slot, log, disk, temperature, network, clock, camera, picture and detector, "
        "and shows no plate. Exit status: 0 all good, 1 something wrong, 3 a part is not there.",
        epilog="example: reader selftest --source camera",
    )
    parser.add_argument("--source", metavar="SOURCE", help="as for run (default: as config.toml says)")


def run(args: argparse.Namespace) -> int:
    """Run the checks."""
    prepare_home(args.home)
    config, clock = load_config(args.home), SystemClock()
    try:
        ledger = open_ledger(args.home)
    except HomeLockedError:
        raise UsageError("a reader runs on this home: use selftest on its console, or stop it") from None
    with ledger:
        checks = list(
            self_test(
                ledger=ledger,
                clock=clock,
                board=SysfsBoard(args.home),
                newest=own_camera(config, clock, source=args.source),
                find=PlateSpots(),
            )
        )
    for check in checks:
        word = {True: "ok", False: "WRONG", None: "skipped"}[check.good]
        if args.json:
            print(json.dumps({"check": check.name, "good": check.good, "detail": check.detail}))
        else:
            print(f"{word:<8} {check.name:<14} {check.detail}")
    if any(check.good is False for check in checks):
        return FOUND_WRONG
    return PART_LACKING if any(check.good is None and check.name == "camera" for check in checks) else DONE
