"""`department hotlist`: import hot lists under the policy and offer them to units (463.7)."""

from __future__ import annotations

from pathlib import Path

import click

from sync.command_frame import DONE, noun
from sync.department.commands import desk_access as desk
from sync.department.desk.documents import lists as forms
from sync.department.desk.inquiry.forms import NothingForm
from sync.department.units.hot_lists import LONGEST_HOURS

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

hotlist = noun("hotlist", "Import a hot list and offer it to units; see what is out.", example=PUSH)


@desk.desk_verb(hotlist, "push", example=PUSH)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--id", "list_id", required=True, help="The list's name: letters, digits and -.")
@click.option("--layout", required=True, help="ncic, genetec, genetec-permit, vigilant or uk-16.")
@click.option("--category", default="", help="Of every entry, where the layout has no column for it.")
@click.option("--issuer", required=True, help="Who made the list, e.g. DOJ.")
@click.option("--source", required=True, help="Which extract it is; rejected hits count by source.")
@click.option("--agency", default="", help="Another agency whose list it is; the policy switches it on.")
@click.option(
    "--hours",
    type=click.IntRange(1, LONGEST_HOURS),
    default=24,
    show_default=True,
    help="How long the list matches.",
)
@desk.text("--why", "why", "The reason, for the second person.")
@desk.second_person
def push(
    terminal: desk.Terminal,
    *,
    file: Path,
    list_id: str,
    layout: str,
    category: str,
    issuer: str,
    source: str,
    agency: str,
    hours: int,
    why: str,
    propose: bool,
    approval: int,
) -> int:
    """Import a list under the policy, sign its next version and offer it, with a second person's approval.

    Bad lines are skipped and named by number; categories that the policy does not name are refused and
    counted. Units that hold the version before get the change alone.
    """
    form = forms.ListForm(
        list_id=list_id,
        layout=layout,
        body=desk.read_bytes(file),
        category=category,
        issuer=issuer,
        source=source,
        agency=agency,
        hours=hours,
        reason=why,
        propose=propose,
        approval=approval,
    )
    made = terminal.call("hotlist/push", form)
    if terminal.common.json:
        return terminal.show(made)
    print(f"{made.list_id}: {made.said}")
    if made.proposal >= 0:
        print(desk.wait_words(made.proposal))
    else:
        travels = (
            "a snapshot travels"
            if made.as_snapshot
            else f"{made.removed} removed and {made.added} added travel"
        )
        print(f"out: version {made.version}, {made.entries} entries; {travels}")
    return DONE


@desk.desk_verb(hotlist, "list", example="department hotlist list --user super")
def list_lists(terminal: desk.Terminal) -> int:
    """List the newest version of each hot list that is out."""
    return terminal.table(terminal.call("hotlist/list", NothingForm()), HEADINGS)
