"""`reader release`: end a hold, with the evidence item it was booked as and a second person (463.8)."""

from __future__ import annotations

import argparse
from pathlib import Path

from firmware.custody.asking import add_person, asking, request_of, signed
from firmware.errors import DONE


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `release` to the command line."""
    parser = subparsers.add_parser(
        "release",
        help="end a hold, with evidence item and second person (463.8)",
        description="Ends a hold that was exported. Its content is purged with the next purge.",
        epilog="example: reader release 57 --item E-2026-118 --user demo-admin --role administrator "
        "--purpose investigation --case 26-0815 --second demo-designee --second-role designee",
    )
    parser.add_argument("hold", type=int, metavar="HOLD", help="the hold's number")
    parser.add_argument("--item", required=True, help="evidence item number it was booked as")
    add_person(parser)
    parser.add_argument("--second", required=True, metavar="USER", help="the second person")
    parser.add_argument("--second-role", required=True, metavar="ROLE", help="in which role")
    parser.add_argument("--second-credential", type=Path, metavar="KEYFILE", help="as --credential")


def run(args: argparse.Namespace) -> int:
    """Release the hold."""
    subject = f"release hold={args.hold} item={args.item}"
    with asking(args.home) as ask:
        body = signed(ask, args.home, request_of(args, "release", subject), args.credential)
        other = argparse.Namespace(**{**vars(args), "user": args.second, "role": args.second_role})
        second = signed(ask, args.home, request_of(other, "release", subject), args.second_credential)
        answer = ask("release", body | {"hold": args.hold, "evidence_item": args.item, "second": second})
    print(f'{{"release": {answer["release"]}}}' if args.json else f"hold {args.hold} released; purged next")
    return DONE
