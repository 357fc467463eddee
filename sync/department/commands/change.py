"""`department change`: changes that wait for a second person, and that person's word (463.4)."""

from __future__ import annotations

import click

from sync.command_frame import noun
from sync.department.commands import desk_access as desk

APPROVE = "department change approve 41 --why 'hired on 3 May, known to me' --user super"

change = noun("change", "Changes that wait for a second person (463.4).", example=APPROVE)

desk.form_verb(
    change,
    "list",
    "change/list",
    "List changes that wait for a second person.",
    example="department change list --user super",
    columns=("proposal", "at_us", "user", "call", "about", "summary"),
)
desk.form_verb(
    change,
    "mine",
    "change/mine",
    "List what you proposed, the newest first, and how far each came.",
    example="department change mine --user chief",
)
desk.form_verb(
    change,
    "approve",
    "change/approve",
    "Decide on a change as the second person.",
    desk.entry("proposal"),
    click.option("--yes/--no", "granted", default=True, help="Approve it (the default), or say no."),
    desk.text("--why", "reason", "The reason."),
    example=APPROVE,
)
