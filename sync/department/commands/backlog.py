"""`department backlog`: two people allow the purge of all waiting days at once (463.8)."""

from __future__ import annotations

from sync.command_frame import noun
from sync.department.commands import desk_access

ALLOW = "department backlog allow --through 2025-11-20 --why 'the server was off' --propose --user chief"

backlog = noun("backlog", "Days of receipt whose purge needs two people (463.8).", example=ALLOW)

desk_access.form_verb(
    backlog,
    "allow",
    "backlog/allow",
    "Allow the purge of every day of receipt up to one, as one of two people.",
    desk_access.text("--through", "through", "The last of these days, UTC (YYYY-MM-DD)."),
    desk_access.text("--why", "reason", "Why the purge is late."),
    desk_access.second_person,
    example=ALLOW,
)
