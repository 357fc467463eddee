"""`department clock`: two people confirm that the server's clock is right (463.8)."""

from __future__ import annotations

from sync.command_frame import noun
from sync.department.commands import desk_access

CONFIRM = "department clock confirm --day 2026-11-26 --why 'power was out for a month' --propose --user chief"

clock = noun("clock", "The department's time when the server's clock is in doubt.", example=CONFIRM)

desk_access.form_verb(
    clock,
    "confirm",
    "clock/confirm",
    "Confirm that the server's clock is right, as one of two people.",
    desk_access.text("--day", "day", "Today's date by another clock, UTC (YYYY-MM-DD)."),
    desk_access.text("--why", "reason", "How you know."),
    desk_access.second_person,
    example=CONFIRM,
)
