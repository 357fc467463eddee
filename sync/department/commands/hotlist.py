"""`department hotlist`: import hot lists under the policy and offer them to units (463.7)."""

from __future__ import annotations

import re
from datetime import timedelta, tzinfo
from pathlib import Path
from typing import Any

import click

from storage.counts import counted
from storage.times import DAY_US, HOUR_US, MINUTE_US, now_us, parse_utc, us_of
from sync.command_frame import noun
from sync.department.commands import desk_access, given_files
from sync.department.desk.documents import lists, local, sources
from sync.department.desk.inquiry.forms import NothingForm
from sync.department.ground import local_time
from sync.errors import DONE, FOUND_WRONG
from sync.hot_lists.document import LONGEST_HOURS
from sync.plate_option import HELP, PLATE

PUSH = (
    "department hotlist push stolen.csv --id doj --layout ncic --category stolen-vehicle --issuer DOJ "
    "--source 'SVS daily' --why 'daily extract' --propose --user super"
)
HEADINGS = {
    "list_id": "LIST",
    "version": "VERSION",
    "entries": "ENTRIES",
    "extracted_us": "EXTRACTED",
    "expires_us": "EXPIRES",
    "expired": "EXPIRED",
    "issuer": "ISSUER",
    "source": "SOURCE",
    "agency": "AGENCY",
}

hotlist = noun("hotlist", "Import a hot list and offer it to units; show the current lists.", example=PUSH)


@desk_access.desk_verb(hotlist, "push", example=PUSH)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--id", "list_id", required=True, help="The list's name: letters, digits and -.")
@click.option("--layout", required=True, help="ncic, genetec, genetec-permit, vigilant or uk-16.")
@click.option(
    "--category",
    default="",
    help="Category of every entry, if the file has no column for it. Lines of another category are left out.",
)
@click.option("--issuer", required=True, help="Who made the list, e.g. DOJ.")
@click.option("--source", required=True, help="The extract; rejected hits count by source.")
@click.option("--agency", default="", help="The other agency that owns the list; the policy must enable it.")
@desk_access.time_option(
    "--extracted", "extracted_us", "When the source made the file, ISO 8601, UTC. Default: now.", default=0
)
@click.option(
    "--hours",
    type=click.IntRange(1, LONGEST_HOURS),
    default=24,
    show_default=True,
    help="How long the list matches.",
)
@desk_access.text("--why", "reason", "The reason, for the second person.")
@desk_access.second_person
def push(terminal: desk_access.Terminal, *, file: Path, **fields: Any) -> int:
    """Import a list under the policy, sign its next version and offer it, with a second person's approval.

    The command skips bad lines and says what is wrong with each; it refuses and counts categories that the
    policy does not name. Units that have the previous version get only the changes.
    """
    form = lists.ListForm(body=given_files.read_bytes(file), **fields)
    made = terminal.call("hotlist/push", form)
    if terminal.common.json:
        return terminal.show(made)
    print(f"{made.list_id}: {made.said}")
    if made.proposal >= 0:
        print(desk_access.wait_words(made.proposal))
    else:
        travels = (
            "units get a snapshot"
            if made.as_snapshot
            else f"{made.removed} removed and {made.added} added go to units"
        )
        print(f"out: version {made.version}, {counted(made.entries, 'entry')}; {travels}")
    return DONE


@desk_access.desk_verb(hotlist, "list", example="department hotlist list --user super")
def list_lists(terminal: desk_access.Terminal) -> int:
    """List the newest version of each hot list that a source's file made; for this department's own entries:
    department hotlist own.
    """
    return terminal.table(terminal.call("hotlist/list", NothingForm()), HEADINGS)


desk_access.form_verb(
    hotlist,
    "own",
    "hotlist/own",
    "List the department's own entries: case, requester and end; no plate.",
    example="department hotlist own --user super",
    columns={
        "case": "case",
        "category": "category",
        "requester": "requester",
        "approver": "approver",
        "until_us": "ends",
        "covert": "covert",
    },
)


