"""`department hold`: hold reads, export them, book the medium, release with two people (463.8)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sync.command_frame import noun
from sync.department.commands import desk_access
from sync.department.commands.out_files import new_file
from sync.department.desk.holds import calls
from sync.department.journal.inquiry_entries import Ground

GROUND = "--purpose investigation --case 26-001234 --why 'subpoena of May 3' --user super"
PLACE = (
    "department hold place READ --ground discovery --authority 'Superior Court' --number 26-CV-0815 "
    f"--access 41 {GROUND}"
)

hold = noun("hold", "Holds and evidence (463.8).", example=PLACE)

searches = click.option(
    "--access",
    "accesses",
    type=int,
    multiple=True,
    metavar="ENTRY",
    help="Your search that found them.",
)

desk_access.form_verb(
    hold,
    "place",
    "hold/place",
    "Keep reads past their year, on one of the five grounds.",
    click.argument("reads", nargs=-1, required=True, metavar="READ..."),
    desk_access.text("--ground", "hold_ground", "evidence-criminal, evidence-civil, expected-evidence, ..."),
    desk_access.text("--authority", "authority", "Court, prosecutor or investigator."),
    desk_access.text("--number", "number", "The case or request number."),
    searches,
    desk_access.second_person,
    desk_access.ground,
    example=PLACE,
)


@desk_access.desk_verb(hold, "export", example=f"department hold export 41 --out E.zip {GROUND}")
@desk_access.entry("number")
@desk_access.out_option("ZIP")
@click.option("--medium", default="", help="The medium's label. Default: the file's name.")
@searches
@desk_access.second_person
@desk_access.ground
def export(
    terminal: desk_access.Terminal, *, number: int, out: Path, medium: str, ground: Ground, **second: Any
) -> int:
    """Download a hold onto portable media."""
    form = calls.ExportForm(hold=number, medium=medium or out.name, ground=ground, **second)
    if form.propose:
        return terminal.wait(terminal.call("hold/export", form))
    with new_file(out) as file:
        made = terminal.call("hold/export", form)
        file.fill(made.package)
    facts = {"hold": made.hold, "entry": made.entry, "digest": made.digest, "file": str(out)}
    words = f"{out}: SHA-256 {made.digest}, entry {made.entry}; then: department hold book"
    return terminal.report(facts, words, unwitnessed=made.unwitnessed)


desk_access.form_verb(
    hold,
    "list",
    "hold/list",
    "List holds, newest first.",
    example="department hold list --user super",
    columns=("hold", "placed_by", "reads", "ground", "number", "evidence_item", "state", "reason"),
)
desk_access.form_verb(
    hold,
    "book",
    "hold/book",
    "Enter the evidence item number of the medium.",
    desk_access.entry("hold"),
    desk_access.text("--item", "evidence_item", "The evidence item number."),
    example="department hold book 41 --item E-26-0042 --user super",
)
item = desk_access.text(
    "--item", "evidence_item", "The evidence item number; none if it was never exported.", required=False
)
desk_access.form_verb(
    hold,
    "ask-release",
    "hold/ask-release",
    "Ask for the release (first person).",
    desk_access.entry("hold"),
    item,
    desk_access.text("--reason", "reason", "Why, if it was never exported.", required=False),
    example="department hold ask-release 41 --item E-26-0042 --user super",
)
desk_access.form_verb(
    hold,
    "release",
    "hold/release",
    "Release (second person): destroys the held content.",
    desk_access.entry("hold"),
    item,
    example="department hold release 41 --item E-26-0042 --user chief",
)
