"""`reader export`: an evidence package on portable media, which a stranger verifies (463.8)."""

from __future__ import annotations

import argparse
from pathlib import Path

from firmware.custody.asking import add_person, asking, request_of, signed
from firmware.errors import DONE, UsageError
from storage.door import export_subject
from storage.portable import write_package

ELEMENTS = ("text", "place", "patch", "overview")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `export` to the command line."""
    parser = subparsers.add_parser(
        "export",
        help="an evidence package for court (463.8)",
        description="Writes a package: content, images, signatures, proofs, cover sheet, every access. "
        "Check it anywhere with: reader verify PACKAGE --key LOG.PUB",
        epilog="example: reader export --hold 57 --number E-2026-118 --to /media/usb/E-2026-118 "
        "--user demo-admin --role administrator --purpose investigation --case 26-0815",
    )
    parser.add_argument("records", nargs="*", type=int, metavar="RECORD", help="record numbers, or --hold")
    parser.add_argument("--hold", type=int, metavar="HOLD", help="export what this hold holds")
    parser.add_argument("--number", required=True, help="case or evidence number for the cover sheet")
    parser.add_argument(
        "--to", required=True, type=Path, metavar="FOLDER", help="a folder that is not there yet"
    )
    parser.add_argument("--withhold", action="append", default=[], choices=ELEMENTS, help="leave this out")
    add_person(parser)


def run(args: argparse.Namespace) -> int:
    """Write the package."""
    if bool(args.records) == (args.hold is not None):
        raise UsageError("name record numbers or --hold, one of the two")
    if args.to.exists():
        raise UsageError(f"--to {args.to}: is there already")
    records, withhold = tuple(args.records), tuple(sorted(set(args.withhold)))
    subject = export_subject(records, args.hold, args.number, withhold)
    with asking(args.home) as ask:
        body = signed(ask, args.home, request_of(args, "export", subject), args.credential)
        body |= {
            "records": list(records),
            "hold": args.hold,
            "number": args.number,
            "withhold": list(withhold),
        }
        answer = ask("export", body)
    write_package(args.to, answer["files"])
    print(f"{args.to}: {len(answer['files'])} files; verify with: reader verify {args.to} --key LOG.PUB")
    return DONE