@desk_access.desk_verb(
    hotlist, "diff", example="department hotlist diff new.csv --id doj --layout ncic --user super"
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--id", "list_id", required=True, help="The list's name.")
@click.option("--layout", required=True, help="ncic, genetec, genetec-permit, vigilant or uk-16.")
@click.option(
    "--category",
    default="",
    help="Category of every entry, if the file has no column for it. Lines of another category are left out.",
)
def diff(terminal: desk_access.Terminal, *, file: Path, list_id: str, layout: str, category: str) -> int:
    """Compare a file with the newest version of its list: count removed and added entries. Sends nothing."""
    form = sources.DiffForm(
        list_id=list_id, layout=layout, body=given_files.read_bytes(file), category=category
    )
    made = terminal.call("hotlist/diff", form)
    if terminal.common.json:
        return terminal.show(made)
    print(f"{made.list_id}: {made.said}")
    print(f"against version {made.version}: {made.removed} removed, {made.added} added")
    for name, now, then in made.categories:
        print(f"{name:24} {now:>8} now {then:>8} then")
    return DONE


SOURCE_HEADINGS = {
    "source": "SOURCE",
    "lists": "LISTS",
    "entries": "ENTRIES",
    "checked": "CHECKED",
    "rejected": "REJECTED",
    "silent": "SILENT",
    "limit_percent": "LIMIT %",
}


@desk_access.desk_verb(hotlist, "sources", example="department hotlist sources --user super")
def list_sources(terminal: desk_access.Terminal) -> int:
    """List each source with its rejected hits. Exit 1 if one is muted for too many of them."""
    rows = terminal.call("hotlist/sources", NothingForm())
    terminal.table(rows, SOURCE_HEADINGS)
    return FOUND_WRONG if any(one.silent for one in rows) else DONE


ADD = (
    "department hotlist add --plate 7XKR219 --state US-CA --category felony-vehicle --case 26-001042 "
    "--why 'robbery on Myrtle Avenue' --days 14 --propose --user super"
)


@desk_access.desk_verb(hotlist, "add", example=ADD)
@click.option("--plate", type=PLATE, required=True, help=f"The wanted plate. {HELP}")
@desk_access.text("--state", "state", "Its state, e.g. US-CA.", required=False)
@click.option("--category", required=True, help="One that the signed policy names.")
@desk_access.text("--case", "case", "The case number.")
@desk_access.text(
    "--why", "reason", "The reason, for the second person and for the person who verifies an alert."
)
@click.option(
    "--days", type=click.IntRange(min=1), required=True, help="After how many days the entry expires."
)
@desk_access.text("--make", "make", "Of the vehicle.", required=False)
@desk_access.text("--model", "model", "Of the vehicle.", required=False)
@desk_access.text("--color", "color", "Of the vehicle.", required=False)
@click.option(
    "--covert-for", "recipients", multiple=True, help="The only person who sees its alerts; repeatable."
)
@desk_access.second_person
def add(terminal: desk_access.Terminal, *, days: int, **fields: Any) -> int:
    """Add a vehicle of this department's case to the local list, with a second person's approval. The entry
    expires automatically, at the end of a day on the department's clocks, counted from the proposal; a covert
    one needs the administrator and counts in the public figures.
    """
    with desk_access.seat(terminal) as call:
        mine = call("change/mine", NothingForm()) if fields["approval"] >= 0 else ()
        asked = next((one for one in mine if one.proposal == fields["approval"]), None)
        policy = desk_access.policy_of(call)
        asked_us = now_us() if asked is None else asked.at_us
        until_us = entry_end_us(asked_us, days, policy.zone, policy.alerts.local_days)
        if asked is not None:
            until_us = _proposed_us(asked.summary, until_us)
        return _changed(terminal, call("hotlist/add", local.LocalForm(until_us=until_us, **fields)))


def entry_end_us(asked_us: int, days: int, zone: tzinfo, days_max: int) -> int:
    """The last minute of the day `days` after that of the proposal, at most of the policy's last day."""
    here = local_time.local(asked_us, zone).replace(hour=0, minute=0, second=0, tzinfo=None)
    most_us = us_of(here.replace(tzinfo=zone)) + days_max * DAY_US
    lasts = (here + timedelta(days=one) for one in range(min(days, days_max), -1, -1))
    ends = (local_time.end_of_day_us(one, zone) - MINUTE_US for one in lasts)
    return next((one for one in ends if one <= most_us), most_us)


def _proposed_us(summary: str, end_us: int) -> int:
    """The end that a proposal names, or `end_us` if it names none within about a day of that.

    The proposer's command counted by another clock than the server's, which may have shown another day.
    """
    said = re.search(r", until ([^;\s]+Z)", summary)
    said_us = end_us if said is None else parse_utc(said[1])
    return said_us if abs(said_us - end_us) <= DAY_US + HOUR_US else end_us


@desk_access.desk_verb(
    hotlist, "withdraw", example="department hotlist withdraw --case 26-001042 --why 'found' --user super"
)
@desk_access.text("--case", "case", "The case whose entries end.")
@click.option("--plate", type=PLATE, default="", help=f"Only this one; without it, all of the case. {HELP}")
@desk_access.text("--why", "reason", "The reason.")
def withdraw(terminal: desk_access.Terminal, *, case: str, plate: str, reason: str) -> int:
    """End the local entries of a case and recall their open alerts from every screen."""
    form = local.WithdrawForm(case=case, reason=reason, plate=plate)
    return _changed(terminal, terminal.call("hotlist/withdraw", form))


def _changed(terminal: desk_access.Terminal, made: local.LocalChanged) -> int:
    if terminal.common.json:
        return terminal.show(made)
    if made.proposal >= 0:
        print(desk_access.wait_words(made.proposal))
    else:
        entries = counted(made.entries, "entry")
        print(f"local: {entries} that you may know of, {made.covert} of them covert")
    return DONE
