"""`department incident`: what contradicted a unit's past, and its closing by two people (463.8)."""

from __future__ import annotations

import argparse
from typing import Any

from sync.department.commands import desk_access as desk
from sync.department.desk.incidents import calls as forms
from sync.department.desk.inquiry.calls import NothingForm


def add_parser(subparsers: Any) -> None:
    """The arguments."""
    example = "department incident close 3 --finding 'card was cloned on the bench' --user chief"
    parent = desk.verbs(
        subparsers, "incident", "forks, rollbacks and bad records of units; two people close one", example
    )
    one = desk.verb(parent, "list", "incidents, the open ones first", "department incident list --user chief")
    one.add_argument("--open", action="store_true", help="those that are not closed; exit 1 if there are any")
    one = desk.verb(parent, "close", "say that one is settled; the second person's word closes it", example)
    one.add_argument("entry", type=int, metavar="INCIDENT")
    one.add_argument("--finding", required=True, help="what it was, in words")


def run(args: argparse.Namespace) -> int:
    """Make the call."""
    if args.verb == "list":
        rows = desk.call(args, "incident/list", NothingForm())
        if args.open:
            rows = tuple(one for one in rows if one.state != "closed")
        columns = (
            "incident",
            "at_us",
            "kind",
            "unit_name",
            "times",
            "state",
            "first_by",
            "second_by",
            "detail",
        )
        desk.show(args, rows, columns)
        return 1 if args.open and rows else 0
    form = forms.SettleForm(incident=args.entry, finding=args.finding)
    made = desk.call(args, "incident/close", form)
    if args.json:
        desk.show(args, made)
    else:
        print(f"incident {args.entry}: " + ("closed" if made.closed else "a second person must close it too"))
    return 0
