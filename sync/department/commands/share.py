"""`department share`: another agency's written request, its review, the decision, the delivery (463.6)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from storage.counts import counted
from storage.times import iso_text
from sync.command_frame import collected, noun
from sync.department.commands import desk_access, given_files
from sync.department.commands.out_files import new_file
from sync.department.content.reads import left_out
from sync.department.desk.json_forms import to_json
from sync.department.desk.sharing import calls
from sync.department.journal.inquiry_entries import Ground
from sync.department.journal.sharing_entries import Scope
from sync.errors import DONE
from sync.plate_option import HELP, PLATE

PERIOD = "--plate 7ABC123 --since 2026-05-01 --until 2026-05-08"
RECORD = (
    "department share record --letter request.pdf --agency 'Pasadena Police Department' --kind "
    "law-enforcement --state CA --person 'Sgt. Lee' --intended 'robbery of May 3' --number PA-26-77 "
    f"{PERIOD} --user super"
)

share = noun("share", "Sharing with other agencies (463.6).", example=RECORD)


scope_options = collected(
    "scope",
    Scope,
    click.option(
        "--plate", "plates", type=PLATE, multiple=True, help=f"A full plate; repeat for several. {HELP}"
    ),
    desk_access.time_option("--since", "since_us", "ISO 8601, UTC."),
    desk_access.time_option("--until", "until_us", "ISO 8601, UTC."),
    click.option("--images", is_flag=True, help="Images too."),
)


def _narrower_of(plates: tuple[str, ...], since_us: int, until_us: int, images: bool) -> Scope | None:
    if not plates and since_us < 0 and until_us < 0:
        return None  # everything that was approved
    return Scope(plates=plates, since_us=since_us, until_us=until_us, images=images)


narrower_scope = collected(
    "scope",
    _narrower_of,
    click.option(
        "--plate", "plates", type=PLATE, multiple=True, help=f"Default: everything approved. {HELP}"
    ),
    desk_access.time_option("--since", "since_us", "With --plate: ISO 8601, UTC.", default=-1),
    desk_access.time_option("--until", "until_us", "With --plate: ISO 8601, UTC.", default=-1),
    click.option("--images", is_flag=True, help="With --plate: include images."),
)


# --kind and --state have no default: the person who enters a request decides what the agency is and where
@desk_access.desk_verb(share, "record", example=RECORD)
@click.option("--letter", type=given_files.FILE, required=True, help="The received letter.")
@desk_access.text("--agency", "agency", "Name of the agency: 463.6 (a) 1.", required=False)
@desk_access.text("--person", "person", "Name of the person requesting: 463.6 (a) 2.", required=False)
@desk_access.text("--intended", "purpose", "What the information is for: 463.6 (a) 3.", required=False)
@desk_access.text("--number", "number", "The agency's case or request number: 463.6 (a) 3.", required=False)
@desk_access.text("--kind", "agency_kind", "law-enforcement, prosecutor, federal, or another kind.")
@desk_access.text("--state", "state", "Two letters, or US for federal agencies.")
@desk_access.text(
    "--agreement", "agreement", "The standing agreement that covers it, e.g. lasd.", required=False
)
@scope_options
def record(terminal: desk_access.Terminal, *, letter: Path, **fields: Any) -> int:
    """Enter a written request."""
    form = calls.ShareForm(letter=given_files.read_bytes(letter), letter_name=letter.name, **fields)
    return terminal.show(terminal.call("share/record", form))


desk_access.form_verb(
    share,
    "list",
    "share/list",
    "List written requests, newest first.",
    example="department share list --user chief",
    columns={
        "request": "REQUEST",
        "agency": "AGENCY",
        "agency_kind": "KIND",
        "agency_state": "STATE",
        "person": "PERSON",
        "number": "NUMBER",
        "agreement": "AGREEMENT",
        "state": "CAME TO",
        "delivered": "DELIVERED",
        "transfers": "UNDER AGREEMENT",
    },
)


@desk_access.desk_verb(share, "letter", example="department share letter 41 --out letter.pdf --user chief")
@desk_access.entry("request")
@desk_access.out_option("FILE")
def letter(terminal: desk_access.Terminal, *, request: int, out: Path) -> int:
    """Read a written request: save the letter, and show its scope."""
    with new_file(out) as file:
        shown = terminal.call("share/letter", calls.SharingRequestForm(request=request))
        file.fill(shown.letter)
    scope = shown.scope
    if terminal.common.json:
        print(json.dumps(to_json({"request": shown.request, "name": shown.name, "scope": scope})))
        return DONE
    since, until = iso_text(scope.since_us, to="second"), iso_text(scope.until_us, to="second")
    images = "with images" if scope.images else "without images"
    print(f"{out}: {shown.name}, unchanged")
    print(f"scope: {', '.join(scope.plates)} from {since} to {until}, {images}")
    return DONE


desk_access.form_verb(
    share,
    "review",
    "share/review",
    "Enter your review.",
    desk_access.entry("request"),
    desk_access.text("--note", "note", "What you found."),
    example="department share review 41 --note 'letter is complete' --user chief",
)
desk_access.form_verb(
    share,
    "approve",
    "share/decide",
    "Approve a reviewed request: say what the agency is, from its letter.",
    desk_access.entry("request"),
    desk_access.text("--note", "note", "Why."),
    desk_access.text("--kind", "agency_kind", "law-enforcement or prosecutor: what the letter says."),
    desk_access.text("--state", "agency_state", "Two letters: what the letter says."),
    example="department share approve 41 --kind law-enforcement --state CA --note 'known case' --user chief",
    approved=True,
)
desk_access.form_verb(
    share,
    "refuse",
    "share/decide",
    "Refuse a reviewed request.",
    desk_access.entry("request"),
    desk_access.text("--note", "note", "Why."),
    example="department share refuse 41 --note 'no case is named' --user chief",
    approved=False,
)


@desk_access.desk_verb(
    share,
    "deliver",
    example="department share deliver 41 --out pasadena.zip --purpose investigation "
    "--case 26-001234 --why 'approved request PA-26-77' --user super",
)
@desk_access.entry("request")
@desk_access.out_option("ZIP")
@narrower_scope
@desk_access.ground
def deliver(
    terminal: desk_access.Terminal, *, request: int, out: Path, scope: Scope | None, ground: Ground
) -> int:
    """Build the package of an approved request, or of a part of it."""
    form = calls.DeliverForm(request=request, scope=scope, ground=ground)
    with new_file(out) as file:
        made = terminal.call("share/deliver", form)
        file.fill(made.package)
    facts: dict[str, Any] = {
        "entry": made.entry,
        "count": made.count,
        "digest": made.digest,
        "file": str(out),
    }
    words = f"{out}: {counted(made.count, 'read')}, SHA-256 {made.digest}, entry {made.entry}"
    words += left_out(made.days_left_out)
    facts |= {"transfer": made.transfer, "days_left_out": made.days_left_out}
    return terminal.report(facts, words, unwitnessed=made.unwitnessed)
