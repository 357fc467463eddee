"""`department share`: another agency's written request, its review, the decision, the delivery (463.6)."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from sync.department.commands import desk_access as desk
from sync.department.commands.out_files import new_file
from sync.department.desk.audit.rules import utc_text
from sync.department.desk.inquiry.calls import NothingForm
from sync.department.desk.json_forms import to_json
from sync.department.desk.sharing import calls as forms
from sync.department.journal.sharing_entries import Scope


def add_parser(subparsers: Any) -> None:
    """The arguments."""
    example = (
        "department share record --letter request.pdf --agency 'Pasadena Police Department' --kind "
        "law-enforcement --state CA --person 'Sgt. Lee' --intended 'robbery of 3 May' --number PA-26-77 "
        "--plate 7ABC123 --since 2026-05-01 --until 2026-05-08 --user super"
    )
    parent = desk.verbs(subparsers, "share", "sharing with other agencies (463.6)", example)
    one = desk.verb(parent, "record", "enter a written request", example)
    one.add_argument("--letter", type=Path, required=True, help="the request itself, as it came")
    for name, about in (
        ("agency", "name of the agency: 463.6 (a) 1"),
        ("person", "name of the person requesting: 463.6 (a) 2"),
        ("intended", "what the information is for: 463.6 (a) 3"),
        ("number", "the agency's case or request number: 463.6 (a) 3"),
    ):
        one.add_argument(f"--{name}", default="", help=about)
    # no default: whoever enters a request says what the agency is, and where
    one.add_argument("--kind", required=True, help="law-enforcement, prosecutor, federal, or what it is")
    one.add_argument("--state", required=True, help="two letters, or US for federal agencies")
    one.add_argument("--agreement", default="", help="the standing agreement it comes under, e.g. lasd")
    _scope(one)
    desk.verb(parent, "list", "written requests, the newest first", "department share list --user chief")
    one = desk.verb(
        parent, "letter", "read a written request", "department share letter 41 --out letter.pdf --user chief"
    )
    one.add_argument("entry", type=int)
    one.add_argument("--out", type=Path, required=True, metavar="FILE")
    one = desk.verb(
        parent,
        "review",
        "note your review",
        "department share review 41 --note 'letter is complete' --user chief",
    )
    one.add_argument("entry", type=int)
    one.add_argument("--note", required=True)
    for name in ("approve", "refuse"):
        one = desk.verb(
            parent,
            name,
            f"{name} a reviewed request",
            f"department share {name} 41 --note 'known case' --user chief",
        )
        one.add_argument("entry", type=int)
        one.add_argument("--note", required=True)
    delivering = (
        "department share deliver 41 --out pasadena.zip --plate 7ABC123 --since 2026-05-01 --until "
        "2026-05-08 --purpose investigation --case 26-001234 --why 'approved request PA-26-77' --user super"
    )
    one = desk.verb(parent, "deliver", "build the package", delivering)
    one.add_argument("entry", type=int)
    one.add_argument("--out", type=Path, required=True, metavar="ZIP")
    _scope(one)
    desk.add_ground(one)


def _scope(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--plate",
        action="append",
        default=[],
        dest="plates",
        metavar="PLATE",
        help="a full plate; more than once for several",
    )
    parser.add_argument("--since", required=True, metavar="TIME", help="ISO 8601, UTC")
    parser.add_argument("--until", required=True, metavar="TIME", help="ISO 8601, UTC")
    parser.add_argument("--images", action="store_true", help="images too")


def _scope_of(args: argparse.Namespace) -> Scope:
    return Scope(
        plates=tuple(args.plates),
        since_us=desk.time_of(args.since, "--since"),
        until_us=desk.time_of(args.until, "--until"),
        images=args.images,
    )


def run(args: argparse.Namespace) -> int:
    """Make the call."""
    if args.verb == "record":
        form = forms.ShareForm(
            agency=args.agency,
            agency_kind=args.kind,
            state=args.state,
            person=args.person,
            purpose=args.intended,
            number=args.number,
            letter=desk.read_bytes(args.letter),
            letter_name=args.letter.name,
            scope=_scope_of(args),
            agreement=args.agreement,
        )
        desk.show(args, desk.call(args, "share/record", form))
    elif args.verb == "list":
        columns = ("request", "agency", "person", "number", "agreement", "state", "delivered", "transfers")
        desk.show(args, desk.call(args, "share/list", NothingForm()), columns)
    elif args.verb == "letter":
        with new_file(args.out) as out:
            shown = desk.call(args, "share/letter", forms.RequestForm(request=args.entry))
            out.fill(shown.letter)
        scope = shown.scope
        if args.json:
            print(json.dumps(to_json({"request": shown.request, "name": shown.name, "scope": scope})))
        else:
            since, until = utc_text(scope.since_us), utc_text(scope.until_us)
            images = "with images" if scope.images else "without images"
            print(f"{args.out}: {shown.name}, as it came")
            print(f"scope: {', '.join(scope.plates)} from {since} to {until}, {images}")
    elif args.verb == "review":
        review = forms.ReviewForm(request=args.entry, note=args.note)
        desk.show(args, desk.call(args, "share/review", review))
    elif args.verb in {"approve", "refuse"}:
        decision = forms.DecisionForm(request=args.entry, approved=args.verb == "approve", note=args.note)
        desk.show(args, desk.call(args, "share/decide", decision))
    else:
        delivery = forms.DeliverForm(request=args.entry, scope=_scope_of(args), ground=desk.ground_of(args))
        with new_file(args.out) as out:
            made = desk.call(args, "share/deliver", delivery)
            out.fill(made.package)
        facts = {"entry": made.entry, "count": made.count, "digest": made.digest, "file": str(args.out)}
        words = f"{args.out}: {made.count} reads, SHA-256 {made.digest}, entry {made.entry}"
        desk.told(args, facts | {"transfer": made.transfer}, words, unwitnessed=made.unwitnessed)
    return 0
