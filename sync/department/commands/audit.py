"""`department audit`: the access log as ALPR Requests, the periodic audit, findings (463.5 (b), (c))."""

from __future__ import annotations

import argparse
from typing import Any

from sync.department.commands import desk_access as desk
from sync.department.desk.audit import calls as forms
from sync.department.desk.audit.rules import csv_text
from sync.department.desk.inquiry.calls import NothingForm


def add_parser(subparsers: Any) -> None:
    """The arguments."""
    example = "department audit list --user reviewer1 --since 2026-10-01 --csv"
    parent = desk.verbs(subparsers, "audit", "the access log, its periodic audit and findings", example)
    one = desk.verb(parent, "list", "accesses by period, user, purpose, plate", example)
    one.add_argument("--since", default="", metavar="TIME")
    one.add_argument("--until", default="", metavar="TIME")
    one.add_argument("--of", default="", metavar="USER", help="who ran it or in whose name")
    one.add_argument("--purpose", default="")
    one.add_argument("--plate", default="")
    one.add_argument("--finding", type=int, default=-1, metavar="N", help="those of a finding, to review it")
    one.add_argument("--csv", action="store_true", help="the hand-over to the RMS, one ALPR Request a line")
    one = desk.verb(
        parent,
        "run",
        "the periodic audit: detectors, sample, findings; exit 1 if it opened any",
        "department audit run --user super",
    )
    one.add_argument("--since", default="", metavar="TIME", help="default: the end of the last audit")
    one.add_argument("--until", default="", metavar="TIME", help="default: now")
    desk.verb(parent, "findings", "findings, open ones first", "department audit findings --user reviewer1")
    one = desk.verb(
        parent,
        "close",
        "close a finding assigned to you",
        "department audit close 41 --verdict justified --note 'read the case file, the plate is in it' "
        "--user reviewer1",
    )
    one.add_argument("entry", type=int)
    one.add_argument("--verdict", required=True, help="justified, unclear or misuse")
    one.add_argument("--note", required=True, help="what was found")


def run(args: argparse.Namespace) -> int:
    """Make the call; `run` gives 1 when it opened findings."""
    if args.verb == "run":
        since, until = desk.period_of(args)
        report = desk.call(args, "audit/run", forms.PeriodForm(since_us=since, until_us=until))
        desk.show(args, report)
        return 1 if report.findings else 0
    if args.verb == "findings":
        seen = ("finding", "detector", "about", "reviewer", "due_us", "verdict", "detail")
        found = desk.call(args, "audit/findings", NothingForm())
        desk.show(args, found, (*seen, "accesses", "reason", "note"))
        return 0
    if args.verb == "close":
        form = forms.CloseForm(finding=args.entry, verdict=args.verdict, note=args.note)
        desk.show(args, desk.call(args, "audit/close", form))
        return 0
    since, until = desk.period_of(args)
    wanted = forms.AuditForm(
        since_us=max(since, 0),
        until_us=until if until >= 0 else forms.FOREVER_US,
        user=args.of,
        purpose=args.purpose,
        plate=args.plate,
        finding=args.finding,
    )
    found = desk.call(args, "audit/read", wanted)
    if args.csv:
        print(csv_text(found), end="")
        return 0
    columns = ("entry", "date_time", "username", "on_behalf_of", "action", "purpose", "number", "results")
    more = ("data_elements", "justification") if args.finding >= 0 else ()  # what a reviewer has to judge
    desk.show(args, found, (*columns, "rms_number", *more))
    return 0
