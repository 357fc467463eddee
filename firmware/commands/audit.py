"""`reader audit`: the access log by period, user, purpose and plate; as CSV in the form "ALPR Request"."""

from __future__ import annotations

import argparse
import json

from firmware.custody.asking import FOR_EVER_US, add_credential, asking, signed, time_us
from firmware.errors import DONE
from storage.access import Request, normal_role
from storage.audit import AuditFilter, AuditLine, as_csv
from storage.codec import from_plain, to_plain
from storage.door import audit_subject


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `audit` to the command line."""
    parser = subparsers.add_parser(
        "audit",
        help="the access log, form ALPR Request (463.5)",
        description="Lists who asked for content: date and time, data elements, user, organisation, purpose. "
        "For administrator, CCAT supervisor or reviewer; reading the access log is an entry of its own.",
        epilog="example: reader audit --since 30d --csv > alpr-requests.csv",
    )
    parser.add_argument(
        "--since", type=time_us, default=0, metavar="T", help="ISO time (UTC) or age: 12h, 3d"
    )
    parser.add_argument("--until", type=time_us, default=FOR_EVER_US, metavar="T", help="as --since")
    parser.add_argument("--user", metavar="U", help="entries of this user only")
    parser.add_argument("--purpose", metavar="P", help="entries for this purpose only")
    parser.add_argument("--plate", metavar="P", help="entries that searched for this plate")
    parser.add_argument("--csv", action="store_true", help="CSV for the records management system")
    parser.add_argument("--as", dest="auditor", default="demo-reviewer", metavar="USER", help="who audits")
    parser.add_argument("--role", default="reviewer", help="in which role (default: reviewer)")
    add_credential(parser)


def run(args: argparse.Namespace) -> int:
    """Print the entries."""
    wanted = AuditFilter(
        since_us=args.since,
        until_us=args.until,
        user=args.user,
        purpose=args.purpose or None,
        plate=args.plate,
    )
    request = Request(
        action="audit",
        user=args.auditor,
        role=normal_role(args.role),
        purpose="audit (463.5 c)",
        case_number="",
        subject=f"access log {audit_subject(wanted)}",
    )
    with asking(args.home) as ask:
        body = signed(ask, args.home, request, args.credential)
        answer = ask("audit", body | {"filter": to_plain(wanted)})
    lines = [from_plain(AuditLine, one) for one in answer["lines"]]
    if args.csv:
        print(as_csv(lines), end="")
    elif args.json:
        for one in answer["lines"]:
            print(json.dumps(one))
    else:
        for line in lines:
            print("  ".join(cell for cell in line.row()[1:] if cell))
        print(f"{len(lines)} entries; this audit is record {answer['entry']}")
    return DONE
