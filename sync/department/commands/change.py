"""`department change`: changes that wait for a second person, and the decision (463.4)."""

from __future__ import annotations

import click

from sync.command_frame import noun
from sync.department.commands import desk_access

APPROVE = "department change approve 41 --why 'hired on 3 May, known to me' --user super"

change = noun("change", "Changes that wait for a second person (463.4).", example=APPROVE)

desk_access.form_verb(
    change,
    "list",
    "change/list",
    "List changes that wait for a second person.",
    example="department change list --user super",
    columns=("proposal", "at_us", "user", "call", "about", "summary"),
)
desk_access.form_verb(
    change,
    "mine",
    "change/mine",
    "List your proposals with their state, newest first.",
    example="department change mine --user chief",
)
desk_access.form_verb(
    change,
    "show",
    "change/show",
    "Show everything that a proposal asks for, as its person signed it. The look makes an entry.",
    desk_access.entry("proposal"),
    example="department change show 41 --user super",
)
desk_access.form_verb(
    change,
    "approve",
    "change/approve",
    "Decide on a change as the second person.",
    desk_access.entry("proposal"),
    click.option("--yes/--no", "granted", default=True, help="Approve (the default) or refuse."),
    desk_access.text("--why", "reason", "The reason."),
    example=APPROVE,
)
