"""`department calendar`: what ends and when, as the desk's calendar page shows it."""

from __future__ import annotations

import click

from sync.command_frame import noun
from sync.department.commands import desk_access
from sync.department.desk.endings import SEEN_WITH

LIST = "department calendar list --user chief"

calendar = noun(
    "calendar", "Passwords, training, designations, grants, certificates: what ends.", example=LIST
)

desk_access.form_verb(
    calendar,
    "list",
    "calendar/list",
    "List what ends, soonest first: everything that concerns you or is yours to renew.",
    click.option(
        "--kind",
        "kinds",
        multiple=True,
        type=click.Choice(tuple(SEEN_WITH)),
        metavar="KIND",
        help=f"Only this kind; repeat. One of {', '.join(SEEN_WITH)}.",
    ),
    example=LIST,
    columns={
        "ends_us": "ends",
        "kind": "kind",
        "about": "whose or what",
        "cure": "what to do",
        "command": "command",
        "clause": "clause",
    },
)
