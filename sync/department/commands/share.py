"""`department share`: another agency's written request, its review, the decision, the delivery (463.6)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from storage.times import iso_text
from sync.command_frame import collected, noun
from sync.department.commands import desk_access as desk
from sync.department.commands.out_files import new_file
from sync.department.desk.json_forms import to_json
from sync.department.desk.sharing import calls as forms
from sync.department.journal.inquiry_entries import Ground
from sync.department.journal.sharing_entries import Scope
from sync.errors import DONE

PERIOD = "--plate 7ABC123 --since 2026-05-01 --until 2026-05-08"
RECORD = (
    "department share record --letter request.pdf --agency 'Pasadena Police Department' --kind "
    "law-enforcement --state CA --person 'Sgt. Lee' --intended 'robbery of May 3' --number PA-26-77 "
    f"{PERIOD} --user super"
)

share = noun("share", "Sharing with other agencies (463.6).", example=RECORD)


def _scope_of(plates: tuple[str, ...], since_us: int, until_us: int, images: bool) -> Scope:
    return Scope(plates=plates, since_us=since_us, until_us=until_us, images=images)


scope_options = collected(
    "scope",
    _scope_of,
    click.option(
        "--plate", "plates", multiple=True, metavar="PLATE", help="A full plate; repeat for several."
    ),
    desk.time_option("--since", "since_us", "ISO 8601, UTC."),
    desk.time_option("--until", "until_us", "ISO 8601, UTC."),
    click.option("--images", is_flag=True, help="Images too."),
)


def _narrower_of(plates: tuple[str, ...], since_us: int, until_us: int, images: bool) -> Scope | None:
    if not plates and since_us < 0 and until_us < 0:
        return None  # all that was approved
    return _scope_of(plates, since_us, until_us, images)


narrower_scope = collected(
    "scope",
    _narrower_of,
    click.option("--plate", "plates", multiple=True, metavar="PLATE", help="Default: everything approved."),
    desk.time_option("--since", "since_us", "With --plate: ISO 8601, UTC.", default=-1),
    desk.time_option("--until", "until_us", "With --plate: ISO 8601, UTC.", default=-1),
    click.option("--images", is_flag=True, help="With --plate: include images."),
)


# --kind and --state have no default: the person who enters a request says what the agency is, and where
@desk.desk_verb(share, "record", example=RECORD)
@click.option("--letter", type=desk.FILE, required=True, help="The received letter.")
@desk.text("--agency", "agency", "Name of the agency: 463.6 (a) 1.", required=False)
@desk.text("--person", "person", "Name of the person requesting: 463.6 (a) 2.", required=False)
@desk.text("--intended", "purpose", "What the information is for: 463.6 (a) 3.", required=False)
@desk.text("--number", "number", "The agency's case or request number: 463.6 (a) 3.", required=False)
@desk.text("--kind", "agency_kind", "law-enforcement, prosecutor, federal, or another kind.")
@desk.text("--state", "state", "Two letters, or US for federal agencies.")
@desk.text("--agreement", "agreement", "The standing agreement that covers it, e.g. lasd.", required=False)
@scope_options
def record(terminal: desk.Terminal, *, letter: Path, **fields: Any) -> int:
    """Enter a written request."""
    form = forms.ShareForm(letter=desk.read_bytes(letter), letter_name=letter.name, **fields)
    return terminal.show(terminal.call("share/record", form))


desk.form_verb(
    share,
    "list",
    "share/list",
    "List written requests, newest first.",
    example="department share list --user chief",
    columns=("request", "agency", "person", "number", "agreement", "state", "delivered", "transfers"),
)


@desk.desk_verb(share, "letter", example="department share letter 41 --out letter.pdf --user chief")
@desk.entry("request")
@desk.out_option("FILE")
def letter(terminal: desk.Terminal, *, request: int, out: Path) -> int:
    """Read a written request: save the letter, and show its scope."""
    with new_file(out) as file:
        shown = terminal.call("share/letter", forms.SharingRequestForm(request=request))
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


desk.form_verb(
    share,
    "review",
    "share/review",
    "Enter your review.",
    desk.entry("request"),
    desk.text("--note", "note", "What you found."),
    example="department share review 41 --note 'letter is complete' --user chief",
)
for _name, _approved in (("approve", True), ("refuse", False)):
    desk.form_verb(
        share,
        _name,
        "share/decide",
        f"{_name.capitalize()} a reviewed request.",
        desk.entry("request"),
        desk.text("--note", "note", "Why."),
        example=f"department share {_name} 41 --note 'known case' --user chief",
        approved=_approved,
    )


@desk.desk_verb(
    share,
    "deliver",
    example="department share deliver 41 --out pasadena.zip --purpose investigation "
    "--case 26-001234 --why 'approved request PA-26-77' --user super",
)
@desk.entry("request")
@desk.out_option("ZIP")
@narrower_scope
@desk.ground
def deliver(terminal: desk.Terminal, *, request: int, out: Path, scope: Scope | None, ground: Ground) -> int:
    """Build the package of an approved request, or of a part of it."""
    form = forms.DeliverForm(request=request, scope=scope, ground=ground)
    with new_file(out) as file:
        made = terminal.call("share/deliver", form)
        file.fill(made.package)
    facts = {"entry": made.entry, "count": made.count, "digest": made.digest, "file": str(out)}
    words = f"{out}: {made.count} reads, SHA-256 {made.digest}, entry {made.entry}"
    return terminal.report(facts | {"transfer": made.transfer}, words, unwitnessed=made.unwitnessed)
