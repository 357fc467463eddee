"""`department incident`: contradictions in a unit's log, closed by two people (463.8)."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from storage.counts import counted
from storage.times import iso_text
from sync.command_frame import Common, noun
from sync.department.commands import desk_access, given_files
from sync.department.desk.incidents import calls
from sync.department.desk.inquiry.forms import NothingForm
from sync.department.desk.machine.unit_calls import BringForm, ResetForm
from sync.department.ground.home import DepartmentHome
from sync.department.policy.refusals import FormError
from sync.department.server.closed_logs import examine_closed_log, outline, take_in
from sync.department.server.server import Department
from sync.destruction import of_text
from sync.errors import DONE, FOUND_WRONG

CLOSE = "department incident close 3 --finding 'card was cloned on the bench' --user chief"
IMPORT = "department incident import /media/card/sync/old/3f9c2b7a10de4455 --why 'cloned card' --user chief"
COLUMNS = ("incident", "at_us", "kind", "unit_name", "times", "state", "first_by", "second_by", "detail")

incident = noun("incident", "Forks, rollbacks and bad records of units; two people close one.", example=CLOSE)


@desk_access.desk_verb(incident, "list", example="department incident list --user chief")
@click.option("--open", "only_open", is_flag=True, help="Only open ones; exit 1 if there are any.")
def list_incidents(terminal: desk_access.Terminal, *, only_open: bool) -> int:
    """List incidents, open ones first."""
    rows = terminal.call("incident/list", NothingForm())
    if only_open:
        rows = tuple(one for one in rows if one.state != "closed")
    terminal.show(rows, COLUMNS)
    return FOUND_WRONG if only_open and rows else DONE


@desk_access.desk_verb(incident, "close", example=CLOSE)
@desk_access.entry("number", "INCIDENT")
@desk_access.text("--finding", "finding", "The cause, in words.")
def close(terminal: desk_access.Terminal, *, number: int, finding: str) -> int:
    """Confirm that an incident is settled. The second person's confirmation closes it. You sign the incident
    as the list shows it: its kind, unit and time."""
    rows = terminal.call("incident/list", NothingForm())
    seen = next((one for one in rows if one.incident == number), None)
    if seen is None:
        raise FormError("there is no such incident", code="no-incident", clause="463.8")
    form = calls.SettleForm(
        incident=number, kind=seen.kind, unit=seen.unit, opened_us=seen.at_us, finding=finding
    )
    made = terminal.call("incident/close", form)
    if terminal.common.json:
        return terminal.show(made)
    state = "closed" if made.closed else "a second person must also close it"
    print(f"incident {number}, {seen.kind} of {seen.unit or 'no unit'} at {iso_text(seen.at_us)}: {state}")
    return DONE


@desk_access.desk_verb(incident, "import", example=IMPORT)
@click.argument("folder", type=given_files.FILE, metavar="FOLDER")
@desk_access.text("--why", "reason", "Where the card comes from.")
def import_log(terminal: desk_access.Terminal, *, folder: Path, reason: str) -> int:
    """Import a closed log from its unit's card: what still verifies, with content, marked as such.

    FOLDER is the unit's HOME/sync/old/LOG. A unit hands over its closed logs when it syncs; this command is
    for a card on the bench. It works on the department's own machine and is safe to repeat: it imports each
    record once. The unit's alarm ends with its next sync. The exit status is 1 if part of the folder could
    not be imported.
    """
    department = Department(DepartmentHome.open(terminal.common.home))
    try:
        found = examine_closed_log(department.store, folder)
        name, records, digest = outline(department.store, folder)
        terminal.call(
            "incident/bring", BringForm(log=name.hex(), records=records, digest=digest, reason=reason)
        )
        taken = take_in(department, folder)
    finally:
        department.close()
    if terminal.common.json:
        print(json.dumps(asdict(taken)))
    else:
        print(
            f"log {found.log} of unit {found.unit}: {counted(taken.held, 'record')} held whole, "
            f"{taken.lacking} without content that could not be opened, {taken.bad} not verified"
        )
        if not taken.notified:
            print("department: the unit was not notified: the command key is not here", file=sys.stderr)
    return FOUND_WRONG if taken.lacking or taken.bad else DONE


@desk_access.desk_verb(incident, "receipt", example="department incident receipt car12.txt --user chief")
@click.argument("file", type=given_files.FILE, metavar="FILE")
def receipt(terminal: desk_access.Terminal, *, file: Path) -> int:
    """Hand in the destruction receipt that a unit printed when it was reset.

    FILE holds the lines from BEGIN to END as they were shown at the console. A unit that reached the
    department already sent it; otherwise it sends it with its first sync after it joins again. The receipt
    opens an incident that two people close: `department incident list`.
    """
    taken = terminal.call("incident/reset", ResetForm(receipt=of_text(given_files.read_bytes(file))))
    if terminal.common.json:
        return terminal.show(taken)
    records = counted(taken.records, "record")
    print(f"unit {taken.unit}: {counted(taken.undelivered, 'read')} of {records} never delivered")
    return DONE


@incident.verb("examine", example="department incident examine /media/card/sync/old/3f9c2b7a10de4455")
@click.argument("folder", type=given_files.FILE, metavar="FOLDER")
def examine(common: Common, *, folder: Path) -> int:
    """Compare a closed log from a unit's home with what the department received of it. FOLDER is the unit's
    HOME/sync/old/LOG, copied whole. Shows only counts, changes nothing and opens nothing: how many records
    verify, how many the department lacks, and how many contradict its own. The exit status is 1 if any are
    missing or contradict. Keep the folder with the incident's papers: its records stay provable there.
    """
    department = Department(DepartmentHome.read_only(common.home), changes=False)
    try:
        found = examine_closed_log(department.store, folder)
    finally:
        department.close()
    if common.json:
        print(json.dumps(asdict(found)))
    else:
        print(
            f"log {found.log} of unit {found.unit}: {found.verified} records verify, {found.bad} do not; "
            f"{found.received} were received, {found.lacking} are missing here in whole or in part, "
            f"{found.contradicting} contradict what was received; "
            f"{found.lost} pieces of content are gone there, purged or lost"
        )
    return FOUND_WRONG if found.bad or found.lacking or found.contradicting else DONE
