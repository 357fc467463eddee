"""`department audit`: the access log as ALPR Requests, the periodic audit, findings (463.5 (b), (c))."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from storage.counts import counted
from storage.spreadsheet import csv_of_fields
from sync.command_frame import noun
from sync.department.commands import desk_access, given_files
from sync.department.commands.out_files import new_file
from sync.department.desk.audit import calls
from sync.department.desk.audit.case_calls import CompareForm
from sync.department.desk.audit.event_calls import EventsForm
from sync.department.desk.audit.events import csv_text as events_csv
from sync.department.desk.audit.rules import csv_text
from sync.department.desk.inquiry.forms import NothingForm
from sync.errors import DONE, FOUND_WRONG
from sync.plate_option import HELP, PLATE

audit = noun(
    "audit",
    "The access log, its periodic audit and findings (463.5).",
    example="department audit list --user reviewer1 --since 2026-10-01 --csv",
)


@desk_access.desk_verb(
    audit, "list", example="department audit list --user reviewer1 --since 2026-10-01 --csv"
)
@desk_access.time_option("--since", "since_us", "Accesses from then on.", default=0)
@desk_access.time_option("--until", "until_us", "Accesses until then.", default=calls.FOREVER_US)
@click.option(
    "--of", "user", default="", metavar="USER", help="The person who ran it, or in whose name it ran."
)
@click.option("--purpose", default="", help="Accesses for this purpose.")
@click.option(
    "--plate",
    type=PLATE,
    default="",
    help=f"Searches for this plate, also by wildcards, but none only by place or unit. {HELP}",
)
@click.option("--finding", type=int, default=-1, metavar="N", help="Accesses of a finding, to review it.")
@click.option("--csv", is_flag=True, help="Print the RMS export, one ALPR Request per line.")
def list_accesses(terminal: desk_access.Terminal, *, csv: bool, **fields: Any) -> int:
    """List accesses by period, user, purpose and plate."""
    form = calls.AuditForm(**fields)
    found = terminal.call("audit/read", form)
    if csv:
        print(csv_text(found), end="")
        return DONE
    columns = ("entry", "date_time", "username", "on_behalf_of", "action", "purpose", "number", "results")
    more = ("data_elements", "justification") if form.finding >= 0 else ()  # what a reviewer must judge
    return terminal.show(found, (*columns, "rms_number", *more))


@desk_access.desk_verb(audit, "run", example="department audit run --user super")
@desk_access.time_option("--since", "since_us", "Default: the end of the last audit.", default=-1)
@desk_access.time_option("--until", "until_us", "Default: now.", default=-1)
def run_audit(terminal: desk_access.Terminal, *, since_us: int, until_us: int) -> int:
    """Run the periodic audit: detectors, sample, findings. The exit status is 1 if it opened any."""
    report = terminal.call("audit/run", calls.PeriodForm(since_us=since_us, until_us=until_us))
    terminal.show(report)
    return FOUND_WRONG if report.findings else DONE


@desk_access.desk_verb(
    audit, "events", example="department audit events --kind refusal --csv --user reviewer1"
)
@desk_access.time_option("--since", "since_us", "Events from then on.", default=0)
@desk_access.time_option("--until", "until_us", "Events until then.", default=calls.FOREVER_US)
@click.option(
    "--of", "user", default="", metavar="USER", help="The person who acted, or the person concerned."
)
@click.option("--kind", default="", help="refusal, login, account, credential, change decided, ...")
@click.option("--before", type=int, default=-1, metavar="ENTRY", help="The page before this entry.")
@click.option("--finding", type=int, default=-1, metavar="N", help="Events of a finding, to review it.")
@click.option("--csv", is_flag=True, help="One event per line.")
def list_events(terminal: desk_access.Terminal, *, csv: bool, **fields: Any) -> int:
    """List refusals, failed logins, accounts, resets and approvals, newest first."""
    page = terminal.call("audit/events", EventsForm(**fields))
    if csv:
        print(events_csv(page.rows), end="")
        return DONE
    columns = ("entry", "date_time", "kind", "user", "about", "second", "outcome", "detail")
    return terminal.show(page.rows, columns)


@desk_access.desk_verb(audit, "compare", example="department audit compare cad-export.csv --user super")
@click.argument("export", type=given_files.FILE, metavar="CSV")
def compare(terminal: desk_access.Terminal, *, export: Path) -> int:
    """Compare case numbers with an export of CAD or RMS. The exit status is 1 if a number does not exist."""
    found = terminal.call("audit/compare", CompareForm(export=given_files.read_bytes(export)))
    terminal.show(found)
    return FOUND_WRONG if found.unknown else DONE


desk_access.form_verb(
    audit,
    "numbers",
    "audit/numbers",
    "Count accesses by purpose, person, action and day.",
    desk_access.time_option("--since", "since_us", "Accesses from then on.", default=0),
    desk_access.time_option("--until", "until_us", "Accesses until then.", default=calls.FOREVER_US),
    click.option("--action", default="", help="search, image, export, delivery, answer. Default: all."),
    example="department audit numbers --since 2026-10-01 --user reviewer1",
)


@desk_access.desk_verb(audit, "bundle", example="department audit bundle --out audit.zip --user reviewer1")
@desk_access.out_option("ZIP")
def make_bundle(terminal: desk_access.Terminal, *, out: Path) -> int:
    """Write an auditor's bundle: the log's tree and the public counts, without a plate.

    An auditor checks it offline: department verify audit.zip --key LOGKEY --witness-key KEYS
    """
    with new_file(out) as file:
        made = terminal.call("audit/bundle", NothingForm())
        file.fill(made.bundle)
    facts = {"entries": made.entries, "digest": made.digest, "file": str(out)}
    words = f"{out}: {counted(made.entries, 'entry')}, SHA-256 {made.digest}"
    return terminal.report(facts, words, unwitnessed=False)


desk_access.form_verb(
    audit,
    "public",
    "transparency/read",
    "Show the public counts, up to the end of the last week.",
    example="department audit public --user reviewer1",
)
FINDING_COLUMNS = (
    *("finding", "detector", "about", "reviewer", "due_us", "verdict", "detail"),
    *("accesses", "reason", "note"),
)


@desk_access.desk_verb(audit, "findings", example="department audit findings --user reviewer1")
@click.option("--csv", is_flag=True, help="One finding per line.")
def list_findings(terminal: desk_access.Terminal, *, csv: bool) -> int:
    """List findings, open ones first."""
    found = terminal.call("audit/findings", NothingForm())
    if csv:
        print(csv_of_fields(FINDING_COLUMNS, found), end="")
        return DONE
    return terminal.show(found, FINDING_COLUMNS)


desk_access.form_verb(
    audit,
    "close",
    "audit/close",
    "Close a finding assigned to you.",
    desk_access.entry("finding"),
    desk_access.text("--verdict", "verdict", "justified, unclear or misuse."),
    desk_access.text("--note", "note", "What you found."),
    example="department audit close 41 --verdict justified --note 'read the case file, the plate is in it' "
    "--user reviewer1",
)
