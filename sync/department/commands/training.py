"""`department training`: record a training; list who is current (463.9)."""

from __future__ import annotations

import argparse
import time
from typing import Any

from sync.department.commands import desk_access as desk
from sync.department.desk.inquiry.calls import NothingForm
from sync.department.desk.operations import OPERATIONS
from sync.department.desk.people import calls as forms


def add_parser(subparsers: Any) -> None:
    """The arguments."""
    example = "department training record o1 --trainer super --course ALPR-463 --user super"
    parent = desk.verbs(subparsers, "training", "yearly training of 463.9", example)
    one = desk.verb(parent, "record", "record a training with all its topics", example)
    one.add_argument("name_of_user", metavar="USER")
    one.add_argument("--trainer", required=True, help="the CCAT supervisor; for him, who conducted it")
    one.add_argument("--course", required=True, help="an approved course of the policy file")
    one.add_argument(
        "--topics", default="equipment,department-policy,privacy-policy", help="463.9 (a) to (c)"
    )
    one.add_argument("--policy-version", type=int, default=0, help="default: the version in force")
    one.add_argument(
        "--held", default="", metavar="TIME", help="when it was held, ISO 8601, UTC; default: now"
    )
    desk.verb(parent, "list", "people and their training", "department training list --user super")


def run(args: argparse.Namespace) -> int:
    """Make the call."""
    if args.verb == "list":
        columns = ("user", "name", "roles", "active", "training", "training_ends_us")
        desk.show(args, desk.call(args, "training/list", NothingForm()), columns)
        return 0
    with desk.session(args) as (front, token):
        form = forms.TrainingForm(
            user=args.name_of_user,
            trainer=args.trainer,
            course=args.course,
            policy_version=args.policy_version or front.desk.policy.version,
            topics=tuple(args.topics.split(",")),
            held_us=desk.time_of(args.held, "--held") if args.held else time.time_ns() // 1000,
        )
        desk.show(args, OPERATIONS["training/record"].run(front, token, form))
    return 0
