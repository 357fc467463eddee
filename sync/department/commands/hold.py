"""`department hold`: hold reads, export them, book the medium, release by two (463.8)."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from sync.department.commands import desk_access as desk
from sync.department.commands.out_files import new_file
from sync.department.desk.holds import calls as forms
from sync.department.desk.inquiry.calls import NothingForm


def add_parser(subparsers: Any) -> None:
    """The arguments."""
    ground = "--purpose investigation --case 26-001234 --why 'subpoena of 3 May' --user super"
    example = (
        "department hold place READ --ground discovery --authority 'Superior Court' --number 26-CV-0815 "
        f"{ground}"
    )
    parent = desk.verbs(subparsers, "hold", "holds and evidence", example)
    one = desk.verb(parent, "place", "keep reads beyond their year, on one of the five grounds", example)
    one.add_argument("reads", nargs="+", metavar="READ")
    one.add_argument(
        "--ground", required=True, help="evidence-criminal, evidence-civil, expected-evidence, ..."
    )
    one.add_argument("--authority", required=True, help="court, prosecutor or investigator")
    one.add_argument("--number", required=True, help="the case or request number")
    desk.add_ground(one)
    one = desk.verb(
        parent,
        "export",
        "download a hold onto portable media",
        f"department hold export 41 --out E.zip {ground}",
    )
    one.add_argument("entry", type=int)
    one.add_argument("--out", type=Path, required=True, metavar="ZIP")
    one.add_argument("--medium", default="", help="the medium's label; default: the file's name")
    desk.add_ground(one)
    desk.verb(parent, "list", "holds, the newest first", "department hold list --user super")
    for name, about, who in (
        ("book", "enter the evidence item number of the medium", "super"),
        ("ask-release", "ask for the release (first person)", "super"),
        ("release", "release (second person): destroys the held content", "chief"),
    ):
        one = desk.verb(parent, name, about, f"department hold {name} 41 --item E-26-0042 --user {who}")
        one.add_argument("entry", type=int)
        one.add_argument("--item", required=True, help="the evidence item number")


def run(args: argparse.Namespace) -> int:
    """Make the call."""
    if args.verb == "place":
        form = forms.HoldForm(
            reads=tuple(args.reads),
            hold_ground=args.ground,
            authority=args.authority,
            number=args.number,
            ground=desk.ground_of(args),
        )
        desk.show(args, desk.call(args, "hold/place", form))
    elif args.verb == "list":
        columns = ("hold", "placed_by", "reads", "ground", "number", "evidence_item", "state")
        desk.show(args, desk.call(args, "hold/list", NothingForm()), columns)
    elif args.verb == "export":
        order = forms.ExportForm(
            hold=args.entry, medium=args.medium or args.out.name, ground=desk.ground_of(args)
        )
        with new_file(args.out) as out:
            made = desk.call(args, "hold/export", order)
            out.fill(made.package)
        facts = {"hold": made.hold, "entry": made.entry, "digest": made.digest, "file": str(args.out)}
        words = f"{args.out}: SHA-256 {made.digest}, entry {made.entry}; then: department hold book"
        desk.told(args, facts, words, unwitnessed=made.unwitnessed)
    else:
        booking = forms.BookForm(hold=args.entry, evidence_item=args.item)
        desk.show(args, desk.call(args, f"hold/{args.verb}", booking))
    return 0
