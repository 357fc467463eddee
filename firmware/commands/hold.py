"""`reader hold`: keep records beyond their day, on one of the five grounds of 463.8."""

from __future__ import annotations

import argparse

from firmware.custody.asking import add_person, asking, request_of, signed
from firmware.errors import DONE
from storage.door import hold_subject
from storage.policy import GROUNDS


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `hold` to the command line."""
    grounds = "; ".join(f"{name}: {sentence}" for name, sentence in GROUNDS.items())
    parser = subparsers.add_parser(
        "hold",
        help="keep records beyond their day, on a ground and an authority (463.8)",
        description=f"Moves the content of reads under a key of their own. Grounds: {grounds}.",
        epilog="example: reader hold 41 42 --user demo-admin --role administrator --purpose investigation "
        '--case 26-0815 --ground discovery --authority "Superior Court" --number BC-77123',
    )
    parser.add_argument("records", nargs="+", type=int, metavar="RECORD", help="record numbers from a query")
    add_person(parser)
    parser.add_argument("--ground", required=True, help=f"one of {', '.join(GROUNDS)}")
    parser.add_argument("--authority", required=True, help="who orders it")
    parser.add_argument("--number", required=True, help="the authority's number for it")


def run(args: argparse.Namespace) -> int:
    """Place the hold; prints its number."""
    records = tuple(args.records)
    subject = hold_subject(records, args.ground, args.authority, args.number)
    with asking(args.home) as ask:
        body = signed(ask, args.home, request_of(args, "hold", subject), args.credential)
        body |= {
            "records": list(records),
            "ground": args.ground,
            "authority": args.authority,
            "number": args.number,
        }
        answer = ask("hold", body)
    print(
        f'{{"hold": {answer["hold"]}}}'
        if args.json
        else f"held: {len(records)} records, hold {answer['hold']}"
    )
    return DONE
