"""`reader enrol CODE`: join a department."""

from __future__ import annotations

import argparse
import json
from typing import Any

from firmware.custody.opening import open_ledger, sync_folder
from firmware.errors import DONE
from firmware.frames.record import software_version
from firmware.run.app import prepare_home
from sync.enrolment import join
from sync.ledger_outbox import LedgerOutbox


def add_parser(subparsers: Any) -> None:
    """The arguments."""
    parser = subparsers.add_parser(
        "enrol",
        help="join a department with its one-time code",
        description="Join a department: its keys, this unit's certificate, policy, roster and day keys. "
        "From then on content is sealed to the department, and look-ups are made there.",
        epilog="example: reader enrol ALPR1-...",
    )
    parser.add_argument("code", metavar="CODE", help="as `department enrol` printed it")


def run(args: argparse.Namespace) -> int:
    """Join."""
    prepare_home(args.home)
    folder = sync_folder(args.home)
    with open_ledger(args.home) as ledger:
        member = join(LedgerOutbox(ledger, folder.inbox), folder, args.code, software=software_version()[:64])
    if args.json:
        facts = {"unit": member.unit_id, "name": member.name, "department": member.department}
        print(json.dumps(facts))
    else:
        print(f"this unit is {member.name} ({member.unit_id}) of {member.department}")
        print(f"it speaks to {member.unit_address}; next: reader sync now")
    return DONE
